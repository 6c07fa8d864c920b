"""A hub with an API before it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from tests.conftest import create_database, drop_database, in_database

sys.path.insert(0, str(Path(__file__).parent))

from desk import Desk, opened


@pytest.fixture(scope="session")
def database_template(migrated_template: str) -> str:
    return migrated_template


@pytest.fixture(scope="module")
def desk(
    postgres_url: str, database_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Desk]:
    """One hub for the tests of a file; each uses keys, SKUs and channels of its own."""
    name = f"api_{uuid4().hex[:16]}"
    create_database(postgres_url, name, template=database_template)
    with opened(in_database(postgres_url, name), tmp_path_factory.mktemp("desk")) as found:
        yield found
    drop_database(postgres_url, name)


@pytest.fixture(autouse=True)
def _no_failures(request: pytest.FixtureRequest) -> None:
    """Wrong keys of one test are not held against the next one."""
    if "desk" in request.fixturenames:
        request.getfixturevalue("desk").api.state.guard._failures.clear()
