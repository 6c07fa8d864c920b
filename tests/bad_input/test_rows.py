"""A row that is wrong: what an operator reads, that all other rows came in to the yen, and how it comes in later.

The file is always the same: four orders, the third (M261121-00002, lines 4 and 5) of two lines goes wrong.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable

from tests.bad_input.desk import (
    ORDERS,
    REPOSITORY,
    SECOND,
    Desk,
    Row,
    Said,
    customers_of,
    file_of,
    order_rows,
    payable_of,
    spoiled,
)

BAD = 2
KEY = "order mailorder/M261121-00002"


def four_orders(**changes: str) -> list[list[Row]]:
    """The orders of the file, `changes` made in every row of the bad one."""
    orders = order_rows([1, 1, 2, 1])
    orders[BAD] = [row | changes for row in orders[BAD]]
    return orders


def broken(ja: str, en: str) -> Said:
    """What is said of the order whose line 5 could not be read."""
    return Said(
        "group_broken", 5, None, None,
        f"「M261121-00002」の 5 行目が読めないため、この番号の行はまとめて保留しました: {ja}",
        f"Line 5 of 'M261121-00002' could not be read, so its rows are held back together: {en}",
    )  # fmt: skip


def only_the_bad_order_is_missing(desk: Desk, content: bytes, *, buyer: bool) -> None:
    """All others are there to the yen, and the bytes are kept; `buyer`: the bad order's customer could be read."""
    orders = four_orders()
    others = orders[:BAD] + orders[BAD + 1 :]
    assert desk.payable() == payable_of(others)
    assert desk.customers() == customers_of(orders if buyer else others)
    assert list(desk.bodies().values()) == [content]


def comes_in_after(desk: Desk, mend: Callable[[], None]) -> None:
    """Replay changes nothing before `mend`; after it it brings what is missing, once, and closes every row."""
    open_before, before = desk.refused(), desk.versions()
    tried = len(open_before)
    assert desk.replay() == (tried, 0, tried)
    assert (desk.refused(), desk.versions()) == (open_before, before)
    mend()
    assert desk.replay() == (tried, tried, 0)
    assert (desk.refused(), set(desk.states())) == ([], {"replayed"})
    assert desk.payable() == payable_of(four_orders())
    assert desk.customers() == customers_of(four_orders())
    new = {key: count for key, count in desk.versions().items() if key not in before}
    assert {key for key in new if key.startswith("order")} == {KEY}
    assert set(desk.versions().values()) == {1}
    assert desk.pull().records == 0


def test_a_payment_name_nobody_knows(desk: Desk) -> None:
    content = desk.drop(file_of(four_orders(支払方法="ツケ払い")))
    desk.pull()
    assert desk.refused() == [
        Said(
            "unknown_code", 4, "支払方法", "ツケ払い",
            "「支払方法」の値「ツケ払い」は変換表 payment_methods にありません。"
            "file_exchange/tables/payment_methods.csv に行を足すか、値を直してください。",
            "The value 'ツケ払い' of '支払方法' is not in the table payment_methods. Add a row to "
            "file_exchange/tables/payment_methods.csv or mend the value.",
        )
    ]  # fmt: skip
    only_the_bad_order_is_missing(desk, content, buyer=True)
    comes_in_after(desk, lambda: desk.mend_table("payment_methods", "ツケ払い,invoice,"))


def test_an_own_table_goes_before_the_shipped_one_without_a_copy_of_its_mapping(desk: Desk) -> None:
    shutil.rmtree(desk.mappings)
    desk.drop(file_of(four_orders(支払方法="ツケ払い")))
    desk.pull()
    assert [said.code for said in desk.refused()] == ["unknown_code"]
    shipped = REPOSITORY / "mappings" / "file_exchange" / "tables" / "payment_methods.csv"
    (desk.mappings / "tables").mkdir(parents=True)
    shutil.copy(shipped, desk.mappings / "tables")
    desk.mend_table("payment_methods", "ツケ払い,invoice,")
    assert desk.replay() == (1, 1, 0)
    assert desk.payable() == payable_of(four_orders())


def test_a_date_that_does_not_exist(desk: Desk) -> None:
    content = desk.drop(file_of(four_orders(受注日="2026/02/30 10:00:00")))
    desk.pull()
    assert desk.refused() == [
        Said(
            "impossible_date", 4, "受注日", "2026/02/30 10:00:00",
            "「受注日」の日付「2026/02/30 10:00:00」は存在しない日時です。正しい日付にしてください。",
            "The date '2026/02/30 10:00:00' of '受注日' does not exist. Give a real date.",
        )
    ]  # fmt: skip
    only_the_bad_order_is_missing(desk, content, buyer=True)
    comes_in_after(desk, lambda: _dates_may_wait(desk))


def _dates_may_wait(desk: Desk) -> None:
    """The shop decides that orders of that core need no order date; it may be impossible."""
    date = 'from: 受注日, as: {datetime: {format: "%Y/%m/%d %H:%M:%S"}}, required: true'
    desk.mend_mapping("general_orders.in", date, 'value: "2026-02-28T10:00:00+09:00"')
    desk.mend_mapping("general_orders.in", "  business_date:", "  # business_date:")


def test_a_row_with_one_comma_too_many(desk: Desk) -> None:
    content = desk.drop(spoiled(file_of(four_orders()), 5, lambda row: row + b","))
    desk.pull()
    ja = (
        "5行目: 列数が違います: 42列（正しくは41列）。値の中のカンマが引用符で囲まれていない可能性があります。"
        "送信元に正しい行の再送を依頼してください。"
    )
    en = (
        "line 5: wrong number of columns: 42, should be 41. A comma inside a value may not be quoted. "
        "Ask the sender for the corrected row."
    )
    assert desk.refused() == [broken(ja, en), Said("column_count", 5, None, None, ja, en)]
    assert desk.raw("column_count") == content.split(b"\r\n")[4] + b"\r\n"
    only_the_bad_order_is_missing(desk, content, buyer=False)
    comes_in_after(desk, lambda: desk.mend_layout("general_orders", trailing_comma=True))


def test_a_row_that_is_too_short(desk: Desk) -> None:
    content = desk.drop(spoiled(file_of(four_orders()), 5, lambda row: row.removesuffix(b",,,")))
    desk.pull()
    ja = "5行目: 列数が違います: 38列（正しくは41列）。送信元に正しい行の再送を依頼してください。"
    en = "line 5: wrong number of columns: 38, should be 41. Ask the sender for the corrected row."
    assert Said("column_count", 5, None, None, ja, en) in desk.refused()
    only_the_bad_order_is_missing(desk, content, buyer=False)
    comes_in_after(desk, lambda: desk.mend_layout("general_orders", short_rows="pad"))


def test_a_byte_that_is_no_cp932(desk: Desk) -> None:
    def spoil(row: bytes) -> bytes:
        return row.replace("山田 太郎".encode("cp932"), b"\x8eR\xfdc", 1)

    content = desk.drop(spoiled(file_of(four_orders()), 5, spoil))
    desk.pull()
    offset = content.split(b"\r\n")[4].index(b"\xfd") + 1
    ja = (
        f"5行目: 列「受注名」にCP932 (Shift_JIS)でない文字があります（行の{offset}バイト目、0xFD）。"
        "送信元に文字コードを確認し、正しい行の再送を依頼してください。"
    )
    en = (
        f"line 5: column 受注名 has 0xFD at byte {offset} of the row, which is not CP932 (Shift_JIS). "
        "Check the character set with the sender and ask for the corrected row."
    )
    assert Said("undecodable", 5, "受注名", None, ja, en) in desk.refused()
    assert b"\xfd" in (desk.raw("undecodable") or b"")
    only_the_bad_order_is_missing(desk, content, buyer=False)
    # no mapping makes a name of it: the sender mends the order and sends it in the next file
    assert desk.replay() == (2, 0, 2)
    desk.drop(file_of([four_orders()[BAD]]), SECOND)
    report = desk.pull()
    assert (report.created, report.quarantined) == (2, 0)
    assert (desk.refused(), set(desk.states())) == ([], {"resolved"})
    assert desk.payable() == payable_of(four_orders())
    assert set(desk.versions().values()) == {1}


def test_a_byte_that_only_the_layout_forbids(desk: Desk) -> None:
    desk.mend_layout("general_orders", encoding="shift_jis_strict")
    content = desk.drop(file_of(four_orders(備考="つなぎビル①階")))
    desk.pull()
    codes = [said.code for said in desk.refused()]
    assert codes == ["undecodable", "undecodable"]
    only_the_bad_order_is_missing(desk, content, buyer=False)
    comes_in_after(desk, lambda: desk.mend_layout("general_orders", encoding="cp932"))


def test_a_private_character_where_the_layout_wants_none(desk: Desk, opened: Callable[..., Desk]) -> None:
    desk.mend_layout("general_orders", gaiji="fault")
    content = desk.drop(
        spoiled(file_of(four_orders()), 5, lambda row: row.replace("山田".encode("cp932"), b"\xf0\x40", 1))
    )
    desk.pull()
    ja = "5行目: 列「受注名」に外字 U+E000 があります。外字表（設定 gaiji）に追加してから再処理してください。"
    en = "line 5: column 受注名 holds a private character U+E000. Add it to the table (setting gaiji) and replay."
    assert Said("gaiji", 5, "受注名", None, ja, en) in desk.refused()
    only_the_bad_order_is_missing(desk, content, buyer=False)

    (desk.home / "gaiji.csv").write_text("from,to\n\ue000,山田\n", "utf-8")
    mended = opened(ORDERS, more={"gaiji": str(desk.home / "gaiji.csv")}, fresh=False)
    assert mended.replay() == (2, 2, 0)
    assert mended.payable() == payable_of(four_orders())
    assert mended.contents("order")["mailorder/M261121-00002"]["buyer"]["name"]["full"] == "山田 太郎"


def test_a_jan_that_excel_has_spoiled_in_the_code_column(desk: Desk) -> None:
    orders = four_orders()
    orders[BAD][1]["商品コード"] = "4.90123E+12"
    content = desk.drop(file_of(orders))
    desk.pull()
    ja = (
        "5行目: 列「商品コード」の値「4.90123E+12」はExcelで保存し直されて壊れたようです（指数表記）。"
        "Excelで開かずに出力し直したファイルを依頼してください。"
    )
    en = (
        "line 5: column 商品コード: '4.90123E+12' looks damaged by saving in Excel (scientific notation). "
        "Ask for the file as it was exported, not opened in Excel."
    )
    assert Said("excel_damage", 5, "商品コード", "4.90123E+12", ja, en) in desk.refused()
    only_the_bad_order_is_missing(desk, content, buyer=False)


def test_the_same_bad_rows_in_the_next_file_make_no_second_refusal(desk: Desk) -> None:
    orders = four_orders(支払方法="ツケ払い")
    content = spoiled(file_of(orders), 3, lambda row: row + b",x")
    desk.drop(content)
    desk.pull()
    once = desk.refused()
    assert [said.code for said in once] == ["unknown_code", "column_count"]
    desk.drop(content + file_of(order_rows([1, 1, 2, 1, 3])[4:]).split(b"\r\n", 1)[1], SECOND)
    report = desk.pull()
    assert (report.quarantined, report.created) == (2, 2)
    assert desk.refused() == once
    names = {row.name for row in desk.hub.quarantine_list("core")}
    assert names == {SECOND}, "a refusal points at the newest file that holds the row"


def test_what_was_good_before_is_no_longer_refused_when_it_is_good_again(desk: Desk) -> None:
    desk.drop(file_of(four_orders()))
    desk.pull()
    before = desk.versions()
    desk.drop(spoiled(file_of(four_orders()), 5, lambda row: row + b",x"), SECOND)
    desk.pull()
    assert {said.code for said in desk.refused()} == {"group_broken", "column_count"}
    assert (desk.payable(), desk.versions()) == (payable_of(four_orders()), before)
    desk.drop(file_of(four_orders()) + b"\r\n", "JUCHU_20261121_003.csv")
    desk.pull()
    assert (desk.refused(), desk.versions()) == ([], before)
