"""What the jobs do: take in, fetch, overtake, deliver, tell.

The same code as the scheduled flows, under the same locks.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import structlog
from sqlalchemy import text

from connectors.contract import Call, Fault, Misconfigured, Refused, Retry, Write
from hub.budget import AccountLane
from hub.deletes import Listing
from hub.engine import BoundFlow, FlowBusy, Hub
from hub.jobs.queue import Job, Lane, Task, again, asked_again, note_failure, settled, wake
from hub.outgoing import queue_urgent
from hub.progress import Counter
from hub.quarantine import Refusal, put_refusals
from hub.reports import PullReport, PushReport
from hub.stock import KINDS as STOCK_KINDS
from hub.store.database import reading
from hub.subscribers.sender import send
from hub.subscribers.wake import wake_subscribers
from hub.system_file import UnknownName
from hub.takein_events import may_go_together
from hub.urgency import RULES
from hub.words import HubError

__all__ = ["LIMIT", "lane_of", "run_job", "wake_pushes", "wake_stored"]

LIMIT = 8
"""Failures in a row after which what cannot be fetched goes to quarantine, and the rest is left to a person."""
BREAKDOWNS = 5
"""How often taking in one page may break down before it is put into quarantine and the others go on."""
PAGES = 500
BUNDLE = 2 * 1024 * 1024
"""Bytes of events taken in as one."""
IDS = 100
"""Ids asked for in one fetch."""
ROUNDS = 50
"""How often a job looks again at what came meanwhile before it lets another job have its place."""
AFTER_URGENT = 1.0
"""Seconds the rest of a flow's changes gives way to its urgent ones: both need the flow for themselves, and where all
were urgent the rest is nothing but a position to be moved on."""
AFTER_OTHERS = 0.05
"""Seconds until a subscriber that is not told all yet has its next turn: those that wait come first."""
PATIENCE = 1.0
"""Seconds a job waits for a flow that runs elsewhere before it gives up its place."""
URGENT_PATIENCE = 0.06
"""The same, where whoever runs the flow sends what is urgent; then the job looks for what became urgent meanwhile."""

log = structlog.get_logger("tsunagi.jobs")


class _Stopping(Retry):
    """The process is being stopped; the job is for another."""


def lane_of(bound: BoundFlow) -> Lane:
    """Flows that bring what may be urgent are taken in on the urgent lane: what it is, is only known afterwards."""
    return Lane.URGENT if any(mapping.entity in RULES for mapping in bound.mappings) else Lane.BULK


def run_job(hub: Hub, job: Job) -> None:
    """Do the job, and decide what happens next. Raises what no repetition can mend."""
    work = _WORK[job.task]
    for _ in range(ROUNDS):
        try:
            _patiently(hub, work, job)
        except FlowBusy:
            if job.task is Task.OVERTAKE and _asked_again(hub, job):
                continue
            _later(hub, replace(job, busy=job.busy + 1), min(0.5 * 1.5**job.busy, 10))
            return
        except _Stopping:
            _later(hub, job, 0)
            return
        except (Refused, Misconfigured, HubError) as error:
            with hub.engine.begin() as connection:
                note_failure(connection, job, str(error))
            raise
        except Exception as error:
            if not isinstance(error, Retry):
                log.exception("breakdown", job=job.name)
            _retry(hub, job, error)
            return
        with hub.engine.begin() as connection:
            settled(connection, job)
            more = not hub.stopping.is_set() and asked_again(connection, job)
        if not more:
            return
        job = replace(job, attempt=0, busy=0)
    _later(hub, replace(job, attempt=0, busy=0), 0)


def _asked_again(hub: Hub, job: Job) -> bool:
    with hub.engine.begin() as connection:
        return not hub.stopping.is_set() and asked_again(connection, job)


def _patiently(hub: Hub, work: Callable[[Hub, Job], None], job: Job) -> None:
    """A flow that runs elsewhere is mostly done in a moment; one that still does after a pause is at it for long."""
    # overtaking has a patience of its own: what it stored need not be stored again
    until = time.monotonic() + (0.0 if job.busy or job.task is Task.OVERTAKE else PATIENCE)
    while time.monotonic() < until and not hub.stopping.is_set():
        with suppress(FlowBusy):
            return work(hub, job)
        time.sleep(0.02)
    return work(hub, job)


def _later(hub: Hub, job: Job, seconds: float) -> None:
    with hub.engine.begin() as connection:
        again(connection, job, seconds)


def _retry(hub: Hub, job: Job, error: Exception) -> None:
    tried = replace(job, attempt=job.attempt + 1, busy=0)
    if tried.attempt >= LIMIT:
        with hub.engine.begin() as connection:
            note_failure(connection, job, f"{LIMIT} attempts, the last: {type(error).__name__}: {error}")
        raise error
    after = error.after if isinstance(error, Retry) else None
    asked = 0.0 if after is None else after.total_seconds()
    pause = max(asked, min(2.0**job.attempt, 300.0))
    log.info("put off", job=job.name, attempt=tried.attempt, seconds=pause, reason=str(error))
    _later(hub, tried, pause)


# ---------------------------------------------------------------- into the hub

_WAITING = text("""
    SELECT id, fetch_ids, size, event_id IS NOT NULL AND deleted = '{}' AND attempts = 0 AS plain,
           event_id IS NOT NULL AND deleted = '{}' AND params -> 'records' = 'null' AS thin FROM intake
    WHERE system = :system AND flow = :flow AND state = 'stored' AND (cardinality(fetch_ids) > 0) = :fetch
    ORDER BY id LIMIT :limit
""")
_FETCHED = text("""
    UPDATE intake SET state = 'processed', processed_at = now(), counts = '{}'
    WHERE id = ANY(:ids) AND state = 'stored'
""")
_BROKE_DOWN = text("UPDATE intake SET attempts = attempts + 1 WHERE id = :id RETURNING attempts")
_GIVE_UP = text("UPDATE intake SET state = 'failed', processed_at = now() WHERE id = :id")


@dataclass(frozen=True, slots=True)
class _Page:
    """A page or an event that waits. `plain`: an event that only carries records and has not been tried before;
    `thin`: one that only names ids.
    """

    id: int
    fetch_ids: list[str]
    size: int
    plain: bool
    thin: bool


def _waiting(hub: Hub, job: Job, *, fetch: bool) -> list[_Page]:
    names = {"system": job.system, "flow": job.flow, "fetch": fetch, "limit": PAGES}
    with reading(hub.engine) as connection:
        return [_Page(**row._mapping) for row in connection.execute(_WAITING, names)]


_MORE = text("""
    SELECT EXISTS (SELECT FROM intake WHERE system = :system AND flow = :flow AND state = 'stored'
                   AND (cardinality(fetch_ids) > 0) = :fetch)
""")


def _more_waiting(hub: Hub, job: Job, *, fetch: bool) -> bool:
    names = {"system": job.system, "flow": job.flow, "fetch": fetch}
    with reading(hub.engine) as connection:
        return bool(connection.scalar(_MORE, names))


def _bundles(bound: BoundFlow, pages: Sequence[_Page]) -> Iterator[list[_Page]]:
    """The pages, oldest first; plain ones together: a burst of events costs little more than one of them."""
    apart = not may_go_together(bound.mappings)
    bundle: list[_Page] = []
    for page in pages:
        full = sum(one.size for one in bundle) + page.size > BUNDLE
        if bundle and (apart or full or not (page.plain and bundle[-1].plain)):
            yield bundle
            bundle = []
        bundle.append(page)
    if bundle:
        yield bundle


def _take_in(hub: Hub, job: Job) -> None:
    """Take in every stored page of the flow, oldest first. One that breaks down does not stop the others."""
    bound = hub.bind(job.system, job.flow)
    more = True
    while more:
        broken = _lot_taken(hub, bound, job)
        wake_pushes(hub)
        if broken:
            raise Retry("; ".join(broken[:3]))
        more = _more_waiting(hub, job, fetch=False)


def _lot_taken(hub: Hub, bound: BoundFlow, job: Job) -> list[str]:
    """What waits now, in a run of its own: what follows from it is worked out at its end, and must not be put off
    for as long as more keeps coming.
    """
    report = PullReport(system=job.system, flow=job.flow)
    broken: list[str] = []
    with hub.run(bound, "pull", report, quiet=True), hub.call(bound, None) as call:
        pages = _waiting(hub, job, fetch=False)
        for bundle in _bundles(bound, pages):
            if hub.stopping.is_set():
                raise _Stopping("stopping")
            if not (bundle[0].plain and _bundle_taken(hub, bound, bundle, report)):
                for page in bundle:
                    broken += _page_taken(hub, bound, page.id, call, report)
        if not pages:
            _catch_up(hub, bound)
        # what changed goes out while the run works out what else follows from it
        wake_pushes(hub, kinds=report.kinds)
    return broken


def _catch_up(hub: Hub, bound: BoundFlow) -> None:
    """Nothing waits: perhaps a worker died after it had taken it in, and before it worked out what follows from it."""
    if any(mapping.entity in STOCK_KINDS for mapping in bound.mappings):
        hub.refresh_stock()


def _bundle_taken(hub: Hub, bound: BoundFlow, bundle: Sequence[_Page], report: PullReport) -> bool:
    if not may_go_together(bound.mappings):
        return False
    try:
        hub.take_in_events(bound, [page.id for page in bundle], report)
    except Exception:
        log.exception("breakdown", flow=f"{bound.system.system}/{bound.name}", events=len(bundle))
        return False  # one of them is the cause: each by itself
    return True


def _page_taken(hub: Hub, bound: BoundFlow, page: int, call: Call[Any], report: PullReport) -> list[str]:
    try:
        hub.take_in_page(bound, page, call, report, Counter(None), listing=Listing(whole=False))
    except (Retry, Refused, Misconfigured):
        raise
    except Exception as error:
        log.exception("breakdown", flow=f"{bound.system.system}/{bound.name}", intake=page)
        return _broke_down(hub, bound, page, f"{type(error).__name__}: {error}")
    return []


def _broke_down(hub: Hub, bound: BoundFlow, page: int, why: str) -> list[str]:
    with hub.engine.begin() as connection:
        attempts = connection.scalar(_BROKE_DOWN, {"id": page}) or 0
    if attempts < BREAKDOWNS:
        return [f"intake {page}: {why}"]
    _give_up(
        hub, bound, page, "breakdown",
        f"取込処理が {attempts} 回異常終了しました: {why}。不具合を直してから再実行してください。",
        f"taking it in broke down {attempts} times: {why}. Mend the fault, then replay.",
    )  # fmt: skip
    return []


def _give_up(hub: Hub, bound: BoundFlow, page: int, code: str, ja: str, en: str) -> None:
    """Put a whole page or event into quarantine; a replay begins it anew."""
    fault = Fault(0, code, en, b"", reason_ja=ja, whole=True)
    refusal = Refusal.of_row(bound.system.system, bound.name, page, fault, subject=None, key=None)
    with hub.engine.begin() as connection:
        put_refusals(connection, [refusal])
        connection.execute(_GIVE_UP, {"id": page})


def _fetch(hub: Hub, job: Job) -> None:
    """Ask the source for what thin events named, all in a few calls. What it cannot give in the end is quarantined."""
    bound = hub.bind(job.system, job.flow)
    try:
        _fetch_together(hub, bound, job)
    except (FlowBusy, _Stopping):
        raise
    except Refused as error:
        _fetch_one_by_one(hub, bound, job, error)
    except Retry as error:
        if job.attempt + 1 < LIMIT:
            wake_pushes(hub)
            raise
        for event in _waiting(hub, job, fetch=True):
            _not_fetched(hub, bound, event.id, f"{LIMIT} 回試しました", f"tried {LIMIT} times", error)
    wake_pushes(hub)


def _fetch_together(hub: Hub, bound: BoundFlow, job: Job) -> None:
    more = True
    while more:
        _fetch_lot(hub, bound, job)
        wake_pushes(hub)
        more = _more_waiting(hub, job, fetch=True)


def _fetch_lot(hub: Hub, bound: BoundFlow, job: Job) -> None:
    """What waits now, in a run of its own (see `_lot_taken`)."""
    report = PullReport(system=job.system, flow=job.flow)
    listing, counter = Listing(whole=False), Counter(None)
    lane = AccountLane(hub.budgets, job.system, urgent=job.lane is Lane.URGENT)
    with hub.run(bound, "pull", report, quiet=True), hub.call(bound, None, lane) as call:
        events = _waiting(hub, job, fetch=True)
        ids = list(dict.fromkeys(one for event in events for one in event.fetch_ids))
        for start in range(0, len(ids), IDS):
            if hub.stopping.is_set():
                raise _Stopping("stopping")
            hub.fetch_pages(bound, ids[start : start + IDS], call, report, counter, listing)
        if not events:
            _catch_up(hub, bound)
        elif bound.source.acknowledge is None:
            # there is nothing in a thin event to take in: a burst of them is settled at once
            with hub.engine.begin() as connection:
                connection.execute(_FETCHED, {"ids": [event.id for event in events if event.thin]})
            events = [event for event in events if not event.thin]
        for event in events:
            hub.take_in_page(bound, event.id, call, report, counter, listing=listing, fetched=True)


def _fetch_one_by_one(hub: Hub, bound: BoundFlow, job: Job, refused: Refused) -> None:
    """One id the other side does not accept must not keep the others out."""
    events = _waiting(hub, job, fetch=True)
    report = PullReport(system=job.system, flow=job.flow)
    with hub.run(bound, "pull", report, quiet=True), hub.call(bound, None) as call:
        for event in events:
            try:
                hub.take_in_page(bound, event.id, call, report, Counter(None), listing=Listing(whole=False))
            except Refused as error:
                _not_fetched(hub, bound, event.id, "拒否されました", "refused", error)
    log.info("fetched one by one", job=job.name, events=len(events), reason=str(refused))


def _not_fetched(hub: Hub, bound: BoundFlow, event: int, ja: str, en: str, error: Exception) -> None:
    _give_up(
        hub, bound, event, "not_fetched",
        f"通知された内容を取得できません({ja}): {error}",
        f"what the event names cannot be fetched ({en}): {error}",
    )  # fmt: skip


# ---------------------------------------------------------------- out of the hub


def _deliver(hub: Hub, job: Job) -> None:
    """The same push as the scheduled one."""
    try:
        hub.push(job.system, job.flow, job=True)
    except Retry:
        if hub.stopping.is_set():
            raise _Stopping("stopping") from None
        raise
    if hub.more_to_push(hub.bind(job.system, job.flow)):
        with hub.engine.begin() as connection:
            wake(connection, [replace(job, attempt=0, busy=0)], seconds=AFTER_URGENT)


def _overtake(hub: Hub, job: Job) -> None:
    """Store the urgent changes, then send them, or see that whoever is pushing this flow sends them next."""
    bound = hub.bind(job.system, job.flow)
    if bound.sink.write is not Write.ABSOLUTE:
        # only what says "so many" may be sent out of turn; "so many more" may not
        return _deliver(hub, job)
    report = PushReport(system=job.system, flow=job.flow)
    with hub.engine.begin() as connection:
        queue_urgent(connection, bound.outgoing, report)
    until = time.monotonic() + URGENT_PATIENCE
    while _urgent_open(hub, job):
        try:
            _send_urgent(hub, bound, report)
        except FlowBusy:
            if hub.stopping.is_set() or time.monotonic() > until:
                raise
            time.sleep(0.02)
    return None


def _send_urgent(hub: Hub, bound: BoundFlow, report: PushReport) -> None:
    lane = AccountLane(hub.budgets, bound.system.system, urgent=True)
    with hub.run(bound, "push", report, quiet=True), hub.call(bound, None, lane) as call:
        sender = hub.sender(bound, call, report, Counter(None), lane)
        sender.send_urgent()
        sender.finish()


_URGENT_OPEN = text(
    "SELECT EXISTS (SELECT FROM delivery WHERE system = :system AND flow = :flow AND finished_at IS NULL AND urgent)"
)


def _urgent_open(hub: Hub, job: Job) -> bool:
    with reading(hub.engine) as connection:
        return bool(connection.scalar(_URGENT_OPEN, {"system": job.system, "flow": job.flow}))


def _tell(hub: Hub, job: Job) -> None:
    """One turn for a subscriber; the next when there is something to do again."""
    try:
        sent = send(hub, job.flow)
    except UnknownName:  # removed meanwhile
        return
    if sent.next_in is not None:
        with hub.engine.begin() as connection:
            again_at = max(sent.next_in, AFTER_OTHERS)
            wake(connection, [replace(job, attempt=0, busy=0)], seconds=again_at)


_WORK: dict[Task, Callable[[Hub, Job], None]] = {
    Task.TAKE_IN: _take_in,
    Task.FETCH: _fetch,
    Task.OVERTAKE: _overtake,
    Task.DELIVER: _deliver,
    Task.TELL: _tell,
}


# ---------------------------------------------------------------- who is to be woken

# In order and one row: the planner may not read the feed from its beginning for the first that fits.
_BEHIND = text("""
    SELECT p.system, p.flow,
           (SELECT true FROM change_feed AS c WHERE c.urgent AND c.kind = ANY(p.kinds)
                AND (c.xid, c.seq) > (s.queued_xid, s.queued_seq) ORDER BY c.xid, c.seq LIMIT 1) IS NOT NULL AS urgent,
           NOT :urgent_only AND (
               SELECT true FROM change_feed AS c WHERE c.kind = ANY(p.kinds)
                AND (c.xid, c.seq) > (s.feed_xid, s.feed_seq) ORDER BY c.xid, c.seq LIMIT 1) IS NOT NULL AS behind
    FROM (SELECT system, flow, string_to_array(kinds, ',') AS kinds
          FROM unnest(CAST(:systems AS text[]), CAST(:flows AS text[]), CAST(:kinds AS text[]))
               AS given(system, flow, kinds)) AS p
    CROSS JOIN LATERAL (
        SELECT coalesce(max(feed_xid), 0) AS feed_xid, coalesce(max(feed_seq), 0) AS feed_seq,
               coalesce(max(CASE WHEN ahead THEN urgent_xid ELSE feed_xid END), 0) AS queued_xid,
               coalesce(max(CASE WHEN ahead THEN urgent_seq ELSE feed_seq END), 0) AS queued_seq
        FROM (SELECT *, (urgent_xid, urgent_seq) > (feed_xid, feed_seq) AS ahead FROM flow_state
              WHERE system = p.system AND flow = p.flow) AS mine
    ) AS s
""")
_STORED = text("""
    SELECT system, flow, cardinality(fetch_ids) > 0 AS fetch FROM intake
    WHERE state = 'stored' AND event_id IS NOT NULL GROUP BY 1, 2, 3
""")


def wake_pushes(hub: Hub, *, urgent_only: bool = False, kinds: Iterable[str] | None = None) -> None:
    """Ask for a push of every flow that has changes behind it, and for overtaking where one of them is urgent.

    What the store says counts, not what the caller has just done: after a crash in between it is the same. Flows that
    write whole files keep to their timetable. Subscribers are flows of their own and asked for too. `kinds` asks only
    for what sends one of them, and no subscribers: somebody will ask for all in a moment.
    """
    if kinds is None:
        wake_subscribers(hub.engine)
    wanted = None if kinds is None else set(kinds)
    flows = [bound for bound in _live_pushes(hub) if wanted is None or wanted & set(bound.outgoing.kinds)]
    if not flows:
        return
    values = {
        "systems": [bound.system.system for bound in flows],
        "flows": [bound.name for bound in flows],
        "kinds": [",".join(bound.outgoing.kinds) for bound in flows],
        "urgent_only": urgent_only,
    }
    with reading(hub.engine) as connection:
        rows = connection.execute(_BEHIND, values).all()
    deliver = [(Job(Task.DELIVER, row.system, row.flow, Lane.BULK), row.urgent) for row in rows if row.behind]
    with hub.engine.begin() as connection:
        wake(
            connection,
            [Job(Task.OVERTAKE, row.system, row.flow, Lane.URGENT) for row in rows if row.urgent]
            + [job for job, urgent in deliver if not urgent],
        )
        wake(connection, [job for job, urgent in deliver if urgent], seconds=AFTER_URGENT)


def _live_pushes(hub: Hub) -> Iterable[BoundFlow]:
    for system in hub.systems.systems.values():
        for name, flow in system.flows.items():
            if flow.push:
                try:
                    bound = hub.bind(system.system, name)
                    live = not bound.sink.whole
                except Exception as error:  # noqa: BLE001  (`tsunagi check` tells; one broken flow stops no other)
                    log.debug("no push", system=system.system, flow=name, error=str(error))
                    continue
                if live:
                    yield bound


def wake_stored(hub: Hub) -> None:
    """Ask for what stored webhooks need, if no job does: after jobs failed, or were lost with a queue.

    The same for what waits for subscribers.
    """
    wake_subscribers(hub.engine, failed_too=True)
    with hub.engine.begin() as connection:
        rows = connection.execute(_STORED).all()
        jobs = []
        for row in rows:
            with suppress(LookupError):
                lane = lane_of(hub.bind(row.system, row.flow))
                task = Task.FETCH if row.fetch else Task.TAKE_IN
                jobs.append(Job(task, row.system, row.flow, lane))
        wake(connection, jobs)
