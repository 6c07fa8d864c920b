"""What the mapping files of RMS cannot say: sums over several places of an order. Pure functions of the record.

`-9999` means "not fixed yet" everywhere in an order and is never money.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

__all__ = ["UNFIXED", "charges", "payable", "total"]

UNFIXED = -9999
_WRAPPINGS = ("WrappingModel1", "WrappingModel2")

Order = Mapping[str, Any]
Money = dict[str, Any]


def charges(order: Order) -> list[dict[str, Any]]:
    """Everything paid beside the goods, tax included: postage and COD fee by recipient, payment fees, wrapping."""
    found = [
        *_by_package(order, "postagePrice", "postageTaxRate", "shipping"),
        # deliveryPrice is the COD fee (代引料), whatever its name says
        *_by_package(order, "deliveryPrice", "deliveryTaxRate", "cod_fee"),
    ]
    fee = _fixed(order.get("paymentCharge"))
    if fee:
        found.append({"kind": "payment_fee", "amount": _money(fee, order.get("paymentChargeTaxRate"))})
    extra = _fixed(order.get("additionalFeeOccurAmountToUser"))
    if extra:
        found.append({"kind": "payment_fee", "amount": _money(extra, None), "name": "後払い手数料"})
    found += _wrapping(order)
    return found


def _by_package(order: Order, amount: str, rate: str, kind: str) -> Iterator[dict[str, Any]]:
    packages = [
        package for package in order.get("PackageModelList") or () if package.get("packageDeleteFlag") != 1
    ]
    shares = [_fixed(package.get(amount)) for package in packages]
    whole = _fixed(order.get(amount))
    if whole is not None and whole != sum(share or 0 for share in shares):
        # the order's own figure is the one its totals are made of
        if whole:
            yield {"kind": kind, "amount": _money(whole, packages[0].get(rate) if packages else None)}
        return
    for package, share in zip(packages, shares, strict=True):
        if share:
            yield {
                "kind": kind,
                "amount": _money(share, package.get(rate)),
                "recipient_id": str(package.get("basketId")),
            }


def _wrapping(order: Order) -> Iterator[dict[str, Any]]:
    for name in _WRAPPINGS:
        wrapping = order.get(name)
        if not wrapping or wrapping.get("deleteWrappingFlag") == 1:
            continue
        price = _fixed(wrapping.get("price"))
        if not price:
            continue
        rate = wrapping.get("taxRate")
        if wrapping.get("includeTaxFlag") != 1:
            price = int(price * (1 + Decimal(str(rate or 0))))
        yield {"kind": "wrapping", "amount": _money(price, rate), "name": wrapping.get("name")}


def total(order: Order) -> int | None:
    """総合計（税込）, yen: what the order comes to before points. None while a part is not fixed.

    totalPrice - couponAllTotalPrice + deliveryPrice + paymentCharge + additionalFeeOccurAmountToUser, as the
    reference of getOrder gives it.
    """
    names = ("totalPrice", "deliveryPrice", "paymentCharge", "additionalFeeOccurAmountToUser")
    parts = [order.get(name) or 0 for name in names]
    if UNFIXED in parts:
        return None
    return sum(parts) - (_fixed(order.get("couponAllTotalPrice")) or 0)


def payable(order: Order) -> int:
    """What the buyer pays, yen. While RMS says "not fixed", the parts that are: no less than this will be paid."""
    told = _fixed(order.get("requestPrice"))
    if told is not None:
        return told
    goods = sum(
        (line.get("priceTaxIncl") or line.get("price") or 0) * (line.get("units") or 0)
        for package in order.get("PackageModelList") or ()
        for line in package.get("ItemModelList") or ()
    )
    paid_beside = sum(charge["amount"]["amount"] for charge in charges(order))
    coupons = _fixed(order.get("couponAllTotalPrice")) or 0
    points = (order.get("PointModel") or {}).get("usedPoint") or 0
    return int(goods + paid_beside - coupons - points)


def _fixed(amount: Any) -> int | None:
    return None if amount is None or amount == UNFIXED else int(amount)


def _money(amount: int, rate: Any) -> Money:
    money: Money = {"amount": amount, "tax_included": True}
    return money if rate is None else money | {"tax_rate": str(rate)}
