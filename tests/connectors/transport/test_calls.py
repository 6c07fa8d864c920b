"""Opening a call: the right doors, with budget and secrets of the account, closed in the end."""

from __future__ import annotations

from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from pydantic import BaseModel, SecretStr

from connectors.calls import open_call
from connectors.contract import Budget, Call, Connector, Misconfigured, Refused, Retry, Title
from connectors.testing import MemoryFiles, MemoryHistory
from connectors.transport.http import HttpSettings

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Config(BaseModel):
    api_key: SecretStr = SecretStr("key-of-the-account")


def shop(**declared: Any) -> Connector[Config]:
    return Connector("tiny_shop", config=Config, title=Title("店", "Shop"), **declared)


def echo(request: httpx.Request) -> httpx.Response:
    return httpx.Response(400, json={"you_said": request.url.params["q"]})


def test_the_secrets_of_the_settings_are_masked() -> None:
    connector = shop(http=lambda config: HttpSettings("https://shop.example"))
    with (
        open_call(connector, "shop-1", Config(), transport=httpx.MockTransport(echo)) as call,
        pytest.raises(Refused) as refused,
    ):
        call.http.get("/", params={"q": "my key-of-the-account"})
    assert "key-of-the-account" not in str(refused.value)
    assert str(refused.value).startswith("shop-1: GET https://shop.example/")


@pytest.mark.parametrize("own", [None, Budget(1000, burst=1000)])
def test_the_budget_of_the_connector_holds_unless_the_account_has_its_own(own: Budget | None) -> None:
    connector = shop(
        http=lambda config: HttpSettings("https://shop.example", budget=own),
        budget=Budget(1, timedelta(hours=1), 1),
    )
    slept: list[float] = []
    transport = httpx.MockTransport(lambda request: httpx.Response(200))
    with open_call(connector, "shop-1", Config(), transport=transport, sleep=slept.append) as call:
        call.http.get("/")
        if own is None:
            with pytest.raises(Retry, match="rate budget of this account is used up"):
                call.http.get("/")
        else:
            call.http.get("/")
    assert slept == []


def test_files_are_opened_and_closed() -> None:
    closed: list[str] = []

    class Store(MemoryFiles):
        def close(self) -> None:
            closed.append("files")

    history = MemoryHistory()
    with open_call(
        shop(files=lambda config: Store()), "shop-1", Config(), params={"ids": ["A1"]}, files_seen=history
    ) as call:
        assert call.files.exists("in/a.csv") is False
        assert (call.params, call.files_seen) == ({"ids": ["A1"]}, history)
        with pytest.raises(Misconfigured):
            _ = call.http
    assert closed == ["files"]


def test_a_store_that_was_handed_in_stays_open() -> None:
    class Store(MemoryFiles):
        def close(self) -> None:
            raise AssertionError("closed by somebody who did not open it")

    with open_call(shop(files=lambda config: Store()), "shop-1", Config(), files=Store()) as call:
        assert call.files.describe() == "memory"


def test_connections_are_closed_also_after_an_error() -> None:
    closed: list[str] = []

    class Wire(httpx.MockTransport):
        def close(self) -> None:
            closed.append("http")

    connector = shop(http=lambda config: HttpSettings("https://shop.example"))
    transport = Wire(echo)
    with pytest.raises(RuntimeError, match="broke off"):
        fail_within(open_call(connector, "shop-1", Config(), transport=transport, now=lambda: NOW))
    assert closed == ["http"]


def fail_within(opening: AbstractContextManager[Call[Any]]) -> None:
    with opening as call:
        assert call.now() == NOW
        raise RuntimeError("broke off")
