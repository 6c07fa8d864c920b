"""Group commit: what has arrived while the last commit ran is stored by one statement, and then answered together.

Alone on the line a call costs one commit; under load many calls share one. Either way a call is answered only after
its commit is on the disk.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import orjson
import psycopg
import structlog
from psycopg.rows import tuple_row

from connectors.contract import Event
from hub.gateway.doors import Door
from hub.intake import place_of_records
from hub.jobs.queue import Job, wake_sql

__all__ = ["Arrival", "Arrivals", "NotStorable", "StoreDown", "arrivals_of"]

TOGETHER = 256
"""Most events stored by one statement."""
AT_MOST_WAITING = 4096
"""Events that may wait for a commit; a call that finds more is asked to come again."""
MEDIA_TYPE = "application/json"
_ALL = "{}"
LONGEST_ID = 500
"""A longer event id is replaced by a hash."""

log = structlog.get_logger("tsunagi.gateway")


class StoreDown(Exception):
    """The database cannot store now; the sender should come again."""


class NotStorable(Exception):
    """The event holds what PostgreSQL cannot keep (a NUL character)."""


@dataclass(frozen=True, slots=True, eq=False)
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
    records: Sequence[str] | Literal[False] | None = False
    raw: bytes | None = None
    fetch: Sequence[str] = ()
    deleted: Sequence[str] = ()
    occurred_at: datetime | None = None

    @property
    def key(self) -> tuple[str, str]:
        return self.job.system, self.event_id

    def row(self) -> tuple[Any, ...]:
        job = self.job.row()
        return (
            self.job.system, self.job.flow, self.source, self.event_id, self.sha256, self.size, self.occurred_at,
            orjson.dumps(list(self.fetch)).decode() if self.fetch else "",
            orjson.dumps(list(self.deleted)).decode() if self.deleted else "",
            _ALL if self.records is False else orjson.dumps({"records": self.records}).decode(),
            self.body, self.raw, job["queue"], job["task"], job["priority"], job["name"], job["args"],
        )  # fmt: skip


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


def _place(event: Event, body: bytes) -> list[str] | Literal[False] | None:
    """Where the event's records lie in the body; None: it has none, False: nowhere as they are."""
    if not event.records:
        return None
    try:
        place = place_of_records(event.records, orjson.loads(body))
    except ValueError:
        return False
    return False if place is None else place


_COLUMNS = {
    "system": "text", "flow": "text", "source": "text", "event_id": "text", "sha256": "bytea", "size": "bigint",
    "occurred_at": "timestamptz", "ask_for": "text", "gone": "text", "params": "text", "body": "bytea",
    "raw": "bytea", "queue": "text", "task": "text", "priority": "int", "name": "text", "args": "text",
}  # fmt: skip
_LIST = "CASE WHEN {0} = '' THEN '{{}}' ELSE ARRAY(SELECT jsonb_array_elements_text({0}::jsonb)) END"
_STORE = f"""
    WITH came AS (
        SELECT * FROM unnest({", ".join(f"%b::{kind}[]" for kind in _COLUMNS.values())})
                 WITH ORDINALITY AS c({", ".join(_COLUMNS)}, n)
    ), stored AS (
        INSERT INTO intake (system, flow, source, name, media_type, sha256, size, event_id, occurred_at, fetch_ids,
                            deleted, params)
        SELECT system, flow, source, event_id, '{MEDIA_TYPE}', sha256, size, event_id, occurred_at,
               {_LIST.format("ask_for")}, {_LIST.format("gone")},
               params::jsonb
        FROM came ORDER BY n
        ON CONFLICT (system, event_id) WHERE event_id IS NOT NULL DO NOTHING
        RETURNING id, system, event_id
    ), new AS (
        SELECT s.id, c.* FROM stored AS s JOIN came AS c ON c.system = s.system AND c.event_id = s.event_id
    ), kept AS (
        INSERT INTO intake_body (intake_id, part, body)
        SELECT id, 0, body FROM new UNION ALL SELECT id, -1, raw FROM new WHERE raw IS NOT NULL
    ), {wake_sql("new")}
    SELECT system, event_id, (SELECT count(*) FROM told) FROM stored
"""  # noqa: S608  (all parts are ours)


class Arrivals:
    """Stores events over one connection of its own. Started by the first event; `close` ends it."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._waiting: list[tuple[Arrival, asyncio.Future[bool]]] = []
        self._came = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._connection: psycopg.AsyncConnection[tuple[Any, ...]] | None = None
        self.commits = 0
        self.events = 0

    async def store(self, arrivals: Sequence[Arrival]) -> list[bool]:
        """Whether each event was new. Raises StoreDown or NotStorable; an event may be stored in spite of StoreDown."""
        if len(self._waiting) + len(arrivals) > AT_MOST_WAITING:
            raise StoreDown("too many events are waiting")
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="arrivals")
        loop = asyncio.get_running_loop()
        futures = [loop.create_future() for _ in arrivals]
        self._waiting += zip(arrivals, futures, strict=True)
        self._came.set()
        done = await asyncio.gather(*futures, return_exceptions=True)
        for one in done:
            if isinstance(one, BaseException):
                raise one
        return [bool(one) for one in done]

    async def close(self) -> None:
        """Store what waits, then end."""
        if self._task is not None:
            while self._waiting:
                await asyncio.sleep(0.01)
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None
        if self._connection is not None:
            await self._connection.close()

    async def _run(self) -> None:
        while True:
            await self._came.wait()
            self._came.clear()
            while self._waiting:
                batch = self._waiting[:TOGETHER]
                await self._commit(batch)
                del self._waiting[: len(batch)]

    async def _commit(self, batch: Sequence[tuple[Arrival, asyncio.Future[bool]]]) -> None:
        first: dict[tuple[str, str], Arrival] = {}
        for arrival, _ in batch:
            first.setdefault(arrival.key, arrival)
        outcome: set[tuple[str, str]] | Exception
        try:
            outcome = await self._write(list(first.values()))
        except psycopg.DataError as error:
            if len(batch) > 1:  # one event must not keep the others out
                for one in batch:
                    await self._commit([one])
                return
            outcome = NotStorable(str(error.diag.message_primary))
        except (psycopg.Error, OSError) as error:
            log.warning(
                "nothing can be stored", error=type(error).__name__, sqlstate=getattr(error, "sqlstate", None)
            )
            outcome = StoreDown("the database cannot store now")
        for arrival, future in batch:
            if future.done():
                continue
            if isinstance(outcome, Exception):
                future.set_exception(outcome)
            else:
                future.set_result(arrival.key in outcome and first[arrival.key] is arrival)

    async def _write(self, arrivals: Sequence[Arrival]) -> set[tuple[str, str]]:
        if self._connection is None or self._connection.broken or self._connection.closed:
            self._connection = await psycopg.AsyncConnection.connect(
                self._url, autocommit=True, row_factory=tuple_row, application_name="tsunagi-gateway",
                connect_timeout=5,
            )  # fmt: skip
        columns = list(zip(*(arrival.row() for arrival in arrivals), strict=True))
        found = await self._connection.execute(_STORE, [list(column) for column in columns])
        rows = await found.fetchall()
        self.commits += 1
        self.events += len(arrivals)
        return {(row[0], row[1]) for row in rows}
