"""A stock snapshot: a wrong JAN, bad rows beside good ones, and snapshots that must not wipe the stock."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence

from stdnum import ean

from tests.bad_input.desk import SNAPSHOT, STOCK, Desk, Said, spoiled

HEAD = ("在庫日", "倉庫ID", "ロケ", "商品ID", "バーコード", "品質区分ID", "在庫数(引当数を含む)", "引当数")
LATER = "ZAIKO_20261121_002.csv"
LAST = "ZAIKO_20261121_003.csv"


def jan(number: int) -> str:
    body = f"4901234{number:05d}"
    return body + ean.calc_check_digit(body)


def lot(number: int, units: object = 5, *, code: str | None = None, place: str = "A-1") -> dict[str, str]:
    """A lot of SKU-n in the warehouse TYO1."""
    values = ("20261121", "TYO1", place, f"SKU-{number}", code or jan(number), "1", str(units), "0")
    return dict(zip(HEAD, values, strict=True))


def snapshot(lots: Sequence[dict[str, str]]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, HEAD, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(lots)
    return text.getvalue().encode("cp932")


def positions(*units: int) -> dict[str, int]:
    return {f"SKU-{number}@TYO1": count for number, count in enumerate(units)}


def drop(desk: Desk, content: bytes, name: str = STOCK) -> bytes:
    return desk.drop(content, name, "stock")


def test_a_jan_with_a_wrong_check_digit(desk: Desk) -> None:
    right = jan(1)
    wrong = right[:-1] + str((int(right[-1]) + 1) % 10)
    content = drop(desk, snapshot([lot(0), lot(1, code=wrong), lot(2, 7)]))
    report = desk.pull("stock")
    assert (report.created, report.quarantined) == (2, 1)
    assert desk.refused() == [
        Said(
            "jan_check_digit", 3, "バーコード", wrong,
            f"「バーコード」のJANコード「{wrong}」のチェックデジットが違います。末尾は {right[-1]} のはずです。"
            "商品マスタと照らして直してください。",
            f"The JAN code '{wrong}' of 'バーコード' has a wrong check digit: it should end in {right[-1]}. "
            "Check the product master.",
        )
    ]  # fmt: skip
    assert desk.on_hand() == {"SKU-0@TYO1": 5, "SKU-2@TYO1": 7}
    assert list(desk.bodies().values()) == [content]
    assert desk.answer(f"{STOCK}.ng").split("\t")[:3] == ["3", "SKU-1@TYO1", "jan_check_digit"]
    assert desk.replay() == (1, 0, 1)
    # the warehouse prints own labels on these goods: their codes are no JANs
    desk.mend_mapping("stock.in", "jan: {from: バーコード", "label: {from: バーコード")
    desk.mend_mapping("stock.in", '"[0-9]{8}|[0-9]{13}"}}, jan]', '"[0-9]{8}|[0-9]{13}"}}]')
    assert desk.replay() == (1, 1, 0)
    assert (desk.refused(), desk.on_hand()) == ([], positions(5, 5, 7))
    assert set(desk.versions().values()) == {1}
    assert desk.answer(f"{STOCK}.ok") == ""
    assert not (desk.partner / "ack" / f"{STOCK}.ng").exists()


def test_a_position_with_an_unreadable_lot_keeps_its_last_count(desk: Desk) -> None:
    drop(desk, snapshot([lot(0, 5, place="A-1"), lot(0, 3, place="B-2"), lot(1, 4)]))
    desk.pull("stock")
    assert desk.on_hand() == positions(8, 4)
    drop(
        desk,
        spoiled(
            snapshot([lot(0, 2, place="A-1"), lot(1, 9), lot(0, 1, place="B-2")]), 4, lambda r: r + b',"x"'
        ),
        LATER,
    )
    report = desk.pull("stock")
    assert (report.updated, report.deleted) == (1, 0)
    assert desk.on_hand() == positions(8, 9), "half a position is not a position"
    assert [(said.code, said.line) for said in desk.refused()] == [("group_broken", 4), ("column_count", 4)]


def test_a_bad_row_in_every_snapshot_of_the_day_is_one_refusal_and_ends_with_the_first_good_one(
    desk: Desk,
) -> None:
    for number, units in ((1, 5), (2, 6), (3, 7)):
        content = spoiled(snapshot([lot(0, units), lot(1, 4)]), 3, lambda row: row + b',"x"')
        drop(desk, content, f"ZAIKO_20261121_{number:03d}.csv")
        assert desk.pull("stock").quarantined == 1
        assert [(said.code, said.line) for said in desk.refused()] == [("column_count", 3)]
    (row,) = desk.hub.quarantine_list("core")
    assert (row.subject, row.name) == ("SKU-1@TYO1", LAST)
    drop(desk, snapshot([lot(0, 8), lot(1, 4)]), "ZAIKO_20261121_004.csv")
    desk.pull("stock")
    assert (desk.refused(), desk.states()) == ([], ["resolved"])
    assert desk.on_hand() == positions(8, 4)


def test_a_snapshot_of_which_many_rows_are_bad_wipes_nothing(desk: Desk) -> None:
    drop(desk, snapshot([lot(number) for number in range(40)]))
    desk.pull("stock")
    before = desk.on_hand()
    broken = snapshot([lot(n, "五" if n % 4 == 0 else 6) for n in range(40)])
    content = drop(desk, spoiled(broken, 3, lambda row: row + b',"x"'), LATER)
    report = desk.pull("stock")
    assert (report.deleted, report.quarantined) == (0, 11)
    assert desk.on_hand() == {
        key: before[key] if n % 4 == 0 or n == 1 else 6 for n, key in enumerate(positions(*range(40)))
    }
    assert list(desk.bodies().values())[1] == content


def test_a_snapshot_without_one_good_row_wipes_nothing(desk: Desk) -> None:
    drop(desk, snapshot([lot(0), lot(1), lot(2)]))
    desk.pull("stock")
    before = desk.versions()
    drop(desk, snapshot([lot(0, "?"), lot(1, "?"), lot(2, "?")]), LATER)
    report = desk.pull("stock")
    assert (report.deleted, report.quarantined) == (0, 3)
    assert (desk.on_hand(), desk.versions()) == (positions(5, 5, 5), before)


def test_a_snapshot_whose_header_does_not_fit_wipes_nothing(desk: Desk) -> None:
    drop(desk, snapshot([lot(0), lot(1), lot(2)]))
    desk.pull("stock")
    drop(
        desk, spoiled(snapshot([lot(0)]), 1, lambda row: row.replace("商品ID".encode("cp932"), b"SKU")), LATER
    )
    report = desk.pull("stock")
    assert (report.deleted, desk.on_hand()) == (0, positions(5, 5, 5))
    assert [note for note in report.notes if "3" in note], report.notes


def test_an_empty_snapshot_wipes_nothing_however_small_the_shop(desk: Desk) -> None:
    drop(desk, snapshot([lot(0), lot(1), lot(2)]))
    desk.pull("stock")
    for name, content in ((LATER, b""), (LAST, snapshot([]))):
        drop(desk, content, name)
        report = desk.pull("stock")
        assert (report.deleted, desk.on_hand()) == (0, positions(5, 5, 5))
        assert [note for note in report.notes if "accept_deletes=true" in note], report.notes


def test_a_row_that_does_not_say_its_sku_makes_the_listing_doubtful(desk: Desk) -> None:
    drop(desk, snapshot([lot(0), lot(1), lot(2)]))
    desk.pull("stock")
    drop(desk, snapshot([lot(0), {**lot(1), "商品ID": ""}]), LATER)
    report = desk.pull("stock")
    assert (report.deleted, report.quarantined, desk.on_hand()) == (0, 1, positions(5, 5, 5))
    (said,) = desk.refused()
    assert (said.code, said.line, said.column) == ("required", 3, "商品ID")


def test_an_empty_snapshot_that_must_not_be_is_an_error(opened: Callable[..., Desk]) -> None:
    desk = opened({**SNAPSHOT, "empty": "error"})
    drop(desk, snapshot([lot(0), lot(1)]))
    desk.pull("stock")
    drop(desk, b"", LATER)
    desk.pull("stock")
    assert [said.code for said in desk.refused()] == ["empty_file"]
    assert desk.on_hand() == positions(5, 5)
