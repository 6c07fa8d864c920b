"""A database with the hub's tables, copied from one that was migrated once."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest

from hub.store.database import migrate, open_engine
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
