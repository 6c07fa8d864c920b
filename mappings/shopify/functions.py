"""What the mapping language cannot say: decimal amounts, sums over an order, things picked by name. Pure functions.

Shopify writes amounts as decimal text in the currency's major unit ("1100.0" is 1,100 yen). Whether tax is inside is
told once for the whole order or shop.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from canonical_model.product import gtin_check_digit
from canonical_model.values import minor_digits
from mappings.faults import TransformFault

__all__ = [
    "attribute",
    "attributes",
    "charges",
    "discounts",
    "e164",
    "is_goods",
    "is_gtin",
    "line_discounts",
    "mail_consent",
    "metafield",
    "money",
    "other_barcodes",
    "payment",
    "price",
    "quantity",
    "rate",
    "street",
    "taxes",
    "totals",
    "tracking_numbers",
    "units",
]

Record = Mapping[str, Any]
Money = dict[str, Any]

_COD = ("代引", "代金引換", "cash on delivery", "cod手数料")


# ---------------------------------------------------------------- amounts


def price(
    text: str | None, currency: str | None, included: bool | None = None, of: Any = None
) -> Money | None:
    """A decimal amount in major units as a money object in minor units; `of` is a tax rate."""
    if text is None:
        return None
    unit = currency or "JPY"
    try:
        minor = Decimal(str(text)).scaleb(minor_digits(unit))
        amount = int(minor)
    except (InvalidOperation, ValueError, OverflowError):
        minor, amount = Decimal("NaN"), 0
    if amount != minor:
        raise TransformFault(
            "not_in_minor_units",
            ja=f"金額 {text!r} は {unit} の最小単位で表せません。",
            en=f"The amount {text!r} is no whole number of {unit}'s smallest unit.",
            value=str(text),
        )
    told: Money = {"amount": amount, "tax_included": included, "tax_rate": None if of is None else _rate(of)}
    made = {name: value for name, value in told.items() if value is not None}
    return made if unit == "JPY" else made | {"currency": unit}


def money(bag: Record | None, included: bool | None = None, of: Any = None) -> Money | None:
    """The shop's own amount of a MoneyBag; the buyer's currency is left alone."""
    if bag is None:
        return None
    told = bag["shopMoney"]
    return price(told["amount"], told["currencyCode"], included, of)


def rate(tax_lines: Sequence[Record] | None) -> str | None:
    """The tax rate of a line: Japan levies one tax, other countries several at once."""
    found = [line["rate"] for line in tax_lines or () if line["rate"] is not None]
    return _rate(sum(Decimal(str(one)) for one in found)) if found else None


def _rate(of: Any) -> str:
    return format(Decimal(str(of)).normalize() + 0, "f")


def _amount(bag: Record | None) -> int:
    found = money(bag)
    return int(found["amount"]) if found else 0


# ---------------------------------------------------------------- orders in


def attribute(found: Sequence[Record] | None, names: str | Sequence[str] | None) -> str | None:
    """The value of the first attribute that has one of these names."""
    wanted = [names] if isinstance(names, str) else list(names or ())
    for one in found or ():
        if one["key"] in wanted and one["value"]:
            return str(one["value"])
    return None


def attributes(found: Sequence[Record] | None) -> dict[str, Any] | None:
    """Attributes as an object; of two with one name the first stands."""
    told = {str(one["key"]): one["value"] for one in reversed(found or ()) if one["value"]}
    return told or None


def _fees(order: Record) -> list[Record]:
    """Lines that are no goods: added by an app, with nothing to send."""
    return [line for line in order["lineItems"]["nodes"] if not is_goods(line)]


def is_goods(line: Record) -> bool:
    """Whether a line is something sold."""
    return bool(line["sku"] or line["variant"] or line["requiresShipping"])


def _standing(order: Record, line: Record) -> int:
    """Units that count in the order's figures: a cancelled order keeps those it had."""
    return int(line["quantity"] if order["cancelledAt"] else line["currentQuantity"])


def quantity(line: Record, order: Record) -> dict[str, int]:
    """Units of a line. What was taken out of the order or refunded is cancelled."""
    if order["cancelledAt"]:
        return {"ordered": line["quantity"], "cancelled": line["quantity"]}
    return {"ordered": line["quantity"], "cancelled": line["quantity"] - line["currentQuantity"]}


def charges(order: Record) -> list[dict[str, Any]]:
    """Shipping, fees that are lines or additional fees, tips."""
    included = order["taxesIncluded"]
    found: list[dict[str, Any]] = []
    for line in order["shippingLines"]["nodes"]:
        standing = _amount(line["originalPriceSet"]) - _shipping_given_back(line, order)
        if standing > 0:
            cost = (money(line["originalPriceSet"], included, rate(line["taxLines"])) or {}) | {
                "amount": standing
            }
            found.append({"kind": "shipping", "amount": cost, "name": line["title"]})
    for line in _fees(order):
        whole = _amount(line["originalUnitPriceSet"]) * _standing(order, line)
        if whole:
            fee = (money(line["originalUnitPriceSet"], included, rate(line["taxLines"])) or {}) | {
                "amount": whole
            }
            found.append({"kind": _fee_kind(line["title"]), "amount": fee, "name": line["title"]})
    for extra in order["additionalFees"] or ():
        if _amount(extra["price"]):
            fee = money(extra["price"], included, rate(extra["taxLines"])) or {}
            found.append({"kind": _fee_kind(extra["name"]), "amount": fee, "name": extra["name"]})
    if _amount(order["totalTipReceivedSet"]):
        tip = money(order["totalTipReceivedSet"], included, 0) or {}
        found.append({"kind": "other", "amount": tip, "name": "チップ"})
    return found


def _shipping_given_back(line: Record, order: Record) -> int:
    """What was refunded of a shipping line; a cancelled order keeps the figures it had."""
    if order["cancelledAt"]:
        return 0
    return _amount(line["discountedPriceSet"]) - _amount(line["currentDiscountedPriceSet"])


def _fee_kind(title: str | None) -> str:
    folded = unicodedata.normalize("NFKC", title or "").lower()
    return "cod_fee" if any(word in folded for word in _COD) else "handling"


def line_discounts(line: Record, order: Record) -> list[dict[str, Any]]:
    """What each discount takes off a line; nothing where none of its units stand."""
    return _discounts(line["discountAllocations"], order) if _standing(order, line) else []


def discounts(order: Record) -> list[dict[str, Any]]:
    """Discounts on shipping and on fee lines; those on goods stand with their lines."""
    found: list[dict[str, Any]] = []
    for line in order["shippingLines"]["nodes"]:
        if _amount(line["originalPriceSet"]) > _shipping_given_back(line, order):
            found += _discounts(line["discountAllocations"], order)
    for line in _fees(order):
        found += line_discounts(line, order)
    return found


def _discounts(allocations: Sequence[Record], order: Record) -> list[dict[str, Any]]:
    by_index = {one["index"]: one for one in order["discountApplications"]["nodes"]}
    found = []
    for allocation in allocations:
        if not _amount(allocation["allocatedAmountSet"]):
            continue
        source = by_index.get((allocation["discountApplication"] or {}).get("index"), {})
        kind = source.get("__typename")
        one = {
            "kind": {"DiscountCodeApplication": "coupon", "ManualDiscountApplication": "manual"}.get(
                str(kind), "campaign"
            ),
            "amount": money(allocation["allocatedAmountSet"], order["taxesIncluded"]),
            "borne_by": "shop",
            "code": source.get("code"),
            "name": source.get("title"),
        }
        found.append({name: value for name, value in one.items() if value is not None})
    return found


def taxes(order: Record) -> list[dict[str, Any]]:
    """Tax by rate, highest first, as Shopify computed it; what is taxed is summed up from lines and charges."""
    lines = order["taxLines"] if order["cancelledAt"] else order["currentTaxLines"]
    tax: dict[str, int] = {}
    for line in lines:
        if line["rate"] is not None:
            tax[_rate(line["rate"])] = tax.get(_rate(line["rate"]), 0) + _amount(line["priceSet"])
    base = _taxed(order)
    currency = order["currencyCode"]
    return [
        {
            "rate": one,
            "taxable": _minor(base.get(one, 0), currency, order["taxesIncluded"], one),
            "tax": _minor(tax[one], currency),
        }
        for one in sorted(tax, key=Decimal, reverse=True)
    ]


def _taxed(order: Record) -> dict[str, int]:
    base: dict[str, int] = {}

    def add(tax_lines: Sequence[Record], amount: int) -> None:
        of = rate(tax_lines)
        if of is not None:
            base[of] = base.get(of, 0) + amount

    for line in order["lineItems"]["nodes"]:
        standing = _standing(order, line)
        off = sum(_amount(a["allocatedAmountSet"]) for a in line["discountAllocations"]) if standing else 0
        add(line["taxLines"], _amount(line["originalUnitPriceSet"]) * standing - off)
    for line in order["shippingLines"]["nodes"]:
        add(line["taxLines"], _amount(line["discountedPriceSet"]) - _shipping_given_back(line, order))
    for extra in order["additionalFees"] or ():
        add(extra["taxLines"], _amount(extra["price"]))
    return base


def totals(order: Record) -> dict[str, Money]:
    """The order's figures as Shopify tells them: as they stand now, of a cancelled order as they were."""
    cancelled = bool(order["cancelledAt"])
    included, currency = order["taxesIncluded"], order["currencyCode"]
    goods = sum(
        _amount(line["originalUnitPriceSet"]) * _standing(order, line)
        for line in order["lineItems"]["nodes"]
        if is_goods(line)
    )
    charged = sum(charge["amount"]["amount"] for charge in charges(order))
    total = _amount(order["totalPriceSet" if cancelled else "currentTotalPriceSet"])
    off = _amount(order["totalDiscountsSet" if cancelled else "currentTotalDiscountsSet"])
    told: dict[str, Money] = {
        "goods": _minor(goods, currency, included),
        "charges": _minor(charged, currency, included),
        "discounts": _minor(off, currency, included),
        "tax": _minor(_amount(order["totalTaxSet" if cancelled else "currentTotalTaxSet"]), currency),
        "total": _minor(total, currency, True),
        "payable": _minor(total, currency, True),
    }
    return told


def _minor(amount: int, currency: str, included: bool | None = None, of: str | None = None) -> Money:
    told: Money = {"amount": amount}
    if included is not None:
        told["tax_included"] = included
    if of is not None:
        told["tax_rate"] = of
    return told if currency == "JPY" else told | {"currency": currency}


def payment(order: Record) -> str | None:
    """The gateway that pays: of several the one that is no gift card."""
    names = [name for name in order["paymentGatewayNames"] if name]
    return next((name for name in names if name != "gift_card"), names[0] if names else None)


# ---------------------------------------------------------------- goods and people in


def units(quantities: Sequence[Record] | None, name: str, without: Sequence[str] = ()) -> int | None:
    """The quantity of a name ("on_hand"), less those of other names."""
    by_name = {one["name"]: int(one["quantity"]) for one in quantities or ()}
    if name not in by_name:
        return None
    return by_name[name] - sum(by_name.get(other, 0) for other in without)


def metafield(found: Sequence[Record] | None, name: str | None) -> str | None:
    """The value of a metafield by "namespace.key"."""
    for one in found or ():
        if f"{one['namespace']}.{one['key']}" == name:
            return str(one["value"])
    return None


# ---------------------------------------------------------------- records out


def street(address: Record | None) -> str | None:
    """Everything between the city and the building, as Japan writes it."""
    if not address:
        return None
    parts = [address.get("town"), address.get("street"), *(address.get("lines") or ())]
    return "".join(part for part in parts if part) or None


def tracking_numbers(parcels: Sequence[Record] | None) -> list[str]:
    """The parcels' numbers, each once."""
    return list(
        dict.fromkeys(parcel["tracking_number"] for parcel in parcels or () if parcel.get("tracking_number"))
    )


def e164(phone: str | None, country: str | None = None) -> str | None:
    """A telephone number as Shopify takes it: +81312345678. A number that cannot be given so is left out."""
    if not phone:
        return None
    if phone.startswith("+"):
        return phone
    if country in (None, "JP") and phone.startswith("0") and len(phone) in (10, 11):
        return f"+81{phone[1:]}"
    return None


def mail_consent(consents: Sequence[Record] | None) -> dict[str, Any] | None:
    """What the customer said to marketing mail; of two answers the stricter counts."""
    mail = [one for one in consents or () if one.get("channel") == "mail"]
    if not mail:
        return None
    stricter = min(mail, key=lambda one: bool(one.get("granted")))
    told = {"granted": bool(stricter.get("granted"))}
    return told | {"at": stricter["at"]} if stricter.get("at") else told


def is_gtin(barcode: str | None) -> bool:
    """Whether a barcode is a JAN/GTIN: shops also keep their own codes there."""
    text = (barcode or "").strip()
    if not text.isascii() or not text.isdigit() or len(text) not in (8, 12, 13, 14):
        return False
    return gtin_check_digit(text[:-1]) == int(text[-1])


def other_barcodes(variants: Sequence[Record] | None) -> dict[str, str] | None:
    """Barcodes that are no GTIN, by SKU or id."""
    found = {
        str(one["sku"] or one["id"]): str(one["barcode"])
        for one in variants or ()
        if one["barcode"] and not is_gtin(one["barcode"])
    }
    return found or None
