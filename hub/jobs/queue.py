"""The job queue: what is to be done now, once for each flow, however often it was asked for.

A job says only "look at this flow": what there is to do stands in the store (pages not taken in, changes behind a
flow's position). So asking twice is asking once, a job that runs twice does nothing the second time, and a lost job
costs time, never data. While a job of a name runs, another may wait behind it: what was asked for meanwhile is not
forgotten.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import orjson
from sqlalchemy import Connection, text

from hub.jobs.schema import SCHEMA
from hub.logs import mask

__all__ = [
    "Job",
    "JobStatus",
    "Lane",
    "Task",
    "again",
    "asked_again",
    "forget",
    "job_statuses",
    "note_failure",
    "settled",
    "wake",
    "wake_sql",
]


class Lane(StrEnum):
    """Queues: what must not wait behind anything; all the rest; and what subscribers are told.

    The last is apart because receivers are slow as they like: they hold up each other, and no channel.
    """

    URGENT = "urgent"
    BULK = "bulk"
    SUBSCRIBERS = "subscribers"


class Task(StrEnum):
    """What a job does with its flow.

    take_in   take in what is stored (webhooks, pages of a run that was interrupted)
    fetch     ask the source for what thin events named
    overtake  send the urgent changes, also while a long push of the flow is under way
    deliver   send what changed
    tell      send what changed to a subscriber; `flow` is its name
    """

    TAKE_IN = "take_in"
    FETCH = "fetch"
    OVERTAKE = "overtake"
    DELIVER = "deliver"
    TELL = "tell"


# What a new reason runs at once; the others wait for the end of the pause the other side asked for.
_AT_ONCE = f"'{Task.TAKE_IN}', '{Task.OVERTAKE}', '{Task.TELL}'"
# What a worker listens for; of which job it is told does not matter to it: it asks for one.
_TOLD = '{"type": "job_inserted", "job_id": 0}'
_PRIORITY = {Task.OVERTAKE: 30, Task.TAKE_IN: 20, Task.FETCH: 10, Task.DELIVER: 0, Task.TELL: 0}


@dataclass(frozen=True, slots=True)
class Job:
    """One thing to do. `attempt` counts failures in a row, `busy` how often the flow was found running elsewhere."""

    task: Task
    system: str
    flow: str
    lane: Lane
    attempt: int = 0
    busy: int = 0

    @property
    def name(self) -> str:
        """At most one job of a name waits, and at most one runs."""
        return f"{self.task}:{self.system}/{self.flow}"

    def row(self) -> dict[str, Any]:
        """The columns of the queue."""
        args = asdict(self)
        del args["task"]
        return {
            "queue": self.lane.value, "task": self.task.value, "priority": _PRIORITY[self.task], "name": self.name,
            "args": orjson.dumps(args).decode(),
        }  # fmt: skip


def wake_sql(rows: str, due: str = "NULL::timestamptz") -> str:
    """The statement parts that put jobs into the queue, for a WITH clause; `rows` names queue, task, priority, name and
    args; `due` is when they are to be done, NULL at once.

    A waiting job of the same name is locked, not just left (a conflict locks its row also where nothing is updated): no
    worker takes it before our transaction ends, and what it is to do can be seen. Rows are taken in the order of their
    names, so that two transactions never wait for each other. A worker that came meanwhile passed it over, so workers
    are told, also of a job that waited before.

    While a job of the name runs nobody is told: nobody could take the waiting one, and who does the running one looks
    for it at its end. Else two hundred events a second would have every worker ask two hundred times for a job that it
    cannot have. Where the running one ends in between, the poll finds the waiting one a moment later.
    """
    return f"""
    woken AS (
        INSERT INTO {SCHEMA}.procrastinate_jobs AS j
            (queue_name, task_name, priority, lock, queueing_lock, args, scheduled_at)
        SELECT DISTINCT ON (name) queue, task, priority, name, name, args::jsonb, {due} FROM {rows} ORDER BY name
        ON CONFLICT (queueing_lock) WHERE status = 'todo' DO UPDATE SET scheduled_at = NULL
            WHERE j.scheduled_at IS NOT NULL AND j.task_name IN ({_AT_ONCE})
    ), told AS (
        SELECT pg_notify('procrastinate_queue_v1#' || queue, '{_TOLD}') FROM {rows}
        WHERE NOT EXISTS (SELECT FROM {SCHEMA}.procrastinate_jobs AS running
                          WHERE running.lock = {rows}.name AND running.status = 'doing')
    )"""  # noqa: S608  (both names are ours)


_ROWS = """
    came AS (
        SELECT * FROM unnest(CAST(:queue AS text[]), CAST(:task AS text[]), CAST(:priority AS int[]),
                             CAST(:name AS text[]), CAST(:args AS text[]))
                      AS c(queue, task, priority, name, args)
    )"""
_DUE = "CASE WHEN :seconds > 0 THEN clock_timestamp() + make_interval(secs => :seconds) END"
_WAKE = text(f"WITH {_ROWS}, {wake_sql('came', _DUE)} SELECT count(*) FROM told")  # noqa: S608
_AGAIN = text(f"""
    INSERT INTO {SCHEMA}.procrastinate_jobs AS j
        (queue_name, task_name, priority, lock, queueing_lock, args, scheduled_at)
    VALUES (:queue, :task, :priority, :name, :name, CAST(:args AS jsonb),
            clock_timestamp() + make_interval(secs => :seconds))
    ON CONFLICT (queueing_lock) WHERE status = 'todo' DO UPDATE
        SET scheduled_at = excluded.scheduled_at, args = excluded.args
""")  # noqa: S608
_TAKE = text(f"""
    DELETE FROM {SCHEMA}.procrastinate_jobs
    WHERE queueing_lock = :name AND status = 'todo' AND (scheduled_at IS NULL OR scheduled_at <= clock_timestamp())
""")  # noqa: S608
_SETTLED = text(
    f"DELETE FROM {SCHEMA}.procrastinate_jobs WHERE queueing_lock = :name AND status = 'failed'"  # noqa: S608
)
_FAILED = text(f"""
    UPDATE {SCHEMA}.procrastinate_jobs SET args = args || jsonb_build_object('error', CAST(:error AS text))
    WHERE lock = :name AND status = 'doing'
""")  # noqa: S608


def wake(connection: Connection, jobs: Iterable[Job], *, seconds: float = 0.0) -> None:
    """Ask for these jobs in the caller's transaction; workers hear of it when it commits.

    `seconds` puts those off that do not wait already.
    """
    rows = [job.row() for job in jobs]
    if rows:
        columns = ("queue", "task", "priority", "name", "args")
        values = {column: [row[column] for row in rows] for column in columns}
        connection.execute(_WAKE, {**values, "seconds": float(seconds)})


def again(connection: Connection, job: Job, seconds: float) -> None:
    """Ask for the job once more, later: a reason that came meanwhile waits as long."""
    connection.execute(_AGAIN, {**job.row(), "seconds": float(seconds)})


def asked_again(connection: Connection, job: Job) -> bool:
    """Whether the job was asked for while it ran; then that is answered for and the job should look once more."""
    return connection.execute(_TAKE, {"name": job.name}).rowcount > 0


def settled(connection: Connection, job: Job) -> None:
    """The job went well: earlier failures of its name need no eye any more."""
    connection.execute(_SETTLED, {"name": job.name})


def note_failure(connection: Connection, job: Job, error: str) -> None:
    """Write down why the running job is about to fail; of a name's failures only the newest is kept."""
    settled(connection, job)
    connection.execute(_FAILED, {"name": job.name, "error": mask("", error)[:2000]})


_FORGET = text(f"""
    DELETE FROM {SCHEMA}.procrastinate_jobs AS j WHERE j.status IN ('failed', 'cancelled', 'aborted')
    AND NOT EXISTS (SELECT FROM {SCHEMA}.procrastinate_events AS e WHERE e.job_id = j.id AND e.at >= :before)
""")  # noqa: S608


def forget(connection: Connection, *, before: datetime) -> int:
    """Remove what failed for good before that moment; returns how many."""
    return connection.execute(_FORGET, {"before": before}).rowcount


# ---------------------------------------------------------------- for an operator

_STATUS = text(f"""
    SELECT j.task_name AS task, j.args ->> 'system' AS system, j.args ->> 'flow' AS flow, j.queue_name AS lane,
           CASE j.status WHEN 'todo' THEN 'waiting' WHEN 'doing' THEN 'running' ELSE j.status::text END AS state,
           (SELECT max(e.at) FROM {SCHEMA}.procrastinate_events AS e WHERE e.job_id = j.id AND e.type <> 'scheduled')
               AS since,
           j.scheduled_at AS due_at, coalesce((j.args ->> 'attempt')::int, 0) AS attempt, j.args ->> 'error' AS error
    FROM {SCHEMA}.procrastinate_jobs AS j WHERE j.status IN ('todo', 'doing', 'failed') ORDER BY j.id
""")  # noqa: S608


@dataclass(frozen=True, slots=True)
class JobStatus:
    """One job that waits (until `due_at`, if it was put off), runs or failed for good, and since when it does."""

    task: str
    system: str
    flow: str
    lane: str
    state: str
    since: datetime | None
    due_at: datetime | None
    attempt: int
    error: str | None

    def as_dict(self) -> dict[str, Any]:
        """The status as JSON-able values."""
        return asdict(self)


def job_statuses(connection: Connection) -> list[JobStatus]:
    """Every job that is not done, oldest first."""
    return [JobStatus(**row._mapping) for row in connection.execute(_STATUS)]
