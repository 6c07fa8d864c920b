"""A database of its own for each measurement, migrated."""

from __future__ import annotations

import pytest

from hub.store.database import migrate, open_engine


@pytest.fixture
def store_url(database_url: str) -> str:
    engine = open_engine(database_url)
    migrate(engine)
    engine.dispose()
    return database_url
