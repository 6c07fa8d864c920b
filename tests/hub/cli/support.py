"""What the tests of the command line share: what a command left behind, and files of the general order CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import yaml

ROOT = Path(__file__).parents[3]
LAYOUT = yaml.safe_load((ROOT / "connectors/file_exchange/layouts/general_orders.yaml").read_text("utf-8"))
COLUMNS = [column if isinstance(column, str) else column["name"] for column in LAYOUT["columns"]]

ROW = {
    "店舗伝票番号": "A-1001", "受注日": "2026/11/20 23:59:30", "受注郵便番号": "064-0804",
    "受注住所１": "北海道札幌市中央区南四条西1-2-3", "受注名": "髙﨑 美咲", "受注名カナ": "ﾀｶｻｷ ﾐｻｷ",
    "受注電話番号": "011-234-5678", "受注メールアドレス": "misaki@example.jp", "支払方法": "クレジットカード",
    "発送方法": "宅急便", "商品計": "2338", "税金": "0", "発送料": "660", "手数料": "0", "ポイント": "0",
    "その他費用": "0", "合計金額": "2998", "商品名": "無添加せっけん", "商品コード": "SOAP-3", "商品価格": "2338",
    "受注数量": "1",    "顧客コード": "00000123", "消費税率（%）": "10", "備考": "宛名は㈱つなぎ～①",
}  # fmt: skip


@dataclass(frozen=True)
class Ran:
    """What a command left behind."""

    code: int
    out: str
    err: str
    error: BaseException | None

    @property
    def rows(self) -> list[Any]:
        """Standard output as JSON lines."""
        return [orjson.loads(line) for line in self.out.splitlines()]


Run = Callable[..., Ran]


def csv_of(rows: Sequence[Mapping[str, str]], *, columns: Sequence[str] = COLUMNS) -> bytes:
    """The file as a mail-order core writes it: CP932, CRLF, a header."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(columns)
    writer.writerows([row.get(column, "") for column in columns] for row in rows)
    return text.getvalue().encode("cp932")
