"""Shipping reports into the stand-in: never a second parcel, whatever is lost on the way."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from connectors.contract import Batch, Call, Change, Outcome, Verdict
from connectors.rakuten_rms import connector
from sandbox.rakuten import Fault, Shop

Opened = Callable[..., Call[Any]]
SINK = connector.sinks["shipments"]
YAMATO, SAGAWA = "1001", "1002"


def ready(shop: Shop, count: int = 1, scene: str = "plain") -> list[str]:
    """Orders that wait to be shipped."""
    made = shop.take_orders(count, scene=scene)
    for number in made:
        shop.orders[number]["orderProgress"] = 300
    return made


def report(shop: Shop, number: str, *tracking: str, package: int = 0, **row: Any) -> dict[str, Any]:
    basket = shop.orders[number]["PackageModelList"][package]["basketId"]
    usual = {"deliveryCompany": YAMATO, "shippingDate": "2026-11-21"}
    rows = [usual | {"shippingNumber": one} | row for one in tracking]
    return {"orderNumber": number, "BasketidModelList": [{"basketId": basket, "ShippingModelList": rows}]}


def batch_of(*records: dict[str, Any], attempt: int = 1, previous: dict[str, Any] | None = None) -> Batch:
    changes = [Change(f"k{n}", record, version=1, previous=previous) for n, record in enumerate(records)]
    return Batch(changes, "batch-1", attempt)


def parcels(shop: Shop, number: str, package: int = 0) -> list[tuple[str, str, str]]:
    rows = shop.orders[number]["PackageModelList"][package]["ShippingModelList"]
    return [(row["deliveryCompany"], row["shippingNumber"], row["shippingDate"]) for row in rows]


def deliver(call: Call[Any], batch: Batch) -> dict[str, Outcome]:
    """What the hub does: ask before a second attempt, then send what is not yet settled."""
    found: dict[str, Outcome] = {}
    if batch.attempt > 1:
        assert SINK.ask is not None
        found = {outcome.key: outcome for outcome in SINK.ask(call, batch)}
    left = Batch([c for c in batch if c.key not in found], batch.idempotency_key, batch.attempt)
    return found | ({outcome.key: outcome for outcome in SINK.run(call, left)} if len(left) else {})


def test_a_report_ships_the_order(shop: Shop, opened: Opened) -> None:
    (number,) = ready(shop)

    outcomes = deliver(opened(), batch_of(report(shop, number, "400011112222")))

    assert outcomes["k0"].verdict is Verdict.DONE
    assert outcomes["k0"].external_id == str(
        shop.orders[number]["PackageModelList"][0]["ShippingModelList"][0]["shippingDetailId"]
    )
    assert parcels(shop, number) == [(YAMATO, "400011112222", "2026-11-21")]
    assert shop.orders[number]["orderProgress"] == 500


@pytest.mark.parametrize("kind", ["cut_body", "500", "429"])
def test_a_retry_never_adds_a_second_parcel(shop: Shop, opened: Opened, kind: str) -> None:
    (number,) = ready(shop)
    record = report(shop, number, "400011112222", "400011112233")
    shop.faults.append(Fault("updateOrderShipping/", kind, times=1))

    first = deliver(opened(), batch_of(record))
    second = deliver(opened(), batch_of(record, attempt=2)) if first["k0"].verdict is Verdict.RETRY else first

    assert second["k0"].verdict is Verdict.DONE
    assert [tracking for _, tracking, _ in parcels(shop, number)] == ["400011112222", "400011112233"]


def test_an_answer_that_times_out_after_the_work_was_done_is_found_by_asking(
    shop: Shop, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    (number,) = ready(shop)
    record = report(shop, number, "400011112222")
    shop.faults.append(Fault("updateOrderShipping/", "lost_answer", times=1, seconds=0.6))
    impatient = opened()
    monkeypatch.setattr(impatient.http._client, "timeout", 0.2)

    first = deliver(impatient, batch_of(record))
    assert SINK.ask is not None
    asked = list(SINK.ask(opened(), batch_of(record, attempt=2)))

    assert first["k0"].verdict is Verdict.RETRY
    assert [o.verdict for o in asked] == [Verdict.DONE]
    assert len(parcels(shop, number)) == 1


def test_the_same_report_again_sends_nothing(shop: Shop, opened: Opened) -> None:
    (number,) = ready(shop)
    record = report(shop, number, "4000-1111-2222")
    deliver(opened(), batch_of(record))
    shop.calls.clear()

    outcomes = deliver(opened(), batch_of(report(shop, number, "４０００１１１１２２２２")))

    assert outcomes["k0"].verdict is Verdict.DONE
    assert [path.split("/")[-2] for path in shop.calls] == ["getOrder"]
    assert len(parcels(shop, number)) == 1


def test_a_mended_carrier_or_date_updates_the_row(shop: Shop, opened: Opened) -> None:
    (number,) = ready(shop)
    deliver(opened(), batch_of(report(shop, number, "400011112222")))

    deliver(
        opened(),
        batch_of(report(shop, number, "400011112222", deliveryCompany=SAGAWA, shippingDate="2026-11-22")),
    )

    assert parcels(shop, number) == [(SAGAWA, "400011112222", "2026-11-22")]


def test_a_mended_tracking_number_replaces_the_one_told_before(shop: Shop, opened: Opened) -> None:
    (number,) = ready(shop)
    before = report(shop, number, "400011112222", "400011112233")
    deliver(opened(), batch_of(before))

    deliver(opened(), batch_of(report(shop, number, "400011112222", "400099998888"), previous=before))
    deliver(opened(), batch_of(report(shop, number, "400099998888"), previous=before))

    assert [tracking for _, tracking, _ in parcels(shop, number)] == ["400099998888"]


def test_rows_somebody_added_by_hand_are_left_alone(shop: Shop, opened: Opened) -> None:
    (number,) = ready(shop)
    rows = shop.orders[number]["PackageModelList"][0]["ShippingModelList"]
    rows.append({"shippingDetailId": 1, "shippingNumber": "HAND-1", "deliveryCompany": SAGAWA,
                 "deliveryCompanyName": "佐川急便", "shippingDate": "2026-11-20"})  # fmt: skip

    deliver(opened(), batch_of(report(shop, number, "400011112222")))

    assert [tracking for _, tracking, _ in parcels(shop, number)] == ["HAND-1", "400011112222"]


def test_recipients_of_one_order_go_together_and_it_ships_with_the_last(shop: Shop, opened: Opened) -> None:
    (number,) = ready(shop, scene="several_recipients")
    two = batch_of(report(shop, number, "A1"), report(shop, number, "B1", "B2", package=1))

    outcomes = deliver(opened(), two)
    details = [p["ShippingModelList"] for p in shop.orders[number]["PackageModelList"]]

    assert [o.verdict for o in outcomes.values()] == [Verdict.DONE, Verdict.DONE]
    assert [o.external_id for o in outcomes.values()] == [
        str(rows[0]["shippingDetailId"]) for rows in details[:2]
    ]
    assert shop.orders[number]["orderProgress"] == 300
    deliver(opened(), batch_of(report(shop, number, "C1", package=2)))
    assert shop.orders[number]["orderProgress"] == 500


def test_a_bad_parcel_does_not_hold_back_the_other_recipient(shop: Shop, opened: Opened) -> None:
    (number,) = ready(shop, scene="several_recipients")
    bad = report(shop, number, "①㈱", package=1)

    outcomes = deliver(opened(), batch_of(report(shop, number, "A1"), bad))

    assert outcomes["k0"].verdict is Verdict.DONE
    assert outcomes["k1"].code == "ORDER_EXT_API_UPDATE_ORDERSHIPPING_ERROR_011"
    assert parcels(shop, number, 1) == []


def test_a_date_in_the_wrong_spelling_is_refused_with_the_vendors_words(shop: Shop, opened: Opened) -> None:
    (number,) = ready(shop)

    outcomes = deliver(opened(), batch_of(report(shop, number, "1", shippingDate="2026/11/21")))

    assert outcomes["k0"].verdict is Verdict.REFUSED
    assert "shippingDateの書式が不正です" in (outcomes["k0"].reason or "")


@pytest.mark.parametrize(
    ("progress", "code"),
    [(900, "order_cancelled"), (800, "order_cancelled"), (100, "not_ready"), (200, "not_ready")],
)
def test_orders_that_cannot_be_shipped_now(shop: Shop, opened: Opened, progress: int, code: str) -> None:
    (number,) = ready(shop)
    shop.orders[number] |= {"orderProgress": progress, "_screened_at": None}

    outcomes = deliver(opened(), batch_of(report(shop, number, "1")))

    assert (outcomes["k0"].verdict, outcomes["k0"].code) == (Verdict.REFUSED, code)
    assert parcels(shop, number) == []


def test_unknown_orders_and_baskets_are_refused(shop: Shop, opened: Opened) -> None:
    (number,) = ready(shop)
    unknown = report(shop, number, "1") | {"orderNumber": "502763-20200101-00000001"}
    wrong = report(shop, number, "2")
    wrong["BasketidModelList"][0]["basketId"] = 1

    outcomes = deliver(opened(), batch_of(unknown, wrong))

    assert [o.code for o in outcomes.values()] == ["order_not_found", "basket_not_found"]


def test_a_shipment_that_is_gone_is_not_taken_back(shop: Shop, opened: Opened) -> None:
    (number,) = ready(shop)
    gone = Change("k0", report(shop, number, "1"), version=2, deleted=True)

    (outcome,) = SINK.run(opened(), Batch([gone], "b"))

    assert outcome.code == "cannot_take_back"


def test_what_was_reported_before_the_line_broke_stays_reported(shop: Shop, opened: Opened) -> None:
    made = ready(shop, 3)
    batch = batch_of(*(report(shop, number, f"T{n}") for n, number in enumerate(made)))
    call = opened()
    honest, calls = call.http.post, []

    def breaks(path: str, **options: Any) -> Any:
        calls.append(path)
        if sum("updateOrderShipping/" in one for one in calls) == 2:
            shop.faults.append(Fault("updateOrderShipping/", "500", times=1))
        return honest(path, **options)

    call.http.post = breaks  # type: ignore[method-assign]
    outcomes = deliver(call, batch)

    assert [o.verdict for o in outcomes.values()] == [Verdict.DONE, Verdict.RETRY, Verdict.RETRY]
    second = deliver(opened(), Batch(batch.changes, "batch-1", attempt=2))
    assert {o.verdict for o in second.values()} == {Verdict.DONE}
    assert [len(parcels(shop, number)) for number in made] == [1, 1, 1]


# ---------------------------------------------------------------- many orders at once (updateOrderShippingAsync)


def test_many_orders_go_in_one_request_and_their_results_are_fetched(shop: Shop, opened: Opened) -> None:
    shop.async_delay = timedelta(milliseconds=20)
    made = ready(shop, 30)
    shop.orders[made[4]]["orderProgress"] = 900
    batch = batch_of(*(report(shop, number, f"T{n}") for n, number in enumerate(made)))

    outcomes = deliver(opened(report_in_bulk_from=5), batch)

    assert sum(o.verdict is Verdict.DONE for o in outcomes.values()) == 29
    assert outcomes["k4"].code == "order_cancelled"
    assert sum("updateOrderShippingAsync" in path for path in shop.calls) >= 1
    assert all(len(parcels(shop, number)) == 1 for n, number in enumerate(made) if n != 4)


def test_one_bad_order_of_a_bulk_request_is_refused_and_the_rest_sent_again(
    shop: Shop, opened: Opened
) -> None:
    made = ready(shop, 6)
    records = [report(shop, number, f"T{n}") for n, number in enumerate(made)]
    records[2]["BasketidModelList"][0]["ShippingModelList"][0]["deliveryCompany"] = "佐川急便"

    outcomes = deliver(opened(report_in_bulk_from=2), batch_of(*records))

    assert outcomes["k2"].code == "ORDER_EXT_API_UPDATE_ORDERSHIPPING_ASYNC_ERROR_011"
    assert sum(o.verdict is Verdict.DONE for o in outcomes.values()) == 5


def test_results_that_do_not_come_in_time_are_asked_for_at_the_orders_later(
    shop: Shop, opened: Opened
) -> None:
    shop.async_delay = timedelta(hours=1)
    made = ready(shop, 3)
    batch = batch_of(*(report(shop, number, f"T{n}") for n, number in enumerate(made)))
    call = opened(report_in_bulk_from=2, settle=timedelta(minutes=20))

    first = deliver(call, batch)
    shop.async_delay = timedelta(0)
    shop.jobs[next(iter(shop.jobs))]["due"] = shop.clock().isoformat()
    second = deliver(opened(report_in_bulk_from=2), Batch(batch.changes, "batch-1", attempt=2))

    assert {o.verdict for o in first.values()} == {Verdict.RETRY}
    assert {o.after for o in first.values()} == {timedelta(minutes=20)}
    assert {o.verdict for o in second.values()} == {Verdict.DONE}
    assert [len(parcels(shop, number)) for number in made] == [1, 1, 1]


def test_a_lost_answer_to_a_bulk_request_adds_nothing_twice(shop: Shop, opened: Opened) -> None:
    made = ready(shop, 3)
    batch = batch_of(*(report(shop, number, f"T{n}") for n, number in enumerate(made)))
    shop.faults.append(Fault("updateOrderShippingAsync", "cut_body"))

    first = deliver(opened(report_in_bulk_from=2), batch)
    second = deliver(opened(report_in_bulk_from=2), Batch(batch.changes, "batch-1", attempt=2))

    assert {o.verdict for o in first.values()} == {Verdict.RETRY}
    assert {o.verdict for o in second.values()} == {Verdict.DONE}
    assert [len(parcels(shop, number)) for number in made] == [1, 1, 1]
