"""The files of W1: general order CSVs in CP932, a function of seed and number alone.

    python -m bench.w1.rows FOLDER --orders 100000

- `base.csv`     orders of one to three lines (two on average), 41 columns, 0.2 % of them bad in six ways
- `again.csv`    the same orders in another order: another file, no record that changed
- `changed.csv`  as `base.csv`, with another remark and quantity in 1 % of the orders

Names are made up of common parts, postal codes and towns are real.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import random
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from sandbox.mail_order_core import COLUMNS

__all__ = ["BAD", "COLUMNS", "FILES", "base_of", "bytes_of", "files_of", "orders"]

HERE = Path(__file__)
DATA = HERE.parents[2] / "sandbox" / "data"
FILES = ("base.csv", "again.csv", "changed.csv")
SEED = 20261121
BAD = 500
"""Every so many orders one is bad."""

FAMILY = (
    ("佐藤", "サトウ"), ("鈴木", "スズキ"), ("髙橋", "ﾀｶﾊｼ"), ("田中", "タナカ"), ("渡邉", "ﾜﾀﾅﾍﾞ"), ("伊藤", "イトウ"),
    ("山本", "ﾔﾏﾓﾄ"), ("中村", "ナカムラ"), ("小林", "コバヤシ"), ("加藤", "ｶﾄｳ"), ("吉田", "ﾖｼﾀﾞ"),
    ("山﨑", "ﾔﾏｻﾞｷ"), ("濵田", "ﾊﾏﾀﾞ"), ("德永", "トクナガ"), ("五十嵐", "イガラシ"), ("長谷川", "ﾊｾｶﾞﾜ"),
    ("齋藤", "サイトウ"), ("近藤", "ｺﾝﾄﾞｳ"), ("勅使河原", "ﾃｼｶﾞﾜﾗ"), ("彅野", "ナギノ"),
)  # fmt: skip
GIVEN = (
    ("美咲", "ﾐｻｷ"), ("太郎", "タロウ"), ("さくら", "ｻｸﾗ"), ("大輔", "ダイスケ"), ("陽子", "ﾖｳｺ"), ("徹", "トオル"),
    ("ひろし", "ﾋﾛｼ"), ("ゆい", "ユイ"), ("健一郎", "ｹﾝｲﾁﾛｳ"), ("結衣", "ユイ"), ("蓮", "ﾚﾝ"), ("千尋", "ﾁﾋﾛ"),
    ("Ⅲ世", "サンセイ"), ("英二", "ｴｲｼﾞ"), ("紗英", "サエ"), ("真由美", "ﾏﾕﾐ"), ("航", "ワタル"), ("文", "ﾌﾐ"),
)  # fmt: skip
BUILDINGS = (
    "",
    "",
    "つなぎﾋﾞﾙ3F",
    "メゾン～表～ 201",
    "ハイツⅡ 102号",
    "ｺｰﾎﾟ能登①",
    "グランドパレス南 1205号室",
)
PAYMENTS = ("クレジットカード", "代金引換", "後払い", "銀行振込", "コンビニ決済", "PayPay")
METHODS = ("宅急便", "宅急便", "クール便（冷蔵）")
SLOTS = ("", "", "午前中", "14:00～16:00", "18時-20時", "19～21時")
REMARKS = (
    ("",) * 12 + ("不在時は宅配BOXへ",) * 4 + ("電話は午後～",) * 3 + ("領収書希望\r\n宛名は㈱つなぎで",)
)
OPTIONS = ("", "", "青/M", "赤/Ｌ", "名入れ:つなぎ")
_IBM_CODES = {"髙": b"\xfb\xfc", "﨑": b"\xfa\xb1", "德": b"\xfa\xba", "濵": b"\xfb\x4d", "彅": b"\xfa\x67"}
_IBM = re.compile(f"([{''.join(_IBM_CODES)}])")
_AT = {name: at for at, name in enumerate(COLUMNS)}
Rows = list[list[str]]


def _table(name: str) -> list[dict[str, str]]:
    with (DATA / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _person(dice: random.Random) -> tuple[str, str]:
    (family, family_kana), (given, given_kana) = dice.choice(FAMILY), dice.choice(GIVEN)
    return f"{family} {given}", f"{family_kana} {given_kana}"


def _party(dice: random.Random, places: list[dict[str, str]]) -> dict[str, str]:
    name, kana = _person(dice)
    place = dice.choice(places)
    code = place["postal_code"]
    return {
        "name": name, "kana": kana, "code": dice.choice((code, f"{code[:3]}-{code[3:]}")),
        "street": f"{place['prefecture']}{place['city']}{place['town']}"
        f"{dice.randint(1, 9)}-{dice.randint(1, 20)}-{dice.randint(1, 30)}",
        "building": dice.choice(BUILDINGS),
        "phone": f"0{dice.choice((3, 6))}-{dice.randint(3000, 6999)}-{dice.randint(0, 9999):04d}",
    }  # fmt: skip


def _order(
    dice: random.Random, number: int, places: list[dict[str, str]], goods: list[dict[str, str]]
) -> Rows:
    buyer = _party(dice, places)
    gift = dice.random() < 0.2
    to = _party(dice, places) if gift else buyer
    lines = [(dice.choice(goods), dice.choice((1, 1, 1, 2, 3))) for _ in range(dice.choice((1, 2, 2, 3)))]
    total = sum(int(product["price"]) * units for product, units in lines)
    payment = dice.choice(PAYMENTS)
    shipping, fee = (0 if total >= 8000 else 660), (330 if payment == "代金引換" else 0)
    points, other = dice.choice((0, 0, 0, 100, 500)), dice.choice((0, 0, 0, 0, 220, -300))
    moment = datetime(2026, 11, 1) + timedelta(seconds=23 * number)  # noqa: DTZ001  (local time, as hosts write it)
    head = dict.fromkeys(COLUMNS, "") | {
        "店舗伝票番号": f"M{number:09d}", "受注日": f"{moment:%Y/%m/%d %H:%M:%S}",
        "受注郵便番号": buyer["code"], "受注住所１": buyer["street"], "受注住所２": buyer["building"],
        "受注名": buyer["name"], "受注名カナ": buyer["kana"], "受注電話番号": buyer["phone"],
        "受注メールアドレス": f"customer{dice.randint(1, 40000):05d}@Example.jp", "発送郵便番号": to["code"],
        "発送先住所１": to["street"], "発送先住所２": to["building"], "発送先名": to["name"], "発送先カナ": to["kana"],
        "発送電話番号": to["phone"], "支払方法": payment, "発送方法": dice.choice(METHODS), "商品計": str(total),
        "税金": "0", "発送料": str(shipping), "手数料": str(fee), "ポイント": str(points), "その他費用": str(other),
        "合計金額": str(total + shipping + fee + other - points), "ギフトフラグ": "1" if gift else "0",
        "時間帯指定": dice.choice(SLOTS),
        "日付指定": f"{moment + timedelta(days=dice.randint(3, 7)):%Y/%m/%d}" if dice.random() < 0.3 else "",
        "備考": dice.choice(REMARKS), "出荷済フラグ": "0", "顧客区分": dice.choice(("0", "1")),
        "顧客コード": f"{dice.randint(1, 40000):08d}", "のし": "御歳暮" if gift else "",
        "メッセージ": "いつもありがとう♪" if gift else "",
    }  # fmt: skip
    return [
        list((head | {
            "商品名": product["name"], "商品コード": product["sku"], "商品価格": product["price"],
            "受注数量": str(units), "商品オプション": dice.choice(OPTIONS), "消費税率（%）": product["tax_rate"],
        }).values())
        for product, units in lines
    ]  # fmt: skip


def _spoiled(rows: Rows, kind: int) -> Rows:
    """The order with something wrong in one of six ways; two of them are done to its bytes, see `bytes_of`."""
    changes = (
        ("受注日", "2026/02/30 10:00:00"), ("支払方法", "ツケ払い"), ("受注数量", "二個"), ("受注郵便番号", "60001"),
        ("備考", "住所@@変更あり"), ("受注名", "誤田@@正"),
    )  # fmt: skip
    name, value = changes[kind % 6]
    return [[value if at == _AT[name] else cell for at, cell in enumerate(row)] for row in rows]


def orders(count: int, first: int = 1) -> Iterator[Rows]:
    """The orders of `base.csv`, each the rows of its lines."""
    dice = random.Random(f"{SEED} {first}")
    places, goods = _table("postal_codes.csv"), _table("products.csv")
    for number in range(first, first + count):
        rows = _order(dice, number, places, goods)
        yield _spoiled(rows, number // BAD) if number % BAD == 0 else rows


def changed(rows: Rows) -> Rows:
    """The order with another remark and one unit more of its first line."""
    made = [[*row] for row in rows]
    for row in made:
        row[_AT["備考"]] = "至急お願いします"
    made[0][_AT["受注数量"]] = str(int(made[0][_AT["受注数量"]]) + 1)
    return made


def bytes_of(rows: Rows) -> bytes:
    """As the host writes them: CP932 with the bytes Windows uses."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    parts = _IBM.split(text.getvalue())
    raw = b"".join(_IBM_CODES.get(part) or part.encode("cp932") for part in parts)
    if b"@@" not in raw:
        return raw
    # a comma that nobody quoted, and a byte that is no character
    return raw.replace("住所@@".encode("cp932"), "住所,".encode("cp932")).replace(b"@@", b"\xfd")


def write(folder: Path, count: int, first: int) -> None:
    head = ",".join(COLUMNS).encode("cp932") + b"\r\n"
    made = list(orders(count, first))
    every = [bytes_of(rows) for rows in made]
    (folder / "base.csv").write_bytes(head + b"".join(every))
    with (folder / "changed.csv").open("wb") as file:
        file.write(head)
        for number, (rows, raw) in enumerate(zip(made, every, strict=True), first):
            file.write(bytes_of(changed(rows)) if number % 100 == 50 else raw)
    random.Random(SEED).shuffle(every)
    (folder / "again.csv").write_bytes(head + b"".join(every))


def write_base(folder: Path, count: int, first: int) -> None:
    """Only `base.csv`, order by order: of any length."""
    with (folder / "base.csv").open("wb") as file:
        file.write(",".join(COLUMNS).encode("cp932") + b"\r\n")
        for rows in orders(count, first):
            file.write(bytes_of(rows))


def base_of(count: int, first: int = 1) -> Path:
    """`base.csv` for so many orders, of any number."""
    return _made(count, first, "--base-only") / "base.csv"


def files_of(count: int, first: int = 1) -> Path:
    """The folder with the files for so many orders; made in a process of its own when they are not there yet."""
    return _made(count, first)


def _made(count: int, first: int, *words: str) -> Path:
    name = hashlib.sha256(HERE.read_bytes()).hexdigest()[:12]
    folder = Path(tempfile.gettempdir()) / f"tsunagi-bench-w1-{name}" / f"{count}-{first}{''.join(words)}"
    if not (folder / "whole").exists():
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(
            [sys.executable, "-m", "bench.w1.rows", str(folder), "--orders", str(count), "--first", str(first),
             *words],
            check=True, cwd=HERE.parents[2],
        )  # fmt: skip
        (folder / "whole").touch()
    return folder


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--orders", type=int, default=100_000)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--base-only", action="store_true")
    asked = parser.parse_args()
    (write_base if asked.base_only else write)(asked.folder, asked.orders, asked.first)
