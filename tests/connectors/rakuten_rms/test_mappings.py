"""Mappings held against the stand-in: every kind of order, each version of getOrder, and the road back into RMS."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, strategies as st

from canonical_model import Customer, Listing, Order
from canonical_model.codes import BorneBy, Confirmation
from connectors.contract import Batch, Call, Change, Verdict
from connectors.rakuten_rms import connector
from mappings import RecordFaults, load_mapping
from mappings.rakuten_rms.functions import charges, payable, total
from mappings.samples import Sample, differences, find_samples
from sandbox.rakuten import Shop
from sandbox.rakuten.order_api import as_version
from sandbox.rakuten.scenes import SCENES

Opened = Callable[..., Call[Any]]
CONTEXT = {"system": {"id": "rakuten-main", "channel": "rakuten"}}
ORDERS = load_mapping("rakuten_rms/orders.in")


SAMPLES = [sample for sample in find_samples() if sample.mapping.startswith("rakuten_rms/")]


def taken(scene: str, seed: int = 7) -> dict[str, Any]:
    shop = Shop(seed=seed)
    (number,) = shop.take_orders(1, scene=scene)
    return shop.orders[number]


def mapped(record: dict[str, Any]) -> Order:
    return Order.model_validate(ORDERS.to_entity(record, CONTEXT))


@pytest.mark.parametrize("sample", SAMPLES, ids=str)
def test_sample_pairs_hold(sample: Sample) -> None:
    assert differences(sample) == []


@pytest.mark.parametrize("version", [3, 7, 10])
@pytest.mark.parametrize("scene", SCENES)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_order_becomes_one_whose_figures_agree_to_the_yen(scene: str, version: int, seed: int) -> None:
    record = as_version(taken(scene, seed), version)

    order = mapped(record)

    assert order.differences() == ()
    assert order.key == f"rakuten/{record['orderNumber']}"
    assert Customer.model_validate(
        load_mapping("rakuten_rms/customers.in").to_entity(record, CONTEXT)
    ).key == (order.customer_key)


@pytest.mark.parametrize(
    ("progress", "confirmation"),
    [(100, "pending"), (200, "held"), (300, "confirmed"), (400, "held"), (500, "confirmed"), (600, "confirmed"),
     (700, "confirmed"), (800, "held"), (900, "cancelled")],
)  # fmt: skip
def test_progress_says_whether_the_order_stands(progress: int, confirmation: str) -> None:
    assert mapped(taken("plain") | {"orderProgress": progress}).confirmation is Confirmation(confirmation)


def test_amounts_that_are_not_fixed_never_become_money() -> None:
    record = taken("not_fixed")

    order = mapped(record)
    amounts = [money.amount for money in (order.totals.payable, *(c.amount for c in order.charges))]

    assert not order.amounts_final
    assert order.totals.total is None
    assert -9999 not in amounts
    assert order.totals.payable.amount == sum(line.gross for line in order.lines)
    assert order.taxes == ()


def test_a_social_gift_is_not_ready_until_its_receiver_is_known() -> None:
    waiting = taken("social_gift")
    known = taken("plain")

    assert not mapped(waiting).recipients[0].ready
    assert mapped(waiting).recipients[0].party.address is None
    assert mapped(known).recipients[0].ready


def test_each_coupon_says_who_bears_it() -> None:
    bearers = [d.borne_by for line in mapped(taken("points_and_maker_coupon")).lines for d in line.discounts]

    assert bearers == [BorneBy.MAKER, BorneBy.PLATFORM]


def test_skus_are_the_same_words_in_orders_and_listings() -> None:
    shop = Shop()
    shop.take_orders(40)
    known = {
        Listing.model_validate(
            load_mapping("rakuten_rms/listings.in").to_entity(
                {
                    "id": f"{number}/{variant_id}",
                    "manageNumber": number,
                    "variantId": variant_id,
                    "variant": variant,
                    "item": item,
                },
                CONTEXT,
            )
        ).sku
        for number, item in shop.items.items()
        for variant_id, variant in item["variants"].items()
    }

    assert {line.sku for record in shop.orders.values() for line in mapped(record).lines} <= known


@given(st.integers(7, 23), st.integers(1, 17))
def test_delivery_hours_are_read_from_their_number(start: int, length: int) -> None:
    end = min(start + length, 24)
    record = taken("plain") | {"shippingTerm": int(f"{start}{end:02d}")}

    assert mapped(record).recipients[0].delivery.slot == f"{start:02d}00-{end:02d}00"


@pytest.mark.parametrize(
    ("term", "slot"), [(0, None), (1, "morning"), (2, "afternoon"), (9, None), (None, None)]
)
def test_delivery_words_are_read_from_their_number(term: int | None, slot: str | None) -> None:
    assert mapped(taken("plain") | {"shippingTerm": term}).recipients[0].delivery.slot == slot


def test_a_payment_nobody_knows_is_refused_with_its_number() -> None:
    record = taken("plain")
    record["SettlementModel"]["settlementMethodCode"] = 99

    with pytest.raises(RecordFaults) as refused:
        ORDERS.to_entity(record, CONTEXT)
    (fault,) = refused.value.faults
    assert (fault.code, fault.column, fault.value) == (
        "unknown_code",
        "SettlementModel.settlementMethodCode",
        "99",
    )
    assert fault.reason_ja


def test_charges_follow_the_order_where_its_packages_say_otherwise() -> None:
    record = taken("plain")
    record["deliveryPrice"] = 440

    assert [c["amount"]["amount"] for c in charges(record) if c["kind"] == "cod_fee"] == [440]
    assert total(record) == record["totalPrice"] + 440
    assert payable(record) == record["requestPrice"]


def test_a_reported_shipment_goes_through_mapping_and_sink_into_the_shop(shop: Shop, opened: Opened) -> None:
    (number,) = shop.take_orders(1, scene="several_recipients")
    shop.orders[number]["orderProgress"] = 300
    order = mapped(shop.orders[number])
    mapping = load_mapping("rakuten_rms/shipments.out")
    changes = []
    for at, recipient in enumerate(order.recipients):
        shipment = {
            "key": f"{order.key}#{recipient.id}",
            "order_key": order.key,
            "recipient_id": recipient.id,
            "lines": [{"sku": "x", "quantity": 1}],
            "parcels": [{"tracking_number": f"40001111000{at}", "carrier": "yamato"}],
            "shipped_on": "2026-11-21",
        }
        out = mapping.from_entity(shipment, CONTEXT, {"order": order.model_dump(mode="json")})
        assert out is not None
        changes.append(Change(out.key, out.record, version=1))

    outcomes = list(connector.sinks["shipments"].run(opened(), Batch(changes, "b")))

    assert {o.verdict for o in outcomes} == {Verdict.DONE}
    assert shop.orders[number]["orderProgress"] == 500
    assert [
        [row["shippingNumber"] for row in package["ShippingModelList"]]
        for package in shop.orders[number]["PackageModelList"]
    ] == [["400011110000"], ["400011110001"], ["400011110002"]]
