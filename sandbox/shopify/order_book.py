"""Deterministic orders with what a Japanese shop's orders bring, in the shape of the Order object.

Amounts are decimal text ("1100.0" though yen has no decimals), tax is inside, one tax line for each rate, delivery
wishes stand in custom attributes, cash on delivery is the name of a gateway and its fee an order line.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sandbox.rakuten.people import PEOPLE, PLACES, Person, Place
from sandbox.shopify.clock import gid, wire_time

__all__ = ["SCENES", "bag", "money", "new_order", "settle_sums"]

SCENES = (
    "plain",
    "mixed_tax",
    "dated",
    "cod",
    "coupon",
    "guest",
    "line_discount",
    "pending",
    "many_lines",
    "edited",
)

_PREFECTURES = {
    "北海道": ("JP-01", "Hokkaidō"), "埼玉県": ("JP-11", "Saitama"), "東京都": ("JP-13", "Tōkyō"),
    "神奈川県": ("JP-14", "Kanagawa"), "石川県": ("JP-17", "Ishikawa"), "愛知県": ("JP-23", "Aichi"),
    "京都府": ("JP-26", "Kyōto"), "大阪府": ("JP-27", "Ōsaka"), "広島県": ("JP-34", "Hiroshima"),
    "福岡県": ("JP-40", "Fukuoka"), "鹿児島県": ("JP-46", "Kagoshima"),
}  # fmt: skip
"""Prefectures as the vendor names them: a code, and Latin letters."""
_SHIPPING = 550
_COD_FEE = 330


def money(yen: int) -> str:
    """Yen as the vendor writes it."""
    return f"{yen}.0"


def bag(yen: int) -> dict[str, Any]:
    one = {"__typename": "MoneyV2", "amount": money(yen), "currencyCode": "JPY"}
    return {"__typename": "MoneyBag", "shopMoney": one, "presentmentMoney": one}


def tax_inside(yen: int, rate: float) -> int:
    """Tax that an amount holds, rounded half up."""
    percent = round(rate * 100)
    return (2 * yen * percent + 100 + percent) // (2 * (100 + percent))


def tax_line(yen: int, rate: float) -> dict[str, Any]:
    return {
        "__typename": "TaxLine",
        "title": "消費税",
        "rate": rate,
        "ratePercentage": round(rate * 100, 2),
        "priceSet": bag(tax_inside(yen, rate)),
    }


def new_order(
    number: int, ordered_at: datetime, scene: str, seed: int, goods: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """One order. `goods` are (variant, rate, units) to choose from, already decided by the shop."""
    dice = random.Random(f"{seed}/{number}")
    person, place = dice.choice(PEOPLE), dice.choice(PLACES)
    lines = [_line(number, n, good) for n, good in enumerate(goods)]
    if scene == "cod":
        lines.append(_fee_line(number, len(lines)))
    order = _frame(number, ordered_at, scene, person, place, dice)
    order["lineItems"] = lines
    _discounts(order, scene)
    _edit(order, scene)
    settle_sums(order)
    _payment(order, scene, ordered_at)
    return order


def _line(order: int, n: int, good: Mapping[str, Any]) -> dict[str, Any]:
    variant = good["variant"]
    title = variant["product"]["title"]
    choice = None if variant["title"] == "Default Title" else variant["title"]
    return {
        "__typename": "LineItem",
        "id": gid("LineItem", 130000000 + order * 100 + n),
        "title": title,
        "variantTitle": choice,
        "name": f"{title} - {choice}" if choice else title,
        "sku": variant["sku"],
        "quantity": good["units"],
        "currentQuantity": good["units"],
        "requiresShipping": True,
        "taxable": True,
        "isGiftCard": False,
        "originalUnitPriceSet": bag(int(variant["price"])),
        "discountAllocations": [],
        "taxLines": [],
        "customAttributes": [],
        "product": variant["product"],
        "variant": variant,
        "_rate": good["rate"],
        "_location": good["location"],
    }


def _fee_line(order: int, n: int) -> dict[str, Any]:
    nothing = dict.fromkeys(("variantTitle", "sku", "product", "variant", "_location"))
    return {
        "__typename": "LineItem",
        "id": gid("LineItem", 130000000 + order * 100 + n),
        "title": "代引手数料",
        "name": "代引手数料",
        "quantity": 1,
        "currentQuantity": 1,
        "requiresShipping": False,
        "taxable": True,
        "isGiftCard": False,
        "originalUnitPriceSet": bag(_COD_FEE),
        "discountAllocations": [],
        "taxLines": [],
        "customAttributes": [],
        "_rate": 0.1,
        **nothing,
    }


def _frame(
    number: int, at: datetime, scene: str, person: Person, place: Place, dice: random.Random
) -> dict[str, Any]:
    address = _address(number, person, place, dice)
    email = f"buyer{number}@example.jp"
    dated = scene == "dated"
    customer = None
    if scene != "guest":
        customer = {
            "__typename": "Customer",
            "id": gid("Customer", 7000000 + number % 12),
            "firstName": person.given,
            "lastName": person.family,
        }
    return {
        "__typename": "Order",
        "id": gid("Order", 5000000 + number),
        "legacyResourceId": str(5000000 + number),
        "name": f"#{number}",
        "number": number,
        "createdAt": wire_time(at),
        "processedAt": wire_time(at),
        "updatedAt": wire_time(at),
        "cancelledAt": None,
        "closedAt": None,
        "cancelReason": None,
        "confirmed": True,
        "test": False,
        "displayFulfillmentStatus": "UNFULFILLED",
        "returnStatus": "NO_RETURN",
        "sourceName": "web",
        "email": email,
        "phone": None,
        "note": "玄関前に置いてください" if dated else None,
        "tags": [],
        "customAttributes": [
            {"key": "配送希望日", "value": f"{at + timedelta(days=4):%Y-%m-%d}"},
            {"key": "配送時間帯", "value": dice.choice(("14:00-16:00", "午前中", "19:00-21:00"))},
        ]
        if dated
        else [],
        "currencyCode": "JPY",
        "presentmentCurrencyCode": "JPY",
        "taxesIncluded": True,
        "discountCodes": [],
        "discountApplications": [],
        "shippingLines": [
            {
                "__typename": "ShippingLine",
                "id": gid("ShippingLine", 140000000 + number),
                "title": "宅配便",
                "code": "宅配便",
                "source": "shopify",
                "originalPriceSet": bag(_SHIPPING),
                "discountedPriceSet": bag(_SHIPPING),
                "currentDiscountedPriceSet": bag(_SHIPPING),
                "discountAllocations": [],
                "taxLines": [tax_line(_SHIPPING, 0.1)],
            }
        ],
        "additionalFees": [],
        "customer": customer,
        "_customer_email": email,
        "billingAddress": address,
        "shippingAddress": address,
        "localizedFields": [],
        "fulfillments": [],
        "_fulfilment_orders": [],
    }


def _address(number: int, person: Person, place: Place, dice: random.Random) -> dict[str, Any]:
    return {
        "__typename": "MailingAddress",
        "id": gid("MailingAddress", 150000000 + number),
        "name": f"{person.family} {person.given}",
        "firstName": person.given,
        "lastName": person.family,
        "company": None,
        "address1": f"{place.town}{dice.randint(1, 9)}-{dice.randint(1, 30)}-{dice.randint(1, 20)}",
        "address2": dice.choice((None, "メゾン髙橋201", "第①ビル5F")),
        "city": place.city,
        "province": _PREFECTURES[place.prefecture][1],
        "provinceCode": _PREFECTURES[place.prefecture][0],
        "zip": f"{place.zip1}-{place.zip2}",
        "countryCodeV2": "JP",
        # no exchange begins with 0, so no subscriber has such a number
        "phone": f"+81{place.phone1[1:]}0{number % 1000:03d}",
    }


def _discounts(order: dict[str, Any], scene: str) -> None:
    if scene == "coupon":
        order["discountCodes"] = ["AKI500"]
        order["discountApplications"] = [_application("DiscountCodeApplication", 0, code="AKI500")]
        _allocate(order["lineItems"], 500, order["discountApplications"][0])
    elif scene == "line_discount":
        order["discountApplications"] = [_application("AutomaticDiscountApplication", 0, title="秋の10%オフ")]
        line = order["lineItems"][0]
        off = _unit(line) * line["quantity"] // 10
        line["discountAllocations"] = [_allocation(off, order["discountApplications"][0])]


def _edit(order: dict[str, Any], scene: str) -> None:
    if scene == "edited":  # one unit was taken out after the order was placed
        line = order["lineItems"][0]
        line["quantity"] += 1


def _application(kind: str, index: int, **name: str) -> dict[str, Any]:
    return {
        "__typename": kind, "index": index, "targetType": "LINE_ITEM", "targetSelection": "ALL",
        "allocationMethod": "ACROSS", **name,
    }  # fmt: skip


def _allocation(yen: int, application: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "__typename": "DiscountAllocation",
        "allocatedAmountSet": bag(yen),
        "discountApplication": application,
    }


def _allocate(lines: Sequence[dict[str, Any]], off: int, application: Mapping[str, Any]) -> None:
    whole = sum(_unit(line) * line["quantity"] for line in lines)
    left = off
    for n, line in enumerate(lines):
        share = left if n == len(lines) - 1 else off * _unit(line) * line["quantity"] // whole
        line["discountAllocations"] = [_allocation(share, application)]
        left -= share


def _unit(line: Mapping[str, Any]) -> int:
    return int(float(line["originalUnitPriceSet"]["shopMoney"]["amount"]))


def _off(line: Mapping[str, Any]) -> int:
    return sum(
        int(float(a["allocatedAmountSet"]["shopMoney"]["amount"])) for a in line["discountAllocations"]
    )


def settle_sums(order: dict[str, Any]) -> None:
    """The order's figures, as placed and as they stand now, from its lines."""
    placed, now = _figures(order, "quantity"), _figures(order, "currentQuantity")
    shipped = 0 if order["cancelledAt"] else _SHIPPING
    order |= {
        "subtotalPriceSet": bag(placed.total - _SHIPPING),
        "totalPriceSet": bag(placed.total),
        "totalTaxSet": bag(placed.tax),
        "totalDiscountsSet": bag(placed.off),
        "totalShippingPriceSet": bag(_SHIPPING),
        "taxLines": placed.lines,
        "currentTotalPriceSet": bag(now.total),
        "currentTotalTaxSet": bag(now.tax),
        "currentTotalDiscountsSet": bag(now.off),
        "currentShippingPriceSet": bag(shipped),
        "currentTaxLines": now.lines,
        "totalTipReceivedSet": bag(0),
        "totalRefundedSet": bag(0),
        "_total": now.total,
    }


class _Figures(NamedTuple):
    total: int
    tax: int
    off: int
    lines: list[dict[str, Any]]


def _figures(order: Mapping[str, Any], units: str) -> _Figures:
    gone = bool(order["cancelledAt"]) and units == "currentQuantity"
    by_rate: dict[float, int] = {} if gone else {0.1: _SHIPPING}
    off = 0
    for line in order["lineItems"]:
        if units == "quantity":
            line["taxLines"] = [tax_line(_unit(line) * line["quantity"] - _off(line), line["_rate"])]
        if line[units]:
            off += _off(line)
            worth = _unit(line) * line[units] - _off(line)
            by_rate[line["_rate"]] = by_rate.get(line["_rate"], 0) + worth
    lines = [tax_line(yen, rate) for rate, yen in sorted(by_rate.items())]
    tax = sum(tax_inside(yen, rate) for rate, yen in by_rate.items())
    return _Figures(sum(by_rate.values()), tax, off, lines)


def _payment(order: dict[str, Any], scene: str, at: datetime) -> None:
    gateway = {"cod": "Cash on Delivery (COD)", "pending": "銀行振込"}.get(scene, "shopify_payments")
    paid = gateway == "shopify_payments"
    order |= {
        "paymentGatewayNames": [gateway],
        "displayFinancialStatus": "PAID" if paid else "PENDING",
        "totalOutstandingSet": bag(0 if paid else order["_total"]),
        "transactions": [
            {
                "__typename": "OrderTransaction",
                "id": gid("OrderTransaction", 160000000 + order["number"]),
                "kind": "SALE",
                "status": "SUCCESS" if paid else "PENDING",
                "gateway": gateway,
                "formattedGateway": gateway,
                "createdAt": wire_time(at),
                "processedAt": wire_time(at),
                "paymentId": f"c{order['number']}.1",
                "amountSet": bag(order["_total"]),
                "parentTransaction": None,
            }
        ],
    }
