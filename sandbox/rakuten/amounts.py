"""The vendor's sums: package, order, tax per rate. `-9999` anywhere makes every sum above it `-9999`.

Grand total incl. tax = totalPrice - coupons + COD fee + payment charge + fee to the buyer; invoice figures
(TaxSummaryModelList) stand per rate, tax rounded down once per rate.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

__all__ = ["UNFIXED", "settle_amounts"]

UNFIXED = -9999


def settle_amounts(order: dict[str, Any]) -> None:
    """Fill every sum of the order from its lines, charges, coupons and points, in place."""
    wrapping = sum(
        _wrapping_with_tax(order[name]) for name in ("WrappingModel1", "WrappingModel2") if order[name]
    )
    for number, package in enumerate(order["PackageModelList"]):
        lines = [line for line in package["ItemModelList"] if not line["deleteItemFlag"]]
        if package["postagePrice"] != UNFIXED and all(line["includePostageFlag"] for line in lines):
            package["postagePrice"] = 0
        package["goodsPrice"] = sum(line["priceTaxIncl"] * line["units"] for line in lines)
        package["goodsPrice"] += wrapping if number == 0 else 0
        package["totalPrice"] = _sum(package["goodsPrice"], package["postagePrice"])
    packages = order["PackageModelList"]
    for name in ("goodsPrice", "postagePrice", "deliveryPrice", "totalPrice"):
        order[name] = _sum(*(package[name] for package in packages))
    coupons = order["CouponModelList"] or []
    order["couponAllTotalPrice"] = sum(coupon["couponTotalPrice"] for coupon in coupons)
    order["couponShopPrice"] = sum(c["couponTotalPrice"] for c in coupons if c["couponCapitalCode"] == 1)
    order["couponOtherPrice"] = order["couponAllTotalPrice"] - order["couponShopPrice"]
    order["requestPrice"] = _sum(
        order["totalPrice"],
        order["deliveryPrice"],
        order["paymentCharge"],
        order["additionalFeeOccurAmountToUser"],
        -order["couponAllTotalPrice"],
        -order["PointModel"]["usedPoint"],
    )
    order["TaxSummaryModelList"] = _tax_summary(order, coupons)


def _sum(*amounts: int) -> int:
    return UNFIXED if UNFIXED in amounts else sum(amounts)


def _wrapping_with_tax(wrapping: dict[str, Any]) -> int:
    if wrapping["deleteWrappingFlag"]:
        return 0
    price: int = wrapping["price"]
    return price if wrapping["includeTaxFlag"] else int(price * (1 + Decimal(str(wrapping["taxRate"]))))


def _tax_summary(order: dict[str, Any], coupons: list[dict[str, Any]]) -> list[dict[str, Any]]:
    totals: dict[float, int] = {}
    coupon_by_rate: dict[float, int] = {}
    unfixed = order["requestPrice"] == UNFIXED
    rate_of = {}
    for package in order["PackageModelList"]:
        for line in package["ItemModelList"]:
            rate_of[line["itemDetailId"]] = line["taxRate"]
            totals[line["taxRate"]] = totals.get(line["taxRate"], 0) + line["priceTaxIncl"] * line["units"]
        for amount, rate_name in (("postagePrice", "postageTaxRate"), ("deliveryPrice", "deliveryTaxRate")):
            if package[amount] > 0:
                totals[package[rate_name]] = totals.get(package[rate_name], 0) + package[amount]
    for name in ("WrappingModel1", "WrappingModel2"):
        if order[name]:
            rate = order[name]["taxRate"]
            totals[rate] = totals.get(rate, 0) + _wrapping_with_tax(order[name])
    for coupon in coupons:
        rate = rate_of[coupon["itemDetailId"]]
        coupon_by_rate[rate] = coupon_by_rate.get(rate, 0) + coupon["couponTotalPrice"]
    rows = []
    for rate in sorted(totals):
        owed = totals[rate] - coupon_by_rate.get(rate, 0)
        fraction = Decimal(str(rate))
        rows.append(
            {
                "taxRate": rate,
                "reqPrice": UNFIXED if unfixed else owed,
                "reqPriceTax": UNFIXED if unfixed else int(owed * fraction / (1 + fraction)),
                "totalPrice": UNFIXED if unfixed else totals[rate],
                "paymentCharge": 0,
                "couponPrice": coupon_by_rate.get(rate, 0),
                "point": 0,
            }
        )
    return rows
