"""A shop with an API that fetches by id: what it lists, and what stands there of the stock it was sent."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from connectors.registry import load_connectors
from hub.engine import Hub
from hub.reconcile import Options, Result, apply_fix, reconcile
from hub.store.database import open_engine
from hub.systems import load_systems
from sandbox.shopify import Server, Shop
from sandbox.shopify.cost import Bucket

SYSTEM = """
system: shopify
connector: shopify
title: {ja: 自社EC, en: Own shop}
constants: {channel: shopify}
flows:
  listings: {pull: variants, mapping: shopify/listings.in}
  levels: {pull: inventory, mapping: shopify/stock.in}
  orders: {pull: orders, mapping: shopify/orders.in}
  stock: {push: stock, mapping: shopify/stock.out}
"""


@pytest.fixture
def shop() -> Shop:
    two_days_ago = datetime.now(UTC) - timedelta(days=2)
    return Shop(clock=lambda: two_days_ago, bucket=Bucket(pace=100_000))


@pytest.fixture
def hub(shop: Shop, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    (tmp_path / "shopify.yaml").write_text(SYSTEM, "utf-8")
    loaded = load_systems([tmp_path])
    assert loaded.faults == [], [str(fault) for fault in loaded.faults]
    with Server(shop) as server, Hub(open_engine(database_url, threads=2), loaded, load_connectors()) as hub:
        extra = {
            "shop": shop.domain, "access_token": shop.access_token, "base_url": server.url, "location": "東京倉庫",
            "locations": {"tokyo": "東京倉庫"}, "restore_rate": 1_000_000, "bucket_size": 1_000_000,
        }  # fmt: skip
        monkeypatch.setenv("AIRFLOW_CONN_SHOPIFY", json.dumps({"extra": extra}))
        for flow in ("listings", "levels", "orders"):
            hub.pull("shopify", flow)
        hub.push("shopify", "stock")
        yield hub


def compare(hub: Hub, tmp_path: Path, subject: str) -> Result:
    with hub.engine.begin() as connection:
        connection.execute(text("UPDATE entity SET updated_at = now() - interval '2 hours'"))
    return reconcile(hub, "shopify", subject, reports=tmp_path / "reports", options=Options(), lang="en")


def told(hub: Hub, result: Result) -> list[Any]:
    query = (
        "SELECT direction, state, remedy FROM reconcile_difference "
        "WHERE run_id = :run AND state NOT IN ('in_flight', 'unmanaged') ORDER BY n"
    )
    with hub.engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(query), {"run": result.run})]


def test_levels_that_someone_typed_over_are_sent_again(hub: Hub, shop: Shop, tmp_path: Path) -> None:
    clean = compare(hub, tmp_path, "stock")
    assert (clean.outcome, told(hub, clean)) == ("equal", [])
    assert clean.counts["equal"] > 3
    place = next(place for place in shop.levels if place[1] == shop.main_place)
    shop.levels[place].available += 4
    found = compare(hub, tmp_path, "stock")
    assert told(hub, found) == [("out", "differ", "send")]
    assert apply_fix(hub, found.run, reason="typed over").counts["fixed"] == 1
    assert compare(hub, tmp_path, "stock").outcome == "equal"


def test_levels_and_orders_the_hub_missed_are_fetched_by_id(hub: Hub, shop: Shop, tmp_path: Path) -> None:
    assert compare(hub, tmp_path, "levels").outcome == "equal"
    place = next(place for place in shop.levels if place[1] == shop.main_place)
    shop.levels[place].available += 4
    levels = compare(hub, tmp_path, "levels")
    assert told(hub, levels) == [("in", "differ", "take_in")]
    assert apply_fix(hub, levels.run, reason="missed").counts["fixed"] == 1
    number = shop.take_orders(1)
    assert number
    orders = compare(hub, tmp_path, "order")
    assert told(hub, orders) == [("in", "only_system", "take_in")]
    assert apply_fix(hub, orders.run, reason="missed").counts["fixed"] == 1
    assert compare(hub, tmp_path, "order").outcome == "equal"
