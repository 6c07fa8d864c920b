"""Three doors of a real `tsunagi gateway`: Vendure (Standard Webhooks), Shopify and Square, and one that is shut."""

from __future__ import annotations

import base64
import hmac
import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx

__all__ = ["DOORS", "PERSON", "SECRET", "Door", "Process", "environment", "vendure_stub"]

SECRET = "a-secret-the-sender-knows"
PERSON = {
    "name": "山田 花子",
    "tel": "090-1234-5678",
    "email": "hanako@example.jp",
    "address": "東京都港区1-2-3",
}
URL = "https://hub.example.jp/webhooks/tills"
SHOP = "tsunagi-sandbox.myshopify.com"

Headers = dict[str, str]


@dataclass(frozen=True)
class Door:
    """How one kind of system calls.

    genuine  (event id, ids) -> body of an event that names something to fetch
    unknown  (event id) -> body of a topic nobody takes in, or headers that say so
    sign     (body, event id, secret) -> headers
    """

    system: str
    genuine: Callable[[str, str], bytes]
    unknown: Callable[[str], bytes]
    no_flow: Callable[[str], bytes]
    sign: Callable[..., Headers]


def _standard(body: bytes, event: str, secret: str = SECRET, *, at: float | None = None, **_: Any) -> Headers:
    stamp = str(int(time.time() if at is None else at))
    digest = hmac.digest(secret.encode(), f"{event}.{stamp}.".encode() + body, "sha256")
    proof = f"v1,{base64.b64encode(digest).decode()}"
    return {"webhook-id": event, "webhook-timestamp": stamp, "webhook-signature": proof}


def _shopify(
    body: bytes,
    event: str,
    secret: str = SECRET,
    *,
    topic: str = "inventory_levels/update",
    shop: str = SHOP,
    **_: Any,
) -> Headers:
    digest = base64.b64encode(hmac.digest(secret.encode(), body, "sha256")).decode()
    return {
        "x-shopify-topic": topic, "x-shopify-hmac-sha256": digest, "x-shopify-shop-domain": shop,
        "x-shopify-webhook-id": event, "x-shopify-triggered-at": "2026-11-21T03:00:00Z",
    }  # fmt: skip


def _square(body: bytes, event: str, secret: str = SECRET, **_: Any) -> Headers:
    digest = hmac.digest(secret.encode(), URL.encode() + body, "sha256")
    return {"x-square-hmacsha256-signature": base64.b64encode(digest).decode()}


def _json(**said: Any) -> bytes:
    return json.dumps({**said, "buyer": PERSON}, ensure_ascii=False).encode()


def _vendure_event(event: str, **data: Any) -> bytes:
    at = "2026-11-21T03:00:00.000Z"
    return _json(events=[{"id": event, "type": "StockMovement", "occurredAt": at, "data": data}])


def _square_event(event: str, kind: str, thing: dict[str, Any]) -> bytes:
    return _json(event_id=event, type=kind, created_at="2026-11-21T03:00:00Z", data={"object": thing})


DOORS = {
    "shop-main": Door(
        "shop-main",
        genuine=lambda event, one: _vendure_event(event, stock=[one]),
        unknown=lambda event: _vendure_event(event, assets=["1"]),
        no_flow=lambda event: _vendure_event(event, customers=["1"]),
        sign=_standard,
    ),
    "second-shop": Door(
        "second-shop",
        genuine=lambda _, one: _json(inventory_item_id=int(one), location_id=1, available=3),
        unknown=lambda _: _json(id=1),
        no_flow=lambda _: _json(id=1),
        sign=_shopify,
    ),
    "tills": Door(
        "tills",
        genuine=lambda event, one: _square_event(
            event,
            "inventory.count.updated",
            {"inventory_counts": [{"catalog_object_id": one, "location_id": "L", "state": "IN_STOCK"}]},
        ),
        unknown=lambda event: _square_event(event, "loyalty.account.created", {}),
        no_flow=lambda event: _square_event(event, "customer.created", {"customer": {"id": "C1", **PERSON}}),
        sign=_square,
    ),
}  # fmt: skip

SYSTEMS = {
    "shop-main": """
connector: vendure
settings: {{base_url: "{vendure}"}}
flows: {{stock: {{pull: stock, mapping: vendure/stock.in}}}}
""",
    "second-shop": """
connector: shopify
settings: {{shop: tsunagi-sandbox.myshopify.com, base_url: "{shopify}", restore_rate: 1000, bucket_size: 20000}}
flows: {{stock: {{pull: inventory, mapping: shopify/stock.in}}}}
""",
    "tills": """
connector: square
settings: {{base_url: "{square}", requests_per_second: 1000, notification_url: "https://hub.example.jp/webhooks/tills"}}
flows:
  stock: {{pull: inventory, mapping: square/stock.in}}
  listings: {{pull: variations, mapping: square/listings.in}}
  sellable: {{push: inventory, mapping: square/sellable.out}}
""",
    "shut": """
connector: vendure
settings: {{base_url: "{vendure}"}}
flows: {{stock: {{pull: stock, mapping: vendure/stock.in}}}}
""",
}


def environment(
    url: str, folder: Path, addresses: Mapping[str, str], tokens: Mapping[str, str]
) -> dict[str, str]:
    """What the gateway and the hub of the test are told; the system files are written below `folder`."""
    (folder / "systems").mkdir()
    for name, content in SYSTEMS.items():
        head = f"system: {name}\ntitle: {{ja: {name}, en: {name}}}\nconstants: {{channel: {name}}}"
        (folder / "systems" / f"{name}.yaml").write_text(head + content.format(**addresses), "utf-8")
    secret = {"webhook_secret": SECRET}
    connections = {
        "SHOP_MAIN": {"conn_type": "vendure", "login": "u", "password": "p", "extra": secret},
        "SHUT": {"conn_type": "vendure", "login": "u", "password": "p"},
        "SECOND_SHOP": {"conn_type": "shopify", "password": tokens["shopify"], "extra": secret},
        "TILLS": {"conn_type": "square", "password": tokens["square"], "extra": secret},
    }
    return {
        "TSUNAGI_HOME": str(folder / "home"), "TSUNAGI_DATABASE_URL": url, "TSUNAGI_LANG": "en",
        "TSUNAGI_SYSTEMS": str(folder / "systems"), "TSUNAGI_LOG_FORMAT": "json",
    } | {f"AIRFLOW_CONN_{name}": json.dumps(value) for name, value in connections.items()}  # fmt: skip


class Process:
    """`tsunagi gateway`, listening, with everything it said."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self.said = ""
        self._popen = subprocess.Popen(
            [sys.executable, "-c", "from hub.cli import main; main()", "gateway", "--port", "0"],
            env={**os.environ, **values}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        threading.Thread(target=self._listen, daemon=True).start()
        while (found := re.search(r"http://127\.0\.0\.1:\d+", self.said)) is None:
            assert self._popen.poll() is None, self.said
            time.sleep(0.02)
        self.client = httpx.Client(base_url=found[0], timeout=60)

    def _listen(self) -> None:
        assert self._popen.stdout is not None
        with self._popen.stdout as lines:
            for line in lines:
                self.said += line

    def logged(self, system: str, outcome: str, seconds: float = 10) -> bool:
        """Whether a line tells of this outcome."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            for line in self.said.splitlines():
                if (
                    line.startswith("{")
                    and f'"outcome":"{outcome}"' in line
                    and f'"system":"{system}"' in line
                ):
                    return True
            time.sleep(0.05)
        return False

    def counted(self, system: str, outcome: str) -> int:
        wanted = f'tsunagi_webhook_calls_total{{system="{system}",outcome="{outcome}"}} '
        lines = [line for line in self.client.get("/metrics").text.splitlines() if line.startswith(wanted)]
        return int(lines[0].rpartition(" ")[2]) if lines else 0

    def stop(self) -> None:
        self.client.close()
        self._popen.terminate()
        self._popen.wait(30)


@contextmanager
def vendure_stub() -> Iterator[str]:
    """A shop that has one thing: stock of an SKU that no channel lists."""
    level = {"id": "1", "stockLocationId": "1", "stockOnHand": 5, "stockAllocated": 0,
             "stockLocation": {"id": "1", "name": "Default Stock Location"}}  # fmt: skip
    variant = {"id": "999", "productId": "9", "sku": "NOBODY-LISTS-IT", "enabled": True, "trackInventory": "TRUE",
               "outOfStockThreshold": 0, "useGlobalOutOfStockThreshold": True, "stockLevels": [level]}  # fmt: skip
    answers = {
        "Login": {"login": {"__typename": "CurrentUser", "id": "1"}},
        "Stock": {"productVariants": {"totalItems": 1, "items": [variant]}},
    }

    class Shop(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            said = json.loads(self.rfile.read(int(self.headers["content-length"])))
            body = json.dumps({"data": answers[said["operationName"]]}).encode()
            self.send_response(200)
            for name, value in (("vendure-auth-token", "t"), ("content-type", "application/json"),
                                ("content-length", str(len(body)))):  # fmt: skip
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: Any) -> None:
            """Says nothing."""

    server = HTTPServer(("127.0.0.1", 0), Shop)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()
