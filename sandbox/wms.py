"""A warehouse (WMS) for tests and the demo: it reads shipping instructions, ships, and reports stock and results.

    python -m sandbox.wms work DIR [--day 2026-11-21]
    python -m sandbox.wms stock DIR [--day 2026-11-21]

As strict as a real one: CP932, CRLF, every value quoted, all columns there, lengths in bytes; one bad row refuses its
whole instruction and the file's other instructions go on. State (stock, instructions) is one JSON file in DIR.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import random
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

__all__ = ["Wms", "Worked"]

DATA = Path(__file__).parent / "data"
JST = timezone(timedelta(hours=9))
LOCATION = "TYO1"

_COLUMNS: dict[str, list[str]] = json.loads((DATA / "columns.json").read_text("utf-8"))
INSTRUCTION = _COLUMNS["shipping_instructions"]
RESULT = _COLUMNS["shipping_results"]
STOCK = _COLUMNS["stock"]
_LENGTHS = {
    "お届け先名": 100,
    "お届け先住所１": 200,
    "お届け先住所２": 200,
    "商品名": 200,
    "お届け先電話番号": 20,
}
_FULL = 120


@dataclass(frozen=True, slots=True)
class Worked:
    """What became of the instruction files of one run: refused instructions with the reason, and the result file."""

    accepted: tuple[str, ...]
    refused: dict[str, str]
    result: Path | None


class Wms:
    """A warehouse in a folder: `in/` instructions, `out/` results and stock, `state.json`."""

    def __init__(self, folder: Path, *, short_every: int = 7, split_every: int = 5) -> None:
        """`short_every`: every n-th instruction lacks a unit; `split_every`: every n-th goes in two parcels."""
        self.folder = folder
        self._short_every = short_every
        self._split_every = split_every
        for name in ("in", "in/taken", "out"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        self._state: dict[str, Any] = {"stock": {}, "instructions": {}, "results": 0, "snapshots": 0}
        path = folder / "state.json"
        if path.exists():
            self._state = json.loads(path.read_text("utf-8"))
        else:
            self._state["stock"] = {product["sku"]: _FULL for product in _products()}

    # ------------------------------------------------------------ instructions and results

    def work(self, day: date) -> Worked:
        """Read all instruction files, ship what can be shipped, write one result file for the day's work."""
        accepted: dict[str, list[dict[str, str]]] = {}
        refused: dict[str, str] = {}
        for path in sorted((self.folder / "in").glob("*.csv")):
            instructions, wrong = self._read(path)
            accepted |= instructions
            refused |= wrong
            path.rename(self.folder / "in" / "taken" / path.name)
        rows = [row for key, lines in accepted.items() for row in self._ship(key, lines, day)]
        result = None
        if rows:
            self._state["results"] += 1
            result = self._put(
                f"SHUKKA_{day:%Y%m%d}_{self._state['results']:03d}.csv", RESULT, rows, quote=False
            )
        self._save()
        return Worked(tuple(accepted), refused, result)

    def _read(self, path: Path) -> tuple[dict[str, list[dict[str, str]]], dict[str, str]]:
        try:
            text = path.read_bytes().decode("cp932")
        except UnicodeDecodeError as error:
            return {}, {path.name: f"文字コード誤り（{error.start + 1}バイト目）"}
        if not text.endswith("\r\n") or not text.startswith('"'):
            return {}, {path.name: "CRLFで終わり、全項目が引用符で囲まれたCSVではありません"}
        rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
        if rows[0] != INSTRUCTION:
            return {}, {path.name: "見出し行が違います"}
        instructions: dict[str, list[dict[str, str]]] = {}
        refused: dict[str, str] = {}
        for number, values in enumerate(rows[1:], 2):
            if len(values) != len(INSTRUCTION):
                refused[f"{path.name}:{number}"] = f"列数誤り（{len(values)}列）"
                continue
            row = dict(zip(INSTRUCTION, values, strict=True))
            wrong = self._wrong(row)
            if wrong is not None:
                refused.setdefault(row["出荷指示番号"], f"{number}行目: {wrong}")
            instructions.setdefault(row["出荷指示番号"], []).append(row)
        return {key: rows for key, rows in instructions.items() if key not in refused}, refused

    def _wrong(self, row: dict[str, str]) -> str | None:
        """Why a row refuses its instruction."""
        if row["出荷指示番号"] in self._state["instructions"]:
            return "作業開始後の出荷指示は変更できません"
        if row["商品コード"] not in self._state["stock"]:
            return f"商品マスタにない商品コード: {row['商品コード']}"
        if not row["数量"].isdigit() or int(row["数量"]) < 1:
            return f"数量誤り: {row['数量']}"
        if not (row["お届け先郵便番号"].isdigit() and len(row["お届け先郵便番号"]) == 7):
            return f"郵便番号誤り: {row['お届け先郵便番号']}"
        for column, length in _LENGTHS.items():
            if len(row[column].encode("cp932")) > length:
                return f"{column}が{length}バイトを超えています"
        if (row["支払方法"] == "代金引換") != bool(row["代引金額"]):
            return "代引金額と支払方法が合いません"
        if row["配達希望日"]:
            try:
                datetime.strptime(row["配達希望日"], "%Y/%m/%d").replace(tzinfo=JST)
            except ValueError:
                return f"配達希望日誤り: {row['配達希望日']}"
        return None

    def _ship(self, key: str, lines: list[dict[str, str]], day: date) -> Iterable[dict[str, str]]:
        number = len(self._state["instructions"]) + 1
        self._state["instructions"][key] = f"{day:%Y%m%d}"
        short = number % self._short_every == 0
        parcels = [_tracking(key, 1)]
        if number % self._split_every == 0:
            parcels.append(_tracking(key, 2))
        for index, line in enumerate(lines):
            wanted, have = int(line["数量"]), self._state["stock"][line["商品コード"]]
            units = min(wanted - (1 if short and index == 0 else 0), have)
            self._state["stock"][line["商品コード"]] = have - units
            yield {
                "出荷指示番号": key, "行番号": line["行番号"], "受注番号": line["受注番号"],
                "商品コード": line["商品コード"], "出荷数": str(units), "欠品数": str(wanted - units),
                "出荷日": f"{day:%Y/%m/%d}", "配送業者": "ヤマト運輸" if line["温度帯"] == "常温" else "佐川急便",
                "送り状番号": parcels[index % len(parcels)], "個口数": "1", "出荷回数": "1", "倉庫ID": LOCATION,
            }  # fmt: skip

    # ------------------------------------------------------------ stock

    def stock(self, day: date) -> Path:
        """Write a stock snapshot: two lots per SKU in different places, and one defective unit of some."""
        rows = [row for product in _products() for row in self._lots(product, day)]
        # exported by place, not by SKU: rows of one SKU stand apart
        rows.sort(key=lambda row: (row["ロケ"], row["商品ID"]))
        self._state["snapshots"] += 1
        path = self._put(f"ZAIKO_{day:%Y%m%d}_{self._state['snapshots']:03d}.csv", STOCK, rows, quote=True)
        self._save()
        return path

    def _lots(self, product: dict[str, str], day: date) -> Iterable[dict[str, str]]:
        have = self._state["stock"][product["sku"]]
        lots = [("A-01", have // 2, "1", "良品"), ("B-02", have - have // 2, "1", "良品")]
        if product["sku"].endswith("1"):
            lots.append(("Z-99", 1, "2", "不良品"))
        for place, units, quality, quality_name in lots:
            yield dict.fromkeys(STOCK, "") | {
                "在庫日": f"{day:%Y%m%d}", "倉庫ID": LOCATION, "倉庫名": "東京第一", "ブロックID": place[0],
                "ブロック略称": place[0], "ロケ": place, "商品ID": product["sku"], "バーコード": product["jan"],
                "商品名": product["name"], "入荷日": f"{day - timedelta(days=30):%Y%m%d}", "品質区分ID": quality,
                "品質区分名": quality_name, "在庫数(引当数を含む)": str(units), "引当数": "0",
            }  # fmt: skip

    # ------------------------------------------------------------ files

    def _put(self, name: str, columns: list[str], rows: Iterable[dict[str, str]], *, quote: bool) -> Path:
        text = io.StringIO()
        writer = csv.writer(
            text, quoting=csv.QUOTE_ALL if quote else csv.QUOTE_MINIMAL, lineterminator="\r\n"
        )
        writer.writerow(columns)
        writer.writerows([row[column] for column in columns] for row in rows)
        path = self.folder / "out" / name
        temporary = path.with_name(f".{name}.tmp")
        temporary.write_bytes(text.getvalue().encode("cp932"))
        temporary.rename(path)
        return path

    def _save(self) -> None:
        path = self.folder / "state.json"
        temporary = path.with_suffix(".tmp")
        temporary.write_text(
            json.dumps(self._state, ensure_ascii=False, indent=1, sort_keys=True), encoding="utf-8"
        )
        temporary.replace(path)


def _products() -> list[dict[str, str]]:
    with (DATA / "products.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _tracking(key: str, parcel: int) -> str:
    """A 12-digit number with the check digit the carriers use (the first eleven modulo 7)."""
    body = random.Random(f"{key} {parcel}").randrange(10**10, 10**11)
    return f"{body}{body % 7}"


def main(arguments: list[str] | None = None) -> int:
    """Do a day's work or write a stock snapshot."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.wms", description=__doc__)
    parser.add_argument("command", choices=["work", "stock"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--day", type=date.fromisoformat, default=datetime.now(JST).date())
    options = parser.parse_args(arguments)
    wms = Wms(options.folder)
    if options.command == "stock":
        sys.stdout.write(f"{wms.stock(options.day)}\n")
        return 0
    worked = wms.work(options.day)
    sys.stdout.write(
        f"{len(worked.accepted)} accepted, {len(worked.refused)} refused, results: {worked.result}\n"
    )
    for key, reason in worked.refused.items():
        sys.stdout.write(f"  {key}: {reason}\n")
    return 1 if worked.refused else 0


if __name__ == "__main__":
    raise SystemExit(main())
