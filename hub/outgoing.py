"""From the change feed to stored deliveries: drop echoes, coalesce, map, drop what the ledger already has."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Connection, insert, text

from canonical_model.content import full_content
from hub.feed import (
    Changed,
    horizon,
    load_position,
    load_urgent_position,
    read_feed,
    read_urgent,
    save_position,
    save_urgent_position,
)
from hub.quarantine import Refusal, put_refusals, resolve_outgoing
from hub.reports import PushReport
from hub.store.database import copy_rows, digest
from hub.store.tables import delivery
from mappings import Mapping as RecordMapping, RecordFaults
from mappings.mapping import Outgoing

__all__ = ["ROUND", "OutgoingFlow", "queue_entities", "queue_round", "queue_urgent", "wanted_records"]

ROUND = 1_000
"""Change feed rows looked at in one transaction: while they are mapped nothing is sent, so what is urgent waits for it.
More, where a batch is larger."""
URGENT = 20_000
"""Urgent rows looked at in one transaction."""


@dataclass(frozen=True, slots=True)
class OutgoingFlow:
    """What the outgoing side of a flow is made of."""

    system: str
    flow: str
    mapping: RecordMapping
    context: Mapping[str, Any]
    batch_size: int
    answers: bool = False
    """The sink answers the system's own data, so what the system itself told us is what it must hear about."""

    @property
    def kinds(self) -> list[str]:
        """The kinds whose changes concern this flow."""
        return sorted({self.mapping.entity, *(related.entity for related in self.mapping.related.values())})


@dataclass(frozen=True, slots=True)
class _Change:
    key: str
    entity_id: int
    version: int
    hash: bytes
    record: bytes
    previous: bytes | None
    deleted: bool = False
    follows: bool = False
    """Another value of the key is on its way already."""


def queue_round(connection: Connection, flow: OutgoingFlow, *, below: int, report: PushReport) -> bool:
    """Store deliveries for the next stretch of the feed, and the flow's position, in the caller's transaction.

    A batch that the stretch before left with room is filled first. Returns whether there was anything to read.
    """
    _queue_alone(connection, flow)
    position = load_position(connection, flow.system, flow.flow)
    changed, behind = read_feed(
        connection,
        position=position,
        below=below,
        kinds=flow.kinds,
        system=flow.system,
        limit=max(ROUND, flow.batch_size),
    )
    if behind == position:
        return False
    concerned = _entities_concerned(connection, flow, changed, report)
    ids = _meant_for(connection, flow, concerned.ids, report, again=concerned.related)
    left = _fill_up(connection, flow, list(_to_send(connection, flow, ids, report)))
    _store(connection, flow, left, report)
    save_position(connection, flow.system, flow.flow, behind)
    return True


def queue_entities(
    connection: Connection, flow: OutgoingFlow, ids: Sequence[int], report: PushReport
) -> None:
    """Store deliveries for these entities, wherever the feed stands (replay, resend of a key)."""
    _queue_alone(connection, flow)
    meant = _meant_for(connection, flow, ids, report)
    _store(connection, flow, _to_send(connection, flow, meant, report), report)


def queue_urgent(connection: Connection, flow: OutgoingFlow, report: PushReport) -> int:
    """Store an urgent delivery for the urgent changes that are new to the flow, in the caller's transaction.

    The flow's position in the feed stays, a second one moves on: the push that comes to these changes later finds them
    accepted. Needs no run of the flow, so it can be done while a long push is under way. Returns how many changes were
    stored; what waits already is not stored twice.
    """
    below = horizon(connection)
    _queue_alone(connection, flow)
    position = load_urgent_position(connection, flow.system, flow.flow)
    changed, behind = read_urgent(
        connection, position=position, below=below, kinds=flow.kinds, system=flow.system, limit=URGENT
    )
    if not changed:
        return 0
    concerned = _entities_concerned(connection, flow, changed, report)
    ids = _meant_for(connection, flow, concerned.ids, report)
    left = list(_to_send(connection, flow, ids, report, urgent=True))
    _store(connection, flow, left, report, urgent=True)
    if behind != position:
        save_urgent_position(connection, flow.system, flow.flow, behind)
    return len(left)


@dataclass(frozen=True, slots=True)
class _Coming:
    """The newest value of a key in deliveries that are not settled yet."""

    hash: bytes
    urgent: bool


def _on_its_way(connection: Connection, flow: OutgoingFlow, keys: Sequence[str]) -> dict[str, _Coming]:
    names = {"system": flow.system, "flow": flow.flow}
    if not keys or not connection.scalar(_ANY_OPEN, names):
        return {}
    rows = connection.execute(_ON_ITS_WAY, {**names, "keys": list(keys)})
    return {row.key: _Coming(bytes(row.hash), row.urgent) for row in rows}


_ALONE = text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))")
_ANY_OPEN = text(
    "SELECT EXISTS (SELECT FROM delivery WHERE system = :system AND flow = :flow AND finished_at IS NULL)"
)
_ON_ITS_WAY = text("""
    SELECT DISTINCT ON (c.key) c.key, c.hash, d.urgent
    FROM delivery AS d JOIN delivery_change AS c ON c.delivery_id = d.id
    WHERE d.system = :system AND d.flow = :flow AND d.finished_at IS NULL AND c.verdict IS NULL
      AND c.key = ANY(:keys)
    ORDER BY c.key, d.id DESC
""")


def _queue_alone(connection: Connection, flow: OutgoingFlow) -> None:
    """One transaction at a time stores deliveries of a flow: a later delivery never holds an earlier value."""
    connection.execute(_ALONE, {"name": f"queue:{flow.system}:{flow.flow}"})


_BACK = """
    SELECT DISTINCT mine.id FROM entity AS theirs
    JOIN entity AS mine ON mine.kind = :kind AND {mine} = {theirs}
    WHERE theirs.id = ANY(:ids)
"""


def _json_path(table: str, path: str) -> str:
    """SQL for a plain path of the mapping's `back`; the steps were checked when the mapping was loaded."""
    if path == "key":
        return f"{table}.key"
    steps = path.split(".")
    if not all(step.isidentifier() for step in steps):
        raise ValueError(f"back: {path!r} is not a plain path")
    middle = "".join(f" -> '{step}'" for step in steps[:-1])
    return f"({table}.content{middle} ->> '{steps[-1]}')"


class _Concerned(NamedTuple):
    """The flow's entities that are to be looked at; `related` are those something else that changed leads to."""

    ids: list[int]
    related: set[int]


def _entities_concerned(
    connection: Connection, flow: OutgoingFlow, changed: Iterable[Changed], report: PushReport
) -> _Concerned:
    mine: set[int] = set()
    related_to: set[int] = set()
    by_kind: dict[str, list[int]] = {}
    for change in changed:
        by_kind.setdefault(change.kind, []).append(change.entity_id)
        if change.kind == flow.mapping.entity:
            report.read += 1
            if change.echo and not flow.answers:
                report.echoes += 1
            else:
                mine.add(change.entity_id)
    for related in flow.mapping.related.values():
        if related.back is not None and by_kind.get(related.entity):
            own, theirs = related.back
            query = _BACK.format(mine=_json_path("mine", own), theirs=_json_path("theirs", theirs))
            found = set(
                connection.scalars(text(query), {"kind": flow.mapping.entity, "ids": by_kind[related.entity]})
            )
            report.read += len(found - mine)
            mine |= found
            related_to |= found
    return _Concerned(sorted(mine), related_to)


_ENTITIES = text("SELECT id, key, version, content, deleted_at FROM entity WHERE id = ANY(:ids) ORDER BY id")
_RELATED = text(
    "SELECT key, content FROM entity WHERE kind = :kind AND key = ANY(:keys) AND deleted_at IS NULL"
)
_ACCEPTED = text(
    "SELECT key, hash, record::text AS record FROM ledger"
    " WHERE system = :system AND flow = :flow AND key = ANY(:keys)"
)


# Accepted in the version that counts: what was written to the other side since went through here, and stands behind it.
_MEANT = """
    SELECT coalesce(array_agg(id ORDER BY id) FILTER (WHERE meant AND NOT accepted), '{{}}') AS ids,
           count(*) FILTER (WHERE NOT meant) AS others, count(*) FILTER (WHERE meant AND accepted) AS accepted
    FROM (
        SELECT id, meant, meant AND :look AND id <> ALL(:again) AND EXISTS (
            SELECT FROM ledger AS l
            WHERE l.entity_id = e.id AND l.system = :system AND l.flow = :flow AND l.entity_version >= e.version
        ) AS accepted
        FROM (SELECT id, version, deleted_at IS NOT NULL OR ({}) AS meant FROM entity WHERE id = ANY(:ids)) AS e
    ) AS looked_at
"""
# a value that is left out is the model's default: the mapping decides
_HOLDS = "coalesce(strpos(content ->> :field{0}, :text{0}) > 0, true)"


def _meant_for(
    connection: Connection,
    flow: OutgoingFlow,
    ids: Sequence[int],
    report: PushReport,
    *,
    again: Collection[int] | None = None,
) -> Sequence[int]:
    """The entities the mapping may want, told by the values its `when` compares: others need not be read.

    Channels sell the same goods: without this every push would read what was meant for all others. With `again`,
    entities whose present version was accepted already, by way of an urgent delivery, are left out too, but for those:
    something related to them changed, so their record may differ.
    """
    texts = flow.mapping.wanted_texts(flow.context)
    if not ids or (again is None and not texts):
        return ids
    names: dict[str, Any] = {
        "ids": list(ids), "look": again is not None, "again": list(again or ()), "system": flow.system,
        "flow": flow.flow,
    }  # fmt: skip
    for n, (name, wanted) in enumerate(texts.items()):
        names |= {f"field{n}": name, f"text{n}": wanted}
    query = _MEANT.format(" AND ".join(_HOLDS.format(n) for n in range(len(texts))) or "true")
    row = connection.execute(text(query), names).one()
    report.not_for_us += row.others
    report.unchanged += row.accepted
    found: Sequence[int] = row.ids
    return found


def _to_send(
    connection: Connection,
    flow: OutgoingFlow,
    ids: Sequence[int],
    report: PushReport,
    *,
    urgent: bool = False,
) -> Iterator[_Change]:
    for part in _parts(ids, 2000):
        rows = connection.execute(_ENTITIES, {"ids": list(part)}).all()
        live = [row for row in rows if row.deleted_at is None]
        yield from _changes_of(connection, flow, live, report, urgent=urgent)
        gone = [row.id for row in rows if row.deleted_at is not None]
        if gone:
            yield from _deletions_of(connection, flow, gone, report)


def _parts(items: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _related_contents(
    connection: Connection, flow: OutgoingFlow, rows: Sequence[Any]
) -> list[dict[str, Any]]:
    """For each row the contents of its related entities, by name; one query a relation."""
    keys = [flow.mapping.related_keys(row.content, flow.context) for row in rows]
    contents: dict[str, dict[str, Any]] = {}
    for name, related in flow.mapping.related.items():
        wanted = sorted({wanted for key in keys if (wanted := key[name]) is not None})
        found = connection.execute(_RELATED, {"kind": related.entity, "keys": wanted})
        contents[name] = {row.key: full_content(related.entity, row.content) for row in found}
    return [{name: contents[name].get(key[name] or "") for name in contents} for key in keys]


def wanted_records(
    connection: Connection, flow: OutgoingFlow, rows: Sequence[Any]
) -> Iterator[tuple[Any, Outgoing | RecordFaults | None]]:
    """What the flow would send of these rows of `entity` (with key and content): each row with its record, with why
    there can be none, or with None where it is not meant for this system. Writes nothing.
    """
    for row, related in zip(rows, _related_contents(connection, flow, rows), strict=True):
        try:
            yield (
                row,
                flow.mapping.from_entity(
                    full_content(flow.mapping.entity, row.content), flow.context, related
                ),
            )
        except RecordFaults as error:
            yield row, error


def _changes_of(
    connection: Connection, flow: OutgoingFlow, rows: Sequence[Any], report: PushReport, *, urgent: bool
) -> Iterator[_Change]:
    made: dict[str, _Change] = {}
    refusals: list[Refusal] = []
    through: list[str] = []
    for row, out in wanted_records(connection, flow, rows):
        if isinstance(out, RecordFaults):
            refusals.append(_unwritable(flow, row, out))
            continue
        if out is None:
            report.not_for_us += 1
            continue
        if out.key in made:
            refusals.append(_clash(flow, row, out.key))
            continue
        body = orjson.dumps(out.record, option=orjson.OPT_SORT_KEYS)
        made[out.key] = _Change(out.key, row.id, row.version, _hash(row.content, body), body, None)
        through.append(row.key)
    report.quarantined += len(refusals)
    put_refusals(connection, refusals)
    resolve_outgoing(
        connection,
        system=flow.system,
        flow=flow.flow,
        mapping=flow.mapping.name,
        stage="map",
        subjects=through,
    )
    # before the ledger: what is settled between the two then stands there
    waiting = _on_its_way(connection, flow, list(made))
    names = {"system": flow.system, "flow": flow.flow, "keys": list(made)}
    accepted = {row.key: (row.hash, row.record) for row in connection.execute(_ACCEPTED, names).all()}
    for key, change in made.items():
        was, coming = accepted.get(key), waiting.get(key)
        if coming is None:
            known = was is not None and bytes(was[0]) == change.hash
        else:
            # the same value need not come twice, unless this one is to overtake; another one will be accepted later
            # than what the ledger holds, so this one must follow it
            known = coming.hash == change.hash and (coming.urgent or not urgent)
        if known:
            report.unchanged += 1
            continue
        previous = None if was is None else was[1].encode()
        yield _Change(
            key,
            change.entity_id,
            change.version,
            change.hash,
            change.record,
            previous,
            follows=coming is not None,
        )


def _hash(content: Mapping[str, Any], body: bytes) -> bytes:
    """What the ledger compares: the record, and how often the channel itself may have moved a number it was sent."""
    moved = content.get("sold_there")
    return digest(body) if moved is None else digest(body, str(moved).encode())


_HELD = text("""
    SELECT l.key, l.entity_id, e.version, l.record FROM ledger AS l JOIN entity AS e ON e.id = l.entity_id
    WHERE l.system = :system AND l.flow = :flow AND l.entity_id = ANY(:ids) ORDER BY l.key
""")


def _deletions_of(
    connection: Connection, flow: OutgoingFlow, ids: Sequence[int], report: PushReport
) -> Iterator[_Change]:
    """What the other side once accepted of entities that are gone; it never hears of the others."""
    held = connection.execute(_HELD, {"system": flow.system, "flow": flow.flow, "ids": list(ids)}).all()
    report.not_for_us += len(set(ids) - {row.entity_id for row in held})
    for row in held:
        body = orjson.dumps(row.record, option=orjson.OPT_SORT_KEYS)
        gone = digest(b"deleted", body)
        yield _Change(row.key, row.entity_id, row.version, gone, body, body, deleted=True)


def _unwritable(flow: OutgoingFlow, row: Any, error: RecordFaults) -> Refusal:
    first = error.faults[0]
    return Refusal.of_change(
        flow.system, flow.flow, flow.mapping.name, key=row.key, code=first.code, reason_ja=first.reason_ja,
        reason_en=first.reason_en, entity_id=row.id, delivery_id=None, record=row.content,
    )  # fmt: skip


def _clash(flow: OutgoingFlow, row: Any, key: str) -> Refusal:
    return Refusal.of_change(
        flow.system, flow.flow, flow.mapping.name, key=f"{key} ({row.key})", code="key_clash",
        reason_ja=f"別のデータも同じキー {key} で送られます。マッピングの key を見直してください。",
        reason_en=f"another entity goes out under the same key {key}; make the mapping's key unique.",
        entity_id=row.id, delivery_id=None, record=row.content,
    )  # fmt: skip


# Held, so that it is not begun meanwhile.
_LAST = text("""
    SELECT id FROM delivery WHERE system = :system AND flow = :flow AND finished_at IS NULL AND NOT urgent
    ORDER BY id DESC LIMIT 1 FOR UPDATE
""")
_ROOM = text("""
    SELECT :size - count(*) FILTER (WHERE c.verdict IS NULL) AS room, max(c.n) + 1 AS n
    FROM delivery AS d JOIN delivery_change AS c ON c.delivery_id = d.id
    WHERE d.id = :delivery AND d.attempts = 0 AND d.finished_at IS NULL
""")


def _fill_up(connection: Connection, flow: OutgoingFlow, changes: Sequence[_Change]) -> Iterable[_Change]:
    """Put changes into the last delivery that waits, as far as it has room and was not tried; returns the others.

    A newer value of a key follows in another delivery, behind the one that has the older.
    """
    if not changes:
        return changes
    last = connection.scalar(_LAST, {"system": flow.system, "flow": flow.flow})
    if last is None:
        return changes
    row = connection.execute(_ROOM, {"delivery": last, "size": flow.batch_size}).one()
    if row.n is None or row.room <= 0:
        return changes
    fill = [change for change in changes if not change.follows][: row.room]
    _store_changes(connection, last, fill, first=row.n)
    filled = {change.key for change in fill}
    return [change for change in changes if change.key not in filled]


def _store(
    connection: Connection,
    flow: OutgoingFlow,
    changes: Iterable[_Change],
    report: PushReport,
    *,
    urgent: bool = False,
) -> None:
    batch: list[_Change] = []
    for change in changes:
        batch.append(change)
        if len(batch) == flow.batch_size:
            _store_delivery(connection, flow, batch, urgent)
            report.deliveries += 1
            batch = []
    if batch:
        _store_delivery(connection, flow, batch, urgent)
        report.deliveries += 1


def _store_delivery(
    connection: Connection, flow: OutgoingFlow, batch: Sequence[_Change], urgent: bool
) -> None:
    delivery_id: int = connection.execute(
        insert(delivery)
        .values(system=flow.system, flow=flow.flow, idempotency_key=uuid.uuid4().hex, urgent=urgent)
        .returning(delivery.c.id)
    ).scalar_one()
    _store_changes(connection, delivery_id, batch)


def _store_changes(
    connection: Connection, delivery_id: int, batch: Sequence[_Change], *, first: int = 0
) -> None:
    copy_rows(
        connection,
        "COPY delivery_change (delivery_id, n, key, entity_id, entity_version, hash, record, previous, deleted) "
        "FROM STDIN (FORMAT BINARY)",
        ["int8", "int4", "text", "int8", "int4", "bytea", "jsonb", "jsonb", "bool"],
        (
            (
                delivery_id, n, c.key, c.entity_id, c.version, c.hash, c.record,
                c.previous, c.deleted,
            )
            for n, c in enumerate(batch, first)
        ),
    )  # fmt: skip
