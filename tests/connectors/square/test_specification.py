"""Everything the connector sends, and everything the stand-in answers, is what Square's OpenAPI says."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest

from connectors.calls import open_call
from connectors.contract import Batch, Call, Change, Misconfigured, Refused
from connectors.square import connector
from sandbox.square import Seller, cancel, hand_over, order_ahead, ring_up, sell, take_back
from tests.connectors.square.conftest import Front, settings
from tests.connectors.square.specification import (
    MISSING,
    SPECIFICATION,
    problems_of_answer,
    problems_of_query,
    problems_of_request,
)

pytestmark = pytest.mark.skipif(not SPECIFICATION.exists(), reason=MISSING)

RECIPIENT = {"display_name": "見本 花子", "phone_number": "0312345678", "email_address": "mihon@example.jp"}
ADDRESS = {"address_line_1": "見本町1-1", "locality": "渋谷区", "administrative_district_level_1": "東京都",
           "postal_code": "1500041", "country": "JP"}  # fmt: skip


class Listening(httpx.HTTPTransport):
    """The wire, holding each exchange against the specification."""

    def __init__(self) -> None:
        super().__init__()
        self.problems: list[str] = []
        self.seen: set[tuple[str, str, int]] = set()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = super().handle_request(request)
        response.read()
        method, path, status = request.method, request.url.path, response.status_code
        asked = json.loads(request.content) if request.content and status == 200 else None
        self.seen.add((method, path, status))
        found = problems_of_request(method, path, asked) if status == 200 else []
        found += problems_of_query(method, path, dict(request.url.params))
        found += problems_of_answer(method, path, status, json.loads(response.content))
        self.problems += [f"{method} {path} {status}: {each}" for each in found]
        return httpx.Response(status, headers={"content-type": "application/json"}, content=response.content)


@pytest.fixture
def wire() -> Listening:
    return Listening()


@pytest.fixture
def heard(server: Front, wire: Listening) -> Iterator[Callable[..., Call[Any]]]:
    with ExitStack() as stack:

        def open_one(**params: Any) -> Call[Any]:
            config = settings(server, page_size=2)
            opened = open_call(
                connector, "square-test", config, params=params, sleep=lambda _: None, transport=wire,
                now=server.seller.clock,
            )  # fmt: skip
            return stack.enter_context(opened)

        yield open_one


def lively(seller: Seller) -> None:
    """A day with everything in it."""
    for sku in ("TEA-100", "TEE-AI-M", "CUP-1", "GIFT-A"):
        seller.receive(sku, "渋谷店", 10)
        seller.receive(sku, "梅田店", 5)
    sale = sell(
        seller, "渋谷店", [("TEA-100", 2), ("CUP-1", 1), ("LATTE", 1), ("HOJI-G", "2.5")],
        discounts=[{"name": "会員値引", "percentage": "5"}, {"name": "端数値引", "amount": 30, "skus": ["CUP-1"]}],
        service_charges=[{"name": "席料", "amount": 300, "tax": "LATTE"}], custom=[("包装", 100)],
        modifiers={"LATTE": [("ミルク変更", 50)]}, tenders=(("CARD", 1000), ("CASH", None)), tip=10,
    )  # fmt: skip
    take_back(seller, sale["id"], [("TEA-100", 1)])
    sell(seller, "梅田店", [("GIFT-A", 1)], tenders=(("WALLET", 1000), ("OTHER", None)))
    hand_over(seller, order_ahead(seller, "渋谷店", [("TEE-AI-M", 1)], recipient=RECIPIENT)["id"])
    sent = {**RECIPIENT, "address": ADDRESS}
    cancel(seller, order_ahead(seller, "梅田店", [("TEE-AI-M", 1)], kind="SHIPMENT", recipient=sent)["id"])
    ring_up(seller, "渋谷店", [("LATTE", 1)])


def test_the_sources_and_their_answers(
    seller: Seller, heard: Callable[..., Call[Any]], wire: Listening
) -> None:
    lively(seller)
    customer = Change("core/C1", {"reference_id": "core/C1", "family_name": "見本", "address": ADDRESS}, 1)
    list(connector.sinks["customers"].run(heard(), Batch([customer], "b")))

    assert connector.check_function is not None
    connector.check_function(heard())
    for name, source in connector.sources.items():
        pages = list(source.run(heard(), None))
        records = [record for page in pages for record in page.records]
        assert records, name
        list(source.run(heard(), pages[-1].cursor))
        list(source.run(heard(ids=[record["id"] for record in records[:3]]), None))

    assert wire.problems == []
    assert {path for _, path, _ in wire.seen} >= {
        "/v2/catalog/search", "/v2/catalog/batch-retrieve", "/v2/inventory/counts/batch-retrieve", "/v2/orders/search",
        "/v2/orders/batch-retrieve", "/v2/payments", "/v2/refunds", "/v2/customers", "/v2/customers/search",
        "/v2/customers/bulk-retrieve", "/v2/locations",
    }  # fmt: skip


def test_the_sinks_and_their_answers(
    seller: Seller, heard: Callable[..., Call[Any]], wire: Listening
) -> None:
    count = {"catalog_object_id": seller.variation("TEA-100"), "location": "store-shibuya", "quantity": 7}
    unknown = count | {"catalog_object_id": "NOSUCHVARIATION"}
    product = {
        "name": "新茶", "description": "<p>一番茶</p>", "tax_percentage": "8",
        "variations": [{"sku": "SHIN-1", "name": "50g", "price_money": {"amount": 1200}}],
    }  # fmt: skip
    profile = {
        "reference_id": "core/C1",
        "family_name": "見本",
        "phone_number": "0312345678",
        "address": ADDRESS,
    }

    for name, records in {
        "inventory": [count, unknown], "products": [product], "customers": [profile, profile | {"family_name": "例"}],
    }.items():  # fmt: skip
        sink = connector.sinks[name]
        for number, record in enumerate(records):
            batch = Batch([Change(f"k{number}", record, 1)], f"{name}-{number}")
            list(sink.run(heard(), batch))
            if sink.ask is not None:
                list(sink.ask(heard(), batch))
    changed = product | {"name": "新茶（改）"}
    list(connector.sinks["products"].run(heard(), Batch([Change("k", changed, 2)], "again")))

    assert wire.problems == []
    assert {(path, status) for _, path, status in wire.seen} >= {
        ("/v2/inventory/changes/batch-create", 200), ("/v2/inventory/changes/batch-create", 404),
        ("/v2/inventory/changes/batch-retrieve", 200), ("/v2/catalog/batch-upsert", 200), ("/v2/catalog/list", 200),
        ("/v2/customers/bulk-create", 200), ("/v2/customers/bulk-update", 200),
    }  # fmt: skip


def test_refusals_have_the_published_form(server: Front, wire: Listening) -> None:
    with httpx.Client(base_url=server.url, transport=wire) as client:
        token = {"Authorization": f"Bearer {server.seller.access_token}"}
        version = {"Square-Version": "2025-08-20"}
        client.post("/v2/orders/search", json={}, headers=version)
        client.post("/v2/orders/search", json={}, headers=token)
        client.post("/v2/orders/search", json={}, headers=token | {"Square-Version": "latest"})
        client.post(
            "/v2/orders/search", content=b"{", headers=token | version | {"Content-Type": "application/json"}
        )
        client.post(
            "/v2/orders/search", content=b"{}", headers=token | version | {"Content-Type": "text/plain"}
        )
        client.post(
            "/v2/orders/search", json={"location_ids": [], "colour": 1, "limit": 0}, headers=token | version
        )
        server.seller.permissions.clear()
        client.post("/v2/orders/search", json={}, headers=token | version)

    assert wire.problems == []
    assert {status for _, _, status in wire.seen} == {400, 401, 403, 415}


def test_the_measure_itself_sees_what_is_wrong() -> None:
    order = {"location_id": "L1", "colour": "red"}

    assert problems_of_request("POST", "/v2/orders/search", {"limit": "10"}) != []
    assert problems_of_request("POST", "/v2/orders/search", {"colour": 1}) != []
    assert problems_of_query("GET", "/v2/payments", {"colour": "1"}) != []
    assert problems_of_answer("POST", "/v2/orders/search", 200, {"orders": [order]}) != []
    assert (
        problems_of_answer(
            "POST", "/v2/orders/search", 200, {"orders": [{"location_id": "L1", "state": "NEW"}]}
        )
        != []
    )
    assert problems_of_answer("POST", "/v2/orders/search", 400, {"errors": [{"code": "NOT_FOUND"}]}) != []
    assert problems_of_answer("POST", "/v2/orders/search", 200, {"orders": [{"location_id": "L1"}]}) == []


def test_a_token_that_ended_stops_the_account(server: Front, heard: Callable[..., Call[Any]]) -> None:
    call = heard()
    server.seller.access_token = "another"

    with pytest.raises(Misconfigured, match="access token"):
        list(connector.sources["orders"].run(call, None))


def test_what_square_does_not_know_is_refused_with_its_code(heard: Callable[..., Call[Any]]) -> None:
    call = heard()

    with pytest.raises(Refused) as refused:
        call.http.post("/v2/orders/search", json={"location_ids": ["NOWHERE"], "colour": 1})

    assert refused.value.code == "unknown_body_parameter"
