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
from typing import Literal

import orjson
import psycopg
import structlog

from connectors.contract import Event
from hub.gateway.doors import Door
from hub.gateway.line import Line
from hub.gateway.writing import MANY, ONE, Arrival, said
from hub.intake import place_of_records

__all__ = ["Arrival", "Arrivals", "NotStorable", "Outcome", "StoreDown", "arrivals_of"]

TOGETHER = 256
"""Most events stored by one statement."""
AT_MOST_WAITING = 4096
"""Events that may wait for a commit; a call that finds more is asked to come again."""
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
        self._line = Line(url, "tsunagi-gateway", (MANY, ONE))
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
        rows = await self._line.run(*said(arrivals))
        self.commits += 1
        self.events += len(arrivals)
        return {id(arrivals[int(row[0] or b"0") - 1]) for row in rows}


def _tell(calls: Sequence[_Call], outcomes: Sequence[Outcome]) -> None:
    for call, outcome in zip(calls, outcomes, strict=True):
        call.tell(outcome)
