"""Orders: what they refuse, and their figures held against their lines."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st
from pydantic import ValidationError

from canonical_model import Order
from canonical_model.arithmetic import Rounding
from canonical_model.codes import BorneBy

OrderBuilder = Callable[..., Order]


def line(number: int, units: int, price: int, **changes: Any) -> dict[str, Any]:
    unit_price = {"amount": price, "tax_included": True, "tax_rate": changes.pop("rate", "0.1")}
    base = {"id": str(number), "sku": f"S{number}", "name": "x", "quantity": {"ordered": units}}
    return {**base, "unit_price": unit_price, **changes}


def test_a_line_goes_to_a_recipient_of_the_order(order: OrderBuilder) -> None:
    with pytest.raises(ValidationError, match="recipient '9', who is not on the order"):
        order(lines=[line(1, 1, 100, recipient_id="9")])


def test_two_lines_may_not_have_one_id(order: OrderBuilder) -> None:
    with pytest.raises(ValidationError, match="same id"):
        order(lines=[line(1, 1, 100), line(1, 2, 100)])


def test_an_order_that_adds_up_has_no_differences(order: OrderBuilder) -> None:
    assert order().differences() == ()


def test_a_figure_that_is_off_by_a_yen_is_named(order: OrderBuilder) -> None:
    totals = {"goods": {"amount": 2501}, "total": {"amount": 3100}, "payable": {"amount": 3100}}
    (found,) = order(totals=totals).differences()
    assert (found.figure, found.told, found.computed, found.amount) == ("goods", 2501, 2500, 1)


def test_discounts_points_and_payable_are_held_against_each_other(order: OrderBuilder) -> None:
    found = order(
        discounts=[{"kind": "coupon", "amount": {"amount": 100}, "borne_by": "shop"}],
        points=[{"points": 50, "amount": {"amount": 50}}],
        totals={
            "discounts": {"amount": 100},
            "points": {"amount": 50},
            "total": {"amount": 3000},
            "payable": {"amount": 2950},
        },
    )
    assert found.differences() == ()
    assert [d.figure for d in order(points=[{"points": 50, "amount": {"amount": 50}}]).differences()] == [
        "payable"
    ]


def test_tax_on_top_is_part_of_the_total(order: OrderBuilder) -> None:
    price = {"amount": 1000, "tax_included": False, "tax_rate": "0.1"}
    lines = [{"id": "1", "sku": "A", "name": "x", "quantity": {"ordered": 3}, "unit_price": price}]
    net = {"lines": lines, "charges": []}
    assert order(**net, totals={"total": {"amount": 3300}, "payable": {"amount": 3300}}).differences() == ()
    told = {"tax": {"amount": 299}, "total": {"amount": 3299}, "payable": {"amount": 3299}}
    assert order(**net, totals=told).differences() == ()
    as_charge = [{"kind": "tax", "amount": {"amount": 300}}]
    totals = {"total": {"amount": 3300}, "payable": {"amount": 3300}}
    assert order(lines=lines, charges=as_charge, totals=totals).differences() == ()


def test_a_told_tax_is_held_against_the_tax_lines(order: OrderBuilder) -> None:
    taxes = [{"rate": "0.1", "taxable": {"amount": 2600}, "tax": {"amount": 236}}]
    told = {"tax": {"amount": 200}, "payable": {"amount": 3100}}
    assert [(d.figure, d.amount) for d in order(taxes=taxes, totals=told).differences()] == [("tax", -36)]


def test_cancelled_units_are_not_in_the_figures_unless_the_whole_order_was_cancelled(
    order: OrderBuilder,
) -> None:
    lines = [line(1, 3, 100, quantity={"ordered": 3, "cancelled": 1})]
    partly = order(lines=lines, charges=[], totals={"goods": {"amount": 200}, "payable": {"amount": 200}})
    assert partly.differences() == ()
    totals = {"goods": {"amount": 300}, "payable": {"amount": 300}}
    whole = order(lines=lines, charges=[], confirmation="cancelled", totals=totals)
    assert whole.differences() == ()


def test_mixed_currencies_are_refused(order: OrderBuilder) -> None:
    charges = [{"kind": "shipping", "amount": {"amount": 5, "currency": "USD"}}]
    with pytest.raises(ValueError, match="is not in JPY"):
        order(charges=charges).differences()


@settings(deadline=None, max_examples=80)
@given(
    lines=st.lists(
        st.tuples(st.integers(1, 9), st.integers(0, 99_999), st.integers(0, 500)), min_size=1, max_size=6
    ),
    shipping=st.integers(0, 2000),
    coupon=st.integers(0, 3000),
    points=st.integers(0, 3000),
    wrong=st.integers(-3, 3),
)
def test_figures_computed_from_the_lines_never_differ_and_wrong_ones_always_do(
    lines: list[tuple[int, int, int]], shipping: int, coupon: int, points: int, wrong: int
) -> None:
    goods = sum(units * price for units, price, _ in lines)
    off = sum(discount for _, _, discount in lines) + coupon
    total = goods + shipping - off
    built = Order.model_validate(
        {
            "key": "c/1",
            "number": "1",
            "channel": "c",
            "ordered_at": "2026-01-01T00:00:00Z",
            "buyer": {"name": {"full": "x"}},
            "recipients": [{"id": "1", "party": {"name": {"full": "x"}}}],
            "lines": [
                line(n, units, price, discounts=[{"amount": {"amount": discount}}])
                for n, (units, price, discount) in enumerate(lines)
            ],
            "charges": [{"kind": "shipping", "amount": {"amount": shipping}}],
            "discounts": [{"amount": {"amount": coupon}}],
            "points": [{"points": points, "amount": {"amount": points}}],
            "payment": {"method": "card"},
            "totals": {
                "goods": {"amount": goods},
                "charges": {"amount": shipping},
                "discounts": {"amount": off},
                "points": {"amount": points},
                "total": {"amount": total},
                "payable": {"amount": total - points + wrong},
            },
        }
    )
    assert [d.amount for d in built.differences()] == ([wrong] if wrong else [])
    shares = built.discount_shares()
    assert sum(shares.values()) == coupon


def test_discounts_on_the_order_are_shared_out_by_who_bears_them(order: OrderBuilder) -> None:
    discounts = [
        {"amount": {"amount": 100}, "borne_by": "shop"},
        {"amount": {"amount": 50}, "borne_by": "platform"},
    ]
    built = order(discounts=discounts)
    assert built.discount_shares() == {"1": 120, "2": 30}
    assert built.discount_shares(borne_by=frozenset({BorneBy.SHOP})) == {"1": 80, "2": 20}


def test_invoice_taxes_round_once_per_rate(order: OrderBuilder) -> None:
    taxes = order().invoice_taxes()
    assert [(str(t.rate), t.taxable.amount, t.tax.amount) for t in taxes] == [
        ("0.1", 2600, 236),
        ("0.08", 500, 37),
    ]
    up = order().invoice_taxes(Rounding.UP)
    assert [t.tax.amount for t in up] == [237, 38]


def test_a_shop_coupon_lowers_what_is_taxed_and_a_marketplace_coupon_does_not(order: OrderBuilder) -> None:
    shop = order(discounts=[{"amount": {"amount": 310}, "borne_by": "shop"}]).invoice_taxes()
    assert [t.taxable.amount for t in shop] == [2340, 450]
    mall = order(discounts=[{"amount": {"amount": 310}, "borne_by": "platform"}]).invoice_taxes()
    assert [t.taxable.amount for t in mall] == [2600, 500]
    assert sum(t.taxable.amount for t in shop) == 3100 - 310


def test_tax_inside_and_on_top_of_one_rate_is_still_rounded_once(order: OrderBuilder) -> None:
    lines = [line(1, 1, 1105), line(2, 1, 105)]
    lines[1]["unit_price"]["tax_included"] = False
    (tax,) = order(lines=lines, charges=[]).invoice_taxes()
    assert (tax.taxable.amount, tax.taxable.tax_included, tax.tax.amount) == (1210, None, 110)
    assert tax.rate == Decimal("0.1")
