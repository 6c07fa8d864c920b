"""The shop behind the stand-in: its orders, items and stock, its switches, and the passing of its time.

State lives in memory; with a file it is kept in SQLite, document by document, so that a stand-in started
again goes on where it stood.
"""

from __future__ import annotations

import json
import sqlite3
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sandbox.rakuten.catalogue import catalogue, skus
from sandbox.rakuten.clock import JST, plain_time
from sandbox.rakuten.order_book import OrderBook
from sandbox.rakuten.scenes import SHIPPED_BEFORE

__all__ = ["Fault", "Limits", "Shop"]


@dataclass
class Limits:
    """What the vendor allows, and how fast the stand-in's seconds pass.

    pace  how many times faster than a real second the request rates count; tests use a high one
    hits  where a search stops silently (15,000 at the vendor)
    """

    order_per_second: float = 1.0
    inventory_write_per_second: float = 1.0
    inventory_read_per_second: float = 5.0
    item_per_second: float = 5.0
    pace: float = 1.0
    hits: int = 15_000


@dataclass
class Fault:
    """Something that goes wrong `times` times on paths that contain `path`.

    kind  "429", "500", "lost_answer" (done, but the answer comes `seconds` late), "cut_body" (done, half an
          answer), "no_answer" (not done, nothing comes for `seconds`)
    """

    path: str
    kind: str
    times: int = 1
    seconds: float = 1.0


@dataclass
class Shop:
    """One Rakuten shop. Everything that is not data of the shop is a knob for tests.

    functions    the API functions switched on in RMS (利用機能編集): order, inventory, item, license
    screening    how long an order stays at 200 (楽天処理中) after it was confirmed
    async_delay  how long an asynchronous shipping report takes until it is carried out
    """

    shop_id: int = 502763
    seed: int = 7
    service_secret: str = "SP502763_sandboxsecret"  # noqa: S105  (opens nothing but this stand-in)
    license_key: str = "SL502763_sandboxlicense"
    license_expires: datetime | None = None
    functions: set[str] = field(default_factory=lambda: {"order", "inventory", "item", "license"})
    screening: timedelta = timedelta(0)
    async_delay: timedelta = timedelta(0)
    refuse_space_in_content_type: bool = False
    limits: Limits = field(default_factory=Limits)
    clock: Callable[[], datetime] = field(default=lambda: datetime.now(tz=JST))
    file: Path | None = None

    orders: dict[str, dict[str, Any]] = field(default_factory=dict)
    items: dict[str, dict[str, Any]] = field(default_factory=dict)
    stock: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    calls: deque[str] = field(default_factory=lambda: deque(maxlen=10_000))
    """Paths in the order they were carried out, for tests."""
    refused: int = 0
    """Calls sent away because they came too fast."""

    def __post_init__(self) -> None:
        self._tape = _Tape(self.file) if self.file else None
        if self._tape is not None:
            self._tape.read_into(self)
        if not self.items:
            self.items = catalogue(self.clock())
            for item in self.items.values():
                self.keep("item", item["manageNumber"], item)
        if self.license_expires is None:
            self.license_expires = self.clock() + timedelta(days=60)
        rows = [
            row
            for order in self.orders.values()
            for p in order["PackageModelList"]
            for row in p["ShippingModelList"]
        ]
        ours = (row["shippingDetailId"] for row in rows if row["shippingDetailId"] < SHIPPED_BEFORE)
        self._last_detail_id = max(ours, default=15418)
        self.book = OrderBook(self.shop_id, self.seed, skus(self.items), written=len(self.orders))

    # ------------------------------------------------------------ filling

    def take_orders(
        self,
        count: int,
        *,
        until: datetime | None = None,
        spread: timedelta = timedelta(days=2),
        scene: str | None = None,
    ) -> list[str]:
        """Write `count` new orders, evenly spread over the time before `until` (now); their numbers."""
        until = until or self.clock()
        numbers = []
        for n in range(count):
            ordered_at = until - spread * (count - 1 - n) / max(count, 1)
            order = self.book.next_order(ordered_at, scene)
            self.orders[order["orderNumber"]] = order
            self.keep("order", order["orderNumber"], order)
            numbers.append(order["orderNumber"])
        return numbers

    # ------------------------------------------------------------ time passes

    def tick(self) -> None:
        """Carry out what became due: orders leave screening, shipping reports are worked off, orphans go."""
        now = self.clock()
        for order in self.orders.values():
            due = order.get("_screened_at")
            if order["orderProgress"] == 200 and due and datetime.fromisoformat(due) <= now:
                order |= {"orderProgress": 300, "orderFixDatetime": plain_time(now), "_screened_at": None}
                order["shippingInstDatetime"] = plain_time(now)
                self.keep("order", order["orderNumber"], order)
        for key, row in list(self.stock.items()):
            # a row for a number no item has is swept away a day later; nothing ever said it was wrong
            if not self.sells(*key) and datetime.fromisoformat(row["updated"]) < now - timedelta(hours=24):
                del self.stock[key]

    def new_detail_id(self) -> int:
        """The id of one more shipping row."""
        self._last_detail_id += 1
        return self._last_detail_id

    def sells(self, manage_number: str, variant_id: str) -> bool:
        item = self.items.get(manage_number)
        return item is not None and variant_id in item["variants"]

    def keep(self, kind: str, key: str, body: dict[str, Any]) -> None:
        """Write one document through to the file, if there is one."""
        if self._tape is not None:
            self._tape.write(kind, key, body)

    def close(self) -> None:
        """Let go of the file."""
        if self._tape is not None:
            self._tape.close()
            self._tape = None


class _Tape:
    """The shop's documents in one SQLite table."""

    def __init__(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        # the server answers in a thread of its own, and only one thread ever writes at a time
        self._db = sqlite3.connect(file, check_same_thread=False, isolation_level=None)
        self._db.execute("pragma journal_mode = wal")
        self._db.execute(
            "create table if not exists documents"
            " (kind text, key text, body text not null, primary key (kind, key)) without rowid"
        )

    def write(self, kind: str, key: str, body: dict[str, Any]) -> None:
        row = (kind, key, json.dumps(body, ensure_ascii=False))
        self._db.execute("insert or replace into documents values (?, ?, ?)", row)

    def read_into(self, shop: Shop) -> None:
        for kind, key, body in self._db.execute("select kind, key, body from documents order by kind, key"):
            document = json.loads(body)
            if kind == "order":
                shop.orders[key] = document
            elif kind == "item":
                shop.items[key] = document
            elif kind == "stock":
                shop.stock[document["manageNumber"], document["variantId"]] = document
            elif kind == "job":
                shop.jobs[key] = document

    def close(self) -> None:
        self._db.close()
