"""A real Vendure for the session, calls to it, and a buyer who places orders through its shop API.

The first run installs Vendure from npm (about two minutes); `TSUNAGI_TEST_VENDURE_CACHE` names where it is kept. The
tests are skipped, with the reason, where it cannot run; `TSUNAGI_TEST_REQUIRE_VENDURE=1` makes that a failure.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from connectors.calls import open_call
from connectors.contract import Batch, Call, Change, Cursor, Outcome, Page
from connectors.transport.tokens import shared_tokens
from connectors.vendure import VendureConfig, connector
from connectors.vendure.api import forget_channels
from sandbox.vendure import Shop, Unavailable, start

CUSTOM = {
    "customer": ("lastNameKana", "firstNameKana"),
    "order": ("externalReference",),
    "variant": ("gtin",),
}
_NUMBERS = itertools.count(1)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One worker runs all tests with a shop: its server is heavy."""
    for item in items:
        if "shop" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.xdist_group("vendure"))


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with open_shop(tmp_path_factory) as running:
        yield running


@contextmanager
def open_shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A shop as it is on its first day."""
    cache = os.environ.get("TSUNAGI_TEST_VENDURE_CACHE")
    try:
        running = start(tmp_path_factory.mktemp("vendure"), cache=Path(cache) if cache else None)
    except Unavailable as reason:
        if os.environ.get("TSUNAGI_TEST_REQUIRE_VENDURE") == "1":
            raise
        pytest.skip(f"no Vendure here: {reason}")
    with running:
        yield running


@pytest.fixture(autouse=True)
def _nothing_kept() -> None:
    """Tokens and channels that another test came to know."""
    shared_tokens.keep_in(None)
    forget_channels()


def settings(shop: Shop, **more: Any) -> VendureConfig:
    usual = {
        "base_url": shop.url,
        "username": shop.username,
        "password": shop.password,
        "channel_token": "tsunagi-sandbox-channel",
        "language": "ja",
        "custom_fields": CUSTOM,
        "order_reference_field": "externalReference",
    }
    return VendureConfig.model_validate(usual | more)


@dataclass
class Account:
    """The hub's side of the shop: sources and sinks as the hub would call them."""

    call: Call[Any]

    def pages(self, source: str, cursor: Cursor | None = None, **params: Any) -> list[Page]:
        self.call.params = params
        return list(connector.sources[source].run(self.call, cursor))

    def records(self, source: str, cursor: Cursor | None = None, **params: Any) -> list[Any]:
        return [record for page in self.pages(source, cursor, **params) for record in page.records]

    def push(self, sink: str, *records: dict[str, Any], **more: Any) -> list[Outcome]:
        attempt = more.pop("attempt", 1)
        changes = [Change(str(n), record, 1, **more) for n, record in enumerate(records)]
        return list(connector.sinks[sink].run(self.call, Batch(changes, "k", attempt)))

    def ask(self, sink: str, *records: dict[str, Any]) -> list[Outcome]:
        asked = connector.sinks[sink].ask
        assert asked is not None
        changes = [Change(str(n), record, 1) for n, record in enumerate(records)]
        return list(asked(self.call, Batch(changes, "k", 2)))


Opened = Callable[..., Account]


@pytest.fixture
def opened(shop: Shop) -> Iterator[Opened]:
    """`opened(page_size=10)`: an account of the shop with these settings."""
    with ExitStack() as stack:

        def open_one(**more: Any) -> Account:
            call = open_call(connector, "vendure-test", settings(shop, **more), sleep=lambda _: None)
            return Account(stack.enter_context(call))

        yield open_one


@pytest.fixture
def account(opened: Opened) -> Account:
    return opened()


def graphql(client: httpx.Client, query: str, **variables: Any) -> Any:
    """One call beside the connector; what `data` holds under its first name."""
    answer = client.post("", json={"query": query, "variables": variables}, params={"languageCode": "ja"})
    if token := answer.headers.get("vendure-auth-token"):
        client.headers["Authorization"] = f"Bearer {token}"
    body = answer.json()
    assert "errors" not in body, body
    result = next(iter(body["data"].values()))
    assert not (isinstance(result, dict) and "errorCode" in result), result
    return result


@pytest.fixture
def admin(shop: Shop) -> Iterator[Callable[..., Any]]:
    """The Admin API without the connector: to look at what was written, and to do what a person would."""
    with httpx.Client(base_url=f"{shop.url}/admin-api", timeout=30) as client:
        login = "mutation($u: String!, $p: String!) { login(username: $u, password: $p) { __typename } }"
        graphql(client, login, u=shop.username, p=shop.password)
        yield lambda query, **variables: graphql(client, query, **variables)


@pytest.fixture
def buy(shop: Shop, admin: Callable[..., Any]) -> Callable[..., dict[str, Any]]:
    """`buy("TWL-WH", 2)`: a buyer's checkout; the order's id and code. Paid by card, authorised only."""

    def buy_one(sku: str, quantity: int, email: str | None = None, method: str = "card") -> dict[str, Any]:
        error = "... on ErrorResult { errorCode message }"
        variant = admin(
            "query($s: String!) { productVariants(options: {filter: {sku: {eq: $s}}}) { items { id } } }",
            s=sku,
        )["items"][0]["id"]
        address = {
            "fullName": "鈴木 次郎",
            "streetLine1": "北一条西2丁目1-1",
            "streetLine2": "つなぎ荘3号",
            "city": "札幌市中央区",
            "province": "北海道",
            "postalCode": "060-0001",
            "countryCode": "JP",
            "phoneNumber": "011-000-0000",
        }
        person = {
            "emailAddress": email or f"buyer{next(_NUMBERS)}@example.jp",
            "firstName": "次郎",
            "lastName": "鈴木",
        }
        with httpx.Client(base_url=f"{shop.url}/shop-api", timeout=30) as client:
            add = f"mutation($v: ID!, $q: Int!) {{ addItemToOrder(productVariantId: $v, quantity: $q) {{ {error} }} }}"
            graphql(client, add, v=variant, q=quantity)
            who = f"mutation($i: CreateCustomerInput!) {{ setCustomerForOrder(input: $i) {{ {error} }} }}"
            graphql(client, who, i=person)
            where = (
                f"mutation($a: CreateAddressInput!) {{ setOrderShippingAddress(input: $a) {{ {error} }} }}"
            )
            graphql(client, where, a=address)
            graphql(client, f'mutation {{ setOrderShippingMethod(shippingMethodId: ["1"]) {{ {error} }} }}')
            graphql(client, f'mutation {{ transitionOrderToState(state: "ArrangingPayment") {{ {error} }} }}')
            pay = (
                "mutation($m: String!) { addPaymentToOrder(input: {method: $m, metadata: {}}) "
                f"{{ ... on Order {{ id code state }} {error} }} }}"
            )
            placed: dict[str, Any] = graphql(client, pay, m=method)
            return placed

    return buy_one


@pytest.fixture
def settle(admin: Callable[..., Any]) -> Callable[[dict[str, Any]], None]:
    """Capture an order's authorised payments, as a person in the shop's console would."""

    def settle_one(order: dict[str, Any]) -> None:
        payments = admin("query($i: ID!) { order(id: $i) { payments { id } } }", i=order["id"])["payments"]
        for payment in payments:
            admin(
                "mutation($i: ID!) { settlePayment(id: $i) { ... on ErrorResult { errorCode message } } }",
                i=payment["id"],
            )

    return settle_one


@pytest.fixture
def stock_of(admin: Callable[..., Any]) -> Callable[[str], dict[str, int]]:
    """On hand and allocated of a SKU, as the shop's console shows it."""

    def read(sku: str) -> dict[str, int]:
        query = (
            "query($s: String!) { productVariants(options: {filter: {sku: {eq: $s}}}) "
            "{ items { stockLevels { stockOnHand stockAllocated } } } }"
        )
        level: dict[str, int] = admin(query, s=sku)["items"][0]["stockLevels"][0]
        return level

    return read
