"""From a real Vendure through the mappings, and back through the mappings into it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from canonical_model import entity_model
from canonical_model.codes import Confirmation
from mappings import RecordFaults, load_mapping

pytestmark = [pytest.mark.vendure, pytest.mark.timeout(900)]

SYSTEM = {"system": {"id": "vendure-main", "channel": "shop", "shipping_method": "takkyubin"}}


@dataclass(frozen=True)
class Row:
    data: Any
    position: int


def taken_in(name: str, records: list[Any]) -> list[Any]:
    """The entities of these records, validated; a fault fails the test."""
    mapping = load_mapping(name)
    model = entity_model(mapping.entity)
    entities = []
    for unit in mapping.units([Row(data, at) for at, data in enumerate(records)], SYSTEM):
        assert not isinstance(unit, RecordFaults), unit.faults
        entity = mapping.to_entity(unit.data, SYSTEM)
        if entity is not None:
            entities.append(model.model_validate(entity))
    return entities


def sent_out(name: str, entity: Any, **related: Any) -> dict[str, Any]:
    """The record an outgoing mapping makes of an entity."""
    plain = {key: value.model_dump(mode="json", exclude_none=True) for key, value in related.items()}
    out = load_mapping(name).from_entity(entity.model_dump(mode="json", exclude_none=True), SYSTEM, plain)
    assert out is not None
    return dict(out.record)


def test_everything_the_shop_has_can_be_taken_in(account: Any, buy: Any) -> None:
    buy("TEA-200", 1)
    products = taken_in("vendure/products.in", account.records("products"))
    listings = taken_in("vendure/listings.in", account.records("variants"))
    positions = taken_in("vendure/stock.in", account.records("stock"))
    customers = taken_in("vendure/customers.in", account.records("customers"))
    orders = taken_in("vendure/orders.in", account.records("orders"))
    skus = {variant.sku for product in products for variant in product.variants}
    assert len(skus) >= 15
    assert skus == {listing.sku for listing in listings} == {position.sku for position in positions}
    assert {"taro@example.jp", "hanako@example.jp"} <= {email for c in customers for email in c.emails}
    assert orders
    assert {order.customer_key for order in orders} <= {customer.key for customer in customers}
    for order in orders:
        assert order.differences() == (), order.number


def test_a_product_sent_back_as_it_came_changes_nothing(account: Any) -> None:
    records = account.records("products")
    towel = next(p for p in taken_in("vendure/products.in", records) if p.slug == "imabari-face-towel")
    [outcome] = account.push("products", sent_out("vendure/products.out", towel))
    assert outcome.verdict.value == "done"
    assert outcome.external_id == towel.traits["vendure"]["id"]
    again = account.records("products", None, ids=[outcome.external_id])
    assert again == [record for record in records if record["id"] == outcome.external_id]


def test_sellable_stock_becomes_what_the_shop_may_sell(account: Any, stock_of: Any) -> None:
    listing = next(
        one for one in taken_in("vendure/listings.in", account.records("variants")) if one.sku == "TS-WH-L"
    )
    sellable = entity_model("sellable")(key=listing.key, channel=listing.channel, sku="TS-WH-L", quantity=26)
    [outcome] = account.push("stock", sent_out("vendure/stock.out", sellable, listing=listing))
    assert outcome.verdict.value == "done"
    level = stock_of("TS-WH-L")
    assert level["stockOnHand"] - level["stockAllocated"] == 26


def test_an_order_goes_to_the_warehouse_and_its_shipment_comes_back(
    account: Any, buy: Any, settle: Any
) -> None:
    placed = buy("TS-NV-S", 2)
    settle(placed)
    [order] = taken_in("vendure/orders.in", account.records("orders", None, ids=[placed["id"]]))
    shipment = entity_model("shipment").model_validate(
        {
            "key": f"{order.key}#1",
            "order_key": order.key,
            "lines": [{"line_id": order.lines[0].id, "sku": "TS-NV-S", "quantity": 2}],
            "parcels": [{"tracking_number": "400000000099", "carrier": "yamato"}],
            "shipped_on": "2026-11-22",
        }
    )
    record = sent_out("vendure/fulfilments.out", shipment, order=order)
    assert [outcome.verdict.value for outcome in account.push("fulfilments", record)] == ["done"]
    assert [outcome.verdict.value for outcome in account.push("fulfilments", record, attempt=2)] == ["done"]
    [shipped] = account.records("orders", None, ids=[placed["id"]])
    assert shipped["state"] == "Shipped"
    assert [one["method"] for one in shipped["fulfillments"]] == ["ヤマト運輸"]


def test_an_order_cancelled_by_the_core_is_cancelled_in_the_shop(account: Any, buy: Any) -> None:
    placed = buy("TEA-200", 1)
    [order] = taken_in("vendure/orders.in", account.records("orders", None, ids=[placed["id"]]))
    cancelled = order.model_copy(update={"confirmation": Confirmation.CANCELLED})
    [outcome] = account.push("cancellations", sent_out("vendure/cancellations.out", cancelled))
    assert outcome.verdict.value == "done"
    [order] = taken_in("vendure/orders.in", account.records("orders", None, ids=[placed["id"]]))
    assert (order.confirmation.value, order.totals.payable.amount) == ("cancelled", 1944 + 660)
    assert order.differences() == ()


def test_a_customer_of_the_core_becomes_one_of_the_shop(account: Any) -> None:
    customer = entity_model("customer").model_validate(
        {
            "key": "mailorder/1001",
            "number": "1001",
            "name": {"family": "伊藤", "given": "香", "family_kana": "イトウ", "given_kana": "カオリ"},
            "emails": ["kaori.ito@example.jp"],
            "addresses": [
                {
                    "address": {
                        "postal_code": "4600001",
                        "prefecture": "愛知県",
                        "city": "名古屋市中区",
                        "town": "三の丸",
                        "street": "1-1-1",
                    },
                    "default": True,
                }
            ],
        }
    )
    [outcome] = account.push("customers", sent_out("vendure/customers.out", customer))
    [back] = taken_in("vendure/customers.in", account.records("customers", None, ids=[outcome.external_id]))
    assert back.name.full_kana == "イトウ カオリ"
    assert back.emails == ("kaori.ito@example.jp",)
    assert back.addresses[0].address.street == "三の丸1-1-1"
    assert back.addresses[0].default


def test_an_order_the_hub_placed_does_not_come_back_as_a_new_one(account: Any) -> None:
    order = entity_model("order").model_validate(
        {
            "key": "mailorder/T-901",
            "number": "T-901",
            "channel": "mailorder",
            "ordered_at": "2026-11-21T01:00:00Z",
            "buyer": {"name": {"family": "小林", "given": "実"}, "email": "minoru@example.jp"},
            "recipients": [
                {
                    "id": "1",
                    "party": {
                        "name": {"full": "小林 実"},
                        "address": {
                            "postal_code": "9800001",
                            "prefecture": "宮城県",
                            "city": "仙台市",
                            "street": "1-1",
                        },
                    },
                }
            ],
            "lines": [
                {
                    "id": "1",
                    "sku": "BOX-01",
                    "name": "ギフト箱",
                    "quantity": {"ordered": 2},
                    "unit_price": {"amount": 330, "tax_included": True},
                }
            ],
            "payment": {"method": "bank_transfer"},
            "totals": {"payable": {"amount": 2 * 330 + 660}},
        }
    )
    [outcome] = account.push("orders", sent_out("vendure/orders.out", order))
    assert (outcome.verdict.value, outcome.reason) == ("done", None)
    records = [record for record in account.records("orders") if record["code"] == outcome.external_id]
    assert [record["state"] for record in records] == ["PaymentSettled"]
    assert taken_in("vendure/orders.in", records) == []
