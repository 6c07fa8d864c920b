"""What the mapping language cannot say: sums over an order, concatenated lists. Pure functions.

Vendure's amounts are whole minor units, discounts are negative, tax rates are percentages. Which price fields carry
tax stands in their names; the ones used here do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

__all__ = [
    "amount",
    "charges",
    "discounts",
    "facet",
    "gross",
    "payment",
    "percentage",
    "quantity",
    "standing_units",
    "street",
    "taxes",
    "totals",
    "tracking_codes",
]

Record = Mapping[str, Any]
Money = dict[str, Any]

_PAID = ("Settled", "Authorized")


def _money(value: int, currency: str | None, **tax: Any) -> Money:
    money: Money = {"amount": value, **{name: told for name, told in tax.items() if told is not None}}
    return money if currency in (None, "JPY") else money | {"currency": currency}


def _rate(percent: Any) -> str | None:
    """10 -> "0.1", 8 -> "0.08"."""
    return None if percent is None else format((Decimal(str(percent)) / 100).normalize() + 0, "f")


def amount(value: int | None, currency: str | None) -> Money | None:
    """An amount in minor units for which tax has no meaning (a payment)."""
    return None if value is None else _money(value, currency)


def gross(value: int | None, currency: str | None, percent: float | None = None) -> Money | None:
    """A tax-included amount in minor units."""
    return None if value is None else _money(value, currency, tax_included=True, tax_rate=_rate(percent))


def percentage(rate: Any) -> float | None:
    """A tax rate as Vendure counts it: "0.08" -> 8."""
    return None if rate is None else float(Decimal(str(rate)) * 100)


def facet(values: Sequence[Record] | None, codes: Sequence[str]) -> str | None:
    """The name of the first facet value whose facet has one of these codes or names."""
    for value in values or ():
        if value["facet"]["code"] in codes or value["facet"]["name"] in codes:
            return str(value["name"])
    return None


# ---------------------------------------------------------------- orders in


def quantity(line: Record) -> dict[str, int]:
    """Units of a line. `quantity` falls when units are cancelled; an order changed later may ask for more."""
    ordered = max(line["orderPlacedQuantity"], line["quantity"])
    return {"ordered": ordered, "cancelled": ordered - line["quantity"]}


def charges(order: Record) -> list[dict[str, Any]]:
    """Shipping and positive surcharges, tax included."""
    currency = order["currencyCode"]
    found = [
        {
            "kind": "shipping",
            "amount": gross(line["priceWithTax"], currency),
            "name": line["shippingMethod"]["name"],
        }
        for line in order["shippingLines"]
        if line["priceWithTax"]
    ]
    found += [
        {
            "kind": "other",
            "amount": gross(surcharge["priceWithTax"], currency, surcharge["taxRate"]),
            "name": surcharge["description"],
        }
        for surcharge in order["surcharges"]
        if surcharge["priceWithTax"] > 0
    ]
    return found


def discounts(order: Record) -> list[dict[str, Any]]:
    """Promotions over the whole order, and negative surcharges. Amounts are positive.

    `order.discounts` holds those of lines and shipping too, summed by promotion: lines therefore get none. The shipping
    that a cancelled order gives back is written as a discount too; it is none.
    """
    currency = order["currencyCode"]
    coupon = order["couponCodes"][0] if len(order["couponCodes"]) == 1 else None
    found = []
    for discount in order["discounts"]:
        if discount["amountWithTax"] and discount["adjustmentSource"] != "CANCEL_ORDER":
            one = {
                "kind": "coupon" if coupon else "campaign",
                "amount": gross(-discount["amountWithTax"], currency),
                "borne_by": "shop",
                "name": discount["description"],
            }
            found.append(one | {"code": coupon} if coupon else one)
    found += [
        {
            "kind": "manual",
            "amount": gross(-surcharge["priceWithTax"], currency, surcharge["taxRate"]),
            "borne_by": "shop",
            "name": surcharge["description"],
        }
        for surcharge in order["surcharges"]
        if surcharge["priceWithTax"] < 0
    ]
    return found


def taxes(order: Record) -> list[dict[str, Any]]:
    """Tax by rate, highest first; Vendure lists goods and shipping of one rate apart."""
    base: dict[str, int] = {}
    tax: dict[str, int] = {}
    for part in order["taxSummary"]:
        rate = _rate(part["taxRate"]) or "0"
        base[rate] = base.get(rate, 0) + part["taxBase"]
        tax[rate] = tax.get(rate, 0) + part["taxTotal"]
    currency = order["currencyCode"]
    return [
        {
            "rate": rate,
            "taxable": _money(base[rate], currency, tax_included=False, tax_rate=rate),
            "tax": _money(tax[rate], currency),
        }
        for rate in sorted(base, key=Decimal, reverse=True)
        if base[rate] or tax[rate]
    ]


def totals(order: Record) -> dict[str, Money]:
    """The order's figures. A cancelled order has only zeros in Vendure; it keeps what it came to by its lines."""
    currency = order["currencyCode"]
    cancelled = order["state"] == "Cancelled"
    goods = sum(
        line["unitPriceWithTax"] * (quantity(line)["ordered"] if cancelled else line["quantity"])
        for line in order["lines"]
    )
    charged = sum(charge["amount"]["amount"] for charge in charges(order))
    off = sum(discount["amount"]["amount"] for discount in discounts(order))
    total = goods + charged - off if cancelled else order["totalWithTax"]
    found = {"goods": goods, "charges": charged, "discounts": off, "total": total, "payable": total}
    figures = {name: _money(figure, currency, tax_included=True) for name, figure in found.items()}
    if not cancelled:
        figures["tax"] = _money(sum(part["taxTotal"] for part in order["taxSummary"]), currency)
    return figures


def payment(order: Record) -> str | None:
    """Code of the payment method: of the payment that holds, else of the last one tried."""
    tried = order["payments"] or ()
    good = [one["method"] for one in tried if one["state"] in _PAID]
    held = good or [one["method"] for one in tried[-1:]]
    return str(held[0]) if held else None


# ---------------------------------------------------------------- records out


def standing_units(line: Record) -> int:
    """Units of a line that are still wanted."""
    units = line.get("quantity") or {}
    return int(units.get("ordered", 0)) - int(units.get("cancelled", 0))


def street(address: Record | None) -> str | None:
    """Everything between the city and the building, as Japan writes it."""
    if not address:
        return None
    parts = [address.get("town"), address.get("street"), *(address.get("lines") or ())]
    return "".join(part for part in parts if part) or None


def tracking_codes(parcels: Sequence[Record] | None) -> str | None:
    """The parcels' numbers, comma between them; Vendure has one field."""
    return (
        ",".join(parcel["tracking_number"] for parcel in parcels or () if parcel.get("tracking_number"))
        or None
    )
