"""`tsunagi worker`: does the jobs, in threads, until it is told to end.

Workers on other machines need nothing but the database. A worker that was killed is missed by its heartbeat, and its
jobs are taken up by the others (or by itself, started again).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import structlog
from procrastinate import App, PsycopgConnector
from procrastinate.exceptions import ConnectorException, UniqueViolation
from procrastinate.jobs import Job as QueuedJob, Status
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

from hub.engine import Hub
from hub.jobs.queue import Job, Lane, Task
from hub.jobs.road import run_job, wake_pushes, wake_stored
from hub.jobs.schema import SCHEMA

__all__ = ["Pace", "Worker"]

TRIES = 5
"""How often a job may take its worker's process with it before it is left to a person."""

AWAY = 1.0
"""Seconds a job waits for a database that went away under it."""

log = structlog.get_logger("tsunagi.worker")


@dataclass(frozen=True, slots=True)
class Pace:
    """How often a worker looks around, in seconds.

    heartbeat   says that it lives
    dead_after  without a heartbeat for so long, another takes its jobs
    poll        looks for jobs nobody told it of (those put off until a time)
    urgent      looks for urgent changes nobody asked a job for: those a scheduled pull brought
    sweep       looks for webhooks that no job waits for
    patience    waits for its jobs when it is to end
    """

    heartbeat: float = 2.0
    dead_after: float = 10.0
    poll: float = 0.25
    urgent: float = 2.0
    sweep: float = 300.0
    patience: float = 25.0


class Worker:
    """Does the jobs of some lanes, `concurrency` at once in each."""

    def __init__(
        self, hub: Hub, lanes: Iterable[Lane] = tuple(Lane), *, concurrency: int = 4, pace: Pace | None = None
    ) -> None:
        self._hub = hub
        self._lanes = tuple(lanes)
        self._concurrency = concurrency
        self._pace = pace or Pace()
        self._stop = asyncio.Event()
        self.left_running = False
        """After `run`: jobs were still running when patience ended; the process must not wait for their threads."""

    def stop(self) -> None:
        """End when the jobs at hand have come to a good place to stop. For the event loop's thread."""
        self._hub.stopping.set()
        self._stop.set()

    async def run(self) -> None:
        """Do jobs until `stop`. A database that goes away is waited for."""
        threads = ThreadPoolExecutor(self._concurrency * len(self._lanes) + 2, thread_name_prefix="job")
        asyncio.get_running_loop().set_default_executor(threads)
        while not self._stop.is_set():
            try:
                await self._work()
            except (ConnectorException, DBAPIError, OSError) as error:
                log.warning("the database is away", reason=type(error).__name__)
                await self._pause(1.0)
            except Exception:
                log.exception("breakdown")  # a worker that ends by itself would be missed by nobody
                await self._pause(1.0)

    async def _work(self) -> None:
        app = self._app()
        async with app.open_async():
            tasks = [asyncio.create_task(self._lane(app, lane)) for lane in self._lanes]
            tasks += [
                asyncio.create_task(self._every(self._pace.dead_after / 3, partial(self._take_up, app))),
                asyncio.create_task(self._every(self._pace.urgent, self._look_for_urgent)),
                asyncio.create_task(self._every(self._pace.sweep, self._look_for_stored)),
            ]
            ended = asyncio.create_task(self._stop.wait())
            try:
                await asyncio.wait([*tasks, ended], return_when=asyncio.FIRST_COMPLETED)
            finally:
                ended.cancel()
                for task in tasks:
                    task.cancel()
                done, late = await asyncio.wait(tasks, timeout=self._pace.patience)
                self.left_running = bool(late)
            for task in done:
                if not task.cancelled() and (error := task.exception()) is not None:
                    raise error

    async def _lane(self, app: App, lane: Lane) -> None:
        await app.run_worker_async(
            queues=[lane.value],
            name=lane.value,
            concurrency=self._concurrency,
            delete_jobs="successful",
            install_signal_handlers=False,
            fetch_job_polling_interval=self._pace.poll,
            update_heartbeat_interval=self._pace.heartbeat,
            stalled_worker_timeout=self._pace.dead_after,
        )

    def _app(self) -> App:
        url = self._hub.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
        # a lost "begun" or "done" after a crash of the database only repeats a job that then finds nothing to do
        options = f"-c search_path={SCHEMA} -c synchronous_commit=off"
        app = App(
            connector=PsycopgConnector(
                conninfo=url,
                kwargs={"options": options, "application_name": "tsunagi-worker"},
                min_size=1,
                max_size=2 + 2 * len(self._lanes),
            )
        )
        for task in Task:
            app.task(name=task.value)(partial(self._do, task))
        return app

    def _do(
        self, task: Task, system: str, flow: str, lane: str, attempt: int, busy: int, error: str = ""
    ) -> None:
        """One job, in a thread. `error` is what an earlier failure left for people to read."""
        if error:
            log.info("once more", task=task.value, system=system, flow=flow)
        job = Job(task, system, flow, Lane(lane), attempt, busy)
        while True:
            try:
                return run_job(self._hub, job)
            except (OperationalError, InterfaceError) as away:
                # it could not even write down that it is to be done later: no reason to leave it to a person
                if self._hub.stopping.is_set():
                    raise
                log.warning("the database is away", job=job.name, reason=type(away.orig).__name__)
                time.sleep(AWAY)

    async def _every(self, seconds: float, look: Callable[[], Awaitable[None]]) -> None:
        while True:
            await look()
            await asyncio.sleep(seconds)

    async def _pause(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stop.wait(), seconds)
        except TimeoutError:
            return

    async def _take_up(self, app: App) -> None:
        """Jobs of workers that are dead: do them again, unless the same was asked for meanwhile."""
        stalled: Sequence[QueuedJob] = list(
            await app.job_manager.get_stalled_jobs(seconds_since_heartbeat=self._pace.dead_after)
        )
        for job in stalled:
            log.warning("taken up", job=job.queueing_lock, tries=job.attempts + 1)
            if job.attempts + 1 >= TRIES:
                await app.job_manager.finish_job(job, Status.FAILED, delete_job=False)
                continue
            try:
                await app.job_manager.retry_job(job)
            except UniqueViolation:
                await app.job_manager.finish_job(job, Status.ABORTED, delete_job=True)

    async def _look_for_urgent(self) -> None:
        await asyncio.to_thread(wake_pushes, self._hub, urgent_only=True)

    async def _look_for_stored(self) -> None:
        await asyncio.to_thread(wake_stored, self._hub)


def quiet_library() -> None:
    """The library tells each job twice; ours are told by the runs."""
    logging.getLogger("procrastinate").setLevel(logging.WARNING)
