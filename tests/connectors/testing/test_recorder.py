"""The recorder, on a live server: what it writes can be played, and gives nothing away."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr

from connectors.calls import open_call
from connectors.contract import Call, Connector, Refused, Title
from connectors.testing import Playback, load_recording, record
from connectors.transport.auth import HeaderKey
from connectors.transport.http import HttpSettings, Intent

KEY = "live-key-0123456789"
ORDER = {
    "id": "A1",
    "customer": {"familyName": "山田", "email": "hanako@real.example", "phone": "090-1234-5678"},
    "送付先住所": "東京都港区芝公園4-2-8",
    "zipCode": "105-0011",
    "note": f"call 03-9999-8888, key {KEY}",
    "total": 1980,
    "access_token": "tok-live",
}


class Config(BaseModel):
    base_url: str
    api_key: SecretStr = SecretStr(KEY)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.answer(200, "application/json; charset=utf-8", json.dumps({"orders": [ORDER]}).encode())

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        kind, body = {
            "/xml": ("application/xml", b"<a><email>hanako@real.example</email><sku>A</sku></a>"),
            "/csv": ("application/octet-stream", "テスト".encode("cp932")),
        }[self.path]
        self.answer(201, kind, body)

    def answer(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Set-Cookie", "session=abcdef")
        self.send_header("X-Total", "1")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        """Quiet."""


@pytest.fixture
def url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.01))
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


connector: Connector[Config] = Connector(
    "tiny_shop",
    config=Config,
    title=Title("店", "Shop"),
    http=lambda c: HttpSettings(c.base_url, auth=HeaderKey("X-Api-Key", c.api_key)),
)


def work(call: Call[Any]) -> list[Any]:
    orders = call.http.get("/orders", params={"email": "hanako@real.example", "token": KEY, "page": 1}).json()
    xml = call.http.post("/xml", data={"phone": "090-1234-5678", "sku": "A"}, intent=Intent.READ)
    csv = call.http.post("/csv", json={"name": "見本", "email": "hanako@real.example"}, intent=Intent.READ)
    return [orders["orders"][0]["id"], xml.text, csv.content.decode("cp932"), orders["orders"][0]["total"]]


def test_a_recording_plays_and_gives_nothing_away(url: str, tmp_path: Path) -> None:
    path = tmp_path / "recordings" / "orders.yaml"
    with record(connector, Config(base_url=url), path) as call:
        live = work(call)
    text = path.read_text("utf-8")
    for secret in (
        KEY,
        "hanako@real.example",
        "090-1234-5678",
        "03-9999-8888",
        "山田",
        "芝公園",
        "105-0011",
        "tok-live",
        "abcdef",
    ):
        assert secret not in text, secret
    playback = Playback(load_recording(path), "orders.yaml")
    with open_call(connector, "test", Config(base_url="https://shop.example"), transport=playback) as call:
        played = work(call)
    assert live == ["A1", "<a><email>hanako@real.example</email><sku>A</sku></a>", "テスト", 1980]
    assert played == ["A1", "<a><email>***</email><sku>A</sku></a>", "テスト", 1980]


def test_personal_data_is_replaced_by_something_of_the_same_kind(url: str, tmp_path: Path) -> None:
    path = tmp_path / "orders.yaml"
    with record(connector, Config(base_url=url), path) as call:
        call.http.get("/orders")
    (recorded,) = load_recording(path)
    order = recorded.response.json_body["orders"][0]
    assert order == {
        "id": "A1",
        "customer": {"familyName": "見本", "email": "mihon@example.jp", "phone": "03-0000-0000"},
        "送付先住所": "見本町1-1",
        "zipCode": "100-0001",
        "note": "***",
        "total": 1980,
        "access_token": "***",
    }
    assert recorded.response.headers == {"x-total": "1"}


def test_nothing_is_written_when_the_call_fails(url: str, tmp_path: Path) -> None:
    path = tmp_path / "orders.yaml"
    with pytest.raises(Refused), record(connector, Config(base_url=url), path) as call:
        call.http.get("https://elsewhere.example/")
    assert not path.exists()
