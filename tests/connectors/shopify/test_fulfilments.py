"""Shipments and cancellations into the stand-in: never made twice, whatever gets lost."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from connectors.contract import Batch, Call, Change, Misconfigured, Outcome, Retry, Verdict
from connectors.shopify import connector
from sandbox.shopify import Fault, Shop

Opened = Callable[..., Call[Any]]
sink = connector.sinks["fulfilments"]
cancel = connector.sinks["cancellations"].run


def order_of(shop: Shop, scene: str = "mixed_tax") -> dict[str, Any]:
    (name,) = shop.take_orders(1, scene=scene)
    return next(order for order in shop.orders.values() if order["name"] == name)


def record(order: dict[str, Any], numbers: list[str] | None = None, **units: int) -> dict[str, Any]:
    lines = [
        {
            "lineItemId": line["id"],
            "sku": line["sku"],
            "quantity": units.get(line["sku"], line["currentQuantity"]),
        }
        for line in order["lineItems"]
        if line["sku"]
    ]
    told = {"orderId": order["id"], "lines": lines, "company": "Yamato (JA)"}
    return told | ({"numbers": numbers} if numbers is not None else {"numbers": ["123456789012"]})


def batch(*changes: Change, attempt: int = 1) -> Batch:
    return Batch(changes, "b1", attempt)


def change(record: dict[str, Any], key: str = "s1", **more: Any) -> Change:
    return Change(key, record, version=1, **more)


def one(outcomes: Any) -> Outcome:
    (outcome,) = outcomes
    assert isinstance(outcome, Outcome)
    return outcome


def test_a_shipment_becomes_a_fulfilment(shop: Shop, opened: Opened) -> None:
    order = order_of(shop)
    outcome = one(sink.run(opened(), batch(change(record(order)))))

    (made,) = order["fulfillments"]
    assert (outcome.verdict, outcome.external_id) == (Verdict.DONE, made["id"])
    assert [(i["company"], i["number"]) for i in made["trackingInfo"]] == [("Yamato (JA)", "123456789012")]
    assert order["displayFulfillmentStatus"] == "FULFILLED"
    assert (
        shop.levels[order["lineItems"][0]["variant"]["inventoryItem"]["id"], shop.main_place].committed == 0
    )


def test_an_order_is_found_by_its_name_and_lines_by_their_sku(shop: Shop, opened: Opened) -> None:
    order = order_of(shop)
    told = record(order) | {"orderName": order["name"]}
    del told["orderId"]
    told["lines"] = [
        {"sku": line["sku"], "lineItemId": "7", "quantity": line["quantity"]} for line in told["lines"]
    ]
    assert one(sink.run(opened(), batch(change(told)))).verdict is Verdict.DONE
    unknown = one(sink.run(opened(), batch(change(told | {"orderName": "#99"}))))
    assert unknown.code == "unknown_order"


def test_the_same_shipment_is_not_made_twice(shop: Shop, opened: Opened) -> None:
    order = order_of(shop)
    for attempt in (1, 2, 3):
        outcome = one(sink.run(opened(), batch(change(record(order)), attempt=attempt)))
        assert outcome.external_id == order["fulfillments"][0]["id"]
    assert len(order["fulfillments"]) == 1


def test_a_lost_answer_is_asked_for_and_not_sent_again(shop: Shop, opened: Opened) -> None:
    order = order_of(shop)
    shop.faults.append(Fault("CreateFulfilment", "cut_body"))
    assert one(sink.run(opened(), batch(change(record(order))))).verdict is Verdict.RETRY
    assert len(order["fulfillments"]) == 1

    assert sink.ask is not None
    told = one(sink.ask(opened(), batch(change(record(order)), attempt=2)))
    assert (told.verdict, told.external_id) == (Verdict.DONE, order["fulfillments"][0]["id"])
    assert shop.calls.count("CreateFulfilment") == 1


def test_ask_says_nothing_of_what_is_not_there(shop: Shop, opened: Opened) -> None:
    order = order_of(shop)
    assert sink.ask is not None
    assert list(sink.ask(opened(), batch(change(record(order)), attempt=2))) == []
    assert list(sink.ask(opened(), batch(change({"nonsense": 1}), attempt=2))) == []


def test_part_shipments_add_up(shop: Shop, opened: Opened) -> None:
    order = order_of(shop)
    first, second = (line["sku"] for line in order["lineItems"])
    one(sink.run(opened(), batch(change(record(order, ["111"], **{second: 0})))))
    assert order["displayFulfillmentStatus"] == "PARTIALLY_FULFILLED"
    one(sink.run(opened(), batch(change(record(order, ["222"], **{first: 0}), "s2"))))
    assert order["displayFulfillmentStatus"] == "FULFILLED"
    assert [made["trackingInfo"][0]["number"] for made in order["fulfillments"]] == ["111", "222"]
    again = one(sink.run(opened(), batch(change(record(order, ["333"], **{first: 0}), "s3"))))
    assert again.code == "nothing_open"


def test_without_tracking_numbers_only_a_second_attempt_is_taken_for_the_same(
    shop: Shop, opened: Opened
) -> None:
    order = order_of(shop, "many_lines")
    sku = order["lineItems"][0]["sku"]
    told = {"orderId": order["id"], "lines": [{"sku": sku, "quantity": 1}], "numbers": []}
    room = sum(line["currentQuantity"] for line in order["lineItems"] if line["sku"] == sku)
    one(sink.run(opened(), batch(change(told))))
    one(sink.run(opened(), batch(change(told), attempt=2)))
    assert len(order["fulfillments"]) == 1
    another = one(sink.run(opened(), batch(change(told, "s2"))))
    assert another.verdict is (Verdict.DONE if room > 1 else Verdict.REFUSED)
    assert len(order["fulfillments"]) == (2 if room > 1 else 1)


def test_two_lines_of_one_sku_are_filled_one_after_the_other(shop: Shop, opened: Opened) -> None:
    order = order_of(shop, "many_lines")
    total: dict[str, int] = {}
    for line in order["lineItems"]:
        total[line["sku"]] = total.get(line["sku"], 0) + line["currentQuantity"]
    assert len(total) < len(order["lineItems"])
    told = {
        "orderId": order["id"],
        "lines": [{"sku": sku, "quantity": units} for sku, units in total.items()],
        "numbers": ["1"],
    }
    assert one(sink.run(opened(), batch(change(told)))).verdict is Verdict.DONE
    assert order["displayFulfillmentStatus"] == "FULFILLED"


def test_units_of_two_places_leave_in_two_fulfilments(shop: Shop, opened: Opened) -> None:
    order = order_of(shop)
    held = order["_fulfilment_orders"][0]
    second = sorted(shop.places)[1]
    moved = {**held, "id": held["id"] + "9", "_place": second, "_lines": [held["_lines"].pop()],
             "assignedLocation": {"location": shop.places[second]}}  # fmt: skip
    order["_fulfilment_orders"].append(moved)
    shop.stock_item(moved["_lines"][0]["lineItem"]["variant"]["inventoryItem"]["id"], second, 0).committed = 9

    shop.faults.append(Fault("CreateFulfilment", "500", times=0))
    outcome = one(sink.run(opened(), batch(change(record(order)))))
    assert outcome.verdict is Verdict.DONE
    assert len(order["fulfillments"]) == 2
    # the same again, and a correction of the number, reach both
    one(sink.run(opened(), batch(change(record(order)), attempt=2)))
    one(sink.run(opened(), batch(change(record(order, ["999"]), external_id=outcome.external_id))))
    assert [made["trackingInfo"][0]["number"] for made in order["fulfillments"]] == ["999", "999"]


def test_a_corrected_tracking_number_changes_the_fulfilment(shop: Shop, opened: Opened) -> None:
    order = order_of(shop)
    made = one(sink.run(opened(), batch(change(record(order, ["111"]))))).external_id
    fixed = one(sink.run(opened(), batch(change(record(order, ["112", "113"]), external_id=made))))
    assert fixed.external_id == made
    assert [i["number"] for i in order["fulfillments"][0]["trackingInfo"]] == ["112", "113"]
    sku = order["lineItems"][0]["sku"]
    other = one(sink.run(opened(), batch(change(record(order, ["114"], **{sku: 0}), external_id=made))))
    assert other.code == "fulfilment_differs"


def test_what_cannot_be_shipped_says_why(shop: Shop, opened: Opened) -> None:
    held = order_of(shop)
    held["_fulfilment_orders"][0]["status"] = "ON_HOLD"
    gone = order_of(shop)
    stopped = record(gone)
    shop.cancel(gone, "CUSTOMER", restock=False)
    fine = order_of(shop)
    too_many = record(fine)
    too_many["lines"][0]["quantity"] += 5
    strange = record(fine) | {"lines": [{"sku": "NOT-ORDERED", "quantity": 1}]}
    changes = [
        change(record(held), "held"),
        change(stopped, "gone"),
        change(record(gone), "empty"),
        change(too_many, "many"),
        change(strange, "strange"),
        change({"orderId": fine["id"]}, "bad"),
        Change("deleted", record(fine), version=2, deleted=True),
        change(record(fine), "fine"),
    ]
    outcomes = {o.key: o for o in sink.run(opened(), batch(*changes))}
    assert {key: o.code for key, o in outcomes.items()} == {
        "held": "on_hold", "gone": "order_cancelled", "empty": "nothing_to_ship", "many": "nothing_open",
        "strange": "unknown_line", "bad": "bad_record", "deleted": "not_deleted", "fine": None,
    }  # fmt: skip


def test_throttling_of_a_write_that_must_happen_once_is_waited_for(
    shop: Shop, opened: Opened, waits: list[float]
) -> None:
    order = order_of(shop)
    seconds = [0.0]
    shop.bucket.pace, shop.bucket.clock = 1.0, lambda: seconds[0]
    shop.faults.append(Fault("CreateFulfilment", "throttled"))

    def wait(span: float) -> None:
        waits.append(span)
        seconds[0] += span

    call = opened()
    limiter: Any = call.http._limiter
    limiter._sleep, limiter._now = wait, shop.clock  # the shop's time passes while the call waits
    assert one(sink.run(call, batch(change(record(order))))).verdict is Verdict.DONE

    assert len(order["fulfillments"]) == 1
    assert 0.09 < sum(waits) < 0.2  # a mutation costs ten points, a hundred come back each second


def test_a_dead_shop_is_a_retry(shop: Shop, opened: Opened) -> None:
    order = order_of(shop)
    shop.faults.append(Fault("OrderShipping", "500", times=99))
    assert one(sink.run(opened(), batch(change(record(order))))).verdict is Verdict.RETRY


def test_a_missing_scope_stops_the_account(shop: Shop, opened: Opened) -> None:
    order = order_of(shop)
    shop.scopes.discard("write_merchant_managed_fulfillment_orders")
    with pytest.raises(Misconfigured):
        list(sink.run(opened(), batch(change(record(order)))))


# ---------------------------------------------------------------- cancellations


def test_an_order_is_cancelled_once(shop: Shop, opened: Opened) -> None:
    order = order_of(shop)
    told = change({"orderId": order["id"], "reason": "INVENTORY", "note": "欠品"})
    for attempt in (1, 2):
        assert one(cancel(opened(), batch(told, attempt=attempt))).verdict is Verdict.DONE
    assert order["cancelReason"] == "INVENTORY"
    assert shop.calls.count("CancelOrder") == 1


@pytest.mark.parametrize("restock", [True, False])
def test_stock_comes_back_only_where_the_settings_say_so(restock: bool, shop: Shop, opened: Opened) -> None:
    before = shop.available("TEA-100")
    order = shop.sell("TEA-100", 3)
    assert order is not None
    one(cancel(opened(restock_cancelled=restock), batch(change({"orderId": order["id"]}))))
    assert shop.available("TEA-100") == (before if restock else before - 3)


def test_a_cancellation_under_way_is_looked_at_again(shop: Shop, opened: Opened, clock: Any) -> None:
    shop.cancelling = timedelta(seconds=10)
    order = order_of(shop)
    told = change({"orderId": order["id"]})
    assert one(cancel(opened(), batch(told))).verdict is Verdict.RETRY
    clock.pass_(seconds=11)
    assert one(cancel(opened(), batch(told, attempt=2))).verdict is Verdict.DONE
    assert shop.calls.count("CancelOrder") == 1


def test_an_order_with_parcels_is_not_cancelled(shop: Shop, opened: Opened) -> None:
    order = order_of(shop)
    one(sink.run(opened(), batch(change(record(order)))))
    assert one(cancel(opened(), batch(change({"orderId": order["id"]})))).code == "already_shipped"
    assert one(cancel(opened(), batch(change({"orderId": order["id"], "reason": "x"})))).code == "bad_record"
    assert one(cancel(opened(), batch(change({"orderName": "#1"})))).code == "unknown_order"


def test_a_lost_answer_of_a_cancellation_is_a_retry(shop: Shop, opened: Opened) -> None:
    order = order_of(shop)
    shop.faults.append(Fault("CancelOrder", "cut_body"))
    assert one(cancel(opened(), batch(change({"orderId": order["id"]})))).verdict is Verdict.RETRY
    assert one(cancel(opened(), batch(change({"orderId": order["id"]}), attempt=2))).verdict is Verdict.DONE


def test_retry_is_what_the_sink_tells_and_not_raises(shop: Shop, opened: Opened) -> None:
    order = order_of(shop)
    shop.faults.append(Fault("CreateFulfilment", "500"))
    try:
        outcome = one(sink.run(opened(), batch(change(record(order)))))
    except Retry:  # pragma: no cover
        pytest.fail("one change's trouble must not end the batch")
    assert outcome.verdict is Verdict.RETRY
