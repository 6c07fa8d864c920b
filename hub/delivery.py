"""Deliveries: one stored batch for one sink. Sent, retried with the same key, and remembered change by change."""

from __future__ import annotations

import time
from collections import Counter as Counts
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import orjson
from sqlalchemy import Connection, Engine, text

from connectors.contract import (
    Batch,
    Call,
    Change,
    Misconfigured,
    Outcome,
    Refused,
    Retry,
    Sink,
    Verdict,
    Write,
)
from hub.budget import PASSED_OVER, AccountLane
from hub.logs import mask
from hub.progress import Counter
from hub.quarantine import Refusal, put_refusals, resolve_outgoing
from hub.reports import PushReport
from hub.store.database import reading

__all__ = ["MAX_ATTEMPTS", "Sender"]

MAX_ATTEMPTS = 8
"""Attempts after which what is still unsettled goes to quarantine."""
LOOK = 0.02
"""Seconds between two looks for what became urgent, while the account's budget has no turn for this run."""


@dataclass(frozen=True, slots=True)
class _Pending:
    n: int
    entity_id: int
    entity_version: int
    hash: bytes
    change: Change


class Sender:
    """Sends the open deliveries of one flow, each once, oldest first.

    A delivery that is not settled does not hold back the ones behind it, unless they carry a newer value of one of
    its keys: those wait, so that an old value never overwrites a new one.

    Before each, those marked as urgent are sent, also when they were stored only after this began: an urgent change
    overtakes a long push that is under way, whoever runs it. Calls are what an account has few of: an urgent one
    carries all urgent changes that fit into a batch and takes along so many of the others as still do, and the places
    that those left empty are filled from behind. So what a call carries is decided when the account's budget has a turn
    for it.
    """

    def __init__(
        self,
        engine: Engine,
        call: Call[Any],
        sink: Sink,
        *,
        flow: str,
        mapping: str,
        kind: str,
        report: PushReport,
        counter: Counter,
        lane: AccountLane,
        queue_urgent: Callable[[], None],
        stopping: Callable[[], bool] = bool,
    ) -> None:
        self._engine = engine
        self._call = call
        self._sink = sink
        self._names = _Names(call.system, flow, mapping, kind, sink.write is Write.ABSOLUTE)
        self._report = report
        self._counter = counter
        self._lane = lane
        self._queue_urgent = queue_urgent
        self._stopping = stopping
        self._tried: set[int] = set()
        """Of those that are still open."""
        self._unsettled: list[Retry] = []
        self._time_passed = False
        """Since the caller looked at the feed: more may have become urgent."""

    def send_open(self, *, more_follows: bool = False) -> int:
        """Send what is stored and was not tried yet; returns how many deliveries that was. Raises what the sink raised.

        `more_follows`: a last one that is not full is left, to be filled. What a sink only settled in part is raised by
        `finish`, after everything else had its turn.
        """
        if self._counter.watched:
            with reading(self._engine) as connection:
                self._counter.expect(connection.scalar(_UNSETTLED, self._next_names(False)) or 0)
        tried = 0
        while (delivery_id := self._after_the_urgent(more_follows)) is not None:
            tried += 1
            self._tried.add(delivery_id)
            if not (self._unsettled and self._held_back(delivery_id)):
                self._send(delivery_id)
        return tried

    def _next(self, more_follows: bool) -> int | None:
        with reading(self._engine) as connection:
            found: int | None = connection.scalar(_NEXT, self._next_names(more_follows))
        return found

    def _next_names(self, more_follows: bool) -> dict[str, Any]:
        batch = self._sink.batch_size if more_follows else 0
        return {**self._names.flow_names, "tried": sorted(self._tried), "batch": batch}

    def _after_the_urgent(self, more_follows: bool) -> int | None:
        """The next delivery, when all that is urgent is sent and the account has a turn for it; None when none is left.

        Raises Retry when the process is to end. Where nothing may overtake, and for a turn far away, waiting is left to
        the call itself.
        """
        until = time.monotonic() + PASSED_OVER
        while True:
            if self._stopping():
                raise Retry("this process is to end; the next run goes on", after=timedelta(0))
            self.send_urgent()
            delivery_id = self._next(more_follows)
            if delivery_id is None or not self._names.absolute:
                return delivery_id
            wait = self._lane.wait()
            if not 0 < wait <= PASSED_OVER or time.monotonic() > until:
                return delivery_id
            self._sleep(min(wait, LOOK))

    def _sleep(self, seconds: float) -> None:
        time.sleep(seconds)
        self._time_passed = True

    def _held_back(self, delivery_id: int) -> bool:
        """Whether an older delivery still carries a value of one of its keys."""
        with reading(self._engine) as connection:
            return bool(connection.scalar(_BEHIND, {**self._names.flow_names, "delivery": delivery_id}))

    def send_urgent(self) -> int:
        """Send only what is marked as urgent and was not tried yet, with what it takes along; returns how many
        deliveries that was. Raises as `send_open`.
        """
        if not self._names.absolute:
            return 0
        sent = 0
        if self._time_passed:
            self._queue_urgent()
        while (delivery_id := self._next_urgent()) is not None:
            with self._lane.urgently():
                if 0 < (wait := self._lane.wait()) <= PASSED_OVER:
                    self._sleep(wait)
                    self._queue_urgent()
                self._tried.add(delivery_id)
                self._send(delivery_id, urgent=True)
            sent += 1
        return sent

    def _next_urgent(self) -> int | None:
        with reading(self._engine) as connection:
            names = {**self._names.flow_names, "tried": sorted(self._tried)}
            found: int | None = connection.scalar(_URGENT, names)
        return found

    def finish(self) -> None:
        """Raise `Retry` if something is left to be sent later."""
        if self._unsettled:
            waits = [error.after for error in self._unsettled if error.after is not None]
            reasons = dict.fromkeys(str(error) for error in self._unsettled)
            raise Retry("; ".join(list(reasons)[:3]), after=max(waits, default=None))

    def _send(self, delivery_id: int, *, urgent: bool = False) -> None:
        names = {**self._names.flow_names, "delivery": delivery_id}
        with self._engine.begin() as connection:
            if urgent:
                # Only absolute writes are ever urgent, and one process sends at a time: what was tried before is
                # overwritten, and what was not need not be sent any more.
                connection.execute(_OVERTAKE, names)
            if self._names.absolute:
                connection.execute(_TAKE_ALONG, {**names, "batch": self._sink.batch_size, "urgent": urgent})
            begun = _begin(connection, delivery_id)
        if begun is None:
            self._tried.discard(delivery_id)
            return
        key, attempt, pending = begun
        batch = Batch([p.change for p in pending], idempotency_key=key, attempt=attempt)
        outcomes: dict[str, Outcome] = {}
        error: Exception | None = None
        self._time_passed = True
        try:
            self._run(batch, outcomes)
        except Exception as raised:  # noqa: BLE001  (recorded with the attempt, then raised again)
            error = raised
        with self._engine.begin() as connection:
            tried = _Attempt(delivery_id, attempt, pending, outcomes, error)
            settled = _record(connection, self._names, tried, self._report)
        self._counter.add(len(pending))
        if error is not None and not isinstance(error, Refused):
            raise error
        if settled:
            self._tried.discard(delivery_id)
        else:
            after = max((o.after for o in outcomes.values() if o.after is not None), default=None)
            reasons = sorted({o.reason for o in outcomes.values() if o.verdict is Verdict.RETRY and o.reason})
            why = "; ".join(reasons[:3]) or "the sink settled only a part of the batch"
            self._unsettled.append(Retry(why, after=after))

    def _run(self, batch: Batch, outcomes: dict[str, Outcome]) -> None:
        """Call the sink; `outcomes` has what it said even if it then raises."""
        if batch.attempt > 1 and self._sink.ask is not None:
            _collect(self._sink.ask(self._call, batch), batch, outcomes)
        left = [change for change in batch if change.key not in outcomes]
        if left:
            # the same batch with the same key, unless the other side said it has some of it
            whole = len(left) == len(batch)
            rest = batch if whole else Batch(left, f"{batch.idempotency_key}.{batch.attempt}", batch.attempt)
            _collect(self._sink.run(self._call, rest), rest, outcomes)


@dataclass(frozen=True, slots=True)
class _Names:
    system: str
    flow: str
    mapping: str
    kind: str
    absolute: bool

    @property
    def flow_names(self) -> dict[str, str]:
        return {"system": self.system, "flow": self.flow}


@dataclass(frozen=True, slots=True)
class _Attempt:
    delivery_id: int
    number: int
    pending: Sequence[_Pending]
    outcomes: Mapping[str, Outcome]
    error: Exception | None

    def final(self) -> dict[str, Outcome]:
        """The changes that are settled now, for good or bad."""
        final = {k: o for k, o in self.outcomes.items() if o.verdict is not Verdict.RETRY}
        open_keys = [p.change.key for p in self.pending if p.change.key not in final]
        if isinstance(self.error, Refused):
            return final | {k: Outcome.refused(k, str(self.error), code=self.error.code) for k in open_keys}
        if self.number >= MAX_ATTEMPTS and not isinstance(self.error, Misconfigured):
            why = str(self.error) if self.error else "no answer"
            said = {k: self.outcomes[k].reason for k in open_keys if k in self.outcomes}
            return final | {k: Outcome.refused(k, said.get(k) or why, code="attempts") for k in open_keys}
        return final


# `batch` above 0: without a last one that holds fewer and was not tried.
_TO_SEND = """
    SELECT {} FROM delivery AS d
    WHERE d.system = :system AND d.flow = :flow AND d.finished_at IS NULL AND d.id <> ALL(CAST(:tried AS bigint[]))
      AND NOT (d.attempts = 0 AND NOT d.urgent
        AND :batch > (SELECT count(*) FROM delivery_change AS c WHERE c.delivery_id = d.id AND c.verdict IS NULL)
        AND NOT EXISTS (SELECT FROM delivery AS later WHERE later.system = :system AND later.flow = :flow
                        AND later.finished_at IS NULL AND NOT later.urgent AND later.id > d.id))
"""
_NEXT = text(_TO_SEND.format("d.id") + "ORDER BY d.id LIMIT 1")
_UNSETTLED = text(
    _TO_SEND.format(
        "sum((SELECT count(*) FROM delivery_change AS c WHERE c.delivery_id = d.id AND c.verdict IS NULL))::bigint"
    )
)
_BEHIND = text("""
    SELECT EXISTS (
        SELECT 1 FROM delivery AS d
        JOIN delivery_change AS older ON older.delivery_id = d.id AND older.verdict IS NULL
        JOIN delivery_change AS mine ON mine.key = older.key AND mine.delivery_id = :delivery
        WHERE d.system = :system AND d.flow = :flow AND d.finished_at IS NULL AND d.id < :delivery
    )
""")


_URGENT = text("""
    SELECT id FROM delivery WHERE system = :system AND flow = :flow AND finished_at IS NULL AND urgent
        AND id <> ALL(CAST(:tried AS bigint[])) ORDER BY id LIMIT 1
""")
# The keys as an array: joined, the planner may read all deliveries there ever were.
_OVERTAKE = text("""
    UPDATE delivery_change AS older SET verdict = 'superseded'
    WHERE older.delivery_id = ANY(ARRAY(
        SELECT id FROM delivery
        WHERE system = :system AND flow = :flow AND finished_at IS NULL AND id < :delivery
    )) AND older.verdict IS NULL AND older.key = ANY(ARRAY(
        SELECT key FROM delivery_change WHERE delivery_id = :delivery AND verdict IS NULL
    ))
""")
# As many as make a batch of `batch`. Where there is no room, nothing behind it is read. For an urgent one the other
# urgent ones, the oldest first; their older values, which would follow them, are given up. Then from the last of the
# others, so that those in between stay full; never past an older value of the same key, and nothing of a batch that the
# other side may have seen.
_TAKE_ALONG = text("""
    WITH mine AS MATERIALIZED (
        SELECT c.n, c.key, c.verdict IS NULL AS open
        FROM delivery_change AS c JOIN delivery AS d ON d.id = c.delivery_id
        WHERE d.id = :delivery AND d.attempts = 0
    ), room AS MATERIALIZED (
        SELECT greatest(:batch - count(*), 0) * (count(*) > 0)::int AS places FROM mine WHERE open
    ), open AS MATERIALIZED (
        SELECT c.delivery_id, c.n, c.key, d.urgent, d.attempts > 0 OR c.deleted AS fixed,
               row_number() OVER (PARTITION BY c.key, d.urgent ORDER BY c.delivery_id) AS age,
               bool_or(d.urgent) OVER (PARTITION BY c.key) AS urgent_too
        FROM delivery AS d JOIN delivery_change AS c ON c.delivery_id = d.id
        WHERE d.system = :system AND d.flow = :flow AND d.finished_at IS NULL AND c.verdict IS NULL
          AND (SELECT places FROM room) > 0
    ), taken AS MATERIALIZED (
        SELECT delivery_id, n, key, urgent, row_number() OVER (ORDER BY urgent DESC, delivery_id, n) AS place FROM (
            SELECT delivery_id, n, key, urgent FROM open
            WHERE NOT fixed AND age = 1 AND urgent_too = urgent AND (:urgent OR NOT urgent)
              AND delivery_id <> :delivery AND key NOT IN (SELECT key FROM mine)
            ORDER BY urgent DESC, CASE WHEN urgent THEN -delivery_id ELSE delivery_id END DESC, n DESC
            LIMIT (SELECT places FROM room)
        ) AS first
    ), given_up AS (
        UPDATE delivery_change AS older SET verdict = 'superseded'
        FROM taken JOIN open ON open.key = taken.key AND open.delivery_id < taken.delivery_id
        WHERE taken.urgent AND older.delivery_id = open.delivery_id AND older.n = open.n
    ), emptied AS (
        UPDATE delivery SET state = 'done', finished_at = now() WHERE id = ANY(ARRAY(
            SELECT delivery_id FROM open LEFT JOIN taken USING (delivery_id, n) GROUP BY delivery_id
            HAVING count(*) = count(taken.n)
        ))
    )
    UPDATE delivery_change AS c SET delivery_id = :delivery, n = (SELECT max(n) FROM mine) + taken.place
    FROM taken WHERE c.delivery_id = taken.delivery_id AND c.n = taken.n
""")
_HOLD = text("SELECT FROM delivery WHERE id = :delivery FOR UPDATE")
_BEGIN = text("""
    WITH mine AS MATERIALIZED (
        SELECT n, key, entity_id, entity_version, hash, record, previous, external_id, deleted, verdict
        FROM delivery_change WHERE delivery_id = :delivery
    ), here AS (
        SELECT count(*) AS changes, count(*) FILTER (WHERE verdict IS NULL) AS pending FROM mine
    ), begun AS (
        UPDATE delivery SET state = CASE WHEN here.pending > 0 THEN 'sending' ELSE 'done' END,
                            attempts = attempts + (here.pending > 0)::int,
                            finished_at = CASE WHEN here.pending > 0 THEN NULL ELSE now() END
        FROM here WHERE id = :delivery AND finished_at IS NULL RETURNING idempotency_key, attempts
    ), tried AS (
        INSERT INTO delivery_attempt (delivery_id, attempt)
        SELECT :delivery, attempts FROM begun, here WHERE here.pending > 0
    )
    SELECT begun.idempotency_key, begun.attempts, here.changes, mine.* FROM begun, here, mine
    WHERE mine.verdict IS NULL ORDER BY mine.n
""")


def _collect(said: Iterable[Outcome], batch: Batch, outcomes: dict[str, Outcome]) -> None:
    known = {change.key for change in batch}
    for outcome in said:
        if outcome.key not in known:
            raise Misconfigured(f"the sink answered for {outcome.key!r}, which it was not given")
        outcomes[outcome.key] = outcome


def _begin(connection: Connection, delivery_id: int) -> tuple[str, int, list[_Pending]] | None:
    """The key, the number of this attempt and what is left to send; None where nothing is."""
    # in a statement of its own: only a later one sees what others settled while this one waited
    connection.execute(_HOLD, {"delivery": delivery_id})
    rows = connection.execute(_BEGIN, {"delivery": delivery_id}).all()
    if not rows:
        return None
    pending = [
        _Pending(
            r.n, r.entity_id, r.entity_version, bytes(r.hash),
            Change(r.key, r.record, r.entity_version, r.previous, r.external_id, r.deleted),
        )
        for r in rows
    ]  # fmt: skip
    first = rows[0]
    whole = len(pending) == first.changes
    key = first.idempotency_key if whole else f"{first.idempotency_key}.rest{len(pending)}"
    return key, first.attempts, pending


# What became of each change, all in one: the change, the ledger, the other side's ids, the attempt, the delivery.
_RECORD = text("""
    WITH said AS (
        SELECT * FROM unnest(CAST(:keys AS text[]), CAST(:verdicts AS text[]), CAST(:reasons AS text[]),
                             CAST(:codes AS text[]), CAST(:ids AS text[]), CAST(:versions AS text[]))
                      AS o(key, verdict, reason, code, external_id, external_version)
    ), settled AS (
        UPDATE delivery_change AS c
        SET verdict = o.verdict, reason = o.reason, code = o.code, external_id = o.external_id
        FROM said AS o WHERE c.delivery_id = :delivery AND c.key = o.key AND c.verdict IS NULL
        RETURNING c.key, c.entity_id, c.entity_version, c.hash, c.record, c.deleted, o.verdict, o.external_id,
                  o.external_version
    ), accepted AS (
        INSERT INTO ledger (system, flow, key, entity_id, entity_version, hash, record, external_id, external_version,
                            delivery_id)
        SELECT :system, :flow, key, entity_id, entity_version, hash, record, external_id, external_version, :delivery
        FROM settled WHERE verdict = 'done' AND NOT deleted
        ON CONFLICT (system, flow, key) DO UPDATE
            SET entity_id = excluded.entity_id, entity_version = excluded.entity_version, hash = excluded.hash,
                record = excluded.record, external_id = coalesce(excluded.external_id, ledger.external_id),
                external_version = excluded.external_version, delivery_id = excluded.delivery_id, accepted_at = now()
    ), referred AS (
        INSERT INTO cross_reference AS x (system, kind, external_id, entity_id)
        SELECT DISTINCT ON (external_id) :system, :kind, external_id, entity_id FROM settled
        WHERE verdict = 'done' AND external_id IS NOT NULL
        ON CONFLICT (system, kind, external_id) DO UPDATE SET entity_id = excluded.entity_id
            WHERE x.entity_id <> excluded.entity_id
    ), tried AS (
        UPDATE delivery_attempt SET finished_at = now(), counts = CAST(:counts AS jsonb), error = :error,
                                    outcome = :outcome
        WHERE delivery_id = :delivery AND attempt = :attempt
    )
    UPDATE delivery SET state = 'done', finished_at = now() WHERE id = :delivery AND finished_at IS NULL
        AND (SELECT count(*) FROM delivery_change WHERE delivery_id = :delivery AND verdict IS NULL)
            = (SELECT count(*) FROM settled)  -- this statement sees as open what it settles
""")
_GIVE_UP = text(
    "DELETE FROM ledger WHERE system = :system AND flow = :flow AND key = ANY(CAST(:keys AS text[]))"
)


_OVERTAKEN = text("""
    SELECT ARRAY(
        SELECT c.key FROM delivery_change AS c WHERE c.delivery_id = d.id AND c.key = ANY(CAST(:keys AS text[]))
            AND (c.verdict IS NOT NULL OR d.attempts <> :attempt)
    ) AS overtaken, EXISTS (
        SELECT FROM quarantine WHERE system = :system AND flow = :flow AND mapping = :mapping AND state = 'open'
    ) AS refused_before
    FROM (SELECT id, attempts FROM delivery WHERE id = :delivery FOR UPDATE) AS d
""")
_ONCE_MORE = text("""
    WITH known AS (
        SELECT l.* FROM ledger AS l
        WHERE l.system = :system AND l.flow = :flow AND l.key = ANY(:keys) AND NOT EXISTS (
            SELECT FROM delivery AS d JOIN delivery_change AS c ON c.delivery_id = d.id
            WHERE d.system = :system AND d.flow = :flow AND d.finished_at IS NULL
              AND c.key = l.key AND c.verdict IS NULL)
    ), made AS (
        INSERT INTO delivery (system, flow, idempotency_key)
        SELECT :system, :flow, replace(gen_random_uuid()::text, '-', '') WHERE EXISTS (SELECT FROM known) RETURNING id
    )
    INSERT INTO delivery_change (delivery_id, n, key, entity_id, entity_version, hash, record, previous)
    SELECT made.id, row_number() OVER (ORDER BY k.key) - 1, k.key, k.entity_id, k.entity_version, k.hash, k.record,
           k.record
    FROM known AS k CROSS JOIN made
""")


def _overtaken(connection: Connection, names: _Names, tried: _Attempt) -> tuple[set[str], bool]:
    """Changes that somebody else has taken up since: we lost the flow without noticing (the database crashed and forgot
    who holds it), and went on; and whether anything of the flow lies in quarantine.

    What we sent may have come behind what they sent. Their word counts, ours is not written down; and where nothing
    newer is on its way, what they had accepted is sent once more, so that it is the last to come.
    """
    keys = [p.change.key for p in tried.pending]
    values = {
        **names.flow_names, "mapping": names.mapping, "delivery": tried.delivery_id, "attempt": tried.number,
        "keys": keys,
    }  # fmt: skip
    row = connection.execute(_OVERTAKEN, values).one()
    found = set(row.overtaken)
    if found and names.absolute:
        connection.execute(_ONCE_MORE, {**names.flow_names, "keys": sorted(found)})
    return found, row.refused_before


def _record(connection: Connection, names: _Names, tried: _Attempt, report: PushReport) -> bool:
    """Write down what became of each change. Returns whether the delivery is finished."""
    by_key = {p.change.key: p for p in tried.pending}
    overtaken, refused_before = _overtaken(connection, names, tried)
    final = {key: outcome for key, outcome in tried.final().items() if key not in overtaken}
    done = [o for o in final.values() if o.verdict is Verdict.DONE]
    refused = [o for o in final.values() if o.verdict is Verdict.REFUSED]
    left = len(tried.pending) - len(final) - len(overtaken)
    _settle(connection, names, tried, list(final.values()), len(overtaken), left)
    if gone := [o.key for o in done if by_key[o.key].change.deleted]:
        connection.execute(_GIVE_UP, {**names.flow_names, "keys": gone})
    if done and refused_before:
        resolve_outgoing(
            connection,
            **names.flow_names,
            mapping=names.mapping,
            stage="send",
            subjects=[o.key for o in done],
        )
    put_refusals(connection, [_refusal(names, tried.delivery_id, by_key[o.key], o) for o in refused])
    report.sent += len(tried.pending)
    report.done += len(done)
    report.refused += len(refused)
    report.retry += left
    report.notes.extend(f"{o.key}: {note}" for o in tried.outcomes.values() for note in o.notes)
    return left == 0


def _settle(
    connection: Connection,
    names: _Names,
    tried: _Attempt,
    final: Sequence[Outcome],
    overtaken: int,
    left: int,
) -> None:
    error = tried.error
    settled = Counts(o.verdict for o in final)
    counts = {
        "changes": len(tried.pending), "done": settled[Verdict.DONE], "refused": settled[Verdict.REFUSED],
        "left": left,
    }  # fmt: skip
    connection.execute(
        _RECORD,
        {
            **names.flow_names,
            "kind": names.kind,
            "delivery": tried.delivery_id,
            "attempt": tried.number,
            "keys": [o.key for o in final],
            "verdicts": [o.verdict.value for o in final],
            "reasons": [o.reason for o in final],
            "codes": [o.code for o in final],
            "ids": [o.external_id for o in final],
            "versions": [o.external_version for o in final],
            "counts": orjson.dumps(counts).decode(),
            "error": None if error is None else mask("", str(error))[:2000],
            "outcome": "overtaken" if overtaken else "done" if not left
            else "retry" if error is None else type(error).__name__.lower(),
        },
    )  # fmt: skip


def _refusal(names: _Names, delivery_id: int, pending: _Pending, outcome: Outcome) -> Refusal:
    reason = outcome.reason or "refused without a reason"
    if outcome.code == "attempts":
        ja = f"{MAX_ATTEMPTS} 回送っても受け付けられませんでした: {reason}"
        en = f"not accepted after {MAX_ATTEMPTS} attempts: {reason}"
    else:
        ja, en = f"相手システムが拒否しました: {reason}", f"the other system refused: {reason}"
    return Refusal.of_change(
        names.system, names.flow, names.mapping, key=outcome.key, code=outcome.code or "refused", reason_ja=ja,
        reason_en=en, entity_id=pending.entity_id, delivery_id=delivery_id, record=pending.change.record,
    )  # fmt: skip
