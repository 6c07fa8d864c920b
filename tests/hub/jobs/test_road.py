"""What the jobs do, one by one and in a fixed order: no worker, no waiting."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from street import build, order, sign, stock_event, took

from connectors.contract import Misconfigured, Page, Refused
from hub import intake as intakes
from hub.engine import Hub
from hub.gateway.arrivals import Arrivals, arrivals_of
from hub.gateway.doors import load_doors
from hub.jobs import road
from hub.jobs.queue import Job, JobStatus, Lane, Task, again, asked_again, job_statuses, wake
from hub.jobs.road import BREAKDOWNS, LIMIT, run_job, wake_pushes, wake_stored
from hub.reports import FlowStatus
from hub.stock import Turned
from hub.store.database import try_lock

_NEXT = text("""
    DELETE FROM tsunagi_jobs.procrastinate_jobs WHERE id = (
        SELECT id FROM tsunagi_jobs.procrastinate_jobs
        WHERE status = 'todo' AND (scheduled_at IS NULL OR scheduled_at <= clock_timestamp() OR :early)
        ORDER BY queue_name DESC, priority DESC, id LIMIT 1)
    RETURNING task_name, args
""")


def arrive(hub: Hub, *events: dict[str, Any], system: str = "north") -> None:
    """Store events as the gateway does, without the network."""
    door = load_doors(hub)[system]

    async def go() -> None:
        store = Arrivals(hub.engine.url.set(drivername="postgresql").render_as_string(hide_password=False))
        for event in events:
            body = json.dumps(event).encode()
            await store.store(arrivals_of(door, door.open(sign(body), body), body))
        await store.close()

    asyncio.run(go())


def work(hub: Hub, *, early: bool = False) -> list[str]:
    """Do every job that is due (or put off, with `early`), those they ask for included. Returns what was done."""
    done = []
    while True:
        with hub.engine.begin() as connection:
            row = connection.execute(_NEXT, {"early": early}).one_or_none()
        if row is None:
            return done
        args = {**row.args, "lane": Lane(row.args["lane"])}
        args.pop("error", None)
        job = Job(Task(row.task_name), **args)
        run_job(hub, job)
        done.append(job.name)


def jobs(hub: Hub) -> list[JobStatus]:
    with hub.engine.connect() as connection:
        return job_statuses(connection)


def rows(hub: Hub, query: str) -> list[tuple[Any, ...]]:
    with hub.engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(query))]


def flow(hub: Hub, system: str = "south", name: str = "stock_out") -> FlowStatus:
    return next(status for status in hub.status() if (status.system, status.flow) == (system, name))


def positions(hub: Hub) -> dict[str, int]:
    found = rows(
        hub,
        "SELECT key, coalesce((content ->> 'on_hand')::int, 0) FROM entity "
        "WHERE kind = 'stock_position' AND deleted_at IS NULL",
    )
    return {str(key).partition("@")[0]: count for key, count in found}


def sent(base: Path, name: str = "south") -> list[tuple[str, int]]:
    return [(line["key"], line["record"]["quantity"]) for line in took(base, name)]


def fault(base: Path, when: str, *faults: str, name: str = "north") -> None:
    (base / name / f"{when}.faults").write_text(json.dumps(faults))


# ---------------------------------------------------------------- into the hub


def test_an_event_goes_in_and_on_to_every_other_channel(hub: Hub, tmp_path: Path) -> None:
    arrive(hub, stock_event("e1", "A", 5, 1))
    assert work(hub) == [
        "take_in:north/stock", "deliver:north/stock_out", "deliver:south/stock_out",
    ]  # fmt: skip
    assert positions(hub) == {"A": 5}
    assert sent(tmp_path) == [("A", 5)]
    assert sent(tmp_path, "north") == []  # its own word is not told back
    assert jobs(hub) == []
    assert hub.status()[0].last_run_at is None  # a webhook does not hide that the poll is late


def test_thin_events_are_fetched_together_and_move_no_cursor(hub: Hub, tmp_path: Path) -> None:
    for number in ("7", "8"):
        (tmp_path / "north" / "orders" / f"{number}.json").write_text(json.dumps(order(number)))
    arrive(
        hub,
        {"id": "e1", "type": "order.changed", "data": ["7", "8"]},
        {"id": "e2", "type": "order.changed", "data": ["8", "gone"]},
    )
    done = work(hub)
    assert done[0] == "fetch:north/orders"
    assert "deliver:south/orders_out" in done
    assert json.loads((tmp_path / "north" / "asked.jsonl").read_text()) == ["7", "8", "gone"]
    assert rows(hub, "SELECT key FROM entity WHERE kind = 'order' ORDER BY 1") == [("north/7",), ("north/8",)]
    assert rows(hub, "SELECT state FROM intake WHERE event_id IS NOT NULL") == [("processed",)] * 2
    assert rows(hub, "SELECT cursor FROM flow_state WHERE system = 'north' AND flow = 'orders'") == []


def test_a_deletion_that_is_told(hub: Hub, tmp_path: Path) -> None:
    arrive(hub, stock_event("e1", "A", 5, 1))
    work(hub)
    arrive(hub, {"id": "e2", "type": "stock.gone", "data": ["A"]})
    work(hub, early=True)
    assert positions(hub) == {}
    assert [(line["key"], line["deleted"]) for line in took(tmp_path)] == [("A", False), ("A", True)]


def test_late_and_doubled_events_and_an_older_page_change_nothing(hub: Hub, tmp_path: Path) -> None:
    arrive(hub, stock_event("e3", "A", 3, 3))
    work(hub)
    arrive(hub, stock_event("e2", "A", 8, 2), stock_event("e3", "A", 99, 3))
    work(hub)
    assert positions(hub) == {"A": 3}
    page = [{"sku": "A", "location": "W1", "on_hand": 9, "version": 1}]
    (tmp_path / "north" / "stock" / "0001.json").write_text(json.dumps(page))
    assert hub.pull("north", "stock").superseded == 1
    assert positions(hub) == {"A": 3}
    arrive(hub, stock_event("e5", "A", 1, 5), stock_event("e4", "A", 2, 4))
    work(hub, early=True)
    assert positions(hub) == {"A": 1}
    assert sent(tmp_path)[-1] == ("A", 1)


def test_a_burst_is_taken_in_as_one_page_and_each_record_knows_its_event(hub: Hub, tmp_path: Path) -> None:
    arrive(hub, *(stock_event(f"e{n}", f"S{n % 40}", n, n) for n in range(120)))
    bad = stock_event("bad", "X", 1, 1)
    bad["data"].insert(0, {"sku": "Y", "location": "W1", "on_hand": "?", "version": 1})
    arrive(hub, bad)
    work(hub)
    assert positions(hub) == {f"S{n % 40}": n for n in range(80, 120)} | {"X": 1}
    assert rows(hub, "SELECT count(*) FROM change_feed WHERE kind = 'stock_position'") == [(41,)]
    events = rows(
        hub,
        "SELECT r.record_id, i.event_id, r.position FROM record AS r JOIN intake AS i ON i.id = r.intake_id "
        "WHERE r.record_id IN ('S0', 'X', 'Y') ORDER BY 1",
    )
    assert events == [("S0", "e80", 0), ("X", "bad", 1), ("Y", "bad", 0)]
    (row,) = hub.quarantine_list()
    assert (row.subject, row.position, row.name) == ("Y", 0, "bad")
    assert rows(hub, "SELECT count(*) FROM intake WHERE state <> 'processed'") == [(0,)]


def test_a_record_refused_in_an_event_comes_through_after_mending(hub: Hub, tmp_path: Path) -> None:
    arrive(hub, stock_event("e1", "A", 5, 1))
    with hub.engine.begin() as connection:
        body = json.dumps(stock_event("e1", "A", "?", 1))  # type: ignore[arg-type]
        connection.execute(
            text("UPDATE intake_body SET body = :body WHERE part = 0"), {"body": body.encode()}
        )
    work(hub)
    (row,) = hub.quarantine_list()
    assert hub.quarantine_replay([row.id]).still_refused == 1
    with hub.engine.begin() as connection:
        body = json.dumps(stock_event("e1", "A", 5, 1))
        connection.execute(
            text("UPDATE intake_body SET body = :body WHERE part = 0"), {"body": body.encode()}
        )
    assert hub.quarantine_replay([row.id]).through == 1
    assert positions(hub) == {"A": 5}


def test_a_page_that_breaks_down_is_put_aside_and_the_others_go_on(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrive(hub, stock_event("e1", "BREAKS", 1, 1), stock_event("e2", "A", 5, 1))
    sane = Hub.take_in_page

    def take_in_page(self: Hub, bound: Any, intake_id: int, *args: Any, **options: Any) -> None:
        if rows(hub, f"SELECT event_id FROM intake WHERE id = {intake_id}") == [("e1",)]:
            raise RuntimeError("a bug")
        sane(self, bound, intake_id, *args, **options)

    def take_in_events(*_: Any) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(Hub, "take_in_page", take_in_page)
    monkeypatch.setattr(Hub, "take_in_events", take_in_events)
    work(hub)
    assert positions(hub) == {"A": 5}
    for _ in range(BREAKDOWNS):
        work(hub, early=True)
    (row,) = hub.quarantine_list()
    assert (row.code, row.name) == ("breakdown", "e1")
    assert [job for job in jobs(hub) if job.task == "take_in"] == []
    monkeypatch.undo()
    assert hub.quarantine_replay([row.id]).through == 1
    assert positions(hub) == {"A": 5, "BREAKS": 1}


def test_an_unfinished_page_of_a_pull_is_taken_in_too(hub: Hub) -> None:
    with hub.engine.begin() as connection:
        records = [{"sku": "A", "location": "W1", "on_hand": 5, "version": 1}]
        intakes.store_page(
            connection, system="north", flow="stock", source="stock", page=Page(None, records), params={}
        )
    arrive(hub, stock_event("e1", "A", 4, 2))
    work(hub)
    assert positions(hub) == {"A": 4}


def test_events_are_no_part_of_a_listing(hub: Hub) -> None:
    with hub.engine.begin() as connection:
        page = intakes.store_page(
            connection,
            system="north",
            flow="stock",
            source="stock",
            page=Page(None, complete=True),
            params={},
        )
        assert page is not None
        intakes.finish(connection, page, {})
    arrive(hub, stock_event("e1", "A", 5, 1))
    work(hub)
    with hub.engine.connect() as connection:
        assert intakes.ended_listing(connection, "north", "stock")


# ---------------------------------------------------------------- fetching that fails


def test_a_fetch_that_cannot_be_answered_now_is_put_off_longer_each_time(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "north" / "orders" / "7.json").write_text(json.dumps(order("7")))
    arrive(hub, {"id": "e1", "type": "order.changed", "data": ["7"]})
    fault(tmp_path, "fetch", "retry", "crash", "retry")
    work(hub)
    (job,) = jobs(hub)
    assert (job.task, job.state, job.attempt) == ("fetch", "waiting", 1)
    assert job.due_at is not None
    arrive(hub, {"id": "e2", "type": "order.changed", "data": ["7"]})
    assert work(hub) == []  # a new reason does not shorten the pause
    work(hub, early=True)
    assert rows(hub, "SELECT key FROM entity WHERE kind = 'order'") == [("north/7",)]
    assert jobs(hub) == []


def test_what_cannot_be_fetched_in_the_end_is_quarantined_and_can_be_replayed(
    hub: Hub, tmp_path: Path
) -> None:
    (tmp_path / "north" / "orders" / "7.json").write_text(json.dumps(order("7")))
    arrive(hub, {"id": "e1", "type": "order.changed", "data": ["7"]})
    fault(tmp_path, "fetch", *["retry"] * LIMIT)
    work(hub, early=True)
    (row,) = hub.quarantine_list()
    assert (row.code, row.name, row.flow) == ("not_fetched", "e1", "orders")
    assert jobs(hub) == []
    assert hub.quarantine_replay([row.id]).through == 1
    assert rows(hub, "SELECT key FROM entity WHERE kind = 'order'") == [("north/7",)]


def test_an_id_the_other_side_refuses_does_not_keep_the_others_out(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "north" / "orders" / "7.json").write_text(json.dumps(order("7")))
    arrive(
        hub,
        {"id": "e1", "type": "order.changed", "data": ["refused"]},
        {"id": "e2", "type": "order.changed", "data": ["7"]},
    )
    work(hub)
    assert rows(hub, "SELECT key FROM entity WHERE kind = 'order'") == [("north/7",)]
    assert [(row.code, row.name) for row in hub.quarantine_list()] == [("not_fetched", "e1")]


def test_events_that_keep_coming_do_not_put_off_what_follows_from_the_first(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    turned: list[dict[str, int]] = []

    def turn(self: Hub) -> Turned:
        turned.append(positions(self))
        return Turned()

    taken, coming = road._bundle_taken, [3, 2, 1]

    def taken_while_more_comes(*given: Any) -> bool:
        done = taken(*given)
        if coming:
            number = coming.pop()
            arrive(hub, stock_event(f"more{number}", f"M{number}", 7, 1))
        return done

    monkeypatch.setattr(Hub, "refresh_stock", turn)
    monkeypatch.setattr(road, "_bundle_taken", taken_while_more_comes)
    arrive(hub, stock_event("first", "A", 5, 1))
    run_job(hub, Job(Task.TAKE_IN, "north", "stock", Lane.URGENT))
    assert [len(seen) for seen in turned[:4]] == [1, 2, 3, 4]


def test_a_job_that_finds_nothing_works_out_what_a_dead_worker_left(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    turned: list[Hub] = []
    monkeypatch.setattr(Hub, "refresh_stock", lambda self: turned.append(self) or Turned())
    for task in (Task.TAKE_IN, Task.FETCH):
        run_job(hub, Job(task, "north", "stock", Lane.URGENT))
    assert turned == [hub, hub]


# ---------------------------------------------------------------- out of the hub


def test_only_stock_that_went_down_and_cancelled_orders_are_urgent(hub: Hub, tmp_path: Path) -> None:
    arrive(hub, stock_event("e1", "A", 5, 1))
    assert not [name for name in work(hub, early=True) if name.startswith("overtake")]
    arrive(hub, stock_event("e2", "A", 6, 2))
    assert not [name for name in work(hub, early=True) if name.startswith("overtake")]
    arrive(hub, stock_event("e3", "A", 4, 3))
    done = work(hub, early=True)
    assert done.index("overtake:south/stock_out") < done.index("deliver:south/stock_out")
    assert sent(tmp_path) == [("A", 5), ("A", 6), ("A", 4)]
    path = tmp_path / "north" / "orders" / "7.json"
    for event, confirmation in (("o1", "confirmed"), ("o2", "cancelled")):
        path.write_text(json.dumps(order("7", confirmation=confirmation)))
        arrive(hub, {"id": event, "type": "order.changed", "data": ["7"]})
        done = work(hub, early=True)
        assert ("overtake:south/orders_out" in done) == (confirmation == "cancelled")
    lines = (tmp_path / "south" / "orders.jsonl").read_text().splitlines()
    assert [json.loads(line)["record"]["confirmation"] for line in lines] == ["confirmed", "cancelled"]


def test_an_urgent_change_overtakes_a_long_push_and_its_old_value_is_never_sent_after_it(
    hub: Hub, tmp_path: Path
) -> None:
    arrive(hub, *(stock_event(f"e{n}", f"S{n:03d}", 50, 1) for n in range(100)))
    work(hub, early=True)
    arrive(hub, *(stock_event(f"f{n}", f"S{n:03d}", 60, 2) for n in range(100)))
    with hub.engine.begin() as connection:  # only the pull part
        connection.execute(text("DELETE FROM tsunagi_jobs.procrastinate_jobs"))
    run_job(hub, Job(Task.TAKE_IN, "north", "stock", Lane.URGENT))
    (tmp_path / "south" / "slow").write_text("0.25")
    before = len(sent(tmp_path))
    push = threading.Thread(target=hub.push, args=("south", "stock_out"))
    push.start()
    while len(sent(tmp_path)) < before + 10:
        time.sleep(0.01)
    arrive(hub, stock_event("sale", "S095", 7, 3), system="north")
    run_job(hub, Job(Task.TAKE_IN, "north", "stock", Lane.URGENT))
    started = time.monotonic()
    run_job(hub, Job(Task.OVERTAKE, "south", "stock_out", Lane.URGENT))
    seconds = time.monotonic() - started
    push.join()
    after = sent(tmp_path)[before:]
    assert after.index(("S095", 7)) <= 60  # ten batches of ten, the sale came during the second
    assert seconds < 1.5
    assert ("S095", 60) not in after  # overtaken before it was its turn
    assert len(after) == 100
    verdicts = rows(
        hub, "SELECT verdict, count(*) FROM delivery_change WHERE key = 'S095' GROUP BY 1 ORDER BY 1"
    )
    assert verdicts == [("done", 2), ("superseded", 1)]
    work(hub, early=True)
    assert len(sent(tmp_path)) == before + 100
    assert rows(hub, "SELECT count(*) FROM delivery WHERE finished_at IS NULL") == [(0,)]


def test_an_unknown_sku_is_quarantined_and_the_others_are_sent(hub: Hub, tmp_path: Path) -> None:
    arrive(hub, stock_event("e1", "BAD", 5, 1), stock_event("e2", "A", 5, 1))
    work(hub)
    assert sent(tmp_path) == [("A", 5)]
    assert [(row.code, row.system) for row in hub.quarantine_list()] == [("unknown_sku", "south")]


def test_a_push_the_other_side_cannot_take_now_is_put_off_and_nothing_is_lost(
    hub: Hub, tmp_path: Path
) -> None:
    arrive(hub, stock_event("e1", "A", 5, 1))
    fault(tmp_path, "send", "retry", "retry", name="south")
    work(hub)
    (job,) = jobs(hub)
    assert (job.task, job.system, job.attempt, job.state) == ("deliver", "south", 1, "waiting")
    assert (flow(hub).open_deliveries, flow(hub).outcome) == (1, "retry")
    work(hub, early=True)
    assert sent(tmp_path) == [("A", 5)]
    assert jobs(hub) == []


def test_a_wrong_setting_is_not_tried_again(hub: Hub, tmp_path: Path) -> None:
    arrive(hub, stock_event("e1", "A", 5, 1))
    fault(tmp_path, "send", "misconfigured", name="south")
    with pytest.raises(Misconfigured, match="key expired"):
        work(hub)
    assert jobs(hub) == []
    assert (flow(hub).open_deliveries, flow(hub).outcome) == (
        1,
        "misconfigured",
    )  # seen, and left to a person
    wake_pushes(hub)
    assert jobs(hub) == []
    with hub.engine.begin() as connection:
        wake(connection, [Job(Task.DELIVER, "south", "stock_out", Lane.BULK)])
    work(hub)
    assert sent(tmp_path) == [("A", 5)]


# ---------------------------------------------------------------- one at a time, and nothing forgotten


def test_a_flow_that_runs_elsewhere_is_waited_for(hub: Hub, tmp_path: Path) -> None:
    arrive(hub, stock_event("e1", "A", 5, 1))
    with try_lock(hub.engine, "flow:north:stock") as mine:
        assert mine
        assert work(hub) == ["take_in:north/stock"]
        assert positions(hub) == {}
        (job,) = jobs(hub)
        assert (job.state, job.attempt) == ("waiting", 0)
    work(hub, early=True)
    assert sent(tmp_path) == [("A", 5)]


def test_a_flow_that_is_free_again_in_a_moment_is_not_put_off(hub: Hub, tmp_path: Path) -> None:
    arrive(hub, stock_event("e1", "A", 5, 1))
    held, free = threading.Event(), threading.Event()

    def hold() -> None:
        with try_lock(hub.engine, "flow:north:stock"):
            held.set()
            free.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    threading.Timer(0.3, free.set).start()
    work(hub)
    thread.join()
    assert sent(tmp_path) == [("A", 5)]


def test_asking_twice_is_asking_once_and_asking_while_it_runs_is_not_forgotten(hub: Hub) -> None:
    job = Job(Task.TAKE_IN, "north", "stock", Lane.URGENT)
    with hub.engine.begin() as connection:
        wake(connection, [job, job])
        wake(connection, [job])
    assert len(jobs(hub)) == 1
    with hub.engine.begin() as connection:
        assert asked_again(connection, job)
        assert not asked_again(connection, job)
        again(connection, job, 60)
    with hub.engine.begin() as connection:
        assert not asked_again(connection, job)  # put off
        wake(connection, [job])
        assert asked_again(connection, job)  # a new reason


def test_a_waiting_job_is_not_taken_before_what_it_is_for_can_be_seen(hub: Hub) -> None:
    """The gateway touches the waiting job; a worker that took it now would not see the event and go away."""
    job = Job(Task.TAKE_IN, "north", "stock", Lane.URGENT)
    with hub.engine.begin() as connection:
        wake(connection, [job])
    fetch = text("SELECT id FROM tsunagi_jobs.procrastinate_fetch_job_v2(ARRAY['urgent'], NULL)")
    with hub.engine.begin() as gateway:
        wake(gateway, [job])
        with hub.engine.begin() as worker:
            assert worker.scalar(fetch) is None
    with hub.engine.begin() as worker:
        assert worker.scalar(fetch) is not None


def test_a_crash_between_taking_in_and_waking_loses_no_push(hub: Hub, tmp_path: Path) -> None:
    arrive(hub, stock_event("e1", "A", 5, 1))
    hub.pull("north", "stock")  # took it in, and asked nobody to send
    assert positions(hub) == {"A": 5}
    work(hub)
    assert sent(tmp_path) == [("A", 5)]


def test_webhooks_no_job_waits_for_are_found(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "north" / "orders" / "7.json").write_text(json.dumps(order("7")))
    arrive(hub, stock_event("e1", "A", 5, 1), {"id": "e2", "type": "order.changed", "data": ["7"]})
    with hub.engine.begin() as connection:
        connection.execute(text("DELETE FROM tsunagi_jobs.procrastinate_jobs"))
    wake_stored(hub)
    work(hub)
    assert positions(hub) == {"A": 5}
    assert rows(hub, "SELECT key FROM entity WHERE kind = 'order'") == [("north/7",)]


def test_a_pull_takes_in_what_webhooks_brought_meanwhile(hub: Hub, tmp_path: Path) -> None:
    arrive(hub, stock_event("e1", "A", 5, 1))
    (tmp_path / "north" / "orders" / "7.json").write_text(json.dumps(order("7")))
    arrive(hub, {"id": "e2", "type": "order.changed", "data": ["7"]})
    assert hub.pull("north", "stock").recovered == 1
    hub.pull("north", "orders")
    assert positions(hub) == {"A": 5}
    assert rows(hub, "SELECT DISTINCT state FROM intake") == [("processed",)]


def test_ids_can_be_fetched_by_hand(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "north" / "orders" / "7.json").write_text(json.dumps(order("7")))
    assert hub.fetch("north", "orders", ["7"]).created == 1
    with pytest.raises(Refused):
        hub.fetch("north", "orders", ["refused"])


def test_urgent_changes_of_a_scheduled_pull_are_found_too(database_url: str, tmp_path: Path) -> None:
    with build(database_url, tmp_path) as hub:
        for number, count in enumerate((5, 4)):
            page = [{"sku": "A", "location": "W1", "on_hand": count, "version": number}]
            (tmp_path / "north" / "stock" / f"{number:04d}.json").write_text(json.dumps(page))
            hub.pull("north", "stock")
        wake_pushes(hub, urgent_only=True)
        assert "overtake:south/stock_out" in work(hub)
        assert sent(tmp_path) == [("A", 4)]
