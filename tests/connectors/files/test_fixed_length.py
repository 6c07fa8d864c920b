"""Fixed-length files: cut by bytes, checked against their trailer, with and without line ends."""

from __future__ import annotations

import io
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from connectors.contract import Fault, Record
from connectors.files.csv_writer import RowRefused
from connectors.files.fixed_length import read_fixed
from connectors.files.fixed_writer import FixedWriter, to_full_width, to_zengin
from connectors.files.layout import FixedField, FixedLayout, RecordKind, Titles, load_layout
from connectors.files.numbers import read_number, write_number
from tests.connectors.files.conftest import sorted_out

LAYOUTS = Path(__file__).parents[3] / "connectors" / "file_exchange" / "layouts"


def small(**options: Any) -> FixedLayout:
    """Records of 20 bytes: H date, D name(10) amount(5) signed, T count sum, E."""
    fields = (
        FixedField(name="名前", start=2, length=10),
        FixedField(name="金額", start=12, length=5, kind="number", sign="ebcdic"),
    )  # fmt: skip
    return FixedLayout(
        layout="small", title=Titles(ja="小", en="Small"), format="fixed", record_length=20,
        records=(
            RecordKind(kind="H", role="header", fields=(FixedField(name="日付", start=2, length=8, kind="date"),)),
            RecordKind(kind="D", role="data", fields=fields),
            RecordKind(
                kind="T", role="trailer", count="件数", sums={"合計": "金額"},
                fields=(FixedField(name="件数", start=2, length=5, kind="number"),
                        FixedField(name="合計", start=7, length=8, kind="number", sign="ebcdic")),
            ),
        ),
        **options,
    )  # fmt: skip


def written(using: FixedLayout, rows: list[dict[str, Any]]) -> bytes:
    writer = FixedWriter(using)
    body = b"".join(writer.row(row, i)[0] for i, row in enumerate(rows, 1))
    return writer.header({"日付": "2026-11-21"}) + body + writer.trailer(rows) + writer.end()


ROWS = [{"名前": "山田ﾀﾛｳ", "金額": 120}, {"名前": "", "金額": -35}]


def read(raw: bytes, using: FixedLayout, **options: Any) -> tuple[list[Record], list[Fault]]:
    return sorted_out(read_fixed(io.BytesIO(raw), using, **options))


def test_what_is_written_reads_back() -> None:
    raw = written(small(header_as="頭"), ROWS)
    assert raw.split(b"\r\n")[1] == b"D" + "山田ﾀﾛｳ".encode("cp932") + b"   0012{    "
    records, faults = read(raw, small(header_as="頭"))
    assert faults == []
    assert [dict(r.data) for r in records] == [
        {"名前": "山田ﾀﾛｳ", "金額": 120, "頭": {"日付": "2026-11-21"}},
        {"名前": None, "金額": -35, "頭": {"日付": "2026-11-21"}},
    ]
    assert [r.position for r in records] == [2, 3]


@pytest.mark.parametrize(
    "change",
    [lambda raw: raw, lambda raw: raw.replace(b"\r\n", b""), lambda raw: raw.replace(b"\r\n", b"\n"),
     lambda raw: raw[:-2], lambda raw: raw + b"\x1a", lambda raw: raw.replace(b"\r\n", b"") + b"\x1a"],
    ids=["crlf", "none", "lf", "all-but-the-last", "crlf-1a", "none-1a"],
)  # fmt: skip
def test_line_ends_are_recognised(change: Any) -> None:
    records, faults = read(change(written(small(), ROWS)), small())
    assert (len(records), faults) == (2, [])


def test_line_end_bytes_inside_a_record_do_not_cut_it() -> None:
    raw = written(small(newline="none"), ROWS).replace("山田ﾀﾛｳ".encode("cp932"), b"a\r\nb\r\nc")
    records, faults = read(raw, small())
    assert faults == []
    assert records[0].data["名前"] == "a\r\nb\r\nc"


def test_a_wrong_trailer_is_reported_or_stops_the_file_as_agreed() -> None:
    raw = written(small(), ROWS).replace(b"T00002", b"T00003")
    records, faults = read(raw, small())
    assert len(records) == 2
    assert [(f.code, f.position) for f in faults] == [("trailer_count", 4)]
    assert faults[0].reason == (
        "line 4: wrong trailer count: the trailer says 3 rows, the file has 2. "
        "The rows that could be read were taken in. Check the count with the sender."
    )
    records, faults = read(raw, small(on_wrong_trailer="strict"))
    assert (records, [f.code for f in faults]) == ([], ["trailer_count"])
    assert "No row of this file was taken in: ask the sender for the right one." in faults[0].reason
    assert [fault.whole for fault in faults] == [True] * len(faults)


def test_a_wrong_total_names_the_field() -> None:
    raw = written(small(), ROWS).replace(b"0000008E", b"0000009E")
    assert b"0000009E" in raw
    _, faults = read(raw, small())
    assert [(f.code, f.column) for f in faults] == [("trailer_sum", "合計")]


def test_a_file_cut_in_the_middle_gives_all_complete_records() -> None:
    raw = written(small(), ROWS)
    records, faults = read(raw[:50], small())
    assert len(records) == 1
    assert [(f.code, f.position, len(f.raw)) for f in faults] == [("cut_file", 3, 6)]
    records, faults = read(raw[:66], small())
    assert len(records) == 2
    assert [f.code for f in faults] == ["no_trailer"]


def test_a_bad_field_stops_only_its_record() -> None:
    raw = written(small(), ROWS).replace(b"0012{", b"00X20")
    records, faults = read(raw, small())
    assert [r.data["金額"] for r in records] == [-35]
    assert [(f.code, f.column, f.value, f.hint) for f in faults] == [
        ("number", "金額", "00X20", {"名前": "山田ﾀﾛｳ"}),
        ("trailer_sum", "合計", "85", None),
    ]
    raw = written(small(), ROWS).replace("山田".encode("cp932"), b"\x8eR\x93\xfd")
    records, faults = read(raw, small())
    assert (faults[0].code, faults[0].column) == ("undecodable", "名前")
    assert faults[0].reason.startswith(
        "line 2: column 名前 has 0x93 at byte 4 of the row, which is not CP932."
    )


def test_unknown_kinds_and_wrong_order_are_told() -> None:
    raw = written(small(), ROWS).replace(b"D" + "山田".encode("cp932"), b"X" + "山田".encode("cp932"))
    _, faults = read(raw, small())
    assert faults[0].reason == (
        "line 2: record kind 'X' is not in the layout (it knows H, D, T). "
        "Ask the sender, or add the kind to the layout and replay."
    )
    lines = written(small(), ROWS).splitlines(keepends=True)
    _, faults = read(lines[0] + lines[3] + lines[1], small())
    assert "record_order" in [f.code for f in faults]


def test_blanks_and_low_values_mean_not_set() -> None:
    raw = written(small(), ROWS).replace(b"0012{", b"     ").replace(b"0003N", b"\x00" * 5)
    records, _ = read(raw, small())
    assert [r.data["金額"] for r in records] == [None, None]


def test_an_empty_file() -> None:
    assert read(b"", small()) == ([], [])
    assert [f.code for f in read(b"", small(), empty_is_error=True)[1]] == ["empty_file"]


@pytest.mark.parametrize("day", [b"00000000", b"99999999", b"        "])
def test_null_dates(day: bytes) -> None:
    raw = written(small(header_as="頭"), ROWS).replace(b"20261121", day)
    assert read(raw, small(header_as="頭"))[0][0].data["頭"] == {"日付": None}


def test_an_impossible_date_is_a_fault() -> None:
    _, faults = read(written(small(), ROWS).replace(b"20261121", b"20261131"), small())
    assert faults[0].reason == (
        "line 1: field 日付: '20261131' is not a date (format %Y%m%d). Ask the sender for the corrected row."
    )


# ---------------------------------------------------------------- numbers


_SIGNS = ["leading", "trailing", "ebcdic", "ascii37", "ascii3b"]


@given(
    st.integers(min_value=-99999, max_value=99999),
    st.sampled_from(_SIGNS),
    st.integers(min_value=0, max_value=3),
)
def test_signed_numbers_read_back(value: int, sign: Any, decimals: int) -> None:
    item = FixedField(name="n", start=1, length=9, kind="number", sign=sign, decimals=decimals)
    amount = Decimal(value).scaleb(-decimals) if decimals else value
    raw = write_number(amount, item)
    assert len(raw) == 9
    assert read_number(raw, item) == amount


@pytest.mark.parametrize(
    ("raw", "sign", "value"),
    [(b"0012{", "ebcdic", 120), (b"0012}", "ebcdic", -120), (b"0003N", "ebcdic", -35), (b"0003E", "ebcdic", 35),
     (b"00035", "ebcdic", 35), (b"0003u", "ascii37", -35), (b"0003\xb5", "ascii3b", -35), (b"  -35", "leading", -35),
     (b"-  35", "leading", -35), (b"035- ", "trailing", -35), (b"   35", "none", 35)],
)  # fmt: skip
def test_zoned_signs_as_hosts_write_them(raw: bytes, sign: Any, value: int) -> None:
    assert read_number(raw, FixedField(name="n", start=1, length=5, kind="number", sign=sign)) == value


@pytest.mark.parametrize("value", ["x", "1.5", -1, 100000, "NaN"])
def test_numbers_that_do_not_fit_are_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"not a number|decimal places|negative|more than"):
        write_number(value, FixedField(name="n", start=1, length=5, kind="number"))


# ---------------------------------------------------------------- text


def test_full_width_fields_are_filled_with_full_width_blanks_and_an_odd_byte_with_20() -> None:
    using = FixedLayout(
        layout="k", title=Titles(ja="漢", en="Kanji"), format="fixed", record_length=8, newline="none",
        records=(RecordKind(kind="D", role="data", fields=(FixedField(name="名", start=2, length=7, kind="kanji"),)),),
    )  # fmt: skip
    assert FixedWriter(using).row({"名": "山ｶﾞ"}, 1)[0] == b"D" + "山ガ　".encode("cp932") + b" "
    assert read(b"D" + "山ガ　".encode("cp932") + b" ", using)[0][0].data == {"名": "山ガ"}


def test_text_is_cut_between_characters_and_told() -> None:
    item = FixedField(name="名", start=2, length=5, overflow="cut")
    using = FixedLayout(
        layout="k", title=Titles(ja="漢", en="Cut"), format="fixed", record_length=6, newline="none",
        records=(RecordKind(kind="D", role="data", fields=(item,)),),
    )  # fmt: skip
    raw, findings = FixedWriter(using).row({"名": "東京都"}, 1)
    assert raw == b"D" + "東京".encode("cp932") + b" "
    assert [(f.kind, f.substitute, f.row) for f in findings] == [("cut", "東京", 1)]
    refusing = FixedWriter(small())
    with pytest.raises(RowRefused, match="takes 10 bytes, the value has 12"):
        refusing.row({"名前": "東京都東京都", "金額": 1}, 1)
    with pytest.raises(RowRefused, match="not a field of layout small: 氏名"):
        refusing.row({"氏名": "a"}, 1)


def test_full_width_forms() -> None:
    assert to_full_width("ｶﾞ A-1") == "ガ　Ａ－１"


@pytest.mark.parametrize(
    ("text", "bank"),
    [("株式会社", "株式会社"), ("カ）サンプル", "ｶ)ｻﾝﾌﾟﾙ"), ("ヤマダ ショウジ", "ﾔﾏﾀﾞ ｼﾖｳｼﾞ"), ("サーバー", "ｻ-ﾊﾞ-"),
     ("やまだ", "ﾔﾏﾀﾞ"), ("abc", "ABC")],
)  # fmt: skip
def test_zengin_characters(text: str, bank: str) -> None:
    assert to_zengin(text) == bank


# ---------------------------------------------------------------- the shipped bank layout


def test_the_zengin_transfer_layout_writes_and_reads_whole_files() -> None:
    using = load_layout("zengin_transfer", [LAYOUTS])
    assert isinstance(using, FixedLayout)
    writer = FixedWriter(using)
    common = {"新規コード": "0", "振込区分": "7"}
    rows = [
        {**common, "被仕向銀行番号": "0001", "被仕向支店番号": "001", "預金種目": "1", "口座番号": "1234567",
         "受取人名": "ヤマダ タロウ", "振込金額": 12000},
        {**common, "被仕向銀行番号": "0005", "被仕向支店番号": "002", "預金種目": "2", "口座番号": "7654321",
         "受取人名": "カ）サンプルショウカイ", "振込金額": 345678},
    ]  # fmt: skip
    head = {
        "委託者コード": "0123456789",
        "委託者名": "カ）ツナギ",
        "振込日": "1130",
        "仕向銀行番号": "0001",
        "口座番号": "1111111",
    }
    raw = (
        writer.header(head)
        + b"".join(writer.row(row, i)[0] for i, row in enumerate(rows, 1))
        + writer.trailer(rows)
    )
    raw += writer.end()
    lines = raw.split(b"\r\n")
    assert [len(line) for line in lines] == [120, 120, 120, 120, 120, 0]
    assert lines[0].startswith(b"1210" + b"0123456789" + "ｶ)ﾂﾅｷﾞ".encode("cp932"))
    assert lines[3][:19] == b"8000002000000357678"
    records, faults = read(raw, using)
    assert faults == []
    assert records[1].data["受取人名"] == "ｶ)ｻﾝﾌﾟﾙｼﾖｳｶｲ"
    assert records[1].data["ヘッダ"]["振込日"] == "1130"
    with pytest.raises(RowRefused, match="outside the 全銀 set"):
        writer.row({**rows[0], "受取人名": "山田"}, 1)
