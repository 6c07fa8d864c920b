"""A legacy mail-order core (通販基幹) for tests and the demo: it drops order files and reads what comes back.

    python -m sandbox.mail_order_core write DIR [--day 2026-11-21] [--orders 30] [--bad]
    python -m sandbox.mail_order_core read DIR

It writes the 41-column general order CSV as such hosts do: CP932, CRLF, IBM codes for 髙 and 﨑, half-width kana beside
full-width, every order on as many rows as it has lines. Everything follows from the day: the same day gives the same
bytes. Names are made up, postal codes and towns are real.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from functools import cache
from pathlib import Path

__all__ = ["BAD_ROWS", "COLUMNS", "Answer", "order_file", "orders_of", "read_reports", "write_day"]

DATA = Path(__file__).parent / "data"
JST = timezone(timedelta(hours=9))

_ALL_COLUMNS: dict[str, list[str]] = json.loads((DATA / "columns.json").read_text("utf-8"))
COLUMNS = tuple(_ALL_COLUMNS["general_orders"])
REPORT = tuple(_ALL_COLUMNS["shipping_report"])

PEOPLE = (
    ("髙﨑 美咲", "ﾀｶｻｷ ﾐｻｷ"), ("山田 太郎", "ヤマダ タロウ"), ("渡邉 さくら", "ﾜﾀﾅﾍﾞ ｻｸﾗ"),
    ("齋藤 大輔", "サイトウ ダイスケ"), ("濵田 陽子", "ﾊﾏﾀﾞ ﾖｳｺ"), ("五十嵐 徹", "イガラシ トオル"),
    ("㈱つなぎ商店 総務部①", "ｶﾌﾞｼｷｶﾞｲｼｬﾂﾅｷﾞｼｮｳﾃﾝ"), ("小林 ひろし", "ｺﾊﾞﾔｼ ﾋﾛｼ"),
    ("彅野 ゆい", "ナギノ ユイ"), ("德永 Ⅲ世", "ﾄｸﾅｶﾞ ｻﾝｾｲ"),
)  # fmt: skip
PAYMENTS = ("クレジットカード", "代金引換", "後払い", "銀行振込", "コンビニ決済", "PayPay")
SLOTS = ("", "", "午前中", "14:00～16:00", "18時-20時", "19～21時")
BUILDINGS = ("", "", "つなぎﾋﾞﾙ3F", "メゾン～表～ 201", "ハイツⅡ 102号", "㈲能登荘①")
SHIPPING, FREE_FROM, COD_FEE = 660, 8000, 330

_IBM_CODES = {"髙": b"\xfb\xfc", "﨑": b"\xfa\xb1", "德": b"\xfa\xba", "濵": b"\xfb\x4d", "彅": b"\xfa\x67"}


@cache
def _table(name: str) -> tuple[dict[str, str], ...]:
    with (DATA / name).open(encoding="utf-8", newline="") as file:
        return tuple(csv.DictReader(file))


def orders_of(day: date, count: int) -> list[list[dict[str, str]]]:
    """The day's orders, each the rows of its lines; a function of the day alone."""
    dice = random.Random(f"core {day:%Y%m%d}")
    return [_order(dice, day, number) for number in range(1, count + 1)]


def _order(dice: random.Random, day: date, number: int) -> list[dict[str, str]]:
    name, kana = dice.choice(PEOPLE)
    place, gift = dice.choice(_table("postal_codes.csv")), dice.random() < 0.2
    goods = dice.sample(_table("products.csv"), dice.choice((1, 1, 2, 2, 3, 4)))
    lines = [(product, dice.choice((1, 1, 1, 2, 3))) for product in goods]
    total = sum(int(product["price"]) * units for product, units in lines)
    payment = dice.choice(PAYMENTS)
    shipping = 0 if total >= FREE_FROM else SHIPPING
    fee = COD_FEE if payment == "代金引換" else 0
    points, other = dice.choice((0, 0, 0, 100, 500)), dice.choice((0, 0, 0, 0, 220, -300))
    midnight = datetime(day.year, day.month, day.day, tzinfo=JST)
    head = dict.fromkeys(COLUMNS, "") | {
        "店舗伝票番号": f"M{day:%y%m%d}-{number:05d}",
        "受注日": f"{midnight + timedelta(minutes=9 * number % 1440, seconds=number % 60):%Y/%m/%d %H:%M:%S}",
        **_buyer(dice, name, kana, place),
        "支払方法": payment, "発送方法": dice.choice(("宅急便", "宅急便", "クール便（冷蔵）")),
        "商品計": str(total), "税金": "0", "発送料": str(shipping), "手数料": str(fee), "ポイント": str(points),
        "その他費用": str(other), "合計金額": str(total + shipping + fee + other - points),
        "ギフトフラグ": "1" if gift else "0", "時間帯指定": dice.choice(SLOTS),
        "日付指定": f"{day + timedelta(days=dice.randint(3, 7)):%Y/%m/%d}" if dice.random() < 0.3 else "",
        "備考": dice.choice(("", "", "不在時は宅配BOXへ", "領収書希望\r\n宛名は㈱つなぎで", "電話は午後～")),
        "出荷済フラグ": "0", "顧客区分": dice.choice(("0", "1")), "顧客コード": f"{dice.randint(1, 900):08d}",
        "のし": "御歳暮" if gift else "", "メッセージ": "いつもありがとう♪" if gift else "",
    }  # fmt: skip
    if gift:
        head |= _recipient(dice)
    return [
        head | {
            "商品名": product["name"], "商品コード": product["sku"], "商品価格": product["price"],
            "受注数量": str(units), "消費税率（%）": product["tax_rate"],
        }
        for product, units in lines
    ]  # fmt: skip


def _street(dice: random.Random, place: dict[str, str]) -> str:
    number = f"{dice.randint(1, 9)}-{dice.randint(1, 20)}-{dice.randint(1, 30)}"
    return f"{place['prefecture']}{place['city']}{place['town']}{number}"


def _phone(dice: random.Random) -> str:
    return f"0{dice.choice((3, 6))}-{dice.randint(3000, 6999)}-{dice.randint(0, 9999):04d}"


def _buyer(dice: random.Random, name: str, kana: str, place: dict[str, str]) -> dict[str, str]:
    code, street, building, phone = (
        place["postal_code"],
        _street(dice, place),
        dice.choice(BUILDINGS),
        _phone(dice),
    )
    shown = dice.choice((code, f"{code[:3]}-{code[3:]}"))
    return {
        "受注郵便番号": shown, "受注住所１": street, "受注住所２": building, "受注名": name, "受注名カナ": kana,
        "受注電話番号": phone,
        "受注メールアドレス": f"customer{dice.randint(1, 9999):04d}@example.jp", "発送郵便番号": shown,
        "発送先住所１": street, "発送先住所２": building, "発送先名": name, "発送先カナ": kana, "発送電話番号": phone,
    }  # fmt: skip


def _recipient(dice: random.Random) -> dict[str, str]:
    name, kana = dice.choice(PEOPLE)
    place = dice.choice(_table("postal_codes.csv"))
    return {
        "発送郵便番号": place["postal_code"], "発送先住所１": _street(dice, place),
        "発送先住所２": dice.choice(BUILDINGS), "発送先名": name, "発送先カナ": kana, "発送電話番号": _phone(dice),
    }  # fmt: skip


# ---------------------------------------------------------------- files


def host_bytes(text: str) -> bytes:
    """CP932 as the host writes it: with IBM codes, where Python would write NEC ones."""
    return b"".join(_IBM_CODES.get(character) or character.encode("cp932") for character in text)


def order_file(rows: Sequence[dict[str, str]], *, columns: Sequence[str] = COLUMNS) -> bytes:
    """Rows as a file; older cores send only the first 35, 37 or 38 columns."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(columns)
    writer.writerows([row[column] for column in columns] for row in rows)
    return host_bytes(text.getvalue())


def _one_line(rows: list[dict[str, str]], **changes: str) -> bytes:
    return order_file([{**rows[0], **changes}]).split(b"\r\n", 1)[1]


def _bad_rows(day: date) -> Iterator[tuple[str, bytes]]:
    """Rows that must not come through, each an order of its own: what is wrong with it, and its bytes."""
    shop = random.Random(f"bad {day:%Y%m%d}")
    clean = {"備考": "", "受注名": "誤田 正", "受注名カナ": "ｺﾞﾀ ﾀﾀﾞｼ", "発送先名": "誤田 正"}

    def row(number: int, **changes: str) -> bytes:
        order = [{**line, **clean} for line in _order(shop, day, number)]
        return _one_line(order, 店舗伝票番号=f"X{day:%y%m%d}-{number:05d}", **changes)

    yield (
        "column_count",
        row(1, 備考="住所, 変更あり").replace(
            '"住所, 変更あり"'.encode("cp932"), "住所, 変更あり".encode("cp932")
        ),
    )
    yield "impossible_date", row(2, 受注日=f"{day:%Y}/02/30 10:00:00")
    yield "unknown_payment", row(3, 支払方法="ツケ払い")
    yield "undecodable", row(4).replace("誤田 正".encode("cp932"), b"\x8c\xeb\xfd\x90\xb3", 1)
    yield "excel_postal_code", row(5, 受注郵便番号="600001")
    yield "not_a_quantity", row(6, 受注数量="二個")


BAD_ROWS = (
    "column_count", "impossible_date", "unknown_payment", "undecodable", "excel_postal_code", "not_a_quantity",
)  # fmt: skip
"""What is wrong with the bad rows `write_day(bad=True)` puts into the day's last file, in their order."""


def write_day(
    folder: Path, day: date, *, orders: int = 30, files: int = 3, bad: bool = False, prefix: str = "JUCHU"
) -> list[Path]:
    """Drop the day's orders as `PREFIX_yyyymmdd_nnn.csv`, numbered from 1; returns the files.

    Files are written under a temporary name and renamed, as a well-behaved host does. Files of a day that are there
    already, here or in `done`, are not written again.
    """
    folder.mkdir(parents=True, exist_ok=True)
    every = orders_of(day, orders)
    share = -(-len(every) // files)
    written: list[Path] = []
    for number in range(1, files + 1):
        content = order_file([row for order in every[(number - 1) * share : number * share] for row in order])
        if bad and number == files:
            content += b"".join(raw for _, raw in _bad_rows(day))
        path = folder / f"{prefix}_{day:%Y%m%d}_{number:03d}.csv"
        if not path.exists() and not list(folder.rglob(path.name)):
            temporary = path.with_name(f".{path.name}.tmp")
            temporary.write_bytes(content)
            temporary.rename(path)
            written.append(path)
    return written


# ---------------------------------------------------------------- what comes back


@dataclass(frozen=True, slots=True)
class Answer:
    """What the core made of one report file: rows taken and, by 1-based row, rows refused."""

    file: str
    taken: tuple[dict[str, str], ...]
    refused: dict[int, str]


def read_reports(folder: Path, ack: Path, *, archive: Path | None = None) -> list[Answer]:
    """Read shipping reports as strictly as a host, answer each with `NAME.ok` or `NAME.ng`, and archive it."""
    ack.mkdir(parents=True, exist_ok=True)
    archive = archive or folder / "taken"
    archive.mkdir(parents=True, exist_ok=True)
    answers = []
    for path in sorted(folder.glob("*.csv")):
        answer = _read_report(path)
        ending, words = (".ng", "".join(f"{row}\t{said}\r\n" for row, said in answer.refused.items()))
        if not answer.refused:
            ending = ".ok"
        (ack / f".{path.name}.tmp").write_bytes(words.encode("cp932"))
        (ack / f".{path.name}.tmp").rename(ack / (path.name + ending))
        path.rename(archive / path.name)
        answers.append(answer)
    return answers


def _read_report(path: Path) -> Answer:
    refused: dict[int, str] = {}
    taken: list[dict[str, str]] = []
    try:
        text = path.read_bytes().decode("cp932")
    except UnicodeDecodeError as error:
        return Answer(path.name, (), {1: f"文字コード誤り（{error.start + 1}バイト目）"})
    lines = text.split("\r\n")
    if lines.pop() != "" or "\n" in text.replace("\r\n", ""):
        return Answer(path.name, (), {1: "改行コードがCRLFではありません"})
    if tuple(lines[0].split(",")) != REPORT:
        return Answer(path.name, (), {1: "見出し行が違います"})
    for number, line in enumerate(lines[1:], 1):
        said = _wrong_report(line.split(","))
        if said:
            refused[number] = said
        else:
            taken.append(dict(zip(REPORT, line.split(","), strict=True)))
    return Answer(path.name, tuple(taken), refused)


def _wrong_report(values: list[str]) -> str | None:
    """Why the host refuses a row: it splits at commas, knows no quotes, and wants its own order numbers."""
    if len(values) != len(REPORT):
        return f"列数誤り（{len(values)}列）"
    row = dict(zip(REPORT, values, strict=True))
    if any('"' in value for value in values):
        return "引用符は使用できません"
    if not row["受注番号"].startswith(("M", "X")):
        return f"受注番号がありません: {row['受注番号']}"
    try:
        datetime.strptime(row["出荷日"], "%Y/%m/%d").replace(tzinfo=JST)
    except ValueError:
        return f"出荷日誤り: {row['出荷日']}"
    number = row["送り状番号"]
    if number and not (number.isdigit() and len(number) in (11, 12)):
        return f"送り状番号誤り: {number}"
    return None if row["個口数"].isdigit() else f"個口数誤り: {row['個口数']}"


def main(arguments: list[str] | None = None) -> int:
    """Write a day's files, or read what came back."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.mail_order_core", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    write = commands.add_parser("write", help="drop a day's order files")
    write.add_argument("folder", type=Path)
    write.add_argument("--day", type=date.fromisoformat, default=datetime.now(JST).date())
    write.add_argument("--orders", type=int, default=30)
    write.add_argument("--files", type=int, default=3)
    write.add_argument("--bad", action="store_true", help="put the bad rows into the last file")
    read = commands.add_parser("read", help="read shipping reports and answer them")
    read.add_argument("folder", type=Path)
    read.add_argument("--ack", type=Path, help="folder of the answers; FOLDER/ack when left out")
    options = parser.parse_args(arguments)
    if options.command == "write":
        for path in write_day(
            options.folder, options.day, orders=options.orders, files=options.files, bad=options.bad
        ):
            sys.stdout.write(f"{path}\n")
        return 0
    answers = read_reports(options.folder, options.ack or options.folder / "ack")
    for answer in answers:
        sys.stdout.write(f"{answer.file}: {len(answer.taken)} taken, {len(answer.refused)} refused\n")
    return 1 if any(answer.refused for answer in answers) else 0


if __name__ == "__main__":
    raise SystemExit(main())
