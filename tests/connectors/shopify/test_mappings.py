"""Mappings held against the stand-in: every kind of order, figures to the yen, and the road back into Shopify."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, strategies as st

from canonical_model import Customer, Listing, Order, Product, StockPosition, entity_model
from canonical_model.codes import ChargeKind, Confirmation, DiscountKind, PaymentMethod
from connectors.contract import Batch, Call, Change, Verdict
from connectors.shopify import connector
from mappings import RecordFaults, load_mapping
from mappings.faults import TransformFault
from mappings.samples import Sample, differences, find_samples
from mappings.shopify.functions import e164, is_gtin, price
from sandbox.shopify import Shop
from sandbox.shopify.order_book import SCENES

Opened = Callable[..., Call[Any]]
CONTEXT = {"system": {"id": "shopify-main", "channel": "shopify"}}
SAMPLES = [sample for sample in find_samples() if sample.mapping.startswith("shopify/")]


@pytest.mark.parametrize("sample", SAMPLES, ids=str)
def test_sample_pairs_hold(sample: Sample) -> None:
    assert differences(sample) == []


@pytest.mark.parametrize(
    "sample", [sample for sample in SAMPLES if re.match(r"shopify/\w+\.out$", sample.mapping)], ids=str
)
def test_what_the_mappings_send_is_what_the_sinks_take(sample: Sample) -> None:
    expected = json.loads(sample.expected.read_text(encoding="utf-8"))
    name = sample.mapping.removeprefix("shopify/").removesuffix(".out")
    sink = connector.sinks["stock" if name == "sellable" else name]
    assert sink.record is not None
    if expected is not None and "record" in expected:
        sink.record.model_validate(expected["record"])


def records(name: str, call: Call[Any]) -> list[dict[str, Any]]:
    return [dict(record) for page in connector.sources[name].run(call, None) for record in page.records]


def mapped(mapping: str, record: dict[str, Any]) -> Any:
    found = load_mapping(f"shopify/{mapping}")
    entity = found.to_entity(record, CONTEXT)
    return entity_model(found.entity).model_validate(entity)


def taken(shop: Shop, opened: Opened, scene: str) -> dict[str, Any]:
    shop.take_orders(1, scene=scene)
    return records("orders", opened())[-1]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_order_becomes_one_whose_figures_agree_to_the_yen(
    seed: int, shop: Shop, opened: Opened
) -> None:
    shop.seed = seed
    for scene in SCENES:
        shop.take_orders(1, scene=scene)
    for cancelled in list(shop.orders.values())[::3]:
        shop.cancel(cancelled, "CUSTOMER", restock=True)
    found = records("orders", opened())
    assert len(found) == len(SCENES)
    for record in found:
        order: Order = mapped("orders.in", record)
        assert order.differences() == (), record["name"]
        assert order.key == f"shopify/{record['name'].removeprefix('#')}"
        assert sum(line.tax.amount for line in order.taxes) == order.totals.tax.amount  # type: ignore[union-attr]


def test_reduced_and_standard_rate_stand_apart(shop: Shop, opened: Opened) -> None:
    order: Order = mapped("orders.in", taken(shop, opened, "mixed_tax"))
    assert [str(line.rate) for line in order.taxes] == ["0.1", "0.08"]
    assert {str(line.unit_price.tax_rate) for line in order.lines} == {"0.1", "0.08"}
    assert {line.unit_price.tax_included for line in order.lines} == {True}
    told = {line.rate: line.taxable.amount for line in order.taxes}
    computed = {line.rate: line.taxable.amount for line in order.invoice_taxes()}
    assert told == computed


def test_cash_on_delivery_and_its_fee(shop: Shop, opened: Opened) -> None:
    order: Order = mapped("orders.in", taken(shop, opened, "cod"))
    assert order.payment.method is PaymentMethod.COD
    assert order.confirmation is Confirmation.CONFIRMED
    assert {charge.kind: charge.amount.amount for charge in order.charges} == {
        ChargeKind.SHIPPING: 550, ChargeKind.COD_FEE: 330,
    }  # fmt: skip
    assert all(line.sku for line in order.lines)


def test_a_prepaid_order_waits_for_its_money(shop: Shop, opened: Opened) -> None:
    record = taken(shop, opened, "pending")
    assert mapped("orders.in", record).confirmation is Confirmation.HELD
    assert (
        mapped("orders.in", record | {"displayFinancialStatus": "PAID"}).confirmation
        is Confirmation.CONFIRMED
    )
    on_hold = record | {"displayFinancialStatus": "PAID", "displayFulfillmentStatus": "ON_HOLD"}
    assert mapped("orders.in", on_hold).confirmation is Confirmation.HELD
    assert mapped("orders.in", record | {"confirmed": False}).confirmation is Confirmation.PENDING


def test_delivery_wishes_are_read_by_the_names_of_the_settings(shop: Shop, opened: Opened) -> None:
    record = taken(shop, opened, "dated")
    delivery = mapped("orders.in", record).recipients[0].delivery
    assert delivery.date is not None
    assert re.fullmatch(r"\d{4}-\d{4}|morning", delivery.slot or "")

    mapping = load_mapping("shopify/orders.in")
    own = {
        "system": CONTEXT["system"] | {"delivery_date_attribute": "wish", "delivery_slot_attribute": "hour"}
    }
    wishes = [{"key": "wish", "value": "2026/12/01"}, {"key": "hour", "value": "18:00～20:00"}]
    entity = mapping.to_entity(record | {"customAttributes": wishes}, own)
    assert entity is not None
    told = Order.model_validate(entity).recipients[0].delivery
    assert (str(told.date), told.slot) == ("2026-12-01", "1800-2000")

    for word in ("指定なし", "", "希望しない"):
        none = [{"key": "配送希望日", "value": word}, {"key": "配送時間帯", "value": word}]
        free = mapped("orders.in", record | {"customAttributes": none}).recipients[0].delivery
        assert (free.date, free.slot) == (None, None)
    with pytest.raises(RecordFaults):
        mapped("orders.in", record | {"customAttributes": [{"key": "配送希望日", "value": "いつでも"}]})


def test_the_prefecture_comes_from_its_code(shop: Shop, opened: Opened) -> None:
    record = taken(shop, opened, "plain")
    record["shippingAddress"] |= {"provinceCode": "JP-13", "province": "Tōkyō"}
    address = mapped("orders.in", record).recipients[0].party.address
    assert (address.prefecture, len(address.postal_code)) == ("東京都", 7)
    abroad = {
        "provinceCode": "CA",
        "province": "California",
        "countryCodeV2": "US",
        "zip": "90210",
        "phone": None,
    }
    record["shippingAddress"] |= abroad
    address = mapped("orders.in", record).recipients[0].party.address
    assert (address.prefecture, address.postal_code) == ("California", "90210")


def test_discounts_stand_with_their_lines(shop: Shop, opened: Opened) -> None:
    coupon: Order = mapped("orders.in", taken(shop, opened, "coupon"))
    (discount,) = [d for line in coupon.lines for d in line.discounts]
    assert (discount.kind, discount.code, discount.amount.amount) == (DiscountKind.COUPON, "AKI500", 500)
    automatic: Order = mapped("orders.in", taken(shop, opened, "line_discount"))
    (discount,) = [d for line in automatic.lines for d in line.discounts]
    assert (discount.kind, discount.name) == (DiscountKind.CAMPAIGN, "秋の10%オフ")


def test_shipping_that_was_given_back_is_no_charge(shop: Shop, opened: Opened) -> None:
    record = taken(shop, opened, "plain")
    (line,) = record["shippingLines"]["nodes"]
    nothing = {"shopMoney": {"amount": "0.0", "currencyCode": "JPY"}}
    line["currentDiscountedPriceSet"] = nothing
    goods = int(float(record["currentTotalPriceSet"]["shopMoney"]["amount"])) - 550
    record |= {"currentTotalPriceSet": {"shopMoney": {"amount": f"{goods}.0", "currencyCode": "JPY"}}}
    record["currentTaxLines"] = [tax for tax in record["currentTaxLines"] if tax["rate"] != 0.1]
    order: Order = mapped("orders.in", record)
    assert order.charges == ()
    assert [d.figure for d in order.differences()] in ([], ["tax"])


def test_units_taken_out_are_cancelled(shop: Shop, opened: Opened) -> None:
    order: Order = mapped("orders.in", taken(shop, opened, "edited"))
    quantity = order.lines[0].quantity
    assert (quantity.cancelled, quantity.ordered - quantity.cancelled) == (1, quantity.ordered - 1)
    guest: Order = mapped("orders.in", taken(shop, opened, "guest"))
    assert guest.customer_key is None


def test_goods_without_a_sku_have_one_name_in_orders_and_listings(shop: Shop, opened: Opened) -> None:
    listed = {mapped("listings.in", record).sku for record in records("variants", opened())}
    assert len(listed) == len(shop.variants)
    record = taken(shop, opened, "plain")
    line = record["lineItems"]["nodes"][0]
    line["sku"] = None
    line["variant"] = {
        "id": next(v["id"] for v in shop.variants.values() if v["sku"] is None),
        "barcode": None,
    }
    assert mapped("orders.in", record).lines[0].sku in listed


def test_goods_stock_and_customers_come_in(shop: Shop, opened: Opened) -> None:
    shop.take_orders(12)
    products = [mapped("products.in", record) for record in records("products", opened())]
    rice = next(p for p in products if isinstance(p, Product) and p.code == "rice-koshi")
    assert (str(rice.tax_rate), [v.sku for v in rice.variants]) == ("0.08", ["RICE-2", "RICE-5", "RICE-10"])
    assert rice.variants[0].options[0].name == "容量"
    assert rice.variants[0].price is not None
    assert (rice.variants[0].price.amount, rice.variants[0].price.tax_included) == (1598, True)

    levels = [r for r in records("inventory", opened()) if r["item"]["sku"]]
    positions: list[StockPosition] = [mapped("stock.in", record) for record in levels]
    tea = next(p for p in positions if p.sku == "TEA-100")
    assert (tea.key, tea.available) == ("TEA-100@tokyo", shop.available("TEA-100"))
    assert tea.on_hand == tea.available + tea.allocated

    people: list[Customer] = [mapped("customers.in", record) for record in records("customers", opened())]
    orders = [mapped("orders.in", record) for record in records("orders", opened())]
    assert {o.customer_key for o in orders} - {None} <= {p.key for p in people}
    assert all(p.addresses[0].default and p.addresses[0].address.prefecture for p in people)


def test_the_way_back_stock_shipment_and_cancellation(shop: Shop, opened: Opened) -> None:
    listings: dict[str, Listing] = {}
    for record in records("variants", opened()):
        listing = mapped("listings.in", record)
        listings[listing.key] = listing
    position = {"key": "TEA-100@tokyo", "sku": "TEA-100", "location": "tokyo", "on_hand": 30, "allocated": 4}
    out = load_mapping("shopify/stock.out")
    keys = out.related_keys(position, CONTEXT)
    made = out.from_entity(
        position, CONTEXT, {"listing": listings[str(keys["listing"])].model_dump(mode="json")}
    )
    assert made is not None
    (written,) = connector.sinks["stock"].run(opened(), Batch([Change(made.key, made.record, 1)], "b"))
    assert written.verdict is Verdict.DONE
    assert shop.available("TEA-100") == 26

    order: Order = mapped("orders.in", taken(shop, opened, "mixed_tax"))
    lines = [{"line_id": line.id, "sku": line.sku, "quantity": line.quantity.ordered} for line in order.lines]
    shipment = {"key": f"{order.key}#1", "order_key": order.key, "shipped_on": "2026-11-22", "lines": lines,
                "parcels": [{"tracking_number": "123456789012", "carrier": "yamato"}]}  # fmt: skip
    related = {"order": order.model_dump(mode="json")}
    told = load_mapping("shopify/fulfilments.out").from_entity(shipment, CONTEXT, related)
    assert told is not None
    (shipped,) = connector.sinks["fulfilments"].run(opened(), Batch([Change(told.key, told.record, 1)], "b"))
    assert shipped.verdict is Verdict.DONE, shipped
    (parcel,) = next(o for o in shop.orders.values() if o["fulfillments"])["fulfillments"]
    assert parcel["trackingInfo"][0]["company"] == "Yamato (JA)"

    other: Order = mapped("orders.in", taken(shop, opened, "plain"))
    gone = other.model_dump(mode="json") | {"confirmation": "cancelled"}
    cancel = load_mapping("shopify/cancellations.out").from_entity(gone, CONTEXT, {})
    assert cancel is not None
    (cancelled,) = connector.sinks["cancellations"].run(opened(), Batch([Change("k", cancel.record, 1)], "b"))
    assert cancelled.verdict is Verdict.DONE
    assert shop.orders[cancel.record["orderId"]]["cancelledAt"]


# ---------------------------------------------------------------- functions


@given(st.integers(-(10**9), 10**9), st.sampled_from(["JPY", "USD", "KWD"]))
def test_amounts_are_read_exactly(minor: int, currency: str) -> None:
    digits = {"JPY": 0, "USD": 2, "KWD": 3}[currency]
    sign, size = ("-" if minor < 0 else ""), str(abs(minor)).rjust(digits + 1, "0")
    text = sign + (f"{size[:-digits]}.{size[-digits:]}" if digits else f"{size}.0")
    found = price(text, currency)
    assert found is not None
    assert (found["amount"], found.get("currency", "JPY")) == (minor, currency)


@pytest.mark.parametrize("text", ["1.5", "abc", "NaN", "Infinity", ""])
def test_an_amount_that_is_none_is_a_fault(text: str) -> None:
    with pytest.raises(TransformFault):
        price(text, "JPY")


@pytest.mark.parametrize(
    ("phone", "country", "expected"),
    [("0312345678", "JP", "+81312345678"), ("09012345678", None, "+819012345678"),
     ("+12125550100", "US", "+12125550100"), ("0312345678", "US", None), ("123", "JP", None), (None, "JP", None)],
)  # fmt: skip
def test_telephone_numbers_go_out_as_shopify_takes_them(
    phone: str | None, country: str | None, expected: str | None
) -> None:
    assert e164(phone, country) == expected


def test_own_codes_in_the_barcode_are_no_gtin() -> None:
    assert [is_gtin(code) for code in ("4901234567894", "4901234567890", "A-1", "", None)] == [
        True, False, False, False, False,
    ]  # fmt: skip
