"""A database with the hub's tables, copied from one that was migrated once."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session")
def database_template(migrated_template: str) -> str:
    return migrated_template
