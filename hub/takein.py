"""Taking in: from a stored page to entities. Decode, skip what is known, map, validate, merge, write.

A crash at any point is mended by taking the same page in again: unchanged records are skipped by their hash,
and unchanged contents write nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import orjson
from pydantic import ValidationError
from sqlalchemy import Connection, Engine, text

from connectors.contract import Deletes, Fault, Record, Source
from hub.entities import Draft, Raced, Written, content_of, write_drafts
from hub.erasure.guard import Guard, open_guard
from hub.erasure.pages import blank_rows
from hub.intake import Intake, decode
from hub.progress import Counter
from hub.quarantine import (
    Refusal,
    close_rest,
    open_subjects,
    put_refusals,
    refused_rows,
    resolve_keys,
    resolve_subjects,
    waiting_keys,
)
from hub.reports import TakeIn
from hub.store.database import digest
from hub.versions import is_older
from mappings import FieldFault, Mapping as RecordMapping, RecordFaults, Unit

__all__ = ["CHUNK", "Setting", "TakenIn", "record_id_of", "take_in", "take_in_records"]

CHUNK = 2000
"""Units written in one transaction."""

_KNOWN = text(
    "SELECT record_id, hash, intake_id, order_value FROM record "
    "WHERE system = :system AND mapping = :mapping AND record_id = ANY(:ids)"
)
_REMEMBER_REFUSED = text("""
    INSERT INTO record AS r (system, mapping, record_id, hash, entity_id, mapping_version, intake_id, position,
                             order_value)
    SELECT :system, :mapping, u.record_id, u.hash, NULL, :version, u.intake, u.position, u.order_value
    FROM unnest(CAST(:ids AS text[]), CAST(:hashes AS bytea[]), CAST(:intakes AS bigint[]),
                CAST(:positions AS bigint[]), CAST(:orders AS text[]))
         AS u(record_id, hash, intake, position, order_value)
    ON CONFLICT (system, mapping, record_id) DO UPDATE
        SET hash = excluded.hash, mapping_version = excluded.mapping_version, intake_id = excluded.intake_id,
            position = excluded.position, order_value = excluded.order_value
""")


_UNWATCHED = Counter(None)


@dataclass(slots=True)
class TakenIn(TakeIn):
    """The counts, which kinds of entity changed, and what an operator should read."""

    kinds: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    """Record ids of the first mapping, refused ones too: what a listing has shown."""
    unreadable: int = 0
    """Rows that do not say what they are about, or not in a way that can be read."""
    again: set[str] = field(default_factory=set)
    """Quarantine subjects of what can only be named by its place in the page, or by its bytes."""
    overtaken: set[int] = field(default_factory=set)
    """Replay: positions of records that a newer page has brought meanwhile."""
    blank: set[int] = field(default_factory=set)
    """Positions of rows that tell of an erased person: they do not stay in the stored page."""
    keep: set[int] = field(default_factory=set)
    """Positions that stay: an erased person has come back by them."""

    def counts(self) -> dict[str, int]:
        """Only the numbers, for the intake's row."""
        return {part.name: getattr(self, part.name) for part in fields(TakeIn)}

    def note(self, written: Written) -> None:
        self.created += written.created
        self.updated += written.updated
        for kind, count in written.kinds.items():
            self.kinds[kind] = self.kinds.get(kind, 0) + count

    def join(self, other: TakenIn) -> None:
        self.add(other)
        self.notes.extend(other.notes)
        self.seen |= other.seen
        self.unreadable += other.unreadable
        self.again |= other.again
        self.overtaken |= other.overtaken
        self.blank |= other.blank
        self.keep |= other.keep
        for kind, count in other.kinds.items():
            self.kinds[kind] = self.kinds.get(kind, 0) + count


@dataclass(frozen=True, slots=True)
class Setting:
    """What does not change while one page is taken in through one mapping."""

    engine: Engine
    system: str
    flow: str
    context: Mapping[str, Any]
    authority: Mapping[str, Mapping[str, str]]
    mapping: RecordMapping
    record_key: str
    intake_id: int
    first: bool
    name: str = ""
    """The file or request, for notes."""
    replay: bool = False
    """The page was taken in before: what newer pages brought since is left alone."""
    only: frozenset[int] | None = None
    """Replay: only the units these positions belong to, whatever was known of them."""
    waiting: frozenset[str] = frozenset()
    """Records of which older pages hold rows that could not be read."""
    order: str | None = None
    """Path of the value the source orders versions of one record by."""
    listing: bool = False
    """Remember what was seen: the page belongs to a listing in which absence means deletion."""
    counter: Counter = _UNWATCHED
    places: Sequence[tuple[int, int]] = ()
    """Several pages taken in as one: where a position lies, as page and position in it."""
    guard: Guard | None = None
    """Keeps erased persons erased; None while there are none."""

    def place(self, position: int) -> tuple[int, int]:
        """The page a position is of, and where it stands there."""
        return self.places[position] if self.places else (self.intake_id, position)


def take_in(
    engine: Engine,
    item: Intake,
    source: Source,
    config: Any,
    *,
    mappings: Sequence[RecordMapping],
    context: Mapping[str, Any],
    authority: Mapping[str, Mapping[str, str]],
    replay: bool = False,
    only: frozenset[int] | None = None,
    counter: Counter = _UNWATCHED,
) -> TakenIn:
    """Take a stored page in through every mapping of its flow. The caller then marks it as finished.

    `replay` takes a page in again, whole or `only` the units at these positions.
    """

    def records() -> Iterator[Record | Fault]:
        return decode(engine, item, source, config)

    with engine.connect() as connection:
        waiting = waiting_keys(connection, system=item.system, flow=item.flow, before=item.id)
        guard = open_guard(connection)
    result = TakenIn()
    for number, mapping in enumerate(mappings):
        setting = Setting(
            engine,
            item.system,
            item.flow,
            context,
            authority,
            mapping,
            source.key,
            item.id,
            number == 0,
            name=item.name or "",
            replay=replay,
            only=only,
            waiting=waiting if number == 0 else frozenset(),
            order=source.order,
            listing=number == 0 and source.deletes is Deletes.ABSENCE,
            counter=counter,
            guard=guard,
        )
        # a group whose rows do not stand together must be known before its first part is taken in
        apart = mapping.rows_apart(records(), context)
        result.join(take_in_records(setting, records(), apart))
    with engine.begin() as connection:
        blank_rows(connection, item, source, config, result.blank - result.keep)
        close_rest(
            connection, system=item.system, flow=item.flow, intake_id=item.id, again=result.again,
            overtaken=result.overtaken, only=only, replayed=replay,
        )  # fmt: skip
    return result


def take_in_records(
    setting: Setting, records: Iterable[Record | Fault], apart: Mapping[str, Any] | None = None
) -> TakenIn:
    """Take records in through one mapping, chunk by chunk.

    Rows that could not be read go into quarantine once, with the first mapping; the document such a row belongs to
    is held back by the mapping's grouping.
    """
    result = TakenIn()
    unreadable: list[Fault] = []
    keys: dict[int, str] = {}

    def watched() -> Iterator[Record | Fault]:
        for row in records:
            if isinstance(row, Fault):
                unreadable.append(row)
            elif row.notes and setting.first:
                result.notes.extend(f"{setting.name}:{row.position}: {note}" for note in row.notes)
            yield row

    chunk: list[Unit | RecordFaults] = []
    for unit in setting.mapping.units(watched(), setting.context, apart=apart):
        if setting.first and (setting.listing or isinstance(unit, RecordFaults)):
            _look_at(setting, unit, keys, result)
        if _wanted(setting, unit):
            chunk.append(unit)
        if len(chunk) >= CHUNK:
            result.join(_take_chunk(setting, chunk))
            chunk = []
    if chunk:
        result.join(_take_chunk(setting, chunk))
    result.unreadable += len(unreadable)
    if unreadable and setting.first:
        _refuse_rows(setting, unreadable, keys, result)
    return result


def _look_at(setting: Setting, unit: Unit | RecordFaults, keys: dict[int, str], result: TakenIn) -> None:
    """Note what the page speaks of, and which record an unreadable row belongs to."""
    name = _record_id(setting, unit) if isinstance(unit, Unit) else unit.external_id
    if name is None:
        result.unreadable += 1
    elif isinstance(unit, RecordFaults):
        keys.update(dict.fromkeys(unit.positions, name))
    if setting.listing and name:
        result.seen.add(name)


def _refuse_rows(
    setting: Setting, unreadable: Sequence[Fault], keys: Mapping[int, str], result: TakenIn
) -> None:
    """Put rows that could not be read into quarantine, those of a replay that were asked for."""
    every = refused_rows(setting.system, setting.flow, setting.intake_id, unreadable, keys)
    refusals = [r for r in every if setting.only is None or setting.only.intersection(r.positions)]
    if refusals:
        with setting.engine.begin() as connection:
            put_refusals(connection, refusals)
    result.again.update(refusal.subject for refusal in refusals)
    result.records += len(refusals)
    result.quarantined += len(refusals)


def _wanted(setting: Setting, unit: Unit | RecordFaults) -> bool:
    if setting.only is not None and not setting.only.intersection(unit.positions):
        return False
    if not isinstance(unit, RecordFaults):
        return True
    # a document of which no row could be read is told by its rows alone, and one that is torn by the first mapping
    torn = all(fault.code == "group_broken" for fault in unit.faults)
    unread = unit.data is not None and unit.data.get("rows") == []
    return not (unread or (torn and not setting.first))


def _take_chunk(setting: Setting, chunk: Sequence[Unit | RecordFaults]) -> TakenIn:
    while True:
        try:
            with setting.engine.begin() as connection:
                taken = _write_chunk(connection, setting, chunk)
        except Raced:
            continue
        setting.counter.add(len(chunk))
        return taken


def _record_id(setting: Setting, unit: Unit) -> str:
    return record_id_of(setting.record_key, unit)


def record_id_of(record_key: str, unit: Unit) -> str:
    """What a record is called: the value its rows share or the source's key, and the entity's own id beside it.

    Both are needed: many orders speak of one customer, and one item of a catalogue may be read as many SKUs.
    """
    value: Any = unit.group
    if value is None:
        value = unit.data
        for step in record_key.split("."):
            value = value.get(step) if isinstance(value, Mapping) else None
    if value in (None, "", unit.external_id):
        return unit.external_id
    return f"{value}#{unit.external_id}" if unit.external_id else str(value)


def _order_value(setting: Setting, unit: Unit) -> str | None:
    if setting.order is None:
        return None
    value: Any = unit.data
    for step in setting.order.split("."):
        value = value.get(step) if isinstance(value, Mapping) else None
    return None if value is None else str(value)


def _newest_units(setting: Setting, chunk: Sequence[Unit | RecordFaults]) -> dict[str, Unit]:
    """One unit for each record: the newest by the source's own order, else the one that stands last."""
    units: dict[str, Unit] = {}
    for unit in chunk:
        if isinstance(unit, Unit):
            record_id = _record_id(setting, unit)
            there = units.get(record_id)
            if there is None or not is_older(_order_value(setting, unit), _order_value(setting, there)):
                units[record_id] = unit
    return units


def _write_chunk(connection: Connection, setting: Setting, chunk: Sequence[Unit | RecordFaults]) -> TakenIn:
    result = TakenIn(records=len(chunk))
    refusals = [_refused_group(setting, unit) for unit in chunk if isinstance(unit, RecordFaults)]
    units = _newest_units(setting, chunk)
    result.superseded += len(chunk) - len(refusals) - len(units)
    hashes = {
        record_id: digest(orjson.dumps(unit.data, default=str), setting.mapping.digest.encode())
        for record_id, unit in units.items()
    }
    known = _known(connection, setting, units)
    drafts: list[Draft] = []
    rows: dict[int, Sequence[int]] = {}
    refused: list[str] = []
    through: list[str] = []
    for record_id, unit in units.items():
        was = known.get(record_id, _NEVER)
        if setting.replay and was.newest > setting.intake_id:
            result.superseded += 1
            result.overtaken.update(unit.positions)
            continue
        if setting.only is None and was.hash == hashes[record_id] and not was.waits:
            result.unchanged += 1
            through += setting.waiting.intersection(_subjects(record_id, unit))
            continue
        if not setting.replay and is_older(_order_value(setting, unit), was.order_value):
            result.superseded += 1  # an event that came late, a page read before the event
            continue
        try:
            draft = _draft(setting, unit, record_id, hashes[record_id])
        except RecordFaults as error:
            refusals.append(_refused_unit(setting, unit, record_id, error))
            refused.append(record_id)
            continue
        names = _subjects(record_id, unit)
        through += names if was.waits else setting.waiting.intersection(names)
        if draft is None:
            result.skipped += 1
        else:
            drafts.append(draft)
            rows[id(draft)] = unit.positions
    screened = None
    if setting.guard is not None:
        screened = setting.guard.screen(connection, setting.system, setting.mapping.entity, drafts, rows)
        drafts = screened.drafts
        refused = _without_erased(connection, setting.guard, setting, units, refused, refusals, result)
        result.skipped += screened.passed_over
        result.blank.update(screened.blank)
        result.keep.update(screened.keep)
        result.notes.extend(screened.notes)
    written = write_drafts(
        connection,
        system=setting.system,
        kind=setting.mapping.entity,
        mapping=setting.mapping.name,
        mapping_version=setting.mapping.version,
        intake_id=setting.intake_id,
        drafts=drafts,
        authority=setting.authority,
    )
    if setting.guard is not None and screened is not None:
        setting.guard.settle(connection, setting.mapping.entity, screened)
    result.note(written)
    distinct = len({draft.key for draft in drafts})
    result.superseded += len(drafts) - distinct
    result.unchanged += distinct - written.created - written.updated
    result.quarantined += len(refusals)
    put_refusals(connection, refusals)
    if refused:
        _remember_refused(
            connection,
            setting,
            [
                (
                    name,
                    hashes[name],
                    *setting.place(units[name].positions[0]),
                    _order_value(setting, units[name]),
                )
                for name in refused
            ],
        )
    result.again.update(refusal.subject for refusal in refusals if refusal.subject.startswith("intake:"))
    _resolve(connection, setting, through)
    return result


@dataclass(frozen=True, slots=True)
class _Was:
    """What is known of a record: its hash, the newest page it came in, whether it waits in quarantine."""

    hash: bytes | None = None
    newest: int = 0
    waits: bool = False
    order_value: str | None = None


_NEVER = _Was()


def _known(connection: Connection, setting: Setting, units: Mapping[str, Unit]) -> dict[str, _Was]:
    names = {"system": setting.system, "mapping": setting.mapping.name}
    rows = connection.execute(_KNOWN, {**names, "ids": list(units)})
    found = {row.record_id: _Was(bytes(row.hash), row.intake_id, order_value=row.order_value) for row in rows}
    subjects = {name for record_id, unit in units.items() for name in _subjects(record_id, unit)}
    waiting = open_subjects(connection, **names, flow=setting.flow, subjects=list(subjects))
    if waiting:
        for record_id, unit in units.items():
            pages = [waiting[name] for name in _subjects(record_id, unit) if name in waiting]
            if pages:
                was = found.get(record_id, _NEVER)
                found[record_id] = _Was(was.hash, max(was.newest, *pages), True, was.order_value)
    return found


def _subjects(record_id: str, unit: Unit) -> list[str]:
    """What a record may be called in quarantine: refused as a group it has only the group's name."""
    return [record_id] if unit.group in (None, record_id) else [record_id, str(unit.group)]


def _resolve(connection: Connection, setting: Setting, through: Sequence[str]) -> None:
    if not through:
        return
    names = {"system": setting.system, "flow": setting.flow}
    resolve_subjects(
        connection, **names, mapping=setting.mapping.name, subjects=through, replayed=setting.replay
    )
    keys = setting.waiting.intersection(through)
    if keys:
        resolve_keys(connection, **names, before=setting.intake_id, keys=list(keys))


def _without_erased(
    connection: Connection, guard: Guard, setting: Setting, units: Mapping[str, Unit], refused: Sequence[str],
    refusals: list[Refusal], result: TakenIn,
) -> list[str]:  # fmt: skip
    """The refused records without those of erased persons: nothing of them is kept, so there is nothing to mend."""
    ids = {name: units[name].external_id for name in refused}
    erased = guard.old(connection, setting.system, setting.mapping.entity, sorted(set(ids.values())))
    gone = {name for name, external in ids.items() if external in erased}
    for name in gone:
        result.blank.update(units[name].positions)
    result.skipped += len(gone)
    refusals[:] = [refusal for refusal in refusals if refusal.subject not in gone]
    return [name for name in refused if name not in gone]


def _remember_refused(
    connection: Connection, setting: Setting, rows: Sequence[tuple[str, bytes, int, int, str | None]]
) -> None:
    ids, hashes, intakes, positions, orders = zip(*rows, strict=True)
    connection.execute(
        _REMEMBER_REFUSED,
        {
            "system": setting.system,
            "mapping": setting.mapping.name,
            "version": setting.mapping.version,
            "ids": list(ids),
            "hashes": list(hashes),
            "intakes": list(intakes),
            "positions": list(positions),
            "orders": list(orders),
        },
    )


def _draft(setting: Setting, unit: Unit, record_id: str, record_hash: bytes) -> Draft | None:
    mapped = setting.mapping.to_entity(unit.data, setting.context, positions=unit.positions)
    if mapped is None:
        return None
    try:
        model, content = content_of(setting.mapping.entity, mapped)
    except ValidationError as error:
        raise setting.mapping.model_faults(
            error, unit.data, setting.context, positions=unit.positions
        ) from error
    page, position = setting.place(unit.positions[0])
    return Draft(
        record_id, record_hash, unit.external_id or None, position, model.key, content,
        order_value=_order_value(setting, unit), intake_id=page,
    )  # fmt: skip


def _refused_unit(setting: Setting, unit: Unit, record_id: str, error: RecordFaults) -> Refusal:
    page, positions, faults = _where(setting, unit.positions, error)
    return Refusal.of_record(
        setting.system, setting.flow, setting.mapping.name, page,
        subject=record_id, positions=positions, faults=faults, record=unit.data,
    )  # fmt: skip


def _refused_group(setting: Setting, error: RecordFaults) -> Refusal:
    page, positions, faults = _where(setting, error.positions, error)
    return Refusal.of_record(
        setting.system, setting.flow, setting.mapping.name, page,
        subject=error.external_id or f"intake:{page}:{positions[0]}",
        positions=positions, faults=faults, record=error.data,
    )  # fmt: skip


def _where(
    setting: Setting, positions: Sequence[int], error: RecordFaults
) -> tuple[int, Sequence[int], Sequence[FieldFault]]:
    """The page a refused record came in, and its positions and faults told in that page's positions."""
    if not setting.places:
        return setting.intake_id, positions, error.faults
    page = setting.place(positions[0])[0]
    there = [setting.place(position)[1] for position in positions]
    faults = [
        fault if fault.position is None else replace(fault, position=setting.place(fault.position)[1])
        for fault in error.faults
    ]
    return page, there, faults
