"""A file that is wrong as a whole: cut, sent twice, changed, empty, with a trailer or a header that does not fit."""

from __future__ import annotations

from collections.abc import Callable

from tests.bad_input.desk import (
    FIRST,
    ORDERS,
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

TRAILER = {"marker": "T", "count": 2, "sums": {3: "受注数量"}}


def three_orders() -> list[list[Row]]:
    return order_rows([1, 3, 2])


def with_trailer(content: bytes, count: int, units: int) -> bytes:
    return content + f"T,{count},{units}\r\n".encode()


def units_of(orders: list[list[Row]]) -> int:
    return sum(int(row["受注数量"]) for order in orders for row in order)


def test_a_file_cut_in_the_middle_of_an_order_holds_back_that_order_until_it_is_sent_again(
    desk: Desk,
) -> None:
    orders = three_orders()
    whole = file_of(orders)
    content = desk.drop(whole[: whole.rindex(b"\r\n", 0, -2) + 60])
    report = desk.pull()
    assert (report.created, report.quarantined) == (4, 2)
    columns = content.rsplit(b"\r\n", 1)[1].count(b",") + 1
    ja = (
        f"7行目: ファイルが行の途中で終わっています（41列中{columns}列まで）。転送が中断した可能性があります。"
        "送信元に再送を依頼してください。これより前の行は、途中で切れた伝票を除いて取り込みました。"
    )
    en = (
        f"line 7: the file ends in the middle of a row ({columns} of 41 columns). The transfer may have been cut: "
        "ask the sender to send it again. What stands before it was taken in, save what the cut row belongs to."
    )
    number = orders[2][0]["店舗伝票番号"]
    assert desk.refused() == [
        Said(
            "group_broken", 7, None, None,
            f"「{number}」の 7 行目が読めないため、この番号の行はまとめて保留しました: {ja}",
            f"Line 7 of '{number}' could not be read, so its rows are held back together: {en}",
        ),
        Said("cut_file", 7, None, None, ja, en),
    ]  # fmt: skip
    assert desk.payable() == payable_of(orders[:2])
    assert desk.customers() == customers_of(orders[:2])
    assert list(desk.bodies().values()) == [content]
    assert desk.raw("cut_file") == content.rsplit(b"\r\n", 1)[1]
    assert desk.replay() == (2, 0, 2)
    assert desk.payable() == payable_of(orders[:2])

    # the sender sends the whole file under the same name: it waits for a person, and then puts everything right
    desk.drop(whole)
    (note,) = desk.pull().notes
    assert note.startswith(
        f"{FIRST}: a file of this name was taken in before with other content; this one is held"
    )
    report = desk.pull(release=FIRST)
    assert (report.created, report.unchanged, report.quarantined) == (2, 4, 0)
    assert (desk.refused(), set(desk.states())) == ([], {"resolved"})
    assert desk.payable() == payable_of(orders)
    assert set(desk.versions().values()) == {1}


def test_a_file_that_lacks_only_its_last_line_end_is_whole(desk: Desk) -> None:
    desk.drop(file_of(three_orders()).removesuffix(b"\r\n"))
    assert desk.pull().quarantined == 0
    assert desk.payable() == payable_of(three_orders())


def test_the_same_file_twice_is_told_and_changes_nothing(desk: Desk) -> None:
    content = desk.drop(file_of(three_orders()))
    desk.pull()
    before = desk.versions()
    for name in (FIRST, SECOND):
        desk.drop(content, name)
        report = desk.pull()
        assert (report.pages, report.records, desk.versions()) == (0, 0, before)
        (note,) = report.notes
        assert note.startswith(f"{name}: skipped, its content was taken in as {FIRST} on 20")
        assert f" / {name}: 20" in note
        assert note.endswith(f"に {FIRST} として取込済みの内容のため読み飛ばしました")
    assert list(desk.bodies().values()) == [content]
    assert desk.refused() == []
    kept = sorted(path.name for path in (desk.partner / "orders" / "done").rglob("*.csv"))
    assert kept == ["JUCHU_20261121_001.csv", "JUCHU_20261121_001~2.csv", "JUCHU_20261121_002.csv"]


def test_a_changed_file_of_the_same_name_is_held_for_a_person(desk: Desk) -> None:
    orders = three_orders()
    first = desk.drop(file_of(orders))
    desk.pull()
    before = desk.versions()
    orders[1] = [row | {"備考": "置き配"} for row in orders[1]]
    second = desk.drop(file_of(orders))
    report = desk.pull()
    note = (
        f"{FIRST}: a file of this name was taken in before with other content; this one is held in orders/held. "
        f"Run the flow with release={FIRST} to take it in / "
        f"{FIRST}: 同名で内容の異なるファイルが取込済みのため保留しました（orders/held）。"
        f"取り込むには release={FIRST} を指定してフローを実行してください"
    )
    assert (report.notes, report.records, desk.versions()) == ([note], 0, before)
    assert (desk.partner / "orders" / "held" / FIRST).read_bytes() == second
    assert (desk.partner / "orders" / "held" / f"{FIRST}.reason.txt").read_text("utf-8") == note + "\n"

    report = desk.pull(release=FIRST)
    assert (report.updated, report.unchanged) == (1, 5)
    assert list(desk.bodies().values()) == [first, second]
    changed = {key for key, count in desk.versions().items() if count == 2}
    assert changed == {f"order mailorder/{orders[1][0]['店舗伝票番号']}"}
    assert desk.payable() == payable_of(orders)


def test_a_changed_file_may_be_rejected_instead(opened: Callable[..., Desk]) -> None:
    desk = opened({**ORDERS, "changed": "reject"})
    desk.drop(file_of(three_orders()))
    desk.pull()
    second = desk.drop(file_of(three_orders()[:1]))
    (note,) = desk.pull().notes
    assert note.endswith("同名で内容の異なるファイルが取込済みのため拒否しました（orders/error）")
    assert (desk.partner / "orders" / "error" / FIRST).read_bytes() == second
    assert desk.payable() == payable_of(three_orders())


def test_an_empty_file_means_no_data_unless_the_interface_says_otherwise(desk: Desk) -> None:
    desk.drop(b"")
    report = desk.pull()
    assert report.notes == [f"{FIRST}: empty file, no data today / {FIRST}: 空ファイル（本日データなし）"]
    assert (report.pages, report.records, desk.refused()) == (1, 0, [])
    assert list(desk.bodies().values()) == [b""]


def test_an_empty_file_that_must_not_be(opened: Callable[..., Desk]) -> None:
    desk = opened({**ORDERS, "empty": "error"})
    desk.drop(b"\r\n")
    assert desk.pull().quarantined == 1
    assert desk.refused() == [
        Said(
            "empty_file", 1, None, None,
            "1行目: ファイルが空です。このインターフェースでは空ファイルはエラーです。"
            "送信元のジョブを確認してください。",
            "line 1: the file is empty, which is an error for this interface. Check the sender's job.",
        )
    ]  # fmt: skip
    assert list(desk.bodies().values()) == [b"\r\n"]
    assert desk.replay() == (1, 0, 1)
    # the interface turns out to have days without data
    mended = opened({**ORDERS, "empty": "no_data"}, fresh=False)
    assert mended.replay() == (1, 1, 0)
    assert (mended.refused(), mended.states(), mended.versions()) == ([], ["replayed"], {})


def test_a_wrong_trailer_count_is_told_and_the_rows_stay(desk: Desk) -> None:
    orders = three_orders()
    desk.mend_layout("general_orders", trailer=TRAILER)
    content = desk.drop(with_trailer(file_of(orders), 7, units_of(orders)))
    report = desk.pull()
    assert (report.created, report.quarantined) == (6, 1)
    assert desk.refused() == [
        Said(
            "trailer_count", 8, None, "7",
            "8行目: トレーラの件数が違います: トレーラ7件、実際6件。読めた行は取り込みました。"
            "送信元に件数を確認してください。",
            "line 8: wrong trailer count: the trailer says 7 rows, the file has 6. "
            "The rows that could be read were taken in. Check the count with the sender.",
        )
    ]  # fmt: skip
    assert desk.payable() == payable_of(orders)
    assert list(desk.bodies().values()) == [content]
    assert desk.raw("trailer_count") == f"T,7,{units_of(orders)}\r\n".encode()
    before = desk.versions()
    assert desk.replay() == (1, 0, 1)
    # the sender's count turns out to hold the header too: the layout checks the total alone
    desk.mend_layout("general_orders", trailer={**TRAILER, "count": None})
    assert desk.replay() == (1, 1, 0)
    assert (desk.refused(), desk.versions()) == ([], before)


def test_a_strict_layout_takes_nothing_of_a_file_with_a_wrong_trailer_and_all_of_it_once_mended(
    desk: Desk,
) -> None:
    orders = three_orders()
    desk.mend_layout("general_orders", trailer=TRAILER, on_wrong_trailer="strict")
    content = desk.drop(with_trailer(file_of(orders), 7, units_of(orders)))
    report = desk.pull()
    assert (report.created, report.quarantined) == (0, 1)
    assert desk.refused() == [
        Said(
            "trailer_count", 8, None, "7",
            "8行目: トレーラの件数が違います: トレーラ7件、実際6件。このファイルは1行も取り込んでいません。"
            "送信元に正しいファイルの再送を依頼してください。",
            "line 8: wrong trailer count: the trailer says 7 rows, the file has 6. "
            "No row of this file was taken in: ask the sender for the right one.",
        )
    ]  # fmt: skip
    assert list(desk.bodies().values()) == [content]
    assert desk.replay() == (1, 0, 1)
    desk.mend_layout("general_orders", trailer={**TRAILER, "count": None})
    assert desk.replay() == (1, 1, 0)
    assert (desk.refused(), desk.states()) == ([], ["replayed"])
    assert desk.payable() == payable_of(orders)
    assert desk.customers() == customers_of(orders)
    assert set(desk.versions().values()) == {1}


def test_a_file_without_its_trailer_may_have_been_cut_between_two_rows(desk: Desk) -> None:
    orders = three_orders()
    desk.mend_layout("general_orders", trailer=TRAILER)
    desk.drop(file_of(orders[:2]))
    desk.pull()
    assert desk.refused() == [
        Said(
            "no_trailer", 5, None, None,
            "5行目: トレーラ（終了）レコードがありません。ファイルが途中で切れている可能性があります。"
            "読めた行は取り込みました。送信元に件数を確認してください。",
            "line 5: there is no trailer (end) record: the file may have been cut. "
            "The rows that could be read were taken in. Check the count with the sender.",
        )
    ]  # fmt: skip
    assert desk.payable() == payable_of(orders[:2])


def test_a_header_that_does_not_fit_refuses_the_file_and_a_mended_layout_takes_all_of_it_in(
    desk: Desk,
) -> None:
    orders = three_orders()
    content = desk.drop(
        spoiled(
            file_of(orders),
            1,
            lambda row: row.replace("支払方法".encode("cp932"), "お支払い方法".encode("cp932")),
        )
    )
    assert desk.pull().created == 0
    assert desk.refused() == [
        Said(
            "header", 1, None, None,
            "1行目: 見出し行がレイアウト「general_orders」と一致しません: ない列: 支払方法。"
            "知らない列: お支払い方法（支払方法のことですか）。このファイルは1行も取り込んでいません。"
            "送信元に確認するか、レイアウトを直してから再処理してください。",
            "line 1: the header does not match layout general_orders: missing column(s) 支払方法; "
            "unknown column(s) お支払い方法 (did you mean 支払方法?). No row of this file was taken in. "
            "Ask the sender, or mend the layout and replay the file.",
        )
    ]  # fmt: skip
    assert list(desk.bodies().values()) == [content]
    assert desk.replay() == (1, 0, 1)
    desk.mend_layout("general_orders", columns=_with_alias(desk, "支払方法", "お支払い方法"))
    assert desk.replay() == (1, 1, 0)
    assert (desk.refused(), desk.states()) == ([], ["replayed"])
    assert desk.payable() == payable_of(orders)
    assert desk.customers() == customers_of(orders)
    assert set(desk.versions().values()) == {1}


def _with_alias(desk: Desk, name: str, alias: str) -> list[object]:
    columns = desk.layout("general_orders")["columns"]
    return [{"name": name, "aliases": [alias]} if column == name else column for column in columns]


def test_a_file_in_another_character_set_waits_for_the_layout(desk: Desk) -> None:
    orders = three_orders()
    content = desk.drop(file_of(orders).decode("cp932").encode())
    desk.pull()
    assert desk.refused() == [
        Said(
            "encoding", 1, None, None,
            "1行目: 文字コードがレイアウトと違います: 見出し行がCP932 (Shift_JIS)ではありません（UTF-8のようです）。"
            "このファイルは1行も取り込んでいません。"
            "送信元に確認するか、レイアウトの encoding を直してから再処理してください。",
            "line 1: the character set is not the layout's: the header is not CP932 (Shift_JIS), it looks like UTF-8. "
            "No row of this file was taken in. Ask the sender, or mend the layout's encoding and replay the file.",
        )
    ]  # fmt: skip
    desk.mend_layout("general_orders", encoding="utf-8")
    assert desk.replay() == (1, 1, 0)
    assert (desk.payable(), list(desk.bodies().values())) == (payable_of(orders), [content])


def test_a_replayed_file_never_overwrites_what_a_newer_one_brought(desk: Desk) -> None:
    orders = three_orders()
    old = [[row | {"備考": "古い"} for row in order] for order in orders]
    desk.drop(spoiled(file_of(old), 1, lambda row: row.replace("のし".encode("cp932"), b"NOSHI")))
    desk.pull()
    desk.drop(file_of(orders[:2]), SECOND)
    desk.pull()
    before = desk.versions()
    desk.mend_layout("general_orders", columns=_with_alias(desk, "のし", "NOSHI"))
    assert desk.replay() == (1, 1, 0)
    third = f"mailorder/{orders[2][0]['店舗伝票番号']}"
    notes = {key: content.get("note") for key, content in desk.contents("order").items()}
    assert {key for key, note in notes.items() if note == "古い"} == {third}
    assert {key: count for key, count in desk.versions().items() if key in before} == before


def test_a_replayed_order_never_overwrites_what_another_door_brought_later(
    opened: Callable[..., Desk],
) -> None:
    late = {**ORDERS, "name": "late_orders", "folder": "late"}
    desk = opened(ORDERS, late)
    (order,) = order_rows([2])
    desk.drop(file_of([[row | {"支払方法": "ツケ払い", "備考": "古い"} for row in order]]))
    desk.pull()
    desk.drop(file_of([order]), SECOND, "late")
    desk.pull("late_orders")
    before = desk.contents("order")
    desk.mend_table("payment_methods", "ツケ払い,invoice,")
    report = desk.hub.quarantine_replay([row.id for row in desk.hub.quarantine_list("core")])
    assert (report.tried, report.through, report.superseded, report.still_refused) == (1, 0, 1, 0)
    assert (desk.contents("order"), desk.states()) == (before, ["resolved"])
