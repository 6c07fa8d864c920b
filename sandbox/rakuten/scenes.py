"""What a real shop's orders bring, one scene each: it changes a plain order in place, before its sums."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from sandbox.rakuten.amounts import UNFIXED
from sandbox.rakuten.clock import plain_time

__all__ = ["METHODS", "SCENES", "SHIPPED_BEFORE", "WAITING", "pay_by"]

WAITING = "入力待ち"
"""What stands in every field of a social gift's recipient until the receiver filled it in."""

SHIPPED_BEFORE = 139_000_000
"""Ids of shipping rows that orders are born with start here."""

METHODS = {
    1: "クレジットカード",
    2: "代金引換",
    9: "銀行振込",
    13: "セブンイレブン（前払）",
    21: "後払い決済",
}


def _ordered(order: dict[str, Any]) -> datetime:
    return datetime.strptime(order["orderDatetime"], "%Y-%m-%dT%H:%M:%S%z")


def _serial(order: dict[str, Any]) -> int:
    return int(order["orderNumber"][-8:-2])


def _lines_only(order: dict[str, Any]) -> None:
    """For scenes whose peculiarity is in the chosen lines (see OrderBook) and nowhere else."""


def _several_recipients(order: dict[str, Any]) -> None:
    order |= {"severalSenderFlag": 1, "equalSenderFlag": 0, "giftCheckFlag": 1}
    for package, noshi in zip(order["PackageModelList"], ("御歳暮（外のし）", "内祝", None), strict=True):
        package["noshi"] = noshi
    order["remarks"] = "[のし表書き:]\n御歳暮\n[のし名入れ:]\n髙﨑"


def _shop_coupon(order: dict[str, Any]) -> None:
    order["CouponModelList"] = [_coupon(order, 1, "ショップ", 200, "SHOP-2026-AAAA")]


def _cod(order: dict[str, Any]) -> None:
    pay_by(order, 2)
    order["PackageModelList"][0]["deliveryPrice"] = 330


def _social_gift(order: dict[str, Any]) -> None:
    order |= {"socialGiftFlag": 1, "equalSenderFlag": 0}
    package = order["PackageModelList"][0]
    waiting: dict[str, Any] = dict.fromkeys(
        ("prefecture", "city", "subAddress", "familyName", "firstName"), WAITING
    )
    waiting |= dict.fromkeys(("familyNameKana", "firstNameKana"), WAITING)
    waiting |= dict.fromkeys(("phoneNumber1", "phoneNumber2", "phoneNumber3"), None)
    package["SenderModel"] |= {"zipCode1": "999", "zipCode2": "9999"} | waiting
    due = _ordered(order) + timedelta(days=7)
    package["SocialGiftModel"] = {
        "sgMngNumber": f"SG{order['orderNumber'][-8:]}",
        "inputDueDate": f"{due:%Y-%m-%d}",
        "inputFlag": 0,
        "inputCompDatetime": None,
        "receiverEmailAddress": None,
    }


def _not_fixed(order: dict[str, Any]) -> None:
    order["isolatedIslandFlag"] = 1
    order["PackageModelList"][0]["postagePrice"] = UNFIXED


def _points_and_maker_coupon(order: dict[str, Any]) -> None:
    order["PointModel"] = {"usedPoint": 150}
    order["CouponModelList"] = [
        _coupon(order, 2, "メーカー", 100, "MAKR-2026-BBBB"),
        _coupon(order, 3, "サービス", 50, "SERV-2026-CCCC"),
    ]


def _cancelled(order: dict[str, Any]) -> None:
    pay_by(order, 9)
    ordered = _ordered(order)
    order["orderProgress"] = 900
    order["ChangeReasonModelList"] = [
        {
            "changeId": 150000000 + _serial(order),
            "changeType": 1,
            "changeTypeDetail": None,
            "changeReason": 1,
            "changeReasonDetail": 1,
            "changeApplyDatetime": plain_time(ordered + timedelta(minutes=20)),
            "changeFixDatetime": plain_time(ordered + timedelta(minutes=25)),
            "changeCmplDatetime": plain_time(ordered + timedelta(minutes=25)),
        }
    ]


def _shipped(order: dict[str, Any]) -> None:
    ordered = _ordered(order)
    order |= {
        "orderProgress": 500,
        "shopOrderCfmDatetime": plain_time(ordered + timedelta(minutes=5)),
        "orderFixDatetime": plain_time(ordered + timedelta(minutes=35)),
        "shippingInstDatetime": plain_time(ordered + timedelta(minutes=35)),
        "shippingCmplRptDatetime": plain_time(ordered + timedelta(hours=5)),
    }
    order["PackageModelList"][0]["ShippingModelList"] = [
        {
            "shippingDetailId": SHIPPED_BEFORE + _serial(order),
            "shippingNumber": f"4257{_serial(order):08d}",
            "deliveryCompany": "1003",
            "deliveryCompanyName": "日本郵便",
            "shippingDate": f"{ordered + timedelta(hours=5):%Y-%m-%d}",
        }
    ]


def _dated(order: dict[str, Any]) -> None:
    ordered = _ordered(order)
    order |= {
        "deliveryDate": f"{ordered + timedelta(days=5):%Y-%m-%d}",
        "shippingTerm": (1, 2, 1416, 1921, 812)[_serial(order) % 5],
        "orderType": 4,
        "reserveNumber": f"R{order['orderNumber'][-8:]}",
        "reserveDeliveryCount": 3,
        "remarks": "[配送日時指定:]\n置き配でお願いします。",
    }
    order["PackageModelList"][0] |= {"dropOffFlag": 1, "dropOffLocation": "玄関前"}


def _prepaid(order: dict[str, Any]) -> None:
    pay_by(order, 13)
    due = _ordered(order) + timedelta(days=7)
    order["DueDateModelList"] = [{"dueDateType": 0, "dueDate": f"{due:%Y-%m-%d}"}]


def _wrapped(order: dict[str, Any]) -> None:
    order["giftCheckFlag"] = 1
    order["WrappingModel1"] = {
        "title": 1, "name": "包装紙（花柄）", "price": 220, "includeTaxFlag": 1, "taxRate": 0.1,
        "deleteWrappingFlag": 0,
    }  # fmt: skip
    order["WrappingModel2"] = {
        "title": 2, "name": "リボン（赤）", "price": 100, "includeTaxFlag": 0, "taxRate": 0.1,
        "deleteWrappingFlag": 0,
    }  # fmt: skip


def _coupon(order: dict[str, Any], capital: int, label: str, yen: int, code: str) -> dict[str, Any]:
    line = order["PackageModelList"][0]["ItemModelList"][0]
    return {
        "couponCode": code,
        "itemId": line["itemId"],
        "couponName": f"{yen}円OFFクーポン",
        "couponSummary": f"{yen}円値引き",
        "couponCapital": label,
        "couponCapitalCode": capital,
        "expiryDate": "2026-12-31",
        "couponPrice": yen,
        "couponUnit": 1,
        "couponTotalPrice": yen,
        "itemDetailId": line["itemDetailId"],
    }


def pay_by(order: dict[str, Any], code: int) -> None:
    card = code == 1
    order["SettlementModel"] = {
        "settlementMethodCode": code,
        "settlementMethod": METHODS[code],
        "rpaySettlementFlag": 1,
        "cardName": "VISA" if card else None,
        "cardNumber": "XXXX-XXXX-XXXX-0000" if card else None,
        "cardOwner": "TARO RAKUTEN" if card else None,
        "cardYm": "2030-01" if card else None,
        "cardPayType": 0 if card else None,
        "cardInstallmentDesc": None,
    }


SCENES: dict[str, Callable[[dict[str, Any]], None]] = {
    "plain": _lines_only,
    "several_recipients": _several_recipients,
    "shop_coupon": _shop_coupon,
    "cod": _cod,
    "social_gift": _social_gift,
    "not_fixed": _not_fixed,
    "mixed_tax": _lines_only,
    "points_and_maker_coupon": _points_and_maker_coupon,
    "cancelled": _cancelled,
    "shipped": _shipped,
    "dated": _dated,
    "prepaid": _prepaid,
    "untaxed_prices": _lines_only,
    "wrapped": _wrapped,
}
