"""Products, stock and shipments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st
from pydantic import TypeAdapter, ValidationError
from stdnum import ean

from canonical_model import Product, Shipment, StockPosition
from canonical_model.product import Gtin, gtin_check_digit
from canonical_model.stock import available

digits = st.text("0123456789", min_size=7, max_size=13).filter(lambda text: len(text) in (7, 11, 12, 13))


@settings(deadline=None, max_examples=200)
@given(digits)
def test_check_digits_are_those_of_gs1(body: str) -> None:
    assert str(gtin_check_digit(body)) == ean.calc_check_digit(body)
    whole = body + ean.calc_check_digit(body)
    assert TypeAdapter(Gtin).validate_python(whole) == whole


@settings(deadline=None, max_examples=200)
@given(digits, st.integers(0, 13), st.integers(1, 9))
def test_one_wrong_digit_is_always_found(body: str, place: int, by: int) -> None:
    whole = body + ean.calc_check_digit(body)
    place %= len(whole)
    wrong = whole[:place] + str((int(whole[place]) + by) % 10) + whole[place + 1 :]
    assert not ean.is_valid(wrong)
    with pytest.raises(ValidationError, match="wrong check digit"):
        TypeAdapter(Gtin).validate_python(wrong)


@pytest.mark.parametrize(
    "value", ["", "490123456", "49012345678901234", "４９０１２３４５６７８９４", "4901234-67894"]
)
def test_what_is_no_jan_is_refused(value: str) -> None:
    with pytest.raises(ValidationError, match="JAN/GTIN has 8"):
        TypeAdapter(Gtin).validate_python(value)


def test_two_variants_may_not_share_a_sku() -> None:
    with pytest.raises(ValidationError, match="same SKU"):
        Product.model_validate(
            {"key": "p", "code": "p", "name": "x", "variants": [{"sku": "A"}, {"sku": "A"}]}
        )


@pytest.mark.parametrize(
    ("on_hand", "allocated", "expected"),
    [(10, 3, 7), (3, 10, 0), (None, 3, 0), (10, None, 10), (None, None, 0), (-5, 0, 0)],
)
def test_available_units(on_hand: int | None, allocated: int | None, expected: int) -> None:
    assert available(on_hand, allocated) == expected
    if on_hand is not None and allocated is not None:
        position = StockPosition(key="A@main", sku="A", location="main", on_hand=on_hand, allocated=allocated)
        assert position.available == expected


@pytest.mark.parametrize(
    ("changes", "moved", "arrived"),
    [
        ({"shipped_on": None}, False, False),
        ({}, True, False),
        ({"shipped_on": None, "delivered_at": "2026-11-23T00:00:00Z"}, True, True),
        ({"status": "instructed"}, False, False),
        ({"status": "delivered"}, True, True),
        ({"status": "returned", "delivered_at": "2026-11-23T00:00:00Z"}, True, False),
        ({"status": "cancelled"}, False, False),
    ],
)
def test_a_shipment_tells_whether_its_goods_moved_and_arrived(
    shipment: Callable[..., Shipment], changes: dict[str, Any], moved: bool, arrived: bool
) -> None:
    found = shipment("s1", [{"sku": "A", "quantity": 1}], **changes)
    assert (found.moved, found.arrived) == (moved, arrived)
