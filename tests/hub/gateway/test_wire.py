"""A webhook that comes in one piece is answered without ASGI; however it comes, it gets the same."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from sqlalchemy import text
from street import running, sign, stock_event

from hub.engine import Hub
from hub.gateway.app import INLINE, Gateway
from hub.gateway.arrivals import Arrivals, arrivals_of
from hub.gateway.doors import load_doors


@pytest.fixture
def by_asgi(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The webhooks that went the usual way."""
    seen: list[str] = []
    usual = Gateway._webhook

    async def look(self: Gateway, scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["path"])
        await usual(self, scope, receive, send)

    monkeypatch.setattr(Gateway, "_webhook", look)
    return seen


def call(
    event: dict[str, Any], *, version: str = "1.1", more: str = "", body: bytes | None = None, **signed: Any
) -> bytes:
    body = json.dumps(event).encode() if body is None else body
    headers = "".join(f"{name}: {value}\r\n" for name, value in sign(body, **signed).items())
    length = "" if "chunked" in more else f"content-length: {len(body)}\r\n"
    head = f"POST /webhooks/north HTTP/{version}\r\nhost: hub\r\n{headers}{length}{more}\r\n".encode()
    return head + (b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if "chunked" in more else body)


@contextmanager
def line(shop: httpx.Client) -> Iterator[socket.socket]:
    with socket.create_connection((shop.base_url.host, shop.base_url.port or 80), timeout=20) as opened:
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield opened


def answers(opened: socket.socket, count: int) -> list[tuple[int, dict[str, str], Any]]:
    """So many answers: status, headers, what is said."""
    found: list[tuple[int, dict[str, str], Any]] = []
    got = b""
    while len(found) < count:
        head, end, rest = got.partition(b"\r\n\r\n")
        status, *lines = head.decode().split("\r\n")
        headers = dict(one.split(": ", 1) for one in lines)
        if not end or len(rest) < int(headers["content-length"]):
            more = opened.recv(65536)
            assert more, f"hung up after {got!r}"
            got += more
            continue
        headers.pop("date")
        body, got = rest[: int(headers["content-length"])], rest[int(headers["content-length"]) :]
        found.append((int(status.split()[1]), headers, json.loads(body)))
    assert got == b""
    return found


def event_ids(hub: Hub) -> list[str]:
    with hub.engine.connect() as connection:
        return list(connection.scalars(text("SELECT event_id FROM intake ORDER BY id")))


def test_in_one_piece_or_in_two_it_gets_the_same(hub: Hub, shop: httpx.Client, by_asgi: list[str]) -> None:
    with line(shop) as opened:
        opened.sendall(call(stock_event("whole", "A", 5, 1)))
        whole = answers(opened, 1)
        assert whole[0][::2] == (200, {"status": "stored", "stored": 1})
        assert by_asgi == []
        torn = call(stock_event("torn", "A", 6, 2))
        opened.sendall(torn[:-20])
        time.sleep(0.3)
        opened.sendall(torn[-20:])
        assert answers(opened, 1) == whole
    assert by_asgi == ["/webhooks/north"]
    assert event_ids(hub) == ["whole", "torn"]


@pytest.mark.parametrize("torn", [False, True])
@pytest.mark.parametrize(
    ("event", "signed", "status", "outcome"),
    [
        (stock_event("e", "A", 5, 1), {"secret": "whsec_other"}, 401, "bad_signature"),
        ({"id": 1}, {}, 400, "bad_event"),
        ({"id": "e", "type": "stock.gone", "data": ["\0"]}, {}, 400, "not_storable"),
        ({"id": "e", "type": "stock.changed", "data": [10**30]}, {}, 400, "not_storable"),
        ({"id": "e", "type": "parcel.lost", "data": [{}]}, {}, 200, "no_flow"),
        ({"id": "e", "type": "breaks", "data": []}, {}, 500, "breakdown"),
    ],
)
def test_a_refusal_is_the_same_too(
    hub: Hub, shop: httpx.Client, by_asgi: list[str], torn: bool, event: dict[str, Any], signed: dict[str, Any],
    status: int, outcome: str,
) -> None:  # fmt: skip
    said = {"status": outcome, "stored": 0} if status == 200 else {"status": outcome}
    with line(shop) as opened:
        sent = call(event, **signed)
        opened.sendall(sent[:-1] if torn else sent)
        if torn:
            time.sleep(0.2)
            opened.sendall(sent[-1:])
        ((got, headers, answered),) = answers(opened, 1)
        assert (got, answered) == (status, said)
        assert headers["content-type"] == "application/json"
        opened.sendall(call(stock_event("good", "A", 5, 1)))  # the line goes on
        assert answers(opened, 1)[0][0] == 200
    assert len(by_asgi) == int(torn)
    assert event_ids(hub) == ["good"]


def test_the_end_of_a_line_is_kept(hub: Hub, shop: httpx.Client, by_asgi: list[str]) -> None:
    for number, asked in enumerate(({"more": "connection: close\r\n"}, {"version": "1.0"})):
        with line(shop) as opened:
            opened.sendall(call(stock_event(f"e{number}", "A", 5, 1), **asked))
            ((status, headers, _),) = answers(opened, 1)
            assert (status, headers["connection"]) == (200, "close")
            assert opened.recv(1) == b""
    assert by_asgi == []


def test_a_chunked_call_and_one_that_asks_whether_it_may_go_on(
    hub: Hub, shop: httpx.Client, by_asgi: list[str]
) -> None:
    with line(shop) as opened:
        opened.sendall(call(stock_event("e1", "A", 5, 1), more="transfer-encoding: chunked\r\n"))
        assert answers(opened, 1)[0][0] == 200
        assert by_asgi == []
        asks = call(stock_event("e2", "A", 5, 1), more="expect: 100-continue\r\n")
        head, _, body = asks.partition(b"\r\n\r\n")
        opened.sendall(head + b"\r\n\r\n")
        assert opened.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        opened.sendall(body)
        assert answers(opened, 1)[0][0] == 200
    assert event_ids(hub) == ["e1", "e2"]


def test_calls_one_behind_the_other_are_answered_in_their_order(hub: Hub, shop: httpx.Client) -> None:
    with line(shop) as opened:
        good, forged = call(stock_event("e1", "A", 5, 1)), call(stock_event("no", "A", 5, 1), secret="other")
        opened.sendall(good + forged + call(stock_event("e2", "A", 5, 1)) + forged + good)
        assert [(status, said["status"]) for status, _, said in answers(opened, 5)] == [
            (200, "stored"), (401, "bad_signature"), (200, "stored"), (401, "bad_signature"), (200, "duplicate"),
        ]  # fmt: skip
    assert event_ids(hub) == ["e1", "e2"]


def test_who_hangs_up_before_the_answer_harms_nobody(hub: Hub, shop: httpx.Client) -> None:
    with hub.engine.begin() as connection:
        connection.execute(text("LOCK TABLE intake"))
        with line(shop) as gone, line(shop) as stays:
            gone.sendall(call(stock_event("gone", "A", 5, 1)))
            stays.sendall(call(stock_event("stays", "A", 5, 1)))
            time.sleep(0.3)
            gone.close()
            time.sleep(0.2)
            connection.commit()
            assert answers(stays, 1)[0][0] == 200
    assert sorted(event_ids(hub)) == ["gone", "stays"]


def test_a_long_body_is_worked_on_beside_the_others(
    hub: Hub, shop: httpx.Client, by_asgi: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    event = stock_event("long", "A", 5, 1)
    monkeypatch.setattr("hub.gateway.wire.INLINE", len(json.dumps(event)) - 1)
    with line(shop) as opened:
        opened.sendall(call(event))
        assert answers(opened, 1)[0][0] == 200
    assert by_asgi == ["/webhooks/north"]
    assert INLINE > 64 * 1024


def test_a_bug_of_the_hub_is_an_answer_too(
    hub: Hub, shop: httpx.Client, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with line(shop) as opened:
        with monkeypatch.context() as broken:

            def breaks(*_: Any) -> None:
                raise RuntimeError("山田 花子")

            broken.setattr("hub.gateway.app.arrivals_of", breaks)
            opened.sendall(call(stock_event("e1", "A", 5, 1)))
            assert answers(opened, 1)[0][::2] == (500, {"status": "breakdown"})
        opened.sendall(call(stock_event("e1", "A", 5, 1)))
        assert answers(opened, 1)[0][0] == 200
    said = "".join(capfd.readouterr())
    assert "test_wire.py" in said
    assert "山田" not in said


def test_who_is_not_looked_at_yet_waits_for_the_doors(hub: Hub, by_asgi: list[str]) -> None:
    gateway = Gateway(hub)
    with running(hub, gateway) as shop:
        gateway._doors = None
        for _ in range(2):
            with line(shop) as opened:
                opened.sendall(call(stock_event("e1", "A", 5, 1)))
                assert answers(opened, 1)[0][0] == 200
    assert by_asgi == ["/webhooks/north"]


ODD = ["plain", 'quo"te', "back\\slash", "{curly}", "comma, space ", "", "NULL", "商品", "'", "a\nb"]


@pytest.mark.parametrize("together", [1, 3])
def test_ids_of_any_form_are_stored_as_they_are(hub: Hub, together: int) -> None:
    door = load_doors(hub)["north"]
    thin = [{"id": f"t{n}", "type": "order.changed", "data": ODD} for n in range(together)]
    gone = [{"id": f"g{n}", "type": "stock.gone", "data": ODD} for n in range(together)]

    async def go() -> None:
        store = Arrivals(hub.engine.url.set(drivername="postgresql").render_as_string(hide_password=False))
        for events in (thin, gone):
            bodies = [json.dumps(event).encode() for event in events]
            calls = [arrivals_of(door, door.open(sign(body), body), body) for body in bodies]
            assert await asyncio.gather(*map(store.store, calls)) == [[True]] * together
        assert store.commits == 2
        await store.close()

    asyncio.run(go())
    with hub.engine.connect() as connection:
        rows = connection.execute(text("SELECT fetch_ids, deleted FROM intake ORDER BY id")).all()
    assert rows == [(ODD, [])] * together + [([], ODD)] * together
