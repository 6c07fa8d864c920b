"""The house of one run: its home folder, system files, secrets, ports, and the environment its processes run in."""

from __future__ import annotations

import json
import os
import random
import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hub.home import Home, Settings, write_private
from tests.chaos.channels import NOTIFICATION_URL
from tests.chaos.goods import BUFFER
from tests.chaos.warehouse import MOMENT

__all__ = ["FLOWS", "ROOT", "House", "free_port"]

ROOT = Path(__file__).resolve().parent.parent.parent

SHOP = """\
system: shop
connector: shopify
title: {{ja: 自社サイト, en: Own shop}}
settings:
  shop: tsunagi-sandbox.myshopify.com
  base_url: "{url}"
  location: 東京倉庫
  restore_rate: 1000
  bucket_size: 20000
constants: {{channel: shop}}
owner: web desk
flows:
  listings: {{pull: variants, mapping: shopify/listings.in, schedule: "*/2 * * * *"}}
  orders: {{pull: orders, mapping: shopify/orders.in, schedule: "* * * * *"}}
  stock: {{push: stock, mapping: shopify/sellable.out, schedule: "* * * * *"}}
  shipments: {{push: fulfilments, mapping: shopify/fulfilments.out, schedule: "* * * * *"}}
"""
TILLS = """\
system: tills
connector: square
title: {{ja: 直営店, en: Own stores}}
settings:
  base_url: "{url}"
  locations: {{store-umeda: {store}}}
  notification_url: {notification}
  requests_per_second: 40
constants: {{channel: tills}}
owner: store desk
allocation: {{buffer: {buffer}}}
flows:
  listings: {{pull: variations, mapping: square/listings.in, schedule: "*/2 * * * *"}}
  orders: {{pull: orders, mappings: [square/orders.in, square/returns.in], schedule: "* * * * *"}}
  stock: {{push: inventory, mapping: square/sellable.out, schedule: "* * * * *"}}
"""
WMS = """\
system: wms
connector: file_exchange
title: {ja: 倉庫, en: Warehouse}
settings:
  protocol: local
  interfaces:
    - {name: stock, folder: out, pattern: "ZAIKO_{date:%Y%m%d}_{seq:04d}.csv", layout: stock, snapshot: true}
    - {name: results, folder: out, pattern: "SHUKKA_{date:%Y%m%d}_{seq:04d}.csv", layout: shipping_results}
    - name: instructions
      direction: out
      folder: in
      pattern: "SHIJI_{date:%Y%m%d}_{seq:04d}.csv"
      layout: shipping_instructions
constants: {channel: wms}
owner: logistics
# the warehouse counts only after it has read every instruction that lies there, and says the second it counted in
allocation: {counts: {books: instructions, books_after: 0s, age: 0s}}
authority: {stock_position: wms}
flows:
  stock: {pull: files, params: {interface: stock}, mapping: chaos/count.in, schedule: "* * * * *"}
  instructions: {push: files, params: {interface: instructions}, mapping: file_exchange/shipping_instructions.out,
                 schedule: "* * * * *"}
  results: {pull: files, params: {interface: results}, mapping: file_exchange/shipping_results.in,
            schedule: "* * * * *"}
"""
COUNT = f"""\
version: 1
direction: in
entity: stock_position
title: {{ja: 倉庫の在庫数, en: The warehouse's count}}
group:
  by: {{join: [商品ID, 倉庫ID], with: "@", all: true}}
external_id: {{join: [商品ID, 倉庫ID], with: "@", all: true}}
fields:
  key: {{join: [商品ID, 倉庫ID], with: "@", all: true}}
  sku: {{from: 商品ID, required: true}}
  location: {{from: 倉庫ID, required: true}}
  on_hand: {{call: "mappings.file_exchange.functions:units",
             args: [rows, {{value: 在庫数(引当数を含む)}}, {{value: good}}], required: true}}
  allocated: {{call: "mappings.file_exchange.functions:units", args: [rows, {{value: 引当数}}, {{value: good}}]}}
  as_of: {{from: {MOMENT}, as: {{datetime: {{format: "%Y%m%d %H%M%S"}}}}, required: true}}
"""

FLOWS: Mapping[tuple[str, str], float] = {
    ("wms", "stock"): 1.5, ("wms", "instructions"): 2.0, ("wms", "results"): 2.0,
    ("shop", "orders"): 12.0, ("tills", "orders"): 12.0, ("shop", "stock"): 4.0, ("tills", "stock"): 4.0,
    ("shop", "shipments"): 4.0, ("shop", "listings"): 12.0, ("tills", "listings"): 12.0,
}  # fmt: skip
"""Every flow, and after how many seconds it is due again where Airflow is not used."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class House:
    """`folder` holds everything of a run; it is kept when something is wrong."""

    folder: Path
    seed: str
    gateways: int = 2

    def __post_init__(self) -> None:
        self.home = Home(self.folder / "home").create()
        self.systems = self.folder / "systems"
        self.warehouse = self.folder / "warehouse"
        self.ports = [free_port() for _ in range(self.gateways)]
        self.dice = random.Random(self.seed)
        self.systems.mkdir(exist_ok=True)

    def doors(self, system: str) -> list[str]:
        """The webhook door of a system at each gateway."""
        return [f"http://127.0.0.1:{port}/webhooks/{system}" for port in self.ports]

    @property
    def gateway_urls(self) -> list[str]:
        return [f"http://127.0.0.1:{port}" for port in self.ports]

    def furnish(self, shop_url: str, tills_url: str, store: str) -> None:
        """Write system files, the count's mapping and the secrets."""
        files = {
            "shop": SHOP.format(url=shop_url),
            "tills": TILLS.format(
                url=tills_url, store=store, notification=NOTIFICATION_URL, buffer=BUFFER["tills"]
            ),
            "wms": WMS,
        }
        for name, text in files.items():
            (self.systems / f"{name}.yaml").write_text(text, "utf-8")
        mapping = self.home.root / "mappings" / "chaos" / "count.in.yaml"
        mapping.parent.mkdir(parents=True, exist_ok=True)
        mapping.write_text(COUNT, "utf-8")
        secrets = {
            "shop": ("shpat_sandbox_opens_nothing_else", {"webhook_secret": "sandbox-webhook-secret"}),
            "tills": ("EAAAsandbox-access-token", {"webhook_secret": "sandbox-signature-key"}),
            "wms": (None, {"root": str(self.warehouse)}),
        }
        for name, (password, extra) in secrets.items():
            said = {"extra": extra} | ({"password": password} if password else {})
            write_private(self.home.secrets / f"{name}.json", json.dumps(said))

    @property
    def env(self) -> dict[str, str]:
        """Nothing of the caller's own hub may reach these processes."""
        mine = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("TSUNAGI_", "AIRFLOW", "PYTEST"))
        }
        return mine | {
            "TSUNAGI_HOME": str(self.home.root), "TSUNAGI_SYSTEMS": str(self.systems), "TSUNAGI_LANG": "en",
            "TSUNAGI_LOG_FORMAT": "json", "PYTHONUNBUFFERED": "1", "PYTHONUTF8": "1",
            "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [mine.get("PYTHONPATH")])]),
        }  # fmt: skip

    @property
    def settings(self) -> Settings:
        return Settings.from_env(self.env)

    def command(self, *arguments: str, bug: str | None = None) -> Sequence[str]:
        """The hub's own command, with a planted bug where one is wanted."""
        return [sys.executable, "-W", "ignore", "-m", "tests.chaos.launch", bug or "-", *arguments]
