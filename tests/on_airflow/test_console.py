"""The console's pages with a hub that holds what we put into it, through the app's own HTTP door."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from hub.reports import FlowStatus, QuarantineRow, ReplayReport
from hub.words import Words
from plugins.console.app import console_app
from plugins.console.doors import rights

NOW = datetime(2026, 11, 20, 18, 30, tzinfo=UTC)
FLOW = FlowStatus(
    system="rakuten-main", flow="orders", direction="pull", title_ja="受注の取込", title_en="Orders in",
    schedule="*/5 * * * *", last_run_at=NOW, last_ok_at=NOW, outcome="ok", error=None,
    counts={"records": 12, "created": 10, "quarantined": 2}, late=False, open_quarantine=0, open_deliveries=0,
)  # fmt: skip
ROW = QuarantineRow(
    id=7, system="core", flow="orders", direction="in", stage="map", mapping="file_exchange/general_orders.in",
    subject="A-1001", code="unknown_code", reason_ja="支払方法「現金<b>書留</b>」は表にありません",
    reason_en="payment method is not in the table", column="支払方法", field="payment.method",
    value_masked="現金<b>書留</b>", position=12, name="JUCHU_20261121_003.csv", state="open", replays=0,
    created_at=NOW,
)  # fmt: skip


class FakeHub:
    def __init__(self, flows: list[FlowStatus], rows: list[QuarantineRow]) -> None:
        self.flows, self.rows, self.replayed, self.faults = flows, rows, [], []
        title = SimpleNamespace(ja="楽天市場 本店", en="Rakuten main shop")
        self.systems = SimpleNamespace(systems={"rakuten-main": SimpleNamespace(title=title)})

    def status(self) -> list[FlowStatus]:
        return self.flows

    def validate(self) -> list[Any]:
        return self.faults

    def quarantine_list(self, system=None, flow=None, state="open", limit=100) -> list[QuarantineRow]:
        return [
            row
            for row in self.rows
            if system in (None, row.system) and flow in (None, row.flow) and row.state == state
        ][:limit]

    def quarantine_replay(self, ids: list[int]) -> ReplayReport:
        self.replayed.append(ids)
        return ReplayReport(tried=len(ids), through=len(ids))


class FakeRights:
    def __init__(self, see: str = ".*", run: str = ".*") -> None:
        self._see, self._run = see, run

    def may_see(self, dag_id: str) -> bool:
        return re.fullmatch(self._see, dag_id) is not None

    def may_run(self, dag_id: str) -> bool:
        return re.fullmatch(self._run, dag_id) is not None


@pytest.fixture(autouse=True)
def english(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TSUNAGI_LANG", "en")


def console(hub: FakeHub, who: FakeRights | None = None) -> FastAPI:
    @contextmanager
    def open_hub() -> Iterator[Any]:
        yield hub

    app = console_app(open_hub)
    if who is not None:
        app.dependency_overrides[rights] = lambda: who
    return app


def ask(app: FastAPI, method: str, path: str, **options: Any) -> httpx.Response:
    async def call() -> httpx.Response:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://hub.test") as client:
            return await client.request(method, path, **options)

    return asyncio.run(call())


def test_the_flows_page_says_how_each_flow_stands_in_japan_time() -> None:
    page = ask(console(FakeHub([FLOW], []), FakeRights()), "GET", "/")
    assert page.status_code == 200
    assert "Rakuten main shop" in page.text
    assert "received 12 · new 10 · quarantined 2" in page.text
    assert "2026-11-21 03:30:00" in page.text


def test_it_speaks_japanese_when_asked_and_remembers_it() -> None:
    page = ask(console(FakeHub([FLOW], []), FakeRights()), "GET", "/?lang=ja")
    assert "楽天市場 本店" in page.text
    assert "受信 12 · 新規 10 · 隔離 2" in page.text
    assert "tsunagi_lang=ja" in page.headers["set-cookie"]
    again = ask(console(FakeHub([FLOW], []), FakeRights()), "GET", "/", headers={"cookie": "tsunagi_lang=ja"})
    assert "連携の状況" in again.text


def test_flows_that_need_a_person_come_first() -> None:
    late = replace(FLOW, flow="stock", title_en="Stock out", late=True)
    wrong = replace(FLOW, flow="items", title_en="Items in", outcome="misconfigured", error="key expired")
    page = ask(console(FakeHub([FLOW, late, wrong], []), FakeRights()), "GET", "/").text
    assert page.index("Stock out") < page.index("Orders in")
    assert page.index("key expired") < page.index("Orders in")
    assert "late" in page


def test_a_system_file_that_cannot_be_read_is_shown_with_its_reason() -> None:
    hub = FakeHub([], [])
    hub.faults = [SimpleNamespace(words=Words("core.yaml 3行目", "core.yaml, line 3: no such connector"))]
    page = ask(console(hub, FakeRights()), "GET", "/").text
    assert "core.yaml, line 3: no such connector" in page


def test_refused_rows_of_one_cause_stand_together_and_their_text_is_only_text() -> None:
    rows = [ROW, replace(ROW, id=8, subject="A-1002"), replace(ROW, id=9, code="bad_date", column="受注日")]
    page = ask(console(FakeHub([], rows), FakeRights()), "GET", "/quarantine?lang=ja").text
    assert page.count("<details") == 2
    assert "現金&lt;b&gt;書留&lt;/b&gt;" in page
    assert "<b>書留" not in page
    assert "JUCHU_20261121_003.csv 12 行" in page


def test_replaying_calls_the_hub_once_and_tells_what_came_of_it() -> None:
    hub = FakeHub([], [ROW, replace(ROW, id=8)])
    app = console(hub, FakeRights())
    answer = ask(
        app, "POST", "/quarantine/replay", data={"id": ["7", "8"]}, headers={"sec-fetch-site": "same-origin"}
    )
    assert answer.status_code == 303
    assert hub.replayed == [[7, 8]]
    told = ask(app, "GET", "/quarantine/" + answer.headers["location"])
    assert "2 tried again: 2 went through" in told.text


def test_only_flows_whose_dag_one_may_run_are_replayed() -> None:
    hub = FakeHub([], [ROW, replace(ROW, id=8, system="rakuten-main")])
    app = console(hub, FakeRights(run="core__.*"))
    ask(app, "POST", "/quarantine/replay", data={"id": ["7", "8"]}, headers={"sec-fetch-site": "same-origin"})
    assert hub.replayed == [[7]]


def test_flows_whose_dag_one_may_not_see_are_not_shown() -> None:
    hub = FakeHub([FLOW], [ROW])
    app = console(hub, FakeRights(see="core__.*"))
    assert "Rakuten main shop" not in ask(app, "GET", "/").text
    assert "A-1001" in ask(app, "GET", "/quarantine").text
    assert "A-1001" not in ask(console(hub, FakeRights(see="x")), "GET", "/quarantine").text


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "http://evil.example"},
        {},
        {"sec-fetch-site": "cross-site", "origin": "http://hub.test"},
    ],
)
def test_a_write_that_another_page_made_the_browser_send_is_refused(headers: dict[str, str]) -> None:
    hub = FakeHub([], [ROW])
    answer = ask(
        console(hub, FakeRights()), "POST", "/quarantine/replay", data={"id": ["7"]}, headers=headers
    )
    assert answer.status_code == 403
    assert hub.replayed == []


@pytest.mark.parametrize("headers", [{"origin": "http://hub.test"}, {"authorization": "Bearer abc"}])
def test_an_older_browser_of_the_same_site_and_a_call_with_a_token_pass(headers: dict[str, str]) -> None:
    hub = FakeHub([], [ROW])
    ask(console(hub, FakeRights()), "POST", "/quarantine/replay", data={"id": ["7"]}, headers=headers)
    assert hub.replayed == [[7]]


def test_choosing_nothing_says_so() -> None:
    hub = FakeHub([], [ROW])
    app = console(hub, FakeRights())
    answer = ask(app, "POST", "/quarantine/replay", headers={"origin": "http://hub.test"})
    assert "none=1" in answer.headers["location"]
    assert hub.replayed == []


def test_a_replay_that_fails_tells_why() -> None:
    hub = FakeHub([], [ROW])

    def fail(ids: list[int]) -> ReplayReport:
        raise RuntimeError("the shop is closed")

    hub.quarantine_replay = fail  # type: ignore[method-assign]
    app = console(hub, FakeRights())
    answer = ask(app, "POST", "/quarantine/replay", data={"id": ["7"]}, headers={"origin": "http://hub.test"})
    assert "the shop is closed" in ask(app, "GET", "/quarantine/" + answer.headers["location"]).text


def test_pages_forbid_scripts_and_foreign_frames() -> None:
    page = ask(console(FakeHub([], []), FakeRights()), "GET", "/")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'self'" in policy
    assert "<script" not in page.text
