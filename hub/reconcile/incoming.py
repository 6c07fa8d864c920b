"""What a pull brought, beside what its source lists now: each record mapped as taking in would map it, written nowhere.

What is compared is the system's own word: what it last said of an entity, not what other systems made of it. So a
difference is exactly what taking the listing in would change.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError
from sqlalchemy import text

from canonical_model.entity import Entity
from connectors.contract import Fault, Record
from hub.derive import derive_orders
from hub.entities import Draft, content_of
from hub.progress import Counter
from hub.reconcile.board import Board, Shown
from hub.reconcile.listing import Sheet
from hub.reconcile.parts import MOMENTS, Part, moment_sql
from hub.store.database import digest
from hub.takein import record_id_of
from mappings import RecordFaults, Unit

if TYPE_CHECKING:
    from hub.engine import Hub

__all__ = ["SAID", "Tally", "explain_incoming", "hold_incoming", "lay_out", "refine_incoming"]

CHUNK = 2000


@dataclass(slots=True)
class Tally:
    """What was read for one part. `skipped`: the mapping's `when` is not meant for them."""

    records: int = 0
    skipped: int = 0
    unreadable: int = 0
    rows_unreadable: int = 0
    notes: list[str] = field(default_factory=list)


SAID = "coalesce(c.content, e.content)"
"""SQL for what the system said of an entity: its contribution where several speak, else the entity."""


# ---------------------------------------------------------------- what the system shows


def lay_out(
    hub: Hub,
    board: Board,
    parts: Sequence[Part],
    sheet: Sheet,
    tallies: Mapping[int, Tally],
    counter: Counter,
) -> None:
    """Map one sheet through the mappings of `parts` (all of one flow) and lay the entities out."""
    for part in parts:
        tally = tallies[part.number]
        chunk: list[Shown] = []
        faults: list[tuple[str, int | None, str]] = []
        for unit in _units(part, sheet, tally):
            tally.records += 1
            shown = _shown(part, unit, tally, faults)
            if shown is not None:
                chunk.append(shown)
            if len(chunk) >= CHUNK:
                _put(hub, board, part, chunk, counter)
                chunk = []
        _put(hub, board, part, chunk, counter)
        board.cannot_read(part.number, faults)


def _units(part: Part, sheet: Sheet, tally: Tally) -> Iterator[Unit | RecordFaults]:
    def watched() -> Iterator[Record | Fault]:
        for row in sheet.records():
            if isinstance(row, Fault):
                tally.rows_unreadable += 1
            yield row

    apart = part.mapping.rows_apart(sheet.records(), part.bound.context)
    yield from part.mapping.units(watched(), part.bound.context, apart=apart)


def _shown(
    part: Part, unit: Unit | RecordFaults, tally: Tally, faults: list[tuple[str, int | None, str]]
) -> Shown | None:
    if isinstance(unit, RecordFaults):
        _refuse(tally, faults, unit.external_id or "", unit)
        return None
    record_id = record_id_of(part.source.key, unit)
    try:
        mapped = part.mapping.to_entity(unit.data, part.bound.context, positions=unit.positions)
        if mapped is None:
            tally.skipped += 1
            return None
        try:
            entity, content = content_of(part.kind, mapped)
        except ValidationError as error:
            raise part.mapping.model_faults(
                error, unit.data, part.bound.context, positions=unit.positions
            ) from error
    except RecordFaults as error:
        _refuse(tally, faults, record_id, error)
        return None
    asked = _value(unit.data, part.source.by_id)
    return Shown(
        entity.key, digest(content), content, None if asked is None else str(asked), record_id, unit.positions[0],
        _told_moment(part, entity, unit.data),
    )  # fmt: skip


def _refuse(tally: Tally, faults: list[tuple[str, int | None, str]], name: str, error: RecordFaults) -> None:
    tally.unreadable += 1
    place = error.positions[0] if error.positions else None
    code = error.faults[0].code if error.faults else "unreadable"
    faults.append((name or f"#{place}", place, code))


def _told_moment(part: Part, entity: Entity, data: Mapping[str, Any]) -> datetime | None:
    """When the record last changed at the system, or when what it tells of happened."""
    told = _value(data, part.source.order)
    if isinstance(told, str):
        try:
            moment = datetime.fromisoformat(told)
        except ValueError:
            moment = None
        if moment is not None and moment.tzinfo is not None:
            return moment
    for _, name in MOMENTS.get(part.kind, ()):
        value = getattr(entity, name, None)
        if isinstance(value, datetime):
            return value
    return None


def _value(data: Mapping[str, Any], path: str | None) -> Any:
    if path is None:
        return None
    value: Any = data
    for step in path.split("."):
        value = value.get(step) if isinstance(value, Mapping) else None
    return value


_SHARED = text("""
    SELECT e.key FROM entity AS e JOIN contribution AS c ON c.entity_id = e.id AND c.system = :system
    WHERE e.kind = 'order' AND e.key = ANY(:keys)
""")


def _put(hub: Hub, board: Board, part: Part, chunk: list[Shown], counter: Counter) -> None:
    if part.kind == "order" and chunk:
        _derive(hub, part, chunk)
    board.show(part.number, chunk)
    counter.add(len(chunk))


def _derive(hub: Hub, part: Part, chunk: Sequence[Shown]) -> None:
    """The hub keeps an order with its state derived from facts; what the system shows is derived the same way."""
    with hub.engine.connect() as connection:
        names = {"system": part.system, "keys": [row.key for row in chunk]}
        shared = set(connection.scalars(_SHARED, names))
        drafts = {
            row.key: Draft("", b"", None, 0, row.key, row.content) for row in chunk if row.key not in shared
        }
        derive_orders(connection, list(drafts.values()))
    for row in chunk:
        if row.key in drafts:
            row.content = drafts[row.key].content
            row.hash = digest(row.content)


# ---------------------------------------------------------------- what the hub holds

# a record's id is the source's key, with the entity's own id behind a # where one record speaks of several
_HOLD = """
    INSERT INTO held (part, key, hash, entity_id, entity_key, changed_at, moment, record_id, fetch_id)
    SELECT :part, e.key, CASE WHEN c.entity_id IS NULL THEN e.hash END, e.id, e.key,
           coalesce(c.updated_at, e.updated_at), {moment}, i.record_id,
           CASE WHEN :by_record THEN nullif(split_part(i.record_id, '#', 1), '') END
    FROM (
        SELECT r.entity_id, max(r.record_id) AS record_id
        FROM record AS r JOIN intake AS p ON p.id = r.intake_id
        WHERE r.system = :system AND r.mapping = :mapping AND p.flow = :flow AND r.entity_id IS NOT NULL
        GROUP BY r.entity_id
    ) AS i
    JOIN entity AS e ON e.id = i.entity_id AND e.deleted_at IS NULL
    LEFT JOIN contribution AS c ON c.entity_id = e.id AND c.system = :system
    WHERE (c.entity_id IS NOT NULL OR e.system = :system) {only}
"""
_ONLY_DIFF = "AND e.key IN (SELECT key FROM diff WHERE part = :part)"


def hold_incoming(board: Board, part: Part, *, again: bool = False) -> None:
    """Lay out what the system said of every entity the flow brought; `again` only of those that differ."""
    if again:
        board.execute(
            "DELETE FROM held WHERE part = :part AND key IN (SELECT key FROM diff WHERE part = :part)",
            part=part.number,
        )
    query = _HOLD.format(moment=moment_sql(part.kind, SAID), only=_ONLY_DIFF if again else "")
    board.execute(
        query, part=part.number, system=part.system, mapping=part.mapping.name, flow=part.flow,
        by_record=part.source.by_id == part.source.key,
    )  # fmt: skip


_SAME = """
    DELETE FROM diff AS d USING held AS h JOIN entity AS e ON e.id = h.entity_id
        LEFT JOIN contribution AS c ON c.entity_id = e.id AND c.system = :system, shown AS s
    WHERE d.part = :part AND d.state = 'differ' AND h.part = :part AND h.key = d.key AND s.part = :part
      AND s.key = d.key AND coalesce(c.content, e.content) = s.content::jsonb
"""
_OLDER = """
    UPDATE diff AS d SET state = 'in_flight', reason = 'hub_newer'
    FROM held AS h JOIN entity AS e ON e.id = h.entity_id
        LEFT JOIN contribution AS c ON c.entity_id = e.id AND c.system = :system, shown AS s
    WHERE d.part = :part AND d.state = 'differ' AND h.part = :part AND h.key = d.key AND s.part = :part
      AND s.key = d.key
      AND (coalesce(c.content, e.content) ->> 'as_of')::timestamptz > (s.content::jsonb ->> 'as_of')::timestamptz
"""
_REFUSED_THERE = """
    UPDATE diff AS d SET state = 'unreadable', reason = u.reason
    FROM held AS h JOIN unread AS u ON u.part = h.part AND u.key IN (h.record_id, h.key)
    WHERE d.part = :part AND d.state = 'only_hub' AND h.part = :part AND h.key = d.key
"""
_REFUSED_NEW = """
    INSERT INTO diff (part, key, state, reason)
    SELECT DISTINCT ON (u.key) u.part, u.key, 'unreadable', u.reason FROM unread AS u
    WHERE u.part = :part
      AND NOT EXISTS (SELECT FROM held AS h WHERE h.part = u.part AND u.key IN (h.record_id, h.key))
    ON CONFLICT (part, key) DO NOTHING
"""
_WHY = """
    UPDATE diff AS d SET reason = CASE
        WHEN EXISTS (SELECT FROM quarantine AS q, shown AS s WHERE s.part = d.part AND s.key = d.key
                     AND q.system = :system AND q.flow = :flow AND q.state = 'open' AND q.subject = s.record_id)
             THEN 'in_quarantine'
        WHEN d.state = 'differ' THEN 'content'
        WHEN d.state = 'only_hub' THEN 'not_listed'
        WHEN EXISTS (SELECT FROM entity AS e WHERE e.kind = :kind AND e.key = d.key AND e.deleted_at IS NOT NULL)
             THEN 'deleted_in_hub'
        WHEN EXISTS (SELECT FROM entity AS e WHERE e.kind = :kind AND e.key = d.key) THEN 'known_from_elsewhere'
        ELSE 'never_came' END
    WHERE d.part = :part AND d.reason IS NULL AND d.state IN ('only_hub', 'only_system', 'differ')
"""


def refine_incoming(board: Board, part: Part) -> None:
    """Drop what is equal after all, and say of the rest why it differs, as far as the store knows."""
    names = {"part": part.number, "system": part.system}
    board.execute(_SAME, **names)
    if part.kind == "stock_position":
        board.execute(_OLDER, **names)
    board.execute(_REFUSED_THERE, part=part.number)
    board.execute(_REFUSED_NEW, part=part.number)


def explain_incoming(board: Board, part: Part) -> None:
    """Say why, as far as the store knows."""
    board.execute(_WHY, part=part.number, system=part.system, flow=part.flow, kind=part.kind)
