"""A small company: a mail-order core and a warehouse that speak CP932 files, a marketplace, a shop, and some persons.

Run as a program it erases one of them and kills itself in the midst:
`town.py <database url> <base> <key> <step to die at>`.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from connectors.registry import load_connectors
from hub.engine import Hub
from hub.erasure.run import erase, make_plan
from hub.home import Home
from hub.store.database import open_engine
from hub.systems import load_systems
from tests.hub.cli.support import ROW, csv_of

CORE = """
system: core
connector: file_exchange
title: {{ja: 基幹, en: core}}
settings:
  protocol: local
  root: "{root}/core"
  interfaces:
    - {{name: general_orders, folder: orders, pattern: "JUCHU_{{date:%Y%m%d}}_{{seq:03d}}.csv", layout: general_orders,
       ack: {{kind: result_csv, folder: results}}}}
constants: {{channel: mailorder}}
flows:
  orders: {{pull: files, mappings: [file_exchange/general_orders.in, file_exchange/general_customers.in]}}
"""
WMS = """
system: wms
connector: file_exchange
title: {{ja: 倉庫, en: warehouse}}
settings:
  protocol: local
  root: "{root}/wms"
  interfaces:
    - {{name: instructions, direction: out, folder: in, pattern: "SHIJI_{{date:%Y%m%d}}_{{seq:03d}}.csv",
       layout: shipping_instructions, sent: sent}}
constants: {{channel: wms}}
flows:
  instructions: {{push: files, mapping: file_exchange/shipping_instructions.out}}
"""
RAKUTEN = """
system: rakuten
connector: rakuten_rms
title: {{ja: 楽天, en: Rakuten}}
settings: {{base_url: "{rakuten}", requests_per_second: 2000}}
constants: {{channel: rakuten}}
flows:
  orders: {{pull: orders, mappings: [rakuten_rms/orders.in, rakuten_rms/customers.in]}}
"""
SHOP = """
system: shop
connector: shopify
title: {{ja: 自社店, en: own shop}}
settings: {{base_url: "{shop}", shop: "{domain}", restore_rate: 1000000, bucket_size: 1000000, location: 東京倉庫}}
constants: {{channel: shop}}
flows:
  orders: {{pull: orders, mapping: shopify/orders.in}}
  customers: {{pull: customers, mapping: shopify/customers.in}}
"""

# ---------------------------------------------------------------- persons of the core

HANAKO = {
    "受注名": "川嶋 花子", "受注名カナ": "ｶﾜｼﾏ ﾊﾅｺ", "受注郵便番号": "150-0002",
    "受注住所１": "東京都渋谷区渋谷9丁目8番7号", "受注住所２": "つなぎ荘305", "受注電話番号": "03-0123-4567",
    "受注メールアドレス": "hanako.k@example.jp", "備考": "玄関先に置いてください。花子",
}  # fmt: skip
MARKERS = (
    "川嶋 花子", "川嶋　花子", "川嶋花子", "ｶﾜｼﾏ ﾊﾅｺ", "カワシマ ハナコ", "カワシマハナコ", "9丁目8番7号",
    "つなぎ荘305", "03-0123-4567", "0301234567", "hanako.k@example.jp", "玄関先に置いて",
)  # fmt: skip
TARO = {
    "受注名": "山田 太郎", "受注名カナ": "ﾔﾏﾀﾞ ﾀﾛｳ", "受注郵便番号": "530-0001", "受注住所１": "大阪府大阪市北区梅田1-1",
    "受注電話番号": "06-0000-1111", "受注メールアドレス": "taro@example.com", "備考": "急ぎません",
}  # fmt: skip
NAMESAKE = {
    "受注名": "川嶋 花子", "受注名カナ": "ｶﾜｼﾏ ﾊﾅｺ", "受注郵便番号": "812-0011", "受注住所１": "福岡県福岡市博多区1-2",
    "受注電話番号": "092-000-2222", "受注メールアドレス": "other.hanako@example.net", "備考": "別人です",
}  # fmt: skip


def order(number: str, person: Mapping[str, str], code: str = "", **more: str) -> dict[str, str]:
    """A row of the order file."""
    return {**ROW, **person, "店舗伝票番号": number, "顧客コード": code, **more}


def build(url: str, base: Path, *, rakuten: str = "", shop: str = "", domain: str = "") -> Hub:
    """The company's hub; only the systems whose addresses are given, beside core and warehouse."""
    systems = base / "systems"
    systems.mkdir(exist_ok=True)
    for folder in ("core/orders", "wms/in"):
        (base / folder).mkdir(parents=True, exist_ok=True)
    texts = {"core": CORE, "wms": WMS}
    if rakuten:
        texts["rakuten"] = RAKUTEN
    if shop:
        texts["shop"] = SHOP
    for name, body in texts.items():
        said = body.format(root=base, rakuten=rakuten, shop=shop, domain=domain)
        (systems / f"{name}.yaml").write_text(said, "utf-8")
    loaded = load_systems([systems])
    assert loaded.faults == [], [str(fault) for fault in loaded.faults]
    return Hub(open_engine(url), loaded, load_connectors())


def drop(base: Path, number: int, rows: Sequence[Mapping[str, str]], day: str = "20261121") -> Path:
    """An order file for the core's folder."""
    path = base / "core/orders" / f"JUCHU_{day}_{number:03d}.csv"
    path.write_bytes(csv_of(rows))
    return path


def first_day(hub: Hub, base: Path) -> None:
    """Orders of three persons come in, one is refused, a gift goes to the one to be erased; the warehouse is told."""
    drop(
        base,
        1,
        [
            order("A-1", HANAKO, "C-77"),
            order("A-2", TARO, "C-78"),
            order("A-3", HANAKO, "C-77", 受注メールアドレス="hanako.k@example.jp@"),
            order("A-4", NAMESAKE, "C-79"),
            order("A-5", TARO, "C-78", **_gift_to(HANAKO)),
            order("A-6", HANAKO),
        ],
    )
    hub.pull("core", "orders")
    hub.push("wms", "instructions")


def _gift_to(person: Mapping[str, str]) -> dict[str, str]:
    return {
        "発送先名": person["受注名"], "発送先カナ": person["受注名カナ"], "発送郵便番号": person["受注郵便番号"],
        "発送先住所１": person["受注住所１"], "発送先住所２": person["受注住所２"],
        "発送電話番号": person["受注電話番号"],
    }  # fmt: skip


# ---------------------------------------------------------------- looking, without the hub's own eyes


def dump(url: str) -> dict[str, bytes]:
    """All that the database holds, by table and column: texts as UTF-8, bytes as they are."""
    held: dict[str, bytes] = {}
    with psycopg.connect(url) as connection:
        tables = connection.execute(
            "SELECT table_schema, table_name FROM information_schema.tables WHERE table_type = 'BASE TABLE' "
            "AND table_schema NOT IN ('pg_catalog', 'information_schema')"
        ).fetchall()
        for schema, table in tables:
            rows = connection.execute(sql.SQL("SELECT * FROM {}").format(sql.Identifier(schema, table)))
            names = [column.name for column in rows.description or ()]
            for row in rows:
                for name, value in zip(names, row, strict=True):
                    body = value if isinstance(value, bytes) else _text(value).encode()
                    held[f"{table}.{name}"] = held.get(f"{table}.{name}", b"") + b"\n" + body
    return held


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def traces(held: Mapping[str, bytes], markers: Sequence[str]) -> list[tuple[str, str]]:
    """Where a marker stands, in any encoding a Japanese system would use."""
    found = []
    for place, body in held.items():
        for marker in markers:
            escaped = json.dumps(marker)[1:-1]
            for text in {marker, escaped}:
                for codec in ("utf-8", "cp932", "utf-16-le", "utf-16-be", "euc_jp"):
                    try:
                        there = text.encode(codec) in body
                    except UnicodeEncodeError:
                        continue
                    if there:
                        found.append((place, marker))
    return sorted(set(found))


def files_below(*folders: Path) -> dict[str, bytes]:
    """Every file, by its path."""
    return {
        str(path): path.read_bytes()
        for folder in folders
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


if __name__ == "__main__":
    _, url, base, key, last = sys.argv

    def die(step: str) -> None:
        if step == last:
            os.kill(os.getpid(), signal.SIGKILL)

    home = Home(Path(base, "home"))
    with build(url, Path(base)) as opened:
        erase(opened, make_plan(opened, key, with_alike=True, home=home), home=home, step=die)
