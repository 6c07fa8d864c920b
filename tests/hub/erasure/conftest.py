from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.engine import Hub
from tests.hub.erasure.town import build


@pytest.fixture(scope="session")
def database_template(migrated_template: str) -> str:
    return migrated_template


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A home of the test's own, with the folders the hub makes."""
    monkeypatch.setenv("TSUNAGI_HOME", str(tmp_path / "home"))
    for folder in ("logs", "reports", "archive", "secrets"):
        (tmp_path / "home" / folder).mkdir(parents=True)
    return tmp_path / "home"


@pytest.fixture
def hub(database_url: str, tmp_path: Path) -> Iterator[Hub]:
    with build(database_url, tmp_path) as opened:
        yield opened
