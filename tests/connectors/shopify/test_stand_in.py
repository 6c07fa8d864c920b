"""The stand-in itself: strict about tokens, versions, cost, keys, comparisons and what it does not know."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from connectors.shopify.documents import document
from sandbox.shopify import Courier, Fault, Shop
from sandbox.shopify.server import answer

REPOSITORY = Path(__file__).parents[3]
Asked = Callable[..., dict[str, Any]]


@pytest.fixture
def ask(shop: Shop) -> Asked:
    """`ask(query, version=..., **variables)`: the answer's JSON."""

    def send(query: str, version: str = "2026-10", **variables: Any) -> dict[str, Any]:
        return answer(shop, version, {"query": query, "variables": variables})

    return send


def code(said: dict[str, Any]) -> str:
    return str(said["errors"][0]["extensions"]["code"])


def post(url: str, shop: Shop, version: str = "2026-10", **more: Any) -> httpx.Response:
    headers = {"X-Shopify-Access-Token": more.pop("token", shop.access_token)}
    body = more.pop("body", {"query": "{ shop { name } }"})
    return httpx.post(f"{url}/admin/api/{version}/graphql.json", json=body, headers=headers)


def test_token_version_and_shape_of_a_request(server: Any, shop: Shop) -> None:
    assert post(server.url, shop).json()["data"] == {"shop": {"name": "つなぎ見本店"}}
    assert post(server.url, shop, token="wrong").status_code == 401
    assert post(server.url, shop, version="2027-01").status_code == 404
    assert post(server.url, shop, version="unstable").status_code == 404
    fallen = post(server.url, shop, version="2025-04")
    assert (fallen.status_code, fallen.headers["X-Shopify-API-Version"]) == (200, "2026-07")
    assert post(server.url, shop, body=[1]).status_code == 400


def test_what_was_selected_comes_and_nothing_else(ask: Asked) -> None:
    said = ask("query($n: Int!) { goods: products(first: $n) { edges { cursor node { title } } } }", n=1)
    (edge,) = said["data"]["goods"]["edges"]
    assert edge["node"] == {"title": "深蒸し煎茶 100g　静岡県産"}
    assert said["extensions"]["cost"]["requestedQueryCost"] == 4
    assert said["extensions"]["cost"]["actualQueryCost"] <= 4


@pytest.mark.parametrize(
    ("query", "variables", "expected"),
    [
        ("{ shop { nothing } }", {}, "undefinedField"),
        ("{ shop { name ", {}, "syntaxError"),
        ("{ products { nodes { id } } }", {}, "BAD_REQUEST"),
        ("{ products(first: 251) { nodes { id } } }", {}, "BAD_REQUEST"),
        ('{ products(first: 1, after: "x") { nodes { id } } }', {}, "BAD_REQUEST"),
        ('{ products(first: 1, query: "colour:red") { nodes { id } } }', {}, "BAD_REQUEST"),
        ("query($id: ID!) { order(id: $id) { id } }", {}, "INVALID_VARIABLE"),
        ("query($id: ID!) { order(id: $id) { id } }", {"id": "1", "more": 2}, "variableNotDefined"),
        (
            "{ products(first: 250) { nodes { variants(first: 250) { nodes { id } } } } }",
            {},
            "MAX_COST_EXCEEDED",
        ),
    ],
)
def test_what_is_wrong_is_said(
    ask: Asked, shop: Shop, query: str, variables: dict[str, Any], expected: str
) -> None:
    shop.held_against_schema = False  # the stand-in's own rules, also where no schema is at hand
    assert code(ask(query, **variables)) == expected


def test_points_are_taken_and_come_back(shop: Shop, ask: Asked) -> None:
    seconds = [0.0]
    shop.bucket.clock, shop.bucket.pace = lambda: seconds[0], 1.0
    shop.bucket.empty()
    said = ask("{ products(first: 50) { nodes { id } } }")
    assert code(said) == "THROTTLED"
    assert said["extensions"]["cost"]["throttleStatus"]["currentlyAvailable"] == 0
    seconds[0] += 0.52
    assert "data" in ask("{ products(first: 50) { nodes { id } } }")
    seconds[0] += 3600
    assert ask("{ shop { id } }")["extensions"]["cost"]["throttleStatus"]["currentlyAvailable"] == 1999


def set_stock(
    ask: Asked, rows: list[dict[str, Any]], key: str | None = "k1", version: str = "2026-10"
) -> Any:
    directive = f' @idempotent(key: "{key}")' if key else ""
    query = (
        "mutation S($input: InventorySetQuantitiesInput!) { inventorySetQuantities(input: $input)"
        f"{directive} {{ inventoryAdjustmentGroup {{ id }} userErrors {{ field code message }} }} }}"
    )
    wanted = {"name": "available", "reason": "correction", "quantities": rows}
    said = ask(query, version, input=wanted)
    return said["data"]["inventorySetQuantities"] if "data" in said else said


def codes(payload: Any) -> list[str]:
    return [error["code"] for error in payload["userErrors"]]


def test_quantities_are_compared_all_or_nothing(shop: Shop, ask: Asked) -> None:
    tea, mug = (shop.variant_of_sku(sku)["inventoryItem"]["id"] for sku in ("TEA-100", "MUG-1"))

    def row(item: str, quantity: int, base: int | None) -> dict[str, Any]:
        return {
            "inventoryItemId": item,
            "locationId": shop.main_place,
            "quantity": quantity,
            "changeFromQuantity": base,
        }

    stale = set_stock(ask, [row(tea, 5, 60), row(mug, 5, 99)])
    assert codes(stale) == ["CHANGE_FROM_QUANTITY_STALE"]
    assert stale["userErrors"][0]["field"] == ["input", "quantities", "1", "changeFromQuantity"]
    assert (shop.available("TEA-100"), shop.available("MUG-1")) == (60, 12)

    assert codes(set_stock(ask, [row(tea, 5, 60), row(mug, 5, 99)])) == [
        "IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED"
    ]
    assert codes(set_stock(ask, [row(tea, 5, 60)])) == ["IDEMPOTENCY_KEY_PARAMETER_MISMATCH"]
    assert codes(set_stock(ask, [row(tea, 5, 60), row(mug, 5, None)], "k2")) == []
    assert codes(set_stock(ask, [row(tea, 5, 60), row(mug, 5, None)], "k2")) == ["CHANGE_FROM_QUANTITY_STALE"]
    assert codes(set_stock(ask, [row(tea, 5, 5), row(tea, 6, 5)], "k3")) == [
        "NO_DUPLICATE_INVENTORY_ITEM_ID_GROUP_ID_PAIR"
    ]
    assert code(set_stock(ask, [row(tea, 5, 5)], None)) == "BAD_REQUEST"
    bare = {"inventoryItemId": tea, "locationId": shop.main_place, "quantity": 1}
    assert code(set_stock(ask, [bare], "k4")) == "BAD_REQUEST"
    other = row(tea, 1, 0) | {"locationId": sorted(shop.places)[1]}
    assert codes(set_stock(ask, [other], "k5", "2026-07")) == ["ITEM_NOT_STOCKED_AT_LOCATION"]
    assert codes(set_stock(ask, [other], "k6", "2026-10")) == []


def test_at_most_250_rows(shop: Shop, ask: Asked) -> None:
    rows = [
        {"inventoryItemId": "x", "locationId": shop.main_place, "quantity": 1, "changeFromQuantity": None}
        for _ in range(251)
    ]
    assert code(set_stock(ask, rows)) == "MAX_INPUT_SIZE_EXCEEDED"


def test_units_balance_whatever_happens_to_an_order(shop: Shop) -> None:
    item = shop.variant_of_sku("TEA-100")["inventoryItem"]["id"]
    level = shop.levels[item, shop.main_place]
    first, second = shop.sell("TEA-100", 2), shop.sell("TEA-100", 3)
    assert first is not None
    assert second is not None
    assert (level.available, level.committed, level.on_hand) == (55, 5, 60)
    shop.cancel(first, "CUSTOMER", restock=True)
    assert (level.available, level.committed, level.on_hand) == (57, 3, 60)
    shop.cancel(second, "CUSTOMER", restock=False)
    assert (level.available, level.committed, level.on_hand) == (57, 0, 57)
    assert shop.sell("TEA-100", 58) is None


def test_the_same_seed_gives_the_same_shop() -> None:
    from tests.connectors.shopify.conftest import Clock

    books = []
    for seed in (7, 7, 8):
        shop = Shop(clock=Clock(), seed=seed)
        shop.take_orders(10)
        books.append([(o["name"], o["email"], o["_total"]) for o in shop.orders.values()])
    assert books[0] == books[1] != books[2]


def test_faults_strike_as_often_as_asked(server: Any, shop: Shop) -> None:
    shop.faults.append(Fault("Account", "500", times=1))
    body = {"operationName": "Account", "query": document("Account")}
    assert [post(server.url, shop, body=body).status_code for _ in range(2)] == [500, 200]
    shop.faults.append(Fault("", "429", times=99, chance=0.0))
    assert post(server.url, shop).status_code == 200


def test_it_can_be_driven_from_outside(server: Any, shop: Shop) -> None:
    shop.tell = Courier()
    sold = httpx.post(f"{server.url}/_sandbox/orders", json={"sku": "SHIRT-01-L"})
    assert (sold.status_code, sold.json()) == (200, {"orders": ["#1001"]})
    assert httpx.post(f"{server.url}/_sandbox/orders", json={"sku": "SHIRT-01-L"}).status_code == 409
    assert len(httpx.post(f"{server.url}/_sandbox/orders", json={"count": 2}).json()["orders"]) == 2
    added = httpx.post(f"{server.url}/_sandbox/webhooks", json={"url": "http://127.0.0.1:9/x"})
    assert added.json() == {"subscriptions": 1}
    fault = [{"operation": "Orders", "kind": "500"}]
    assert httpx.post(f"{server.url}/_sandbox/faults", json=fault).json() == {"faults": 1}
    state = httpx.get(f"{server.url}/_sandbox/state").json()
    assert state["orders"]["#1001"]["lines"] == {"SHIRT-01-L": 1}
    assert next(row for row in state["stock"] if row["sku"] == "SHIRT-01-L")["available"] == 0


def test_it_starts_as_a_process_of_its_own() -> None:
    command = [sys.executable, "-m", "sandbox.shopify", "--port", "0", "--print-port", "--orders", "3"]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            port = int(process.stdout.readline())
            state = httpx.get(f"http://127.0.0.1:{port}/_sandbox/state").json()
            assert len(state["orders"]) == 3
        finally:
            process.terminate()
        assert process.wait(timeout=10) == 0
