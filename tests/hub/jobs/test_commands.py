"""`tsunagi gateway`, `tsunagi worker` and what `tsunagi status` tells of them."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from connectors.contract import Budget
from hub.cli import app
from hub.engine import Hub
from hub.jobs.queue import Job, Lane, Task, wake


@pytest.fixture
def environment(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    (tmp_path / "systems").mkdir()
    (tmp_path / "systems" / "shop.yaml").write_text(
        "system: shop\nconnector: vendure\ntitle: {ja: 店, en: Shop}\nsettings: {base_url: 'http://127.0.0.1:9'}\n"
    )
    found = {
        "TSUNAGI_HOME": str(tmp_path / "home"), "TSUNAGI_DATABASE_URL": database_url, "TSUNAGI_LANG": "en",
        "TSUNAGI_SYSTEMS": str(tmp_path / "systems"), "TSUNAGI_LOG_FORMAT": "json",
    }  # fmt: skip
    for name, value in found.items():
        monkeypatch.setenv(name, value)
    return {**os.environ, **found}


@contextmanager
def command(environment: dict[str, str], *words: str) -> Iterator[subprocess.Popen[str]]:
    started = subprocess.Popen(
        [sys.executable, "-c", "from hub.cli import main; main()", *words],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        yield started
    finally:
        started.kill()
        started.communicate()


def test_the_gateway_listens_and_ends_when_told(environment: dict[str, str]) -> None:
    with command(environment, "gateway", "--port", "0") as gateway:
        assert gateway.stdout is not None
        said = ""
        while not (found := re.search(r"http://127\.0\.0\.1:\d+", said)):
            line = gateway.stdout.readline()
            assert line, said
            said += line
        assert httpx.get(f"{found[0]}/health/ready", timeout=20).status_code == 200
        # no secret is set for the shop: its door is there, and shut
        assert httpx.post(f"{found[0]}/webhooks/shop", content=b"{}").json() == {"status": "door_shut"}
        gateway.send_signal(signal.SIGTERM)
        assert gateway.wait(20) == 0


def test_a_port_that_is_taken_is_told(environment: dict[str, str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with command(environment, "gateway", "--port", str(taken.getsockname()[1])) as gateway:
            said, _ = gateway.communicate(timeout=60)
    assert gateway.returncode == 1
    assert "cannot listen" in said


def test_the_worker_ends_when_told(environment: dict[str, str]) -> None:
    with command(environment, "worker", "--lane", "urgent", "--concurrency", "1") as worker:
        assert worker.stdout is not None
        said = worker.stdout.readline()
        while "ready: urgent" not in said:
            line = worker.stdout.readline()
            assert line, said
            said += line
        time.sleep(0.3)
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(20) == 0


def test_status_tells_of_budgets_and_jobs(environment: dict[str, str]) -> None:
    with Hub.open() as hub:
        hub.budgets.limiter("shop", Budget(36, per=timedelta(hours=1), burst=40)).acquire()
        with hub.engine.begin() as connection:
            wake(connection, [Job(Task.DELIVER, "shop", "stock_out", Lane.BULK)])
    shown = CliRunner().invoke(app, ["status"])
    assert shown.exit_code == 0, shown.output
    for word in ("rate budget", "39/40", "deliver shop/stock_out", "waiting", "bulk"):
        assert word in shown.output
    lines = [json.loads(line) for line in CliRunner().invoke(app, ["status", "--json"]).stdout.splitlines()]
    (budget,) = [line["budget"] for line in lines if "budget" in line]
    assert (budget["account"], budget["rate"], budget["burst"], budget["granted"]) == ("shop", 0.01, 40, 1)
    (job,) = [line["job"] for line in lines if "job" in line]
    assert (job["task"], job["state"], job["lane"]) == ("deliver", "waiting", "bulk")
