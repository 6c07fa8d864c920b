"""Reading the change feed.

Rows are read only below the oldest transaction still running, in (transaction, sequence) order: a transaction that
took a lower number and commits later can then never be jumped over. See docs/decisions/0002-change-feed.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, text

__all__ = ["Changed", "FeedPosition", "horizon", "load_position", "read_feed", "save_position"]


@dataclass(frozen=True, slots=True, order=True)
class FeedPosition:
    """Where a flow has read to; the next row is the first one behind it."""

    xid: int = 0
    seq: int = 0


@dataclass(frozen=True, slots=True)
class Changed:
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
_LOAD = text("SELECT feed_xid, feed_seq FROM flow_state WHERE system = :system AND flow = :flow")
_SAVE = text("""
    INSERT INTO flow_state (system, flow, feed_xid, feed_seq) VALUES (:system, :flow, :xid, :seq)
    ON CONFLICT (system, flow) DO UPDATE SET feed_xid = excluded.feed_xid, feed_seq = excluded.feed_seq
""")


def horizon(connection: Connection) -> int:
    """The oldest transaction id still running: everything below it is decided."""
    return int(connection.scalar(text("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint")) or 0)


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
    changed = [Changed(row.entity_id, row.kind, row.echo) for row in rows]
    return changed, FeedPosition(rows[0].last_xid, rows[0].last_seq)


def load_position(connection: Connection, system: str, flow: str) -> FeedPosition:
    row = connection.execute(_LOAD, {"system": system, "flow": flow}).one_or_none()
    return FeedPosition() if row is None else FeedPosition(row.feed_xid, row.feed_seq)


def save_position(connection: Connection, system: str, flow: str, position: FeedPosition) -> None:
    connection.execute(_SAVE, {"system": system, "flow": flow, "xid": position.xid, "seq": position.seq})
