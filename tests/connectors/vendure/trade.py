"""A company that sells in three places: a real Vendure, a marketplace and registers (stand-ins), and one warehouse.

Between them the hub as an operator runs it: `tsunagi gateway` and `tsunagi worker` as processes of their own, and the
scheduled flows, which the tests run themselves as Airflow would.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Self

import httpx
from sqlalchemy import text

from hub.engine import FlowBusy, Hub
from hub.home import Settings
from hub.reports import PullReport, PushReport
from hub.store.database import migrate, open_engine
from sandbox.rakuten import Limits as RakutenLimits, Server as RakutenServer, Shop as RakutenShop
from sandbox.square import Limits as SquareLimits, Seller, Server as SquareServer
from sandbox.vendure import Shop

__all__ = ["CHANNELS", "SECRET", "SKU", "Process", "Trade", "Write", "soon"]

SECRET = "a-secret-of-shop-and-hub"
SKU = "TEA-100"
"""What all three sell."""
STORE = "渋谷店"

SHOP = """
system: shop-main
connector: vendure
title: {{ja: 自社EC, en: Own shop}}
settings: {{base_url: "{vendure}", language: ja, custom_fields: {{order: [externalReference], variant: [gtin]}}}}
constants: {{channel: shop}}
flows:
  listings: {{pull: variants, mapping: vendure/listings.in}}
  customers: {{pull: customers, mapping: vendure/customers.in}}
  orders: {{pull: orders, mapping: vendure/orders.in}}
  stock: {{push: stock, mapping: vendure/stock.out}}
"""
MARKET = """
system: rakuten-main
connector: rakuten_rms
title: {{ja: 楽天市場, en: Marketplace}}
settings: {{base_url: "{rakuten}", requests_per_second: 1000}}
constants: {{channel: rakuten}}
flows:
  listings: {{pull: skus, mapping: rakuten_rms/listings.in}}
  orders: {{pull: orders, mapping: rakuten_rms/orders.in}}
  stock: {{push: stock, mapping: rakuten_rms/stock.out}}
"""
TILLS = """
system: tills
connector: square
title: {{ja: 直営店, en: Own stores}}
settings: {{base_url: "{square}", requests_per_second: 1000, locations: {{store: {place}}}}}
constants: {{channel: tills}}
flows:
  listings: {{pull: variations, mapping: square/listings.in}}
  stock: {{push: inventory, mapping: square/sellable.out}}
"""
WAREHOUSE = """
system: wms
connector: file_exchange
title: {{ja: 倉庫, en: Warehouse}}
settings:
  protocol: local
  root: "{warehouse}"
  interfaces:
    - {{name: stock, folder: out, pattern: "ZAIKO_{{date:%Y%m%d}}_{{seq:03d}}.csv", layout: stock}}
constants: {{channel: wms}}
allocation: {{counts: {{age: 0s}}}}
authority: {{stock_position: wms}}
flows:
  stock: {{pull: files, params: {{interface: stock}}, mapping: file_exchange/stock.in}}
"""
CHANNELS = ("shop-main", "rakuten-main", "tills")
COUNT = ("在庫日", "倉庫ID", "商品ID", "品質区分ID", "在庫数(引当数を含む)", "引当数")


def soon(true: Callable[[], Any], what: str, seconds: float = 30.0) -> None:
    """Wait until it is true. Raises AssertionError when it does not come."""
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, f"not within {seconds} s: {what}"
        time.sleep(0.005)


class Write(tuple[float, int]):
    """When a channel accepted a quantity, and which."""

    @property
    def at(self) -> float:
        return self[0]

    @property
    def quantity(self) -> int:
        return self[1]


class MarketShop(RakutenShop):
    """The marketplace, writing down when it accepted which stock of `SKU`."""

    def __post_init__(self) -> None:
        self.writes: list[Write] = []
        super().__post_init__()

    def keep(self, kind: str, key: str, body: dict[str, Any]) -> None:
        if kind == "stock" and key == "tea-sencha-100/normal-inventory":
            self.writes.append(Write((time.time(), body["quantity"])))
        super().keep(kind, key, body)


class Process:
    """`tsunagi gateway` or `tsunagi worker`, with what it said so far."""

    def __init__(self, environment: Mapping[str, str], *words: str) -> None:
        self.said = ""
        self._popen = subprocess.Popen(
            [sys.executable, "-c", "from hub.cli import main; main()", *words],
            env=dict(environment), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        self._reader = threading.Thread(target=self._listen, daemon=True)
        self._reader.start()

    def _listen(self) -> None:
        assert self._popen.stdout is not None
        for line in self._popen.stdout:
            self.said += line

    def wait_for(self, pattern: str, seconds: float = 60.0) -> str:
        """The first match in what it says."""
        until = time.monotonic() + seconds
        while (found := re.search(pattern, self.said)) is None:
            assert self._popen.poll() is None, self.said
            assert time.monotonic() < until, self.said
            time.sleep(0.01)
        return found[0]

    def stop(self) -> None:
        """Politely, as an operator would; nothing when it has ended."""
        if self._popen.poll() is not None:
            return
        self._popen.send_signal(signal.SIGTERM)
        try:
            self._popen.wait(20)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()
        self._reader.join(5)
        if self._popen.stdout is not None:
            self._popen.stdout.close()


class Trade:
    """Everything, running. The hub inside is the one Airflow's flows would use."""

    def __init__(self, shop: Shop, url: str, folder: Path) -> None:
        self.shop = shop
        self._url = url
        self._folder = folder
        self._files = 0
        self.address = ""
        self._stack = ExitStack()
        self.market = MarketShop(limits=RakutenLimits(pace=10_000))
        self.seller = Seller(limits=SquareLimits(pace=10_000))

    def __enter__(self) -> Self:
        try:
            self._open()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _open(self) -> None:
        market = self._stack.enter_context(RakutenServer(self.market))
        square = self._stack.enter_context(SquareServer(self.seller))
        (self._folder / "wms" / "out").mkdir(parents=True)
        systems = self._folder / "systems"
        systems.mkdir()
        for name, file in (
            ("shop-main", SHOP),
            ("rakuten-main", MARKET),
            ("tills", TILLS),
            ("wms", WAREHOUSE),
        ):
            content = file.format(
                vendure=self.shop.url, rakuten=market.url, square=square.url,
                place=self.seller.location(STORE), warehouse=self._folder / "wms",
            )  # fmt: skip
            (systems / f"{name}.yaml").write_text(content, "utf-8")
        self.environment = {**os.environ, **self._settings()}
        settings = Settings.from_env(self.environment)
        settings.home.create()
        engine = open_engine(self._url)
        migrate(engine)
        engine.dispose()
        with _environment(self._settings()):
            self.hub = self._stack.enter_context(Hub.open(settings, threads=2))
            assert self.hub.validate() == []
        self._stack.enter_context(_environment(self._settings()))
        self._stack.callback(self.shop.send_events, None)

    def _settings(self) -> dict[str, str]:
        connections = {
            "SHOP_MAIN": {
                "conn_type": "vendure", "login": self.shop.username, "password": self.shop.password,
                "extra": {"webhook_secret": SECRET},
            },
            "RAKUTEN_MAIN": {
                "conn_type": "rakuten_rms", "password": self.market.license_key,
                "extra": {"service_secret": self.market.service_secret},
            },
            "TILLS": {"conn_type": "square", "password": self.seller.access_token},
        }  # fmt: skip
        return {
            "TSUNAGI_HOME": str(self._folder / "home"),
            "TSUNAGI_DATABASE_URL": self._url,
            "TSUNAGI_SYSTEMS": str(self._folder / "systems"),
            "TSUNAGI_LANG": "en",
            "TSUNAGI_LOG_FORMAT": "json",
        } | {f"AIRFLOW_CONN_{name}": json.dumps(value) for name, value in connections.items()}

    # ------------------------------------------------------------------ the hub's processes

    def start_gateway(self) -> None:
        """Answers at `address`, the same one each time it is started. The shop sends its events there."""
        port = self.address.rpartition(":")[2] or "0"
        self.gateway = Process(self.environment, "gateway", "--port", port)
        self._stack.callback(self.gateway.stop)
        before, self.address = self.address, self.gateway.wait_for(r"http://127\.0\.0\.1:\d+")
        soon(lambda: _answers(f"{self.address}/health/ready"), "a gateway that is ready")
        if not before:
            self.send_events()

    def start_worker(self) -> None:
        worker = Process(self.environment, "worker")
        self._stack.callback(worker.stop)
        worker.wait_for("ready: urgent")

    def send_events(self, on: bool = True) -> None:
        """Switch the shop's plugin on or off."""
        self.shop.send_events(f"{self.address}/webhooks/shop-main" if on else None, SECRET)

    # ------------------------------------------------------------------ what is done in the company

    def count(self, units: int, sku: str = SKU) -> None:
        """The warehouse counts; its file is taken in by the scheduled flow."""
        self._files += 1
        day = f"{datetime.now().astimezone():%Y%m%d}"
        row = (day, "EAST", sku, "1", str(units), "0")
        lines = (",".join(f'"{value}"' for value in line) for line in (COUNT, row))
        path = self._folder / "wms" / "out" / f"ZAIKO_{day}_{self._files:03d}.csv"
        path.write_bytes("".join(f"{line}\r\n" for line in lines).encode("cp932"))
        report = self.pull("wms", "stock")
        assert report.quarantined == 0, self.hub.quarantine_list()

    def pull(self, system: str, flow: str) -> PullReport:
        return self.hub.pull(system, flow)

    def push(self, system: str, flow: str) -> PushReport:
        return self.hub.push(system, flow)

    def open_for_business(self) -> None:
        """Listings of all channels, and the orders of the shop's past."""
        for system in CHANNELS:
            self.pull(system, "listings")
        self.pull("shop-main", "orders")

    def stock_up(self, units: int) -> None:
        """So many of `SKU` are left over when all open orders are served, and every channel knows it."""
        (ordered,) = self.rows(
            "SELECT coalesce(sum(units), 0) AS units FROM stock_demand WHERE sku = :s", s=SKU
        )
        self.count(units + int(ordered.units))
        for system in CHANNELS:
            soon(lambda s=system: self._pushed(s), f"a push to {system}")  # type: ignore[misc]
        soon(lambda: self.offered == units and self.quiet, f"{units} offered")

    def _pushed(self, system: str) -> bool:
        try:
            self.push(system, "stock")
        except FlowBusy:
            return False
        return True

    def sell_at_the_market(self) -> int:
        """The marketplace takes orders until one is for `SKU`; its units."""
        while True:
            (number,) = self.market.take_orders(1, scene="plain")
            lines = [
                line for package in self.market.orders[number]["PackageModelList"]
                for line in package["ItemModelList"]
                if any(sku["merchantDefinedSkuId"] == SKU for sku in line["SkuModelList"])
            ]  # fmt: skip
            if lines:
                return sum(int(line["units"]) for line in lines)

    # ------------------------------------------------------------------ what is seen

    @property
    def offered(self) -> int | None:
        """Units the marketplace offers."""
        row = self.market.stock.get(("tea-sencha-100", "normal-inventory"))
        return None if row is None else int(row["quantity"])

    def rows(self, query: str, **values: Any) -> list[Any]:
        with self.hub.engine.connect() as connection:
            return list(connection.execute(text(query), values))

    @property
    def at_the_tills(self) -> int:
        """Units the registers show."""
        return self.seller.stock(SKU, STORE)

    @property
    def deliveries(self) -> dict[str, int]:
        """How many deliveries of stock went to each channel so far."""
        rows = self.rows("SELECT system, count(*) AS n FROM delivery WHERE flow = 'stock' GROUP BY system")
        return {row.system: row.n for row in rows}

    @property
    def quiet(self) -> bool:
        """No job waits or runs."""
        return not self.hub.job_statuses()


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).status_code == 200
    except httpx.TransportError:
        return False


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
