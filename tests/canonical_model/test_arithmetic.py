"""Sums to the yen."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given, settings, strategies as st

from canonical_model import Money
from canonical_model.arithmetic import Rounding, allocate, rounded, sum_by_rate, tax_of

quick = settings(deadline=None, max_examples=150)
rates = st.sampled_from([Decimal(text) for text in ("0", "0.08", "0.1", "0.05", "0.25", "0.0714")])
roundings = st.sampled_from(list(Rounding))
amounts = st.integers(-(10**9), 10**9)


@quick
@given(st.integers(-(10**9), 10**9), st.lists(st.integers(0, 10**7), min_size=1, max_size=20))
def test_an_allocation_loses_nothing_and_is_nowhere_off_by_one(total: int, weights: list[int]) -> None:
    shares = allocate(total, weights)
    assert sum(shares) == total
    whole = sum(weights) or len(weights)
    for share, weight in zip(shares, weights if any(weights) else [1] * len(weights), strict=True):
        assert abs(Fraction(share) - Fraction(total * weight, whole)) < 1
    assert allocate(-total, weights) == tuple(-share for share in shares)


@quick
@given(st.integers(0, 10**6), st.lists(st.integers(1, 1000), min_size=2, max_size=10))
def test_a_heavier_line_never_gets_less(total: int, weights: list[int]) -> None:
    shares = allocate(total, weights)
    ordered = sorted(zip(weights, shares, strict=True))
    assert all(a[1] <= b[1] for a, b in pairwise(ordered) if a[0] < b[0])


@quick
@given(st.integers(1, 10**6), st.lists(st.integers(0, 5), min_size=1, max_size=8))
def test_a_line_worth_nothing_bears_nothing(total: int, weights: list[int]) -> None:
    shares = allocate(total, weights)
    if any(weights):
        assert all(share == 0 for share, weight in zip(shares, weights, strict=True) if weight == 0)


def test_equal_remainders_go_to_the_earlier_lines() -> None:
    assert allocate(100, [1, 1, 1]) == (34, 33, 33)
    assert allocate(-100, [1, 1, 1]) == (-34, -33, -33)
    assert allocate(5, [0, 0]) == (3, 2)


@pytest.mark.parametrize("weights", [[], [1, -1]])
def test_an_allocation_needs_weights(weights: list[int]) -> None:
    with pytest.raises(ValueError, match="weight"):
        allocate(1, weights)


@quick
@given(amounts, rates, roundings, st.booleans())
def test_tax_is_the_exact_one_rounded_once_and_the_same_for_a_refund(
    amount: int, rate: Decimal, how: Rounding, included: bool
) -> None:
    tax = tax_of(amount, rate, included=included, how=how)
    exact = amount * Fraction(rate) / (1 + Fraction(rate)) if included else amount * Fraction(rate)
    assert abs(tax - exact) < 1
    assert tax_of(-amount, rate, included=included, how=how) == -tax
    down = tax_of(amount, rate, included=included)
    up = tax_of(amount, rate, included=included, how=Rounding.UP)
    assert abs(down) <= abs(tax) <= abs(up)


@pytest.mark.parametrize(
    ("value", "down", "half_up", "up"),
    [("5/2", 2, 3, 3), ("-5/2", -2, -3, -3), ("7/3", 2, 2, 3), ("4", 4, 4, 4), ("-1/3", 0, 0, -1)],
)
def test_rounding_acts_on_the_size(value: str, down: int, half_up: int, up: int) -> None:
    exact = Fraction(value)
    assert [rounded(exact, how) for how in (Rounding.DOWN, Rounding.HALF_UP, Rounding.UP)] == [
        down,
        half_up,
        up,
    ]


def test_known_figures() -> None:
    assert tax_of(1100, Decimal("0.1"), included=True) == 100
    assert tax_of(1080, Decimal("0.08"), included=True) == 80
    assert tax_of(999, Decimal("0.1"), included=True) == 90


def money(amount: int, rate: str = "0.1", *, included: bool = False) -> Money:
    return Money(amount=amount, tax_included=included, tax_rate=Decimal(rate))


def test_an_invoice_rounds_once_per_rate_and_not_per_line() -> None:
    (only,) = sum_by_rate([money(3333), money(3333)])
    assert only.tax == 666
    assert 2 * tax_of(3333, Decimal("0.1"), included=False) == 666
    (third,) = sum_by_rate([money(3335), money(3335)])
    assert (third.excluded, third.tax) == (6670, 667)  # two lines of 333 each would lose a yen


def test_rates_are_kept_apart_highest_first() -> None:
    sums = sum_by_rate([money(1080, "0.08", included=True), money(1100, included=True), money(500)])
    assert [(str(one.rate), one.included, one.excluded, one.tax) for one in sums] == [
        ("0.1", 1100, 500, 150),
        ("0.08", 1080, 0, 80),
    ]


@quick
@given(
    st.lists(st.tuples(amounts, st.sampled_from(["0.08", "0.1"]), st.booleans()), max_size=12), st.randoms()
)
def test_the_order_of_lines_does_not_matter(lines: list[tuple[int, str, bool]], random: object) -> None:
    monies = [money(amount, rate, included=included) for amount, rate, included in lines]
    shuffled = list(monies)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert sum_by_rate(monies) == sum_by_rate(shuffled)


def test_an_amount_without_a_rate_or_in_another_currency_is_refused() -> None:
    with pytest.raises(ValueError, match="does not say its tax rate"):
        sum_by_rate([Money(amount=1)])
    with pytest.raises(ValueError, match="two currencies"):
        sum_by_rate([money(1), Money(amount=1, currency="USD", tax_included=True, tax_rate=Decimal("0.1"))])
