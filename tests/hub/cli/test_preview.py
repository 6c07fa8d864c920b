"""`tsunagi preview`: an entity a line, refused rows apart, without database, server or secrets."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.hub.cli.support import COLUMNS, ROOT, ROW, Run, csv_of

ORDERS = "file_exchange/general_orders.in"
OrderFile = Callable[..., Path]
Spawn = Callable[..., "subprocess.CompletedProcess[bytes]"]
SYSTEMS = str(ROOT / "systems")

BAD_ROWS = (
    {},
    {"店舗伝票番号": "A-1002", "支払方法": "ツケ払い"},
    {"店舗伝票番号": "A-1003", "受注日": "2026/02/30 10:00:00"},
    {"店舗伝票番号": "A-1004"},
)


def lines(text: bytes | str) -> list[Any]:
    return [orjson.loads(line) for line in text.splitlines()]


def test_json_prints_an_order_a_line_and_refused_rows_on_standard_error(
    spawn: Spawn, order_file: OrderFile, tmp_path: Path
) -> None:
    file = order_file(*BAD_ROWS)
    # a database nobody can reach, and no connection of any system
    ended = spawn("preview", ORDERS, file, "--json", TSUNAGI_DATABASE_URL="postgresql://nobody@127.0.0.1:1/none",
                  TSUNAGI_SYSTEMS=SYSTEMS, TSUNAGI_LANG="ja")  # fmt: skip
    assert ended.returncode == 0
    orders, refused = lines(ended.stdout), lines(ended.stderr)
    assert [order["key"] for order in orders] == ["mailorder/A-1001", "mailorder/A-1004"]
    first = orders[0]
    assert first["buyer"]["name"] == {"full": "髙﨑 美咲", "full_kana": "タカサキ ミサキ"}
    assert first["totals"]["payable"]["amount"] == 2998
    assert first["note"] == "宛名は㈱つなぎ～①"
    assert [(row["line"], row["column"], row["value"]) for row in refused] == [
        (3, "支払方法", "ツケ払い"),
        (4, "受注日", "2026/02/30 10:00:00"),
    ]
    assert "変換表" in refused[0]["reason"]
    assert [row["id"] for row in refused] == ["A-1002", "A-1003"]
    assert not (tmp_path / "home").exists()  # nothing is made or started


def test_rows_that_cannot_be_read_are_refused_and_the_rest_goes_on(run: Run, tmp_path: Path) -> None:
    whole = csv_of([ROW, {**ROW, "店舗伝票番号": "A-1002"}, {**ROW, "店舗伝票番号": "A-1003"}])
    rows = whole.split(b"\r\n")
    rows[1] += b",too,many"
    rows[2] = rows[2].replace("宅急便".encode("cp932"), b"\xfd\xfe")
    file = tmp_path / "o.csv"
    file.write_bytes(b"\r\n".join(rows))
    seen = run("preview", ORDERS, file, "--json")
    assert seen.code == 0
    assert [order["number"] for order in seen.rows] == ["A-1003"]
    faults = lines(seen.err)
    assert {(fault["line"], fault["code"]) for fault in faults} >= {(2, "column_count"), (3, "undecodable")}
    assert next(fault for fault in faults if fault["code"] == "undecodable")["column"] == "発送方法"
    assert all(fault["reason"] for fault in faults)


def test_rows_of_an_order_that_stand_apart_are_refused(run: Run, order_file: OrderFile) -> None:
    seen = run("preview", ORDERS, order_file({}, {"店舗伝票番号": "A-1002"}, {}), "--json")
    assert seen.code == 0
    assert [order["number"] for order in seen.rows] == ["A-1002"]
    assert {fault["code"] for fault in lines(seen.err)} == {"group_split"}


@pytest.mark.parametrize("lang", ["ja", "en"])
def test_a_file_with_another_header_is_an_error(run: Run, tmp_path: Path, lang: str) -> None:
    file = tmp_path / "other.csv"
    file.write_bytes(csv_of([ROW], columns=[*COLUMNS[:-30], "知らない列"]))
    seen = run("preview", ORDERS, file, "--json", lang=lang)
    assert (seen.code, seen.out) == (1, "")
    assert "other.csv" in seen.err
    assert ("見出し行" in seen.err) == (lang == "ja")
    assert "Traceback" not in seen.err


def test_a_file_that_is_not_there_is_wrong_usage(run: Run, tmp_path: Path) -> None:
    seen = run("preview", ORDERS, tmp_path / "none.csv", "--json")
    assert (seen.code, seen.out) == (2, "")
    assert "There is no file" in seen.err
    assert "none.csv" in seen.err


def test_a_mapping_that_is_not_there_names_the_near_ones(run: Run, order_file: OrderFile) -> None:
    seen = run("preview", "file_exchange/general_order.in", order_file())
    assert seen.code == 1
    assert "file_exchange/general_orders.in" in seen.err
    assert "Traceback" not in seen.err


def test_an_empty_file_gives_nothing_and_is_no_error(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "empty.csv"
    file.write_bytes(b"")
    seen = run("preview", ORDERS, file, "--json")
    assert (seen.code, seen.out, seen.err) == (0, "", "")


def test_constants_and_layout_come_from_the_system_that_uses_the_mapping(
    run: Run, order_file: OrderFile, tmp_path: Path
) -> None:
    narrow = (
        "layout: narrow\nversion: 1\ntitle: {ja: 狭, en: narrow}\nformat: csv\nencoding: utf-8\n"
        "columns: [{name: number}, {name: sku}]\n"
    )
    (tmp_path / "layouts").mkdir()
    (tmp_path / "layouts" / "narrow.yaml").write_text(narrow, "utf-8")
    (tmp_path / "home" / "mappings" / "mine").mkdir(parents=True)
    (tmp_path / "home" / "mappings" / "mine" / "skus.in.yaml").write_text(
        "version: 1\ndirection: in\nentity: listing\ntitle: {ja: 出品, en: Listings}\nexternal_id: number\nfields:\n"
        "  key: {join: [$system.channel, sku], with: /}\n  channel: $system.channel\n  sku: sku\n"
        "  external_id: number\n",
        "utf-8",
    )
    (tmp_path / "systems" / "partner.yaml").write_text(
        "system: partner\nconnector: file_exchange\ntitle: {ja: 取引先, en: Partner}\n"
        f"settings:\n  protocol: sftp\n  layouts: ['{tmp_path / 'layouts'}']\n"
        "  interfaces: [{name: skus, folder: in, pattern: '*.csv', layout: narrow}]\n"
        "constants: {channel: shop}\nflows: {skus: {pull: files, mapping: mine/skus.in}}\n",
        "utf-8",
    )
    file = tmp_path / "x.csv"
    file.write_text("number,sku\n7,A\n", "utf-8")
    seen = run("preview", "mine/skus.in", file, "--json")
    assert (seen.code, seen.err) == (0, "")
    assert [row["key"] for row in seen.rows] == ["shop/A"]
    # without the system nobody knows the layout
    (tmp_path / "systems" / "partner.yaml").unlink()
    seen = run("preview", "mine/skus.in", file, "--json")
    assert (seen.code, seen.out) == (78, "")
    assert "skus" in seen.err


def test_a_system_can_be_chosen(run: Run, order_file: OrderFile, tmp_path: Path) -> None:
    for name, channel in (("first", "one"), ("second", "two")):
        (tmp_path / "systems" / f"{name}.yaml").write_text(
            f"system: {name}\nconnector: file_exchange\ntitle: {name}\nconstants: {{channel: {channel}}}\n"
            "settings: {interfaces: [{name: o, folder: o, pattern: '*', layout: general_orders}]}\n"
            f"flows: {{orders: {{pull: files, mapping: {ORDERS}}}}}\n",
            "utf-8",
        )
    file = order_file()
    assert run("preview", ORDERS, file, "--json").rows[0]["key"] == "one/A-1001"
    assert run("preview", ORDERS, file, "--json", "-s", "second").rows[0]["key"] == "two/A-1001"
    seen = run("preview", ORDERS, file, "--json", "-s", "secnd")
    assert (seen.code, seen.out) == (2, "")
    assert "second" in seen.err


def test_limit_ends_early(run: Run, order_file: OrderFile) -> None:
    file = order_file(*({"店舗伝票番号": f"A-{number}"} for number in range(9)))
    seen = run("preview", ORDERS, file, "--json", "--limit", 2)
    assert [order["number"] for order in seen.rows] == ["A-0", "A-1"]


@pytest.mark.parametrize("lang", ["ja", "en"])
def test_the_table_shows_each_value_beside_its_column_and_transforms(
    run: Run, order_file: OrderFile, lang: str
) -> None:
    seen = run("preview", ORDERS, order_file(*BAD_ROWS), "--reveal", lang=lang, columns=160)
    assert seen.code == 0
    row = next(line for line in seen.out.splitlines() if "buyer.name.full_kana" in line)
    assert [part.strip() for part in row.split("  ") if part.strip()] == [
        "受注名カナ (kana)", "ﾀｶｻｷ ﾐｻｷ", "buyer.name.full_kana", "タカサキ ミサキ",
    ]  # fmt: skip
    assert ("行目" in seen.out) == (lang == "ja")
    assert "ツケ払い" in seen.err
    assert seen.out.splitlines()[-1] == (
        "変換 2 件、拒否 2 件、対象外 0 件"
        if lang == "ja"
        else "2 mapped, 2 refused, 0 not meant for the mapping"
    )


def test_the_table_masks_personal_data(run: Run, order_file: OrderFile) -> None:
    file = order_file(
        {}, {"店舗伝票番号": "A-1002", "受注メールアドレス": "hanako@example", "支払方法": "カード"}
    )
    seen = run("preview", ORDERS, file, columns=200)
    for secret in ("髙﨑", "ﾀｶｻｷ", "札幌市", "0112345678", "011-234-5678", "misaki@", "hanako@example"):
        assert secret not in seen.out + seen.err, secret
    assert "SOAP-3" in seen.out
    assert "A-1002" in seen.err
    assert "髙﨑" in run("preview", ORDERS, file, "--reveal", columns=200).out


def test_columns_the_file_does_not_have_are_told(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "old.csv"
    file.write_bytes(csv_of([ROW], columns=COLUMNS[:38]))
    seen = run("preview", ORDERS, file)
    assert seen.code == 0
    absent = next(line for line in seen.out.splitlines() if line.startswith("Columns the mapping reads"))
    assert all(name in absent for name in ("のし", "メッセージ"))


# ---------------------------------------------------------------- records and entities as JSON


def test_records_of_an_api_may_be_given_as_json(run: Run, base: Path) -> None:
    records = [
        {"sku": "A", "location": "W1", "on_hand": 5},
        "not an object",
        {"sku": "B", "location": "W1", "on_hand": "many"},
    ]
    file = base / "page.json"
    file.write_bytes(orjson.dumps(records))
    by_list = run("preview", "test_shop/stock.in", file, "--json")
    assert (by_list.code, [row["key"] for row in by_list.rows]) == (0, ["A@W1"])
    assert {(fault["line"], fault["code"]) for fault in lines(by_list.err)} == {
        (1, "not_an_object"),
        (2, "not_an_integer"),
    }
    file = base / "page.jsonl"
    file.write_bytes(b"\n".join(map(orjson.dumps, records)) + b"\n{broken\n")
    by_line = run("preview", "test_shop/stock.in", file, "--json")
    assert (by_line.code, [row["key"] for row in by_line.rows]) == (0, ["A@W1"])
    assert [fault["line"] for fault in lines(by_line.err)] == [2, 3, 4]


def test_json_that_is_none_is_an_error(run: Run, base: Path) -> None:
    (base / "page.json").write_text('[{"sku": ', "utf-8")
    seen = run("preview", "test_shop/stock.in", base / "page.json", "--json")
    assert (seen.code, seen.out) == (1, "")
    assert "page.json is not JSON (line 1" in seen.err


STOCK = {"version": 3, "key": "A@W1", "sku": "A", "location": "W1", "on_hand": 5, "allocated": 2}


def test_an_outgoing_mapping_takes_what_export_wrote(run: Run, base: Path) -> None:
    file = base / "stock.jsonl"
    bad = {"version": 1, "key": "B@W1", "sku": "B", "location": "W1", "on_hand": "many"}
    file.write_bytes(b"\n".join(map(orjson.dumps, [STOCK, bad])))
    seen = run("preview", "test_shop/stock.out", file, "--json")
    assert (seen.code, seen.rows) == (0, [{"sku": "A", "quantity": 3}])
    (fault,) = lines(seen.err)
    assert (fault["line"], fault["id"], fault["column"], fault["value"]) == (2, "B@W1", "on_hand", "many")
    table = run("preview", "test_shop/stock.out", file, columns=250)
    assert "canonical_model.stock:available(on_hand, allocated)" in table.out


def test_related_entities_stand_beside_or_in_a_file_of_their_own(run: Run, base: Path) -> None:
    folder = ROOT / "mappings/file_exchange/samples/shipping_report.out"
    sample = orjson.loads((folder / "two_parcels.input.json").read_bytes())
    expected = orjson.loads((folder / "two_parcels.expected.json").read_bytes())
    (name, order) = next(iter(sample["related"].items()))
    channel = sample["context"]["system"]["channel"]
    (base / "systems" / "core.yaml").write_text(
        f"system: core\nconnector: file_exchange\ntitle: core\nconstants: {{channel: {channel}}}\n"
        "settings: {interfaces: [{name: r, direction: out, folder: r, pattern: 'r.csv', layout: shipping_report}]}\n"
        "flows: {report: {push: files, mapping: file_exchange/shipping_report.out}}\n",
        "utf-8",
    )
    beside = base / "beside.json"
    beside.write_bytes(orjson.dumps([{"entity": sample["entity"], "related": sample["related"]}]))
    alone = base / "alone.jsonl"
    alone.write_bytes(orjson.dumps(sample["entity"]) + b"\n")
    orders = base / "orders.jsonl"
    orders.write_bytes(orjson.dumps(order) + b"\n")
    mapping = "file_exchange/shipping_report.out"
    assert run("preview", mapping, beside, "--json").rows == [expected["record"]]
    seen = run("preview", mapping, alone, "--json", "--related", f"{name}={orders}")
    assert (seen.rows, seen.err) == ([expected["record"]], "")
    wrong = run("preview", mapping, alone, "--json", "--related", f"oder={orders}")
    assert (wrong.code, wrong.out) == (2, "")
    assert name in wrong.err


def test_what_the_mapping_is_not_meant_for_is_told_and_not_printed(run: Run, base: Path) -> None:
    folder = ROOT / "mappings/file_exchange/samples/shipping_report.out"
    sample = orjson.loads((folder / "other_channel.input.json").read_bytes())
    file = base / "one.json"
    file.write_bytes(orjson.dumps({"entity": sample["entity"], "related": sample["related"]}))
    seen = run("preview", "file_exchange/shipping_report.out", file, "--json")
    assert (seen.code, seen.out) == (0, "")
    assert [row["code"] for row in lines(seen.err)] == ["skipped"]


def test_what_was_substituted_while_reading_is_told(run: Run, order_file: OrderFile) -> None:
    file = order_file()
    # U+E000 stands where CP932 has its private characters (gaiji)
    file.write_bytes(file.read_bytes().replace("㈱".encode("cp932"), b"\xf0\x40"))
    seen = run("preview", ORDERS, file, "--json")
    assert [row["number"] for row in seen.rows] == ["A-1001"]
    (note,) = lines(seen.err)
    assert (note["code"], note["line"]) == ("note", 2)
    assert "U+E000" in note["reason"]
    assert "U+E000" in run("preview", ORDERS, file).out
