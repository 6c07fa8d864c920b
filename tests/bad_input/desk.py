"""A partner's folder, a hub that reads it, and what an operator is told: the stage of the tests of bad input.

The mappings, tables and layouts are copies in the test's own folder, so that a test can mend them as an operator would.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from sqlalchemy import text

from canonical_model import Order
from connectors.registry import load_connectors
from hub.engine import Hub
from hub.intake import open_body
from hub.reports import PullReport
from hub.store.database import open_engine
from hub.systems import load_systems
from sandbox.mail_order_core import order_file, orders_of

REPOSITORY = Path(__file__).parents[2]
DAY = date(2026, 11, 21)
FIRST = "JUCHU_20261121_001.csv"
SECOND = "JUCHU_20261121_002.csv"
STOCK = "ZAIKO_20261121_001.csv"

ORDERS: dict[str, Any] = {
    "name": "orders", "folder": "orders", "pattern": "JUCHU_{date:%Y%m%d}_{seq:03d}.csv", "layout": "general_orders",
    "ack": {"kind": "result_csv", "folder": "ack"},
}  # fmt: skip
SNAPSHOT: dict[str, Any] = {
    "name": "stock", "folder": "stock", "pattern": "ZAIKO_{date:%Y%m%d}_{seq:03d}.csv", "layout": "stock",
    "snapshot": True, "ack": {"kind": "ok_ng", "folder": "ack"},
}  # fmt: skip

MAPPINGS = {
    "general_orders": ["file_exchange/general_orders.in", "file_exchange/general_customers.in"],
    "stock": ["file_exchange/stock.in"],
}

Row = dict[str, str]

_PLAIN = {
    "備考": "", "受注名": "山田 太郎", "受注名カナ": "ヤマダ タロウ", "受注住所２": "", "発送先名": "山田 花子",
    "発送先カナ": "ヤマダ ハナコ", "発送先住所２": "", "のし": "", "ラッピング": "", "メッセージ": "",
}  # fmt: skip
"""One line of the file is one row, and no character of it is special."""


class Said(NamedTuple):
    """One refusal as `tsunagi quarantine list` shows it."""

    code: str
    line: int | None
    column: str | None
    value: str | None
    ja: str
    en: str


def order_rows(lines: Sequence[int]) -> list[list[Row]]:
    """Orders of the day with so many lines each, in the order asked for."""
    there = orders_of(DAY, 60)
    chosen: list[list[Row]] = []
    for count in lines:
        found = next(order for order in there if len(order) == count and order not in chosen)
        chosen.append(found)
    return [[row | _PLAIN for row in order] for order in chosen]


def file_of(orders: Sequence[Sequence[Row]]) -> bytes:
    """The orders' rows as the core writes them."""
    return order_file([row for order in orders for row in order])


def number_of(order: Sequence[Row]) -> str:
    return order[0]["店舗伝票番号"]


def customers_of(orders: Sequence[Sequence[Row]]) -> set[str]:
    """The core's customer codes on the orders."""
    return {order[0]["顧客コード"] for order in orders}


def spoiled(content: bytes, line: int, spoil: Callable[[bytes], bytes]) -> bytes:
    """The file with one line (1-based, without its line end) changed as bytes."""
    lines = content.split(b"\r\n")
    lines[line - 1] = spoil(lines[line - 1])
    return b"\r\n".join(lines)


def payable_of(orders: Sequence[Sequence[Row]]) -> dict[str, int]:
    """What each order of the file costs, by its number."""
    return {number_of(order): int(order[0]["合計金額"]) for order in orders}


@dataclass
class Desk:
    """One hub, one partner, one operator."""

    home: Path
    hub: Hub

    @property
    def partner(self) -> Path:
        return self.home / "partner"

    @property
    def layouts(self) -> Path:
        return self.home / "layouts"

    @property
    def mappings(self) -> Path:
        return self.home / "mappings" / "file_exchange"

    # ------------------------------------------------------------ the partner's part

    def drop(self, content: bytes, name: str = FIRST, folder: str = "orders") -> bytes:
        (self.partner / folder).mkdir(parents=True, exist_ok=True)
        (self.partner / folder / name).write_bytes(content)
        return content

    def answer(self, name: str = "JUCHU_20261121_001_result.csv") -> str:
        """An answer file of ours, as the partner reads it."""
        return (self.partner / "ack" / name).read_bytes().decode("cp932")

    # ------------------------------------------------------------ the operator's part

    def pull(self, flow: str = "orders", **params: Any) -> PullReport:
        return self.hub.pull("core", flow, params)

    def refused(self, state: str | None = "open", flow: str | None = None) -> list[Said]:
        rows = self.hub.quarantine_list("core", flow, state)
        return [Said(r.code, r.position, r.column, r.value_masked, r.reason_ja, r.reason_en) for r in rows]

    def replay(self, *codes: str) -> tuple[int, int, int]:
        """Try the open rows (of these codes) again: tried, through, still refused."""
        rows = self.hub.quarantine_list("core")
        report = self.hub.quarantine_replay([r.id for r in rows if not codes or r.code in codes])
        return report.tried, report.through, report.still_refused

    def states(self) -> list[str]:
        """What became of every refusal there ever was."""
        return [row.state for row in self.hub.quarantine_list("core", state=None)]

    def mend_table(self, table: str, row: str) -> None:
        with (self.mappings / "tables" / f"{table}.csv").open("a", encoding="utf-8") as file:
            file.write(row + "\n")

    def mend_mapping(self, name: str, old: str, new: str) -> None:
        path = self.mappings / f"{name}.yaml"
        before = path.read_text("utf-8")
        assert old in before
        path.write_text(before.replace(old, new), "utf-8")

    def layout(self, name: str) -> dict[str, Any]:
        """An own layout as it stands in its file."""
        found: dict[str, Any] = yaml.safe_load((self.layouts / f"{name}.yaml").read_text("utf-8"))
        return found

    def mend_layout(self, name: str, **changes: Any) -> None:
        """Change an own layout; a change of None takes the setting out."""
        path = self.layouts / f"{name}.yaml"
        layout = self.layout(name) | changes
        kept = {key: value for key, value in layout.items() if value is not None}
        path.write_text(yaml.safe_dump(kept, allow_unicode=True, sort_keys=False), "utf-8")

    # ------------------------------------------------------------ what the hub holds

    def contents(self, kind: str) -> dict[str, dict[str, Any]]:
        query = "SELECT key, content FROM entity WHERE kind = :kind AND deleted_at IS NULL ORDER BY key"
        with self.hub.engine.connect() as connection:
            return {row.key: row.content for row in connection.execute(text(query), {"kind": kind})}

    def payable(self) -> dict[str, int]:
        """What each order in the hub costs, by its number; every order's own figures must agree."""
        orders = [Order.model_validate(content) for content in self.contents("order").values()]
        assert [order.differences() for order in orders] == [()] * len(orders)
        return {order.number: int(order.totals.payable.amount) for order in orders if order.totals.payable}

    def customers(self) -> set[str]:
        return {key.removeprefix("mailorder/") for key in self.contents("customer")}

    def on_hand(self) -> dict[str, int]:
        return {key: content["on_hand"] for key, content in self.contents("stock_position").items()}

    def versions(self) -> dict[str, int]:
        """Versions written, by entity: "order mailorder/M1" -> 1. A doubled or rewritten entity shows here."""
        query = "SELECT e.kind, e.key, count(*) FROM change_feed f JOIN entity e ON e.id = f.entity_id GROUP BY 1, 2"
        with self.hub.engine.connect() as connection:
            return {f"{kind} {key}": count for kind, key, count in connection.execute(text(query))}

    def bodies(self) -> dict[int, bytes]:
        """The pages kept, as received."""
        with self.hub.engine.connect() as connection:
            ids = list(connection.scalars(text("SELECT id FROM intake ORDER BY id")))
        return {intake_id: open_body(self.hub.engine, intake_id).read() for intake_id in ids}

    def raw(self, code: str) -> bytes | None:
        """The bytes kept with the one open row of a code."""
        (row,) = (row for row in self.hub.quarantine_list("core") if row.code == code)
        found: bytes | None = self.hub.quarantine_show(row.id)["raw"]
        return found


def open_desk(
    url: str,
    home: Path,
    *interfaces: Mapping[str, Any],
    more: Mapping[str, Any] | None = None,
    fresh: bool = True,
) -> Desk:
    """A desk over `interfaces`, an orders one and a stock snapshot by default.

    `more` are further settings; without `fresh` the layouts and mappings of an earlier desk stay as they are.
    """
    chosen = [dict(item) for item in interfaces or (ORDERS, SNAPSHOT)]
    for folder in [item["folder"] for item in chosen]:
        (home / "partner" / folder).mkdir(parents=True, exist_ok=True)
    if fresh:
        shutil.copytree(REPOSITORY / "connectors" / "file_exchange" / "layouts", home / "layouts")
        shutil.copytree(
            REPOSITORY / "mappings" / "file_exchange", home / "mappings" / "file_exchange",
            ignore=shutil.ignore_patterns("*.py", "__pycache__", "samples"),
        )  # fmt: skip
    system = {
        "system": "core",
        "connector": "file_exchange",
        "title": {"ja": "通販基幹", "en": "Mail-order core"},
        "settings": {
            "root": str(home / "partner"), "layouts": [str(home / "layouts")],
            "interfaces": chosen, **(more or {}),
        },
        "constants": {"channel": "mailorder"},
        "flows": {
            item["name"]: {
                "pull": "files", "params": {"interface": item["name"]}, "mappings": MAPPINGS[item["layout"]],
            }
            for item in chosen
        },
    }  # fmt: skip
    (home / "systems").mkdir(exist_ok=True)
    (home / "systems" / "core.yaml").write_text(json.dumps(system, ensure_ascii=False), "utf-8")
    loaded = load_systems([home / "systems"])
    assert loaded.faults == [], [str(fault) for fault in loaded.faults]
    hub = Hub(open_engine(url), loaded, load_connectors(), mapping_roots=[home / "mappings"])
    return Desk(home, hub)
