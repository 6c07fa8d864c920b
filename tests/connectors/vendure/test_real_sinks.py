"""What goes into a real Vendure, and what a repeat of it does."""

from __future__ import annotations

from typing import Any

import pytest

from connectors.contract import Retry, Verdict

pytestmark = [pytest.mark.vendure, pytest.mark.timeout(900)]


def verdicts(outcomes: Any) -> list[tuple[str, str | None]]:
    return [(outcome.verdict.value, outcome.code) for outcome in outcomes]


# ---------------------------------------------------------------- stock


def test_stock_is_written_and_read_back(account: Any, stock_of: Any) -> None:
    outcomes = account.push(
        "stock", {"sku": "BWL-1", "stockOnHand": 12}, {"sku": "BWL-2", "stockOnHand": 0, "stockLocation": "1"}
    )
    assert verdicts(outcomes) == [("done", None)] * 2
    assert stock_of("BWL-1")["stockOnHand"] == 12
    assert stock_of("BWL-2")["stockOnHand"] == 0
    by_sku = {record["sku"]: record["stockOnHand"] for record in account.records("stock")}
    assert (by_sku["BWL-1"], by_sku["BWL-2"]) == (12, 0)


def test_saleable_stock_leaves_the_shops_own_orders_alone(account: Any, buy: Any, stock_of: Any) -> None:
    buy("TS-WH-M", 3)
    account.push("stock", {"sku": "TS-WH-M", "saleable": 7})
    assert stock_of("TS-WH-M") == {"stockOnHand": 10, "stockAllocated": 3}
    account.push("stock", {"sku": "TS-WH-M", "saleable": 7})
    assert stock_of("TS-WH-M") == {"stockOnHand": 10, "stockAllocated": 3}


def test_one_unknown_sku_does_not_stop_the_others(account: Any, stock_of: Any) -> None:
    outcomes = account.push(
        "stock",
        {"sku": "NO-SUCH", "saleable": 1},
        {"sku": "TWL-GR", "saleable": 33},
        {"sku": "TWL-GR", "saleable": 1, "stockLocation": "Nowhere"},
        {"sku": "TWL-GR", "saleable": "many"},
    )
    by_key = {outcome.key: outcome for outcome in outcomes}
    assert by_key["0"].code == "unknown_sku"
    assert by_key["1"].verdict is Verdict.DONE
    assert by_key["2"].code == "unknown_location"
    assert by_key["3"].code == "bad_record"
    assert stock_of("TWL-GR")["stockOnHand"] == 33


def test_an_unchanged_level_is_not_written(account: Any, admin: Any) -> None:
    account.push("stock", {"sku": "UME-500", "stockOnHand": 44})
    query = '{ productVariants(options: {filter: {sku: {eq: "UME-500"}}}) { items { updatedAt } } }'
    before = admin(query)
    account.push("stock", {"sku": "UME-500", "stockOnHand": 44})
    assert admin(query) == before


# ---------------------------------------------------------------- products

BOTTLE = {
    "code": "BTL-500",
    "name": "水筒 500ml",
    "description": "保温の水筒です。",
    "variants": [
        {"sku": "BTL-500-R", "price": 3850, "taxRate": 10, "options": [{"name": "色", "value": "赤"}],
         "customFields": {"gtin": "4901234567894", "unknownField": "x"}},
        {"sku": "BTL-500-K", "price": 3850, "taxRate": 10, "options": [{"name": "色", "value": "黒"}]},
    ],
}  # fmt: skip


def test_a_product_pushed_twice_is_there_once(account: Any) -> None:
    first = account.push("products", BOTTLE)
    second = account.push("products", BOTTLE, attempt=2)
    assert verdicts(first) == verdicts(second) == [("done", None)]
    assert first[0].external_id == second[0].external_id
    mine = [record for record in account.records("products") if record["slug"].startswith("btl-500")]
    assert len(mine) == 1
    variants = {variant["sku"]: variant for variant in mine[0]["variants"]}
    assert sorted(variants) == ["BTL-500-K", "BTL-500-R"]
    assert variants["BTL-500-R"]["priceWithTax"] == 3850
    assert variants["BTL-500-R"]["customFields"] == {"gtin": "4901234567894"}
    assert variants["BTL-500-R"]["options"][0]["name"] == "赤"


def test_a_product_whose_creation_was_never_answered_is_found_again(account: Any, admin: Any) -> None:
    # What a lost answer leaves behind: the product, without variants.
    admin(
        "mutation($i: CreateProductInput!) { createProduct(input: $i) { id } }",
        i={"translations": [{"languageCode": "ja", "name": "風呂敷", "slug": "frs-1", "description": ""}]},
    )
    assert verdicts(
        account.push(
            "products", {"code": "FRS-1", "name": "風呂敷", "variants": [{"sku": "FRS-1", "price": 2200}]}
        )
    ) == [("done", None)]
    mine = [record for record in account.records("products") if record["name"] == "風呂敷"]
    assert [[variant["sku"] for variant in record["variants"]] for record in mine] == [["FRS-1"]]


def test_a_slug_that_another_product_has_is_not_taken_over(account: Any) -> None:
    row = {"code": "Gift-Box", "name": "別の箱", "variants": [{"sku": "OTHER-BOX", "price": 550}]}
    assert (
        verdicts(account.push("products", row)) == verdicts(account.push("products", row)) == [("done", None)]
    )
    records = account.records("products")
    assert [record["name"] for record in records if record["slug"] == "gift-box"] == ["ギフト箱"]
    assert len([record for record in records if record["name"] == "別の箱"]) == 1


def test_a_product_is_changed_by_sku(account: Any) -> None:
    row = {
        "code": "fukamushi-sencha",
        "name": "煎茶 深蒸し 新茶",
        "variants": [{"sku": "TEA-200", "price": 2052, "taxRate": 8, "name": "煎茶 200g"}],
    }
    assert verdicts(account.push("products", row)) == [("done", None)]
    tea = next(record for record in account.records("products") if record["slug"] == "fukamushi-sencha")
    variants = {variant["sku"]: variant for variant in tea["variants"]}
    assert tea["name"] == "煎茶 深蒸し 新茶"
    assert tea["description"] == "静岡県産の深蒸し煎茶です。"
    assert (variants["TEA-200"]["priceWithTax"], variants["TEA-200"]["name"]) == (2052, "煎茶 200g")
    assert variants["TEA-100"]["priceWithTax"] == 1080


def test_several_variants_without_options_are_told_apart_by_sku(account: Any) -> None:
    row = {
        "code": "PEN",
        "name": "万年筆",
        "variants": [{"sku": "PEN-A", "price": 5500}, {"sku": "PEN-B", "price": 6600}],
    }
    assert verdicts(account.push("products", row)) == [("done", None)]
    assert verdicts(account.push("products", row)) == [("done", None)]
    pen = next(record for record in account.records("products") if record["slug"] == "pen")
    assert {variant["sku"]: variant["options"][0]["name"] for variant in pen["variants"]} == {
        "PEN-A": "PEN-A",
        "PEN-B": "PEN-B",
    }


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"currencyCode": "USD"}, "currency"),
        ({"pricesIncludeTax": False}, "tax_basis"),
        ({"variants": [{"sku": "TWL-WH"}, {"sku": "BOX-01"}]}, "several_products"),
        ({"variants": [{"sku": "NEW-9", "price": 100, "taxRate": 5}]}, "unknown_tax"),
        ({"variants": [{"sku": "NEW-9"}]}, "no_price"),
        ({"variants": []}, "bad_record"),
        (
            {
                "variants": [
                    {"sku": "NEW-8", "price": 1, "options": [{"name": "色", "value": "赤"}]},
                    {"sku": "NEW-9", "price": 1},
                ]
            },
            "options_differ",
        ),
    ],
)
def test_what_cannot_be_a_product_is_refused(account: Any, change: dict[str, Any], code: str) -> None:
    row = {"code": "X", "name": "x", "variants": [{"sku": "NEW-9", "price": 100}], **change}
    before = [record["slug"] for record in account.records("products")]
    assert verdicts(account.push("products", row)) == [("refused", code)]
    assert [record["slug"] for record in account.records("products")] == before


def test_a_deleted_product_is_switched_off(account: Any) -> None:
    row = {"code": "OLD-1", "name": "古い品", "variants": [{"sku": "OLD-1", "price": 100}]}
    account.push("products", row)
    assert verdicts(account.push("products", row, deleted=True)) == [("done", None)]
    old = next(record for record in account.records("products") if record["slug"] == "old-1")
    assert old["enabled"] is False


# ---------------------------------------------------------------- customers


def person(**more: Any) -> dict[str, Any]:
    return {
        "emailAddress": "Sato.Ichiro@example.jp",
        "lastName": "佐藤",
        "firstName": "一郎",
        "phoneNumber": "0451112222",
        "customFields": {"lastNameKana": "サトウ", "shoeSize": "27"},
        "addresses": [
            {
                "fullName": "佐藤 一郎",
                "postalCode": "231-0001",
                "province": "神奈川県",
                "city": "横浜市中区",
                "streetLine1": "新港1-1-1",
                "phoneNumber": "0451112222",
                "defaultShippingAddress": True,
            }
        ],
    } | more


def test_a_customer_pushed_twice_is_there_once(account: Any) -> None:
    first, second = account.push("customers", person()), account.push("customers", person(), attempt=2)
    assert verdicts(first) == verdicts(second) == [("done", None)]
    assert first[0].external_id == second[0].external_id
    mine = [
        record
        for record in account.records("customers")
        if record["emailAddress"] == "sato.ichiro@example.jp"
    ]
    assert len(mine) == 1
    assert mine[0]["customFields"]["lastNameKana"] == "サトウ"
    assert [address["streetLine1"] for address in mine[0]["addresses"]] == ["新港1-1-1"]


def test_a_customer_is_completed_and_keeps_what_he_added_himself(account: Any, admin: Any) -> None:
    customer = account.push("customers", person(emailAddress="both@example.jp"))[0].external_id
    admin(
        "mutation($c: ID!, $i: CreateAddressInput!) { createCustomerAddress(customerId: $c, input: $i) { id } }",
        c=customer,
        i={"fullName": "実家", "streetLine1": "清水町1", "streetLine2": "", "countryCode": "JP"},
    )
    moved = person(emailAddress="both@example.jp", phoneNumber="0459990000")
    moved["addresses"][0] |= {"postalCode": "２３１－０００１", "streetLine2": "501号"}
    assert verdicts(account.push("customers", moved)) == [("done", None)]
    record = account.records("customers", None, ids=[customer])[0]
    assert record["phoneNumber"] == "0459990000"
    assert sorted((address["fullName"], address["streetLine2"]) for address in record["addresses"]) == [
        ("佐藤 一郎", "501号"),
        ("実家", ""),
    ]


def test_kana_is_left_out_where_the_shop_has_no_field_for_it(opened: Any, account: Any) -> None:
    plain = opened(custom_fields={}, order_reference_field=None)
    assert verdicts(plain.push("customers", person(emailAddress="nokana@example.jp"))) == [("done", None)]
    record = next(r for r in account.records("customers") if r["emailAddress"] == "nokana@example.jp")
    assert record["customFields"] == {"lastNameKana": None, "firstNameKana": None}


def test_an_address_in_a_country_the_shop_does_not_know_is_refused(account: Any) -> None:
    wrong = person(emailAddress="far@example.jp")
    wrong["addresses"][0]["countryCode"] = "FR"
    outcome = account.push("customers", wrong, person(emailAddress="near@example.jp"))
    assert [each.verdict for each in outcome] == [Verdict.REFUSED, Verdict.DONE]


# ---------------------------------------------------------------- shipments and cancellations


def shipment(order: dict[str, Any], sku: str, quantity: int, **more: Any) -> dict[str, Any]:
    return {
        "orderCode": order["code"],
        "lines": [{"sku": sku, "quantity": quantity}],
        "method": "ヤマト運輸",
        "trackingCode": "400000000001",
    } | more


def read_order(account: Any, order: dict[str, Any]) -> Any:
    return account.records("orders", None, ids=[order["id"]])[0]


def test_a_shipment_pushed_twice_is_one_fulfilment(account: Any, buy: Any, settle: Any) -> None:
    order = buy("TWL-WH", 2)
    settle(order)
    row = shipment(order, "TWL-WH", 2)
    assert account.ask("fulfilments", row) == []
    first = account.push("fulfilments", row)
    second = account.push("fulfilments", row, attempt=2)
    assert (
        verdicts(first) == verdicts(second) == verdicts(account.ask("fulfilments", row)) == [("done", None)]
    )
    pulled = read_order(account, order)
    assert pulled["state"] == "Shipped"
    assert [(f["state"], f["trackingCode"], f["method"]) for f in pulled["fulfillments"]] == [
        ("Shipped", "400000000001", "ヤマト運輸")
    ]


def test_part_shipments_and_delivery(account: Any, buy: Any, settle: Any) -> None:
    order = buy("TWL-BL", 3)
    settle(order)
    line = read_order(account, order)["lines"][0]["id"]
    part = {"orderCode": order["code"], "lines": [{"orderLineId": line, "quantity": 1}], "trackingCode": "A1"}
    assert verdicts(account.push("fulfilments", part)) == [("done", None)]
    assert read_order(account, order)["state"] == "PartiallyShipped"
    rest = part | {"lines": [{"orderLineId": line, "quantity": 2}], "trackingCode": "A2"}
    assert verdicts(account.push("fulfilments", rest, part | {"delivered": True})) == [("done", None)] * 2
    pulled = read_order(account, order)
    assert pulled["state"] == "PartiallyDelivered"
    assert sorted((f["trackingCode"], f["state"]) for f in pulled["fulfillments"]) == [
        ("A1", "Delivered"),
        ("A2", "Shipped"),
    ]


def test_without_a_tracking_code_only_a_repeat_is_taken_for_the_same(
    account: Any, buy: Any, settle: Any
) -> None:
    order = buy("TEA-100", 3)
    settle(order)
    row = shipment(order, "TEA-100", 1, trackingCode="")
    account.push("fulfilments", row)
    account.push("fulfilments", row)
    account.push("fulfilments", row, attempt=2)
    assert len(read_order(account, order)["fulfillments"]) == 2


def test_a_fulfilment_that_was_made_but_not_moved_is_moved(
    account: Any, buy: Any, settle: Any, admin: Any
) -> None:
    order = buy("TEA-100", 1)
    settle(order)
    line = read_order(account, order)["lines"][0]["id"]
    admin(
        "mutation($i: FulfillOrderInput!) { addFulfillmentToOrder(input: $i) { __typename } }",
        i={
            "lines": [{"orderLineId": line, "quantity": 1}],
            "handler": {
                "code": "manual-fulfillment",
                "arguments": [{"name": "method", "value": "x"}, {"name": "trackingCode", "value": "P1"}],
            },
        },
    )
    row = shipment(order, "TEA-100", 1, trackingCode="P1")
    assert account.ask("fulfilments", row) == []
    assert verdicts(account.push("fulfilments", row)) == [("done", None)]
    assert [f["state"] for f in read_order(account, order)["fulfillments"]] == ["Shipped"]


def test_more_than_is_open_is_refused(account: Any, buy: Any, settle: Any) -> None:
    order = buy("TEA-100", 1)
    settle(order)
    outcomes = account.push(
        "fulfilments",
        shipment(order, "TEA-100", 2),
        shipment(order, "UME-500", 1),
        shipment({"code": "NOSUCHORDER"}, "TEA-100", 1),
    )
    assert verdicts(outcomes) == [
        ("refused", "nothing_open"),
        ("refused", "unknown_line"),
        ("refused", "unknown_order"),
    ]


def test_another_tracking_code_for_a_made_fulfilment_is_refused(account: Any, buy: Any, settle: Any) -> None:
    order = buy("TEA-100", 1)
    settle(order)
    made = account.push("fulfilments", shipment(order, "TEA-100", 1))[0].external_id
    corrected = shipment(order, "TEA-100", 1, trackingCode="400000000002")
    assert verdicts(account.push("fulfilments", corrected, external_id=made)) == [
        ("refused", "fulfilment_differs")
    ]


def test_shipping_an_order_that_is_only_authorised_says_so(account: Any, buy: Any) -> None:
    order = buy("TEA-100", 1)
    outcome = account.push("fulfilments", shipment(order, "TEA-100", 1))[0]
    assert outcome.verdict is Verdict.DONE
    assert "only authorised" in outcome.notes[0]
    pulled = read_order(account, order)
    assert (pulled["state"], pulled["fulfillments"][0]["state"]) == ("PaymentAuthorized", "Shipped")


def test_payments_are_captured_at_shipping_where_the_settings_say_so(opened: Any, buy: Any) -> None:
    account = opened(settle_on_shipping=True)
    order = buy("TEA-100", 1)
    outcome = account.push("fulfilments", shipment(order, "TEA-100", 1))[0]
    assert (outcome.verdict, outcome.notes) == (Verdict.DONE, ())
    pulled = read_order(account, order)
    assert pulled["state"] == "Shipped"
    assert [payment["state"] for payment in pulled["payments"]] == ["Settled"]


def test_units_are_cancelled_once_and_stock_comes_back(account: Any, buy: Any, stock_of: Any) -> None:
    order = buy("TS-NV-M", 3)
    line = read_order(account, order)["lines"][0]["id"]
    allocated = stock_of("TS-NV-M")["stockAllocated"]
    part = {"orderCode": order["code"], "lines": [{"orderLineId": line, "quantity": 1}], "reason": "欠品"}
    assert verdicts(account.push("cancellations", part)) == [("done", None)]
    assert verdicts(account.push("cancellations", part, attempt=2)) == [("done", None)]
    assert read_order(account, order)["lines"][0]["quantity"] == 2
    assert stock_of("TS-NV-M")["stockAllocated"] == allocated - 1
    whole = {"orderCode": order["code"], "reason": "お客様都合"}
    assert verdicts(account.push("cancellations", whole)) == [("done", None)]
    assert verdicts(account.push("cancellations", whole)) == [("done", None)]
    pulled = read_order(account, order)
    assert (pulled["state"], pulled["totalWithTax"]) == ("Cancelled", 0)


def test_what_is_shipped_is_not_cancelled(account: Any, buy: Any, settle: Any) -> None:
    order = buy("TEA-100", 1)
    settle(order)
    account.push("fulfilments", shipment(order, "TEA-100", 1))
    assert verdicts(account.push("cancellations", {"orderCode": order["code"]})) == [
        ("refused", "already_shipped")
    ]


# ---------------------------------------------------------------- orders of other channels


def telephone_order(reference: str, **more: Any) -> dict[str, Any]:
    return {
        "reference": reference,
        "customer": {
            "emailAddress": f"{reference.lower()}@example.jp",
            "lastName": "田中",
            "firstName": "花",
        },
        "shippingAddress": {
            "fullName": "田中 花",
            "postalCode": "810-0001",
            "province": "福岡県",
            "city": "福岡市中央区",
            "streetLine1": "天神1-1-1",
        },
        "lines": [{"sku": "TWL-WH", "quantity": 2}, {"sku": "UME-500", "quantity": 1}],
        "shippingMethod": "takkyubin",
        "paymentMethod": "bank-transfer",
        "transactionId": "T-1",
    } | more


def test_an_order_placed_twice_is_there_once(account: Any, admin: Any) -> None:
    row = telephone_order("TEL-1001")
    first, second = account.push("orders", row), account.push("orders", row, attempt=2)
    assert verdicts(first) == verdicts(second) == [("done", None)]
    assert first[0].external_id == second[0].external_id
    mine = [
        record
        for record in account.records("orders")
        if record["customFields"]["externalReference"] == "TEL-1001"
    ]
    assert len(mine) == 1
    assert mine[0]["state"] == "PaymentSettled"
    assert sorted((line["productVariant"]["sku"], line["quantity"]) for line in mine[0]["lines"]) == [
        ("TWL-WH", 2),
        ("UME-500", 1),
    ]
    assert mine[0]["shippingLines"][0]["shippingMethod"]["code"] == "takkyubin"


def test_an_order_that_broke_off_is_finished(account: Any, admin: Any) -> None:
    draft = admin("mutation { createDraftOrder { id } }")["id"]
    admin(
        "mutation($o: ID!, $i: UpdateOrderInput!) { setDraftOrderCustomFields(orderId: $o, input: $i) { id } }",
        o=draft,
        i={"id": draft, "customFields": {"externalReference": "TEL-1002"}},
    )
    for sku, quantity in (("TWL-WH", 5), ("BOX-01", 1)):
        variant = admin(
            "query($s: String!) { productVariants(options: {filter: {sku: {eq: $s}}}) { items { id } } }",
            s=sku,
        )["items"][0]["id"]
        admin(
            "mutation($o: ID!, $i: AddItemToDraftOrderInput!) "
            "{ addItemToDraftOrder(orderId: $o, input: $i) { __typename } }",
            o=draft,
            i={"productVariantId": variant, "quantity": quantity},
        )
    assert verdicts(account.push("orders", telephone_order("TEL-1002"), attempt=2)) == [("done", None)]
    order = account.records("orders", None, ids=[draft])[0]
    assert order["state"] == "PaymentSettled"
    assert sorted((line["productVariant"]["sku"], line["quantity"]) for line in order["lines"]) == [
        ("TWL-WH", 2),
        ("UME-500", 1),
    ]


def test_an_order_the_shop_prices_differently_stays_a_draft(account: Any, admin: Any) -> None:
    outcome = account.push("orders", telephone_order("TEL-1003", totalWithTax=1))[0]
    assert (outcome.verdict, outcome.code) == (Verdict.REFUSED, "total_differs")
    drafts = admin('{ orders(options: {filter: {externalReference: {eq: "TEL-1003"}}}) { items { state } } }')
    assert drafts["items"] == [{"state": "Draft"}]


def test_an_order_of_unknown_goods_is_refused(account: Any) -> None:
    row = telephone_order("TEL-1004", lines=[{"sku": "NO-SUCH", "quantity": 1}])
    assert verdicts(account.push("orders", row)) == [("refused", "unknown_sku")]


def test_a_shop_that_is_gone_is_tried_later(opened: Any) -> None:
    gone = opened(base_url="http://127.0.0.1:9")
    with pytest.raises(Retry, match="no connection"):
        gone.push("stock", {"sku": "TWL-WH", "saleable": 1})
