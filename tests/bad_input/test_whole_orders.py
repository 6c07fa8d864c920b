"""An order with a bad line is held back whole, wherever in it the line stands; see docs/decisions/torn-groups.md."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.bad_input.desk import Desk, file_of, number_of, order_rows, payable_of, spoiled

Spoil = Callable[[bytes], bytes]

SPOILS: dict[str, Spoil] = {
    "column_count": lambda row: row + b",",
    "undecodable": lambda row: row.replace("ヤマダ".encode("cp932"), b"\xfd\xfe", 1),
    "nul": lambda row: row.replace("ヤマダ".encode("cp932"), b"\x00", 1),
    "quote": lambda row: row.replace("山田 太郎".encode("cp932"), '"山田" 太郎'.encode("cp932"), 1),
}


@pytest.mark.parametrize("line", [3, 4, 5], ids=["first", "middle", "last"])
@pytest.mark.parametrize("code", SPOILS)
def test_a_line_that_cannot_be_read_holds_back_its_order_alone(desk: Desk, code: str, line: int) -> None:
    orders = order_rows([1, 3, 2])
    content = desk.drop(spoiled(file_of(orders), line, SPOILS[code]))
    desk.pull()
    assert desk.payable() == payable_of([orders[0], orders[2]])
    refused = {row.code: row for row in desk.hub.quarantine_list("core")}
    assert set(refused) == {"group_broken", code}
    assert {row.subject for row in refused.values()} == {number_of(orders[1])}
    assert desk.hub.quarantine_show(refused["group_broken"].id)["positions"] == [3, 4, 5]
    assert desk.raw(code) == content.split(b"\r\n")[line - 1] + b"\r\n"


@pytest.mark.parametrize("line", [3, 4, 5], ids=["first", "middle", "last"])
def test_a_line_whose_value_is_wrong_holds_back_its_order_alone(desk: Desk, line: int) -> None:
    orders = order_rows([1, 3, 2])
    orders[1][line - 3]["受注数量"] = "二個"
    desk.drop(file_of(orders))
    desk.pull()
    assert desk.payable() == payable_of([orders[0], orders[2]])
    (row,) = desk.hub.quarantine_list("core")
    assert (row.code, row.position, row.column, row.value_masked) == (
        "not_an_integer",
        line,
        "受注数量",
        "二個",
    )
    assert row.reason_ja == "「受注数量」の値「二個」は整数ではありません。数字だけを入れてください。"
    assert row.reason_en == "The value '二個' of '受注数量' is not a whole number. Write digits only."


def test_rows_that_disagree_about_their_order_are_told_with_both_lines(desk: Desk) -> None:
    orders = order_rows([1, 2])
    orders[1][1]["合計金額"] = "1"
    desk.drop(file_of(orders))
    desk.pull()
    assert desk.payable() == payable_of(orders[:1])
    (row,) = desk.hub.quarantine_list("core")
    number, total = number_of(orders[1]), orders[1][0]["合計金額"]
    assert row.reason_en == (
        f"The rows of '{number}' differ in '合計金額': line 3 has '{total}', line 4 has '1'. Make them equal."
    )
    # the shop decides to believe the first row
    desk.mend_mapping("general_orders.in", "支払方法, 合計金額,", "支払方法,")
    assert desk.replay() == (1, 1, 0)
    assert (desk.payable(), desk.refused()) == (payable_of(orders), [])


def test_rows_without_an_order_number_are_told_and_close_when_the_mapping_finds_one(desk: Desk) -> None:
    orders = order_rows([1, 1])
    orders[1][0]["店舗伝票番号"] = ""
    orders[1][0]["作業者欄"] = "WEB-7"
    desk.drop(file_of(orders))
    desk.pull()
    assert desk.payable() == payable_of(orders[:1])
    assert {(said.code, said.line, said.column) for said in desk.refused()} == {
        ("required", 3, "店舗伝票番号")
    }
    for name in ("general_orders.in", "general_customers.in"):
        desk.mend_mapping(name, "by: 店舗伝票番号", "by: {first: [店舗伝票番号, 作業者欄]}")
    desk.mend_mapping(
        "general_orders.in", "external_id: 店舗伝票番号", "external_id: {first: [店舗伝票番号, 作業者欄]}"
    )
    desk.mend_mapping(
        "general_orders.in",
        "[$system.channel, 店舗伝票番号]",
        "[$system.channel, {first: [店舗伝票番号, 作業者欄]}]",
    )
    desk.mend_mapping(
        "general_orders.in", "number: {from: 店舗伝票番号,", "number: {first: [店舗伝票番号, 作業者欄],"
    )
    assert desk.replay()[2] == 0
    assert desk.refused() == []
    assert desk.payable() == payable_of(orders[:1]) | {"WEB-7": int(orders[1][0]["合計金額"])}


def test_an_order_the_mapping_learns_to_skip_leaves_the_quarantine(desk: Desk) -> None:
    orders = order_rows([1, 2])
    orders[1] = [row | {"支払方法": "テスト注文"} for row in orders[1]]
    desk.drop(file_of(orders))
    desk.pull()
    assert [said.code for said in desk.refused()] == ["unknown_code"]
    desk.mend_mapping(
        "general_orders.in", "external_id: 店舗伝票番号",
        "external_id: 店舗伝票番号\nwhen: {not: {in: [支払方法, [テスト注文]]}}",
    )  # fmt: skip
    assert desk.replay() == (1, 1, 0)
    assert (desk.refused(), desk.payable()) == ([], payable_of(orders[:1]))


def test_a_row_that_can_be_read_by_now_but_is_wrong_all_the_same_is_still_refused(desk: Desk) -> None:
    orders = order_rows([1, 1])
    orders[1] = [row | {"支払方法": "ツケ払い"} for row in orders[1]]
    desk.drop(spoiled(file_of(orders), 3, lambda row: row + b","))
    desk.pull()
    assert [said.code for said in desk.refused()] == ["column_count"]
    desk.mend_layout("general_orders", trailing_comma=True)
    assert desk.replay() == (1, 0, 1)
    assert [(said.code, said.line) for said in desk.refused()] == [("unknown_code", 3)]
    desk.mend_table("payment_methods", "ツケ払い,invoice,")
    assert desk.replay() == (1, 1, 0)
    assert desk.payable() == payable_of(orders)
