"""A seller of the stand-in per test, on a real socket, calls to it, and the published specification."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from typing import Any

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from connectors.calls import open_call
from connectors.contract import Call
from connectors.square import SquareConfig, connector
from sandbox.square import Limits, Seller, Server, create_app

Opened = Callable[..., Call[Any]]
NAMES = {"store-shibuya": "渋谷店", "store-umeda": "梅田店"}
"""The hub's names of the stores."""


@pytest.fixture
def seller() -> Seller:
    return Seller(limits=Limits(pace=5000))


class Front:
    """One server for all tests; behind it stands the seller of the test that runs."""

    app: ASGIApp
    seller: Seller
    url = ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)


@pytest.fixture(scope="session")
def front() -> Iterator[Front]:
    front = Front()
    with Server(app=front) as running:
        front.url = running.url
        yield front


@pytest.fixture
def server(front: Front, seller: Seller) -> Front:
    front.seller, front.app = seller, create_app(seller)
    return front


def settings(server: Front, **more: Any) -> SquareConfig:
    """Settings of the stand-in's seller, as fast as a test wants it."""
    seller = server.seller
    usual: dict[str, Any] = {
        "base_url": server.url,
        "access_token": seller.access_token,
        "requests_per_second": 1000,
        "locations": {name: seller.location(title) for name, title in NAMES.items()},
    }
    return SquareConfig.model_validate(usual | more)


@pytest.fixture
def opened(server: Front) -> Iterator[Opened]:
    """`opened(params={...}, page_size=2)`: a call to the seller; waits between tries are not waited."""
    with ExitStack() as stack:

        def open_one(*, params: dict[str, Any] | None = None, **more: Any) -> Call[Any]:
            call: AbstractContextManager[Call[Any]] = open_call(
                connector, "square-test", settings(server, **more), params=params, sleep=lambda _: None,
                now=server.seller.clock,
            )  # fmt: skip
            return stack.enter_context(call)

        yield open_one
