"""The connector: what it offers, and the facts declared about it."""

from __future__ import annotations

from connectors.contract import Call, Connector, Deletes, Listed, Misconfigured, Title, Write
from connectors.square.api import Api, http_settings
from connectors.square.catalog import products, variations
from connectors.square.config import SquareConfig
from connectors.square.counts import CHANGES_A_CALL, CountRow, already_counted, put_counts
from connectors.square.customers import LIMIT, customers
from connectors.square.events import events
from connectors.square.inventory import inventory
from connectors.square.items import ProductRow, put_products
from connectors.square.orders import orders
from connectors.square.payments import payments, refunds
from connectors.square.places import locations
from connectors.square.profiles import CustomerRow, put_customers
from connectors.square.standing import counted
from connectors.square.walk import OVERLAP, Place

__all__ = ["connector"]

connector = Connector(
    "square",
    config=SquareConfig,
    title=Title("Square（POS）", "Square (POS)"),
    http=http_settings,
    api_version="Square API 2025-08-20",
)

for _name, _source, _title in (
    ("products", products, Title("商品", "Products")),
    ("variations", variations, Title("バリエーション（SKU）", "Variations (SKUs)")),
):
    connector.source(
        _name, key="id", title=_title, cursor=Place, overlap=OVERLAP, deletes=Deletes.EVENTS, order="version",
        by_id="id",
    )(_source)  # fmt: skip
connector.source(
    "inventory",
    key="id",
    title=Title("在庫数", "Stock counts"),
    cursor=Place,
    overlap=OVERLAP,
    order="calculated_at",
    by_id="id",
)(inventory)
for _name, _source, _title in (
    ("orders", orders, Title("会計・注文", "Orders")),
    ("payments", payments, Title("支払", "Payments")),
    ("refunds", refunds, Title("返金", "Refunds")),
):
    connector.source(
        _name, key="id", title=_title, cursor=Place, overlap=OVERLAP, order="updated_at", by_id="id"
    )(_source)
connector.source(
    "customers",
    key="id",
    title=Title("顧客", "Customers"),
    cursor=Place,
    overlap=OVERLAP,
    deletes=Deletes.ABSENCE,
    order="updated_at",
    by_id="id",
)(customers)

connector.sink(
    "inventory",
    key="catalog_object_id",
    title=Title("在庫数", "Stock counts"),
    batch_size=CHANGES_A_CALL,
    write=Write.ABSOLUTE,
    ask=already_counted,
    idempotent=True,
    record=CountRow,
    listed=Listed("inventory", counted),
)(put_counts)
connector.sink(
    "products",
    key="name",
    title=Title("商品登録", "Products"),
    batch_size=100,
    write=Write.ABSOLUTE,
    idempotent=True,
    record=ProductRow,
)(put_products)
connector.sink(
    "customers",
    key="reference_id",
    title=Title("顧客登録", "Customers"),
    batch_size=LIMIT,
    write=Write.ABSOLUTE,
    idempotent=True,
    record=CustomerRow,
)(put_customers)
connector.webhook(events)


@connector.check
def check(call: Call[SquareConfig]) -> str:
    """Read the locations, and see that those of the settings are there and active."""
    known = {str(each["id"]): each for each in locations(Api(call))}
    wanted = call.config.locations or {place: place for place in known}
    for name, place in wanted.items():
        if place not in known:
            there = ", ".join(f"{each} {row.get('name')}" for each, row in known.items())
            raise Misconfigured(
                f"設定 locations の {name}（{place}）はこの加盟店にありません。あるのは: {there} / the setting"
                f" locations names {place} as {name}, which this seller does not have; there are: {there}"
            )
        if call.config.locations and known[place].get("status", "ACTIVE") != "ACTIVE":
            raise Misconfigured(
                f"店舗 {name}（{place}）は停止中です。 / location {place} ({name}) is not active"
            )
    shown = ", ".join(f"{known[place].get('name')} = {name}" for name, place in wanted.items())
    return f"店舗 {len(wanted)} 件 / locations: {shown} ({call.config.square_version})"
