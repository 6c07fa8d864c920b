"""What the tests of gateway and jobs share: databases copied from one that was migrated once, and a street."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from street import build, running

from hub.engine import Hub

__all__ = ["database_template", "hub", "shop"]


@pytest.fixture(scope="session")
def database_template(migrated_template: str) -> str:
    return migrated_template


@pytest.fixture
def hub(database_url: str, tmp_path: Path) -> Iterator[Hub]:
    with build(database_url, tmp_path) as opened:
        yield opened


@pytest.fixture
def shop(hub: Hub) -> Iterator[httpx.Client]:
    """A client of a running gateway."""
    with running(hub) as client:
        yield client
