"""A street of two shops, a gateway on a free port in a thread, and databases copied from one that was migrated once."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from hub.store.database import migrate, open_engine
from tests.conftest import create_database, drop_database, in_database

sys.path.insert(0, str(Path(__file__).parent))

from street import build, running

from hub.engine import Hub


@pytest.fixture(scope="session")
def database_template(postgres_url: str) -> Iterator[str]:
    name = f"template_{uuid4().hex[:16]}"
    create_database(postgres_url, name)
    engine = open_engine(in_database(postgres_url, name))
    migrate(engine)
    engine.dispose()
    yield name
    drop_database(postgres_url, name)


@pytest.fixture
def hub(database_url: str, tmp_path: Path) -> Iterator[Hub]:
    with build(database_url, tmp_path) as opened:
        yield opened


@pytest.fixture
def shop(hub: Hub) -> Iterator[httpx.Client]:
    with running(hub) as client:
        yield client
