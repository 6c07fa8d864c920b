"""A hub with entities that change, and a receiver that answers as it is told."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from hub.engine import Hub

sys.path.insert(0, str(Path(__file__).parent))

from postroom import Desk, Receiver, open_desk


@pytest.fixture(scope="session")
def database_template(migrated_template: str) -> str:
    return migrated_template


@pytest.fixture(autouse=True)
def _settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TSUNAGI_TOKEN_KEY", "a key for tests")
    monkeypatch.setenv("TSUNAGI_SUBSCRIBER_NETWORKS", "127.0.0.0/8, ::1/128")
    monkeypatch.setenv("TSUNAGI_LANG", "en")
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.INFO))
    monkeypatch.setenv("TSUNAGI_HOME", str(tmp_path / "home"))


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as opened:
        yield opened


@pytest.fixture
def desk(database_url: str, receiver: Receiver) -> Iterator[Desk]:
    with open_desk(database_url) as hub:
        yield Desk(hub, receiver)


@pytest.fixture
def hub(desk: Desk) -> Hub:
    return desk.hub
