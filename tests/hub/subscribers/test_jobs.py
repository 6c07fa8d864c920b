"""Subscribers on the road for now: woken when the feed moves, on a lane of their own."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from postroom import Desk, Receiver, Reply

from hub.jobs import road
from hub.jobs.queue import Job, JobStatus, Lane
from hub.jobs.road import run_job, wake_pushes, wake_stored
from hub.jobs.worker import Pace, Worker
from hub.subscribers.answers import Manner
from hub.subscribers.register import remove, resume
from hub.subscribers.wake import job_of, wake_one, wake_subscribers

QUICK = Pace(heartbeat=0.4, dead_after=2.0, urgent=0.3, sweep=5.0, patience=5.0)


def until(what: Callable[[], Any], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not come to that in time"
        time.sleep(0.02)


def jobs(desk: Desk) -> list[JobStatus]:
    return desk.hub.job_statuses()


@contextmanager
def working(desk: Desk) -> Iterator[None]:
    """A worker in a thread."""
    loop, found, ready = asyncio.new_event_loop(), list[Worker](), threading.Event()

    async def work() -> None:
        found.append(Worker(desk.hub, concurrency=2, pace=QUICK))
        ready.set()
        await found[0].run()

    thread = threading.Thread(target=loop.run_until_complete, args=(work(),))
    thread.start()
    ready.wait()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(found[0].stop)
        thread.join(30)
        desk.hub.stopping.clear()
    assert not thread.is_alive()
    loop.close()


def test_a_worker_tells_what_nobody_asked_a_job_for(desk: Desk) -> None:
    """What a scheduled pull or a person changed: the worker looks at the feed by itself."""
    with Receiver() as slow:
        slow.answer = lambda call: Reply(wait=0.3)
        desk.subscribe("slow", url=slow.url, at_once=1)
        desk.subscribe()
        with working(desk):
            for number in range(10):
                desk.sell(f"S{number}", 1)
            until(lambda: len(desk.receiver.calls) == 10)
            assert len(slow.calls) < 10
            until(lambda: len(slow.calls) == 10)
            desk.receiver.answer = lambda call: Reply(500) if len(desk.receiver.calls) == 11 else Reply()
            desk.sell("S0", 2)
            until(lambda: len(desk.receiver.calls) == 12)  # put off, and tried again by its own job
            until(lambda: jobs(desk) == [])
    assert desk.receiver.calls[10].event_id == desk.receiver.calls[11].event_id


def test_whoever_wakes_pushes_wakes_subscribers_too(desk: Desk) -> None:
    desk.subscribe()
    desk.subscribe("other", "product")
    wake_pushes(desk.hub)
    assert jobs(desk) == []
    desk.sell("A", 1)
    wake_pushes(desk.hub, urgent_only=True)
    (job,) = jobs(desk)
    assert (job.task, job.system, job.flow, job.lane, job.state) == (
        "tell", "subscribers", "erp", "subscribers", "waiting",
    )  # fmt: skip
    wake_stored(desk.hub)
    assert len(jobs(desk)) == 1


def test_a_subscriber_that_is_held_back_is_not_asked_for_before_its_time(desk: Desk) -> None:
    desk.subscribe()
    desk.sell("A", 1)
    desk.receiver.answer = lambda call: Reply(429, {"retry-after": "60"})
    run_job(desk.hub, job_of("erp"))
    (job,) = jobs(desk)
    assert job.due_at is not None  # its own next turn
    desk.sell("B", 1)
    desk.run("DELETE FROM tsunagi_jobs.procrastinate_jobs")
    wake_subscribers(desk.hub.engine)
    assert jobs(desk) == []
    desk.run("UPDATE subscriber SET not_before = now()")
    wake_subscribers(desk.hub.engine)
    assert len(jobs(desk)) == 1


def test_a_message_that_waits_for_its_time_does_not_wake_and_new_ones_do(desk: Desk) -> None:
    desk.subscribe("erp", content="thin")
    desk.receiver.answer = lambda call: Reply(400)
    desk.sell("A", 1, 2)
    run_job(desk.hub, job_of("erp"))
    desk.run("UPDATE subscriber_message SET next_at = now() + interval '1 hour' WHERE attempts > 0")
    desk.run("DELETE FROM tsunagi_jobs.procrastinate_jobs")
    wake_subscribers(desk.hub.engine)
    assert jobs(desk) == []  # A's second version waits behind its first
    with desk.hub.engine.begin() as connection:
        wake_one(connection, "erp")
    desk.receiver.answer = lambda call: Reply()
    run_job(desk.hub, job_of("erp"))
    assert len(desk.receiver.calls) == 1
    desk.sell("B", 1)
    run_job(desk.hub, job_of("erp"))
    assert desk.receiver.told()[-1] == ("rakuten/B", 1)


def test_the_next_turn_of_many_messages_stands_behind_others(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.subscribe()
    desk.sell("A", 1)
    monkeypatch.setattr(road, "send", lambda hub, name: desk.send(name, Manner(turn=0.0)))
    run_job(desk.hub, job_of("erp"))
    (job,) = jobs(desk)
    assert job.state == "waiting"
    assert job.due_at is not None


def test_a_job_of_one_that_was_removed_ends(desk: Desk) -> None:
    desk.subscribe()
    with desk.hub.engine.begin() as connection:
        wake_one(connection, "erp")
        remove(connection, "erp")
    with working(desk):
        until(lambda: jobs(desk) == [])


def test_what_a_person_must_mend_is_told_once_and_asked_again_now_and_then(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.subscribe()
    desk.sell("A", 1)
    monkeypatch.setenv("TSUNAGI_SUBSCRIBER_NETWORKS", "everywhere")
    with working(desk):
        until(lambda: [job.state for job in jobs(desk)] == ["failed"])
        time.sleep(1)
        (job,) = jobs(desk)
        assert "everywhere" in (job.error or "")
        monkeypatch.setenv("TSUNAGI_SUBSCRIBER_NETWORKS", "127.0.0.0/8")
        with desk.hub.engine.begin() as connection:
            resume(connection, "erp")
            wake_one(connection, "erp")
        until(lambda: len(desk.receiver.calls) == 1)
        until(lambda: jobs(desk) == [])


def test_the_job_is_the_subscribers(desk: Desk) -> None:
    assert job_of("erp") == Job(job_of("erp").task, "subscribers", "erp", Lane.SUBSCRIBERS)
    assert job_of("erp").name == "tell:subscribers/erp"
