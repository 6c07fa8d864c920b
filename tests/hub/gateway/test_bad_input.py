"""What bad input gets, at a real gateway and the doors of Vendure, Shopify and Square.

Each call: a clear status, a counter, a line in the log without personal data, and no effect.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any
from uuid import uuid4

import httpx
import pytest
from doors import DOORS, PERSON, SECRET, Door, Process, environment, vendure_stub
from sqlalchemy import text

from hub.engine import Hub
from hub.home import Settings
from hub.jobs.queue import Job, Lane, Task
from hub.jobs.road import run_job
from sandbox.shopify import Server as ShopifyServer, Shop
from sandbox.square import Limits, Seller, Server as SquareServer
from tests.conftest import create_database, drop_database, in_database

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("bad_input_at_the_door")]


@pytest.fixture(scope="module")
def setting(
    postgres_url: str, database_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Process, Hub]]:
    """A gateway process, and a hub on the same store to look with and to do the jobs."""
    name = f"doors_{uuid4().hex[:16]}"
    create_database(postgres_url, name, template=database_template)
    with ExitStack() as stack, pytest.MonkeyPatch.context() as patched:
        stack.callback(drop_database, postgres_url, name)
        shop, seller = Shop(), Seller(limits=Limits(pace=10_000))
        addresses = {
            "vendure": stack.enter_context(vendure_stub()),
            "shopify": stack.enter_context(ShopifyServer(shop)).url,
            "square": stack.enter_context(SquareServer(seller)).url,
        }
        tokens = {"shopify": shop.access_token, "square": seller.access_token}
        folder = tmp_path_factory.mktemp("doors")
        values = environment(in_database(postgres_url, name), folder, addresses, tokens)
        for key, value in values.items():
            patched.setenv(key, value)
        Settings.from_env(os.environ).home.create()
        process = Process(values)
        stack.callback(process.stop)
        with Hub.open() as hub:
            assert hub.validate() == []
            yield process, hub


@pytest.fixture
def gateway(setting: tuple[Process, Hub]) -> Process:
    return setting[0]


@pytest.fixture
def hub(setting: tuple[Process, Hub]) -> Hub:
    return setting[1]


@pytest.fixture(params=DOORS)
def door(request: pytest.FixtureRequest) -> Door:
    return DOORS[request.param]


def effects(hub: Hub) -> dict[str, Any]:
    """Everything a call could have changed."""
    tables = ("intake", "intake_body", "entity", "change_feed", "delivery", "quarantine")
    with hub.engine.connect() as connection:
        counts = {table: connection.scalar(text(f"SELECT count(*) FROM {table}")) for table in tables}
    return {**counts, "jobs": [(job.task, job.system, job.flow) for job in hub.job_statuses()]}


def hold(
    gateway: Process, hub: Hub, door: Door, body: bytes, headers: dict[str, str], status: int, outcome: str
) -> None:
    """The call gets this, is counted and told, and does nothing."""
    before, counted = effects(hub), gateway.counted(door.system, outcome)
    answer = gateway.client.post(f"/webhooks/{door.system}", content=body, headers=headers)
    assert (answer.status_code, answer.json()["status"]) == (status, outcome)
    assert answer.json().keys() <= {"status", "stored"}  # the caller learns no more
    assert gateway.counted(door.system, outcome) == counted + 1
    assert gateway.logged(door.system, outcome)
    assert effects(hub) == before


def event_id() -> str:
    return f"e-{uuid4().hex}"


GENUINE_ID = "4711"
SIGNATURES = {
    "no signature": lambda door, body, one: {},
    "another secret": lambda door, body, one: door.sign(body, one, "a-secret-nobody-agreed-on"),
    "an empty secret": lambda door, body, one: door.sign(body, one, ""),
    "the signature of another body": lambda door, body, one: door.sign(body + b" ", one),
    "a signature that is none": lambda door, body, one: dict.fromkeys(door.sign(body, one), "zz"),
}  # fmt: skip


@pytest.mark.parametrize("what", SIGNATURES)
def test_a_signature_that_is_missing_or_wrong(gateway: Process, hub: Hub, door: Door, what: str) -> None:
    one = event_id()
    body = door.genuine(one, GENUINE_ID)
    hold(gateway, hub, door, body, SIGNATURES[what](door, body, one), 401, "bad_signature")


BODIES = {
    "nothing": b"",
    "half of it": b'{"events": [{"id": "e", "buyer": "' + PERSON["name"].encode() + b'"',
    "no UTF-8": b"\xff\xfe\x00",
    "a list": b"[1, 2]",
    "a number": b"7",
    "nested without end": b"[" * 100_000 + b"]" * 100_000,
    "parts missing": b'{"buyer": {"tel": "090-1234-5678"}}',
}


@pytest.mark.parametrize("what", BODIES)
def test_a_body_that_cannot_be_read(gateway: Process, hub: Hub, door: Door, what: str) -> None:
    body = BODIES[what]
    hold(gateway, hub, door, body, door.sign(body, event_id()), 400, "bad_event")


def test_an_unknown_topic(gateway: Process, hub: Hub, door: Door) -> None:
    one = event_id()
    body = door.unknown(one)
    headers = door.sign(body, one, topic="themes/publish")
    hold(gateway, hub, door, body, headers, 200, "unknown_topic")


def test_a_topic_no_flow_takes_in(gateway: Process, hub: Hub, door: Door) -> None:
    one = event_id()
    body = door.no_flow(one)
    hold(gateway, hub, door, body, door.sign(body, one, topic="customers/create"), 200, "no_flow")


def test_ten_megabytes(gateway: Process, hub: Hub, door: Door) -> None:
    before, counted = effects(hub), gateway.counted(door.system, "too_large")
    address = gateway.client.base_url
    with socket.create_connection((address.host, address.port or 80), timeout=30) as line:
        line.sendall(
            f"POST /webhooks/{door.system} HTTP/1.1\r\nhost: hub\r\ncontent-length: {10 * 1024 * 1024}\r\n\r\n".encode()
        )
        line.sendall(PERSON["name"].encode() * 1000)  # the rest is not waited for
        assert line.recv(4096).startswith(b"HTTP/1.1 413 ")
    assert gateway.counted(door.system, "too_large") == counted + 1
    assert gateway.logged(door.system, "too_large")
    assert effects(hub) == before


@pytest.mark.parametrize("minutes", [-10, 10])
def test_a_clock_that_is_wrong_or_a_call_kept_for_later(gateway: Process, hub: Hub, minutes: int) -> None:
    """Of the three only Standard Webhooks sign the time; Shopify's and Square's old calls are known by their ids."""
    door, one = DOORS["shop-main"], event_id()
    body = door.genuine(one, GENUINE_ID)
    headers = door.sign(body, one, at=time.time() + 60 * minutes)
    hold(gateway, hub, door, body, headers, 401, "outside_window")


def test_an_event_played_again(gateway: Process, hub: Hub, door: Door) -> None:
    one = event_id()
    body = door.genuine(one, GENUINE_ID)
    headers = door.sign(body, one)
    first = gateway.client.post(f"/webhooks/{door.system}", content=body, headers=headers)
    assert (first.status_code, first.json()) == (200, {"status": "stored", "stored": 1})
    for _ in range(2):
        hold(gateway, hub, door, body, headers, 200, "duplicate")


def test_an_event_for_another_account(gateway: Process, hub: Hub) -> None:
    door, one = DOORS["second-shop"], event_id()
    body = door.genuine(one, GENUINE_ID)
    headers = door.sign(body, one, shop="another.myshopify.com")
    hold(gateway, hub, door, body, headers, 401, "other_account")


def test_an_event_for_an_unknown_sku_is_looked_up_and_moves_nothing(
    gateway: Process, hub: Hub, door: Door
) -> None:
    hub.pull("tills", "listings")
    counted = gateway.counted(door.system, "stored")
    one = event_id()
    body = door.genuine(one, "999")
    answer = gateway.client.post(f"/webhooks/{door.system}", content=body, headers=door.sign(body, one))
    assert (answer.status_code, answer.json()["status"]) == (200, "stored")
    assert gateway.counted(door.system, "stored") == counted + 1
    run_job(hub, Job(Task.FETCH, door.system, "stock", Lane.URGENT))
    with hub.engine.connect() as connection:
        query = "SELECT state FROM intake WHERE system = :s AND event_id LIKE :e"
        states = set(connection.scalars(text(query), {"s": door.system, "e": f"{one}%"}))
        offers = connection.scalar(text("SELECT count(*) FROM entity WHERE kind = 'sellable'"))
    assert (states, offers) == ({"processed"}, 0)
    report = hub.push("tills", "sellable")
    assert (report.sent, report.deliveries, hub.quarantine_list()) == (0, 0, [])


def test_a_door_without_a_secret_is_shut(gateway: Process, hub: Hub) -> None:
    door, one = DOORS["shop-main"], event_id()
    body = door.genuine(one, GENUINE_ID)
    shut = Door("shut", door.genuine, door.unknown, door.no_flow, door.sign)
    for secret in (SECRET, ""):
        hold(gateway, hub, shut, body, door.sign(body, one, secret), 503, "door_shut")


def test_nobody_is_named_in_the_log(gateway: Process, hub: Hub, door: Door) -> None:
    """Last: looks at all that was said while the tests above ran, and makes some more of it."""
    with pytest.raises(httpx.HTTPStatusError):
        gateway.client.post(f"/webhooks/{door.system}", json=PERSON).raise_for_status()
    assert gateway.logged(door.system, "bad_signature")
    for word in (*PERSON.values(), *(value[:4] for value in PERSON.values()), SECRET):
        assert word not in gateway.said
