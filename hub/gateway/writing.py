"""How events are written: one statement for the events, their bodies, and the jobs that carry them on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Literal

import orjson

from hub.gateway.line import Statement, bytes_list, text_list
from hub.jobs.queue import Job, wake_sql

__all__ = ["MANY", "ONE", "Arrival", "said"]

MEDIA_TYPE = "application/json"


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


# What all events of a way have in common is said once for all of them.
_WAY = ("system", "flow", "source", "queue", "task", "priority", "name", "args")
_EVENT = {
    "event_id": "text", "sha256": "bytea", "size": "text", "occurred_at": "text", "ask_for": "text", "gone": "text",
    "params": "text",
}  # fmt: skip


def _store(ways: str, came: str, body: str, raw: str) -> str:
    """The statement, given its sources: the ways, what came over them, and both bodies of what came as number n."""
    return f"""
    WITH ways AS {ways}, came AS {came}, stored AS (
        INSERT INTO intake (system, flow, source, name, media_type, sha256, size, event_id, occurred_at, fetch_ids,
                            deleted, params)
        SELECT system, flow, source, event_id, '{MEDIA_TYPE}', sha256, size::bigint, event_id,
               occurred_at::timestamptz, ask_for::text[], gone::text[], params::jsonb
        FROM came ORDER BY n
        ON CONFLICT (system, event_id) WHERE event_id IS NOT NULL DO NOTHING
        RETURNING id, system, event_id
    ), new AS (
        SELECT s.id, c.n, c.way FROM stored AS s JOIN came AS c ON c.system = s.system AND c.event_id = s.event_id
    ), kept AS (
        INSERT INTO intake_body (intake_id, part, body)
        SELECT id, 0, {body} FROM new UNION ALL SELECT id, -1, {raw} FROM new WHERE {raw} IS NOT NULL
    ), due AS (
        SELECT queue, task, priority::int AS priority, name, args FROM ways WHERE way IN (SELECT way FROM new)
    ), {wake_sql("due")}
    SELECT n, (SELECT count(*) FROM told) FROM new
"""  # noqa: S608  (all parts are ours)


def _many() -> Statement:
    """Each parameter is a list: of the ways; then of the events, first the number of its way."""
    types = [*("text" for _ in _WAY), "text", *_EVENT.values(), "bytea", "bytea"]
    places = [f"${number}" for number in range(1, len(types) + 1)]
    columns = ", ".join(_EVENT)
    way_lists, event_lists = ", ".join(places[: len(_WAY)]), ", ".join(places[len(_WAY) : -2])
    sql = _store(
        f"(SELECT * FROM unnest({way_lists}) WITH ORDINALITY AS w({', '.join(_WAY)}, way))",  # noqa: S608
        f"""(SELECT w.system, w.flow, w.source, w.way, {columns}, n
             FROM unnest({event_lists}) WITH ORDINALITY AS c(number, {columns}, n)
             JOIN ways AS w ON w.way = c.number::bigint)""",  # noqa: S608
        f"({places[-2]})[n]",  # picked at the end: bodies that go through every step are copied in every step
        f"({places[-1]})[n]",
    )
    return Statement("many", sql, [f"{kind}[]" for kind in types])


def _one() -> Statement:
    """One event: the same without lists, for which PostgreSQL takes a fifth less."""
    types = [*("text" for _ in _WAY), *_EVENT.values(), "bytea", "bytea"]
    places = [f"${number}" for number in range(1, len(types) + 1)]
    named = [f"{place} AS {name}" for place, name in zip(places, (*_WAY, *_EVENT), strict=False)]
    way, event = ", ".join(named[: len(_WAY)]), ", ".join(named[len(_WAY) :])
    sql = _store(
        f"NOT MATERIALIZED (SELECT {way}, 1::bigint AS way)",
        f"NOT MATERIALIZED (SELECT system, flow, source, way, {event}, 1::bigint AS n FROM ways)",  # noqa: S608
        places[-2],
        places[-1],
    )
    return Statement("one", sql, types)


MANY, ONE = _many(), _one()


def said(arrivals: Sequence[Arrival]) -> tuple[Statement, list[bytes | None]]:
    """What stores these events, and its parameters. Raises UnicodeEncodeError for half a surrogate pair."""
    if len(arrivals) == 1:
        (one,) = arrivals
        return ONE, [*_way(one.job, one.source), *_event(one)]
    ways: dict[tuple[int, str], tuple[bytes, Job]] = {}
    numbers = [  # a door gives the same job again and again
        ways.setdefault((id(one.job), one.source), (b"%d" % (len(ways) + 1), one.job))[0] for one in arrivals
    ]
    columns = zip(*map(_event, arrivals), strict=True)
    lists = [
        text_list(column) if kind == "text" else bytes_list(column)
        for kind, column in zip((*_EVENT.values(), "bytea", "bytea"), columns, strict=True)
    ]
    used = tuple([(job, source) for (_, source), (_, job) in ways.items()])
    return MANY, [*_way_lists(used), text_list(numbers), *lists]


@lru_cache(maxsize=256)
def _way(job: Job, source: str) -> tuple[bytes, ...]:
    row = job.row()
    values = (job.system, job.flow, source, *(row[name] for name in _WAY[3:]))
    return tuple([str(value).encode() for value in values])


@lru_cache(maxsize=256)
def _way_lists(ways: tuple[tuple[Job, str], ...]) -> list[bytes]:
    """The same few come again and again."""
    return [text_list(column) for column in zip(*(_way(*way) for way in ways), strict=True)]


def _event(one: Arrival) -> tuple[bytes | None, ...]:
    return (
        one.event_id.encode(), one.sha256, b"%d" % one.size,
        None if one.occurred_at is None else one.occurred_at.isoformat().encode(),
        _list(one.fetch), _list(one.deleted), _params(one.records), one.body, one.raw,
    )  # fmt: skip


@lru_cache(maxsize=1024)
def _params(records: tuple[str, ...] | Literal[False] | None) -> bytes:
    return b"{}" if records is False else orjson.dumps({"records": records})


def _list(values: Sequence[str]) -> bytes:
    """A list as PostgreSQL reads it from text."""
    if not values:
        return b"{}"
    quoted = [str(value).replace("\\", r"\\").replace('"', r"\"") for value in values]
    return ("{" + ",".join([f'"{value}"' for value in quoted]) + "}").encode()
