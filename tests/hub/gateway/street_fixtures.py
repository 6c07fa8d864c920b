"""What the tests of gateway and jobs share: databases copied from one that was migrated once, and a street."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from street import build, running

from hub.engine import Hub
from hub.store.database import migrate, open_engine
from tests.conftest import create_database, drop_database, in_database

__all__ = ["database_template", "hub", "shop"]


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
    """A client of a running gateway."""
    with running(hub) as client:
        yield client
