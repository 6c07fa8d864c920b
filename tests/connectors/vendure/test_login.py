"""The login as a sans-IO flow, and what answers mean. No server needed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from connectors.calls import open_call
from connectors.contract import Misconfigured, Refused, Retry
from connectors.vendure import VendureConfig, connector
from connectors.vendure.api import Api, Unexpected, classify

FORBIDDEN = {"errors": [{"message": "no", "extensions": {"code": "FORBIDDEN"}}], "data": None}
CHANNEL = {
    "activeChannel": {
        "id": "1",
        "code": "main",
        "token": "t",
        "defaultCurrencyCode": "JPY",
        "defaultLanguageCode": "ja",
        "pricesIncludeTax": True,
        "defaultTaxZone": {"id": "1"},
    },
    "globalSettings": {"serverConfig": {"moneyStrategyPrecision": 0}},
}


class FakeShop:
    """Answers logins with the token `token-N`; only the newest N is good. Everything else by `answer`."""

    def __init__(self, answer: Callable[[str], Any] | None = None) -> None:
        self.logins: list[httpx.Request] = []
        self.calls: list[httpx.Request] = []
        self.answer = answer or (lambda _: {"data": CHANNEL})
        self.login: Any = {"__typename": "CurrentUser", "id": "1"}
        self.header = "vendure-auth-token"

    def expire(self) -> None:
        self.logins.append(self.logins[-1])

    def __call__(self, request: httpx.Request) -> httpx.Response:
        said = json.loads(request.content)
        if said["operationName"] == "Login":
            self.logins.append(request)
            headers = {self.header: f"token-{len(self.logins)}"}
            return httpx.Response(200, json={"data": {"login": self.login}}, headers=headers)
        self.calls.append(request)
        if request.headers["authorization"] != f"Bearer token-{len(self.logins)}":
            return httpx.Response(200, json=FORBIDDEN)
        answer = self.answer(said["operationName"])
        return answer if isinstance(answer, httpx.Response) else httpx.Response(200, json=answer)


@contextmanager
def calling(shop: Callable[[httpx.Request], httpx.Response], **more: Any) -> Iterator[Api]:
    settings = {
        "base_url": "https://shop.example.jp",
        "username": "hub",
        "password": "tops3cret-word",
        **more,
    }
    config = VendureConfig.model_validate(settings)
    transport = httpx.MockTransport(shop)
    with open_call(connector, "shop-main", config, transport=transport, sleep=lambda _: None) as call:
        yield Api(call)


def test_one_login_serves_many_calls() -> None:
    shop = FakeShop()
    with calling(shop, channel_token="t") as api:
        for _ in range(3):
            api.query("Channel")
    assert len(shop.logins) == 1
    assert len(shop.calls) == 3
    assert shop.logins[0].headers["vendure-token"] == "t"
    assert json.loads(shop.logins[0].content)["variables"] == {
        "username": "hub",
        "password": "tops3cret-word",
    }


def test_a_token_that_ended_is_renewed_once_and_the_call_repeated() -> None:
    shop = FakeShop()
    with calling(shop) as api:
        api.query("Channel")
        shop.expire()
        assert api.query("Channel") == CHANNEL
    assert len(shop.logins) == 3  # the first, the one that `expire` stands for, the renewed
    assert len(shop.calls) == 3


def test_the_token_serves_later_calls_too_until_the_password_is_another() -> None:
    shop = FakeShop()
    for password in ("one-passw0rd", "one-passw0rd", "an0ther-word"):
        with calling(shop, password=password) as api:
            api.query("Channel")
    assert [json.loads(login.content)["variables"]["password"] for login in shop.logins] == [
        "one-passw0rd",
        "an0ther-word",
    ]


def test_a_kept_token_that_ended_is_renewed_for_all() -> None:
    shop = FakeShop()
    for _ in range(2):
        with calling(shop) as api:
            api.query("Channel")
        shop.expire()
    with calling(shop) as api:
        assert api.query("Channel") == CHANNEL
    assert (
        len(shop.calls) == 5
    )  # refused with the kept token, and again with the new one; the first time only once


def test_the_channel_is_asked_for_once_where_events_are_fetched_one_after_the_other() -> None:
    rows = {"orders": {"totalItems": 0, "items": []}}
    shop = FakeShop(lambda name: {"data": CHANNEL if name == "Channel" else rows})
    for params in ({"ids": ["7"]}, {"ids": ["8"]}, {}):
        with calling(shop) as api:
            api.call.params = params
            list(connector.sources["orders"].run(api.call, None))
    asked = [json.loads(call.content)["operationName"] for call in shop.calls]
    assert asked == ["Channel", "Orders", "Orders", "Channel", "Orders", "OrderTouches"]


def test_a_right_that_is_missing_is_misconfigured_after_one_more_login() -> None:
    shop = FakeShop(lambda name: FORBIDDEN if name == "Stock" else {"data": CHANNEL})
    with calling(shop) as api:
        api.query("Channel")
        with pytest.raises(Misconfigured, match=r"FORBIDDEN.*role"):
            api.query("Stock")
    assert len(shop.logins) == 2


@pytest.mark.parametrize(
    ("login", "header", "expected"),
    [
        ({"__typename": "InvalidCredentialsError", "message": "x"}, "vendure-auth-token", "does not accept"),
        (
            {"__typename": "NativeAuthStrategyError", "message": "off"},
            "vendure-auth-token",
            "did not let 'hub' in: off",
        ),
        ({"__typename": "CurrentUser"}, "set-cookie", "tokenMethod"),
    ],
)
def test_a_login_that_gives_no_token_is_misconfigured(login: Any, header: str, expected: str) -> None:
    shop = FakeShop()
    shop.login, shop.header = login, header
    with calling(shop) as api, pytest.raises(Misconfigured, match=expected) as raised:
        api.query("Channel")
    assert "tops3cret-word" not in str(raised.value)


@pytest.mark.parametrize("answer", [httpx.Response(503, text="down"), httpx.Response(200, text="<html>")])
def test_a_login_that_cannot_be_answered_is_tried_later(answer: httpx.Response) -> None:
    with calling(lambda _: answer) as api, pytest.raises(Retry, match="login"):
        api.query("Channel")


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("FORBIDDEN", Misconfigured),
        ("UNAUTHORIZED", Misconfigured),
        ("CHANNEL_NOT_FOUND", Misconfigured),
        ("GRAPHQL_VALIDATION_FAILED", Misconfigured),
        ("USER_INPUT_ERROR", Refused),
        ("ENTITY_NOT_FOUND", Refused),
        ("BAD_USER_INPUT", Refused),
        ("ILLEGAL_OPERATION", Refused),
        ("INTERNAL_SERVER_ERROR", Unexpected),
        (None, Unexpected),
    ],
)
def test_an_error_in_a_200_is_named_by_what_must_happen_next(
    code: str | None, error: type[Exception]
) -> None:
    extensions = {} if code is None else {"extensions": {"code": code}}
    body = {"errors": [{"message": "so it is", "path": ["a", 0], **extensions}], "data": None}
    found = classify(httpx.Response(200, json=body))
    assert type(found) is error
    assert "so it is" in str(found)
    assert "at a.0" in str(found)


def test_an_answer_without_errors_is_no_error() -> None:
    assert classify(httpx.Response(200, json={"data": {}})) is None
    assert classify(httpx.Response(502, text="<html>bad gateway</html>")) is None


def test_a_result_that_is_an_error_is_refused_with_its_code() -> None:
    result = {
        "settlePayment": {"__typename": "SettlePaymentError", "errorCode": "SETTLE_ERROR", "message": "no"}
    }
    with calling(FakeShop(lambda _: {"data": result})) as api, pytest.raises(Refused, match="no") as raised:
        api.mutate("SettlePayment", id="1")
    assert raised.value.code == "settle_error"


def test_a_mutation_is_not_repeated_when_nobody_knows_whether_it_worked() -> None:
    shop = FakeShop(lambda name: {"data": CHANNEL} if name == "Channel" else httpx.Response(504))
    with calling(shop) as api:
        with pytest.raises(Retry):
            api.mutate("CreateDraft")
        assert len(shop.calls) == 1
        with pytest.raises(Retry):
            api.query("Stock")
    assert len(shop.calls) > 2


def test_a_shop_that_counts_yen_with_decimals_is_misconfigured() -> None:
    odd = {**CHANNEL, "globalSettings": {"serverConfig": {"moneyStrategyPrecision": 2}}}
    with (
        calling(FakeShop(lambda _: {"data": odd})) as api,
        pytest.raises(Misconfigured, match="precision to 0"),
    ):
        _ = api.channel
    with calling(FakeShop(lambda _: {"data": odd}), amounts_in_minor_units=True) as api:
        assert api.channel.currency == "JPY"


def test_another_channel_than_the_settings_is_misconfigured() -> None:
    with (
        calling(FakeShop(), channel_token="other") as api,
        pytest.raises(Misconfigured, match="names no channel"),
    ):
        _ = api.channel


@pytest.mark.parametrize(
    "wrong",
    [
        {"page_size": 1001},
        {"custom_fields": {"customer": ["kana } me { id"]}},
        {"order_reference_field": "a b"},
        {"language": "jp-JP!"},
        {"colour": "red"},
    ],
)
def test_settings_that_cannot_work_are_told_at_once(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        VendureConfig.model_validate({"base_url": "https://x", "username": "u", "password": "p", **wrong})
