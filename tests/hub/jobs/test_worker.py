"""The real thing: a gateway and a worker as processes, ended gently and not."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from street import HERE, build, running, sign, stock_event, took

from hub.engine import Hub
from hub.jobs import road, worker as jobs_worker
from hub.jobs.queue import Job, JobStatus, Lane, Task, job_statuses, wake
from hub.jobs.worker import Pace, Worker

QUICK = Pace(heartbeat=0.4, dead_after=2.0, urgent=0.5, patience=5.0)


def start(url: str, base: Path, what: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-W", "ignore", str(HERE / "street.py"), url, str(base), what]
    return subprocess.Popen(
        command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def kill(process: subprocess.Popen[bytes]) -> None:
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def until(what: Callable[[], Any], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not come to that in time"
        time.sleep(0.02)


def jobs(hub: Hub) -> list[JobStatus]:
    with hub.engine.connect() as connection:
        return job_statuses(connection)


def newest(base: Path) -> dict[str, int]:
    return {line["key"]: line["record"]["quantity"] for line in took(base)}


def post(shop: httpx.Client, event: dict[str, Any]) -> int:
    body = json.dumps(event).encode()
    return shop.post("/webhooks/north", content=body, headers=sign(body)).status_code


@contextmanager
def working(hub: Hub, *lanes: Lane, pace: Pace = QUICK) -> Iterator[Worker]:
    """A worker in a thread of this process."""
    loop = asyncio.new_event_loop()
    found: list[Worker] = []
    ready = threading.Event()

    async def work() -> None:
        found.append(Worker(hub, lanes or tuple(Lane), concurrency=3, pace=pace))
        ready.set()
        await found[0].run()

    thread = threading.Thread(target=loop.run_until_complete, args=(work(),))
    thread.start()
    ready.wait()
    try:
        yield found[0]
    finally:
        loop.call_soon_threadsafe(found[0].stop)
        thread.join(30)
        hub.stopping.clear()
    assert not thread.is_alive()
    loop.close()


def test_from_the_webhook_to_the_other_channel(
    hub: Hub, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """Also measures: from the call to the accepted write on the other channel, and the call's answer."""
    with running(hub) as shop, working(hub):
        post(shop, stock_event("e0", "A", 100, 0))
        until(lambda: newest(tmp_path) == {"A": 100})
        road, answer = [], []
        for number in range(1, 21):
            started = time.time()
            assert post(shop, stock_event(f"e{number}", "A", 100 - number, number)) == 200
            answer.append(time.time() - started)
            until(lambda number=number: newest(tmp_path) == {"A": 100 - number})  # type: ignore[misc]
            road.append(took(tmp_path)[-1]["at"] - started)
            time.sleep(0.05)
        until(lambda: jobs(hub) == [])
    measured = {
        name: round(sorted(values)[10] * 1000) for name, values in (("road", road), ("answer", answer))
    }
    record_property("milliseconds", measured)
    print(f"p50 in ms: {measured}")
    assert measured["road"] < 1000
    assert measured["answer"] < 200


def test_lanes_do_not_wait_for_each_other(hub: Hub, tmp_path: Path) -> None:
    with running(hub) as shop:
        with working(hub, Lane.BULK):
            post(shop, stock_event("e1", "A", 5, 1))
            time.sleep(0.7)
            assert [(job.task, job.state) for job in jobs(hub)] == [("take_in", "waiting")]
        with working(hub, Lane.URGENT):
            until(lambda: {job.lane for job in jobs(hub)} == {"bulk"})
        assert newest(tmp_path) == {}
        with working(hub):
            until(lambda: newest(tmp_path) == {"A": 5})


def test_what_a_person_must_mend_stays_visible_until_it_went_well(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "south" / "send.faults").write_text(json.dumps(["misconfigured"]))
    with running(hub) as shop, working(hub):
        post(shop, stock_event("e1", "A", 5, 1))
        until(lambda: [job.state for job in jobs(hub)] == ["failed"])
        (job,) = jobs(hub)
        assert (job.task, job.system, job.flow) == ("deliver", "south", "stock_out")
        assert job.error == "the key expired"
        with hub.engine.begin() as connection:
            wake(connection, [Job(Task.DELIVER, "south", "stock_out", Lane.BULK)])
        until(lambda: jobs(hub) == [])
    assert newest(tmp_path) == {"A": 5}


def test_a_database_that_goes_away_under_a_job_fails_no_job(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when it is not there to be told that the job is put off."""
    real, gone = road.again, [True, True]

    def away(*given: Any) -> None:
        if gone and gone.pop():
            raise OperationalError("UPDATE", {}, ConnectionError("terminating connection"))
        real(*given)

    monkeypatch.setattr(road, "again", away)
    monkeypatch.setattr(jobs_worker, "AWAY", 0.05)
    (tmp_path / "south" / "send.faults").write_text(json.dumps(["retry", "retry", "retry"]))
    with running(hub) as shop, working(hub):
        post(shop, stock_event("e1", "A", 5, 1))
        until(lambda: newest(tmp_path) == {"A": 5})
        until(lambda: jobs(hub) == [])
    assert gone == []


def test_a_worker_ends_behind_the_batch_at_hand_and_the_next_goes_on(
    database_url: str, tmp_path: Path
) -> None:
    with build(database_url, tmp_path) as hub:
        (tmp_path / "south" / "slow").write_text("0.3")
        page = [{"sku": f"S{n:03d}", "location": "W1", "on_hand": n, "version": 1} for n in range(200)]
        (tmp_path / "north" / "stock" / "0001.json").write_text(json.dumps(page))
        hub.pull("north", "stock")
        with hub.engine.begin() as connection:
            wake(connection, [Job(Task.DELIVER, "south", "stock_out", Lane.BULK)])
        worker = start(database_url, tmp_path, "worker")
        until(lambda: len(took(tmp_path)) >= 10)
        asked = time.monotonic()
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(15) == 0
        assert time.monotonic() - asked < 4
        assert 10 <= len(took(tmp_path)) < 150
        assert [(job.task, job.state) for job in jobs(hub)] == [("deliver", "waiting")]
        (tmp_path / "south" / "slow").unlink()
        with working(hub):
            until(lambda: len(newest(tmp_path)) == 200)
            until(lambda: jobs(hub) == [])
        assert len(took(tmp_path)) == 200  # nothing twice


def test_another_worker_takes_up_what_a_dead_one_had(database_url: str, tmp_path: Path) -> None:
    with build(database_url, tmp_path) as hub:
        (tmp_path / "south" / "slow").write_text("1.0")
        with running(hub) as shop:
            post(shop, stock_event("e1", "A", 5, 1))
        worker = start(database_url, tmp_path, "worker")
        until(lambda: any(job.task == "deliver" and job.state == "running" for job in jobs(hub)))
        kill(worker)
        (tmp_path / "south" / "slow").unlink()
        with working(hub):
            until(lambda: newest(tmp_path) == {"A": 5})
            until(lambda: jobs(hub) == [])


@pytest.mark.slow
@pytest.mark.chaos
def test_nothing_is_lost_or_doubled_when_both_are_killed(
    database_url: str, tmp_path: Path, chaos_rounds: Callable[[int], int]
) -> None:
    """Senders repeat what was not answered, as real ones do; every answered event must be in every channel."""
    dice = random.Random(20261121)
    with build(database_url, tmp_path) as hub:
        processes = {what: start(database_url, tmp_path, what) for what in ("gateway", "worker")}
        stop = threading.Event()
        told: dict[str, int] = {}

        def sender(line: int) -> None:
            count = random.Random(line)
            with httpx.Client(timeout=3) as client:
                for version in range(1, 100_000):
                    sku, on_hand = f"S{line}-{count.randrange(8)}", count.randrange(1, 500)
                    event = stock_event(f"{line}-{version}", sku, on_hand, version)
                    body = json.dumps(event).encode()
                    while True:
                        try:
                            port = (tmp_path / "port").read_text()
                            answer = client.post(
                                f"http://127.0.0.1:{port}/webhooks/north", content=body, headers=sign(body)
                            )
                            if answer.status_code == 200:
                                told[sku] = on_hand
                                break
                        except (httpx.HTTPError, OSError):
                            pass
                        time.sleep(0.05)
                    if stop.is_set():
                        return
                    time.sleep(count.uniform(0, 0.03))

        until((tmp_path / "port").exists)
        senders = [threading.Thread(target=sender, args=(line,)) for line in range(4)]
        for thread in senders:
            thread.start()
        for _ in range(chaos_rounds(5)):
            time.sleep(dice.uniform(0.5, 2.0))
            what = dice.choice(["gateway", "worker", "worker"])
            kill(processes[what])
            processes[what] = start(database_url, tmp_path, what)
        stop.set()
        for thread in senders:
            thread.join(60)
            assert not thread.is_alive()
        until(lambda: newest(tmp_path) == told, 40)
        until(lambda: jobs(hub) == [], 40)
        for process in processes.values():
            process.send_signal(signal.SIGTERM)
        assert [process.wait(20) for process in processes.values()] == [0, 0]

        with hub.engine.connect() as connection:
            held = dict(
                connection.execute(
                    text("SELECT content ->> 'sku', (content ->> 'on_hand')::int FROM entity "
                         "WHERE kind = 'stock_position'")
                ).all()
            )  # fmt: skip
            states = connection.execute(text("SELECT DISTINCT state FROM intake")).scalars().all()
            open_deliveries = connection.scalar(
                text("SELECT count(*) FROM delivery WHERE finished_at IS NULL")
            )
        assert held == told
        assert states == ["processed"]
        assert open_deliveries == 0
        # an absolute write may come twice after a kill, but only as the same stored batch
        batches: dict[tuple[str, str], int] = {}
        for line in took(tmp_path):
            quantity = line["record"]["quantity"]
            assert batches.setdefault((line["batch"].partition(".")[0], line["key"]), quantity) == quantity
