"""Deliveries: one stored batch for one sink. Sent, retried with the same key, and remembered change by change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, func, insert, select, text, update

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
)
from hub.quarantine import Refusal, put_refusals, resolve_outgoing
from hub.reports import PushReport
from hub.store.tables import delivery, delivery_attempt, delivery_change

__all__ = ["MAX_ATTEMPTS", "open_deliveries", "send"]

MAX_ATTEMPTS = 8
"""Attempts after which what is still unsettled goes to quarantine."""


@dataclass(frozen=True, slots=True)
class _Pending:
    n: int
    entity_id: int
    entity_version: int
    hash: bytes
    change: Change


def open_deliveries(connection: Connection, system: str, flow: str) -> list[int]:
    """Deliveries not finished, oldest first."""
    rows = connection.scalars(
        select(delivery.c.id)
        .where(delivery.c.system == system, delivery.c.flow == flow, delivery.c.finished_at.is_(None))
        .order_by(delivery.c.id)
    )
    return list(rows)


def send(
    engine: Engine, call: Call[Any], sink: Sink, *, delivery_id: int, flow: str, mapping: str, kind: str,
    report: PushReport,
) -> None:  # fmt: skip
    """Hand one stored delivery to its sink and record every outcome.

    Raises `Retry` when something is left to be sent later, and whatever the sink raised of the other two errors.
    """
    with engine.begin() as connection:
        key, attempt, pending = _begin(connection, delivery_id)
    batch = Batch([p.change for p in pending], idempotency_key=key, attempt=attempt)
    outcomes: dict[str, Outcome] = {}
    error: Exception | None = None
    try:
        if attempt > 1 and sink.ask is not None:
            outcomes.update(_by_key(sink.ask(call, batch), batch))
        left = [change for change in batch if change.key not in outcomes]
        if left:
            # the same batch with the same key, unless the other side said it has some of it
            rest = batch if len(left) == len(batch) else Batch(left, f"{key}.{attempt}", attempt)
            outcomes.update(_by_key(sink.run(call, rest), rest))
    except Exception as raised:  # noqa: BLE001  (recorded with the attempt, then raised again)
        error = raised
    with engine.begin() as connection:
        settled = _record(
            connection,
            call.system,
            flow,
            mapping,
            kind,
            delivery_id,
            attempt,
            pending,
            outcomes,
            error,
            report,
        )
    if error is not None and not isinstance(error, Refused):
        raise error
    if not settled:
        after = max((o.after for o in outcomes.values() if o.after is not None), default=None)
        reasons = sorted({o.reason for o in outcomes.values() if o.verdict is Verdict.RETRY and o.reason})
        raise Retry("; ".join(reasons[:3]) or "the sink settled only a part of the batch", after=after)


def _by_key(outcomes: Any, batch: Batch) -> dict[str, Outcome]:
    known = {change.key for change in batch}
    result: dict[str, Outcome] = {}
    for outcome in outcomes:
        if outcome.key not in known:
            raise Misconfigured(f"the sink answered for {outcome.key!r}, which it was not given")
        result[outcome.key] = outcome
    return result


def _begin(connection: Connection, delivery_id: int) -> tuple[str, int, list[_Pending]]:
    row = connection.execute(
        update(delivery)
        .where(delivery.c.id == delivery_id)
        .values(state="sending", attempts=delivery.c.attempts + 1)
        .returning(delivery.c.idempotency_key, delivery.c.attempts)
    ).one()
    connection.execute(insert(delivery_attempt).values(delivery_id=delivery_id, attempt=row.attempts))
    rows = connection.execute(
        select(delivery_change)
        .where(delivery_change.c.delivery_id == delivery_id, delivery_change.c.verdict.is_(None))
        .order_by(delivery_change.c.n)
    )
    pending = [
        _Pending(
            r.n, r.entity_id, r.entity_version, bytes(r.hash),
            Change(r.key, r.record, r.entity_version, r.previous, r.external_id, r.deleted),
        )
        for r in rows
    ]  # fmt: skip
    whole = connection.scalar(
        select(func.count()).select_from(delivery_change).where(delivery_change.c.delivery_id == delivery_id)
    )
    key = row.idempotency_key if len(pending) == whole else f"{row.idempotency_key}.rest{len(pending)}"
    return key, row.attempts, pending


_ACCEPT = text("""
    INSERT INTO ledger (system, flow, key, entity_id, entity_version, hash, record, external_id, external_version,
                        delivery_id)
    SELECT :system, :flow, c.key, c.entity_id, c.entity_version, c.hash, c.record, o.external_id, o.external_version,
           c.delivery_id
    FROM delivery_change AS c
    JOIN unnest(CAST(:keys AS text[]), CAST(:ids AS text[]), CAST(:versions AS text[]))
         AS o(key, external_id, external_version) ON o.key = c.key
    WHERE c.delivery_id = :delivery
    ON CONFLICT (system, flow, key) DO UPDATE
        SET entity_id = excluded.entity_id, entity_version = excluded.entity_version, hash = excluded.hash,
            record = excluded.record, external_id = coalesce(excluded.external_id, ledger.external_id),
            external_version = excluded.external_version, delivery_id = excluded.delivery_id, accepted_at = now()
""")
_REFER = text("""
    INSERT INTO cross_reference AS x (system, kind, external_id, entity_id)
    SELECT DISTINCT ON (o.external_id) :system, :kind, o.external_id, c.entity_id
    FROM delivery_change AS c
    JOIN unnest(CAST(:keys AS text[]), CAST(:ids AS text[])) AS o(key, external_id) ON o.key = c.key
    WHERE c.delivery_id = :delivery AND o.external_id IS NOT NULL
    ON CONFLICT (system, kind, external_id) DO UPDATE SET entity_id = excluded.entity_id
        WHERE x.entity_id <> excluded.entity_id
""")
_SETTLE = text("""
    UPDATE delivery_change AS c
    SET verdict = o.verdict, reason = o.reason, code = o.code, external_id = o.external_id
    FROM unnest(CAST(:keys AS text[]), CAST(:verdicts AS text[]), CAST(:reasons AS text[]), CAST(:codes AS text[]),
                CAST(:ids AS text[])) AS o(key, verdict, reason, code, external_id)
    WHERE c.delivery_id = :delivery AND c.key = o.key AND c.verdict IS NULL
""")


def _record(
    connection: Connection, system: str, flow: str, mapping: str, kind: str, delivery_id: int, attempt: int,
    pending: Sequence[_Pending], outcomes: Mapping[str, Outcome], error: Exception | None, report: PushReport,
) -> bool:  # fmt: skip
    """Write down what became of each change. Returns whether the delivery is finished."""
    by_key = {p.change.key: p for p in pending}
    final = {k: o for k, o in outcomes.items() if o.verdict is not Verdict.RETRY}
    if isinstance(error, Refused):
        final |= {k: Outcome.refused(k, str(error), code=error.code) for k in by_key if k not in final}
    elif attempt >= MAX_ATTEMPTS and not isinstance(error, Misconfigured):
        why = str(error) if error else "no answer"
        final |= {
            k: Outcome.refused(k, outcomes[k].reason or why if k in outcomes else why, code="attempts")
            for k in by_key
            if k not in final
        }
    done = [o for o in final.values() if o.verdict is Verdict.DONE]
    refused = [o for o in final.values() if o.verdict is Verdict.REFUSED]
    names = {"system": system, "flow": flow, "kind": kind, "delivery": delivery_id}
    if done:
        columns = {
            "keys": [o.key for o in done],
            "ids": [o.external_id for o in done],
            "versions": [o.external_version for o in done],
        }
        connection.execute(_ACCEPT, {**names, **columns})
        connection.execute(_REFER, {**names, **columns})
        resolve_outgoing(
            connection, system=system, flow=flow, mapping=mapping, stage="send", subjects=columns["keys"]
        )
    if final:
        connection.execute(
            _SETTLE,
            {
                "delivery": delivery_id,
                "keys": [o.key for o in final.values()],
                "verdicts": [o.verdict.value for o in final.values()],
                "reasons": [o.reason for o in final.values()],
                "codes": [o.code for o in final.values()],
                "ids": [o.external_id for o in final.values()],
            },
        )
    put_refusals(
        connection, [_refusal(system, flow, mapping, delivery_id, by_key[o.key], o) for o in refused]
    )
    left = len(pending) - len(final)
    counts = {"changes": len(pending), "done": len(done), "refused": len(refused), "left": left}
    connection.execute(
        update(delivery_attempt)
        .where(delivery_attempt.c.delivery_id == delivery_id, delivery_attempt.c.attempt == attempt)
        .values(
            finished_at=func.now(), counts=counts, error=None if error is None else str(error)[:2000],
            outcome="done" if not left else "retry" if error is None else type(error).__name__.lower(),
        )
    )  # fmt: skip
    if not left:
        connection.execute(
            update(delivery).where(delivery.c.id == delivery_id).values(state="done", finished_at=func.now())
        )
    report.sent += len(pending)
    report.done += len(done)
    report.refused += len(refused)
    report.retry += left
    report.notes.extend(f"{o.key}: {note}" for o in outcomes.values() for note in o.notes)
    return left == 0


def _refusal(
    system: str, flow: str, mapping: str, delivery_id: int, pending: _Pending, outcome: Outcome
) -> Refusal:
    reason = outcome.reason or "refused without a reason"
    if outcome.code == "attempts":
        ja = f"{MAX_ATTEMPTS} 回送っても受け付けられませんでした: {reason}"
        en = f"not accepted after {MAX_ATTEMPTS} attempts: {reason}"
    else:
        ja, en = f"相手システムが拒否しました: {reason}", f"the other system refused: {reason}"
    return Refusal.of_change(
        system, flow, mapping, key=outcome.key, code=outcome.code or "refused", reason_ja=ja, reason_en=en,
        entity_id=pending.entity_id, delivery_id=delivery_id, record=pending.change.record,
    )  # fmt: skip
