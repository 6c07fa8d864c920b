from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from hub.engine import Hub
from hub.store.database import migrate, open_engine
from tests.conftest import create_database, drop_database, in_database
from tests.hub.erasure.town import build


@pytest.fixture(scope="session")
def database_template(postgres_url: str) -> Iterator[str]:
    name = f"template_{uuid4().hex[:16]}"
    create_database(postgres_url, name)
    engine = open_engine(in_database(postgres_url, name))
    migrate(engine)
    engine.dispose()
    yield name
    drop_database(postgres_url, name)


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
