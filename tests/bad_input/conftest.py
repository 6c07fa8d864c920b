"""A migrated database for each test, and a desk over it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.bad_input.desk import Desk, open_desk


@pytest.fixture(scope="session")
def database_template(migrated_template: str) -> str:
    return migrated_template


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
