"""`tsunagi quarantine`: what was refused, masked; another try; closing for good."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

from hub.engine import Hub
from hub.quarantine import Refusal, put_refusals
from tests.hub.cli.support import Run

BUYER = "髙﨑 美咲"


@pytest.fixture
def refused(run: Run, base: Path) -> Path:
    """One stock record, one order and one unreadable row in quarantine; numbers 1 to 3."""
    stock = [{"sku": "A", "location": "W1", "on_hand": "many"}]
    (base / "north" / "stock" / "0001.json").write_text(json.dumps(stock))
    order: dict[str, Any] = {
        "number": "1", "at": "2026-11-21T10:00:00+09:00", "buyer": BUYER, "payment": "ツケ", "total": 1100,
        "recipients": [{"id": "1", "name": BUYER}], "lines": [{"id": "1", "sku": "A", "quantity": 2, "price": 550}],
    }  # fmt: skip
    (base / "south" / "orders" / "0001.json").write_text(json.dumps([order], ensure_ascii=False), "utf-8")
    (base / "south" / "lines" / "a.csv").write_text("7,A,1\n8,B\n")
    for args in (("pull", "north", "stock"), ("pull", "south", "orders"), ("pull", "south", "lines")):
        assert run(*args).code == 0
    return base


def numbers(run: Run, *args: str) -> list[int]:
    return [row["id"] for row in run("quarantine", "list", "--json", *args).rows]


def test_the_list_tells_where_and_why(run: Run, refused: Path) -> None:
    narrow = run("quarantine", "list", lang="ja")
    assert narrow.code == 0
    assert max(cell_len(line) for line in narrow.out.splitlines()) <= 80
    wide = run("quarantine", "list", lang="ja", columns=300).out
    for told in (
        "north/stock",
        "0001.json",
        "on_hand",
        "many",
        "整数ではありません",
        "a.csv",
        "2 行目",
        "south/lines",
    ):
        assert told in wide, told
    rows = run("quarantine", "list", "--json", "-s", "south", "-f", "lines").rows
    assert [(row["flow"], row["position"], row["code"], row["state"]) for row in rows] == [
        ("lines", 2, "column_count", "open")
    ]


def test_a_long_list_says_that_there_is_more(run: Run, refused: Path) -> None:
    seen = run("quarantine", "list", "--json", "--limit", 2)
    assert len(seen.rows) == 2
    assert "Only 2 are shown" in seen.err


def test_an_empty_quarantine_and_a_misspelt_name_are_told_apart(run: Run, refused: Path) -> None:
    assert run("quarantine", "list", "-s", "north", "-f", "orders").out == "Nothing is in quarantine.\n"
    for args in (("-s", "nroth"), ("-s", "north", "-f", "ordres")):
        seen = run("quarantine", "list", *args)
        assert (seen.code, seen.out) == (2, "")
        assert "north" in seen.err or "orders" in seen.err


def put_personal(base: Path) -> int:
    """A refused row whose reason repeats a name."""
    ja, en = f"「受注名」の値「{BUYER}」は使えません。", f"The value {BUYER!r} of '受注名' is no good."
    fault = {"code": "required", "column": "受注名", "value": BUYER, "line": 4, "ja": ja, "en": en}
    refusal = Refusal(
        "north", "orders", "in", "map", "test_shop/orders.in", "misaki@example.jp", "required", [fault],
        positions=[4], record={"buyer": {"name": BUYER}}, raw=f"1,{BUYER}".encode("cp932"),
    )  # fmt: skip
    with Hub.open() as hub:
        with hub.engine.begin() as connection:
            put_refusals(connection, [refusal])
        return hub.quarantine_list()[0].id


def test_personal_data_is_masked_unless_it_is_to_be_revealed(run: Run, base: Path) -> None:
    number = put_personal(base)
    for lang in ("ja", "en"):
        for args in (("list",), ("list", "--json"), ("show", number), ("show", number, "--json")):
            seen = run("quarantine", *args, lang=lang, columns=200)
            assert seen.code == 0
            assert BUYER not in seen.out
            assert args[0] == "list" or "misaki@" not in seen.out
    revealed = run("quarantine", "show", number, "--reveal", columns=200).out
    assert revealed.count(BUYER) == 3  # reason, record, bytes
    (row,) = run("quarantine", "show", number, "--reveal", "--json").rows
    assert base64.b64decode(row["raw_base64"]).decode("cp932") == f"1,{BUYER}"
    (row,) = run("quarantine", "show", number, "--json").rows
    assert (row["raw_base64"], row["hidden_bytes"]) == (None, 11)


def test_show_tells_all_of_one_row(run: Run, refused: Path) -> None:
    (number,) = numbers(run, "-s", "south", "-f", "lines")
    shown = run("quarantine", "show", number, "--reveal", lang="ja").out
    assert "フロー: lines" in shown
    assert "ファイル: a.csv" in shown
    assert "✗ 2 行目の列数が 2 です" in shown
    assert "8,B" in shown
    seen = run("quarantine", "show", 9999)
    assert (seen.code, seen.out) == (2, "")
    assert "9999" in seen.err


def test_replay_after_mending_a_table(run: Run, refused: Path) -> None:
    still = run("quarantine", "replay", "--all", "--json")
    assert (still.code, still.rows[0]["through"], still.rows[0]["still_refused"]) == (0, 0, 3)
    table = refused / "home" / "mappings" / "test_shop" / "tables" / "payments.csv"
    head = table.read_text("utf-8").splitlines()[1]
    table.write_text(table.read_text("utf-8") + f"ツケ,{head.split(',')[1]}\n", "utf-8")
    seen = run("quarantine", "replay", "--system", "south", "--flow", "orders", lang="ja")
    assert (seen.code, seen.out) == (0, "1 件中 1 件が通りました。残り 0 件。\n")
    assert "south/1" in [order["key"] for order in run("export", "order").rows]
    assert len(numbers(run)) == 2
    assert len(numbers(run, "--state", "replayed")) == 1


def test_replay_must_be_told_of_what(run: Run, refused: Path) -> None:
    seen = run("quarantine", "replay")
    assert (seen.code, seen.out) == (2, "")
    assert "--all" in seen.err
    assert run("quarantine", "replay", 9999).code == 2


def test_discard_wants_a_reason_and_open_rows(run: Run, refused: Path) -> None:
    first, second, *_ = numbers(run)
    assert run("quarantine", "discard", first).code == 2
    assert len(numbers(run)) == 3
    seen = run("quarantine", "discard", first, second, 9999, "-r", "二重のため", lang="ja")
    assert seen.out.splitlines() == ["2 件を破棄しました。", "1 件は未処理ではありませんでした。"]
    assert numbers(run, "--state", "discarded") == [first, second]
    assert "二重のため" in run("quarantine", "show", first).out
    again = run("quarantine", "discard", first, "-r", "x")
    assert (again.code, again.out) == (2, "")
