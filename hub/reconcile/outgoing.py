"""What a push sent, beside what the system shows: the record wanted today, the ledger, and the place itself.

Only places the hub speaks of can differ. What the system shows beside them, and never took from the hub, is counted as
unmanaged.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import Connection, text

from connectors.contract import Fault, Refused, Standing, StandingsFunction
from hub.feed import load_position
from hub.outgoing import wanted_records
from hub.progress import Counter
from hub.reconcile.board import Board, Held, Shown
from hub.reconcile.incoming import Tally
from hub.reconcile.listing import Sheet
from hub.reconcile.parts import Part, moment_sql
from hub.store.database import digest
from mappings import RecordFaults
from mappings.mapping import Outgoing

if TYPE_CHECKING:
    from hub.engine import Hub

__all__ = ["explain_outgoing", "hold_outgoing", "lay_out_standings", "mark_ours", "mark_waiting"]

CHUNK = 2000


def _body(values: Mapping[str, Any]) -> bytes:
    return orjson.dumps(values, option=orjson.OPT_SORT_KEYS)


# ---------------------------------------------------------------- what the system shows


def lay_out_standings(
    board: Board, part: Part, sheet: Sheet, shown: StandingsFunction, tally: Tally, counter: Counter
) -> None:
    """Lay out the places one sheet shows."""
    chunk: list[Shown] = []
    for row in sheet.records():
        if isinstance(row, Fault):
            tally.rows_unreadable += 1
            continue
        tally.records += 1
        found = shown(row.data)
        tally.skipped += not found
        chunk += [_shown(one, row.position) for one in found]
        if len(chunk) >= CHUNK:
            board.show(part.number, chunk)
            counter.add(len(chunk))
            chunk = []
    board.show(part.number, chunk)
    counter.add(len(chunk))


def _shown(one: Standing, position: int) -> Shown:
    body = _body(one.values)
    return Shown(one.place, digest(body), body, one.id, one.place, position)


# ---------------------------------------------------------------- what the hub wants there

_ENTITIES = """
    SELECT e.id, e.key, e.version, e.content, e.updated_at, {moment} AS moment FROM entity AS e
    WHERE e.kind = :kind AND e.deleted_at IS NULL AND e.id > :after {only} ORDER BY e.id LIMIT :limit
"""
_ONLY_KEYS = "AND e.key = ANY(:keys)"
_ACCEPTED = text(
    "SELECT key, record FROM ledger WHERE system = :system AND flow = :flow AND key = ANY(:keys)"
)


def hold_outgoing(
    hub: Hub,
    board: Board,
    part: Part,
    written: StandingsFunction,
    tally: Tally,
    *,
    again: bool = False,
    keys: Sequence[str] | None = None,
) -> None:
    """Lay out what the flow wants to stand at each place; `again` only of what differs, or only of these `keys`."""
    if again:
        board.execute(
            "DELETE FROM held WHERE part = :part AND entity_key IN "
            "(SELECT entity_key FROM diff WHERE part = :part AND entity_key IS NOT NULL)",
            part=part.number,
        )
        keys = [
            row.entity_key
            for row in board.rows(
                "SELECT DISTINCT entity_key FROM diff WHERE part = :part AND entity_key IS NOT NULL",
                part=part.number,
            )
        ]
    faults: list[tuple[str, int | None, str]] = []
    for connection, rows in _chunks(hub, part, keys):
        held = list(_held(connection, part, rows, written, faults))
        board.hold(part.number, held)
    tally.unreadable += 0 if again else len(faults)
    if not again:
        board.cannot_read(part.number, faults)


def _chunks(hub: Hub, part: Part, keys: Sequence[str] | None) -> Iterator[tuple[Connection, Sequence[Any]]]:
    query = text(
        _ENTITIES.format(moment=moment_sql(part.kind, "e.content"), only="" if keys is None else _ONLY_KEYS)
    )
    names: dict[str, Any] = {"kind": part.kind, "limit": CHUNK, "after": 0}
    if keys is not None:
        names["keys"] = list(keys)
    with hub.engine.connect() as connection:
        while rows := connection.execute(query, names).all():
            yield connection, rows
            connection.rollback()  # no transaction stays open over what the caller does
            names["after"] = rows[-1].id


def _held(
    connection: Connection,
    part: Part,
    rows: Sequence[Any],
    written: StandingsFunction,
    faults: list[tuple[str, int | None, str]],
) -> Iterator[Held]:
    wanted: list[tuple[Any, Outgoing]] = []
    for row, out in wanted_records(connection, part.bound.outgoing, rows):
        if isinstance(out, RecordFaults):
            faults.append((row.key, None, out.faults[0].code))
        elif out is not None:
            wanted.append((row, out))
    names = {"system": part.system, "flow": part.flow, "keys": [out.key for _, out in wanted]}
    ledger = {row.key: row.record for row in connection.execute(_ACCEPTED, names)}
    for row, out in wanted:
        try:
            places = written(out.record)
        except Refused as error:
            faults.append((row.key, None, error.code or "refused"))
            continue
        accepted = _accepted(ledger.get(out.key), written)
        for place in places:
            body = _body(place.values)
            yield Held(
                place.place, digest(body), body, row.id, row.key, row.updated_at, row.moment, place.id, out.key,
                accepted.get(place.place),
            )  # fmt: skip


def _accepted(record: Mapping[str, Any] | None, written: StandingsFunction) -> dict[str, bytes]:
    if record is None:
        return {}
    try:
        return {one.place: digest(_body(one.values)) for one in written(record)}
    except Refused:
        return {}


_NO_LONGER_WANTED = text("""
    SELECT l.key, l.record FROM ledger AS l
    WHERE l.system = :system AND l.flow = :flow AND l.key > :after AND NOT EXISTS (
        SELECT FROM pg_temp.held AS h WHERE h.part = :part AND h.sent_key = l.key)
    ORDER BY l.key LIMIT :limit
""")


def mark_ours(board: Board, part: Part, written: StandingsFunction) -> None:
    """Note the places the system once took from the hub and of which the hub no longer speaks."""
    names = {"system": part.system, "flow": part.flow, "part": part.number, "after": "", "limit": CHUNK}
    while True:
        with board.writing() as connection:
            rows = connection.execute(_NO_LONGER_WANTED, names).all()
            places = [place for row in rows for place in _accepted(row.record, written)]
            if places:
                connection.execute(
                    text("INSERT INTO ours SELECT :part, unnest(CAST(:places AS text[]))"),
                    {"part": part.number, "places": places},
                )
        if not rows:
            return
        names["after"] = rows[-1].key


_UNMANAGED = """
    UPDATE diff AS d SET state = 'unmanaged', reason = 'not_sent_by_hub'
    WHERE d.part = :part AND d.state = 'only_system'
      AND NOT EXISTS (SELECT FROM ours AS o WHERE o.part = d.part AND o.key = d.key)
"""
_UNWRITABLE = """
    INSERT INTO diff (part, key, state, reason, entity_key)
    SELECT DISTINCT ON (u.key) u.part, u.key, 'unreadable', u.reason, u.key FROM unread AS u WHERE u.part = :part
    ON CONFLICT (part, key) DO NOTHING
"""
_WAITING = """
    WITH candidate AS MATERIALIZED (
        SELECT d.key, h.entity_id, h.sent_key
        FROM diff AS d JOIN held AS h ON h.part = d.part AND h.key = d.key
        WHERE d.part = :part AND d.state IN ('only_hub', 'differ')
    ), waiting AS (
        SELECT o.key FROM candidate AS o JOIN change_feed AS f ON f.entity_id = o.entity_id
        WHERE (f.xid, f.seq) > (:xid, :seq) AND f.kind = :kind AND f.at > now() - interval '1 hour'
        UNION
        SELECT o.key FROM delivery AS v JOIN delivery_change AS c ON c.delivery_id = v.id AND c.verdict IS NULL
             JOIN candidate AS o ON o.sent_key = c.key
        WHERE v.system = :system AND v.flow = :flow AND v.finished_at IS NULL
          AND v.created_at > now() - interval '1 hour'
    )
    UPDATE diff AS d SET state = 'in_flight', reason = 'waiting_to_be_sent' FROM waiting AS w
    WHERE d.part = :part AND d.key = w.key
"""
_WHY = """
    UPDATE diff AS d SET reason = CASE
        WHEN EXISTS (SELECT FROM quarantine AS q WHERE q.system = :system AND q.flow = :flow AND q.state = 'open'
                     AND q.direction = 'out' AND q.subject IN (h.sent_key, h.entity_key)) THEN 'refused'
        WHEN h.accepted IS NULL THEN 'never_accepted'
        WHEN h.accepted IS DISTINCT FROM h.hash THEN 'not_sent'
        WHEN d.state = 'only_hub' THEN 'vanished_there'
        ELSE 'changed_there' END
    FROM held AS h
    WHERE d.part = :part AND d.reason IS NULL AND d.state IN ('only_hub', 'differ') AND h.part = :part AND h.key = d.key
"""
_LEFT = """
    UPDATE diff SET reason = 'no_longer_sent' WHERE part = :part AND state = 'only_system' AND reason IS NULL
"""


def mark_waiting(hub: Hub, board: Board, part: Part) -> None:
    """What the hub never spoke of is unmanaged; what the push is about to send is in flight, for an hour."""
    board.execute(_UNMANAGED, part=part.number)
    board.execute(_UNWRITABLE, part=part.number)
    with hub.engine.connect() as connection:
        position = load_position(connection, part.system, part.flow)
    board.execute(
        _WAITING, part=part.number, system=part.system, flow=part.flow, xid=position.xid, seq=position.seq,
        kind=part.kind,
    )  # fmt: skip


def explain_outgoing(board: Board, part: Part) -> None:
    """Say why, as far as the store knows."""
    board.execute(_WHY, part=part.number, system=part.system, flow=part.flow)
    board.execute(_LEFT, part=part.number)
