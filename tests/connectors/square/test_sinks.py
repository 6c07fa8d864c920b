"""Writing into the stand-in: once in effect, one bad change at a time, whatever the wire does."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings as hypothesis_settings, strategies as st

from connectors.contract import Batch, Call, Change, Outcome, Retry, Verdict
from connectors.square import connector
from sandbox.square import Fault, Seller, Subscription, sell
from sandbox.square.customer_api import bulk_create
from sandbox.square.postman import Postman
from sandbox.square.seller import wire_time

Opened = Callable[..., Call[Any]]


def put(
    call: Call[Any], sink: str, *changes: Change, key: str = "b1", attempt: int = 1
) -> dict[str, Outcome]:
    """What the hub does: ask first on a second attempt, then send what is left."""
    declared = connector.sinks[sink]
    batch = Batch(changes, key, attempt)
    told: dict[str, Outcome] = {}
    if attempt > 1 and declared.ask is not None:
        told = {outcome.key: outcome for outcome in declared.ask(call, batch)}
    left = [change for change in changes if change.key not in told]
    if left:
        rest = batch if len(left) == len(changes) else Batch(left, f"{key}.{attempt}", attempt)
        told |= {outcome.key: outcome for outcome in declared.run(call, rest)}
    return told


def verdicts(told: dict[str, Outcome]) -> dict[str, str]:
    return {key: outcome.code or outcome.verdict.value for key, outcome in told.items()}


# ---------------------------------------------------------------- stock


def count(seller: Seller, sku: str, quantity: int, *, location: str = "store-shibuya", **more: Any) -> Change:
    record = {"catalog_object_id": seller.variation(sku), "location": location, "quantity": quantity, **more}
    return Change(f"{sku}@{location}", record, 1)


def test_counts_go_to_their_stores_in_one_call(seller: Seller, opened: Opened) -> None:
    told = put(
        opened(), "inventory", count(seller, "TEA-100", 7), count(seller, "TEA-100", 3, location="store-umeda"),
        count(seller, "CUP-1", 0),
    )  # fmt: skip

    assert set(verdicts(told).values()) == {"done"}
    assert [
        seller.stock("TEA-100", "渋谷店"),
        seller.stock("TEA-100", "梅田店"),
        seller.stock("CUP-1", "渋谷店"),
    ] == [7, 3, 0]
    assert [path for path, _ in seller.calls] == ["/v2/inventory/changes/batch-create"]
    assert told["TEA-100@store-shibuya"].external_id == seller.variation("TEA-100")
    assert told["TEA-100@store-shibuya"].external_version


def test_a_count_is_as_old_as_its_number(seller: Seller, opened: Opened) -> None:
    taken_at = seller.clock() - timedelta(minutes=10)
    sell(seller, "渋谷店", [("TEA-100", 2)])

    put(opened(), "inventory", count(seller, "TEA-100", 9, occurred_at=wire_time(taken_at)))

    assert seller.stock("TEA-100", "渋谷店") == 7


@pytest.mark.parametrize("age", [timedelta(days=-1), timedelta(hours=30)])
def test_a_time_square_would_refuse_becomes_now(seller: Seller, opened: Opened, age: timedelta) -> None:
    change = count(seller, "TEA-100", 9, occurred_at=wire_time(seller.clock() - age))

    assert verdicts(put(opened(), "inventory", change)) == {change.key: "done"}
    assert seller.stock("TEA-100", "渋谷店") == 9


def test_a_clock_that_runs_behind_ours_is_allowed_for(seller: Seller, opened: Opened) -> None:
    call = opened()
    call.now = lambda: seller.clock() + timedelta(seconds=1)

    assert verdicts(put(call, "inventory", count(seller, "TEA-100", 9))) == {"TEA-100@store-shibuya": "done"}


@pytest.mark.parametrize("names", [True, False])
def test_one_bad_count_does_not_stop_the_others(seller: Seller, opened: Opened, names: bool) -> None:
    seller.names_culprits = names
    skus = ["TEA-100", "TEA-200", "CUP-1", "GIFT-A", "TEE-AI-M"]
    changes = [count(seller, sku, 4) for sku in skus]
    bad = Change(
        "bad", {"catalog_object_id": "NOSUCHVARIATION", "location": "store-shibuya", "quantity": 1}, 1
    )
    changes.insert(2, bad)

    told = put(opened(), "inventory", *changes)

    assert verdicts(told) == {"bad": "not_found"} | {f"{sku}@store-shibuya": "done" for sku in skus}
    assert [seller.stock(sku, "渋谷店") for sku in skus] == [4] * 5


@pytest.mark.parametrize(
    ("record", "code"),
    [
        ({"quantity": -1}, "bad_record"),
        ({"quantity": "many"}, "bad_record"),
        ({"colour": "red"}, "bad_record"),
        ({"catalog_object_id": ""}, "bad_record"),
        ({"location": "warehouse"}, "unknown_location"),
        ({"location": None}, "unknown_location"),
        ({"location_id": "LNOWHERE"}, "unknown_location"),
    ],
)
def test_counts_that_are_refused_before_they_are_sent(
    seller: Seller, opened: Opened, record: dict[str, Any], code: str
) -> None:
    change = count(seller, "TEA-100", 5)
    told = put(opened(), "inventory", Change("k", {**change.record, **record}, 1))

    assert told["k"].code == code
    assert told["k"].reason
    assert not seller.calls


def test_two_names_of_one_shelf_do_not_overwrite_each_other(seller: Seller, opened: Opened) -> None:
    first = count(seller, "TEA-100", 5)
    second = Change("other", {**first.record, "quantity": 8}, 1)

    assert verdicts(put(opened(), "inventory", first, second)) == {first.key: "done", "other": "duplicate"}
    assert seller.stock("TEA-100", "渋谷店") == 5


def test_what_is_gone_is_counted_as_nothing(seller: Seller, opened: Opened) -> None:
    seller.receive("TEA-100", "渋谷店", 5)
    change = count(seller, "TEA-100", 5)

    put(opened(), "inventory", Change(change.key, change.record, 2, deleted=True))

    assert seller.stock("TEA-100", "渋谷店") == 0


def test_the_same_number_again_is_a_count_of_its_own(seller: Seller, opened: Opened) -> None:
    put(opened(), "inventory", count(seller, "TEA-100", 5), key="b1")
    sell(seller, "渋谷店", [("TEA-100", 1)])
    put(opened(), "inventory", count(seller, "TEA-100", 5), key="b2")

    assert seller.stock("TEA-100", "渋谷店") == 5


@pytest.mark.parametrize("dated", [True, False])
@pytest.mark.parametrize("kind", ["lost_answer", "cut_body"])
def test_an_answer_that_got_lost_does_not_swallow_the_sale_after_it(
    seller: Seller, opened: Opened, kind: str, dated: bool
) -> None:
    when = {"occurred_at": wire_time(seller.clock() - timedelta(seconds=5))} if dated else {}
    change = count(seller, "TEA-100", 9, **when)
    seller.faults.append(Fault("changes/batch-create", kind, times=99, seconds=0.05))
    call = opened()
    call.http._client.timeout = 0.02  # type: ignore[union-attr]  # lost means: later than we wait

    first = put(call, "inventory", change)
    seller.faults.clear()
    sell(seller, "渋谷店", [("TEA-100", 2)])
    second = put(opened(), "inventory", change, attempt=2)

    assert first[change.key].verdict is Verdict.RETRY
    assert second[change.key].verdict is Verdict.DONE
    assert seller.stock("TEA-100", "渋谷店") == 7
    counts = [e for entries in seller.ledger.entries.values() for e in entries if e.kind == "PHYSICAL_COUNT"]
    assert len(counts) == 1


def test_a_rest_of_a_batch_is_known_again_at_the_third_attempt(seller: Seller, opened: Opened) -> None:
    changes = [count(seller, "TEA-100", 5), count(seller, "CUP-1", 5)]
    put(opened(), "inventory", changes[0], key="b1")  # written in the first attempt, answer lost
    put(opened(), "inventory", *changes, key="b1", attempt=2)  # the rest goes under another key
    seller.calls.clear()

    told = put(opened(), "inventory", *changes, key="b1", attempt=3)

    assert set(verdicts(told).values()) == {"done"}
    assert not [path for path, _ in seller.calls if path.endswith("batch-create")]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["sale", "count", "again"]), st.sampled_from(["", "429", "500", "cut_body"])
        ),
        max_size=8,
    )
)
@hypothesis_settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_counts_and_sales_balance_whatever_the_wire_does(
    server: Any, opened: Opened, steps: list[tuple[str, str]]
) -> None:
    """The hub counts what it knows; each count is settled before the next, as the hub sends one delivery at a time."""
    from sandbox.square import Limits, create_app

    seller = Seller(limits=Limits(pace=5000))
    server.seller, server.app = seller, create_app(seller)
    expected, number = 20, 0
    seller.receive("TEA-100", "渋谷店", 20)
    for step, fault in steps:
        if step == "sale":
            sell(seller, "渋谷店", [("TEA-100", 1)])
            expected -= 1
            continue
        if step == "count":
            expected, number = 30 + number, number + 1
        change = count(seller, "TEA-100", expected)
        if fault:
            seller.faults.append(Fault("changes/batch-create", fault))
        attempt, settled = 1, False
        while not settled:
            told = put(opened(), "inventory", change, key=f"b{len(seller.calls)}-{number}", attempt=attempt)
            settled, attempt = told[change.key].verdict is Verdict.DONE, attempt + 1
        seller.faults.clear()

    assert seller.stock("TEA-100", "渋谷店") == expected


# ---------------------------------------------------------------- products

TEA = {
    "name": "新茶", "description": "<p>一番茶です。</p>", "tax_percentage": "8",
    "variations": [
        {"sku": "SHIN-50", "name": "50g", "price_money": {"amount": 1200}, "upc": "4901234567894"},
        {"sku": "SHIN-100", "name": "100g", "price_money": {"amount": 2200}},
    ],
}  # fmt: skip


def item_of(seller: Seller, sku: str) -> dict[str, Any]:
    return seller.catalog[seller.catalog[seller.variation(sku)]["item_variation_data"]["item_id"]]


def test_a_new_product_stands_in_the_catalogue(seller: Seller, opened: Opened) -> None:
    told = put(opened(), "products", Change("P1", TEA, 1))

    item = item_of(seller, "SHIN-50")
    variation = seller.catalog[seller.variation("SHIN-100")]["item_variation_data"]
    tax = seller.catalog[item["item_data"]["tax_ids"][0]]["tax_data"]
    assert told["P1"].external_id == item["id"]
    assert (item["item_data"]["name"], tax["percentage"], tax["inclusion_type"]) == (
        "新茶",
        "8.0",
        "INCLUSIVE",
    )
    assert (variation["price_money"]["amount"], variation["track_inventory"]) == (2200, True)


def test_a_change_keeps_what_it_does_not_name(seller: Seller, opened: Opened) -> None:
    before = item_of(seller, "TEE-AI-M")
    shirt = {"name": "藍染シャツ", "variations": [{"sku": "TEE-AI-M", "price_money": {"amount": 3500}}]}

    told = put(opened(), "products", Change("P1", shirt, 1))

    item = item_of(seller, "TEE-AI-M")
    kept = seller.catalog[seller.variation("TEE-AI-S")]["item_variation_data"]
    assert told["P1"].verdict is Verdict.DONE
    assert (item["item_data"]["name"], item["item_data"]["sort_name"]) == (
        "藍染シャツ",
        "アイゾメティーシャツ",
    )
    assert item["_variations"] == before["_variations"]
    assert (kept["price_money"]["amount"], len(kept["item_option_values"])) == (3300, 2)
    assert (
        seller.catalog[seller.variation("TEE-AI-M")]["item_variation_data"]["price_money"]["amount"] == 3500
    )


def test_a_product_that_is_there_already_is_left_alone(seller: Seller, opened: Opened) -> None:
    put(opened(), "products", Change("P1", TEA, 1), key="b1")
    seller.calls.clear()

    told = put(opened(), "products", Change("P1", TEA, 1), key="b2")

    assert told["P1"].verdict is Verdict.DONE
    assert not [path for path, _ in seller.calls if path.endswith("batch-upsert")]


def test_who_wrote_in_between_wins_and_the_change_is_tried_again(
    seller: Seller, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(opened(), "products", Change("P1", TEA, 1), key="b1")
    call = opened()
    item = item_of(seller, "SHIN-50")
    post = call.http.post

    def meanwhile(path: str, **options: Any) -> Any:
        if path.endswith("batch-upsert"):
            item["version"] = seller.new_version()
        return post(path, **options)

    monkeypatch.setattr(call.http, "post", meanwhile)
    first = put(call, "products", Change("P1", TEA | {"name": "新茶（改）"}, 2), key="b2")
    second = put(opened(), "products", Change("P1", TEA | {"name": "新茶（改）"}, 2), key="b2", attempt=2)

    assert first["P1"].verdict is Verdict.RETRY
    assert second["P1"].verdict is Verdict.DONE
    assert item_of(seller, "SHIN-50")["item_data"]["name"] == "新茶（改）"


def test_one_bad_product_does_not_stop_the_others(seller: Seller, opened: Opened) -> None:
    def product(sku: str, **more: Any) -> dict[str, Any]:
        return {"name": sku, "variations": [{"sku": sku, "price_money": {"amount": 100}}], **more}

    foreign = {"name": "x", "variations": [{"sku": "X-2", "price_money": {"amount": 1, "currency": "USD"}}]}
    changes = {
        "good": product("X-1"), "dollars": foreign, "no tax": product("X-3", tax_percentage="5"),
        "two items": {"name": "x", "variations": [{"sku": "CUP-1"}, {"sku": "TEA-100"}]},
        "unnamed": {"name": "", "variations": [{"sku": "X-4"}]}, "also good": product("X-5"),
        "twice": {"name": "x", "variations": [{"sku": "X-6"}, {"sku": "X-6"}]},
    }  # fmt: skip

    told = put(opened(), "products", *(Change(key, record, 1) for key, record in changes.items()))

    assert verdicts(told) == {
        "good": "done", "also good": "done", "dollars": "invalid_value", "no tax": "unknown_tax",
        "two items": "several_products", "unnamed": "bad_record", "twice": "bad_record",
    }  # fmt: skip
    assert seller.variation("X-1")


def test_a_product_that_is_gone_is_archived(seller: Seller, opened: Opened) -> None:
    put(opened(), "products", Change("P1", TEA, 1))

    told = put(opened(), "products", Change("P1", {"name": "x"}, 2, previous=TEA, deleted=True), key="b2")
    unknown = put(opened(), "products", Change("P2", {"name": "x"}, 2, deleted=True), key="b3")

    assert told["P1"].verdict is Verdict.DONE
    assert item_of(seller, "SHIN-50")["item_data"]["is_archived"] is True
    assert unknown["P2"].code == "unknown_product"


@pytest.mark.parametrize("kind", ["lost_answer", "cut_body", "500"])
def test_a_product_is_made_once(seller: Seller, opened: Opened, kind: str) -> None:
    seller.faults.append(Fault("batch-upsert", kind, times=2, seconds=0))
    call = opened()

    put(call, "products", Change("P1", TEA, 1))
    put(opened(), "products", Change("P1", TEA, 1), attempt=2)

    made = [row for row in seller.catalog.values() if (row.get("item_data") or {}).get("name") == "新茶"]
    assert len(made) == 1


# ---------------------------------------------------------------- customers

HANAKO = {
    "reference_id": "core/C1", "family_name": "見本", "given_name": "花子", "email_address": "hanako@example.jp",
    "phone_number": "09012345678", "address": {"locality": "渋谷区", "postal_code": "1500041", "country": "JP"},
}  # fmt: skip


def test_customers_are_made_then_changed_then_left_alone(seller: Seller, opened: Opened) -> None:
    made = put(opened(), "customers", Change("core/C1", HANAKO, 1), key="b1")
    changed = put(opened(), "customers", Change("core/C1", HANAKO | {"given_name": "華子"}, 2), key="b2")
    seller.calls.clear()
    again = put(opened(), "customers", Change("core/C1", HANAKO | {"given_name": "華子"}, 2), key="b3")

    (profile,) = seller.customers.values()
    assert {made["core/C1"].external_id, changed["core/C1"].external_id} == {profile["id"]}
    assert (profile["given_name"], profile["address"]["locality"], profile["version"]) == (
        "華子",
        "渋谷区",
        1,
    )
    assert again["core/C1"].verdict is Verdict.DONE
    assert not [path for path, _ in seller.calls if "bulk" in path]


def test_a_profile_made_at_the_register_is_found_by_its_address(seller: Seller, opened: Opened) -> None:
    bulk_create(seller, {"customers": {"k": {"email_address": "Hanako@example.jp", "note": "常連"}}})

    put(opened(), "customers", Change("core/C1", HANAKO, 1))

    (profile,) = seller.customers.values()
    assert (profile["reference_id"], profile["note"]) == ("core/C1", "常連")


def test_a_family_may_share_an_address(seller: Seller, opened: Opened) -> None:
    put(opened(), "customers", Change("core/C1", HANAKO, 1), key="b1")
    taro = HANAKO | {"reference_id": "core/C2", "given_name": "太郎"}
    put(opened(), "customers", Change("core/C2", taro, 1), key="b2")

    assert {row["given_name"] for row in seller.customers.values()} == {"花子", "太郎"}


def test_profiles_by_their_id(seller: Seller, opened: Opened) -> None:
    answer = bulk_create(seller, {"customers": {"k": {"family_name": "例"}}})["responses"]["k"]
    profile = answer["customer"]["id"]

    told = put(
        opened(), "customers", Change("pos/1", {"id": profile, "family_name": "例文"}, 1),
        Change("pos/2", {"id": "NOSUCHPROFILE", "family_name": "例"}, 1),
    )  # fmt: skip

    assert verdicts(told) == {"pos/1": "done", "pos/2": "unknown_customer"}
    assert seller.customers[profile]["family_name"] == "例文"


@pytest.mark.parametrize(
    ("record", "code"),
    [
        ({"reference_id": "core/C1"}, "bad_record"),
        ({"family_name": "例"}, "bad_record"),
        (HANAKO | {"phone_number": "123"}, "bad_record"),
        (HANAKO | {"email_address": "no-address"}, "invalid_email_address"),
    ],
)
def test_customers_that_are_refused(
    seller: Seller, opened: Opened, record: dict[str, Any], code: str
) -> None:
    good = Change("good", HANAKO | {"reference_id": "core/C9"}, 1)

    assert verdicts(put(opened(), "customers", Change("k", record, 1), good)) == {"k": code, "good": "done"}


def test_ambiguous_and_deleted_customers_are_for_a_person(seller: Seller, opened: Opened) -> None:
    bulk_create(seller, {"customers": {k: {"email_address": "hanako@example.jp"} for k in "ab"}})

    told = put(opened(), "customers", Change("c1", HANAKO, 1), Change("c2", HANAKO, 2, deleted=True))

    assert verdicts(told) == {"c1": "ambiguous_customer", "c2": "not_deleted"}


@pytest.mark.parametrize("path", ["bulk-create", "bulk-update"])
@pytest.mark.parametrize("kind", ["cut_body", "500"])
def test_a_customer_is_written_once(seller: Seller, opened: Opened, path: str, kind: str) -> None:
    if path == "bulk-update":
        put(opened(), "customers", Change("core/C1", HANAKO, 1), key="b0")
    seller.faults.append(Fault(path, kind))
    wanted = HANAKO | {"given_name": "華子"}

    first = put(opened(), "customers", Change("core/C1", wanted, 2))
    second = put(opened(), "customers", Change("core/C1", wanted, 2), attempt=2)

    assert first["core/C1"].verdict in (Verdict.DONE, Verdict.RETRY)
    assert second["core/C1"].verdict is Verdict.DONE
    assert [row["given_name"] for row in seller.customers.values()] == ["華子"]


# ---------------------------------------------------------------- all of them


@pytest.mark.parametrize("sink", ["inventory", "products", "customers"])
def test_a_dead_server_is_for_later(seller: Seller, opened: Opened, sink: str) -> None:
    seller.faults.append(Fault("/v2/", "500", times=10_000))
    record = {"inventory": count(seller, "TEA-100", 5).record, "products": TEA, "customers": HANAKO}[sink]

    try:
        told = put(opened(), sink, Change("k", record, 1))
    except Retry:
        return
    assert told["k"].verdict is Verdict.RETRY


def test_our_own_writes_are_told_as_events_too(seller: Seller, opened: Opened) -> None:
    seller.postman = Postman(Subscription("http://127.0.0.1:9/x"))

    put(opened(), "inventory", count(seller, "TEA-100", 5))
    put(opened(), "products", Change("P1", TEA, 1))
    put(opened(), "customers", Change("core/C1", HANAKO, 1))

    assert seller.postman.waiting == 3
