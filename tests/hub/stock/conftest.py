"""A hub of which only the stock room is used: what systems say is written as taking in would write it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from hub.store.database import migrate, open_engine
from tests.conftest import create_database, drop_database, in_database

sys.path.insert(0, str(Path(__file__).parent))

from room import Room


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
def room(database_url: str, tmp_path: Path) -> Any:
    """A room with the warehouse `wms` and the channels `mall` and `shop`."""
    with Room.open(database_url, tmp_path) as opened:
        yield opened
