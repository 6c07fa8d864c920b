"""W1 by hand: csv, dicts, COPY, and a set-based diff; what one writes for one job.

python -m bench.w1.by_hand URL FILE NAME
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
import unicodedata
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Any

import orjson

from bench.w1.filling import Filling, run
from bench.w1.limit import KEY, PAYMENTS, SLOTS
from bench.w1.store import CHANNEL

PREFECTURE = re.compile("(京都府|.{2}[都道府県]|.{3}県)(.*)")
RATES = {"10": "0.1", "8": "0.08"}
Row = dict[str, str]


class Bad(Exception):
    """The order cannot be taken in."""


def _without_empty(values: dict[str, Any]) -> dict[str, Any]:
    # a number is kept whatever it is
    return {name: value for name, value in values.items() if value or value == 0}


def _money(amount: str) -> dict[str, Any]:
    return {"amount": int(amount), "tax_included": True}


def _party(row: Row, names: tuple[str, str, str, str, str, str]) -> dict[str, Any]:
    name, kana, code, street, building, phone = (row[column] for column in names)
    digits = code.replace("-", "")
    if len(code) < 7 or len(digits) != 7:
        raise Bad
    found = PREFECTURE.fullmatch(street)
    address = {"postal_code": digits, "prefecture": found and found[1], "street": found[2] if found else street,
               "building": building}  # fmt: skip
    return {
        "name": _without_empty({"full": name, "full_kana": unicodedata.normalize("NFKC", kana)}),
        "address": _without_empty(address), "phone": phone.replace("-", ""),
    }  # fmt: skip


BUYER = ("受注名", "受注名カナ", "受注郵便番号", "受注住所１", "受注住所２", "受注電話番号")
RECIPIENT = ("発送先名", "発送先カナ", "発送郵便番号", "発送先住所１", "発送先住所２", "発送電話番号")


def _line(index: int, row: Row) -> dict[str, Any]:
    if not row["受注数量"].isascii() or not row["受注数量"].isdecimal() or row["消費税率（%）"] not in RATES:
        raise Bad
    return _without_empty({
        "id": str(index), "sku": row["商品コード"], "name": row["商品名"],
        "quantity": {"ordered": int(row["受注数量"])},
        "unit_price": {**_money(row["商品価格"]), "tax_rate": RATES[row["消費税率（%）"]]},
        "options": row["商品オプション"],
    })  # fmt: skip


def _charges(row: Row) -> tuple[list[Any], list[Any]]:
    charges, discounts = [], []
    if row["発送料"] != "0":
        charges.append({"kind": "shipping", "amount": _money(row["発送料"])})
    if row["手数料"] != "0":
        kind = "cod_fee" if row["支払方法"] == "代金引換" else "payment_fee"
        charges.append({"kind": kind, "amount": _money(row["手数料"]), "name": row["支払方法"]})
    other = int(row["その他費用"])
    if other > 0:
        charges.append({"kind": "other", "amount": _money(row["その他費用"]), "name": "その他費用"})
    if other < 0:
        discounts.append(
            {"kind": "manual", "amount": {"amount": -other}, "borne_by": "shop", "name": "その他費用"}
        )
    return charges, discounts


def order(rows: list[Row]) -> dict[str, Any]:
    """The content of an order's entity. Raises Bad."""
    row = rows[0]
    if row["支払方法"] not in PAYMENTS or "\ufffd" in row["受注名"] or "\uf8f1" in row["受注名"]:
        raise Bad
    try:
        moment = datetime.strptime(row["受注日"], "%Y/%m/%d %H:%M:%S")  # noqa: DTZ007  (JST, see below)
    except ValueError:
        raise Bad from None
    name, _, domain = row["受注メールアドレス"].partition("@")
    points = int(row["ポイント"])
    charges, discounts = _charges(row)
    delivery = {
        "date": row["日付指定"].replace("/", "-"), "slot": SLOTS.get(row["時間帯指定"]), "method": row["発送方法"],
        "zone": "chilled" if row["発送方法"] == "クール便（冷蔵）" else None,
    }  # fmt: skip
    recipient = {
        "id": "1", "party": _party(row, RECIPIENT), "delivery": _without_empty(delivery),
        "gift": _without_empty({"noshi": row["のし"], "wrapping": row["ラッピング"], "message": row["メッセージ"]}),
    }  # fmt: skip
    return _without_empty({
        "key": f"{CHANNEL}/{row[KEY]}", "number": row[KEY], "channel": CHANNEL,
        "ordered_at": f"{moment - timedelta(hours=9):%Y-%m-%dT%H:%M:%SZ}", "business_date": f"{moment:%Y-%m-%d}",
        "customer_key": f"{CHANNEL}/{row['顧客コード']}",
        "buyer": {**_party(row, BUYER), "email": f"{name}@{domain.lower()}"},
        "recipients": [_without_empty(recipient)], "lines": [_line(n, line) for n, line in enumerate(rows, 1)],
        "charges": charges, "discounts": discounts,
        "points": [{"points": points, "amount": {"amount": points}}] if points else [],
        "payment": {"method": PAYMENTS[row["支払方法"]], "name": row["支払方法"]},
        "totals": {"goods": _money(row["商品計"]), "points": {"amount": points},
                   "tax": {"amount": int(row["税金"])}, "payable": _money(row["合計金額"])},
        "note": row["備考"].strip(), "memo": row["作業者欄"].strip(),
        "traits": {"general_orders": _without_empty({
            "gift_flag": row["ギフトフラグ"] == "1", "shipped_flag": row["出荷済フラグ"] == "1",
            "customer_class": row["顧客区分"]})},
    })  # fmt: skip


def _rows(reader: Any, names: list[str]) -> Iterator[tuple[Row, int]]:
    position = reader.line_num + 1
    for values in reader:
        row = dict(zip(names, values, strict=False))
        row[""] = "" if len(values) == len(names) else "torn"
        yield row, position
        position = reader.line_num + 1


def take(filling: Filling, file: Path) -> None:
    raw = file.read_bytes()
    filling.intake(raw)
    text = raw.decode("cp932", "replace")
    del raw
    reader = csv.reader(io.StringIO(text, newline=""))
    names = next(reader)
    refused: list[str] = []

    def staged() -> Iterator[bytes]:
        buffer = io.StringIO()
        writer = csv.writer(buffer)
        for key, group in groupby(_rows(reader, names), lambda item: item[0][KEY]):
            rows, positions = zip(*group, strict=True)
            try:
                if any(row[""] for row in rows):
                    raise Bad
                content = orjson.dumps(order(list(rows)))
            except Bad:
                refused.append(key)
                continue
            hashed = int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), signed=True)
            writer.writerow((key, f"{CHANNEL}/{key}", positions[0], content.decode(), hashed, hashed))
            if buffer.tell() > 1 << 18:
                yield buffer.getvalue().encode()
                buffer.seek(0)
                buffer.truncate()
        yield buffer.getvalue().encode()

    filling.stage(staged())
    filling.write(refused)


if __name__ == "__main__":
    run(take)
