"""A database for each test, with the tables in place, and a register of customers to match."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from tests.conftest import create_database, drop_database, in_database

sys.path.insert(0, str(Path(__file__).parent))

from register import Register


@pytest.fixture(scope="session")
def database_template(migrated_template: str) -> str:
    return migrated_template


@pytest.fixture(scope="module")
def lasting_register(postgres_url: str, database_template: str) -> Iterator[Register]:
    """One register for all examples of a property; `clear` empties it."""
    name = f"people_{uuid4().hex[:16]}"
    create_database(postgres_url, name, template=database_template)
    with Register.open(in_database(postgres_url, name)) as opened:
        yield opened
    drop_database(postgres_url, name)


@pytest.fixture
def register(database_url: str) -> Iterator[Register]:
    """An empty register of customers."""
    with Register.open(database_url) as opened:
        yield opened
