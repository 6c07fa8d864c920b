"""The connector: what it offers, and the facts declared about it."""

from __future__ import annotations

from datetime import date

from connectors.contract import Budget, Call, Connector, Deletes, Listed, Title, Write
from connectors.shopify.api import Api, http_settings
from connectors.shopify.config import ShopifyConfig
from connectors.shopify.customers import CustomerRow, put_customers
from connectors.shopify.events import events
from connectors.shopify.fulfilments import CancellationRow, FulfilmentRow, already_shipped, cancel, ship
from connectors.shopify.products import ProductRow, put_products
from connectors.shopify.sources import customers, inventory, orders, products, variants
from connectors.shopify.standing import stocked
from connectors.shopify.stock import BATCH, StockRow, set_stock
from connectors.shopify.walk import OVERLAP, Position

__all__ = ["connector"]

_SCOPES = (
    "read_products", "write_products", "read_inventory", "write_inventory", "read_locations", "read_orders",
    "write_orders", "read_customers", "write_customers", "read_merchant_managed_fulfillment_orders",
    "write_merchant_managed_fulfillment_orders",
)  # fmt: skip

connector = Connector(
    "shopify",
    config=ShopifyConfig,
    title=Title("Shopify", "Shopify"),
    http=http_settings,
    # Cost points of the Standard plan, not requests; the settings say what the shop's plan gives.
    budget=Budget(100, burst=2000),
    api_version="Admin GraphQL 2026-10 (2026-07)",
    # A version lives for at least twelve months after its release (shopify.dev, API versioning).
    sunset=date(2027, 10, 1),
)

connector.source(
    "products",
    key="id",
    title=Title("商品", "Products"),
    cursor=Position,
    overlap=OVERLAP,
    deletes=Deletes.ABSENCE,
    order="updatedAt",
    by_id="id",
)(products)
connector.source(
    "variants",
    key="id",
    title=Title("バリエーション（SKU）", "Variants (SKUs)"),
    cursor=Position,
    overlap=OVERLAP,
    deletes=Deletes.ABSENCE,
    order="updatedAt",
    by_id="id",
)(variants)
connector.source(
    "inventory",
    key="id",
    title=Title("在庫", "Inventory levels"),
    cursor=Position,
    overlap=OVERLAP,
    deletes=Deletes.ABSENCE,
    order="updatedAt",
    by_id="item.id",
)(inventory)
connector.source(
    "orders",
    key="id",
    title=Title("受注", "Orders"),
    cursor=Position,
    overlap=OVERLAP,
    deletes=Deletes.EVENTS,
    order="updatedAt",
    by_id="id",
)(orders)
connector.source(
    "customers",
    key="id",
    title=Title("顧客", "Customers"),
    cursor=Position,
    overlap=OVERLAP,
    deletes=Deletes.ABSENCE,
    order="updatedAt",
    by_id="id",
)(customers)

connector.sink(
    "stock",
    key="inventoryItemId",
    title=Title("在庫更新", "Stock levels"),
    batch_size=BATCH,
    write=Write.ABSOLUTE,
    idempotent=True,
    record=StockRow,
    listed=Listed("inventory", stocked),
)(set_stock)
connector.sink(
    "products",
    key="handle",
    title=Title("商品登録", "Products"),
    batch_size=20,
    write=Write.ABSOLUTE,
    record=ProductRow,
)(put_products)
connector.sink(
    "customers",
    key="email",
    title=Title("顧客登録", "Customers"),
    batch_size=20,
    write=Write.ABSOLUTE,
    record=CustomerRow,
)(put_customers)
connector.sink(
    "fulfilments",
    key="orderId",
    title=Title("出荷報告", "Shipments"),
    batch_size=20,
    write=Write.APPEND,
    ask=already_shipped,
    record=FulfilmentRow,
)(ship)
connector.sink(
    "cancellations",
    key="orderId",
    title=Title("受注キャンセル", "Cancellations"),
    batch_size=20,
    write=Write.ABSOLUTE,
    record=CancellationRow,
)(cancel)

connector.webhook(events)


@connector.check
def check(call: Call[ShopifyConfig]) -> str:
    """Say which shop, currency and tax basis this is, which scopes are missing, and which API version answers."""
    api = Api(call)
    told = api.query("Account")
    shop = told["shop"]
    granted = {scope["handle"] for scope in told["currentAppInstallation"]["accessScopes"]}
    # a write scope holds its read scope
    granted |= {scope.replace("write_", "read_", 1) for scope in granted}
    missing = [scope for scope in _SCOPES if scope not in granted]
    tax = "税込 / tax included" if shop["taxesIncluded"] else "税別 / tax excluded"
    line = f"{shop['name']} ({shop['myshopifyDomain']}), {shop['currencyCode']}, {tax}"
    if missing:
        line += f"; 権限がありません / missing scopes: {', '.join(missing)}"
    if "read_all_orders" not in granted:
        line += "; 受注は直近60日分のみ / orders of the last 60 days only (no read_all_orders)"
    if api.version_told not in (None, call.config.api_version):
        line += (
            f"; API {call.config.api_version} は終了し {api.version_told} で応答 / the version has ended: "
            f"Shopify answers with {api.version_told}, move the settings on"
        )
    return line
