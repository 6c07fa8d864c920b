"""The connector: what it offers, and the facts declared about it.

Facts marked "seen on 3.7.3" were measured against that version from npm.
"""

from __future__ import annotations

from connectors.contract import Call, Connector, Deletes, Title, Write
from connectors.vendure.api import Api, http_settings
from connectors.vendure.config import VendureConfig
from connectors.vendure.customers import CustomerRow, put_customers
from connectors.vendure.events import events
from connectors.vendure.fulfilments import CancellationRow, FulfilmentRow, already_shipped, cancel, ship
from connectors.vendure.placing import OrderRow, place_orders
from connectors.vendure.products import ProductRow, put_products
from connectors.vendure.sources import (
    OVERLAP,
    OrderCursor,
    ProductCursor,
    Since,
    customers,
    orders,
    products,
    stock,
    variants,
)
from connectors.vendure.stock import StockRow, set_stock

__all__ = ["connector"]

connector = Connector(
    "vendure",
    config=VendureConfig,
    title=Title("Vendure（自社EC）", "Vendure (own shop)"),
    http=http_settings,
    api_version="Vendure 3 Admin API (3.7)",
)

connector.source(
    "products",
    key="id",
    title=Title("商品", "Products"),
    cursor=ProductCursor,
    overlap=OVERLAP,
    deletes=Deletes.ABSENCE,
)(products)
connector.source(
    "variants",
    key="id",
    title=Title("バリエーション（SKU）", "Variants (SKUs)"),
    cursor=Since,
    overlap=OVERLAP,
    deletes=Deletes.ABSENCE,
)(variants)
connector.source("stock", key="id", title=Title("在庫", "Stock levels"), deletes=Deletes.ABSENCE)(stock)
connector.source("orders", key="code", title=Title("受注", "Orders"), cursor=OrderCursor, overlap=OVERLAP)(
    orders
)
connector.source(
    "customers",
    key="id",
    title=Title("顧客", "Customers"),
    cursor=Since,
    overlap=OVERLAP,
    deletes=Deletes.ABSENCE,
)(customers)

connector.sink(
    "products",
    key="code",
    title=Title("商品登録", "Products"),
    batch_size=20,
    write=Write.ABSOLUTE,
    record=ProductRow,
)(put_products)
connector.sink(
    "stock",
    key="sku",
    title=Title("在庫更新", "Stock levels"),
    batch_size=100,
    write=Write.ABSOLUTE,
    record=StockRow,
)(set_stock)
connector.sink(
    "customers",
    key="emailAddress",
    title=Title("顧客登録", "Customers"),
    batch_size=20,
    write=Write.ABSOLUTE,
    record=CustomerRow,
)(put_customers)
connector.sink(
    "orders",
    key="reference",
    title=Title("他チャネルの受注登録", "Orders of other channels"),
    batch_size=10,
    write=Write.ABSOLUTE,
    record=OrderRow,
)(place_orders)
connector.sink(
    "fulfilments",
    key="orderCode",
    title=Title("出荷報告", "Shipments"),
    batch_size=20,
    write=Write.APPEND,
    ask=already_shipped,
    record=FulfilmentRow,
)(ship)
connector.sink(
    "cancellations",
    key="orderCode",
    title=Title("受注キャンセル", "Cancellations"),
    batch_size=20,
    write=Write.ABSOLUTE,
    record=CancellationRow,
)(cancel)

connector.webhook(events)


@connector.check
def check(call: Call[VendureConfig]) -> str:
    """Log in, and say which channel, currency and API version this account works with."""
    api = Api(call)
    channel = api.channel
    read = api.query("Stock", options={"take": 1})["productVariants"]["totalItems"]
    tax = "with" if channel.prices_include_tax else "without"
    return (
        f"channel {channel.code}, {channel.currency} (prices {tax} tax), {read} variants, "
        f"Vendure 3 Admin API, language {channel.language}"
    )
