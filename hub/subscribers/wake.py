"""Asking for jobs that send: one for each subscriber that has something to be told."""

from __future__ import annotations

from sqlalchemy import Connection, Engine, text

from hub.jobs.queue import Job, Lane, Task, wake
from hub.jobs.schema import SCHEMA
from hub.store.database import reading
from hub.subscribers.register import AHEAD, BEHIND
from hub.subscribers.sender import FIRST_OF_ENTITY, SYSTEM

__all__ = ["job_of", "wake_one", "wake_subscribers"]

_BEHIND = text(f"""
    SELECT s.name FROM subscriber AS s
    WHERE s.state = 'active' AND (s.not_before IS NULL OR s.not_before <= now())
      AND ({AHEAD} OR {BEHIND}
           OR EXISTS (SELECT FROM subscriber_message AS m
                      WHERE m.subscriber_id = s.id AND m.state = 'waiting' AND m.next_at <= now()
                        AND {FIRST_OF_ENTITY}))
      AND (:failed_too OR NOT EXISTS (SELECT FROM {SCHEMA}.procrastinate_jobs AS j
                                      WHERE j.queueing_lock = :prefix || s.name AND j.status = 'failed'))
    ORDER BY s.name
""")  # noqa: S608  (the parts are ours)


def job_of(name: str) -> Job:
    """The job that sends to a subscriber."""
    return Job(Task.TELL, SYSTEM, name, Lane.SUBSCRIBERS)


def wake_subscribers(engine: Engine, *, failed_too: bool = False) -> None:
    """Ask for a job for each subscriber that has changes or due messages behind it.

    One whose last job failed for good is left alone, unless `failed_too`: it is asked again now and then.
    """
    values = {"failed_too": failed_too, "prefix": job_of("").name}
    with reading(engine) as connection:
        names = connection.scalars(_BEHIND, values).all()
    if names:
        with engine.begin() as connection:
            wake(connection, [job_of(name) for name in names])


def wake_one(connection: Connection, name: str) -> None:
    """Ask for a job for this subscriber, in the caller's transaction."""
    wake(connection, [job_of(name)])
