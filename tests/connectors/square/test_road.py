"""The hub itself between two sellers: receipts and counts come in once, stock goes out, events are fetched."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from connectors.registry import Connectors
from connectors.square import connector
from hub.engine import Hub
from hub.store.database import migrate, open_engine
from hub.systems import load_systems
from sandbox.square import Postman, Seller, Subscription, sell, take_back
from tests.connectors.square.conftest import Front

URL = "https://hub.example.jp/webhooks/pos-main"
SYSTEM = """
system: pos-main
connector: square
title: {ja: 直営店, en: Own stores}
settings:
  base_url: "%s"
  notification_url: "%s"
  requests_per_second: 1000
  locations: {store-shibuya: %s, store-umeda: %s}
constants: {channel: pos}
flows:
  products: {pull: products, mapping: square/products.in}
  listings: {pull: variations, mapping: square/listings.in}
  stock: {pull: inventory, mapping: square/stock.in}
  orders: {pull: orders, mappings: [square/orders.in, square/shipments.in, square/returns.in]}
  customers: {pull: customers, mapping: square/customers.in}
  stock_out: {push: inventory, mapping: square/stock.out}
"""


@pytest.fixture
def hub(server: Front, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    seller = server.seller
    login = {
        "conn_type": "square",
        "password": seller.access_token,
        "extra": {"webhook_secret": "sandbox-signature-key"},
    }
    monkeypatch.setenv("AIRFLOW_CONN_POS_MAIN", json.dumps(login))
    stores = [seller.location(name) for name in ("渋谷店", "梅田店")]
    (tmp_path / "pos-main.yaml").write_text(SYSTEM % (server.url, URL, *stores), "utf-8")
    engine = open_engine(database_url)
    migrate(engine)
    systems = load_systems([tmp_path])
    assert systems.faults == [], [str(fault) for fault in systems.faults]
    with Hub(engine, systems, Connectors(square=connector)) as opened:
        yield opened


def entity(hub: Hub, kind: str, key: str) -> dict[str, Any]:
    query = text("SELECT content FROM entity WHERE kind = :kind AND key = :key AND deleted_at IS NULL")
    with hub.engine.connect() as connection:
        content = connection.execute(query, {"kind": kind, "key": key}).scalar_one()
    return dict(content if isinstance(content, dict) else json.loads(content))


def test_reading_the_stores_twice_writes_once(hub: Hub, seller: Seller) -> None:
    seller.receive("TEA-100", "渋谷店", 5)
    sale = sell(seller, "渋谷店", [("TEA-100", 2), ("LATTE", 1)])
    take_back(seller, sale["id"], [("TEA-100", 1)])

    flows = ("products", "listings", "stock", "orders")
    first = {flow: hub.pull("pos-main", flow) for flow in flows}
    second = {flow: hub.pull("pos-main", flow) for flow in flows}

    assert {
        flow: (report.created > 0, report.quarantined) for flow, report in first.items()
    } == dict.fromkeys(flows, (True, 0))
    assert {flow: (report.created, report.updated) for flow, report in second.items()} == dict.fromkeys(
        flows, (0, 0)
    )
    order = entity(hub, "order", f"pos/{sale['id']}")
    assert order["status"]["fulfilment"] == "delivered"
    assert entity(hub, "stock_position", "TEA-100@store-shibuya")["on_hand"] == 4


def test_an_event_brings_the_count_without_a_poll(hub: Hub, seller: Seller) -> None:
    hub.pull("pos-main", "listings")
    taken: list[tuple[str, bytes]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        taken.append((request.headers["x-square-hmacsha256-signature"], request.content))
        return httpx.Response(200)

    seller.postman = Postman(Subscription(URL), transport=httpx.MockTransport(answer))
    seller.receive("CUP-1", "梅田店", 3)
    sell(seller, "梅田店", [("CUP-1", 1)])
    seller.postman.deliver(all_of_them=True)
    assert connector.webhook_door is not None
    flows = {"inventory": "stock", "orders": "orders"}

    for signature, body in taken:
        headers = {"x-square-hmacsha256-signature": signature}
        for event in connector.webhook_door.run(headers, body, hub.settings_of("pos-main")):
            if event.source in flows and event.fetch:
                hub.fetch("pos-main", flows[event.source], event.fetch)

    assert entity(hub, "stock_position", "CUP-1@store-umeda")["on_hand"] == 2
    (order,) = seller.orders
    assert entity(hub, "order", f"pos/{order}")["totals"]["payable"]["amount"] == 1650


def test_a_variation_that_is_deleted_is_no_longer_listed(hub: Hub, seller: Seller) -> None:
    hub.pull("pos-main", "listings")
    gone = seller.variation("TEA-200")
    seller.catalog[gone] |= {"is_deleted": True, "updated_at": seller.now(), "version": seller.new_version()}

    report = hub.pull("pos-main", "listings")

    assert report.deleted == 1
    assert entity(hub, "listing", "pos/TEA-100")["ids"]["variation_id"] == seller.variation("TEA-100")
    with hub.engine.connect() as connection:
        found = connection.scalar(
            text("SELECT deleted_at FROM entity WHERE kind = 'listing' AND key = 'pos/TEA-200'")
        )
    assert found is not None


def test_what_square_itself_counted_is_not_sent_back(hub: Hub, seller: Seller) -> None:
    hub.pull("pos-main", "listings")
    seller.receive("TEA-100", "渋谷店", 5)
    hub.pull("pos-main", "stock")

    report = hub.push("pos-main", "stock_out")

    assert report.sent == 0
    assert seller.stock("TEA-100", "渋谷店") == 5
