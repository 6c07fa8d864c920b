"""What an operator reads who types `tsunagi pull` and `tsunagi quarantine ...` after a bad file came."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import NamedTuple

import pytest
from typer.testing import CliRunner

from hub.cli import app
from tests.bad_input.desk import FIRST, SECOND, Desk, file_of, number_of, order_rows, payable_of, spoiled


class Ran(NamedTuple):
    """What a command printed, as one line without the wrapping, and on standard error."""

    code: int
    out: str
    flat: str
    err: str


Run = Callable[..., Ran]


@pytest.fixture
def run(desk: Desk, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Run:
    """`tsunagi ARGS` over the desk's home."""
    monkeypatch.setenv("TSUNAGI_HOME", str(desk.home))
    monkeypatch.setenv("TSUNAGI_SYSTEMS", str(desk.home / "systems"))
    monkeypatch.setenv("TSUNAGI_DATABASE_URL", database_url)

    def call(*args: object, lang: str = "ja") -> Ran:
        env = {"TSUNAGI_LANG": lang, "COLUMNS": "400", "TERM": "dumb"}
        result = CliRunner().invoke(app, [str(arg) for arg in args], env=env)
        return Ran(result.exit_code, result.stdout, "".join(result.stdout.split("\n")), result.stderr)

    return call


@pytest.fixture
def bad(desk: Desk) -> bytes:
    """Bad in line 3: a phone number that is none and a payment name nobody knows; in 5: a comma; in 6: the name."""
    first, second, third, fourth = order_rows([1, 1, 2, 1])
    second = [row | {"支払方法": "ツケ払い", "受注電話番号": "0901234567890123456"} for row in second]
    fourth = [row | {"支払方法": "ツケ払い"} for row in fourth]
    return desk.drop(spoiled(file_of([first, second, third, fourth]), 5, lambda row: row + b","))


@pytest.mark.usefixtures("bad")
def test_a_pull_says_how_many_were_refused_and_where_to_look(run: Run) -> None:
    ran = run("pull", "core", "orders", lang="en")
    assert ran.code == 0
    assert "tsunagi quarantine list" in ran.out + ran.err


@pytest.mark.usefixtures("bad")
def test_the_list_names_file_line_record_and_what_to_do(run: Run, desk: Desk) -> None:
    desk.pull()
    ran = run("quarantine", "list", "--system", "core")
    assert ran.code == 0
    for words in (
        FIRST, "3 行目", "5 行目", number_of(order_rows([1, 1, 2])[1]), "core/orders",
        "列数が違います: 42列（正しくは41列）。", "送信元に正しい行の再送を依頼してください。",
        "「支払方法」の値「ツケ払い」は変換表 payment_methods にありません。", "（ほか 1 件。show ", "6 行目",
        "file_exchange/tables/payment_methods.csv に行を足すか、値を直してください。",
    ):  # fmt: skip
        assert words in ran.flat, (words, ran.out)
    assert "docs/ja/troubleshooting.md" in ran.err
    english = run("quarantine", "list", lang="en")
    for words in (
        FIRST,
        "line 3",
        "line 5",
        "Add a row to file_exchange/tables/payment_methods.csv or mend the value.",
    ):
        assert words in english.flat, (words, english.out)
    assert "tsunagi quarantine replay NUMBER" in english.err


@pytest.mark.usefixtures("bad")
def test_the_list_as_json_carries_every_part_and_no_personal_data(run: Run, desk: Desk) -> None:
    desk.pull()
    rows = [json.loads(line) for line in run("quarantine", "list", "--json").out.splitlines()]
    phone = next(row for row in rows if row["code"] == "not_a_phone")
    assert (phone["name"], phone["position"], phone["column"]) == (FIRST, 3, "受注電話番号")
    assert phone["value_masked"] == "090****3456"
    assert phone["reason_ja"].startswith("「受注電話番号」の値「090****3456」は電話番号として読めません")
    assert phone["reason_en"].startswith("The value '090****3456' of '受注電話番号' is no telephone number.")
    assert "0901234567890123456" not in json.dumps(rows, ensure_ascii=False)


@pytest.mark.usefixtures("bad")
def test_show_tells_every_fault_with_its_line_and_keeps_the_bytes(run: Run, desk: Desk, bad: bytes) -> None:
    desk.pull()
    rows = {row.code: row.id for row in reversed(desk.hub.quarantine_list("core"))}
    both = run("quarantine", "show", rows["not_a_phone"])
    assert FIRST in both.out
    assert both.flat.count("3行目: 「支払方法」の値「ツケ払い」は変換表 payment_methods にありません。") == 1
    assert both.flat.count("3行目: 「受注電話番号」の値「090****3456」は電話番号として読めません") == 1
    assert "0901234567890123456" not in both.out
    unreadable = run("quarantine", "show", rows["column_count"], "--reveal")
    assert unreadable.flat.count("5行目: 列数が違います: 42列（正しくは41列）。") == 1
    line = bad.split(b"\r\n")[4].decode("cp932")
    assert line in unreadable.flat.replace("\r", "")
    assert number_of(order_rows([1, 1, 2])[2]) in unreadable.out


@pytest.mark.usefixtures("bad")
def test_replay_on_the_command_line_says_what_became_of_it(run: Run, desk: Desk) -> None:
    desk.pull()
    orders = order_rows([1, 1, 2, 1])
    desk.mend_table("payment_methods", "ツケ払い,invoice,")
    desk.mend_layout("general_orders", trailing_comma=True)
    ran = run("quarantine", "replay", "--all")
    assert (ran.code, ran.out) == (0, "5 件中 3 件が通りました。残り 2 件。\n")
    assert {said.code for said in desk.refused()} == {"not_a_phone"}
    assert desk.payable() == payable_of([orders[0], *orders[2:]])
    assert (
        run("quarantine", "replay", "--all", lang="en").out == "0 of 2 went through; 2 are still refused.\n"
    )


def test_notes_of_a_pull_reach_the_operator(run: Run, desk: Desk) -> None:
    content = desk.drop(file_of(order_rows([1])))
    assert run("pull", "core", "orders").code == 0
    desk.drop(content, SECOND)
    ran = run("pull", "core", "orders", "--json")
    (note,) = json.loads(ran.out)["notes"]
    assert note.startswith(f"{SECOND}: skipped, its content was taken in as {FIRST}")


def test_a_note_on_a_row_names_file_line_and_column(run: Run, desk: Desk) -> None:
    desk.drop(
        spoiled(file_of(order_rows([1])), 2, lambda row: row.replace("山田".encode("cp932"), b"\xf0\x40", 1))
    )
    ran = run("pull", "core", "orders", "--json")
    (note,) = json.loads(ran.out)["notes"]
    assert note == f"{FIRST}:2: 列「受注名」に外字 U+E000 / private character in column 受注名"
