"""A hub of which only the stock room is used: what systems say is written as taking in would write it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.conftest import create_database, drop_database, in_database

sys.path.insert(0, str(Path(__file__).parent))

from room import WMS, Room


@pytest.fixture(scope="session")
def database_template(migrated_template: str) -> str:
    return migrated_template


@pytest.fixture(scope="module")
def lasting_room(
    postgres_url: str, database_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Room]:
    """One room for all examples of a property; each takes SKUs of its own. The warehouse books at once."""
    name = f"room_{uuid4().hex[:16]}"
    create_database(postgres_url, name, template=database_template)
    with Room.open(in_database(postgres_url, name), tmp_path_factory.mktemp("room")) as opened:
        opened.configure(wms=f"{WMS}allocation: {{counts: {{books_after: 0m}}}}\n")
        yield opened
    drop_database(postgres_url, name)


@pytest.fixture
def room(database_url: str, tmp_path: Path) -> Any:
    """A room with the warehouse `wms` and the channels `mall` and `shop`."""
    with Room.open(database_url, tmp_path) as opened:
        yield opened
