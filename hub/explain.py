"""Where each value of an entity came from: system, mapping and version, page or file, row and column.

The records behind the entity are read again from the pages they came in and mapped again, so nothing of this need be
stored with every value. What the store holds and today's mapping does not give any more is told without its column.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

import orjson
from pydantic import ValidationError
from sqlalchemy import Connection, text

from connectors.contract import Misconfigured
from hub.entities import HUB, content_of
from hub.intake import Intake, decode, load_intake
from hub.words import HubError, Words
from mappings import Mapping as RecordMapping, MappingError, Origin as Told, RecordFaults, Unit

if TYPE_CHECKING:
    from hub.engine import Hub

__all__ = ["Explanation", "NoSuchEntity", "Origin", "explain"]

_DERIVED = {
    "order": re.compile(r"status\b|lines\[\d+\]\.quantity\b"),
    "customer": re.compile(r"merged_into\b|consents\b"),  # of links to other customers
}
"""What the hub derives, by kind: from facts (see `canonical_model.derive`), from links."""
_TRIES = 5
"""Records of one system looked at to find the one that gave what is stored: the newest is it, but for replays."""


class NoSuchEntity(HubError, LookupError):
    """There is no entity of that key."""


@dataclass(frozen=True, slots=True)
class Origin:
    """One value and where it came from. `system` is "hub" for what the hub derived from facts.

    name, line  the file or page, and the row in it (of an API's page the index)
    source      the column(s), `how` the transforms between
    record      the number of the record in `Explanation.records`
    """

    field: str
    value: Any
    system: str
    mapping: str | None = None
    mapping_version: int | None = None
    intake_id: int | None = None
    name: str | None = None
    line: int | None = None
    source: str | None = None
    how: str | None = None
    record: int | None = None

    @property
    def derived(self) -> bool:
        """Whether the hub itself made the value."""
        return self.system == HUB


@dataclass(frozen=True, slots=True)
class SourceRecord:
    """A record behind the entity: which page it came in, and through which version of which mapping."""

    system: str
    mapping: str
    mapping_version: int
    intake_id: int
    name: str | None
    line: int
    received_at: datetime | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """An entity, its versions so far, and the origin of each of its values.

    history     version, system, at, deleted of each version, oldest first
    references  system, external_id: how other systems name it
    notes       what could not be told, and why
    """

    kind: str
    key: str
    version: int
    deleted_at: datetime | None
    content: dict[str, Any]
    origins: list[Origin]
    records: list[SourceRecord]
    history: list[dict[str, Any]]
    references: list[dict[str, Any]]
    notes: list[Words] = field(default_factory=list)


@dataclass(slots=True)
class _Speaker:
    """What one system says of the entity: the stored content, and what its record gives when it is mapped again."""

    system: str
    content: Mapping[str, Any]
    record: SourceRecord | None = None
    again: Mapping[str, Any] = field(default_factory=dict)
    told: Mapping[str, Told] = field(default_factory=dict)


_ENTITY = text(
    "SELECT id, version, content, system, deleted_at FROM entity WHERE kind = :kind AND key = :key"
)
_SAID = text("SELECT system, content FROM contribution WHERE entity_id = :id ORDER BY updated_at, system")
_RECORDS = text(
    "SELECT system, mapping, mapping_version, intake_id, position FROM record "
    "WHERE entity_id = :id AND system = :system ORDER BY intake_id DESC, position DESC LIMIT :tries"
)
_HISTORY = text(
    "SELECT version, system, at, deleted FROM change_feed WHERE entity_id = :id ORDER BY version, xid, seq"
)
_REFERENCES = text("SELECT system, external_id FROM cross_reference WHERE entity_id = :id ORDER BY 1, 2")


def explain(hub: Hub, kind: str, key: str) -> Explanation:
    """Read the records behind an entity again and say where each value came from. Raises NoSuchEntity."""
    with hub.engine.connect() as connection:
        entity = connection.execute(_ENTITY, {"kind": kind, "key": key}).one_or_none()
        if entity is None:
            raise NoSuchEntity(f"{kind} の「{key}」はありません。", f"There is no {kind} {key!r}.")
        speakers = _speakers(connection, entity)
        history = [dict(row._mapping) for row in connection.execute(_HISTORY, {"id": entity.id})]
        references = [dict(row._mapping) for row in connection.execute(_REFERENCES, {"id": entity.id})]
    notes: list[Words] = []
    for speaker in speakers:
        _hear(hub, kind, entity.id, speaker, notes)
    owners = hub.systems.authority.get(kind, {})
    records = [speaker.record for speaker in speakers if speaker.record is not None]
    origins = [
        _origin(kind, leaf, value, _speaker_of(leaf, entity.content, speakers, owners), records)
        for leaf, value in _leaves(entity.content)
    ]
    return Explanation(
        kind, key, entity.version, entity.deleted_at, entity.content, origins, records, history, references,
        list(dict.fromkeys(notes)),
    )  # fmt: skip


def _speakers(connection: Connection, entity: Any) -> list[_Speaker]:
    """The systems that speak of the entity, the one heard last at the end."""
    said = [_Speaker(row.system, row.content) for row in connection.execute(_SAID, {"id": entity.id})]
    if said or entity.system is None:
        return said
    return [_Speaker(entity.system, entity.content)]


# ---------------------------------------------------------------- reading again


def _hear(hub: Hub, kind: str, entity_id: int, speaker: _Speaker, notes: list[Words]) -> None:
    """Find the record that gave what the speaker says, and map it again."""
    with hub.engine.connect() as connection:
        names = {"id": entity_id, "system": speaker.system, "tries": _TRIES}
        rows = connection.execute(_RECORDS, names).all()
        pages = {row.intake_id: load_intake(connection, row.intake_id) for row in rows}
    stored = dict(_leaves(speaker.content))
    best = -1
    for row in rows:
        page = pages[row.intake_id]
        record = SourceRecord(
            row.system, row.mapping, row.mapping_version, row.intake_id, page.name, row.position, page.received_at
        )  # fmt: skip
        again, told = _map_again(hub, kind, record, page, notes)
        equal = sum(stored.get(leaf) == value for leaf, value in again.items())
        if equal > best:
            best, speaker.record, speaker.again, speaker.told = equal, record, again, told
        if all(stored.get(leaf) == value for leaf, value in again.items()):
            return


def _map_again(
    hub: Hub, kind: str, record: SourceRecord, page: Intake, notes: list[Words]
) -> tuple[dict[str, Any], dict[str, Told]]:
    """The leaves the record gives today, and what was told of each; nothing when it cannot be read any more."""
    if page.state == "erased":
        where = page.name or f"#{page.id}"
        notes.append(
            Words(
                f"{where} の元データは保存期間が過ぎたため、列は示せません。",
                f"The bytes of {where} are no longer kept, so columns cannot be told.",
            )
        )
        return {}, {}
    try:
        unit, mapping, context = _read_again(hub, record, page)
        if unit is None or mapping.entity != kind:
            return {}, {}
        entity = mapping.to_entity(unit.data, context, positions=unit.positions)
        if entity is None:
            return {}, {}
        _, content = content_of(kind, entity)
        told = {one.field: one for one in mapping.explain(unit.data, context, positions=unit.positions)}
    except (HubError, Misconfigured, MappingError, RecordFaults, ValidationError) as error:
        where = f"{record.system}: {record.mapping}"
        ja = error.ja if isinstance(error, HubError) else str(error)
        en = error.en if isinstance(error, HubError) else str(error)
        notes.append(Words(f"{where} で列を示せません: {ja}", f"{where}: columns cannot be told: {en}"))
        return {}, {}
    if mapping.version != record.mapping_version:
        then, now = record.mapping_version, mapping.version
        notes.append(
            Words(
                f"{record.mapping} は版{then}で取り込まれました。列は今の版{now}で示しています。",
                f"{record.mapping} was version {then} then; columns are told by version {now}.",
            )
        )
    return dict(_leaves(orjson.loads(content))), told


def _read_again(
    hub: Hub, record: SourceRecord, page: Intake
) -> tuple[Unit | None, RecordMapping, Mapping[str, Any]]:
    bound = hub.bind(record.system, page.flow)
    mapping = hub.mapping(record.mapping)
    source = bound.source
    # an API's page is JSON: no settings, and so no secrets, are needed to read it
    config = None if source.decode is None else hub.settings_of(record.system)
    rows = decode(hub.engine, page, source, config)
    for unit in mapping.units(rows, bound.context):
        if isinstance(unit, Unit) and record.line in unit.positions:
            return unit, mapping, bound.context
    return None, mapping, bound.context


# ---------------------------------------------------------------- whose value it is


def _speaker_of(
    leaf: str, content: Mapping[str, Any], speakers: Sequence[_Speaker], owners: Mapping[str, str]
) -> _Speaker | None:
    """Whose word counts for a field, as `hub.entities.merge_contents` decides: its owner's, else the last speaker's.

    Of several without an owner the one whose value is stored: who spoke last is not remembered when nothing changed.
    """
    path = _top(leaf)
    spoke = [speaker for speaker in speakers if _at(speaker.content, path) is not None]
    owner = owners.get(path[0], owners.get("*"))
    if path[0] not in ("key", "traits"):
        for speaker in spoke:
            if speaker.system == owner:
                return speaker
    stored = _at(content, path)
    agreeing = [speaker for speaker in spoke if _at(speaker.content, path) == stored]
    return next(reversed(agreeing or spoke), None)


def _top(leaf: str) -> tuple[str, ...]:
    """What is merged as one: a field of the entity, or one namespace of its traits."""
    first, _, rest = leaf.partition(".")
    if first == "traits" and rest:
        return first, rest.partition(".")[0].partition("[")[0]
    return (first.partition("[")[0],)


def _at(content: Mapping[str, Any], path: Sequence[str]) -> Any:
    value: Any = content
    for step in path:
        value = value.get(step) if isinstance(value, Mapping) else None
    return value


def _origin(
    kind: str, leaf: str, value: Any, speaker: _Speaker | None, records: Sequence[SourceRecord]
) -> Origin:
    derived = _DERIVED.get(kind)
    if speaker is None:
        return Origin(leaf, value, HUB)
    same = leaf in speaker.again and speaker.again[leaf] == value
    if not same and derived is not None and derived.match(leaf):
        return Origin(leaf, value, HUB)
    record = speaker.record
    if record is None:
        return Origin(leaf, value, speaker.system)
    told = _covering(speaker.told, leaf) if same else None
    line = record.line if told is None or told.line is None else told.line
    return Origin(
        leaf, value, speaker.system, record.mapping, record.mapping_version, record.intake_id, record.name, line,
        None if told is None else told.column, (told.how or None) if told else None, records.index(record) + 1,
    )  # fmt: skip


def _covering(told: Mapping[str, Told], leaf: str) -> Told | None:
    """What was told of the leaf, or of the object around it: one transform may give a whole object (money)."""
    while leaf not in told:
        cut = max(leaf.rfind("."), leaf.rfind("["))
        if cut < 0:
            return None
        leaf = leaf[:cut]
    return told[leaf]


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for name, part in value.items():
            yield from _leaves(part, f"{path}.{name}" if path else name)
    elif isinstance(value, list) and value:
        for index, part in enumerate(value):
            yield from _leaves(part, f"{path}[{index}]")
    else:
        yield path, value
