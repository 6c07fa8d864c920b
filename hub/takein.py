"""Taking in: from a stored page to entities. Decode, skip what is known, map, validate, merge, write.

A crash at any point is mended by taking the same page in again: unchanged records are skipped by their hash,
and unchanged contents write nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from pydantic import ValidationError
from sqlalchemy import Connection, Engine, text

from connectors.contract import Fault, Record, Source
from hub.entities import Draft, Raced, Written, content_of, write_drafts
from hub.intake import Intake, decode, finish
from hub.quarantine import Refusal, fault_of_validation, put_refusals, resolve_subjects
from hub.reports import TakeIn
from hub.store.database import digest
from mappings import Mapping as RecordMapping
from mappings import RecordFaults, Unit

__all__ = ["CHUNK", "TakenIn", "take_in", "take_in_records"]

CHUNK = 2000
"""Units written in one transaction."""

_KNOWN = text(
    "SELECT record_id, hash FROM record WHERE system = :system AND mapping = :mapping AND record_id = ANY(:ids)"
)
_REMEMBER_REFUSED = text("""
    INSERT INTO record AS r (system, mapping, record_id, hash, entity_id, mapping_version, intake_id, position)
    SELECT :system, :mapping, u.record_id, u.hash, NULL, :version, :intake, u.position
    FROM unnest(CAST(:ids AS text[]), CAST(:hashes AS bytea[]), CAST(:positions AS bigint[]))
         AS u(record_id, hash, position)
    ON CONFLICT (system, mapping, record_id) DO UPDATE
        SET hash = excluded.hash, mapping_version = excluded.mapping_version, intake_id = excluded.intake_id,
            position = excluded.position
""")


@dataclass(slots=True)
class TakenIn(TakeIn):
    """The counts, and which kinds of entity changed."""

    kinds: dict[str, int] = field(default_factory=dict)

    def note(self, written: Written) -> None:
        self.created += written.created
        self.updated += written.updated
        for kind, count in written.kinds.items():
            self.kinds[kind] = self.kinds.get(kind, 0) + count

    def join(self, other: TakenIn) -> None:
        self.add(other)
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
    only: frozenset[int] | None = None
    """Replay: only the units these positions belong to, whatever was known of them."""


def take_in(
    engine: Engine,
    item: Intake,
    source: Source,
    config: Any,
    *,
    mappings: Sequence[RecordMapping],
    context: Mapping[str, Any],
    authority: Mapping[str, Mapping[str, str]],
    only: frozenset[int] | None = None,
) -> TakenIn:
    """Take a stored page in through every mapping of its flow, and mark it processed."""

    def records() -> Iterator[Record | Fault]:
        return decode(engine, item, source, config)

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
            only,
        )
        result.join(take_in_records(setting, records()))
    if only is None:
        with engine.begin() as connection:
            finish(connection, item.id, result.as_dict())
    return result


class _Faults:
    """The unreadable rows seen so far, and which documents they belong to."""

    def __init__(self, group_by: str | None) -> None:
        self.rows: list[Fault] = []
        self._group_by = group_by
        self._of_group: dict[str, list[Fault]] = {}
        self._unknown: list[Fault] = []

    def add(self, fault: Fault) -> None:
        self.rows.append(fault)
        if self._group_by is None:
            return
        value = (fault.hint or {}).get(self._group_by)
        if value:
            self._of_group.setdefault(str(value).strip(), []).append(fault)
        else:
            self._unknown.append(fault)

    def inside(self, unit: Unit) -> list[Fault]:
        """Rows that belong to the unit: they say so, or they stand between its rows."""
        if self._group_by is None:
            return []
        low, high = min(unit.positions), max(unit.positions)
        between = [fault for fault in self._unknown if low < fault.position < high]
        return self._of_group.get(unit.record_id, []) + between


def take_in_records(setting: Setting, records: Iterable[Record | Fault]) -> TakenIn:
    """Take records in through one mapping, chunk by chunk."""
    result = TakenIn()
    faults = _Faults(setting.mapping.group_by)

    def readable() -> Iterator[Record]:
        for row in records:
            if isinstance(row, Fault):
                faults.add(row)
            else:
                yield row

    chunk: list[Unit | RecordFaults] = []
    for unit in setting.mapping.units(readable(), record_key=setting.record_key):
        if setting.only is not None and not setting.only.intersection(_positions(unit, faults)):
            continue
        chunk.append(unit)
        if len(chunk) >= CHUNK:
            result.join(_take_chunk(setting, chunk, faults))
            chunk = []
    if chunk:
        result.join(_take_chunk(setting, chunk, faults))
    if setting.first:
        rows = [f for f in faults.rows if setting.only is None or f.position in setting.only]
        if rows:
            with setting.engine.begin() as connection:
                put_refusals(connection, [_refused_row(setting, row) for row in rows])
            result.records += len(rows)
            result.quarantined += len(rows)
    return result


def _positions(unit: Unit | RecordFaults, faults: _Faults) -> list[int]:
    own = list(unit.positions)
    if isinstance(unit, Unit):
        own += [fault.position for fault in faults.inside(unit)]
    return own


def _take_chunk(setting: Setting, chunk: Sequence[Unit | RecordFaults], faults: _Faults) -> TakenIn:
    while True:
        try:
            with setting.engine.begin() as connection:
                return _write_chunk(connection, setting, chunk, faults)
        except Raced:
            continue


def _write_chunk(
    connection: Connection, setting: Setting, chunk: Sequence[Unit | RecordFaults], faults: _Faults
) -> TakenIn:
    result = TakenIn(records=len(chunk))
    refusals = [_refused_group(setting, unit) for unit in chunk if isinstance(unit, RecordFaults)]
    units = {unit.record_id: unit for unit in chunk if isinstance(unit, Unit)}
    result.superseded += len(chunk) - len(refusals) - len(units)
    hashes = {
        record_id: digest(orjson.dumps(unit.data, default=str), setting.mapping.digest)
        for record_id, unit in units.items()
    }
    names = {"system": setting.system, "mapping": setting.mapping.name}
    known = {
        row.record_id: bytes(row.hash) for row in connection.execute(_KNOWN, {**names, "ids": list(units)})
    }
    drafts: list[Draft] = []
    refused: list[Unit] = []
    for record_id, unit in units.items():
        torn = faults.inside(unit)
        if torn:
            refusals.append(_refused_torn(setting, unit, torn))
            continue
        if setting.only is None and known.get(record_id) == hashes[record_id]:
            result.unchanged += 1
            continue
        try:
            draft = _draft(setting, unit, hashes[record_id])
        except RecordFaults as error:
            refusals.append(_refused_unit(setting, unit, error, "map"))
            refused.append(unit)
            continue
        if draft is None:
            result.skipped += 1
            continue
        drafts.append(draft)
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
    result.note(written)
    distinct = len({draft.key for draft in drafts})
    result.superseded += len(drafts) - distinct
    result.unchanged += distinct - written.created - written.updated
    result.quarantined += len(refusals)
    put_refusals(connection, refusals)
    if refused:
        connection.execute(
            _REMEMBER_REFUSED,
            {
                **names,
                "version": setting.mapping.version,
                "intake": setting.intake_id,
                "ids": [unit.record_id for unit in refused],
                "hashes": [hashes[unit.record_id] for unit in refused],
                "positions": [unit.positions[0] for unit in refused],
            },
        )
    resolve_subjects(
        connection,
        system=setting.system,
        flow=setting.flow,
        mapping=setting.mapping.name,
        record_ids=[draft.record_id for draft in drafts],
        intake_id=setting.intake_id,
        positions=[p for d in drafts for p in units[d.record_id].positions] if setting.only else [],
        replayed=setting.only is not None,
    )
    return result


def _draft(setting: Setting, unit: Unit, record_hash: bytes) -> Draft | None:
    mapped = setting.mapping.to_entity(unit.data, setting.context)
    if mapped is None:
        return None
    try:
        model, content = content_of(setting.mapping.entity, mapped)
    except ValidationError as error:
        raise RecordFaults([fault_of_validation(error, setting.mapping, unit, setting.context)]) from error
    return Draft(unit.record_id, record_hash, unit.external_id, unit.positions[0], model.key, content)


def _refused_row(setting: Setting, fault: Fault) -> Refusal:
    return Refusal.of_row(setting.system, setting.flow, setting.intake_id, fault)


def _refused_unit(setting: Setting, unit: Unit, error: RecordFaults, stage: str) -> Refusal:
    return Refusal.of_unit(
        setting.system, setting.flow, setting.mapping.name, setting.intake_id, stage,
        subject=unit.record_id, positions=unit.positions, faults=error.faults, record=unit.data,
    )  # fmt: skip


def _refused_group(setting: Setting, error: RecordFaults) -> Refusal:
    positions = error.positions
    return Refusal.of_unit(
        setting.system, setting.flow, setting.mapping.name, setting.intake_id, "map",
        subject=f"intake:{setting.intake_id}:{positions[0]}", positions=positions, faults=error.faults, record=None,
    )  # fmt: skip


def _refused_torn(setting: Setting, unit: Unit, torn: Sequence[Fault]) -> Refusal:
    return Refusal.torn(
        setting.system, setting.flow, setting.mapping.name, setting.intake_id,
        subject=unit.record_id, positions=unit.positions, torn=torn, record=unit.data,
    )  # fmt: skip
