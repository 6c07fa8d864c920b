"""Signed events of a real Vendure with the sandbox's plugin, taken by the webhook function."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from connectors.contract import Event
from connectors.vendure import VendureConfig
from connectors.vendure.events import events
from sandbox.vendure import Unavailable, start

pytestmark = [pytest.mark.vendure, pytest.mark.timeout(900)]

SECRET = "a-secret-of-the-test"
Calls = queue.Queue[tuple[dict[str, str], bytes]]


@pytest.fixture
def receiver() -> Iterator[tuple[str, Calls]]:
    calls: Calls = queue.Queue()

    class Door(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            calls.put((dict(self.headers), body))
            self.send_response(202)
            self.end_headers()

        def log_message(self, *arguments: Any) -> None:
            """Says nothing."""

    server = HTTPServer(("127.0.0.1", 0), Door)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/hook", calls
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_stock_change_arrives_signed_and_names_what_to_fetch(
    tmp_path: Path, receiver: tuple[str, Calls]
) -> None:
    url, calls = receiver
    cache = os.environ.get("TSUNAGI_TEST_VENDURE_CACHE")
    config = VendureConfig.model_validate(
        {"base_url": "http://127.0.0.1:1", "username": "u", "password": "p", "webhook_secret": SECRET}
    )
    try:
        shop = start(tmp_path, cache=Path(cache) if cache else None, events_url=url, events_secret=SECRET)
    except Unavailable as reason:
        if os.environ.get("TSUNAGI_TEST_REQUIRE_VENDURE") == "1":
            raise
        pytest.skip(f"no Vendure here: {reason}")
    with shop, httpx.Client(base_url=f"{shop.url}/admin-api", timeout=30) as client:
        login = 'mutation { login(username: "superadmin", password: "superadmin") { __typename } }'
        token = client.post("", json={"query": login}).headers["vendure-auth-token"]
        write = (
            "mutation { updateProductVariants(input: [{id: 3, stockLevels: "
            "[{stockLocationId: 1, stockOnHand: 7}]}]) { id } }"
        )
        client.post("", json={"query": write}, headers={"Authorization": f"Bearer {token}"})
        found: list[Event] = []
        while not any(event.source == "stock" for event in found):
            headers, body = calls.get(timeout=20)
            found += events(headers, body, config)
    event = next(event for event in found if event.source == "stock")
    assert event.fetch == ("3",)
    assert event.occurred_at is not None
    assert event.occurred_at.tzinfo is not None
