"""Group commit: what has arrived while the last commit ran is stored by one statement, and then answered together.

Alone on the line a call costs one commit; under load many calls share one. Either way a call is answered only after
its commit is on the disk.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Literal

import orjson
import psycopg
import structlog

from connectors.contract import Event
from hub.gateway.doors import Door
from hub.gateway.line import Line, bytes_list, text_list
from hub.intake import place_of_records
from hub.jobs.queue import Job, wake_sql

__all__ = ["Arrival", "Arrivals", "NotStorable", "Outcome", "StoreDown", "arrivals_of"]

TOGETHER = 256
"""Most events stored by one statement."""
AT_MOST_WAITING = 4096
"""Events that may wait for a commit; a call that finds more is asked to come again."""
MEDIA_TYPE = "application/json"
_ALL = "{}"
LONGEST_ID = 500
"""A longer event id is replaced by a hash."""

Outcome = list[bool] | Exception
"""Whether each event of a call was new; or why nothing is stored: StoreDown, NotStorable."""
Done = Callable[[Outcome], None]

log = structlog.get_logger("tsunagi.gateway")


class StoreDown(Exception):
    """The database cannot store now; the sender should come again."""


class NotStorable(Exception):
    """The event holds what PostgreSQL cannot keep (a NUL character)."""


@dataclass(slots=True, eq=False)
class Arrival:
    """One event to be stored: a page of the flow that takes it in.

    body     the body of the call, or the records as JSON where they do not lie in it as they are
    records  where in the body they lie (`hub.intake.place_of_records`); None for a thin event, False without a place
    raw      the body of the call, where `body` holds the records
    """

    job: Job
    source: str
    event_id: str
    sha256: bytes
    size: int
    body: bytes
    records: tuple[str, ...] | Literal[False] | None = False
    raw: bytes | None = None
    fetch: Sequence[str] = ()
    deleted: Sequence[str] = ()
    occurred_at: datetime | None = None


def arrivals_of(door: Door, events: Sequence[Event], body: bytes) -> list[Arrival]:
    """What is to be stored of a call's events: those some flow takes in. Raises TypeError or ValueError for records
    JSON cannot hold.
    """
    digest = hashlib.sha256(body).digest()
    found: list[Arrival] = []
    for event in events:
        job = door.job(event)
        if job is None:
            continue
        event_id = event.event_id
        if not 0 < len(event_id) <= LONGEST_ID:
            event_id = f"sha256:{digest.hex()}:{len(found)}"
        first = not found
        place = _place(event, body) if first else False
        told = body if place is not False else orjson.dumps(list(event.records), default=str)
        found.append(
            Arrival(
                job, event.source, event_id, digest, len(body), told, place,
                raw=body if first and place is False else None,
                fetch=event.fetch, deleted=event.deleted, occurred_at=event.occurred_at,
            )
        )  # fmt: skip
    return found


def _place(event: Event, body: bytes) -> tuple[str, ...] | Literal[False] | None:
    """Where the event's records lie in the body; None: it has none, False: nowhere as they are."""
    if not event.records:
        return None
    try:
        place = place_of_records(event.records, orjson.loads(body))
    except ValueError:
        return False
    return False if place is None else tuple(place)


# What all events of a way have in common is said once for the group.
_WAYS = ("system", "flow", "source", "queue", "task", "priority", "name", "args")
_EVENTS = {
    "way": "text", "event_id": "text", "sha256": "bytea", "size": "text", "occurred_at": "text", "ask_for": "text",
    "gone": "text", "params": "text", "body": "bytea", "raw": "bytea",
}  # fmt: skip
_TYPES = [*("text[]" for _ in _WAYS), *(f"{kind}[]" for kind in _EVENTS.values())]
_PLACES = [f"${number}" for number in range(1, len(_TYPES) + 1)]
_LIST = "CASE WHEN {0} = '' THEN '{{}}' ELSE ARRAY(SELECT jsonb_array_elements_text({0}::jsonb)) END"
_STORE = f"""
    WITH ways AS (
        SELECT * FROM unnest({", ".join(_PLACES[: len(_WAYS)])}) WITH ORDINALITY AS w({", ".join(_WAYS)}, way)
    ), came AS (
        SELECT w.system, w.flow, w.source, c.* FROM unnest({", ".join(_PLACES[len(_WAYS) :])})
            WITH ORDINALITY AS c({", ".join(_EVENTS)}, n) JOIN ways AS w ON w.way = c.way::bigint
    ), stored AS (
        INSERT INTO intake (system, flow, source, name, media_type, sha256, size, event_id, occurred_at, fetch_ids,
                            deleted, params)
        SELECT system, flow, source, event_id, '{MEDIA_TYPE}', sha256, size::bigint, event_id,
               occurred_at::timestamptz, {_LIST.format("ask_for")}, {_LIST.format("gone")}, params::jsonb
        FROM came ORDER BY n
        ON CONFLICT (system, event_id) WHERE event_id IS NOT NULL DO NOTHING
        RETURNING id, system, event_id
    ), new AS (
        SELECT s.id, c.n, c.way, c.body, c.raw
        FROM stored AS s JOIN came AS c ON c.system = s.system AND c.event_id = s.event_id
    ), kept AS (
        INSERT INTO intake_body (intake_id, part, body)
        SELECT id, 0, body FROM new UNION ALL SELECT id, -1, raw FROM new WHERE raw IS NOT NULL
    ), due AS (
        SELECT queue, task, priority::int AS priority, name, args FROM ways
        WHERE way IN (SELECT way::bigint FROM new)
    ), {wake_sql("due")}
    SELECT n, (SELECT count(*) FROM told) FROM new
"""  # noqa: S608  (all parts are ours)


@lru_cache(maxsize=256)
def _ways_of(ways: tuple[tuple[Job, str], ...]) -> tuple[bytes, ...]:
    """The parameters that say the ways. The same few come again and again."""
    rows = [job.row() for job, _ in ways]
    return (
        text_list([job.system for job, _ in ways]),
        text_list([job.flow for job, _ in ways]),
        text_list([source for _, source in ways]),
        *(text_list([str(row[name]) for row in rows]) for name in _WAYS[3:]),
    )


@lru_cache(maxsize=1024)
def _params(records: tuple[str, ...] | Literal[False] | None) -> str:
    return _ALL if records is False else orjson.dumps({"records": records}).decode()


def _list(values: Sequence[str]) -> str:
    """A list as text: `'{}'`, or JSON."""
    return orjson.dumps(list(values)).decode() if values else ""


def _lists(arrivals: Sequence[Arrival]) -> list[bytes]:
    """The statement's parameters."""
    ways: dict[tuple[int, str], tuple[str, Job]] = {}
    numbers = [  # a door gives the same job again and again
        ways.setdefault((id(one.job), one.source), (str(len(ways) + 1), one.job))[0] for one in arrivals
    ]
    return [
        *_ways_of(tuple([(job, source) for (_, source), (_, job) in ways.items()])),
        text_list(numbers),
        text_list([one.event_id for one in arrivals]),
        bytes_list([one.sha256 for one in arrivals]),
        text_list([str(one.size) for one in arrivals]),
        text_list([None if one.occurred_at is None else one.occurred_at.isoformat() for one in arrivals]),
        text_list([_list(one.fetch) for one in arrivals]),
        text_list([_list(one.deleted) for one in arrivals]),
        text_list([_params(one.records) for one in arrivals]),
        bytes_list([one.body for one in arrivals]),
        bytes_list([one.raw for one in arrivals]),
    ]


class _Call:
    """The events of one call, and how it is told what became of them."""

    __slots__ = ("arrivals", "came", "done")

    def __init__(self, arrivals: Sequence[Arrival], done: Done, came: float) -> None:
        self.arrivals = arrivals
        self.done: Done | None = done
        self.came = came

    def tell(self, outcome: Outcome) -> None:
        """Once; what comes later is not heard."""
        done, self.done = self.done, None
        if done is not None:
            try:
                done(outcome)
            except Exception:  # one that cannot be told must not keep the others waiting
                log.exception("a call was not answered")


class Arrivals:
    """Stores events over one connection of its own. Started by the first event; `close` ends it.

    within  seconds after which a call is told that nothing can be stored; it may be stored after all
    """

    def __init__(self, url: str, *, within: float = 4.0) -> None:
        self._line = Line(url, "tsunagi-gateway", _STORE, _TYPES)
        self._within = within
        self._waiting: deque[_Call] = deque()
        self._events_waiting = 0
        self._came = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self.commits = 0
        self.events = 0

    def put(self, arrivals: Sequence[Arrival], done: Done) -> None:
        """Store the events of one call, all or none, and tell `done`, from the loop, whether each was new.

        Or StoreDown (an event may be stored in spite of it), or NotStorable. Raises StoreDown when too many wait.
        """
        if self._events_waiting + len(arrivals) > AT_MOST_WAITING:
            raise StoreDown("too many events are waiting")
        loop = self._loop or self._start()
        self._waiting.append(_Call(arrivals, done, loop.time()))
        self._events_waiting += len(arrivals)
        self._came.set()

    async def store(self, arrivals: Sequence[Arrival]) -> list[bool]:
        """Whether each event was new. Raises StoreDown or NotStorable, as `put` tells them."""
        answer: asyncio.Future[list[bool]] = asyncio.get_running_loop().create_future()

        def done(outcome: Outcome) -> None:
            if answer.done():
                return
            if isinstance(outcome, Exception):
                answer.set_exception(outcome)
            else:
                answer.set_result(outcome)

        self.put(arrivals, done)
        return await answer

    async def close(self) -> None:
        """Store what waits, then end."""
        while self._tasks and self._waiting:
            await asyncio.sleep(0.01)
        self._loop, tasks, self._tasks = None, self._tasks, []
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        await self._line.close()

    def _start(self) -> asyncio.AbstractEventLoop:
        self._loop = loop = asyncio.get_running_loop()
        self._tasks = [
            loop.create_task(self._run(), name="arrivals"), loop.create_task(self._look(), name="arrivals late"),
        ]  # fmt: skip
        return loop

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._came.wait()
            self._came.clear()
            while self._waiting:
                calls = self._next()
                outcomes = await self._commit(calls)
                for call in calls:  # while it runs, who comes too late for it can be told so
                    self._waiting.popleft()
                    self._events_waiting -= len(call.arrivals)
                if self._waiting:  # the next statement goes first: PostgreSQL works while these are answered
                    loop.call_soon(_tell, calls, outcomes)
                else:
                    _tell(calls, outcomes)

    def _next(self) -> list[_Call]:
        """The calls of the next commit; a call is never torn apart."""
        calls: list[_Call] = []
        events = 0
        for call in self._waiting:
            if calls and events + len(call.arrivals) > TOGETHER:
                break
            calls.append(call)
            events += len(call.arrivals)
        return calls

    async def _look(self) -> None:
        """Tell those that wait too long. One look around now and then costs less than an alarm for each call."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self._within / 8)
            for call in self._waiting:
                if call.came + self._within > loop.time():
                    break
                call.tell(StoreDown("storing took too long"))

    async def _commit(self, calls: Sequence[_Call]) -> list[Outcome]:
        """What each call is to be told."""
        try:
            new = await self._write(calls)
        except (psycopg.DataError, UnicodeEncodeError) as error:
            if len(calls) > 1:  # one event must not keep the others out
                return [outcome for call in calls for outcome in await self._commit([call])]
            outcome: Exception = NotStorable(
                str(error.diag.message_primary) if isinstance(error, psycopg.Error) else "no valid Unicode"
            )
        except (psycopg.Error, OSError) as error:
            log.warning(
                "nothing can be stored", error=type(error).__name__, sqlstate=getattr(error, "sqlstate", None)
            )
            outcome = StoreDown("the database cannot store now")
        except Exception:  # a bug here must not leave everybody after it without an answer
            log.exception("nothing can be stored")
            outcome = StoreDown("the hub cannot store now")
        else:
            return [[id(arrival) in new for arrival in call.arrivals] for call in calls]
        return [outcome] * len(calls)

    async def _write(self, calls: Sequence[_Call]) -> set[int]:
        """Store their events in one transaction, each id once; the `id()` of those that were new."""
        first: dict[tuple[str, str], Arrival] = {}
        for call in calls:
            for arrival in call.arrivals:
                first.setdefault((arrival.job.system, arrival.event_id), arrival)
        arrivals = list(first.values())
        rows = await self._line.run(*_lists(arrivals))
        self.commits += 1
        self.events += len(arrivals)
        return {id(arrivals[int(row[0] or b"0") - 1]) for row in rows}


def _tell(calls: Sequence[_Call], outcomes: Sequence[Outcome]) -> None:
    for call, outcome in zip(calls, outcomes, strict=True):
        call.tell(outcome)
