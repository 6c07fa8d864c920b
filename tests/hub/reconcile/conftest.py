"""One stand-in server for all tests, and for each a shop and a hub of its own."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from starlette.types import ASGIApp, Receive, Scope, Send

from sandbox.rakuten import Limits, Server, Shop, create_app

sys.path.insert(0, str(Path(__file__).parent))

from yard import Yard


@pytest.fixture(scope="session")
def database_template(migrated_template: str) -> str:
    return migrated_template


class Front:
    """Behind it stands the shop of the test that runs."""

    app: ASGIApp
    url = ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)


@pytest.fixture(scope="session")
def front() -> Iterator[Front]:
    front = Front()
    with Server(app=front) as running:
        front.url = running.url
        yield front


@pytest.fixture(autouse=True)
def _quiet() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))


@pytest.fixture
def yard(front: Front, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Yard]:
    shop = Shop(limits=Limits(pace=5000))
    front.app = create_app(shop)
    made = Yard(database_url, tmp_path, shop, front.url, monkeypatch.setenv)
    with made.hub:
        yield made
