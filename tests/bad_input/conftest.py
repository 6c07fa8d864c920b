"""A migrated database for each test, and a desk over it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from hub.store.database import migrate, open_engine
from tests.bad_input.desk import Desk, open_desk
from tests.conftest import create_database, drop_database, in_database


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
def opened(database_url: str, tmp_path: Path) -> Iterator[Callable[..., Desk]]:
    """Opens a desk with other interfaces than the usual ones."""
    desks: list[Desk] = []

    def opening(*interfaces: Any, **options: Any) -> Desk:
        desks.append(open_desk(database_url, tmp_path, *interfaces, **options))
        return desks[-1]

    yield opening
    for desk in desks:
        desk.hub.close()


@pytest.fixture
def desk(opened: Callable[..., Desk]) -> Desk:
    return opened()
