"""The demo as a newcomer types it: one day through Airflow, and the same day again."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from rich.console import Console

from hub.airflow_api import AirflowApi
from hub.airflow_home import AirflowAddress, airflow_address
from hub.demo import run_demo, stop_everything
from hub.demo.road import ROAD
from hub.engine import Hub
from hub.home import Home, Settings
from hub.processes import Processes

pytestmark = pytest.mark.xdist_group("road")  # the stand-ins of two days at once would race for ports

DAY = date(2026, 11, 20)
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def settings(tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    for name in [name for name in os.environ if name.startswith("AIRFLOW_")]:
        monkeypatch.delenv(name)
    for name, value in {"HOME": str(tmp_path), "DATABASE_URL": database_url, "LANG": "en"}.items():
        monkeypatch.setenv(f"TSUNAGI_{name}", value)
    settings = Settings(Home(tmp_path), database_url, (ROOT / "systems",), "en")
    yield settings
    stop_everything(settings.home)


def day(settings: Settings) -> str:
    """Run the demo; returns what the terminal showed."""
    shown = io.StringIO()
    run_demo(settings, Console(file=shown, width=160, highlight=False), DAY)
    return shown.getvalue()


def everything(url: str) -> dict[str, Any]:
    """What the hub knows and what it sent, without the clock."""
    queries = {
        "entities": "SELECT kind, key, version, content FROM entity ORDER BY 1, 2",
        "feed": "SELECT count(*) FROM change_feed",
        "deliveries": "SELECT system, flow, idempotency_key, finished_at FROM delivery ORDER BY 1, 2, 3",
        "ledger": "SELECT system, flow, key, entity_version, record FROM ledger ORDER BY 1, 2, 3",
        "quarantine": "SELECT system, flow, subject, code, state FROM quarantine ORDER BY 1, 2, 3",
    }
    with psycopg.connect(url) as connection:
        return {name: connection.execute(query).fetchall() for name, query in queries.items()}


def step(shown: str, title: str) -> list[str]:
    return [line for line in shown.splitlines() if line.startswith("✓") and title in line]


def the_console_is_open_to_whoever_signed_in(address: AirflowAddress) -> None:
    """As Airflow serves it: nothing without a login, and no write that another site's page could send."""
    with httpx.Client(base_url=address.url) as browser:
        for path in ("/tsunagi/", "/tsunagi/quarantine", "/tsunagi/console.css"):
            assert browser.get(path).status_code == 401
        signed = browser.post("/auth/token", json={"username": address.user, "password": address.password})
        browser.cookies.set("_token", signed.json()["access_token"])
        assert "Mail-order core" in browser.get("/tsunagi/").text
        refused = browser.get("/tsunagi/flow/core__orders").text
        assert refused.count('type="checkbox"') == 6
        for headers in ({}, {"origin": "http://evil.example"}, {"sec-fetch-site": "cross-site"}):
            answer = browser.post("/tsunagi/quarantine/replay", data={"id": "1"}, headers=headers)
            assert answer.status_code == 403
        own = {"sec-fetch-site": "same-origin"}
        assert browser.post("/tsunagi/quarantine/replay", data={"id": "1"}, headers=own).status_code == 303


@pytest.mark.airflow
@pytest.mark.slow
@pytest.mark.timeout(600)
def at_rest(url: str) -> dict[str, Any]:
    """Everything, once the flows that the day's last changes woke have come to their end."""
    until, seen, since = time.monotonic() + 120, everything(url), time.monotonic()
    while time.monotonic() - since < 12:
        assert time.monotonic() < until, "the day does not come to rest"
        time.sleep(0.5)
        if (now := everything(url)) != seen:
            seen, since = now, time.monotonic()
    return seen


def test_a_day_goes_through_airflow_and_the_same_day_again_changes_and_sends_nothing(
    settings: Settings, database_url: str
) -> None:
    first = day(settings)
    assert "accepted" in step(first, "order confirmations out")[0]
    assert "accepted 30" in step(first, "Mail-order core: shipping reports out")[0]
    assert "quarantined 6" in step(first, "Mail-order core: orders and customers in")[0]
    for told in ("What came in", "What went out", "In quarantine, and why", "JUCHU_", "make stop"):
        assert told in first
    address = airflow_address(settings)
    assert address.url in first
    assert address.password in first
    before = at_rest(database_url)
    assert len(before["quarantine"]) == 6

    second = day(settings)
    assert [line for line in second.splitlines() if line.startswith("✓") and "accepted" in line] == []
    assert at_rest(database_url) == before

    the_console_is_open_to_whoever_signed_in(address)
    with AirflowApi(address) as api:
        assert api.import_errors() == {}
        assert not [dag for dag in {step.dag_id for step in ROAD} if api.dags()[dag]["is_paused"]]
        kinds = {run.kind for run in api.runs("wms__instructions")}
        assert "asset_triggered" in kinds, (
            "orders that came in woke the flow that sends them to the warehouse"
        )
    assert {"api-server", "sandbox-rakuten", "sandbox-sftp"} <= set(stop_everything(settings.home))
    assert Processes(settings.home).names() == []
    with pytest.raises(httpx.ConnectError):
        httpx.get(address.url)
    with Hub.open(settings) as hub:
        assert {row.outcome for row in hub.status()} == {"ok"}


def test_ctrl_c_ends_the_watching_and_says_how_to_go_on(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("hub.demo.day.start_airflow", interrupted)
    shown = io.StringIO()
    with pytest.raises(SystemExit) as ended:
        run_demo(settings, Console(file=shown, width=160))
    assert ended.value.code == 130
    assert "make stop" in shown.getvalue()
    assert Processes(settings.home).find("sandbox-rakuten") is not None
