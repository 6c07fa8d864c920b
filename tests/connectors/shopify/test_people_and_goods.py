"""Products and customers into the stand-in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from connectors.contract import Batch, Call, Change, Outcome, Verdict
from connectors.shopify import connector
from sandbox.shopify import Fault, Shop

Opened = Callable[..., Call[Any]]


def send(call: Call[Any], sink: str, *records: dict[str, Any], deleted: bool = False) -> list[Outcome]:
    changes = [Change(f"k{n}", record, version=1, deleted=deleted) for n, record in enumerate(records)]
    return list(connector.sinks[sink].run(call, Batch(changes, "b1")))


def product(**more: Any) -> dict[str, Any]:
    variants = [
        {
            "sku": "NEW-W",
            "barcode": "4901234567894",
            "price": "1100",
            "options": [{"name": "色", "value": "白"}],
        },
        {"sku": "NEW-B", "price": "1100", "options": [{"name": "色", "value": "黒"}]},
    ]
    return {"handle": "new-01", "title": "新商品", "variants": variants, **more}


def by_handle(shop: Shop, handle: str) -> dict[str, Any]:
    return next(one for one in shop.products.values() if one["handle"] == handle)


# ---------------------------------------------------------------- products


def test_a_product_is_made_and_then_changed(shop: Shop, opened: Opened) -> None:
    rate = {"key": "custom.tax_rate", "value": "0.08", "type": "number_decimal"}
    (made,) = send(opened(), "products", product(metafields=[rate]))
    new = by_handle(shop, "new-01")
    assert (made.verdict, made.external_id) == (Verdict.DONE, new["id"])
    assert [(v["sku"], v["price"], v["title"]) for v in shop.variants_of(new)] == [
        ("NEW-W", "1100", "白"), ("NEW-B", "1100", "黒"),
    ]  # fmt: skip
    assert new["_metafields"]["custom.tax_rate"] == ("number_decimal", "0.08")

    changed = product(title="改名", status="DRAFT")
    changed["variants"][0]["price"] = "1210"
    (again,) = send(opened(), "products", changed)
    assert again.external_id == new["id"]
    assert (new["title"], new["status"]) == ("改名", "DRAFT")
    assert [v["price"] for v in shop.variants_of(new)] == ["1210", "1100"]


def test_a_lost_answer_makes_no_second_product(shop: Shop, opened: Opened) -> None:
    shop.faults.append(Fault("SetProduct", "cut_body"))
    assert send(opened(), "products", product())[0].verdict is Verdict.DONE
    assert len([one for one in shop.products.values() if one["handle"] == "new-01"]) == 1
    assert len(shop.variants_of(by_handle(shop, "new-01"))) == 2


def test_variants_that_the_record_does_not_name_stay(shop: Shop, opened: Opened) -> None:
    named = {"handle": "x", "title": "Tシャツ", "variants": [
        {"sku": "SHIRT-01-S", "price": "3000", "options": [{"name": "サイズ", "value": "S"}]}]}  # fmt: skip
    send(opened(), "products", named)
    shirt = by_handle(shop, "shirt-01")
    assert {v["sku"]: v["price"] for v in shop.variants_of(shirt)} == {
        "SHIRT-01-S": "3000", "SHIRT-01-M": "2750", "SHIRT-01-L": "2750",
    }  # fmt: skip
    assert shop.available("SHIRT-01-M") == 30


def test_what_does_not_fit_is_refused_before_anything_is_written(shop: Shop, opened: Opened) -> None:
    other_option = {"handle": "x", "title": "T", "variants": [
        {"sku": "SHIRT-01-S", "options": [{"name": "色", "value": "白"}]}]}  # fmt: skip
    mixed = product()
    mixed["variants"][1]["options"] = []
    two = product()
    two["variants"] = [{"sku": "TEA-100"}, {"sku": "MUG-1"}]
    outcomes = send(
        opened(), "products", other_option, mixed, two, product(taxesIncluded=False), product(currencyCode="USD"),
        product(variants=[]), product(handle="fine-01"),
    )  # fmt: skip
    assert [o.code for o in outcomes] == [
        "options_differ", "options_differ", "several_products", "tax_basis", "currency", "bad_record", None,
    ]  # fmt: skip
    assert shop.calls.count("SetProduct") == 1


def test_a_deleted_product_is_archived(shop: Shop, opened: Opened) -> None:
    record = {"handle": "mug-01", "title": "マグ", "variants": [{"sku": "MUG-1"}]}
    assert send(opened(), "products", record, deleted=True)[0].verdict is Verdict.DONE
    assert by_handle(shop, "mug-01")["status"] == "ARCHIVED"
    assert send(opened(), "products", product(), deleted=True)[0].verdict is Verdict.DONE


def test_a_product_without_options_keeps_shopifys_own(shop: Shop, opened: Opened) -> None:
    send(
        opened(),
        "products",
        {"handle": "one-01", "title": "一つ", "variants": [{"sku": "ONE-1", "price": "500"}]},
    )
    (variant,) = shop.variants_of(by_handle(shop, "one-01"))
    assert (variant["title"], variant["sku"]) == ("Default Title", "ONE-1")


# ---------------------------------------------------------------- customers


def person(**more: Any) -> dict[str, Any]:
    home = {"lastName": "見本", "firstName": "花子", "zip": "100-0001", "provinceCode": "JP-13", "city": "千代田区",
            "address1": "千代田1-1", "phone": "+81300000000"}  # fmt: skip
    return {
        "email": "mihon@example.jp", "lastName": "見本", "firstName": "花子", "phone": "+819000000000",
        "addresses": [home], "emailMarketing": {"granted": True, "at": "2026-11-01T00:00:00Z"}, **more,
    }  # fmt: skip


def by_email(shop: Shop, email: str) -> dict[str, Any]:
    return next(
        one
        for one in shop.customers.values()
        if (one["defaultEmailAddress"] or {}).get("emailAddress") == email
    )


def test_a_customer_is_made_and_then_left_alone(shop: Shop, opened: Opened) -> None:
    kana = [
        {"key": "custom.last_name_kana", "value": "ミホン", "type": "single_line_text_field"},
        {"key": "not.named", "value": "x"},
    ]
    (made,) = send(opened(), "customers", person(metafields=kana))
    new = by_email(shop, "mihon@example.jp")
    assert (made.verdict, made.external_id) == (Verdict.DONE, new["id"])
    assert new["defaultEmailAddress"]["marketingState"] == "SUBSCRIBED"
    assert [a["provinceCode"] for a in new["addressesV2"]] == ["JP-13"]
    assert list(new["_metafields"]) == ["custom.last_name_kana"]

    shop.calls.clear()
    (again,) = send(opened(), "customers", person(metafields=kana))
    assert again.external_id == new["id"]
    assert shop.calls == ["CustomerByIdentifier"]


def test_addresses_are_added_and_never_taken_away(shop: Shop, opened: Opened) -> None:
    send(opened(), "customers", person())
    moved = {
        "lastName": "見本",
        "zip": "530-0001",
        "provinceCode": "JP-27",
        "city": "大阪市北区",
        "address1": "梅田1",
    }
    same = person()["addresses"][0] | {"address1": "千代田１－１", "zip": "1000001", "lastName": "見本 "}
    send(opened(), "customers", person(addresses=[same, moved]))
    assert [a["zip"] for a in by_email(shop, "mihon@example.jp")["addressesV2"]] == ["100-0001", "530-0001"]


def test_a_newer_answer_of_the_customer_stays(shop: Shop, opened: Opened) -> None:
    send(opened(), "customers", person())
    email = by_email(shop, "mihon@example.jp")["defaultEmailAddress"]
    email |= {"marketingState": "UNSUBSCRIBED", "marketingUpdatedAt": "2026-11-15T00:00:00Z"}
    send(opened(), "customers", person())
    assert email["marketingState"] == "UNSUBSCRIBED"
    send(opened(), "customers", person(emailMarketing={"granted": True, "at": "2026-11-20T00:00:00Z"}))
    assert email["marketingState"] == "SUBSCRIBED"
    send(opened(), "customers", person(emailMarketing={"granted": False}))
    assert email["marketingState"] == "UNSUBSCRIBED"


def test_who_never_agreed_is_not_told_to_have_left(shop: Shop, opened: Opened) -> None:
    send(opened(), "customers", person(emailMarketing={"granted": False}))
    assert by_email(shop, "mihon@example.jp")["defaultEmailAddress"]["marketingState"] == "NOT_SUBSCRIBED"


def test_a_taken_telephone_number_refuses_one_customer_only(shop: Shop, opened: Opened) -> None:
    outcomes = send(
        opened(), "customers", person(), person(email="other@example.jp"),
        person(email="third@example.jp", phone="+819000000001"), person(email="no address"),
    )  # fmt: skip
    assert [o.code for o in outcomes] == [None, "taken", None, "bad_record"]
    assert send(opened(), "customers", person(), deleted=True)[0].code == "not_deleted"


def test_a_lost_answer_makes_no_second_customer(shop: Shop, opened: Opened) -> None:
    for operation in ("SetCustomer", "AddAddress", "SetEmailConsent"):
        shop.faults.append(Fault(operation, "cut_body"))
    first = send(opened(), "customers", person())[0]
    second = send(opened(), "customers", person())[0]
    assert (first.verdict, second.verdict) == (Verdict.RETRY, Verdict.DONE)
    assert len(by_email(shop, "mihon@example.jp")["addressesV2"]) == 1
    assert len(shop.customers) == 1
