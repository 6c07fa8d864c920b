"""The change feed: how it is written and read so that no row is lost to a transaction that commits late.

A writer announces itself before its transaction has an id (`enter_feed`). A reader reads only rows below the oldest
announced transaction still running (`horizon`), in (transaction, sequence) order. See docs/decisions/change-feed.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, text

__all__ = [
    "Changed",
    "FeedPosition",
    "enter_feed",
    "forget_replaced",
    "horizon",
    "in_feed",
    "load_position",
    "load_urgent_position",
    "more_behind",
    "read_feed",
    "read_urgent",
    "save_position",
    "save_urgent_position",
    "urgent_behind",
]


@dataclass(frozen=True, slots=True, order=True)
class FeedPosition:
    """Where a flow has read to; the next row is the first one behind it."""

    xid: int = 0
    seq: int = 0


class Changed(NamedTuple):
    """An entity that changed, its versions since the last read coalesced.

    `echo`: every one of those versions came from the system that is being pushed to.
    """

    entity_id: int
    kind: str
    echo: bool


_READ = text("""
    WITH next AS (
        SELECT xid, seq, entity_id, kind, system FROM change_feed
        WHERE (xid, seq) > (:xid, :seq) AND xid < :horizon AND kind = ANY(:kinds)
        ORDER BY xid, seq LIMIT :limit
    )
    SELECT entity_id, kind, bool_and(system = :system) AS echo,
           (SELECT xid FROM next ORDER BY xid DESC, seq DESC LIMIT 1) AS last_xid,
           (SELECT seq FROM next ORDER BY xid DESC, seq DESC LIMIT 1) AS last_seq
    FROM next GROUP BY entity_id, kind ORDER BY entity_id
""")
_FEED_LOCK = 0x7453_4645
# advisory locks and snapshots give a transaction no id; row locks and writes do
_ENTER = text(
    "SELECT pg_current_xact_id_if_assigned()::text FROM (SELECT pg_advisory_xact_lock_shared(:lock)) AS announced"
)
_ENTERED = text("""
    SELECT EXISTS (
        SELECT FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'advisory' AND granted AND classid = 0
        AND objid = CAST(:lock AS bigint)::oid
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    )
""")
_HORIZON = text("""
    WITH held AS MATERIALIZED (
        SELECT locktype, pid, database, classid, objid, transactionid FROM pg_locks WHERE granted
    )
    SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS newest,
           ARRAY(SELECT own.transactionid::text
                 FROM held AS announced JOIN held AS own ON own.pid = announced.pid AND own.locktype = 'transactionid'
                 WHERE announced.locktype = 'advisory' AND announced.classid = 0
                   AND announced.objid = CAST(:lock AS bigint)::oid
                   AND announced.database = (SELECT oid FROM pg_database WHERE datname = current_database())) AS running
""")
# In order and one row: the planner may not look for any that fits from the beginning of the feed.
_MORE = text("""
    SELECT (SELECT true FROM change_feed WHERE (xid, seq) > (:xid, :seq) AND kind = ANY(:kinds)
            ORDER BY xid, seq LIMIT 1) IS NOT NULL
""")
_LOAD = text("SELECT feed_xid, feed_seq FROM flow_state WHERE system = :system AND flow = :flow")
_SAVE = text("""
    INSERT INTO flow_state (system, flow, feed_xid, feed_seq) VALUES (:system, :flow, :xid, :seq)
    ON CONFLICT (system, flow) DO UPDATE SET feed_xid = excluded.feed_xid, feed_seq = excluded.feed_seq
""")


def enter_feed(connection: Connection) -> None:
    """Announce that this transaction may write to the feed. Must come before its first write or row lock.

    Raises RuntimeError when the transaction has an id already: a reader may then have gone past it.
    """
    if connection.scalar(_ENTER, {"lock": _FEED_LOCK}) is not None:
        raise RuntimeError("enter_feed comes before the first write of a transaction")


def in_feed(connection: Connection) -> bool:
    """Whether this transaction has announced itself, for who may be called before or after others wrote."""
    return bool(connection.scalar(_ENTERED, {"lock": _FEED_LOCK}))


def horizon(connection: Connection) -> int:
    """The transaction id below which every row of the feed is decided: committed, or rolled back for good.

    Call it before the transaction writes anything, and read the feed in a later statement.
    """
    newest, running = connection.execute(_HORIZON, {"lock": _FEED_LOCK}).one()
    low = [_whole(int(xid), newest) for xid in running]
    return int(min([newest, *low]))


def _whole(xid: int, newest: int) -> int:
    """The 64-bit id of a running transaction from its lower 32 bits; it cannot lie above `newest`."""
    whole = newest & ~0xFFFFFFFF | xid
    return whole if whole <= newest else whole - (1 << 32)


def more_behind(connection: Connection, *, position: FeedPosition, kinds: Sequence[str]) -> bool:
    """Whether committed rows wait behind `position` that a reader may not take yet."""
    names = {"xid": position.xid, "seq": position.seq, "kinds": list(kinds)}
    return bool(connection.scalar(_MORE, names))


def read_feed(
    connection: Connection,
    *,
    position: FeedPosition,
    below: int,
    kinds: Sequence[str],
    system: str,
    limit: int,
) -> tuple[list[Changed], FeedPosition]:
    """The entities that changed behind `position`, and the position behind what was read."""
    rows = connection.execute(
        _READ,
        {
            "xid": position.xid, "seq": position.seq, "horizon": below, "kinds": list(kinds), "system": system,
            "limit": limit,
        },
    ).all()  # fmt: skip
    if not rows:
        return [], position
    last_xid, last_seq = rows[0][3:]
    return [Changed._make(row[:3]) for row in rows], FeedPosition(last_xid, last_seq)


_READ_URGENT = text("""
    WITH next AS (
        SELECT xid, seq, entity_id, kind, system FROM change_feed
        WHERE urgent AND (xid, seq) > (:xid, :seq) AND kind = ANY(:kinds) ORDER BY xid, seq LIMIT :limit
    )
    SELECT entity_id, kind, bool_and(system = :system) AS echo,
           (SELECT xid FROM next WHERE xid < :horizon ORDER BY xid DESC, seq DESC LIMIT 1) AS last_xid,
           (SELECT seq FROM next WHERE xid < :horizon ORDER BY xid DESC, seq DESC LIMIT 1) AS last_seq
    FROM next GROUP BY entity_id, kind ORDER BY min(xid), entity_id
""")


def read_urgent(
    connection: Connection,
    *,
    position: FeedPosition,
    below: int,
    kinds: Sequence[str],
    system: str,
    limit: int,
) -> tuple[list[Changed], FeedPosition]:
    """The entities with an urgent change behind `position`, and the position behind which nothing urgent can follow.

    All committed rows are seen, those above the horizon too. The position stays below it: what commits late is not
    passed over, what was seen already is seen once more.
    """
    rows = connection.execute(
        _READ_URGENT,
        {
            "xid": position.xid, "seq": position.seq, "horizon": below, "kinds": list(kinds), "system": system,
            "limit": limit,
        },
    ).all()  # fmt: skip
    changed = [Changed(row.entity_id, row.kind, row.echo) for row in rows]
    if not rows or rows[0].last_xid is None:
        return changed, position
    return changed, FeedPosition(rows[0].last_xid, rows[0].last_seq)


def load_position(connection: Connection, system: str, flow: str) -> FeedPosition:
    row = connection.execute(_LOAD, {"system": system, "flow": flow}).one_or_none()
    return FeedPosition() if row is None else FeedPosition(row.feed_xid, row.feed_seq)


_LOAD_URGENT = text("""
    SELECT feed_xid, feed_seq, urgent_xid, urgent_seq FROM flow_state WHERE system = :system AND flow = :flow
""")
_SAVE_URGENT = text("""
    INSERT INTO flow_state (system, flow, urgent_xid, urgent_seq) VALUES (:system, :flow, :xid, :seq)
    ON CONFLICT (system, flow) DO UPDATE SET urgent_xid = excluded.urgent_xid, urgent_seq = excluded.urgent_seq
""")


def load_urgent_position(connection: Connection, system: str, flow: str) -> FeedPosition:
    """Up to where the flow's urgent changes are queued: by themselves, or with all others."""
    row = connection.execute(_LOAD_URGENT, {"system": system, "flow": flow}).one_or_none()
    if row is None:
        return FeedPosition()
    return max(FeedPosition(row.feed_xid, row.feed_seq), FeedPosition(row.urgent_xid, row.urgent_seq))


# In order and one row, as above; a flow that never looked has no state.
_URGENT_BEHIND = text("""
    SELECT (SELECT true FROM change_feed AS c
            WHERE c.urgent AND c.kind = ANY(:kinds) AND (c.xid, c.seq) > (s.xid, s.seq)
            ORDER BY c.xid, c.seq LIMIT 1) IS NOT NULL
    FROM (SELECT coalesce(max(CASE WHEN ahead THEN urgent_xid ELSE feed_xid END), 0) AS xid,
                 coalesce(max(CASE WHEN ahead THEN urgent_seq ELSE feed_seq END), 0) AS seq
          FROM (SELECT *, (urgent_xid, urgent_seq) > (feed_xid, feed_seq) AS ahead FROM flow_state
                WHERE system = :system AND flow = :flow) AS mine) AS s
""")


def urgent_behind(connection: Connection, *, system: str, flow: str, kinds: Sequence[str]) -> bool:
    """Whether there may be urgent changes the flow has not queued yet; one statement."""
    values = {"system": system, "flow": flow, "kinds": list(kinds)}
    return bool(connection.scalar(_URGENT_BEHIND, values))


def save_urgent_position(connection: Connection, system: str, flow: str, position: FeedPosition) -> None:
    values = {"system": system, "flow": flow, "xid": position.xid, "seq": position.seq}
    connection.execute(_SAVE_URGENT, values)


def save_position(connection: Connection, system: str, flow: str, position: FeedPosition) -> None:
    connection.execute(_SAVE, {"system": system, "flow": flow, "xid": position.xid, "seq": position.seq})


_OWN = {"system": "hub", "flow": "history"}
_FORGET = text("""
    WITH next AS (
        SELECT xid, seq, entity_id, system, bool_and(at < :before) OVER (ORDER BY xid, seq) AS old FROM change_feed
        WHERE (xid, seq) > (:xid, :seq) ORDER BY xid, seq LIMIT :limit
    ), gone AS (
        DELETE FROM change_feed AS f USING next AS n
        WHERE n.old AND f.entity_id = n.entity_id AND f.system = n.system AND (f.xid, f.seq) < (n.xid, n.seq)
        RETURNING f.seq
    )
    SELECT xid, seq, (SELECT count(*) FROM gone) AS gone, (SELECT count(*) FROM next WHERE old) AS looked
    FROM next WHERE old ORDER BY xid DESC, seq DESC LIMIT 1
""")


def forget_replaced(connection: Connection, *, before: datetime, limit: int) -> tuple[int, int]:
    """Remove rows that a newer row of the same entity and system replaced before that moment.

    Goes on where it ended the last time and looks at `limit` rows; returns how many it looked at, and how many it
    removed. The newest row of each entity by each system stays for good, so a reader that begins at the very first row
    still learns of every entity, and who spoke of it (docs/decisions/change-feed.md).
    """
    position = load_position(connection, **_OWN)
    values = {"xid": position.xid, "seq": position.seq, "before": before, "limit": limit}
    row = connection.execute(_FORGET, values).one_or_none()
    if row is None:
        return 0, 0
    save_position(connection, **_OWN, position=FeedPosition(row.xid, row.seq))
    return row.looked, row.gone
