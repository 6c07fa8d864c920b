"""The hub itself between a warehouse and a real Vendure: stock goes in, orders come out, shipments go back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from sqlalchemy import text

from connectors.contract import Call, Connector, Page, Title
from connectors.registry import Connectors
from connectors.vendure import connector
from hub.engine import Hub
from hub.store.database import migrate, open_engine
from hub.systems import load_systems

pytestmark = [pytest.mark.vendure, pytest.mark.timeout(900)]

SHOP = """
system: shop-main
connector: vendure
title: {ja: 自社EC, en: Own shop}
settings: {base_url: "%s", language: ja, custom_fields: {order: [externalReference], variant: [gtin]}}
constants: {channel: shop}
flows:
  products: {pull: products, mappings: [vendure/products.in]}
  listings: {pull: variants, mappings: [vendure/listings.in]}
  customers: {pull: customers, mappings: [vendure/customers.in]}
  orders: {pull: orders, mappings: [vendure/orders.in]}
  stock: {push: stock, mapping: vendure/stock.out}
  fulfilments: {push: fulfilments, mapping: vendure/fulfilments.out}
"""
WAREHOUSE = """
system: wms
connector: test_warehouse
title: {ja: 倉庫, en: Warehouse}
flows:
  stock: {pull: stock, mappings: [test_warehouse/stock.in]}
  shipments: {pull: shipments, mappings: [test_warehouse/shipments.in]}
"""
STOCK_IN = """
version: 1
direction: in
entity: stock_position
title: {ja: 在庫, en: Stock}
external_id: sku
fields:
  key: {join: [sku, {value: east}], with: "@"}
  sku: sku
  location: {value: east}
  on_hand: on_hand
  allocated: allocated
"""
SHIPMENTS_IN = """
version: 1
direction: in
entity: shipment
title: {ja: 出荷, en: Shipment}
external_id: number
fields:
  key: number
  order_key: order
  lines: {each: "lines[]", fields: {sku: sku, quantity: quantity}}
  parcels: [{tracking_number: tracking, carrier: {value: yamato}}]
  shipped_on: {from: date, as: date}
"""


class Nothing(BaseModel):
    """The warehouse needs no settings."""


@dataclass
class Warehouse:
    """What the warehouse says, set by a test."""

    stock: list[dict[str, Any]] = field(default_factory=list)
    shipments: list[dict[str, Any]] = field(default_factory=list)

    def connector(self) -> Connector[Nothing]:
        made = Connector("test_warehouse", config=Nothing, title=Title("倉庫", "Warehouse"))
        made.source("stock", key="sku")(self._pages("stock"))
        made.source("shipments", key="number")(self._pages("shipments"))
        return made

    def _pages(self, name: str) -> Any:
        def pages(_call: Call[Nothing], _cursor: None) -> Iterator[Page]:
            yield Page(None, list(getattr(self, name)))

        return pages


@pytest.fixture
def warehouse() -> Warehouse:
    return Warehouse()


@pytest.fixture
def hub(
    shop: Any, warehouse: Warehouse, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Hub]:
    login = {"conn_type": "vendure", "login": shop.username, "password": shop.password}
    monkeypatch.setenv("AIRFLOW_CONN_SHOP_MAIN", json.dumps(login))
    monkeypatch.setenv("AIRFLOW_CONN_WMS", json.dumps({"conn_type": "test_warehouse"}))
    (tmp_path / "systems").mkdir()
    (tmp_path / "systems" / "shop-main.yaml").write_text(SHOP % shop.url, "utf-8")
    (tmp_path / "systems" / "wms.yaml").write_text(WAREHOUSE, "utf-8")
    (tmp_path / "mappings" / "test_warehouse").mkdir(parents=True)
    (tmp_path / "mappings" / "test_warehouse" / "stock.in.yaml").write_text(STOCK_IN, "utf-8")
    (tmp_path / "mappings" / "test_warehouse" / "shipments.in.yaml").write_text(SHIPMENTS_IN, "utf-8")
    engine = open_engine(database_url)
    migrate(engine)
    systems = load_systems([tmp_path / "systems"])
    assert systems.faults == [], [str(fault) for fault in systems.faults]
    connectors = Connectors(vendure=connector, test_warehouse=warehouse.connector())
    with Hub(engine, systems, connectors, mapping_roots=[tmp_path / "mappings"]) as opened:
        yield opened


def entity(hub: Hub, kind: str, key: str) -> dict[str, Any]:
    query = text("SELECT content FROM entity WHERE kind = :kind AND key = :key")
    with hub.engine.connect() as connection:
        content = connection.execute(query, {"kind": kind, "key": key}).scalar_one()
    return dict(content if isinstance(content, dict) else json.loads(content))


def test_reading_the_shop_twice_writes_once(hub: Hub, buy: Any) -> None:
    buy("TEA-100", 1)
    flows = ("products", "listings", "customers", "orders")
    first = {flow: hub.pull("shop-main", flow) for flow in flows}
    second = {flow: hub.pull("shop-main", flow) for flow in flows}
    for flow in flows:
        assert first[flow].created > 0, flow
        assert (first[flow].quarantined, second[flow].quarantined) == (0, 0), flow
        assert (second[flow].created, second[flow].updated) == (0, 0), flow


def test_the_warehouses_stock_becomes_what_the_shop_sells(
    hub: Hub, warehouse: Warehouse, stock_of: Any
) -> None:
    hub.pull("shop-main", "listings")
    warehouse.stock = [
        {"sku": "BWL-2", "on_hand": 9, "allocated": 2},
        {"sku": "NOT-IN-THE-SHOP", "on_hand": 5, "allocated": 0},
    ]
    hub.pull("wms", "stock")
    report = hub.push("shop-main", "stock")
    assert (report.sent, report.done, report.not_for_us) == (1, 1, 0)
    level = stock_of("BWL-2")
    assert level["stockOnHand"] - level["stockAllocated"] == 7
    again = hub.push("shop-main", "stock")
    assert (again.read, again.sent) == (0, 0)


def test_a_shipment_of_the_warehouse_ships_the_shops_order_once(
    hub: Hub, warehouse: Warehouse, buy: Any, settle: Any, account: Any
) -> None:
    placed = buy("TS-WH-L", 2)
    settle(placed)
    hub.pull("shop-main", "orders")
    key = f"shop/{placed['code']}"
    assert entity(hub, "order", key)["number"] == placed["code"]
    warehouse.shipments = [
        {
            "number": f"{key}#1",
            "order": key,
            "lines": [{"sku": "TS-WH-L", "quantity": 2}],
            "tracking": "400000000077",
            "date": "2026-11-22",
        }
    ]
    hub.pull("wms", "shipments")
    report = hub.push("shop-main", "fulfilments")
    assert (report.sent, report.done, report.refused) == (1, 1, 0)
    assert hub.push("shop-main", "fulfilments").sent == 0
    [order] = account.records("orders", None, ids=[placed["id"]])
    assert [(one["state"], one["trackingCode"]) for one in order["fulfillments"]] == [
        ("Shipped", "400000000077")
    ]
    hub.pull("shop-main", "orders")
    assert entity(hub, "order", key)["traits"]["vendure"]["state"] == "Shipped"
