"""A shop of the stand-in per test, on a real socket, and calls to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from connectors.calls import open_call
from connectors.contract import Call
from connectors.shopify import ShopifyConfig, connector
from sandbox.shopify import Server, Shop, create_app
from sandbox.shopify.cost import Bucket

Opened = Callable[..., Call[Any]]
START = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)


class Clock:
    """The shop's time: it stands still until a test moves it."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def pass_(self, **by: float) -> None:
        self.now += timedelta(**by)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def shop(clock: Clock) -> Shop:
    return Shop(clock=clock, bucket=Bucket(pace=100_000))


class Front:
    """One server for all tests; behind it stands the shop of the test that runs."""

    app: ASGIApp
    shop: Shop
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
def server(front: Front, shop: Shop) -> Front:
    front.shop, front.app = shop, create_app(shop)
    return front


def settings(server: Front, **more: Any) -> ShopifyConfig:
    """Settings of the stand-in's shop, as fast as a test wants it."""
    usual: dict[str, Any] = {
        "shop": server.shop.domain,
        "access_token": server.shop.access_token,
        "webhook_secret": server.shop.webhook_secret,
        "base_url": server.url,
        "restore_rate": 1_000_000,
        "bucket_size": 1_000_000,
        "location": "東京倉庫",
        "metafields": {"product": ["custom.tax_rate"], "customer": ["custom.last_name_kana"]},
    }
    return ShopifyConfig.model_validate(usual | more)


@pytest.fixture
def waits() -> list[float]:
    """Seconds that calls would have waited."""
    return []


@pytest.fixture
def opened(server: Front, waits: list[float]) -> Iterator[Opened]:
    """`opened(params={...}, page_size=9)`: a call to the shop; waits between tries are not waited."""
    with ExitStack() as stack:

        def open_one(*, params: dict[str, Any] | None = None, **more: Any) -> Call[Any]:
            call: AbstractContextManager[Call[Any]] = open_call(
                connector, "shopify-test", settings(server, **more), params=params, sleep=waits.append,
                now=server.shop.clock,
            )  # fmt: skip
            return stack.enter_context(call)

        yield open_one
