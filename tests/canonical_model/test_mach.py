"""The bridge to the MACH Open Data Model, on small objects of our own."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from canonical_model import (
    Address,
    Channel,
    Customer,
    Location,
    Money,
    Order,
    Payment,
    Price,
    PriceList,
    Product,
    Promotion,
    Shipment,
    StockPosition,
)
from canonical_model.codes import ChannelType, LocationType, PaymentEventKind, PaymentMethod, ShipmentStatus
from canonical_model.content import dump_json, from_json
from canonical_model.mach import (
    MACH_ENTITIES,
    MACH_UTILITIES,
    MachError,
    from_mach,
    kind_of,
    piece_from_mach,
    piece_to_mach,
    to_mach,
)
from canonical_model.mach.leftovers import difference, restore, same

NOW = datetime(2026, 11, 21, tzinfo=UTC)

ADDRESS = {
    "line1": "神南1-2-3",
    "line2": "つなぎビル5F",
    "city": "渋谷区",
    "region": "東京都",
    "postal_code": "1500041",
    "country": "JP",
}
OBJECTS: dict[str, dict[str, Any]] = {
    "address": ADDRESS,
    "money": {"amount": 12.345, "currency": "EUR", "symbol": "€"},
    "timestamp": {"value": "2026-11-21T09:00:00+09:00", "timezone": "Asia/Tokyo"},
    "product": {
        "id": "P1",
        "status": "draft",
        "external_references": {"erp": "E-1"},
        "name": {"en-US": "Apple", "ja-JP": "りんご"},
        "brand": "つなぎ農園",
        "categories": ["fruit"],
        "options": [{"id": "o1", "name": "Size", "values": ["S", "L"]}],
        "variants": [
            {
                "id": "V1",
                "sku": "APPLE-L",
                "barcode": "4901234567894",
                "option_values": [{"option_id": "o1", "value": "L"}],
                "price": {"amount": 1080, "currency": "JPY"},
                "compare_at_price": {"amount": 1200, "currency": "JPY"},
                "weight": {"value": 1.5, "unit": "kg"},
                "shipping_required": True,
            }
        ],
        "primary_image": {"url": "https://cdn.example.jp/apple.jpg", "alt_text": "りんご"},
        "extensions": {"seo": {"title": "りんご"}},
    },
    "product_type": {
        "id": "PT1",
        "name": "Fruit",
        "attribute_definitions": {
            "origin_pref": {
                "type": "select",
                "label": {"ja-JP": "産地"},
                "is_required": True,
                "options": [{"value": "aomori"}],
            }
        },
        "required_attributes": ["origin_pref"],
    },
    "category": {
        "id": "C1",
        "name": "果物",
        "slug": "fruit",
        "parent_id": "C0",
        "children": [{"id": "C2", "name": "りんご"}],
        "attributes": {"season": "秋"},
        "position": 3,
    },
    "media": {
        "id": "M1",
        "type": "video",
        "title": "収穫",
        "file": {
            "url": "https://cdn.example.jp/m1.mp4",
            "size_bytes": 1000,
            "duration_seconds": 12.5,
            "codec": "h264",
        },
        "accessibility": {"alt_text": "りんごの収穫"},
    },
    "language": {
        "code": "ar",
        "locale": "ar-SA",
        "name": "العربية",
        "direction": "rtl",
        "fallback_locales": ["ar", "en"],
    },
    "pricing": {
        "id": "PR1",
        "product_id": "APPLE-L",
        "sale_price": {"amount": 9.99, "currency": "USD"},
        "list_price": {"amount": 12, "currency": "USD"},
        "tax": {"included": False, "rate": 0.0725, "type": "sales"},
        "valid_from": "2026-11-01T00:00:00Z",
    },
    "inventory": {
        "id": "I1",
        "sku_id": "APPLE-L",
        "location_id": "WH1",
        "quantities": {"on_hand": 3, "reserved": 5, "available": 0, "incoming": 2, "damaged": 1},
        "stock_status": "preorder",
        "backorderable": False,
    },
    "customer": {
        "id": "CU1",
        "type": "person",
        "status": "active",
        "created_at": "2026-01-02T03:04:05Z",
        "person": {
            "first_name": "太郎",
            "last_name": "髙﨑",
            "email": "taro@example.jp",
            "phone": "+81-3-1234-5678",
            "date_of_birth": "1980-02-29",
            "blood_type": "A",
        },
        "addresses": [{"id": "A1", "type": "shipping", "is_default": True, "address": ADDRESS}],
        "communication_preferences": {
            "email": {"opted_in": True, "frequency": "weekly"},
            "sms": {"opted_in": False},
        },
        "loyalty": {"tier": "gold", "points_balance": 120, "benefits": ["free_shipping"]},
    },
    "cart": {
        "id": "CA1",
        "type": "b2c",
        "status": "abandoned",
        "customer_id": "CU1",
        "line_items": [
            {
                "id": "1",
                "sku": "APPLE-L",
                "name": "りんご",
                "quantity": 2,
                "price": {"amount": 1080, "currency": "JPY", "type": "retail"},
                "discount": {"amount": 100, "currency": "JPY", "type": "promotional", "code": "AKI"},
            }
        ],
        "totals": {"subtotal": 2160, "discount": 100, "grand_total": 2060, "currency": "JPY"},
        "addresses": [{"type": "billing", "address": ADDRESS, "contact": {"company_name": "株式会社つなぎ"}}],
        "shipping_methods": [
            {"id": "cool", "name": "クール便", "price": {"amount": 900, "currency": "JPY"}, "selected": True}
        ],
    },
    "order": {
        "id": "O1",
        "order_number": "2026-1",
        "customer_id": "CU1",
        "status": "delivered",
        "created_at": "2026-11-21T10:00:00+09:00",
        "currency": "EUR",
        "total": 25.98,
        "sub_total": 21.65,
        "tax_total": 4.33,
        "shipping_total": 3.5,
        "line_items": [
            {
                "id": "1",
                "product_id": "P1",
                "sku": "APPLE-L",
                "name": "りんご",
                "quantity": 2,
                "unit_price": 10,
                "total_price": 18.15,
                "discount_amount": 1.85,
                "tax_amount": 3.63,
                "tax_rate": 20,
                "gift": True,
            }
        ],
        "shipping_address": {**ADDRESS, "recipient": "髙﨑 太郎", "phone": "0312345678"},
        "payments": [
            {"id": "pay1", "amount": 20, "currency": "EUR", "method": "credit_card", "status": "processed"},
            {
                "id": "pay2",
                "amount": 5.98,
                "currency": "EUR",
                "method": "store_credit",
                "status": "processed",
            },
        ],
        "extensions": {"loyalty": {"points_earned": 25}},
    },
    "order_history": {
        "id": "OH1",
        "customer_id": "CU1",
        "orders": [
            {
                "order_id": "O1",
                "status": "delivered",
                "order_date": "2026-11-21T01:00:00Z",
                "total": {"amount": 25.98, "currency": "EUR"},
            }
        ],
        "aggregates": {
            "total_orders": 1,
            "total_spent": {"amount": 25.98, "currency": "EUR"},
            "churn_risk": 0.2,
        },
        "version": 3,
    },
    "payment": {
        "id": "pay1",
        "order_id": "O1",
        "amount": 2598,
        "currency": "EUR",
        "status": "refunded",
        "method": "card",
        "provider": "stripe",
        "transactions": [
            {
                "id": "t1",
                "type": "authorization",
                "amount": 2598,
                "status": "failed",
                "timestamp": "2026-11-21T01:00:00Z",
            },
            {
                "id": "t2",
                "type": "capture",
                "amount": 2598,
                "status": "success",
                "timestamp": "2026-11-21T01:01:00Z",
            },
            {
                "id": "t3",
                "type": "refund",
                "amount": -598,
                "status": "success",
                "timestamp": "2026-11-22T01:01:00Z",
            },
        ],
        "method_details": {
            "brand": "jcb",
            "last4": "0000",
            "expiry_month": 4,
            "expiry_year": 2030,
            "wallet": "apple",
        },
    },
    "promotion": {
        "id": "PM1",
        "name": "秋の感謝祭",
        "type": "cart",
        "status": "active",
        "activation_method": "code",
        "codes": {"generation_type": "single", "single_code": "AKI"},
        "rules": {
            "conditions": [
                {"type": "cart_subtotal", "operator": "gte", "value": {"amount": 5000, "currency": "JPY"}},
                {"type": "day_of_week", "operator": "in", "value": [6, 7]},
            ],
            "actions": [
                {"type": "percentage_discount", "value": 12.5, "apply_to": "cart_subtotal"},
                {"type": "bogo_discount", "buy_quantity": 2, "get_quantity": 1, "repeat": True},
            ],
        },
        "usage_limits": {"total_uses": None, "per_customer": 1},
        "eligibility": {"channels": ["web"], "minimum_age": 20},
        "stackable": False,
    },
    "coupon_instance": {
        "id": "CI1",
        "code": "AKI-1",
        "promotion_id": "PM1",
        "status": "used",
        "usage_count": 1,
        "usage_limit": 1,
        "assigned_to": None,
    },
    "shipping_method": {
        "id": "SM1",
        "name": "宅急便",
        "carrier_name": "ヤマト運輸",
        "delivery_estimate": {"min_days": 1, "max_days": 2, "description": "翌日から翌々日"},
        "cost": {"base_cost": {"amount": 800, "currency": "JPY"}, "calculation_method": "flat_rate"},
        "cutoff_time": "15:00",
        "carrier_id": None,
    },
    "fulfillment": {
        "id": "F1",
        "order_id": "O1",
        "status": "packed",
        "line_items": [{"order_line_item_id": "1", "sku": "APPLE-L", "quantity": 2, "variant_id": "V1"}],
        "carrier_name": "Yamato Transport",
        "tracking_number": "123456789012",
        "destination_address": ADDRESS,
        "packages": [
            {
                "package_id": "1",
                "tracking_number": "123456789012",
                "weight": {"value": 2, "unit": "lb"},
                "dimensions": {"length": 10, "width": 8, "height": 6, "unit": "in"},
                "items": [{"order_line_item_id": "1", "quantity": 2}],
            }
        ],
        "tracking_events": [
            {"timestamp": "2026-11-22T01:00:00Z", "status": "picked_up", "location": {"city": "渋谷区"}},
        ],
    },
    "store": {
        "id": "ST1",
        "name": {"ja": "銀座店"},
        "type": "physical",
        "status": "temporarily_closed",
        "address": ADDRESS,
        "contact": {"phone": "03-0000-0000"},
        "market": {"country": "JP", "currency": "JPY", "timezone": "Asia/Tokyo", "defaultLanguage": "ja"},
        "capabilities": ["pickup", "returns"],
        "operating_hours": {"monday": {"open": "10:00", "close": "20:00"}},
    },
}


def through(name: str, obj: dict[str, Any]) -> dict[str, Any]:
    """In, stored, read back, and out."""
    if name in MACH_UTILITIES:
        return piece_to_mach(piece_from_mach(name, obj))
    entity = from_mach(name, obj, received_at=NOW)
    stored = from_json(entity.kind, dump_json(entity))
    assert stored == entity
    return to_mach(stored)


def read(kind: type, name: str, **changes: Any) -> Any:
    entity = from_mach(name, {**OBJECTS[name], **changes}, received_at=NOW)
    assert isinstance(entity, kind)
    return entity


def test_there_is_an_object_of_every_entity_here() -> None:
    assert set(OBJECTS) == {*MACH_ENTITIES, *MACH_UTILITIES}


@pytest.mark.parametrize("name", sorted(OBJECTS))
def test_an_object_goes_in_and_comes_out_equal(name: str) -> None:
    before = json.dumps(OBJECTS[name])
    assert same(through(name, OBJECTS[name]), OBJECTS[name])
    assert json.dumps(OBJECTS[name]) == before


def camel(value: Any, *, words: bool = True) -> Any:
    """The object in the spelling of the drafts."""
    special = {"external_references": "referenceIds", "extensions": "traits"}

    def spelled(name: str) -> str:
        head, *tail = name.split("_")
        return special.get(name) or head + "".join(part.capitalize() for part in tail)

    if isinstance(value, dict):
        data = {"external_references", "attribute_definitions", "attributes"}
        return {
            spelled(name) if words else name: camel(item, words=name not in data)
            for name, item in value.items()
        }
    return [camel(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("name", sorted(OBJECTS))
def test_the_spelling_of_the_drafts_comes_out_as_it_went_in(name: str) -> None:
    obj = camel({**OBJECTS[name], "updated_at": "2026-11-21T00:00:00Z"})
    assert same(through(name, obj), obj)
    if name not in MACH_UTILITIES:
        snake = from_mach(name, {**OBJECTS[name], "updated_at": "2026-11-21T00:00:00Z"}, received_at=NOW)
        drafted = from_mach(name, obj, received_at=NOW)
        assert drafted.model_copy(update={"traits": {}}).key == snake.key


def test_an_order_lands_in_canonical_fields() -> None:
    order: Order = read(Order, "order")
    assert (order.key, order.number, order.customer_key, order.channel) == (
        "mach/O1",
        "2026-1",
        "mach/CU1",
        "mach",
    )
    assert order.ordered_at == datetime(2026, 11, 21, 1, tzinfo=UTC)
    assert order.totals.payable == Money(amount=2598, currency="EUR")
    assert order.charges[0].amount.amount == 350
    (line,) = order.lines
    assert line.unit_price == Money(amount=1000, currency="EUR", tax_included=False, tax_rate=Decimal("0.2"))
    assert (line.gross, line.discounts[0].amount.amount, line.product_key) == (2000, 185, "P1")
    assert (line.quantity.delivered, order.status.fulfilment.value) == (2, "delivered")
    recipient = order.recipients[0].party
    assert (recipient.name.full, recipient.phone) == ("髙﨑 太郎", "0312345678")
    assert recipient.address is not None
    assert recipient.address.prefecture == "東京都"
    assert [tender.method for tender in order.tenders] == [PaymentMethod.CARD, PaymentMethod.GIFT_CARD]
    assert order.payment.method is PaymentMethod.CARD
    assert order.traits["mach"]["rest"] == {"extensions": {"loyalty": {"points_earned": 25}}}
    assert {note["at"][-1] for note in order.traits["mach"]["notes"]} == {"gift", "created_at"}


def test_an_order_that_tells_no_time_was_ordered_when_it_came() -> None:
    small = {key: OBJECTS["order"][key] for key in ("id", "status", "currency", "total", "line_items")}
    order = from_mach("order", small, channel="shop", received_at=NOW)
    assert isinstance(order, Order)
    assert (order.ordered_at, order.key) == (NOW, "shop/O1")
    assert to_mach(order) == small


def test_a_customer_lands_in_canonical_fields() -> None:
    customer: Customer = read(Customer, "customer")
    assert (customer.name.family, customer.name.given) == ("髙﨑", "太郎")
    assert customer.emails == ("taro@example.jp",)
    assert customer.phones == ("+81312345678",)
    assert customer.birth_date == date(1980, 2, 29)
    assert [(consent.channel.value, consent.granted) for consent in customer.consents] == [
        ("mail", True),
        ("sms", False),
    ]
    assert customer.loyalty is not None
    assert (customer.loyalty.tier, customer.loyalty.points) == ("gold", 120)
    (entry,) = customer.addresses
    assert (entry.purpose, entry.default, entry.address.city) == ("shipping", True, "渋谷区")
    carried = json.dumps(customer.traits, ensure_ascii=False)
    for landed in ("taro@example.jp", "太郎", "東京都", "gold", "1980"):
        assert landed not in carried


def test_a_company_and_its_contacts_land_in_canonical_fields() -> None:
    company = {
        "id": "CU2",
        "type": "company",
        "company": {"name": "株式会社つなぎ", "vat_number": "T7000012050002"},
        "contacts": [{"id": "c1", "first_name": "花子", "last_name": "山田", "role": "billing"}],
    }
    customer = from_mach("customer", company)
    assert isinstance(customer, Customer)
    assert (customer.name.full, customer.tax_number) == ("株式会社つなぎ", "T7000012050002")
    assert (customer.contacts[0].name.full, customer.contacts[0].role) == ("花子 山田", "billing")
    assert to_mach(customer) == company


def test_a_product_lands_in_canonical_fields() -> None:
    product: Product = read(Product, "product")
    (variant,) = product.variants
    assert (product.name, product.translations["en-US"]["name"]) == ("りんご", "Apple")
    assert (variant.sku, variant.gtin, variant.weight_g) == ("APPLE-L", "4901234567894", 1500)
    assert variant.price == Money(amount=1080)
    assert (variant.options[0].name, variant.options[0].value) == ("Size", "L")
    assert product.image is not None
    assert product.image.alt == "りんご"
    assert not product.active


def test_a_product_without_variants_is_one_variant() -> None:
    simple = {"id": "P2", "sku": "PEAR", "name": "梨", "price": {"amount": 300, "currency": "JPY"}}
    product = from_mach("product", simple)
    assert isinstance(product, Product)
    assert [(v.sku, v.price) for v in product.variants] == [("PEAR", Money(amount=300))]
    assert to_mach(product) == simple
    assert product.traits == {}


def test_payments_shipments_stock_and_prices_land_in_canonical_fields() -> None:
    payment: Payment = read(Payment, "payment")
    assert (payment.key, payment.order_key, payment.collector) == ("stripe/pay1", "mach/O1", "stripe")
    assert payment.events[0].kind is PaymentEventKind.FAILED
    assert (payment.received, payment.refunded) == (2598, 598)
    shipment: Shipment = read(Shipment, "fulfillment")
    assert (shipment.status, shipment.parcels[0].carrier.value) == (ShipmentStatus.STARTED, "yamato")
    assert (shipment.parcels[0].weight_g, shipment.parcels[0].length_mm) == (907, 254)
    stock: StockPosition = read(StockPosition, "inventory")
    assert (stock.key, stock.on_hand, stock.allocated, stock.available) == ("APPLE-L@WH1", 3, 5, 0)
    price: Price = read(Price, "pricing")
    assert price.price == Money(amount=999, currency="USD", tax_included=False, tax_rate=Decimal("0.0725"))
    promotion: Promotion = read(Promotion, "promotion")
    assert (promotion.code, promotion.rewards[0].percent, promotion.limits.per_customer) == ("AKI", 12.5, 1)
    assert promotion.conditions[0].money == Money(amount=5000)


def test_stores_are_locations_or_channels() -> None:
    location: Location = read(Location, "store")
    assert (location.type, location.pickup, location.phone) == (LocationType.STORE, True, "0300000000")
    online = from_mach("store", {"id": "web", "name": "本店", "type": "online", "status": "active"})
    assert isinstance(online, Channel)
    assert online.type is ChannelType.WEB


def test_a_matrix_of_prices_is_a_price_list() -> None:
    matrix = {
        "segmentId": "B2B",
        "expireAt": "2027-01-01T00:00:00Z",
        "prices": [
            {"productId": "P1", "sku": "A", "salePrice": 28.95, "currency": "EUR", "minimumQuantity": 10}
        ],
    }
    prices = from_mach("pricing", matrix)
    assert isinstance(prices, PriceList)
    assert (prices.entries[0].price, prices.entries[0].from_quantity) == (
        Money(amount=2895, currency="EUR"),
        10,
    )
    assert to_mach(prices) == matrix


def test_what_the_hub_changed_goes_out_and_old_leftovers_do_not_hide_it() -> None:
    customer: Customer = read(Customer, "customer")
    customer.phones = ("0611112222",)
    customer.addresses = ()
    out = to_mach(customer)
    assert out["person"]["phone"] == "0611112222"
    assert "addresses" not in out
    assert out["person"]["blood_type"] == "A"
    order: Order = read(Order, "order")
    first = order.lines[0]
    order.lines = (first.model_copy(update={"id": "9"}), first)
    lines = to_mach(order)["line_items"]
    assert [("gift" in line) for line in lines] == [False, True]


def test_an_order_born_elsewhere_goes_out_in_words_of_the_standard(order: Callable[..., Order]) -> None:
    out = to_mach(order())
    assert (out["id"], out["currency"], out["total"]) == ("rakuten/1", "JPY", 3100)
    assert out["billing_address"]["line1"] == "千代田1-1"
    assert out["billing_address"]["recipient"] == "髙﨑 太郎"
    assert out["line_items"][1]["tax_rate"] == 8
    again = from_mach("order", out)
    assert isinstance(again, Order)
    assert again.totals.payable == order().totals.payable


def test_kinds_the_standard_does_not_have_are_named(payment: Callable[..., Payment]) -> None:
    from canonical_model import JournalEntry

    line = {"account": "売上高", "amount": {"amount": 1}}
    entry = JournalEntry.model_validate(
        {"key": "1", "date": "2026-11-21", "lines": [{**line, "side": "debit"}, {**line, "side": "credit"}]}
    )
    assert kind_of(entry) is None
    assert kind_of(payment("p")) == "payment"
    with pytest.raises(TypeError, match="no entity for journal_entry"):
        to_mach(entry)


@pytest.mark.parametrize(
    ("name", "obj", "message"),
    [
        ("customer", {"type": "person"}, "a MACH customer needs id"),
        ("order", {"id": "1", "line_items": []}, "needs a currency and a total"),
        (
            "order",
            {"id": "1", "currency": "JPY", "total": 1, "line_items": [{"id": "1"}]},
            "every line item needs",
        ),
        ("inventory", {"sku_id": "A", "quantities": {"on_hand": 1.5}}, "needs a sku_id, a location_id"),
        ("payment", {"id": "1", "amount": 10.5, "currency": "JPY", "order_id": "1"}, "in minor units"),
        ("pricing", {"id": "1"}, "needs a sale_price"),
        ("fulfillment", {"id": "1", "order_id": "1"}, "needs an order_id and line_items"),
        ("coupon_instance", {"id": "1"}, "needs code, promotion_id"),
    ],
)
def test_what_is_no_whole_object_is_refused_in_words(name: str, obj: dict[str, Any], message: str) -> None:
    with pytest.raises(MachError, match=message):
        from_mach(name, obj)


def test_an_unknown_entity_is_named_with_the_known_ones() -> None:
    with pytest.raises(KeyError, match=r"no MACH entity 'campaign'; known: cart"):
        from_mach("campaign", {})


def test_values_come_with_what_they_have_no_room_for() -> None:
    price = piece_from_mach("money", OBJECTS["money"])
    assert price.value == Money(amount=1234, currency="EUR")
    place = piece_from_mach("address", {**ADDRESS, "coordinates": {"latitude": 35.66}})
    assert place.value == Address(
        postal_code="1500041", prefecture="東京都", city="渋谷区", street="神南1-2-3", building="つなぎビル5F"
    )
    assert place.leftover == {"rest": {"coordinates": {"latitude": 35.66}}}
    with pytest.raises(MachError, match="not a MACH money"):
        piece_from_mach("money", {"amount": "much"})


json_objects = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["a", "b", ""]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "x", "y"]), inner, max_size=3)
    ),
    max_leaves=12,
).map(lambda value: {"top": value})


@settings(deadline=None, max_examples=300)
@given(json_objects, json_objects)
def test_a_difference_always_restores(told: dict[str, Any], ours: dict[str, Any]) -> None:
    carried = difference(told, ours)
    assert same(restore(ours, carried), told)
    assert bool(carried) is not same(told, ours)
