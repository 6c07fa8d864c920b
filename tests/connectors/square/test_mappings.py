"""Mappings held against the stand-in: figures to the yen, the same SKU everywhere, and the road back into Square."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, strategies as st

from canonical_model import Customer, Listing, Order, Product, Return, Shipment, StockPosition
from canonical_model.codes import Confirmation
from connectors.contract import Batch, Call, Change, Verdict
from connectors.square import connector
from mappings import load_mapping
from mappings.samples import find_samples
from mappings.square.functions import gtin, listed, percentage, street, units
from sandbox.square import Limits, Seller, order_ahead, ring_up, sell, take_back
from sandbox.square.customer_api import bulk_create

Opened = Callable[..., Call[Any]]
CONTEXT = {"system": {"id": "square-main", "channel": "pos"}}
ORDERS = load_mapping("square/orders.in")


def records(opened: Opened, source: str, **params: Any) -> list[dict[str, Any]]:
    pages = connector.sources[source].run(opened(params=params), None)
    return [dict(record) for page in pages for record in page.records]


def mapped(record: dict[str, Any]) -> Order:
    return Order.model_validate(ORDERS.to_entity(record, CONTEXT))


LINES = st.tuples(
    st.sampled_from(["TEA-100", "TEA-200", "LATTE", "TEE-AI-M", "CUP-1", "GIFT-A", "HOJI-G", "WRAP"]),
    st.sampled_from([1, 2, 5, "2.5", "0.33"]),
)
DISCOUNTS = st.one_of(
    st.builds(lambda p: {"name": "割引", "percentage": p}, st.sampled_from(["5", "12.5", "100"])),
    st.builds(lambda a: {"name": "値引", "amount": a}, st.integers(1, 5000)),
)
CHARGES = st.builds(
    lambda p, t: {"name": "サービス料", "percentage": p, "tax": t}, st.sampled_from(["3", "10"]),
    st.sampled_from(["LATTE", "CUP-1", None]),
)  # fmt: skip


@given(
    st.lists(LINES, min_size=1, max_size=5, unique_by=lambda line: line[0]), st.lists(DISCOUNTS, max_size=2),
    st.lists(CHARGES, max_size=1), st.booleans(), st.integers(0, 500),
)  # fmt: skip
def test_every_receipt_becomes_an_order_whose_figures_agree_to_the_yen(
    lines: list[Any], discounts: list[Any], charges: list[Any], one_line: bool, tip: int
) -> None:
    seller = Seller(limits=Limits(pace=5000))
    more = [{**discount, "skus": [lines[0][0]]} for discount in discounts] if one_line else discounts
    receipt = sell(
        seller, "渋谷店", lines, discounts=more, service_charges=charges, tip=tip, custom=[("包装", 120)],
        modifiers={lines[0][0]: [("追加", 50)]},
    )  # fmt: skip

    order = mapped({**receipt, "location": "store-shibuya"})

    assert order.differences() == ()
    assert order.totals.payable.amount == receipt["total_money"]["amount"]
    assert sum(tender.amount.amount for tender in order.tenders) == receipt["total_money"]["amount"]


@pytest.mark.parametrize(
    ("state", "paid", "confirmation"),
    [("OPEN", False, "pending"), ("OPEN", True, "confirmed"), ("COMPLETED", True, "confirmed"),
     ("CANCELED", True, "cancelled"), ("DRAFT", False, "pending")],
)  # fmt: skip
def test_the_state_says_whether_the_order_stands(state: str, paid: bool, confirmation: str) -> None:
    seller = Seller()
    order = sell(seller, "渋谷店", [("LATTE", 1)]) if paid else ring_up(seller, "渋谷店", [("LATTE", 1)])

    assert mapped({**order, "state": state}).confirmation is Confirmation(confirmation)


def test_tax_comes_from_the_receipt_and_not_from_the_goods(seller: Seller) -> None:
    order = mapped(sell(seller, "渋谷店", [("TEA-100", 3), ("LATTE", 1), ("CUP-1", 1)]))

    assert [(line.rate, line.taxable.tax_included) for line in order.taxes] == [
        (Decimal("0.1"), True), (Decimal("0.1"), False), (Decimal("0.08"), True),
    ]  # fmt: skip
    assert [line.unit_price.tax_included for line in order.lines] == [True, True, False]


def test_one_sku_is_one_word_in_orders_listings_and_stock(seller: Seller, opened: Opened) -> None:
    wrap = seller.variation("WRAP")
    seller.catalog[wrap]["item_variation_data"].pop("sku")
    seller.receive("TEA-100", "渋谷店", 5)
    sell(seller, "渋谷店", [("TEA-100", 1)])
    order = next(iter(seller.orders.values()))
    order["line_items"].append({**order["line_items"][0], "uid": "line-2", "catalog_object_id": wrap})

    (record,) = records(opened, "orders")
    sold = {line.sku for line in mapped(record).lines}
    listing, stock = load_mapping("square/listings.in"), load_mapping("square/stock.in")
    known = {Listing.model_validate(listing.to_entity(r, CONTEXT)).sku for r in records(opened, "variations")}
    counted = {
        StockPosition.model_validate(stock.to_entity(r, CONTEXT)).key for r in records(opened, "inventory")
    }

    assert sold == {"TEA-100", wrap}
    assert sold <= known
    assert counted == {"TEA-100@store-shibuya"}


def test_a_listing_belongs_to_its_product(seller: Seller, opened: Opened) -> None:
    products, listings = load_mapping("square/products.in"), load_mapping("square/listings.in")
    made = [Product.model_validate(products.to_entity(r, CONTEXT)) for r in records(opened, "products")]
    named = {product.key: {variant.sku for variant in product.variants} for product in made}

    for record in records(opened, "variations"):
        listing = Listing.model_validate(listings.to_entity(record, CONTEXT))
        assert listing.product_key is not None
        assert listing.sku in named[listing.product_key]


def test_a_receipt_is_handed_over_and_may_come_back(seller: Seller, opened: Opened) -> None:
    sale = sell(seller, "渋谷店", [("TEA-100", 2), ("LATTE", 1)])
    take_back(seller, sale["id"], [("TEA-100", 1)])
    waiting = order_ahead(seller, "渋谷店", [("TEA-100", 1)], recipient={"display_name": "見本 花子"})
    shipments, returns = load_mapping("square/shipments.in"), load_mapping("square/returns.in")
    found = records(opened, "orders")

    handed = [Shipment.model_validate(e) for r in found if (e := shipments.to_entity(r, CONTEXT))]
    back = [Return.model_validate(e) for r in found if (e := returns.to_entity(r, CONTEXT))]
    orders = [Order.model_validate(e) for r in found if (e := ORDERS.to_entity(r, CONTEXT))]

    assert [(s.order_key, s.arrived, [line.quantity for line in s.lines]) for s in handed] == [
        (f"pos/{sale['id']}", True, [2, 1])
    ]
    assert {line.line_id for line in handed[0].lines} == {line.id for line in orders[0].lines}
    assert [(r.order_key, r.lines[0].line_id, r.lines[0].received) for r in back] == [
        (f"pos/{sale['id']}", "line-1", 1)
    ]
    assert {order.number for order in orders} == {sale["id"], waiting["id"]}


def test_stock_goes_back_to_the_shelf_it_was_counted_for(seller: Seller, opened: Opened) -> None:
    listing = load_mapping("square/listings.in").to_entity(
        next(r for r in records(opened, "variations") if r["item_variation_data"]["sku"] == "TEA-100"),
        CONTEXT,
    )
    position = {
        "key": "TEA-100@store-umeda",
        "sku": "TEA-100",
        "location": "store-umeda",
        "on_hand": 9,
        "allocated": 2,
    }
    out = load_mapping("square/stock.out").from_entity(position, CONTEXT, {"listing": listing})
    assert out is not None

    (outcome,) = connector.sinks["inventory"].run(opened(), Batch([Change(out.key, out.record, 1)], "b"))

    assert outcome.verdict is Verdict.DONE
    assert seller.stock("TEA-100", "梅田店") == 7


def test_a_product_and_a_customer_come_back_as_they_went(seller: Seller, opened: Opened) -> None:
    product = {"key": "P1", "code": "P1", "name": "新茶", "variants": [
        {"sku": "SHIN-50", "name": "50g", "gtin": "4901234567894",
         "price": {"amount": 1200, "tax_included": True, "tax_rate": "0.08"}}]}  # fmt: skip
    customer = {"key": "core/C1", "name": {"full": "見本 花子", "family": "見本", "given": "花子"},
                "emails": ["hanako@example.jp"], "phones": ["09012345678"], "birth_date": "1980-02-29"}  # fmt: skip
    for sink, name, entity in (
        ("products", "products.out", product),
        ("customers", "customers.out", customer),
    ):
        out = load_mapping(f"square/{name}").from_entity(entity, CONTEXT, {})
        assert out is not None
        (outcome,) = connector.sinks[sink].run(opened(), Batch([Change(out.key, out.record, 1)], sink))
        assert outcome.verdict is Verdict.DONE

    items = [load_mapping("square/products.in").to_entity(r, CONTEXT) for r in records(opened, "products")]
    back = next(Product.model_validate(each) for each in items if each and each["name"] == "新茶")
    (person,) = [
        load_mapping("square/customers.in").to_entity(r, CONTEXT) for r in records(opened, "customers")
    ]
    assert Product.model_validate(product).variants[0].model_dump(exclude={"ref"}) == back.variants[
        0
    ].model_dump(exclude={"ref"})
    known = Customer.model_validate(person)
    assert (known.name.full, known.phones, str(known.birth_date)) == (
        "見本 花子",
        ("09012345678",),
        "1980-02-29",
    )
    assert {identity.id for identity in known.identities} >= {"core/C1"}


@pytest.mark.parametrize(
    ("mapping", "sink"),
    [("stock", "inventory"), ("sellable", "inventory"), ("products", "products"), ("customers", "customers")],
)
def test_what_the_mappings_send_is_what_the_sinks_take(mapping: str, sink: str) -> None:
    model = connector.sinks[sink].record
    assert model is not None
    samples = [sample for sample in find_samples() if sample.mapping == f"square/{mapping}.out"]
    taken = 0
    for sample in samples:
        expected = json.loads(sample.expected.read_text(encoding="utf-8"))
        if expected is not None:
            model.model_validate(expected["record"])
            taken += 1
    assert taken


def test_a_birthday_without_a_year_is_none(seller: Seller, opened: Opened) -> None:
    bulk_create(seller, {"customers": {"k": {"family_name": "見本", "birthday": "0000-09-21"}}})

    (record,) = records(opened, "customers")
    customer = Customer.model_validate(load_mapping("square/customers.in").to_entity(record, CONTEXT))

    assert customer.birth_date is None


@pytest.mark.parametrize(
    ("upc", "found"),
    [("4901234567894", "4901234567894"), ("4901234567895", None), ("12345", None), ("ABC", None), (None, None),
     ("00000000", "00000000"), ("４９０１２３４５", None)],
)  # fmt: skip
def test_only_real_jan_codes_are_taken_for_such(upc: str | None, found: str | None) -> None:
    assert gtin(upc) == found


def test_small_words() -> None:
    assert [units("5"), units("-2.5"), units(None)] == [5, -3, None]
    assert [percentage("0.08"), percentage("0.1"), percentage("0"), percentage(None)] == [
        "8",
        "10",
        "0",
        None,
    ]
    assert [listed(*pair) for pair in (("a", "a b"), ("b", "a, b"), ("ab", "a b"), ("a", None))] == [
        True, True, False, False,
    ]  # fmt: skip
    assert street({"town": "神南", "street": "1-1", "lines": ["裏"]}) == "神南1-1裏"
    assert street(None) is None
