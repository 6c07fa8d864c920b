"""The hub's calls go through the shared budget: pulls, pushes and checks, of every process."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from connectors.contract import Batch, Budget, Call, Connector, Outcome, Page, Title
from connectors.registry import Connectors
from connectors.transport.http import HttpSettings, Intent
from hub.engine import Hub
from hub.store.database import open_engine
from hub.systems import load_systems


class Config(BaseModel):
    base_url: str


web = Connector(
    "web",
    config=Config,
    title=Title("ウェブ", "Web"),
    http=lambda config: HttpSettings(base_url=config.base_url),
    budget=Budget(50, burst=20),
)


@web.source("stock", key="sku")
def stock(call: Call[Config], cursor: None) -> Iterator[Page]:
    yield Page(None, records=call.http.get("/stock").json())


@web.sink("stock", key="sku")
def take(call: Call[Config], batch: Batch) -> Iterable[Outcome]:
    call.http.post("/stock", json=[change.key for change in batch], intent=Intent.REPEATABLE, cost=3)
    return [Outcome.done(change.key) for change in batch]


@web.check
def look(call: Call[Config]) -> str:
    call.http.get("/stock")
    return "seen"


@pytest.fixture
def answers() -> list[tuple[int, dict[str, str]]]:
    """What the server answers next; 200 when empty."""
    return []


@pytest.fixture
def hub(database_url: str, tmp_path: Path, answers: list[tuple[int, dict[str, str]]]) -> Iterator[Hub]:
    class Shop(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            status, headers = answers.pop(0) if answers else (200, {})
            body = json.dumps([{"sku": "A", "location": "W1", "on_hand": 5}]).encode()
            self.send_response(status)
            for name, value in {**headers, "content-length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Shop)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    folder = tmp_path / "systems"
    folder.mkdir()
    for name in ("north", "south"):
        (folder / f"{name}.yaml").write_text(
            f"system: {name}\nconnector: web\ntitle: {name}\n"
            f'settings: {{base_url: "http://127.0.0.1:{server.server_address[1]}"}}\n'
            "flows:\n  stock: {pull: stock, mapping: street/stock.in}\n"
            "  stock_out: {push: stock, mapping: street/stock.out}\n"
        )
    systems = load_systems([folder])
    assert systems.faults == []
    mappings = Path(__file__).parent.parent / "gateway" / "mappings"
    with Hub(open_engine(database_url), systems, Connectors(web=web), mapping_roots=[mappings]) as opened:
        yield opened
    server.shutdown()
    thread.join()
    server.server_close()


def test_every_call_takes_its_turns(hub: Hub) -> None:
    assert hub.budget_statuses() == []
    hub.check("north")
    hub.pull("north", "stock")
    hub.push("south", "stock_out")
    found = {status.account: (status.rate, status.burst, status.granted) for status in hub.budget_statuses()}
    assert found == {"north": (50, 20, 2), "south": (50, 20, 1)}
    spent = {status.account: status.burst - status.free for status in hub.budget_statuses()}
    assert 0 <= spent["south"] <= 3  # the post cost three; some of it has come back since


def test_what_the_other_side_says_counts_for_all(hub: Hub, answers: list[tuple[int, dict[str, str]]]) -> None:
    answers += [(429, {"retry-after": "1"}), (200, {"ratelimit-remaining": "0", "ratelimit-reset": "60"})]
    hub.check("north")
    (status,) = hub.budget_statuses()
    assert (status.penalties, status.free) == (2, 0)
    assert status.held_until is not None
