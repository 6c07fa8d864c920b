"""The sums of an order, as Square makes them for a seller in Japan.

Inclusive tax is part of the price; `gross_sales_money` is told without it (OpenAPI, OrderLineItem). A discount on the
order is shared out over its lines. Tax is computed once for each tax of the order and shared out over the lines that
bear it; Square does not publish its rounding, here it is half to even.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

__all__ = ["money", "settle", "whole"]

Row = dict[str, Any]


def money(amount: int) -> Row:
    return {"amount": amount, "currency": "JPY"}


def whole(value: Decimal) -> int:
    """Whole yen, half to even."""
    return int(value.quantize(Decimal(1), rounding=ROUND_HALF_EVEN))


def settle(order: Row) -> None:
    """Fill every sum of the order from prices, quantities, discounts, charges and taxes, in place."""
    lines: Sequence[Row] = order.get("line_items") or ()
    gross = {line["uid"]: _gross(line) for line in lines}
    off = _discounts(order, lines, gross)
    charges: Sequence[Row] = order.get("service_charges") or ()
    _charges(charges, sum(gross.values()) - sum(off.values()))
    taxed = _taxes(order, lines, charges, {uid: gross[uid] - off[uid] for uid in gross})
    for line in lines:
        uid = line["uid"]
        inclusive, additive = taxed[uid]
        line["gross_sales_money"] = money(gross[uid] - inclusive)
        line["total_tax_money"] = money(inclusive + additive)
        line["total_discount_money"] = money(off[uid])
        line["total_money"] = money(gross[uid] - off[uid] + additive)
        line["total_service_charge_money"] = money(0)
    for charge in charges:
        inclusive, additive = taxed[charge["uid"]]
        charge["total_tax_money"] = money(inclusive + additive)
        charge["total_money"] = money(charge["applied_money"]["amount"] + additive)
    tip = order.get("total_tip_money", money(0))["amount"]
    order["total_tax_money"] = money(sum(sum(parts) for parts in taxed.values()))
    order["total_discount_money"] = money(sum(off.values()))
    order["total_service_charge_money"] = money(sum(c["applied_money"]["amount"] for c in charges))
    order["total_tip_money"] = money(tip)
    parts = [row["total_money"]["amount"] for row in (*lines, *charges)]
    order["total_money"] = money(sum(parts) + tip)
    order["net_amounts"] = {
        "total_money": order["total_money"],
        "tax_money": order["total_tax_money"],
        "discount_money": order["total_discount_money"],
        "tip_money": order["total_tip_money"],
        "service_charge_money": order["total_service_charge_money"],
    }


def _gross(line: Row) -> int:
    quantity = Decimal(line["quantity"])
    base = whole(line["base_price_money"]["amount"] * quantity)
    line["variation_total_price_money"] = money(base)
    for modifier in line.get("modifiers") or ():
        each = modifier["base_price_money"]["amount"] * Decimal(modifier.get("quantity", "1"))
        modifier["total_price_money"] = money(whole(each * quantity))
        base += modifier["total_price_money"]["amount"]
    return base


def _discounts(order: Row, lines: Sequence[Row], gross: Mapping[str, int]) -> dict[str, int]:
    off = dict.fromkeys(gross, 0)
    for discount in order.get("discounts") or ():
        whole_order = discount["scope"] == "ORDER"
        bearing = [line for line in lines if whole_order or discount["uid"] in line.pop("_discounts", ())]
        left = {line["uid"]: gross[line["uid"]] - off[line["uid"]] for line in bearing}
        if "percentage" in discount:
            amount = whole(sum(left.values()) * Decimal(discount["percentage"]) / 100)
        else:
            amount = min(discount["amount_money"]["amount"], sum(left.values()))
        discount["applied_money"] = money(amount)
        for line, share in zip(bearing, _shares(amount, list(left.values())), strict=True):
            off[line["uid"]] += share
            applied = {"uid": f"{discount['uid']}-{line['uid']}", "discount_uid": discount["uid"]}
            line.setdefault("applied_discounts", []).append({**applied, "applied_money": money(share)})
    return off


def _charges(charges: Sequence[Row], goods: int) -> None:
    for charge in charges:
        if "percentage" in charge:
            charge["applied_money"] = money(whole(goods * Decimal(charge["percentage"]) / 100))
        else:
            charge["applied_money"] = charge["amount_money"]


def _taxes(
    order: Row, lines: Sequence[Row], charges: Sequence[Row], net: Mapping[str, int]
) -> dict[str, tuple[int, int]]:
    """What each line and charge bears: (inside the price, on top)."""
    rows = [*lines, *charges]
    base = {**net, **{charge["uid"]: charge["applied_money"]["amount"] for charge in charges}}
    taxed = dict.fromkeys(base, (0, 0))
    for tax in order.get("taxes") or ():
        rate = Decimal(tax["percentage"]) / 100
        inside = tax["type"] == "INCLUSIVE"
        bearing = [
            row
            for row in rows
            if tax["uid"] in (applied["tax_uid"] for applied in row.get("applied_taxes") or ())
        ]
        total = sum(base[row["uid"]] for row in bearing)
        amount = whole(total * (rate / (1 + rate) if inside else rate))
        tax["applied_money"] = money(amount)
        for row, share in zip(bearing, _shares(amount, [base[row["uid"]] for row in bearing]), strict=True):
            inclusive, additive = taxed[row["uid"]]
            taxed[row["uid"]] = (inclusive + share, additive) if inside else (inclusive, additive + share)
            for applied in row["applied_taxes"]:
                if applied["tax_uid"] == tax["uid"]:
                    applied["applied_money"] = money(share)
    return taxed


def _shares(amount: int, weights: Sequence[int]) -> list[int]:
    """`amount` shared out by weight, to the yen (largest remainder)."""
    total = sum(weights)
    if not weights or not total:
        return [0] * len(weights)
    shares = [amount * weight // total for weight in weights]
    rest = sorted(range(len(weights)), key=lambda n: (-(amount * weights[n] % total), n))
    for n in rest[: amount - sum(shares)]:
        shares[n] += 1
    return shares
