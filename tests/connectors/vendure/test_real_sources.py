"""What comes out of a real Vendure."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx
import pytest

from connectors.contract import Misconfigured, Refused
from connectors.transport.http import Intent
from connectors.vendure import connector
from connectors.vendure.api import Api
from connectors.vendure.documents import document, operations
from connectors.vendure.sources import OrderCursor

pytestmark = [pytest.mark.vendure, pytest.mark.timeout(900)]


def test_check_names_channel_currency_and_version(account: Any) -> None:
    assert connector.check_function is not None
    said = connector.check_function(account.call)
    assert "channel __default_channel__, JPY (prices with tax), " in said
    assert "Vendure 3 Admin API, language ja" in said


def test_a_wrong_password_is_misconfigured_and_not_shown(opened: Any) -> None:
    with pytest.raises(Misconfigured, match="does not accept user name 'superadmin'") as raised:
        opened(password="not-this-one").records("customers")
    assert "not-this-one" not in str(raised.value)


def test_a_token_that_names_no_channel_is_misconfigured(opened: Any) -> None:
    with pytest.raises(Misconfigured, match="names no channel"):
        opened(channel_token="nobody").records("products")


@pytest.mark.parametrize("name", sorted(operations()))
def test_the_servers_schema_knows_every_document(account: Any, name: str) -> None:
    # An operation name that is not in the document makes the server validate it and run nothing.
    answer = account.call.http.post(
        "",
        json={"query": document(name, account.call.config.custom_fields), "operationName": "None"},
        intent=Intent.READ,
        expect=(400,),
    )
    codes = [error["extensions"]["code"] for error in answer.json()["errors"]]
    assert codes == ["OPERATION_RESOLUTION_FAILURE"], answer.json()


def test_products_come_whole_with_variants_prices_and_stock(account: Any, stock_of: Any) -> None:
    pages = account.pages("products")
    records = {record["slug"]: record for page in pages for record in page.records}
    assert {"imabari-face-towel", "fukamushi-sencha", "cotton-t-shirt", "gift-box"} <= set(records)
    assert [page.complete for page in pages] == [False] * (len(pages) - 1) + [True]
    shirt = records["cotton-t-shirt"]
    assert shirt["name"] == "綿Tシャツ"
    assert [group["name"] for group in shirt["optionGroups"]] == ["色", "サイズ"]
    small = next(variant for variant in shirt["variants"] if variant["sku"] == "TS-WH-S")
    assert small["priceWithTax"] == 2750
    assert small["prices"] == [{"currencyCode": "JPY", "price": 2750}]
    assert small["customFields"]["gtin"].startswith("4512345")
    assert {option["group"]["name"]: option["name"] for option in small["options"]} == {
        "色": "白",
        "サイズ": "S",
    }
    # Other tests of this server trade with the shirt: what its console says now is what must come.
    assert small["stockLevels"][0]["stockOnHand"] == stock_of("TS-WH-S")["stockOnHand"] > 0
    tea = next(variant for variant in records["fukamushi-sencha"]["variants"] if variant["sku"] == "TEA-100")
    assert tea["taxRateApplied"]["value"] == 8


def test_a_second_read_gives_only_what_changed_since(account: Any, admin: Any) -> None:
    first = account.pages("products")
    cursor = first[-1].cursor.model_copy(
        # Step over the overlap, which here would give the whole young shop again.
        update={
            name: getattr(first[-1].cursor, name) + timedelta(minutes=2)
            for name in type(first[-1].cursor).model_fields
        }
    )
    assert account.records("products", cursor) == []
    later = {name: getattr(cursor, name) - timedelta(minutes=2) for name in type(cursor).model_fields}
    umeboshi = next(record for page in first for record in page.records if record["slug"] == "kishu-umeboshi")
    admin(
        "mutation($i: [UpdateProductVariantInput!]!) { updateProductVariants(input: $i) { id } }",
        i=[{"id": umeboshi["variants"][0]["id"], "prices": [{"currencyCode": "JPY", "price": 1650}]}],
    )
    changed = account.records("products", type(cursor)(**later))
    found = next(record for record in changed if record["slug"] == "kishu-umeboshi")
    assert found["variants"][0]["priceWithTax"] == 1650
    # The variant has changed, the product's own timestamp has not: only its variant led to it.
    assert found["updatedAt"] == umeboshi["updatedAt"]


def test_products_are_fetched_by_id_without_moving_the_cursor(account: Any) -> None:
    wanted = account.records("products")[1]["id"]
    pages = account.pages("products", None, ids=[wanted, "99999"])
    assert [record["id"] for page in pages for record in page.records] == [wanted]
    assert {page.cursor for page in pages} == {None}


def test_stock_is_one_record_for_each_sku_and_location(opened: Any, stock_of: Any) -> None:
    pages = opened(page_size=10).pages("stock")
    records = [record for page in pages for record in page.records]
    skus = [record["sku"] for record in records]
    assert len(pages) > 1
    assert len(skus) == len(set(skus)) >= 15
    assert pages[-1].complete
    shirt = next(record for record in records if record["sku"] == "TS-WH-S")
    level = stock_of("TS-WH-S")
    assert (shirt["stockOnHand"], shirt["stockAllocated"]) == (level["stockOnHand"], level["stockAllocated"])
    assert level["stockOnHand"] > 0
    assert shirt["stockLocation"]["name"] == "Default Stock Location"


def test_pages_that_end_within_one_second_lose_nothing(opened: Any, account: Any) -> None:
    # The seed writes all products within a second or two: every page boundary falls into a tie.
    whole = {record["id"] for record in account.records("customers")}
    paged = [record["id"] for record in opened(page_size=10).records("customers")]
    assert set(paged) == whole
    assert len(paged) == len(set(paged))


def test_more_rows_than_the_server_gives_are_refused_and_not_cut(account: Any) -> None:
    with pytest.raises(Refused, match="more than 1000") as raised:
        Api(account.call).query("Stock", options={"take": 1001})
    assert raised.value.code == "user_input_error"


def test_an_order_is_pulled_with_everything_it_carries(account: Any, buy: Any) -> None:
    placed = buy("TS-NV-L", 2, email="pull@example.jp")
    order = next(record for record in account.records("orders") if record["code"] == placed["code"])
    assert order["state"] == "PaymentAuthorized"
    assert order["customer"]["emailAddress"] == "pull@example.jp"
    assert order["shippingAddress"]["province"] == "北海道"
    line = order["lines"][0]
    assert (line["productVariant"]["sku"], line["quantity"], line["unitPriceWithTax"]) == ("TS-NV-L", 2, 2970)
    assert order["shippingWithTax"] == 660
    assert order["totalWithTax"] == 2 * 2970 + 660
    assert [(payment["method"], payment["state"]) for payment in order["payments"]] == [
        ("card", "Authorized")
    ]
    assert sum(tax["taxBase"] + tax["taxTotal"] for tax in order["taxSummary"]) == order["totalWithTax"]


def test_a_payment_settled_without_a_new_updated_at_is_seen(account: Any, buy: Any, settle: Any) -> None:
    placed = buy("TEA-100", 1)
    pages = account.pages("orders")
    cursor = pages[-1].cursor
    assert isinstance(cursor, OrderCursor)
    before = next(record for page in pages for record in page.records if record["code"] == placed["code"])
    settle(placed)
    # Beyond the overlap, so that only the watch over payments can find it.
    assert cursor.updated_at is not None
    beyond = OrderCursor(updated_at=cursor.updated_at + timedelta(minutes=2), touched_at=cursor.touched_at)
    again = [record for record in account.records("orders", beyond) if record["code"] == placed["code"]]
    assert [record["state"] for record in again] == ["PaymentSettled"]
    assert again[0]["updatedAt"] == before["updatedAt"]


def test_orders_are_not_watched_when_the_settings_say_so(opened: Any, buy: Any, settle: Any) -> None:
    account = opened(watch_days=0)
    placed = buy("TEA-200", 1)
    cursor = account.pages("orders")[-1].cursor
    settle(placed)
    beyond = OrderCursor(updated_at=cursor.updated_at + timedelta(minutes=2))
    assert account.records("orders", beyond) == []


def test_a_cart_is_no_order(account: Any, shop: Any) -> None:
    before = {record["id"] for record in account.records("orders")}
    add = "mutation { addItemToOrder(productVariantId: 1, quantity: 1) { __typename } }"
    assert httpx.post(f"{shop.url}/shop-api", json={"query": add}).json()["data"]["addItemToOrder"]
    assert {record["id"] for record in account.records("orders")} == before


def test_customers_come_with_addresses_and_kana(account: Any) -> None:
    records = {record["emailAddress"]: record for record in account.records("customers")}
    taro = records["taro@example.jp"]
    assert (taro["lastName"], taro["firstName"]) == ("髙橋", "太郎")
    assert taro["customFields"] == {"lastNameKana": "タカハシ", "firstNameKana": "タロウ"}
    assert taro["addresses"][0]["postalCode"] == "530-0001"
    assert taro["addresses"][0]["country"]["code"] == "JP"


def test_custom_fields_are_not_asked_for_when_the_settings_name_none(opened: Any) -> None:
    record = opened(custom_fields={}, order_reference_field=None).records("customers")[0]
    assert "customFields" not in record


def test_an_unknown_custom_field_is_misconfigured(opened: Any) -> None:
    with pytest.raises(Misconfigured, match="custom_fields"):
        opened(custom_fields={"customer": ("shoeSize",)}).records("customers")
