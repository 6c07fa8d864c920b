"""The gateway, as senders see it: what is genuine is stored before the answer, all else has no effect."""

from __future__ import annotations

import asyncio
import json
import socket
import statistics
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text
from street import HEADER, SECRET, build, running, sign, stock_event

from hub.engine import Hub
from hub.gateway.app import MAX_BYTES, Gateway
from hub.gateway.arrivals import Arrivals, arrivals_of
from hub.gateway.doors import load_doors
from hub.intake import event_records, place_of_records
from hub.jobs.queue import job_statuses


def post(shop: httpx.Client, event: Any, system: str = "north", **options: Any) -> httpx.Response:
    body = event if isinstance(event, bytes) else json.dumps(event).encode()
    return shop.post(f"/webhooks/{system}", content=body, headers=sign(body, **options))


def stored(hub: Hub) -> list[dict[str, Any]]:
    query = """
        SELECT i.*, convert_from(b.body, 'UTF8') AS body, convert_from(raw.body, 'UTF8') AS raw
        FROM intake AS i LEFT JOIN intake_body AS b ON b.intake_id = i.id AND b.part = 0
        LEFT JOIN intake_body AS raw ON raw.intake_id = i.id AND raw.part = -1 ORDER BY i.id
    """
    with hub.engine.connect() as connection:
        return [dict(row._mapping) for row in connection.execute(text(query))]


def waiting(hub: Hub) -> list[tuple[str, str, str]]:
    with hub.engine.connect() as connection:
        return [(job.task, job.flow, job.lane) for job in job_statuses(connection)]


def count(shop: httpx.Client, system: str, outcome: str) -> int:
    wanted = f'tsunagi_webhook_calls_total{{system="{system}",outcome="{outcome}"}} '
    lines = [line for line in shop.get("/metrics").text.splitlines() if line.startswith(wanted)]
    return int(lines[0].rpartition(" ")[2]) if lines else 0


def test_a_fat_event_is_a_page_of_its_flow_with_the_body_as_received(hub: Hub, shop: httpx.Client) -> None:
    event = stock_event("e1", "A", 5, 1)
    answer = post(shop, event)
    assert (answer.status_code, answer.json()) == (200, {"status": "stored", "stored": 1})
    (page,) = stored(hub)
    assert (page["system"], page["flow"], page["source"]) == ("north", "stock", "stock")
    assert (page["event_id"], page["state"], page["media_type"]) == ("e1", "stored", "application/json")
    assert page["body"] == json.dumps(event)
    assert (page["params"], page["raw"]) == ({"records": ["data"]}, None)  # one copy is enough
    assert page["occurred_at"] is not None
    assert waiting(hub) == [("take_in", "stock", "urgent")]
    assert count(shop, "north", "stored") == 1


def test_records_that_are_not_in_the_body_as_they_are_lie_beside_it(hub: Hub, shop: httpx.Client) -> None:
    event = {
        "id": "e1",
        "type": "stock.two",
        "data": [{"sku": "A", "on_hand": 5}, {"sku": "B", "on_hand": 6}],
    }
    assert post(shop, event).json() == {"status": "stored", "stored": 2}
    first, second = stored(hub)
    assert (first["event_id"], second["event_id"]) == ("e1:A", "e1:B")
    assert json.loads(first["body"]) == [{"sku": "A", "on_hand": 5, "location": "W1", "version": 1}]
    assert json.loads(second["body"]) == [{"sku": "B", "on_hand": 6, "location": "W1", "version": 1}]
    assert (first["raw"], second["raw"]) == (json.dumps(event), None)
    with hub.engine.connect() as connection:
        found = event_records(connection, [first["id"], second["id"]])
    assert [records[0]["sku"] for records in found.values()] == ["A", "B"]


def test_a_thin_event_and_a_deletion_are_pages_too(hub: Hub, shop: httpx.Client) -> None:
    post(shop, {"id": "e1", "type": "order.changed", "data": ["7", "8"]})
    post(shop, {"id": "e2", "type": "stock.gone", "data": ["A"]})
    thin, gone = stored(hub)
    assert (thin["flow"], thin["fetch_ids"], thin["params"]) == ("orders", ["7", "8"], {"records": None})
    assert (gone["flow"], gone["deleted"], gone["fetch_ids"]) == ("stock", ["A"], [])
    assert waiting(hub) == [("fetch", "orders", "urgent"), ("take_in", "stock", "urgent")]


def test_a_repeated_event_is_answered_as_good_and_has_no_effect(hub: Hub, shop: httpx.Client) -> None:
    for status in ("stored", "duplicate", "duplicate"):
        answer = post(shop, stock_event("e1", "A", 5, 1))
        assert (answer.status_code, answer.json()["status"]) == (200, status)
    assert len(stored(hub)) == 1
    assert post(shop, stock_event("e1", "A", 5, 1), system="south").json()["status"] == "stored"
    assert count(shop, "north", "duplicate") == 2


def genuine() -> bytes:
    return json.dumps(stock_event("e1", "A", 5, 1)).encode()


BAD: dict[str, tuple[Callable[[], dict[str, str]], int, str]] = {
    "no signature": (dict, 401, "bad_signature"),
    "another secret": (lambda: sign(genuine(), secret="whsec_other"), 401, "bad_signature"),
    "signature of another body": (lambda: sign(b"{}"), 401, "bad_signature"),
    "a signature that is none": (lambda: {HEADER: "t=now,v1=zz"}, 401, "bad_signature"),
    "signed ten minutes ago": (lambda: sign(genuine(), at=time.time() - 600), 401, "outside_window"),
    "signed by a clock that is ahead": (lambda: sign(genuine(), at=time.time() + 600), 401, "outside_window"),
    "compressed": (lambda: sign(genuine()) | {"content-encoding": "gzip"}, 415, "encoded"),
}


@pytest.mark.parametrize("what", BAD)
def test_a_call_that_is_not_genuine_has_no_effect(hub: Hub, shop: httpx.Client, what: str) -> None:
    headers, status, outcome = BAD[what]
    answer = shop.post("/webhooks/north", content=genuine(), headers=headers())
    assert (answer.status_code, answer.json()) == (status, {"status": outcome})
    assert stored(hub) == []
    assert waiting(hub) == []
    assert count(shop, "north", outcome) == 1


@pytest.mark.parametrize(
    ("body", "status", "outcome"),
    [
        (b"", 400, "bad_event"),
        (b"{", 400, "bad_event"),
        (b"\xff\xfe", 400, "bad_event"),
        (b"[1, 2]", 400, "bad_event"),
        (b'{"id": 1}', 400, "bad_event"),
        (json.dumps({"id": "e", "type": "never.heard.of", "data": {}}).encode(), 200, "unknown_topic"),
        (json.dumps({"id": "e", "type": "parcel.lost", "data": [{}]}).encode(), 200, "no_flow"),
        (json.dumps({"id": "e\0", "type": "stock.gone", "data": []}).encode(), 400, "not_storable"),
        (json.dumps({"id": "e", "type": "stock.gone", "data": ["\0"]}).encode(), 400, "not_storable"),
        (json.dumps({"id": "e", "type": "stock.changed", "data": [10**30]}).encode(), 400, "not_storable"),
        (json.dumps({"id": "e", "type": "breaks", "data": []}).encode(), 500, "breakdown"),
    ],
)
def test_a_genuine_call_that_says_nothing_useful(
    hub: Hub, shop: httpx.Client, body: bytes, status: int, outcome: str
) -> None:
    answer = post(shop, body)
    assert (answer.status_code, answer.json()["status"]) == (status, outcome)
    assert stored(hub) == []
    assert count(shop, "north", outcome) == 1
    assert post(shop, stock_event("good", "A", 1, 1)).json()["status"] == "stored"


def test_what_is_no_door(hub: Hub, shop: httpx.Client) -> None:
    assert post(shop, {}, system="nowhere").status_code == 404
    assert post(shop, {}, system="north/more").status_code == 404
    assert post(shop, {}, system="").status_code == 404
    answer = shop.get("/webhooks/north")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert shop.get("/anything").status_code == 404
    assert stored(hub) == []
    # what a stranger types must not become a label of its own
    assert "nowhere" not in shop.get("/metrics").text


def test_without_a_secret_the_door_is_shut(database_url: str, tmp_path: Path) -> None:
    with build(database_url, tmp_path, secret=False) as hub:
        transport = httpx.ASGITransport(Gateway(hub))  # type: ignore[arg-type]

        async def call() -> httpx.Response:
            async with httpx.AsyncClient(transport=transport, base_url="http://hub") as client:
                return await client.post(
                    "/webhooks/north", content=genuine(), headers=sign(genuine(), secret="")
                )

        answer = asyncio.run(call())
        assert (answer.status_code, answer.json()) == (503, {"status": "door_shut"})
        assert stored(hub) == []


def test_ten_megabytes_are_not_even_read(hub: Hub, shop: httpx.Client) -> None:
    body = b"x" * (10 * 1024 * 1024)
    try:
        answer = shop.post("/webhooks/north", content=body, headers=sign(b""))
    except (httpx.NetworkError, httpx.RemoteProtocolError):  # told so and hung up on while still sending
        pass
    else:
        assert answer.status_code == 413
    assert count(shop, "north", "too_large") == 1

    def in_pieces() -> Any:
        for _ in range(20):
            yield body[: MAX_BYTES // 8]

    try:
        answer = shop.post("/webhooks/north", content=in_pieces())
    except (httpx.NetworkError, httpx.RemoteProtocolError):
        pass
    else:
        assert answer.status_code == 413
    assert count(shop, "north", "too_large") == 2
    assert stored(hub) == []


def test_a_large_body_within_the_limit_is_taken(hub: Hub, shop: httpx.Client) -> None:
    event = stock_event("e1", "A", 5, 1)
    event["data"][0]["note"] = "あ" * 300_000
    assert post(shop, event).json()["status"] == "stored"
    assert len(stored(hub)[0]["body"]) > 1_000_000


def test_a_caller_that_hangs_up_in_the_middle_has_no_effect(hub: Hub, shop: httpx.Client) -> None:
    with socket.create_connection((shop.base_url.host, shop.base_url.port or 80)) as line:
        line.sendall(b"POST /webhooks/north HTTP/1.1\r\nhost: hub\r\ncontent-length: 500\r\n\r\n{")
    for _ in range(100):
        if count(shop, "north", "cut_short"):
            break
        time.sleep(0.02)
    assert count(shop, "north", "cut_short") == 1
    assert stored(hub) == []


def test_a_body_that_does_not_come_in_time_is_not_waited_for(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.gateway.app.BODY_WITHIN", 0.1)
    with (
        running(hub) as shop,
        socket.create_connection((shop.base_url.host, shop.base_url.port or 80), timeout=20) as line,
    ):
        line.sendall(b"POST /webhooks/north HTTP/1.1\r\nhost: hub\r\ncontent-length: 500\r\n\r\n{")
        assert line.recv(4096).startswith(b"HTTP/1.1 408")
        assert count(shop, "north", "too_slow") == 1
        assert post(shop, stock_event("e1", "A", 5, 1)).json()["status"] == "stored"
    assert [page["event_id"] for page in stored(hub)] == ["e1"]


def test_who_waits_too_long_for_the_commit_is_told_and_may_come_again(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.gateway.app.ANSWER_WITHIN", 0.4)
    with running(hub) as shop:
        with hub.engine.begin() as connection:
            connection.execute(text("LOCK TABLE intake"))
            answers = [post(shop, stock_event(f"e{n}", "A", 5, 1)) for n in range(2)]
        assert {(one.status_code, one.json()["status"]) for one in answers} == {(503, "store_down")}
        until = time.monotonic() + 20
        while len(stored(hub)) < 2:  # they are stored after all, and known when they come again
            assert time.monotonic() < until
            time.sleep(0.05)
        assert post(shop, stock_event("e0", "A", 5, 1)).json()["status"] == "duplicate"


def test_names_of_headers_and_repeated_headers(hub: Hub, shop: httpx.Client) -> None:
    body = genuine()
    headers = {name.upper(): value for name, value in sign(body).items()}
    assert shop.post("/webhooks/north", content=body, headers=headers).status_code == 200
    twice = [(HEADER, sign(body)[HEADER]), (HEADER, "t=1,v1=" + "0" * 64)]
    assert shop.post("/webhooks/south", content=body, headers=twice).status_code == 401


def test_many_lines_at_once_share_commits_and_lose_nothing(hub: Hub, shop: httpx.Client) -> None:
    lines, each = 64, 12
    limits = httpx.Limits(max_connections=lines, max_keepalive_connections=lines)
    gate = threading.Barrier(lines)
    seconds: list[float] = []
    with httpx.Client(base_url=shop.base_url, limits=limits, timeout=30) as crowd:

        def call(line: int) -> list[str]:
            gate.wait()
            said = []
            for number in range(each):
                # every third one repeats the one before it, also at the same moment on another line
                event = stock_event(f"{line // 2}-{number - (number % 3 == 2)}", f"S{line}", number, number)
                started = time.perf_counter()
                while (
                    answer := post(crowd, event)
                ).status_code == 503:  # a machine too busy to store in time
                    assert answer.json()["status"] == "store_down"
                said.append(answer.json()["status"])
                seconds.append(time.perf_counter() - started)
            return said

        with ThreadPoolExecutor(lines) as threads:
            said = [status for one in threads.map(call, range(lines)) for status in one]
    events = {page["event_id"] for page in stored(hub)}
    assert len(events) == len(stored(hub)) == lines // 2 * 8
    assert set(said) == {"stored", "duplicate"}
    assert said.count("stored") <= len(events)
    told = dict(line.rsplit(" ", 1) for line in shop.get("/metrics").text.splitlines())
    assert len(events) <= int(told["tsunagi_webhook_events_total"]) <= lines * each
    assert int(told["tsunagi_webhook_commits_total"]) < lines * each * 0.8
    assert statistics.median(seconds) < 2
    assert waiting(hub) == [("take_in", "stock", "urgent")]


def test_what_comes_together_is_stored_by_few_commits_and_once(hub: Hub) -> None:
    door = load_doors(hub)["north"]
    bodies = [json.dumps(stock_event(f"e{n // 2}", "A", n, n)).encode() for n in range(400)]

    async def go() -> tuple[int, list[list[bool]]]:
        store = Arrivals(hub.engine.url.set(drivername="postgresql").render_as_string(hide_password=False))
        calls = [arrivals_of(door, door.open(sign(body), body), body) for body in bodies]
        new = await asyncio.gather(*(store.store(call) for call in calls))
        await store.close()
        return store.commits, list(new)

    commits, new = asyncio.run(go())
    assert commits == 2  # 256 and the rest
    assert [one for (one,) in new] == [n % 2 == 0 for n in range(400)]
    assert len(stored(hub)) == 200


def test_the_log_tells_of_refusals_and_never_of_what_was_said(
    hub: Hub, shop: httpx.Client, capfd: pytest.CaptureFixture[str]
) -> None:
    post(shop, {"id": "e1", "type": "stock.changed", "data": [{"buyer": "山田 花子", "tel": "090-1234-5678"}]},
         secret="whsec_other")  # fmt: skip
    post(shop, json.dumps({"buyer": "山田 花子", "tel": "090-1234-5678"}).encode())
    out, err = capfd.readouterr()
    said = out + err
    assert "bad_signature" in said
    assert "bad_event" in said
    for secret in ("山田", "090-1234", SECRET, "whsec_other"):
        assert secret not in said


def test_a_bug_in_a_door_is_told_by_its_place_and_not_by_its_words(
    hub: Hub, shop: httpx.Client, capfd: pytest.CaptureFixture[str]
) -> None:
    assert post(shop, {"id": "e1", "type": "breaks", "data": []}).status_code == 500
    said = "".join(capfd.readouterr())
    assert "RuntimeError" in said
    assert "street.py" in said
    assert "a bug in the webhook function" not in said


def test_health_says_whether_events_can_be_stored(hub: Hub, shop: httpx.Client) -> None:
    assert shop.get("/health/live").json() == {"status": "ok"}
    assert shop.get("/health/ready").status_code == 200
    with hub.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0000'"))
    answer = shop.get("/health/ready")
    assert answer.status_code == 503
    assert "tsunagi init" in answer.json()["status"]


def test_a_database_that_goes_away_is_told_and_found_again(hub: Hub, shop: httpx.Client) -> None:
    assert post(shop, stock_event("e1", "A", 5, 1)).status_code == 200
    with hub.engine.begin() as connection:
        connection.execute(text("ALTER TABLE intake RENAME TO elsewhere"))
    answer = post(shop, stock_event("e2", "A", 4, 2))
    assert (answer.status_code, answer.json()["status"]) == (503, "store_down")
    assert answer.headers["retry-after"] == "5"
    with hub.engine.begin() as connection:
        connection.execute(text("ALTER TABLE elsewhere RENAME TO intake"))
        connection.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'tsunagi-gateway'"
            )
        )
    statuses = [post(shop, stock_event("e2", "A", 4, 2)).status_code for _ in range(3)]
    assert statuses[-1] == 200
    assert [page["event_id"] for page in stored(hub)] == ["e1", "e2"]


def test_a_secret_that_was_put_in_opens_the_door(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_SOUTH", json.dumps({"conn_type": "street"}))
    with running(hub, Gateway(hub, doors_every=0.1)) as shop:
        event = stock_event("e1", "A", 5, 1)
        assert post(shop, event, system="south").json() == {"status": "door_shut"}
        connection = {"conn_type": "street", "extra": {"secret": "whsec_new"}}
        monkeypatch.setenv("AIRFLOW_CONN_SOUTH", json.dumps(connection))
        for _ in range(100):
            if post(shop, event, system="south", secret="whsec_new").status_code == 200:
                break
            time.sleep(0.05)
        assert post(shop, event, system="south", secret="whsec_new").json()["status"] == "duplicate"
        assert post(shop, event, system="south").status_code == 401


@pytest.mark.parametrize(
    ("records", "said", "place"),
    [
        ([{"a": 1}], {"a": 1}, []),
        ([{"a": 1}], [{"a": 1}], []),
        ([{"a": 1}], {"data": {"object": {"a": 1}}}, ["data", "object"]),
        ([{"a": 1}, {"a": 2}], {"x": {"y": [{"a": 1}, {"a": 2}]}, "z": 1}, ["x", "y"]),
        ([{"a": 1}], {"a": 1, "b": 2}, None),
        ([{"a": 1}, {"a": 2}], {"x": [{"a": 1}], "y": [{"a": 2}]}, None),
        ([{"a": 1}], "text", None),
    ],
)
def test_where_the_records_of_an_event_lie(records: Any, said: Any, place: Any) -> None:
    assert place_of_records(records, said) == place
