"""updateOrderShipping, its asynchronous twin and the twin's results.

A row without `shippingDetailId` is one more parcel: whoever repeats it blindly ships on paper twice.
"""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import Any

from starlette.responses import JSONResponse, Response

from sandbox.rakuten.answers import Asked, message
from sandbox.rakuten.clock import JST, parse_order_date, plain_time
from sandbox.rakuten.shop import Shop

__all__ = ["CARRIERS", "shipping_result", "update_shipping", "update_shipping_async", "work_off"]

_SYNC = "ORDER_EXT_API_UPDATE_ORDERSHIPPING"
_ASYNC = "ORDER_EXT_API_UPDATE_ORDERSHIPPING_ASYNC"
_RESULT = "ORDER_EXT_API_GET_RESULT_UPDATEORDERSHIPPING_ASYNC"
_ROW_KEYS = {"shippingDetailId", "deliveryCompany", "shippingNumber", "shippingDate", "shippingDeleteFlag"}
_ROWS_PER_BASKET = 20

CARRIERS = {
    "1000": "その他", "1001": "ヤマト運輸", "1002": "佐川急便", "1003": "日本郵便", "1004": "西濃運輸",
    "1005": "セイノースーパーエクスプレス", "1006": "福山通運", "1007": "名鉄運輸", "1008": "トナミ運輸",
    "1009": "第一貨物", "1010": "新潟運輸", "1011": "中越運送", "1012": "岡山県貨物運送",
    "1013": "久留米運送",
    "1014": "山陽自動車運送", "1015": "NXトランスポート", "1016": "エコ配", "1017": "EMS", "1018": "DHL",
    "1019": "FedEx", "1020": "UPS", "1021": "日本通運", "1022": "TNT", "1023": "OCS", "1024": "USPS",
    "1025": "SFエクスプレス", "1026": "Aramex", "1027": "SGHグローバル・ジャパン", "1028": "Rakuten EXPRESS",
    "1029": "日本郵便 楽天倉庫出荷", "1030": "ヤマト運輸 クロネコゆうパケット",
    "1031": "名鉄NX運輸",
}  # fmt: skip


async def update_shipping(shop: Shop, asked: Asked) -> Response:
    """One order, at once; HTTP 400 when anything is wrong, and then nothing was done."""
    errors = _order_errors(asked.body, _SYNC)
    said = errors or _carry_out(shop, asked.body)
    bad = any(m["messageType"] == "ERROR" for m in said)
    return JSONResponse({"MessageModelList": said}, 400 if bad else 200)


async def update_shipping_async(shop: Shop, asked: Asked) -> Response:
    """Up to 100 orders, later; HTTP 200 also when the request is refused."""
    reports = asked.body.get("OrderShippingModelList") if isinstance(asked.body, dict) else None
    if not isinstance(reports, list) or not 1 <= len(reports) <= 100:
        said = [message(f"{_ASYNC}_ERROR_009", "OrderShippingModelListの項目を指定して下さい。")]
        return JSONResponse({"MessageModelList": said})
    errors: list[dict[str, Any]] = []
    seen: set[str] = set()
    for report in reports:
        number = report.get("orderNumber") if isinstance(report, dict) else None
        errors += [error | {"orderNumber": number} for error in _order_errors(report, _ASYNC)]
        if number in seen:
            # assumed: the vendor says that a number given twice is an error, not with which code
            errors.append(message(f"{_ASYNC}_ERROR_012", "orderNumberが重複しています。", orderNumber=number))
        seen.add(str(number))
    if errors:
        return JSONResponse({"MessageModelList": errors})
    now = shop.clock()
    request_id = f"{uuid.uuid4()}_{now.astimezone(JST):%Y%m%d%H%M%S}"
    shop.jobs[request_id] = {
        "due": (now + shop.async_delay).isoformat(),
        "asked": now.isoformat(),
        "reports": reports,
        "results": None,
    }
    shop.keep("job", request_id, shop.jobs[request_id])
    work_off(shop)
    said = [message(f"{_ASYNC}_INFO_101", "発送情報の更新を受付けました。", requestId=request_id)]
    return JSONResponse({"MessageModelList": [said[0] | {"dataNumber": None, "shippingDetailId": None}]})


async def shipping_result(shop: Shop, asked: Asked) -> Response:
    """Results of a request; "does not exist" also while it is being worked on, and after 30 days."""
    request_id = asked.body.get("requestId") if isinstance(asked.body, dict) else None
    if not request_id:
        said = [message(f"{_RESULT}_ERROR_009", "requestIdの項目を指定して下さい。")]
        return JSONResponse({"ResultShippingModelList": [{"MessageModelList": said}]}, 400)
    job = shop.jobs.get(request_id)
    kept = job is not None and datetime.fromisoformat(job["asked"]) > shop.clock() - timedelta(days=30)
    if job is None or job["results"] is None or not kept:
        said = [message(f"{_RESULT}_INFO_101", "指定されたリクエストIDの処理結果は存在しませんでした。")]
        return JSONResponse({"ResultShippingModelList": [{"MessageModelList": said}]})
    return JSONResponse({"ResultShippingModelList": job["results"]})


def work_off(shop: Shop) -> None:
    """Carry out the asynchronous reports that are due."""
    now = shop.clock()
    for request_id, job in shop.jobs.items():
        if job["results"] is None and datetime.fromisoformat(job["due"]) <= now:
            job["results"] = [
                {"orderNumber": report["orderNumber"], "MessageModelList": _carry_out(shop, report)}
                for report in job["reports"]
            ]
            shop.keep("job", request_id, job)


def _order_errors(report: Any, api: str) -> list[dict[str, Any]]:
    if not isinstance(report, dict) or report.keys() - {"orderNumber", "BasketidModelList"}:
        return [
            message(
                f"{api}_ERROR_011", "リクエストの書式が不正です。", dataNumber=None, shippingDetailId=None
            )
        ]
    errors = [
        message(f"{api}_ERROR_009", f"{name}の項目を指定して下さい。", dataNumber=None, shippingDetailId=None)
        for name in ("orderNumber", "BasketidModelList")
        if not report.get(name)
    ]
    number = 0
    for basket in report.get("BasketidModelList") or []:
        rows = basket.get("ShippingModelList") if isinstance(basket, dict) else None
        if not isinstance(rows, list) or not rows or not isinstance(basket.get("basketId"), int):
            errors.append(message(f"{api}_ERROR_011", "basketIdの書式が不正です。", dataNumber=number + 1))
            continue
        for row in rows:
            number += 1
            errors += [
                message(f"{api}_ERROR_011", f"{name}の書式が不正です。", dataNumber=number)
                | {"shippingDetailId": row.get("shippingDetailId")}
                for name in _wrong_fields(row)
            ]
    return errors


def _wrong_fields(row: dict[str, Any]) -> list[str]:
    wrong = sorted(row.keys() - _ROW_KEYS)
    if "deliveryCompany" in row and row["deliveryCompany"] not in CARRIERS:
        wrong.append("deliveryCompany")
    if "shippingNumber" in row:
        text = row["shippingNumber"]
        if not isinstance(text, str) or len(text) > 120 or _machine_dependent(text):
            wrong.append("shippingNumber")
    if row.get("shippingDate") and parse_order_date(row["shippingDate"]) is None:
        wrong.append("shippingDate")
    if row.get("shippingDetailId") is not None and not isinstance(row["shippingDetailId"], int):
        wrong.append("shippingDetailId")
    if row.get("shippingDeleteFlag", 0) not in (0, 1):
        wrong.append("shippingDeleteFlag")
    return wrong


def _machine_dependent(text: str) -> bool:
    """機種依存文字: what plain JIS X 0208 (and ASCII) cannot carry, such as ① and ㈱."""
    try:
        text.encode("shift_jis")
    except UnicodeEncodeError:
        return True
    return False


def _carry_out(shop: Shop, report: dict[str, Any]) -> list[dict[str, Any]]:
    order = shop.orders.get(report["orderNumber"])
    refused = _not_ready(order, report)
    if order is None or refused:
        return [
            message(f"{_SYNC}_{code}", text, dataNumber=None, shippingDetailId=None) for code, text in refused
        ]
    said: list[dict[str, Any]] = []
    packages = {package["basketId"]: package for package in order["PackageModelList"]}
    for basket in report["BasketidModelList"]:
        rows = packages[basket["basketId"]]["ShippingModelList"]
        for row in basket["ShippingModelList"]:
            code, text, detail = _apply(shop, rows, row)
            said.append(message(f"{_SYNC}_{code}", text, dataNumber=len(said) + 1, shippingDetailId=detail))
    if all(any(row["shippingDate"] for row in package["ShippingModelList"]) for package in packages.values()):
        order["orderProgress"] = max(order["orderProgress"], 500)
        order["shippingCmplRptDatetime"] = order["shippingCmplRptDatetime"] or plain_time(shop.clock())
    shop.keep("order", order["orderNumber"], order)
    return said


def _not_ready(order: dict[str, Any] | None, report: dict[str, Any]) -> list[tuple[str, str]]:
    """Why nothing of the report may be done. Codes but 102 are assumed."""
    if order is None:
        return [("ERROR_101", "指定された注文番号は存在しませんでした。")]
    if order["orderProgress"] in (800, 900):
        return [
            (
                "ERROR_102",
                "指定された注文番号は既にキャンセルされているため、発送完了報告が出来る状態ではありませんでした。",
            )
        ]
    if order["orderProgress"] not in (300, 400, 500, 600, 700):
        return [("ERROR_103", "指定された注文番号は発送完了報告が出来る状態ではありませんでした。")]
    packages = {package["basketId"]: package for package in order["PackageModelList"]}
    for basket in report["BasketidModelList"]:
        package = packages.get(basket["basketId"])
        if package is None:
            return [("ERROR_104", f"basketId {basket['basketId']} は存在しませんでした。")]
        known = {row["shippingDetailId"] for row in package["ShippingModelList"]}
        new = [row for row in basket["ShippingModelList"] if row.get("shippingDetailId") is None]
        if len(known) + len(new) > _ROWS_PER_BASKET:
            return [("ERROR_105", "発送情報は1送付先につき20件まで登録できます。")]
        unknown = [r for r in basket["ShippingModelList"] if r.get("shippingDetailId") not in {None, *known}]
        if unknown:
            return [
                ("ERROR_106", f"shippingDetailId {unknown[0]['shippingDetailId']} は存在しませんでした。")
            ]
    return []


def _apply(shop: Shop, rows: list[dict[str, Any]], row: dict[str, Any]) -> tuple[str, str, int]:
    detail = row.get("shippingDetailId")
    if detail is None:
        detail = shop.new_detail_id()
        rows.append({"shippingDetailId": detail, "shippingNumber": None, "deliveryCompany": None,
                     "deliveryCompanyName": None, "shippingDate": None})  # fmt: skip
        code, text = "INFO_101", "発送情報の追加設定が完了しました。"
    elif row.get("shippingDeleteFlag") == 1:
        rows[:] = [known for known in rows if known["shippingDetailId"] != detail]
        return "INFO_103", "発送情報の削除設定が完了しました。", detail
    else:
        code, text = "INFO_102", "発送情報の更新設定が完了しました。"
    target = next(known for known in rows if known["shippingDetailId"] == detail)
    for name in ("shippingNumber", "deliveryCompany", "shippingDate"):
        if name in row:
            # an absent key leaves the value, an empty one clears it
            target[name] = row[name] or None
    target["deliveryCompanyName"] = CARRIERS.get(target["deliveryCompany"] or "")
    return code, text, detail
