"""What the mapping language cannot say: sums over a receipt, taxes found by their uid. Pure functions.

Square's amounts are whole numbers in the currency's smallest unit, quantities are decimal texts. Whether a price holds
its tax is told by the tax (INCLUSIVE, ADDITIVE) and not by the price. Facts: Square's OpenAPI (2025-08-20), Order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import ROUND_FLOOR, Decimal
from typing import Any

from canonical_model.product import gtin_check_digit

__all__ = [
    "amount",
    "charges",
    "gtin",
    "line_discounts",
    "listed",
    "order_discounts",
    "percentage",
    "price",
    "quantity",
    "street",
    "taxes",
    "totals",
    "unit_price",
    "units",
]

Record = Mapping[str, Any]
Money = dict[str, Any]


def _money(value: int, currency: str | None, **tax: Any) -> Money:
    money: Money = {"amount": value, **{name: told for name, told in tax.items() if told is not None}}
    return money if currency in (None, "JPY") else money | {"currency": currency}


def _rate(percentages: Iterable[Any]) -> str:
    """["10.0"] -> "0.1"."""
    whole = sum((Decimal(str(each)) for each in percentages if each is not None), Decimal(0))
    return format((whole / 100).normalize() + 0, "f")


def _amount(money: Record | None) -> int:
    return int((money or {}).get("amount") or 0)


def amount(money: Record | None) -> Money | None:
    """An amount for which tax has no meaning (a payment)."""
    return None if money is None else _money(_amount(money), money.get("currency"))


def units(quantity: str | None) -> int | None:
    """Whole units of a count ("5", "-2"); of goods counted in parts of a unit only the whole ones can be promised."""
    return None if quantity is None else int(Decimal(quantity).to_integral_value(ROUND_FLOOR))


# ---------------------------------------------------------------- catalogue


def price(money: Record | None, found: Sequence[Record] | None) -> Money | None:
    """A catalogue price with what the item's taxes (`{percentage, inclusion_type}`) say about it.

    An item without tax is taken for untaxed (rate 0): Square puts every tax on the item.
    """
    if money is None:
        return None
    on = [tax for tax in found or () if tax.get("enabled", True)]
    inside = all(tax.get("inclusion_type") == "INCLUSIVE" for tax in on)
    rate = _rate(tax.get("percentage") for tax in on)
    return _money(_amount(money), money.get("currency"), tax_included=inside, tax_rate=rate)


def gtin(upc: str | None) -> str | None:
    """The UPC if it is a JAN/GTIN; shops also keep codes of their own there, which are none."""
    if not upc or not upc.isascii() or not upc.isdigit() or len(upc) not in (8, 12, 13, 14):
        return None
    return upc if gtin_check_digit(upc[:-1]) == int(upc[-1]) else None


# ---------------------------------------------------------------- receipts


def _applied(row: Record, order: Record) -> list[Record]:
    """The order's taxes that a line or service charge bears."""
    known = {tax.get("uid"): tax for tax in order.get("taxes") or ()}
    found = [known.get(applied.get("tax_uid")) for applied in row.get("applied_taxes") or ()]
    return [tax for tax in found if tax is not None]


def _taxed(value: int, row: Record, order: Record) -> Money:
    on = _applied(row, order)
    inside = all(tax.get("type") == "INCLUSIVE" for tax in on)
    rate = _rate(tax.get("percentage") for tax in on)
    return _money(value, _currency(order), tax_included=inside, tax_rate=rate)


def _currency(order: Record) -> str | None:
    told = (order.get("total_money") or {}).get("currency")
    return None if told is None else str(told)


def _whole(line: Record) -> int | None:
    """The quantity, if it is a number of pieces."""
    given = Decimal(str(line["quantity"]))
    return int(given) if given == given.to_integral_value() and not line.get("quantity_unit") else None


def quantity(line: Record) -> int:
    """Pieces of a line; what is sold by weight or length is one piece, its measure stands in the traits."""
    pieces = _whole(line)
    return 1 if pieces is None else pieces


def unit_price(line: Record, order: Record) -> Money:
    """One piece with its modifiers, before discounts; tax as the line's taxes say."""
    modifiers = line.get("modifiers") or ()
    if _whole(line) is None:
        parts = [_amount(line.get("variation_total_price_money"))]
        parts += [_amount(modifier.get("total_price_money")) for modifier in modifiers]
        return _taxed(sum(parts), line, order)
    each = _amount(line.get("base_price_money"))
    for modifier in modifiers:
        each += int(_amount(modifier.get("base_price_money")) * Decimal(str(modifier.get("quantity") or "1")))
    return _taxed(each, line, order)


def line_discounts(line: Record, order: Record) -> list[dict[str, Any]]:
    """Discounts of this line alone; those of the whole order are told once, by `order_discounts`."""
    known = {each.get("uid"): each for each in order.get("discounts") or ()}
    found = []
    for applied in line.get("applied_discounts") or ():
        discount = known.get(applied.get("discount_uid")) or {}
        if discount.get("scope") != "ORDER" and _amount(applied.get("applied_money")):
            found.append(_discount(discount, _amount(applied["applied_money"]), order))
    return found


def order_discounts(order: Record) -> list[dict[str, Any]]:
    """Discounts of the whole receipt, and a rounding in the buyer's favour."""
    found = [
        _discount(each, _amount(each.get("applied_money")), order)
        for each in order.get("discounts") or ()
        if each.get("scope") == "ORDER" and _amount(each.get("applied_money"))
    ]
    rounding = _amount((order.get("rounding_adjustment") or {}).get("amount_money"))
    if rounding < 0:
        found.append({"kind": "other", "amount": _money(-rounding, _currency(order)), "borne_by": "shop"})
    return found


def _discount(discount: Record, value: int, order: Record) -> dict[str, Any]:
    kind = (
        "coupon"
        if discount.get("reward_ids")
        else "campaign"
        if discount.get("pricing_rule_id")
        else "manual"
    )
    told: dict[str, Any] = {"kind": kind, "amount": _money(value, _currency(order)), "borne_by": "shop"}
    return told | {"name": discount["name"]} if discount.get("name") else told


def charges(order: Record) -> list[dict[str, Any]]:
    """Service charges, tip, rounding; and the tax that comes on top, where a receipt has taxes of both kinds.

    (With tax inside some prices and on top of others, the receipt's tax is no longer what is added to the prices.)
    """
    currency = _currency(order)
    found = [
        {
            "kind": "handling",
            "amount": _taxed(_amount(charge.get("applied_money")), charge, order),
            "name": charge.get("name"),
        }
        for charge in order.get("service_charges") or ()
        if _amount(charge.get("applied_money"))
    ]
    tip = _amount(order.get("total_tip_money"))
    if tip:
        found.append({"kind": "other", "amount": _money(tip, currency), "name": "チップ"})
    rounding = _amount((order.get("rounding_adjustment") or {}).get("amount_money"))
    if rounding > 0:
        found.append({"kind": "other", "amount": _money(rounding, currency), "name": "端数調整"})
    kinds = {tax.get("type") for tax in order.get("taxes") or ()}
    if {"INCLUSIVE", "ADDITIVE"} <= kinds:
        added = sum(_amount(t.get("applied_money")) for t in order["taxes"] if t.get("type") == "ADDITIVE")
        found.append({"kind": "tax", "amount": _money(added, currency), "name": "外税"})
    return found


def taxes(order: Record) -> list[dict[str, Any]]:
    """Tax by rate and kind, highest rate first, as Square computed it; `taxable` holds the tax where prices do."""
    currency = _currency(order)
    rows = [*(order.get("line_items") or ()), *(order.get("service_charges") or ())]
    groups: dict[tuple[str, bool], list[int]] = {}
    for tax in order.get("taxes") or ():
        inside = tax.get("type") == "INCLUSIVE"
        group = groups.setdefault((_rate([tax.get("percentage")]), inside), [0, 0])
        group[1] += _amount(tax.get("applied_money"))
        for row in rows:
            if tax.get("uid") in {applied.get("tax_uid") for applied in row.get("applied_taxes") or ()}:
                group[0] += _amount(row.get("total_money"))
                group[0] -= 0 if inside else _amount(row.get("total_tax_money"))
    return [
        {
            "rate": rate,
            "taxable": _money(groups[rate, inside][0], currency, tax_included=inside, tax_rate=rate),
            "tax": _money(groups[rate, inside][1], currency),
        }
        for rate, inside in sorted(groups, key=lambda key: (Decimal(key[0]), key[1]), reverse=True)
    ]


def totals(order: Record) -> dict[str, Money]:
    """The receipt's figures: goods before discounts, charges, discounts, tax, and what was to be paid."""
    currency = _currency(order)
    goods = sum(unit_price(line, order)["amount"] * quantity(line) for line in order.get("line_items") or ())
    off = [each for line in order.get("line_items") or () for each in line_discounts(line, order)]
    off += order_discounts(order)
    total = _amount(order.get("total_money"))
    figures = {
        "goods": goods,
        "charges": sum(charge["amount"]["amount"] for charge in charges(order)),
        "discounts": sum(discount["amount"]["amount"] for discount in off),
        "tax": _amount(order.get("total_tax_money")),
        "total": total,
        "payable": total,
    }
    return {name: _money(figure, currency) for name, figure in figures.items()}


# ---------------------------------------------------------------- records out


def listed(name: str | None, names: str | None) -> bool:
    """Whether a location is one of those named in a system's constant ("store-shibuya store-umeda")."""
    return name in (names or "").replace(",", " ").split()


def percentage(rate: Any) -> str | None:
    """A tax rate as Square writes it: "0.08" -> "8"."""
    return None if rate is None else format((Decimal(str(rate)) * 100).normalize() + 0, "f")


def street(address: Record | None) -> str | None:
    """Everything between the city and the building, as Japan writes it."""
    if not address:
        return None
    parts = [address.get("town"), address.get("street"), *(address.get("lines") or ())]
    return "".join(part for part in parts if part) or None
