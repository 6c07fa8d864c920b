"""Sends what waits for one subscriber: alone, at least once, of each entity in order.

Whoever sends holds a lock that belongs to a database session, and every claim of a message is made in that session:
a sender that lost its session can claim nothing more. A message is claimed (and the attempt written down) before it is
sent, so a sender that is killed leaves a message that waits and an attempt without an end, and the message goes out
again under its id.
"""

from __future__ import annotations

import hashlib
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

import structlog
from sqlalchemy import Connection, Engine, text

from hub.engine import FlowBusy, Hub
from hub.feed import horizon
from hub.subscribers.answers import Answer, Manner
from hub.subscribers.messages import store_round, waits_above
from hub.subscribers.places import guard
from hub.subscribers.post import Letter, Post
from hub.subscribers.register import Subscriber, find, find_by_id, pause
from hub.subscribers.sealed import Keys, SecretUnreadable, own_key, signing_secrets
from hub.subscribers.signing import body_of, ping_body

__all__ = ["FIRST_OF_ENTITY", "SYSTEM", "Sent", "send", "send_message"]

SYSTEM = "subscribers"
"""What stands for a system's name where locks and jobs have one."""
BATCH = 200
"""Messages looked up at once."""
ENOUGH = 2000
"""So many messages waiting, and no more are made: what stays in the feed may still be overtaken there."""
BLOCKED = 0.2
"""Seconds until it is looked again for rows that a running transaction holds back."""

log = structlog.get_logger("tsunagi.subscribers")


@dataclass(slots=True)
class Sent:
    """What a turn came to. `next_in`: seconds until there is something to do again; None when nothing waits."""

    subscriber: str
    messages: int = 0
    accepted: int = 0
    failed: int = 0
    dead: int = 0
    next_in: float | None = None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def add(self, other: Sent) -> None:
        """Count another turn of the same subscriber too."""
        self.messages += other.messages
        self.accepted += other.accepted
        self.failed += other.failed
        self.dead += other.dead
        self.next_in = other.next_in


_TRY = text("SELECT pg_try_advisory_lock(:lock)")
_UNLOCK = text("SELECT pg_advisory_unlock(:lock)")
_WAITING = text("""
    SELECT count(*) FROM (SELECT FROM subscriber_message
                          WHERE subscriber_id = :id AND state = 'waiting' LIMIT :most) AS w
""")
FIRST_OF_ENTITY = """
    NOT EXISTS (SELECT FROM subscriber_message AS before
                WHERE before.entity_id = m.entity_id AND before.subscriber_id = m.subscriber_id
                  AND before.state = 'waiting' AND before.id < m.id)
"""
_DUE = text(f"""
    SELECT m.id FROM subscriber_message AS m
    WHERE m.subscriber_id = :id AND m.state = 'waiting' AND m.next_at <= now() AND {FIRST_OF_ENTITY}
    ORDER BY m.id LIMIT :limit
""")  # noqa: S608  (the parts are ours)
# by the store's clock, as everything that waits
_HELD = text(
    "SELECT extract(epoch FROM not_before - now()) FROM subscriber WHERE id = :id AND not_before > now()"
)
# one that came due since the look at what is due counts too: nobody else would wake us for it
_NEXT = text(f"""
    SELECT extract(epoch FROM min(m.next_at) - now()) FROM subscriber_message AS m
    WHERE m.subscriber_id = :id AND m.state = 'waiting' AND {FIRST_OF_ENTITY}
""")  # noqa: S608  (the parts are ours)
_CLAIM = text("""
    WITH looked AS (
        SELECT m.id, m.entity_id IS NOT NULL AND e.id IS NULL AS lost, m.whole AND m.version IS NULL AS seal,
               e.key, e.version, e.content, e.updated_at, e.deleted_at IS NOT NULL AS deleted
        FROM subscriber_message AS m
        JOIN subscriber AS s ON s.id = m.subscriber_id AND (s.state = 'active' OR m.entity_id IS NULL)
        LEFT JOIN entity AS e ON e.id = m.entity_id
        WHERE m.id = :id AND m.state = 'waiting' FOR UPDATE OF m
    ), claimed AS (
        UPDATE subscriber_message AS m SET
            state = CASE WHEN l.lost THEN 'forgotten' ELSE m.state END,
            finished_at = CASE WHEN l.lost THEN now() END,
            attempts = m.attempts + CASE WHEN l.lost THEN 0 ELSE 1 END,
            retry_until = coalesce(m.retry_until, now() + CAST(:limit AS interval)),
            version = CASE WHEN l.seal THEN l.version ELSE m.version END,
            deleted = CASE WHEN l.seal THEN l.deleted ELSE m.deleted END,
            changed_at = CASE WHEN l.seal THEN l.updated_at ELSE m.changed_at END,
            content = CASE WHEN l.seal AND NOT l.deleted THEN l.content ELSE m.content END
        FROM looked AS l WHERE m.id = l.id
        RETURNING m.id, m.subscriber_id, m.event_id, m.entity_id, m.kind, l.key, m.version, m.deleted, m.changed_at,
                  m.content, m.attempts, l.lost, now() > m.retry_until AS late
    ), noted AS (
        INSERT INTO subscriber_attempt (message_id, subscriber_id, attempt)
        SELECT id, subscriber_id, attempts FROM claimed WHERE NOT lost RETURNING id
    )
    SELECT claimed.*, noted.id AS attempt_id FROM claimed JOIN noted ON true
""")
_ANSWERED = """
    WITH answered AS (
        UPDATE subscriber_attempt AS a SET finished_at = now(), status = :status, ms = :ms,
            answer = CASE WHEN m.state = 'waiting' THEN :answer END,
            error = CASE WHEN m.state = 'waiting' THEN :error END
        FROM subscriber_message AS m WHERE a.id = :attempt AND m.id = a.message_id
    )
"""
_ACCEPTED = text(f"""
    {_ANSWERED}, well AS (
        UPDATE subscriber SET failures = 0, pauses = 0, failing_since = NULL, not_before = NULL, accepted_at = now()
        WHERE id = :subscriber
    )
    UPDATE subscriber_message SET state = 'accepted', finished_at = now() WHERE id = :id AND state = 'waiting'
""")  # noqa: S608
_FAILED = text(f"""
    {_ANSWERED}
    UPDATE subscriber_message SET state = CAST(:state AS text),
        finished_at = CASE WHEN CAST(:state AS text) = 'dead' THEN now() END,
        next_at = now() + make_interval(secs => :pause)
    WHERE id = :id AND state = 'waiting'
""")  # noqa: S608
_FAILING = text("""
    SELECT count(*) FROM (SELECT FROM subscriber_message
                          WHERE subscriber_id = :id AND state = 'waiting' AND attempts > 0 LIMIT :most) AS f
""")
_HOLD_BACK = text("""
    UPDATE subscriber SET failures = failures + 1,
        failing_since = CASE WHEN CAST(:pauses AS integer) IS NULL THEN failing_since
                             ELSE coalesce(failing_since, now()) END,
        pauses = coalesce(CAST(:pauses AS integer), pauses),
        not_before = CASE WHEN CAST(:pauses AS integer) IS NULL THEN not_before
                          ELSE greatest(coalesce(not_before, '-infinity'), now() + make_interval(secs => :pause)) END
    WHERE id = :id RETURNING failing_since <= now() - CAST(:limit AS interval) AS too_long
""")
_GIVE_UP = text("UPDATE subscriber SET state = :state, reason = :reason WHERE id = :id AND state = 'active'")


@contextmanager
def _alone(engine: Engine, told: Subscriber) -> Iterator[Connection]:
    """The session that holds the subscriber's lock. Raises FlowBusy when somebody else has it."""
    name = f"subscriber:{told.id}"
    lock = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), signed=True)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as session:
        if not session.scalar(_TRY, {"lock": lock}):
            raise FlowBusy(SYSTEM, told.name)
        try:
            yield session
        finally:
            if not session.invalidated:
                session.execute(_UNLOCK, {"lock": lock})


def send(hub: Hub, name: str, *, manner: Manner | None = None, keys: Keys = own_key) -> Sent:
    """One turn for a subscriber: read the feed, send what is due, until nothing is or the turn is over.

    Raises FlowBusy when somebody else sends to it, UnknownName, and SettingsError for wrong networks.
    """
    with hub.engine.connect() as connection:
        told = find(connection, name)
    return _turn(hub, told, manner or Manner(), keys, only=None)


def send_message(
    hub: Hub, name: str, message_id: int, *, manner: Manner | None = None, keys: Keys = own_key
) -> Sent:
    """One attempt of one message, a ping say, also while the subscriber is paused. Raises as `send` does."""
    with hub.engine.connect() as connection:
        told = find(connection, name)
    return _turn(hub, told, manner or Manner(), keys, only=message_id)


def _turn(hub: Hub, told: Subscriber, manner: Manner, keys: Keys, *, only: int | None) -> Sent:
    sent = Sent(told.name)
    if told.state != "active" and only is None:
        return sent
    allowed = guard()
    with _alone(hub.engine, told) as session:
        try:
            secrets = signing_secrets(session, told.id, told.name, keys)
        except SecretUnreadable as error:
            with hub.engine.begin() as connection:
                pause(connection, told.name, str(error))
            raise
        with (
            Post(told.name, told.url, secrets, allowed, manner, at_once=told.at_once) as post,
            ThreadPoolExecutor(told.at_once, thread_name_prefix="webhook") as threads,
        ):
            turn = _Turn(hub, session, told, post, threads, manner, sent)
            if only is None:
                turn.run()
            else:
                turn.attempt_all([only])
    if sent.accepted or sent.failed:
        log.info("sent", **sent.as_dict())
    return sent


@dataclass(frozen=True, slots=True)
class _Claimed:
    """A message under way."""

    id: int
    attempt_id: int
    attempts: int
    late: bool
    ping: bool
    letter: Letter


class _Turn:
    """One sender's turn."""

    def __init__(
        self, hub: Hub, session: Connection, told: Subscriber, post: Post, threads: ThreadPoolExecutor, manner: Manner,
        sent: Sent,
    ) -> None:  # fmt: skip
        self._hub = hub
        self._session = session
        self._told = told
        self._post = post
        self._threads = threads
        self._manner = manner
        self._sent = sent
        self._pauses = told.pauses
        self._until = time.monotonic() + manner.turn
        self._held = False

    def run(self) -> None:
        """Until nothing is due, the turn is over, or the subscriber is held back."""
        while True:
            now = find_by_id(self._session, self._told.id)
            if now is None or now.state != "active":
                return
            held = self._session.scalar(_HELD, {"id": now.id})
            if held is not None:
                self._sent.next_in = float(held)
                return
            if self._over():
                self._sent.next_in = 0.0
                return
            self._pauses, self._held = now.pauses, False
            read = self._refill(now)
            # a receiver that was away is asked with one message first
            due = list(self._session.scalars(_DUE, {"id": now.id, "limit": 1 if now.pauses else BATCH}))
            if due:
                self.attempt_all(due)
            elif not read:
                self._sent.next_in = self._nothing_due(now)
                return

    def _over(self) -> bool:
        return self._hub.stopping.is_set() or time.monotonic() >= self._until

    def _refill(self, told: Subscriber) -> int:
        waiting = self._session.scalar(_WAITING, {"id": told.id, "most": ENOUGH})
        if waiting == ENOUGH:
            return 0
        with self._hub.engine.begin() as connection:
            below = horizon(connection)
        with self._hub.engine.begin() as connection:
            rows, made = store_round(connection, told, below=below)
        self._sent.messages += made
        return rows

    def _nothing_due(self, told: Subscriber) -> float | None:
        after = self._session.scalar(_NEXT, {"id": told.id})
        seconds = None if after is None else max(float(after), 0.05)
        if waits_above(self._session, told):
            return BLOCKED if seconds is None else min(seconds, BLOCKED)
        return seconds

    def attempt_all(self, ids: list[int]) -> None:
        """Attempt these messages, some at once; none is begun when the turn is over or the subscriber held back."""
        queue, flying = deque(ids), dict[Future[Answer], _Claimed]()
        while flying or (queue and not self._halted()):
            while queue and len(flying) < self._told.at_once and not self._halted():
                claimed = self._claim(queue.popleft())
                if claimed is not None:
                    flying[self._threads.submit(self._post.send, claimed.letter)] = claimed
            done, _ = wait(flying, return_when=FIRST_COMPLETED)
            for one in done:
                self._note(flying.pop(one), one.result())

    def _halted(self) -> bool:
        return self._held or self._over()

    def _claim(self, message_id: int) -> _Claimed | None:
        row = self._session.execute(_CLAIM, {"id": message_id, "limit": self._manner.limit}).one_or_none()
        if row is None:  # paused, removed, forgotten, or its entity is gone
            return None
        if row.entity_id is None:
            body = ping_body(self._told.name, row.changed_at)
        else:
            body = body_of(
                row.kind, row.key, row.version, changed_at=row.changed_at, deleted=row.deleted, content=row.content
            )  # fmt: skip
        return _Claimed(
            row.id, row.attempt_id, row.attempts, row.late, row.entity_id is None, Letter(row.event_id, body)
        )

    def _note(self, claimed: _Claimed, answer: Answer) -> None:
        values = {
            "id": claimed.id, "attempt": claimed.attempt_id, "status": answer.status, "ms": answer.ms,
            "answer": answer.excerpt, "error": answer.error,
        }  # fmt: skip
        if answer.accepted:
            self._session.execute(_ACCEPTED, {**values, "subscriber": self._told.id})
            self._sent.accepted += 1
            return
        self._sent.failed += 1
        if claimed.ping:  # a question, not a message: asked once, whatever the answer
            self._session.execute(_FAILED, {**values, "state": "dead", "pause": 0.0})
            return
        pause = self._hold_back(answer)
        own = self._manner.pause(claimed.attempts, whole=False, after=answer.after)
        given_up = claimed.late and claimed.attempts >= self._manner.least and self._still_active()
        self._sent.dead += given_up
        self._session.execute(
            _FAILED,
            {**values, "state": "dead" if given_up else "waiting", "pause": own if pause is None else pause},
        )

    def _still_active(self) -> bool:
        """A subscriber that was given up, or is gone, keeps its messages for the day it comes back."""
        now = find_by_id(self._session, self._told.id)
        return now is not None and now.state == "active"

    def _hold_back(self, answer: Answer) -> float | None:
        """Count the failure; hold the subscriber back where it is not the message's fault. Gives the pause."""
        if answer.gone:
            self._held = True
            self._end("paused", "HTTP 410: 受信側が購読を終了しました / the receiver wants no more messages")
            return 0.0
        whole = answer.of_the_place or self._all_fail()
        pause = None
        if whole:
            # what was under way when the first one failed tells nothing new
            self._pauses += not self._held
            self._held = True
            pause = self._manner.pause(self._pauses, whole=True, after=answer.after)
        row = self._session.execute(
            _HOLD_BACK,
            {
                "id": self._told.id, "pauses": self._pauses if whole else None, "pause": pause or 0.0,
                "limit": self._manner.limit,
            },
        ).one_or_none()  # fmt: skip
        if row is not None and row.too_long and whole and self._pauses >= self._manner.least:
            days = self._manner.limit / timedelta(days=1)
            said = answer.error or f"HTTP {answer.status}"
            self._end(
                "given_up", f"{days:g} 日間失敗が続きました / failed for {days:g} days, the last: {said}"
            )
        return pause

    def _all_fail(self) -> bool:
        now = find_by_id(self._session, self._told.id)
        if now is None or now.failures + 1 < self._manner.in_a_row:
            return False
        failing = self._session.scalar(_FAILING, {"id": now.id, "most": self._manner.in_a_row})
        return bool(failing == self._manner.in_a_row)

    def _end(self, state: str, reason: str) -> None:
        self._session.execute(_GIVE_UP, {"id": self._told.id, "state": state, "reason": reason})
        log.warning("ended", subscriber=self._told.name, state=state, reason=reason)
