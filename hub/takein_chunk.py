"""Writing a chunk of a page: what is known already, what is new, what is refused. One transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection, text

from hub.drafting import Candidate, Made, make
from hub.entities import Draft, Raced, write_drafts
from hub.erasure.guard import Guard
from hub.quarantine import (
    Refusal,
    open_subjects,
    put_refusals,
    resolve_keys,
    resolve_subjects,
)
from hub.takein_terms import Setting, TakenIn
from hub.versions import is_older
from mappings import FieldFault, RecordFaults

__all__ = ["take_chunk"]

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


def take_chunk(setting: Setting, chunk: Sequence[Candidate | RecordFaults]) -> TakenIn:
    """Take some units in, all or none."""
    while True:
        try:
            with setting.engine.begin() as connection:
                taken = _write_chunk(connection, setting, chunk)
        except Raced:
            continue
        setting.counter.add(len(chunk))
        return taken


def _newest(chunk: Sequence[Candidate | RecordFaults]) -> dict[str, Candidate]:
    """One unit for each record: the newest by the source's own order, else the one that stands last."""
    units: dict[str, Candidate] = {}
    for unit in chunk:
        if isinstance(unit, Candidate):
            there = units.get(unit.record_id)
            if there is None or not is_older(unit.order_value, there.order_value):
                units[unit.record_id] = unit
    return units


def _write_chunk(
    connection: Connection, setting: Setting, chunk: Sequence[Candidate | RecordFaults]
) -> TakenIn:
    result = TakenIn(records=len(chunk))
    refusals = [_refused_group(setting, unit) for unit in chunk if isinstance(unit, RecordFaults)]
    units = _newest(chunk)
    result.superseded += len(chunk) - len(refusals) - len(units)
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
        if setting.only is None and was.hash == unit.hash and not was.waits:
            result.unchanged += 1
            through += setting.waiting.intersection(_subjects(unit))
            continue
        if not setting.replay and is_older(unit.order_value, was.order_value):
            result.superseded += 1  # an event that came late, a page read before the event
            continue
        made = unit.made if unit.unit is None else make(setting.mapping, setting.context, unit.unit)
        if isinstance(made, RecordFaults):
            refusals.append(_refused_unit(setting, unit, made))
            refused.append(record_id)
            continue
        names = _subjects(unit)
        through += names if was.waits else setting.waiting.intersection(names)
        if made is None:
            result.skipped += 1
        else:
            draft = _draft(setting, unit, made)
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
        _remember_refused(connection, setting, [units[name] for name in refused])
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


def _known(connection: Connection, setting: Setting, units: Mapping[str, Candidate]) -> dict[str, _Was]:
    names = {"system": setting.system, "mapping": setting.mapping.name}
    rows = connection.execute(_KNOWN, {**names, "ids": list(units)})
    found = {row.record_id: _Was(bytes(row.hash), row.intake_id, order_value=row.order_value) for row in rows}
    subjects = {name for unit in units.values() for name in _subjects(unit)}
    waiting = open_subjects(connection, **names, flow=setting.flow, subjects=list(subjects))
    if waiting:
        for record_id, unit in units.items():
            pages = [waiting[name] for name in _subjects(unit) if name in waiting]
            if pages:
                was = found.get(record_id, _NEVER)
                found[record_id] = _Was(was.hash, max(was.newest, *pages), True, was.order_value)
    return found


def _subjects(unit: Candidate) -> list[str]:
    """What a record may be called in quarantine: refused as a group it has only the group's name."""
    return [unit.record_id] if unit.group in (None, unit.record_id) else [unit.record_id, str(unit.group)]


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
    connection: Connection, guard: Guard, setting: Setting, units: Mapping[str, Candidate], refused: Sequence[str],
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


def _remember_refused(connection: Connection, setting: Setting, units: Sequence[Candidate]) -> None:
    places = [setting.place(unit.positions[0]) for unit in units]
    connection.execute(
        _REMEMBER_REFUSED,
        {
            "system": setting.system,
            "mapping": setting.mapping.name,
            "version": setting.mapping.version,
            "ids": [unit.record_id for unit in units],
            "hashes": [unit.hash for unit in units],
            "intakes": [page for page, _ in places],
            "positions": [position for _, position in places],
            "orders": [unit.order_value for unit in units],
        },
    )


def _draft(setting: Setting, unit: Candidate, made: Made) -> Draft:
    page, position = setting.place(unit.positions[0])
    return Draft(
        unit.record_id, unit.hash, unit.external_id or None, position, made.key, made.content,
        order_value=unit.order_value, intake_id=page,
    )  # fmt: skip


def _refused_unit(setting: Setting, unit: Candidate, error: RecordFaults) -> Refusal:
    page, positions, faults = _where(setting, unit.positions, error)
    return Refusal.of_record(
        setting.system, setting.flow, setting.mapping.name, page,
        subject=unit.record_id, positions=positions, faults=faults, record=error.data,
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
