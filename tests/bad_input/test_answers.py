"""What the partner is told: result files and .ng files that say line, key, code and message, and follow a replay."""

from __future__ import annotations

from collections.abc import Callable

from tests.bad_input.desk import FIRST, ORDERS, Desk, file_of, number_of, order_rows, spoiled

HEAD = '"ファイル名","行番号","キー","結果","コード","メッセージ"\r\n'


def test_a_result_file_tells_each_refusal_once_and_follows_every_replay(desk: Desk) -> None:
    first, second, third = order_rows([2, 1, 3])
    first = [row | {"支払方法": "ツケ払い", "受注日": "2026/02/30 10:00:00"} for row in first]
    desk.drop(spoiled(file_of([first, second, third]), 6, lambda row: row + b","))
    desk.pull()
    date = (
        f'"{FIRST}","2","{number_of(first)}","NG","impossible_date",'
        '"「受注日」の日付「2026/02/30 10:00:00」は存在しない日時です。正しい日付にしてください。"\r\n'
    )
    payment = (
        f'"{FIRST}","2","{number_of(first)}","NG","unknown_code",'
        '"「支払方法」の値「ツケ払い」は変換表 payment_methods にありません。'
        'file_exchange/tables/payment_methods.csv に行を足すか、値を直してください。"\r\n'
    )
    columns = (
        f'"{FIRST}","6","{number_of(third)}","NG","column_count","6行目: 列数が違います: 42列（正しくは41列）。'
        '値の中のカンマが引用符で囲まれていない可能性があります。送信元に正しい行の再送を依頼してください。"\r\n'
    )
    assert desk.answer() == HEAD + date + payment + columns

    desk.mend_table("payment_methods", "ツケ払い,invoice,")
    desk.replay()
    assert desk.answer() == HEAD + date + columns
    desk.mend_layout("general_orders", trailing_comma=True)
    desk.replay("column_count")
    assert desk.answer() == HEAD + date
    (row,) = desk.hub.quarantine_list("core")
    desk.mend_mapping(
        "general_orders.in", "受注日, as: {date: ", "受注日, when: {absent: 受注日}, as: {date: "
    )
    desk.mend_mapping(
        "general_orders.in", 'from: 受注日, as: {datetime: {format: "%Y/%m/%d %H:%M:%S"}}, required: true',
        'value: "2026-02-28T10:00:00+09:00"',
    )  # fmt: skip
    assert desk.hub.quarantine_replay([row.id]).through == 1
    assert desk.answer() == HEAD + f'"{FIRST}","","","OK","",""\r\n'


def test_what_a_person_discarded_stays_refused_in_the_answer(desk: Desk) -> None:
    (order,) = order_rows([1])
    desk.drop(file_of([[row | {"支払方法": "ツケ払い"} for row in order]]))
    desk.pull()
    before = desk.answer()
    (row,) = desk.hub.quarantine_list("core")
    assert desk.hub.quarantine_discard([row.id], "二重注文") == 1
    assert (desk.answer(), desk.states(), desk.payable()) == (before, ["discarded"], {})


def test_ok_and_ng_files_take_each_others_place(opened: Callable[..., Desk]) -> None:
    desk = opened({**ORDERS, "ack": {"kind": "ok_ng", "folder": "ack"}})
    first, second = order_rows([1, 2])
    desk.drop(spoiled(file_of([first, second]), 4, lambda row: row + b","))
    desk.pull()
    assert desk.answer(f"{FIRST}.ng") == (
        f"4\t{number_of(second)}\tcolumn_count\t4行目: 列数が違います: 42列（正しくは41列）。値の中のカンマが引用符で"
        "囲まれていない可能性があります。送信元に正しい行の再送を依頼してください。\r\n"
    )
    desk.mend_layout("general_orders", trailing_comma=True)
    assert desk.replay()[2] == 0
    assert [path.name for path in (desk.partner / "ack").iterdir()] == [f"{FIRST}.ok"]


def test_a_refused_file_is_answered_too(desk: Desk) -> None:
    desk.drop(file_of(order_rows([1])).decode("cp932").encode())
    desk.pull()
    assert desk.answer().startswith(
        HEAD + f'"{FIRST}","1","","NG","encoding","1行目: 文字コードがレイアウトと違います'
    )


def test_an_order_refused_before_is_refused_in_the_answer_to_the_next_file_too(desk: Desk) -> None:
    first, second = order_rows([1, 2])
    first = [row | {"支払方法": "ツケ払い"} for row in first]
    desk.drop(file_of([first]))
    desk.pull()
    desk.drop(file_of([first, second]), "JUCHU_20261121_002.csv")
    desk.pull()
    assert f'"{number_of(first)}","NG","unknown_code"' in desk.answer("JUCHU_20261121_002_result.csv")
