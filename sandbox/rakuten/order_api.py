"""RakutenPay Order API: searchOrder, getOrder, confirmOrder, with the vendor's limits and message codes.

Codes that no published sample shows are marked "assumed" where they are given.
"""

from __future__ import annotations

import copy
from datetime import datetime, timedelta
from typing import Any

from starlette.responses import JSONResponse, Response

from sandbox.rakuten.amounts import UNFIXED
from sandbox.rakuten.answers import Asked, message
from sandbox.rakuten.clock import parse_order_time, plain_time
from sandbox.rakuten.shop import Shop

__all__ = ["confirm_order", "get_order", "search_order"]

_SEARCH = "ORDER_EXT_API_SEARCH_ORDER"
_GET = "ORDER_EXT_API_GET_ORDER"
_CONFIRM = "ORDER_EXT_API_CONFIRM_ORDER"
_SEARCH_KEYS = {
    "orderProgressList", "subStatusIdList", "dateType", "startDatetime", "endDatetime", "orderTypeList",
    "settlementMethod", "deliveryName", "shippingDateBlankFlag", "shippingNumberBlankFlag",
    "searchKeywordType",
    "searchKeyword", "mailSendType", "ordererMailAddress", "phoneNumberType", "phoneNumber", "reserveNumber",
    "purchaseSiteType", "asurakuFlag", "couponUseFlag", "drugFlag", "overseasFlag", "oneDayOperationFlag",
    "PaginationRequestModel",
}  # fmt: skip
_PROGRESS = {100, 200, 300, 400, 500, 600, 700, 800, 900}
_DATES = {1: "orderDatetime", 2: "shopOrderCfmDatetime", 3: "orderFixDatetime", 5: "shippingCmplRptDatetime"}
_SPAN, _REACH = timedelta(days=63), timedelta(days=730)


async def search_order(shop: Shop, asked: Asked) -> Response:
    """Numbers of the orders in a window. Beyond `limits.hits` it stops without a word."""
    body = asked.body
    errors = _search_errors(shop, body)
    if errors:
        return JSONResponse(
            {"orderNumberList": None, "MessageModelList": errors, "PaginationResponseModel": None}, 400
        )
    start, end = parse_order_time(body["startDatetime"]), parse_order_time(body["endDatetime"])
    assert start is not None
    assert end is not None
    found = [order for order in shop.orders.values() if _found(order, body, start, end)]
    paging = body.get("PaginationRequestModel") or {"requestRecordsAmount": 30, "requestPage": 1}
    sort = (paging.get("SortModelList") or [{"sortDirection": 1}])[0]
    found.sort(key=lambda o: (o["orderDatetime"], o["orderNumber"]), reverse=sort["sortDirection"] == 2)
    found = found[: shop.limits.hits]
    if not found:
        return JSONResponse(
            {
                "orderNumberList": [],
                "MessageModelList": [
                    message(f"{_SEARCH}_INFO_102", "注文検索に成功しました。(検索結果０件)")
                ],
                "PaginationResponseModel": dict.fromkeys(("totalRecordsAmount", "totalPages", "requestPage")),
            }
        )
    amount, page = paging["requestRecordsAmount"], paging["requestPage"]
    return JSONResponse(
        {
            "orderNumberList": [order["orderNumber"] for order in found[(page - 1) * amount : page * amount]],
            "MessageModelList": [message(f"{_SEARCH}_INFO_101", "注文検索に成功しました。")],
            "PaginationResponseModel": {
                "totalRecordsAmount": len(found),
                "totalPages": -(-len(found) // amount),
                "requestPage": page,
            },
        }
    )


def _search_errors(shop: Shop, body: Any) -> list[dict[str, Any]]:
    if not isinstance(body, dict):
        return [message(f"{_SEARCH}_ERROR_011", "リクエストの書式が不正です。")]
    errors = [
        message(f"{_SEARCH}_ERROR_011", f"{name}の書式が不正です。")
        for name in sorted(body.keys() - _SEARCH_KEYS)
    ]
    errors += [
        message(f"{_SEARCH}_ERROR_009", f"{name}の項目を指定して下さい。")
        for name in ("dateType", "startDatetime", "endDatetime")
        if name not in body
    ]
    if "dateType" in body and not _whole(body["dateType"], 1, 6):
        errors.append(message(f"{_SEARCH}_ERROR_011", "dateTypeの書式が不正です。"))
    moments = {}
    for name in ("startDatetime", "endDatetime"):
        if body.get(name) == "":
            errors.append(message(f"{_SEARCH}_ERROR_010", f"{name}の値を指定して下さい。"))
        elif name in body and (moment := parse_order_time(body[name])) is not None:
            moments[name] = moment
        elif name in body:
            errors.append(message(f"{_SEARCH}_ERROR_011", f"{name}の書式が不正です。"))
    if len(moments) == 2:
        errors += _window_errors(shop, moments["startDatetime"], moments["endDatetime"])
    progress = body.get("orderProgressList")
    if progress is not None and not (isinstance(progress, list) and progress and set(progress) <= _PROGRESS):
        errors.append(message(f"{_SEARCH}_ERROR_011", "orderProgressListの書式が不正です。"))
    if body.get("subStatusIdList") and not progress:
        errors.append(message(f"{_SEARCH}_ERROR_009", "orderProgressListの項目を指定して下さい。"))
    return errors + _paging_errors(body.get("PaginationRequestModel"))


def _window_errors(shop: Shop, start: datetime, end: datetime) -> list[dict[str, Any]]:
    # the vendor publishes the limits, not the codes: 012 and 013 are assumed
    if end < start:
        return [message(f"{_SEARCH}_ERROR_012", "startDatetimeはendDatetimeより前の日時を指定して下さい。")]
    if end - start > _SPAN:
        return [message(f"{_SEARCH}_ERROR_012", "期間検索の開始日時と終了日時は63日以内で指定して下さい。")]
    if start < shop.clock() - _REACH:
        return [message(f"{_SEARCH}_ERROR_013", "startDatetimeは過去730日以内の日時を指定して下さい。")]
    return []


def _paging_errors(paging: Any) -> list[dict[str, Any]]:
    if paging is None:
        return []
    known = {"requestRecordsAmount", "requestPage", "SortModelList"}
    if not isinstance(paging, dict) or paging.keys() - known:
        return [message(f"{_SEARCH}_ERROR_011", "PaginationRequestModelの書式が不正です。")]
    errors = []
    for name, highest in (("requestRecordsAmount", 1000), ("requestPage", 10**6)):
        if name not in paging:
            errors.append(message(f"{_SEARCH}_ERROR_009", f"{name}の項目を指定して下さい。"))
        elif not _whole(paging[name], 1, highest):
            errors.append(message(f"{_SEARCH}_ERROR_011", f"{name}の書式が不正です。"))
    sorts = paging.get("SortModelList") or []
    if any(sort.get("sortColumn") != 1 or sort.get("sortDirection") not in (1, 2) for sort in sorts):
        errors.append(message(f"{_SEARCH}_ERROR_011", "SortModelListの書式が不正です。"))
    return errors


def _whole(value: Any, lowest: int, highest: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and lowest <= value <= highest


def _found(order: dict[str, Any], body: dict[str, Any], start: datetime, end: datetime) -> bool:
    if body.get("orderProgressList") and order["orderProgress"] not in body["orderProgressList"]:
        return False
    if body.get("orderTypeList") and order["orderType"] not in body["orderTypeList"]:
        return False
    rows = [row for package in order["PackageModelList"] for row in package["ShippingModelList"] or []]
    if body.get("shippingNumberBlankFlag") == 1 and all(row["shippingNumber"] for row in rows) and rows:
        return False
    if body["dateType"] == 4:
        return any(row["shippingDate"] and start.date() <= _day(row) <= end.date() for row in rows)
    # 6 (settlement fixed) has no field of its own in the answer; it falls together with 3 here
    moment = parse_order_time(order[_DATES.get(body["dateType"], "orderFixDatetime")])
    return moment is not None and start <= moment <= end


def _day(row: dict[str, Any]) -> Any:
    return datetime.fromisoformat(row["shippingDate"]).date()


async def get_order(shop: Shop, asked: Asked) -> Response:
    """Whole orders. `version` is mandatory and says which fields come; 1 and 2 are refused."""
    body = asked.body if isinstance(asked.body, dict) else {}
    errors = [
        message(f"{_GET}_ERROR_009", f"{name}の項目を指定してください。")
        for name in ("orderNumberList", "version")
        if name not in body
    ]
    numbers, version = body.get("orderNumberList"), body.get("version")
    if "version" in body and not _whole(version, 3, 10):
        errors.append(message(f"{_GET}_ERROR_011", "versionの書式が不正です。"))
    if numbers is not None and not (isinstance(numbers, list) and 1 <= len(numbers) <= 100):
        errors.append(message(f"{_GET}_ERROR_011", "orderNumberListは100件以内で指定してください。"))
    if errors:
        return JSONResponse({"MessageModelList": errors, "OrderModelList": []}, 400)
    oldest = shop.clock() - _REACH
    orders = []
    for number in dict.fromkeys(numbers or ()):
        order = shop.orders.get(number)
        moment = parse_order_time(order["orderDatetime"]) if order else None
        if order is not None and moment is not None and moment >= oldest:
            orders.append(as_version(order, int(str(version))))
    if orders:
        said = message(f"{_GET}_INFO_101", f"受注情報取得に成功しました。(取得件数{len(orders)}件)")
    else:
        # assumed: the code for nothing found
        said = message(f"{_GET}_INFO_102", "受注情報取得に成功しました。(取得件数0件)")
    return JSONResponse({"MessageModelList": [said], "OrderModelList": orders, "version": version})


_SINCE: dict[int, tuple[set[str], set[str], set[str]]] = {
    # version: fields of the order, of a package, of an item that it brought
    4: (set(), {"defaultDeliveryCompanyCode"}, {"isSingleItemShipping"}),
    5: ({"receiptIssueCount", "receiptIssueHistoryList", "DueDateModelList"}, set(), set()),
    6: ({"cautionDisplayDetailType"}, set(), set()),
    7: (set(), set(), {"SkuModelList"}),
    8: ({"deliveryCertPrgFlag", "oneDayOperationFlag"}, set(), set()),
    9: (set(), {"dropOffFlag", "dropOffLocation"}, set()),
    10: ({"socialGiftFlag"}, {"SocialGiftModel"}, set()),
}


def as_version(order: dict[str, Any], version: int) -> dict[str, Any]:
    """The order as getOrder of that version shows it."""
    shown = copy.deepcopy({name: value for name, value in order.items() if not name.startswith("_")})
    for since, (of_order, of_package, of_item) in _SINCE.items():
        if since <= version:
            continue
        for name in of_order:
            shown.pop(name, None)
        for package in shown["PackageModelList"]:
            for name in of_package:
                package.pop(name, None)
            for item in package["ItemModelList"]:
                for name in of_item:
                    item.pop(name, None)
    return shown


async def confirm_order(shop: Shop, asked: Asked) -> Response:
    """100 -> 200, order by order; who was moved before gets ERROR_103."""
    numbers = asked.body.get("orderNumberList") if isinstance(asked.body, dict) else None
    if not isinstance(numbers, list) or not 1 <= len(numbers) <= 100:
        code = f"{_CONFIRM}_ERROR_{'009' if numbers is None else '011'}"
        return JSONResponse(
            {"MessageModelList": [message(code, "orderNumberListの項目を指定して下さい。")]}, 400
        )
    now = shop.clock()
    said = []
    for number in numbers:
        order = shop.orders.get(number)
        code, text = _confirmation(order)
        said.append(message(f"{_CONFIRM}_{code}", text, orderNumber=number))
        if order is not None and code == "INFO_101":
            order |= {"orderProgress": 200, "shopOrderCfmDatetime": plain_time(now)}
            order["_screened_at"] = (now + shop.screening).isoformat()
            shop.keep("order", number, order)
    return JSONResponse({"MessageModelList": said})


def _confirmation(order: dict[str, Any] | None) -> tuple[str, str]:
    if order is None:
        return "ERROR_101", "指定された注文番号は存在しませんでした。"  # assumed
    if order["orderProgress"] in (800, 900):
        return (
            "ERROR_102",
            "指定された注文番号は既にキャンセルされているため、注文確認が出来る状態ではありませんでした。",
        )
    if order["orderProgress"] != 100:
        return "ERROR_103", "指定された注文番号は既にステータスが移動されています。"
    if UNFIXED in (order["totalPrice"], order["requestPrice"]):
        return "ERROR_105", "金額が未設定のため、注文確認が出来る状態ではありませんでした。"
    return "INFO_101", "注文確認に成功しました。"
