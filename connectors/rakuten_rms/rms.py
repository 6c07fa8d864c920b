"""The connector: what it offers, and the facts declared about it."""

from __future__ import annotations

from datetime import datetime, timedelta

from connectors.contract import Budget, Call, Connector, Deletes, Listed, Refused, Title, Write
from connectors.rakuten_rms.config import RakutenConfig
from connectors.rakuten_rms.confirmations import confirmations
from connectors.rakuten_rms.gateway import FunctionNotEnabled, get, http_settings, order_call, raise_errors
from connectors.rakuten_rms.items import items, skus, stock_levels
from connectors.rakuten_rms.orders import OrderCursor, orders
from connectors.rakuten_rms.shipments import already_reported, shipments
from connectors.rakuten_rms.standing import reported, stocked
from connectors.rakuten_rms.stock import stock
from connectors.rakuten_rms.windows import JST, rms_time
from connectors.transport.http import Intent

__all__ = ["connector"]

connector = Connector(
    "rakuten_rms",
    config=RakutenConfig,
    title=Title("楽天市場（RMS）", "Rakuten Ichiba (RMS)"),
    http=http_settings,
    budget=Budget(1),
    api_version="RakutenPayOrderAPI 2.0 (getOrder 10), InventoryAPI 2.0/2.1, ItemAPI 2.0",
)

connector.source(
    "orders",
    key="orderNumber",
    title=Title("受注", "Orders"),
    cursor=OrderCursor,
    overlap=timedelta(hours=1),
    deletes=Deletes.NONE,
    by_id="orderNumber",
)(orders)
connector.source(
    "items", key="manageNumber", title=Title("商品", "Items"), deletes=Deletes.ABSENCE, order="updated"
)(items)
connector.source("skus", key="id", title=Title("SKU", "SKUs"), deletes=Deletes.ABSENCE)(skus)
connector.source(
    "stock_levels",
    key="id",
    title=Title("在庫（照合用）", "Stock, for comparison"),
    deletes=Deletes.ABSENCE,
    order="updated",
    by_id="id",
)(stock_levels)

connector.sink(
    "stock",
    key="variantId",
    title=Title("在庫更新", "Stock"),
    batch_size=400,
    write=Write.ABSOLUTE,
    listed=Listed("stock_levels", stocked),
)(stock)
connector.sink(
    "shipments",
    key="orderNumber",
    title=Title("発送完了報告", "Shipping reports"),
    batch_size=100,
    write=Write.APPEND,
    ask=already_reported,
    listed=Listed("orders", reported),
)(shipments)
connector.sink(
    "confirmations",
    key="orderNumber",
    title=Title("注文確認", "Order confirmations"),
    batch_size=100,
    write=Write.ABSOLUTE,
    answers=True,
)(confirmations)


@connector.check
def check(call: Call[RakutenConfig]) -> str:
    """Search the last day's orders, and ask how long the license key lasts where that function is switched on."""
    now = call.now()
    body = {
        "dateType": 1,
        "startDatetime": rms_time(now - timedelta(days=1)),
        "endDatetime": rms_time(now),
        "PaginationRequestModel": {"requestRecordsAmount": 1, "requestPage": 1},
    }
    answer = order_call(call, "searchOrder", body, intent=Intent.READ)
    raise_errors("searchOrder", answer)
    found = (answer.get("PaginationResponseModel") or {}).get("totalRecordsAmount") or 0
    return f"過去24時間の受注 {found} 件 / {found} orders in the last 24 hours. {_license(call, now)}"


def _license(call: Call[RakutenConfig], now: datetime) -> str:
    key = call.config.license_key.get_secret_value()
    try:
        told = get(call, "/es/1.0/license-management/license-key/expiry-date", {"licenseKey": key})
    except FunctionNotEnabled:
        return (
            "ライセンスキーの期限は未確認（RMSでライセンス管理APIが有効になっていません）。"
            " / when the license key ends is not known: its API function is not switched on in RMS."
        )
    except Refused as error:
        return f"ライセンスキーの期限を確認できません / the license key's end could not be read: {error}"
    try:
        ends = datetime.fromisoformat(str(told.get("expiryDate")))
    except ValueError:
        return f"ライセンスキーの期限を読めません / RMS told no date as the license key's end: {told!r}"
    # RMS gives the time without an offset and means Japan
    ends = ends if ends.tzinfo else ends.replace(tzinfo=JST)
    days = (ends - now).days
    line = f"ライセンスキー期限 / license key ends {ends.astimezone(JST):%Y-%m-%d}"
    if days > call.config.warn_days:
        return line
    return (
        f"【注意 / WARNING】{line}（あと{days}日）。RMSで更新し、接続設定のパスワードを差し替えてください。"
        f" / {days} days left: renew it in RMS and replace the connection's password."
    )
