"""One migrated database for the whole road."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest

from hub.store.database import migrate, open_engine
from tests.conftest import create_database, drop_database, in_database


@pytest.fixture(scope="module")
def module_database_url(postgres_url: str) -> Iterator[str]:
    name = f"road_{uuid4().hex[:16]}"
    create_database(postgres_url, name)
    url = in_database(postgres_url, name)
    engine = open_engine(url)
    migrate(engine)
    engine.dispose()
    yield url
    drop_database(postgres_url, name)
