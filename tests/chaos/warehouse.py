"""The warehouse: a folder it looks into, files it writes, and books of its own.

It takes an instruction once and refuses a second one of the same number, ships what lies there, and counts now and
then. What it cannot ship it reports missing (欠品) after a while and promises it no longer; when goods come it sends
them after (出荷回数 2). Its count says the second it was made in (a column tenants add), and holds every instruction
that lay in the folder by then.
"""

from __future__ import annotations

import csv
import io
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path

import sandbox
from tests.chaos.goods import LOCATION, Sku

__all__ = ["BAD_SKU", "MOMENT", "Instruction", "Warehouse"]

JST = timezone(timedelta(hours=9))
BAD_SKU = "CHA-BAD"
"""A row of every count that nobody can read: it must be in quarantine, and nothing else."""
MISSING_AFTER = 2.0
"""Seconds an instruction waits for units before they are reported missing."""
MOMENT = "商品予備項目００１"
"""The column that says when the count was made."""
_COLUMNS: Mapping[str, list[str]] = json.loads(
    (Path(sandbox.__path__[0]) / "data" / "columns.json").read_text("utf-8")
)


@dataclass
class Instruction:
    """One instruction as taken. `times`: how often it came; `parcel`: the number it was shipped under; `short`: it was
    reported missing first; `since`: when it came (monotonic).
    """

    number: str
    order: str
    lines: list[tuple[str, str, int]]
    """(line, SKU, units)"""
    times: int = 1
    parcel: str | None = None
    called_off: bool = False
    short: bool = False
    since: float = field(default_factory=time.monotonic)

    @property
    def shipment(self) -> str:
        """The hub's key of the shipment it left with."""
        return f"{self.number}/2" if self.short else self.number

    def units(self) -> Counter[str]:
        found: Counter[str] = Counter()
        for _, sku, units in self.lines:
            found[sku] += units
        return found


@dataclass
class Warehouse:
    """`folder` has `in` (instructions) and `out` (results, counts). Safe to use from several threads."""

    folder: Path
    seed: str
    skus: Sequence[Sku]
    instructions: dict[str, Instruction] = field(default_factory=dict)
    opening: dict[str, int] = field(default_factory=dict)
    moved: Counter[str] = field(default_factory=Counter)
    """Received less written off since the opening."""
    refused: list[str] = field(default_factory=list)
    """What it could not make sense of."""

    def __post_init__(self) -> None:
        for name in ("in", "out", "taken"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        self.opening = {one.sku: one.units for one in self.skus}
        self.on_hand = Counter(self.opening)
        self.lock = threading.RLock()
        self._called_off: set[str] = set()
        self._dice = random.Random(f"{self.seed}/warehouse")
        self._files = Counter[str]()

    # ------------------------------------------------------------ what people do

    def receive(self, sku: str, units: int) -> None:
        """Units arrive (or are found again, or written off: below zero, but never what is promised)."""
        with self.lock:
            self.on_hand[sku] += units
            self.moved[sku] += units

    def unpromised(self, sku: str) -> int:
        with self.lock:
            return self.on_hand[sku] - self._promised()[sku]

    def call_off(self, order: str) -> bool:
        """Somebody rings up: this order is not to be shipped. False when the parcel has left."""
        with self.lock:
            mine = [one for one in self.instructions.values() if one.order == order]
            if any(one.parcel for one in mine):
                return False
            self._called_off.add(order)
            for one in mine:
                one.called_off = True
            return True

    def shipped(self, order: str) -> bool:
        with self.lock:
            return any(one.parcel for one in self.instructions.values() if one.order == order)

    # ------------------------------------------------------------ what the warehouse does by itself

    def read(self) -> None:
        """Take every instruction file that lies there."""
        with self.lock:
            for path in sorted((self.folder / "in").glob("*.csv")):
                rows = list(csv.DictReader(io.StringIO(path.read_bytes().decode("cp932"), newline="")))
                path.rename(self.folder / "taken" / f"{path.name}.{self._files['taken']}")
                self._files["taken"] += 1
                self._take(path.name, rows)

    def _take(self, file: str, rows: Sequence[Mapping[str, str]]) -> None:
        came: dict[str, Instruction] = {}
        for row in rows:
            if row["商品コード"] not in self.opening or not row["数量"].isdigit():
                self.refused.append(f"{file}: {row['出荷指示番号']} {row['商品コード']} {row['数量']}")
                continue
            order = row["出荷指示番号"].rpartition("#")[0]
            one = came.setdefault(row["出荷指示番号"], Instruction(row["出荷指示番号"], order, []))
            one.lines.append((row["行番号"], row["商品コード"], int(row["数量"])))
        for number, one in came.items():
            if number in self.instructions:
                self.instructions[number].times += 1
                continue
            one.called_off = one.order in self._called_off
            self.instructions[number] = one

    def ship(self, share: float) -> None:
        """Ship some of what lies there and is promised, oldest first, report what is missing, and tell in one file."""
        with self.lock:
            rows: list[dict[str, str]] = []
            free = Counter(self.on_hand)
            waiting = [one for one in self.instructions.values() if not one.parcel and not one.called_off]
            for one in sorted(waiting, key=lambda each: each.short):
                needed = one.units()
                there = all(free[sku] >= units for sku, units in needed.items())
                if there:
                    free.subtract(needed)
                if there and self._dice.random() < share:
                    self.on_hand.subtract(needed)
                    body = self._dice.randrange(10**10, 10**11)
                    one.parcel = f"{body}{body % 7}"
                    rows += [self._result(one, *line) for line in one.lines]
                elif not there and not one.short and time.monotonic() - one.since > MISSING_AFTER:
                    rows += [self._result(one, *line) for line in one.lines]
                    one.short = True
            if rows:
                self._put("SHUKKA", "shipping_results", rows)

    def _result(self, one: Instruction, line: str, sku: str, units: int) -> dict[str, str]:
        missing = one.parcel is None
        return {
            "出荷指示番号": one.number, "行番号": line, "受注番号": one.order.rpartition("/")[2], "商品コード": sku,
            "出荷数": "0" if missing else str(units), "欠品数": str(units) if missing else "0",
            "出荷日": f"{datetime.now(JST):%Y/%m/%d}", "配送業者": "ヤマト運輸", "送り状番号": one.parcel or "",
            "個口数": "1", "出荷回数": "2" if one.short else "1", "倉庫ID": LOCATION,
        }  # fmt: skip

    def count(self) -> None:
        """Write what lies there and what of it is promised; one row is nonsense."""
        with self.lock:
            self.read()
            now = datetime.now(JST)
            promised = self._promised()
            rows = [self._counted(sku, str(self.on_hand[sku]), promised[sku], now) for sku in self.opening]
            rows.append(self._counted(BAD_SKU, "１２コ", 0, now))
            self._dice.shuffle(rows)
            self._put("ZAIKO", "stock", rows)

    def _counted(self, sku: str, units: str, promised: int, now: datetime) -> dict[str, str]:
        return {
            "在庫日": f"{now:%Y%m%d}", "倉庫ID": LOCATION, "商品ID": sku, "品質区分ID": "1",
            "在庫数(引当数を含む)": units, "引当数": str(promised), MOMENT: f"{now:%Y%m%d %H%M%S}",
        }  # fmt: skip

    def _promised(self) -> Counter[str]:
        found: Counter[str] = Counter()
        for one in self.instructions.values():
            if not one.parcel and not one.called_off and not one.short:
                found.update(one.units())
        return found

    def _put(self, name: str, columns: str, rows: Iterable[Mapping[str, str]]) -> None:
        self._files[name] += 1
        text = io.StringIO()
        writer = csv.DictWriter(
            text, _COLUMNS[columns], restval="", quoting=csv.QUOTE_ALL, lineterminator="\r\n"
        )
        writer.writeheader()
        writer.writerows(rows)
        path = self.folder / "out" / f"{name}_{datetime.now(JST):%Y%m%d}_{self._files[name]:04d}.csv"
        draft = path.with_suffix(".tmp")
        draft.write_bytes(text.getvalue().encode("cp932"))
        draft.rename(path)
