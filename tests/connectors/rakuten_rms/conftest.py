"""A shop of the stand-in per test, on a real socket, and calls to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from datetime import timedelta
from typing import Any

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from connectors.calls import open_call
from connectors.contract import Call
from connectors.rakuten_rms import RakutenConfig, connector
from sandbox.rakuten import Limits, Server, Shop, create_app

Opened = Callable[..., Call[Any]]


@pytest.fixture
def shop() -> Shop:
    return Shop(limits=Limits(pace=5000))


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


def settings(server: Front, **more: Any) -> RakutenConfig:
    """Settings of the stand-in's shop, as fast as a test wants it."""
    usual: dict[str, Any] = {
        "service_secret": server.shop.service_secret,
        "license_key": server.shop.license_key,
        "base_url": server.url,
        "requests_per_second": 2000,
        "result_poll": timedelta(milliseconds=5),
        "result_wait": timedelta(milliseconds=200),
    }
    return RakutenConfig.model_validate(usual | more)


@pytest.fixture
def opened(server: Front) -> Iterator[Opened]:
    """`opened(params={...}, get_order_version=9)`: a call to the shop; waits between tries are not waited."""
    with ExitStack() as stack:

        def open_one(*, params: dict[str, Any] | None = None, **more: Any) -> Call[Any]:
            # every reading of `now` is the shop's, so that windows and the shop's orders meet
            call: AbstractContextManager[Call[Any]] = open_call(
                connector, "rakuten-test", settings(server, **more), params=params, sleep=lambda _: None,
                now=server.shop.clock,
            )  # fmt: skip
            return stack.enter_context(call)

        yield open_one
