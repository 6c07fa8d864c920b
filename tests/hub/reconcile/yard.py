"""A yard for the tests of reconcile: a hub, a marketplace (stand-in) and a warehouse that drops files."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import text

from connectors.registry import load_connectors
from hub.engine import Hub
from hub.reconcile import Options, Result, reconcile
from hub.store.database import open_engine
from hub.systems import load_systems
from sandbox.rakuten import Shop
from sandbox.wms import Wms

DAY = date(2026, 11, 21)
RAKUTEN = """
system: rakuten
connector: rakuten_rms
title: {ja: 楽天市場 本店, en: Rakuten main shop}
constants: {channel: rakuten}
flows:
  listings: {pull: skus, mapping: rakuten_rms/listings.in}
  orders: {pull: orders, mappings: [rakuten_rms/orders.in, rakuten_rms/customers.in]}
  stock: {push: stock, mapping: rakuten_rms/stock.out}
  confirmations: {push: confirmations, mapping: rakuten_rms/confirmations.out}
authority: {stock_position: wms, order: rakuten}
"""
WMS = """
system: wms
connector: file_exchange
title: {ja: 東日本倉庫, en: East Japan warehouse}
settings:
  protocol: local
  root: "ROOT"
  interfaces:
    - {name: stock, folder: out, pattern: "ZAIKO_{date:%Y%m%d}_{seq:03d}.csv", layout: stock, snapshot: true}
constants: {channel: wms}
flows:
  stock: {pull: files, params: {interface: stock}, mapping: file_exchange/stock.in}
"""


class Yard:
    """Short ways of saying what happens. `shop` is the marketplace behind the stand-in."""

    def __init__(
        self, url: str, base: Path, shop: Shop, address: str, setenv: Callable[[str, str], Any]
    ) -> None:
        self.base, self.shop = base, shop
        self.reports = base / "reports"
        self.wms = base / "wms"
        for folder in ("in", "out"):
            (self.wms / folder).mkdir(parents=True)
        systems = base / "systems"
        systems.mkdir()
        (systems / "rakuten.yaml").write_text(RAKUTEN, "utf-8")
        (systems / "wms.yaml").write_text(WMS.replace("ROOT", str(self.wms)), "utf-8")
        extra = {
            "service_secret": shop.service_secret, "license_key": shop.license_key, "base_url": address,
            "requests_per_second": 2000,
        }  # fmt: skip
        setenv("AIRFLOW_CONN_RAKUTEN", json.dumps({"conn_type": "rakuten_rms", "extra": extra}))
        loaded = load_systems([systems])
        assert loaded.faults == [], [str(fault) for fault in loaded.faults]
        self.hub = Hub(open_engine(url, threads=2), loaded, load_connectors())

    # ------------------------------------------------------------ what happens

    def count(self) -> Path:
        """The warehouse writes a snapshot; the hub takes it in. Where the file then lies."""
        Wms(self.wms).stock(DAY)
        self.hub.pull("wms", "stock")
        return next((self.wms / "out" / "done").rglob("*.csv"))

    def everything(self) -> None:
        """Orders of three days ago, listings and stock are everywhere the same."""
        self.shop.take_orders(12, until=datetime.now().astimezone() - timedelta(days=3))
        self.hub.pull("rakuten", "listings")
        self.hub.pull("rakuten", "orders")
        self.count()
        self.hub.push("rakuten", "stock")

    def compare(self, system: str, subject: str, **options: Any) -> Result:
        return reconcile(
            self.hub, system, subject, reports=self.reports, options=Options(**options), lang="en"
        )

    def sql(self, statement: str, **names: Any) -> list[Any]:
        with self.hub.engine.begin() as connection:
            done = connection.execute(text(statement), names)
            return list(done) if done.returns_rows else []

    def differences(self, result: Result) -> list[tuple[str, str, str, str]]:
        """(direction, key, state, remedy) of what was stored, without what is no difference."""
        return [
            tuple(row)
            for row in self.sql(
                "SELECT direction, key, state, remedy FROM reconcile_difference WHERE run_id = :run AND state IN "
                "('only_hub', 'only_system', 'differ', 'unreadable') ORDER BY n",
                run=result.run,
            )
        ]

    def stored(self) -> list[Any]:
        """What a comparison must leave alone."""
        return [
            self.sql("SELECT kind, key, version, hash FROM entity WHERE kind <> 'sellable' ORDER BY 1, 2"),
            self.sql("SELECT system, flow, cursor FROM flow_state ORDER BY 1, 2"),
            self.sql("SELECT id, state FROM intake ORDER BY id"),
            self.sql("SELECT count(*) FROM flow_run"),
            sorted(str(path) for path in self.wms.rglob("*") if path.is_file()),
        ]
