"""Databases for the engine's tests: copies of one that was migrated once."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from tests.conftest import create_database, drop_database, in_database

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session")
def database_template(migrated_template: str) -> str:
    return migrated_template


@pytest.fixture
def second_database_url(postgres_url: str, database_template: str) -> Iterator[str]:
    name = f"test_{uuid4().hex[:16]}"
    create_database(postgres_url, name, template=database_template)
    yield in_database(postgres_url, name)
    drop_database(postgres_url, name)
