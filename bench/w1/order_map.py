"""W1: the map from rows of the CSV to orders as one writes it by hand, with dicts; for all without a map of their own.

Imports nothing heavy: the general tools run it in environments of their own, in front of what they do.
"""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any, NamedTuple

import orjson

__all__ = ["KEY", "PAYMENTS", "RATES", "SLOTS", "Mapped", "mapped"]

KEY = "店舗伝票番号"
PAYMENTS = {
    "クレジットカード": "card", "代金引換": "cod", "後払い": "deferred", "銀行振込": "bank_transfer",
    "コンビニ決済": "cvs_prepay", "PayPay": "pay_app",
}  # fmt: skip
SLOTS = {
    "午前中": "morning",
    "14:00～16:00": "1400-1600",
    "18時-20時": "1800-2000",
    "19～21時": "1900-2100",
}
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


def order(rows: list[Row], channel: str) -> dict[str, Any]:
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
        "key": f"{channel}/{row[KEY]}", "number": row[KEY], "channel": channel,
        "ordered_at": f"{moment - timedelta(hours=9):%Y-%m-%dT%H:%M:%SZ}", "business_date": f"{moment:%Y-%m-%d}",
        "customer_key": f"{channel}/{row['顧客コード']}",
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


class Mapped(NamedTuple):
    """One order: its number, the line it begins in, and its content as JSON; None where it was refused."""

    number: str
    position: int
    content: bytes | None


def mapped(text: str, channel: str) -> Iterator[Mapped]:
    """The orders of a file, in its order."""
    reader = csv.reader(io.StringIO(text, newline=""))
    names = next(reader)
    for number, group in groupby(_rows(reader, names), lambda item: item[0][KEY]):
        rows, positions = zip(*group, strict=True)
        try:
            if any(row[""] for row in rows):
                raise Bad
            content = orjson.dumps(order(list(rows), channel))
        except Bad:
            content = None
        yield Mapped(number, positions[0], content)
