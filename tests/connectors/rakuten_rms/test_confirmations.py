"""Order confirmations into the stand-in, and the account check."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from connectors.contract import Batch, Call, Change, Misconfigured, Refused, Verdict
from connectors.rakuten_rms import connector
from sandbox.rakuten import Fault, Shop

Opened = Callable[..., Call[Any]]
confirm = connector.sinks["confirmations"].run


def batch_of(*numbers: str) -> Batch:
    return Batch([Change(f"rakuten/{n}", {"orderNumber": n}, version=1) for n in numbers], "batch-1")


def test_orders_are_confirmed_and_confirming_twice_is_success(shop: Shop, opened: Opened) -> None:
    shop.screening = timedelta(hours=1)
    made = shop.take_orders(3, scene="plain")

    first = list(confirm(opened(), batch_of(*made)))
    second = list(confirm(opened(), batch_of(*made)))

    assert {o.verdict for o in first + second} == {Verdict.DONE}
    assert {shop.orders[number]["orderProgress"] for number in made} == {200}
    assert all(o.notes for o in second)
    assert not any(o.notes for o in first)


def test_confirmed_orders_come_out_of_screening(shop: Shop, opened: Opened) -> None:
    made = shop.take_orders(1, scene="plain")

    list(confirm(opened(), batch_of(*made)))
    list(connector.sources["orders"].run(opened(), None))

    assert shop.orders[made[0]]["orderProgress"] == 300
    assert shop.orders[made[0]]["orderFixDatetime"]


@pytest.mark.parametrize(
    ("scene", "code"),
    [
        ("cancelled", "ORDER_EXT_API_CONFIRM_ORDER_ERROR_102"),
        ("not_fixed", "ORDER_EXT_API_CONFIRM_ORDER_ERROR_105"),
    ],
)
def test_what_rms_does_not_confirm_is_refused_alone(
    shop: Shop, opened: Opened, scene: str, code: str
) -> None:
    good, bad = shop.take_orders(1, scene="plain")[0], shop.take_orders(1, scene=scene)[0]

    outcomes = {o.key: o for o in confirm(opened(), batch_of(bad, good))}

    assert outcomes[f"rakuten/{good}"].verdict is Verdict.DONE
    assert (outcomes[f"rakuten/{bad}"].verdict, outcomes[f"rakuten/{bad}"].code) == (Verdict.REFUSED, code)


def test_a_lost_answer_is_repeated_and_counts_as_done(shop: Shop, opened: Opened) -> None:
    made = shop.take_orders(2, scene="plain")
    shop.faults.append(Fault("confirmOrder", "cut_body"))

    outcomes = list(confirm(opened(), batch_of(*made)))

    assert {o.verdict for o in outcomes} == {Verdict.DONE}


def test_a_request_that_is_wrong_as_a_whole_is_refused(opened: Opened) -> None:
    with pytest.raises(Refused, match="orderNumberList"):
        list(confirm(opened(), batch_of(*(f"n{n}" for n in range(101)))))


def test_check_tells_orders_and_the_license_key(shop: Shop, opened: Opened) -> None:
    shop.take_orders(2, spread=timedelta(hours=1))
    assert connector.check_function is not None

    said = connector.check_function(opened())

    assert "2 orders" in said
    assert "license key ends" in said
    assert "WARNING" not in said


def test_check_warns_two_weeks_ahead(shop: Shop, opened: Opened) -> None:
    shop.license_expires = shop.clock() + timedelta(days=14)
    assert connector.check_function is not None

    said = connector.check_function(opened())

    assert "WARNING" in said
    assert "13日" in said


def test_check_without_the_license_function_still_works(shop: Shop, opened: Opened) -> None:
    shop.functions.discard("license")
    assert connector.check_function is not None

    assert "有効になっていません" in connector.check_function(opened())


def test_check_of_a_wrong_key_says_what_to_do_and_hides_the_key(shop: Shop, opened: Opened) -> None:
    assert connector.check_function is not None

    with pytest.raises(Misconfigured, match="GA0001") as error:
        connector.check_function(opened(license_key="SL_wrong_key_1234"))
    assert "SL_wrong_key_1234" not in str(error.value)
