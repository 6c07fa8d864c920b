"""From the change feed to messages that wait, and what else becomes of messages: replay, erasure, retention.

A thin message stands for one version. A whole one carries the entity as it is at the first attempt, so of one entity
at most one waits that was not tried yet: versions that were overtaken meanwhile are not sent. Of one entity versions
are only told upwards.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, text

from hub.feed import FeedPosition, more_behind
from hub.subscribers.register import AHEAD, Subscriber, SubscriberFault, pause

__all__ = [
    "Attempt",
    "Dead",
    "Replayed",
    "dead_messages",
    "forget",
    "list_attempts",
    "ping",
    "replay_event",
    "replay_failed",
    "replay_from",
    "store_round",
    "tidy",
    "waits_above",
]

ROUND = 2000
"""Change feed rows looked at in one transaction."""
_END = 2**63 - 1
_RESTORED = (
    "データベースが復元されたようです(読み取り位置が先にあります)。再開し、復元時点からの分を再送してください / "
    "the database seems to have been restored (the position lies ahead of it): resume, then send again what changed "
    "since: tsunagi subscriber resume {name}; tsunagi subscriber replay {name} --from ..."
)

# what channel an entity belongs to: by itself, by its order, by its customer; NULL where it belongs to none
_CHANNEL = """
    coalesce(e.content ->> 'channel', nullif(split_part(e.content ->> 'order_key', '/', 1), ''),
             nullif(split_part(e.content ->> 'customer_key', '/', 1), ''),
             CASE WHEN e.kind = 'customer' THEN split_part(e.key, '/', 1) END)
"""
_WANTED = f"(cardinality(s.channels) = 0 OR coalesce({_CHANNEL} = ANY(s.channels), true))"

_OPEN = text(f"""
    SELECT s.feed_xid, s.feed_seq, {AHEAD} AS ahead FROM subscriber AS s
    WHERE s.id = :id AND s.state = 'active' FOR UPDATE
""")  # noqa: S608  (the parts are ours)
_READ = text(f"""
    SELECT f.xid, f.seq, f.entity_id, f.kind, f.version, f.deleted, f.at, e.id IS NOT NULL AND {_WANTED} AS wanted
    FROM (SELECT xid, seq, entity_id, kind, version, deleted, at FROM change_feed
          WHERE (xid, seq) > (:xid, :seq) AND xid < :horizon AND kind = ANY(:kinds)
          ORDER BY xid, seq LIMIT :limit) AS f
    JOIN subscriber AS s ON s.id = :id
    LEFT JOIN entity AS e ON e.id = f.entity_id
    ORDER BY f.xid, f.seq
""")  # noqa: S608  (the parts are ours)
_KNOWN = text("""
    SELECT entity_id, max(version) AS told, bool_or(whole AND version IS NULL AND state = 'waiting') AS open
    FROM subscriber_message WHERE entity_id = ANY(:ids) AND subscriber_id = :id GROUP BY entity_id
""")
_STORE = text("""
    INSERT INTO subscriber_message (subscriber_id, entity_id, kind, whole, version, deleted, changed_at)
    SELECT :id, entity_id, kind, whole, version, deleted, at
    FROM unnest(CAST(:entity_ids AS bigint[]), CAST(:kinds AS text[]), CAST(:whole AS boolean[]),
                CAST(:versions AS integer[]), CAST(:deleted AS boolean[]), CAST(:at AS timestamptz[]))
         WITH ORDINALITY AS m(entity_id, kind, whole, version, deleted, at, n)
    ORDER BY n
""")
_MOVE = text("UPDATE subscriber SET feed_xid = :xid, feed_seq = :seq WHERE id = :id")


def store_round(connection: Connection, told: Subscriber, *, below: int) -> tuple[int, int]:
    """Store messages for the next stretch of the feed, and the position behind it, in the caller's transaction.

    Gives how many rows were read, and how many messages they made. Nothing for a subscriber that is not active.
    """
    start = connection.execute(_OPEN, {"id": told.id}).one_or_none()
    if start is None:
        return 0, 0
    if start.ahead:
        pause(connection, told.name, _RESTORED.format(name=told.name))
        return 0, 0
    rows = connection.execute(
        _READ,
        {
            "id": told.id, "xid": start.feed_xid, "seq": start.feed_seq, "horizon": below, "kinds": list(told.kinds),
            "limit": ROUND,
        },
    ).all()  # fmt: skip
    made = list(_messages(connection, told, [row for row in rows if row.wanted]))
    if made:
        columns = ("entity_ids", "kinds", "whole", "versions", "deleted", "at")
        values = dict(zip(columns, map(list, zip(*made, strict=True)), strict=True))
        connection.execute(_STORE, {"id": told.id, **values})
    # with nothing left below the horizon, what lies there of other kinds need not be passed over again
    behind = FeedPosition(rows[-1].xid, rows[-1].seq) if len(rows) == ROUND else FeedPosition(below - 1, _END)
    if behind > FeedPosition(start.feed_xid, start.feed_seq):
        connection.execute(_MOVE, {"id": told.id, "xid": behind.xid, "seq": behind.seq})
    return len(rows), len(made)


def _messages(
    connection: Connection, told: Subscriber, rows: Sequence[Row[Any]]
) -> Iterator[tuple[int, str, bool, int | None, bool, datetime | None]]:
    ids = list({row.entity_id for row in rows})
    known = {row.entity_id: row for row in connection.execute(_KNOWN, {"id": told.id, "ids": ids})}
    newest = {entity: known[entity].told or 0 if entity in known else 0 for entity in ids}
    waits = {entity for entity, row in known.items() if row.open}
    # transactions that overlap may stand in the feed the other way round: an entity's versions go upwards all the same
    upwards: dict[int, list[Row[Any]]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: row.version, reverse=True):
        upwards[row.entity_id].append(row)
    for slot in rows:
        row = upwards[slot.entity_id].pop()
        if row.version <= newest[row.entity_id] or row.entity_id in waits:
            continue
        if told.whole(row.kind):
            waits.add(row.entity_id)
            yield row.entity_id, row.kind, True, None, False, None
        else:
            newest[row.entity_id] = row.version
            yield row.entity_id, row.kind, False, row.version, row.deleted, row.at


def waits_above(connection: Connection, told: Subscriber) -> bool:
    """Whether the feed holds rows for the subscriber that a running transaction keeps it from reading."""
    row = connection.execute(
        text("SELECT feed_xid, feed_seq FROM subscriber WHERE id = :id"), {"id": told.id}
    ).one_or_none()
    return row is not None and more_behind(
        connection, position=FeedPosition(row.feed_xid, row.feed_seq), kinds=told.kinds
    )


# ---------------------------------------------------------------- once more

_PING = text("""
    INSERT INTO subscriber_message (subscriber_id, kind, version, changed_at) VALUES (:id, 'ping', 0, now())
    RETURNING id, event_id
""")
_NEWER = """
    EXISTS (SELECT FROM subscriber_message AS newer
            WHERE newer.entity_id = m.entity_id AND newer.subscriber_id = m.subscriber_id AND newer.id <> m.id
              AND newer.state IN ('waiting', 'accepted') AND coalesce(newer.version, 2147483647) > m.version)
"""
_AGAIN_FAILED = text(f"""
    UPDATE subscriber_message AS m
    SET state = CASE WHEN {_NEWER} THEN 'overtaken' ELSE 'waiting' END, next_at = now(), retry_until = NULL,
        finished_at = CASE WHEN {_NEWER} THEN now() END
    WHERE subscriber_id = :id AND state = 'dead' AND entity_id IS NOT NULL RETURNING state
""")  # noqa: S608
_AGAIN_EVENT = text("""
    UPDATE subscriber_message SET state = 'waiting', next_at = now(), retry_until = NULL, finished_at = NULL
    WHERE subscriber_id = :id AND event_id = :event AND state <> 'forgotten'
      AND NOT (whole AND version IS NOT NULL AND NOT deleted AND content IS NULL)
""")
_THERE = text("SELECT state FROM subscriber_message WHERE subscriber_id = :id AND event_id = :event")
_AGAIN_FROM = text(f"""
    INSERT INTO subscriber_message (subscriber_id, entity_id, kind, whole, version, deleted, changed_at)
    SELECT s.id, e.id, e.kind, w.whole, CASE WHEN NOT w.whole THEN e.version END,
           NOT w.whole AND e.deleted_at IS NOT NULL, CASE WHEN NOT w.whole THEN e.updated_at END
    FROM subscriber AS s
    CROSS JOIN (SELECT entity_id, min(at) AS first FROM change_feed
                WHERE at >= :since AND kind = ANY(:kinds) GROUP BY entity_id) AS f
    JOIN entity AS e ON e.id = f.entity_id
    CROSS JOIN LATERAL (SELECT e.kind = ANY(:whole) AS whole) AS w
    WHERE s.id = :id AND {_WANTED} AND NOT EXISTS (
        SELECT FROM subscriber_message AS m WHERE m.entity_id = e.id AND m.subscriber_id = s.id AND m.state = 'waiting'
          AND m.attempts = 0 AND coalesce(m.version, e.version) >= e.version)
    ORDER BY f.first, e.id
""")  # noqa: S608


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a replay came to: messages that wait (again), and dead ones closed because a newer one went through."""

    waiting: int
    overtaken: int = 0

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def ping(connection: Connection, told: Subscriber) -> tuple[int, str]:
    """Store a ping; gives its number and its `webhook-id`."""
    row = connection.execute(_PING, {"id": told.id}).one()
    return row.id, row.event_id


def replay_failed(connection: Connection, told: Subscriber) -> Replayed:
    """Try every dead message again, under its id; not those of which a newer version was sent meanwhile."""
    states = list(connection.scalars(_AGAIN_FAILED, {"id": told.id}))
    return Replayed(states.count("waiting"), states.count("overtaken"))


def replay_event(connection: Connection, told: Subscriber, event_id: str) -> Replayed:
    """Send this message again, as it was and under its id, whatever became of it. Raises SubscriberFault."""
    if connection.execute(_AGAIN_EVENT, {"id": told.id, "event": event_id}).rowcount:
        return Replayed(1)
    if connection.scalar(_THERE, {"id": told.id, "event": event_id}) is None:
        raise SubscriberFault(
            f"{told.name} に「{event_id}」というメッセージはありません。保存期間を過ぎた可能性があります。",
            f"{told.name} has no message {event_id!r}; it may have been removed by the retention rule.",
        )
    raise SubscriberFault(
        f"{event_id} の内容は個人情報の消去により削除されているため、再送できません。",
        f"The content of {event_id} was erased with its person; it cannot be sent again.",
    )


def replay_from(connection: Connection, told: Subscriber, since: datetime) -> Replayed:
    """A new message for everything that changed since then, as it is now, once each. For a receiver that lost its data,
    or a new one that needs what was before it.
    """
    whole = [kind for kind in told.kinds if told.whole(kind)]
    values = {"id": told.id, "since": since, "kinds": list(told.kinds), "whole": whole}
    return Replayed(connection.execute(_AGAIN_FROM, values).rowcount)


# ---------------------------------------------------------------- what is kept, and for how long

_FORGET = text("""
    WITH cleared AS (
        UPDATE subscriber_message
        SET content = NULL, state = CASE WHEN state IN ('waiting', 'dead') THEN 'forgotten' ELSE state END,
            finished_at = coalesce(finished_at, now())
        WHERE entity_id = ANY(:ids) AND content IS NOT NULL RETURNING id
    ), silenced AS (
        UPDATE subscriber_attempt AS a SET answer = NULL, error = NULL
        FROM subscriber_message AS m WHERE m.entity_id = ANY(:ids) AND a.message_id = m.id
          AND (a.answer IS NOT NULL OR a.error IS NOT NULL)
    )
    SELECT count(*) FROM cleared
""")
_TIDY = text("DELETE FROM subscriber_message WHERE state <> 'waiting' AND finished_at < :before")
_OLD_SECRETS = text("DELETE FROM subscriber_secret WHERE expires_at < :before")


def forget(connection: Connection, entity_ids: Sequence[int]) -> int:
    """Remove what messages hold of these entities: contents, and what receivers answered to them.

    Such a message is not sent again. Gives how many messages held something. That the entity is gone, the change feed
    tells every subscriber; thin messages and those not tried yet hold nothing of it.
    """
    return connection.scalar(_FORGET, {"ids": list(entity_ids)}) or 0


def tidy(connection: Connection, *, older_than: datetime) -> int:
    """Remove messages (with their attempts) that came to their end before that moment, and secrets long expired.

    Those that wait stay. Gives how many messages were removed.
    """
    connection.execute(_OLD_SECRETS, {"before": older_than})
    return connection.execute(_TIDY, {"before": older_than}).rowcount


# ---------------------------------------------------------------- for an operator

_ATTEMPTS = text("""
    SELECT s.name AS subscriber, m.event_id, m.kind, e.key, m.version, m.state, a.attempt, a.started_at, a.finished_at,
           a.status, a.ms, a.answer, a.error
    FROM subscriber_attempt AS a
    JOIN subscriber_message AS m ON m.id = a.message_id
    JOIN subscriber AS s ON s.id = m.subscriber_id
    LEFT JOIN entity AS e ON e.id = m.entity_id
    WHERE a.subscriber_id = :id AND (CAST(:event AS text) IS NULL OR m.event_id = :event)
      AND (NOT :failed OR a.status IS NULL OR a.status NOT BETWEEN 200 AND 299)
    ORDER BY a.id DESC LIMIT :limit
""")
_DEAD = text("""
    SELECT s.name AS subscriber, m.event_id, m.kind, e.key, m.version, m.attempts, m.finished_at, last.status,
           last.error
    FROM subscriber_message AS m
    JOIN subscriber AS s ON s.id = m.subscriber_id
    LEFT JOIN entity AS e ON e.id = m.entity_id
    LEFT JOIN LATERAL (SELECT status, coalesce(error, answer) AS error FROM subscriber_attempt AS a
                       WHERE a.message_id = m.id ORDER BY a.id DESC LIMIT 1) AS last ON true
    WHERE m.state = 'dead' AND m.entity_id IS NOT NULL AND (CAST(:name AS text) IS NULL OR s.name = :name)
    ORDER BY s.name, m.id LIMIT :limit
""")


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt. `ms` from sending to the answer's status; `answer` its first letters, masked.

    Without `finished_at` it is under way, or its sender ended before it knew.
    """

    subscriber: str
    event_id: str
    kind: str
    key: str | None
    version: int | None
    state: str
    attempt: int
    started_at: datetime
    finished_at: datetime | None
    status: int | None
    ms: int | None
    answer: str | None
    error: str | None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Dead:
    """A message that was tried for days and not accepted, with the last attempt's status and words."""

    subscriber: str
    event_id: str
    kind: str
    key: str | None
    version: int | None
    attempts: int
    finished_at: datetime
    status: int | None
    error: str | None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def list_attempts(
    connection: Connection,
    told: Subscriber,
    *,
    event_id: str | None = None,
    failed: bool = False,
    limit: int = 50,
) -> list[Attempt]:
    """The newest attempts, newest first; of one message, or only failed ones."""
    values = {"id": told.id, "event": event_id, "failed": failed, "limit": limit}
    return [Attempt(**row._mapping) for row in connection.execute(_ATTEMPTS, values)]


def dead_messages(connection: Connection, name: str | None = None, *, limit: int = 200) -> list[Dead]:
    """The messages that were given up, of one subscriber or of all, oldest first."""
    return [Dead(**row._mapping) for row in connection.execute(_DEAD, {"name": name, "limit": limit})]
