"""Sums that must come out to the yen: rounding, tax, and sharing an amount out. Integers in minor units."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from canonical_model.codes import CodeList
from canonical_model.values import Money

__all__ = ["RateSum", "Rounding", "allocate", "rounded", "sum_by_rate", "tax_of"]


class Rounding(CodeList, ja="端数処理", en="Rounding"):
    """What becomes of the part below one minor unit. All three act on the size of an amount: a refund of a whole
    invoice gives back exactly its tax.

    The issuer of an invoice chooses one and keeps to it; most in Japan cut off.
    """

    DOWN = "down", "切捨て", "Cut off"
    HALF_UP = "half_up", "四捨五入", "Round half up"
    UP = "up", "切上げ", "Round up"


def rounded(value: Fraction, how: Rounding = Rounding.DOWN) -> int:
    """`value` as a whole number."""
    size, rest = divmod(abs(value.numerator), value.denominator)
    if (how is Rounding.UP and rest) or (how is Rounding.HALF_UP and 2 * rest >= value.denominator):
        size += 1
    return size if value.numerator >= 0 else -size


def _exact_tax(amount: int, rate: Decimal, included: bool) -> Fraction:
    share = Fraction(rate)
    return amount * (share / (1 + share) if included else share)


def tax_of(amount: int, rate: Decimal, *, included: bool, how: Rounding = Rounding.DOWN) -> int:
    """Consumption tax inside `amount` (included) or on top of it, rounded once.

    From 1,100 yen with tax inside at 0.10 come 100 yen; the net is what is left (rounding the net instead would
    give one yen more).
    """
    return rounded(_exact_tax(amount, rate, included), how)


@dataclass(frozen=True, slots=True)
class RateSum:
    """All amounts of one rate in one invoice, and the tax on them, rounded once.

    included, excluded  sums of the amounts with and without tax inside
    """

    rate: Decimal
    included: int
    excluded: int
    tax: int


def sum_by_rate(amounts: Iterable[Money], how: Rounding = Rounding.DOWN) -> tuple[RateSum, ...]:
    """The amounts of one invoice by rate, highest rate first, with one rounding per rate.

    Rounding every line and adding up is not allowed as the tax of a qualified invoice (適格請求書). Amounts must
    be in one currency and say their rate and whether tax is inside; else ValueError.
    """
    sums: dict[Decimal, list[int]] = {}
    currency: str | None = None
    for money in amounts:
        if money.tax_rate is None or money.tax_included is None:
            raise ValueError(f"{money} does not say its tax rate and whether the tax is inside")
        if currency not in (None, money.currency):
            raise ValueError(f"one invoice, two currencies: {currency} and {money.currency}")
        currency = money.currency
        sums.setdefault(money.tax_rate, [0, 0])[0 if money.tax_included else 1] += money.amount
    result = []
    for rate in sorted(sums, reverse=True):
        included, excluded = sums[rate]
        tax = rounded(_exact_tax(included, rate, True) + _exact_tax(excluded, rate, False), how)
        result.append(RateSum(rate, included, excluded, tax))
    return tuple(result)


def allocate(total: int, weights: Sequence[int]) -> tuple[int, ...]:
    """Share `total` out in proportion to `weights` without losing or making a unit (largest remainder).

    Every share is its exact one rounded up or down; of equal remainders the earlier wins. Where all weights are
    zero the shares are equal. A negative total is shared as its size is. Raises ValueError on no weights or a
    negative one.
    """
    if not weights or min(weights) < 0:
        raise ValueError("needs at least one weight, and none below zero")
    if not any(weights):
        weights = [1] * len(weights)
    whole = sum(weights)
    parts = [divmod(abs(total) * weight, whole) for weight in weights]
    shares = [share for share, _ in parts]
    missing = abs(total) - sum(shares)
    for index in sorted(range(len(parts)), key=lambda i: (-parts[i][1], i))[:missing]:
        shares[index] += 1
    return tuple(shares) if total >= 0 else tuple(-share for share in shares)
