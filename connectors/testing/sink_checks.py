"""What every sink promises, checked on its recording and the changes of its case."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import httpx

from connectors.contract import Batch, ConnectorError, Misconfigured, Outcome, Retry, Sink, Verdict
from connectors.testing.faults import (
    RETRY_AFTER,
    Transform,
    bad_request,
    garble,
    intent_of_sent,
    lock_out,
    lose_answers,
    no_connection,
    throttle,
    unavailable,
)
from connectors.testing.findings import Check, broken, hold, secrets_in
from connectors.testing.playback import sent_as_text
from connectors.testing.stage import Rig, Stage
from connectors.transport.http import Intent

__all__ = ["sink_checks"]


def sink_checks(stage: Stage, sink: Sink) -> Iterator[Check]:
    """The checks that fit what the sink declares."""
    checks = {
        "outcomes": one_outcome_per_change,
        "expected": expected_outcomes_came,
        "secrets": nothing_leaks,
    }
    if sink.repeatable:
        checks["again"] = again_has_no_second_effect
    if sink.ask is not None:
        checks["ask"] = ask_tells_what_is_there
    if sink.whole:
        checks["whole"] = whole_is_one_verdict
    if stage.connector.http is not None:
        checks |= {
            "throttled": throttling_is_waited_for, "locked_out": lock_out_needs_a_person,
            "down": partial(_not_written, fault=no_connection(), what="no connection"),
            "unavailable": partial(_not_written, fault=unavailable(), what="503 to every request"),
            "unsure": partial(_not_written, fault=lose_answers(), what="answers that never arrive"),
            "refused": bad_requests_are_not_done, "garbled": garbled_answers_do_not_crash,
        }  # fmt: skip
        if not sink.repeatable:
            checks["once"] = a_lost_answer_is_not_sent_again
    for name, check in checks.items():
        yield Check(f"sink:{sink.name}:{name}", partial(check, stage, sink))


@dataclass(frozen=True)
class Sent:
    """What became of the changes: outcomes, or the error the sink raised."""

    outcomes: list[Outcome]
    error: Exception | None
    rig: Rig

    def verdicts(self) -> dict[str, str]:
        return {outcome.key: outcome.verdict.value for outcome in self.outcomes}


def one_outcome_per_change(stage: Stage, sink: Sink) -> None:
    """Exactly one outcome for each change, by its key; no batch is larger than declared."""
    hold(sink.batch_size >= 1, f"{sink.name}: batch_size must be at least 1")
    case = stage.sink_case(sink.name)
    keys = [change.key for change in case.changes]
    hold(len(set(keys)) == len(keys), f"{sink.name}: the changes of its case must have different keys")
    sent = _sent(stage, sink)
    _hold_no_error(sink, sent)
    told = [outcome.key for outcome in sent.outcomes]
    hold(
        sorted(told) == sorted(keys),
        f"{sink.name}: one outcome per change: given were {sorted(keys)}, told was of {sorted(told)}",
    )
    for outcome in sent.outcomes:
        hold(
            outcome.verdict is Verdict.DONE or outcome.reason,
            f"{sink.name}: the outcome of {outcome.key} is {outcome.verdict} without a reason",
        )


def expected_outcomes_came(stage: Stage, sink: Sink) -> None:
    """What the case expects."""
    sent = _sent(stage, sink)
    _hold_no_error(sink, sent)
    expect = stage.sink_case(sink.name).expect
    came = {outcome.key: outcome for outcome in sent.outcomes}
    for key, verdict in expect.outcomes.items():
        outcome = came.get(key)
        hold(
            outcome is not None and outcome.verdict is verdict,
            f"{sink.name}: expected {key} to be {verdict}, came {outcome or 'nothing'}",
        )
    for key, wanted in expect.external_ids.items():
        told = came[key].external_id if key in came else None
        hold(told == wanted, f"{sink.name}: expected the external id {wanted!r} for {key}, came {told!r}")


def nothing_leaks(stage: Stage, sink: Sink) -> None:
    """No secret in traces, logs, outcomes and errors."""
    sent = _sent(stage, sink)
    seen = [*map(repr, sent.rig.steps), *sent.rig.logs, *map(repr, sent.outcomes), repr(sent.error)]
    if stage.connector.http is not None:
        locked = _sent(stage, sink, through=lock_out())
        seen += [repr(locked.error), *map(repr, locked.outcomes)]
    leaked = secrets_in(seen, stage.secrets)
    hold(not leaked, f"{sink.name}: a secret of the settings shows in: {leaked}")


def again_has_no_second_effect(stage: Stage, sink: Sink) -> None:
    """The same stored batch, sent again: the same requests and files, the same outcomes."""
    first, second = _sent(stage, sink), _sent(stage, sink, attempt=2)
    for before, after in zip(first.rig.requests, second.rig.requests, strict=False):
        hold(
            _wire(before) == _wire(after),
            f"{sink.name}: the second attempt sends something else, so it may write twice; it sent\n"
            f"  {sent_as_text(after)}\ninstead of\n  {sent_as_text(before)}\n"
            "use batch.idempotency_key and call.now(), not random values and the clock",
        )
    hold(
        len(first.rig.requests) == len(second.rig.requests),
        f"{sink.name}: the first attempt sends {len(first.rig.requests)} requests, "
        f"the second {len(second.rig.requests)}",
    )
    hold(
        first.verdicts() == second.verdicts(),
        f"{sink.name}: the second attempt of a batch ends otherwise: {first.verdicts()} and {second.verdicts()}",
    )
    if first.rig.files is not None:
        _files_are_written_once(stage, sink)


def ask_tells_what_is_there(stage: Stage, sink: Sink) -> None:
    """After a batch was written, `ask` says so, only reads, and leaves nothing to be sent again."""
    assert sink.ask is not None
    case = stage.sink_case(sink.name)
    for batch in case.batches(sink.batch_size):
        with stage.open(sink.name, "sink", params=case.params, now=case.now) as rig:
            done = {o.key for o in sink.run(rig.call, batch) if o.verdict is Verdict.DONE}
            before = len(rig.requests)
            answers = list(sink.ask(rig.call, _again(batch)))
            asked = rig.requests[before:]
        writing = [sent_as_text(r) for r in asked if intent_of_sent(r) is Intent.ONCE]
        hold(not writing, f"{sink.name}: ask must only read (intent=Intent.READ), but it sent {writing}")
        keys = {change.key for change in batch}
        foreign = [answer.key for answer in answers if answer.key not in keys]
        hold(not foreign, f"{sink.name}: ask answers for {foreign}, which the batch does not hold")
        known = {answer.key for answer in answers if answer.verdict is Verdict.DONE}
        hold(
            done <= known,
            f"{sink.name}: {sorted(done - known)} were written, but ask does not say so; "
            "they would be sent a second time",
        )


def whole_is_one_verdict(stage: Stage, sink: Sink) -> None:
    """A batch that is one document is written as a whole or not at all; what it refused is not in the document."""
    case = stage.sink_case(sink.name)
    for batch in case.batches(sink.batch_size):
        with stage.open(sink.name, "sink", params=case.params, now=case.now) as rig:
            verdicts = {outcome.verdict.value for outcome in sink.run(rig.call, batch)} - {
                Verdict.REFUSED.value
            }
        hold(
            len(verdicts) <= 1,
            f"{sink.name}: whole=True is declared, but one batch came out as {sorted(verdicts)}",
        )


def throttling_is_waited_for(stage: Stage, sink: Sink) -> None:
    """429 with Retry-After: wait, then go on; nothing is refused for it."""
    plain = _sent(stage, sink)
    if not plain.rig.requests:
        return
    slowed = _sent(stage, sink, through=throttle(0))
    hold(slowed.error is None, f"{sink.name}: 429 to the first request ended the batch: {slowed.error!r}")
    hold(
        slowed.verdicts() == plain.verdicts(),
        f"{sink.name}: after 429 to the first request the batch ends otherwise: "
        f"{slowed.verdicts()}, not {plain.verdicts()}",
    )
    hold(
        sum(slowed.rig.waits) >= RETRY_AFTER,
        f"{sink.name}: Retry-After was {RETRY_AFTER} s, but the sink waited {sum(slowed.rig.waits):.1f} s",
    )


def lock_out_needs_a_person(stage: Stage, sink: Sink) -> None:
    """401 is `Misconfigured`: raised, not told per change."""
    if _sent(stage, sink).rig.requests:
        sent = _sent(stage, sink, through=lock_out())
        came = repr(sent.error) if sent.error else f"ended with {sent.verdicts()}"
        hold(isinstance(sent.error, Misconfigured), f"{sink.name}: 401 should raise Misconfigured; it {came}")


def bad_requests_are_not_done(stage: Stage, sink: Sink) -> None:
    """A 400 never counts as written."""
    if _sent(stage, sink).rig.requests:
        sent = _sent(stage, sink, through=bad_request())
        _hold_contract_error(sink, sent, "HTTP 400")
        done = [key for key, verdict in sent.verdicts().items() if verdict == Verdict.DONE]
        hold(not done, f"{sink.name}: HTTP 400 to every request, and yet {done} are told as done")


def garbled_answers_do_not_crash(stage: Stage, sink: Sink) -> None:
    """A page of HTML in place of JSON ends in one of the three errors or in outcomes."""
    _hold_contract_error(sink, _sent(stage, sink, through=garble()), "a page of HTML in place of JSON")


def a_lost_answer_is_not_sent_again(stage: Stage, sink: Sink) -> None:
    """A write that must happen once carries the intent ONCE; when its answer is lost, it is not repeated."""
    plain = _sent(stage, sink)
    if not plain.rig.requests:
        return
    hold(
        any(intent_of_sent(request) is Intent.ONCE for request in plain.rig.requests),
        f"{sink.name}: {sink.write} writes may not be repeated blindly, but no request has intent=Intent.ONCE, "
        "so call.http would repeat it after a lost answer",
    )
    lost = _sent(stage, sink, through=lose_answers(only=Intent.ONCE))
    writes = [_wire(request) for request in lost.rig.requests if intent_of_sent(request) is Intent.ONCE]
    twice = [write for write in writes if writes.count(write) > 1]
    hold(
        not twice, f"{sink.name}: after a lost answer the sink itself sends the same write again: {twice[:1]}"
    )
    _hold_nothing_settled(sink, lost, "a write whose answer was lost")


def _not_written(stage: Stage, sink: Sink, *, fault: Transform, what: str) -> None:
    """Nothing is known to be written: `Retry`, raised or told per change."""
    if _sent(stage, sink).rig.requests:
        _hold_nothing_settled(sink, _sent(stage, sink, through=fault), what)


def _hold_nothing_settled(sink: Sink, sent: Sent, what: str) -> None:
    if sent.error is not None:
        hold(
            isinstance(sent.error, Retry), f"{sink.name}: {what} should raise Retry; it raised {sent.error!r}"
        )
        return
    settled = {key: verdict for key, verdict in sent.verdicts().items() if verdict != Verdict.RETRY}
    hold(not settled, f"{sink.name}: {what} should end in Retry or in retry outcomes, but came {settled}")


def _hold_contract_error(sink: Sink, sent: Sent, what: str) -> None:
    hold(
        sent.error is None or isinstance(sent.error, ConnectorError),
        f"{sink.name}: {what} should end in Retry, Refused or Misconfigured; it raised {sent.error!r}",
    )


def _hold_no_error(sink: Sink, sent: Sent) -> None:
    if sent.error is not None:
        raise sent.error if not isinstance(sent.error, ConnectorError) else AssertionError(
            f"{sink.name}: the recorded batch raised {sent.error!r}"
        )  # fmt: skip


def _files_are_written_once(stage: Stage, sink: Sink) -> None:
    case = stage.sink_case(sink.name)
    for batch in case.batches(sink.batch_size):
        with stage.open(sink.name, "sink", params=case.params, now=case.now) as rig:
            assert rig.files is not None
            list(sink.run(rig.call, batch))
            before = dict(rig.files.content)
            list(sink.run(rig.call, _again(batch)))
            changed = sorted(
                k for k in {*before, *rig.files.content} if before.get(k) != rig.files.content.get(k)
            )
        hold(not changed, f"{sink.name}: the second attempt of a batch changes files: {changed}")


def _sent(stage: Stage, sink: Sink, *, through: Transform | None = None, attempt: int = 1) -> Sent:
    """All batches of the case, sent in one call. An error of the sink is part of the answer."""
    case = stage.sink_case(sink.name)
    outcomes: list[Outcome] = []
    with stage.open(sink.name, "sink", through=through, params=case.params, now=case.now) as rig:
        try:
            for batch in case.batches(sink.batch_size, attempt=attempt):
                for outcome in sink.run(rig.call, batch):
                    if not isinstance(outcome, Outcome):
                        broken(f"{sink.name}: a sink gives Outcome, not {type(outcome).__name__}")
                    outcomes.append(outcome)
        except AssertionError:
            raise
        except Exception as error:  # noqa: BLE001  (which one it is, is the question)
            return Sent(outcomes, error, rig)
    return Sent(outcomes, None, rig)


def _again(batch: Batch) -> Batch:
    return Batch(batch.changes, batch.idempotency_key, attempt=2, business_date=batch.business_date)


def _wire(request: httpx.Request) -> tuple[str, str, bytes]:
    return request.method, str(request.url), request.content
