"""Reading CSV: every bad row is one fault with its bytes, and every other row comes through."""

from __future__ import annotations

import csv
import io
import tracemalloc
from typing import Any

import pytest
from hypothesis import given, strategies as st

from connectors.contract import Fault, Record
from connectors.files import lines
from connectors.files.csv_codec import read_csv
from connectors.files.together import bring_together
from tests.connectors.files.conftest import Read, layout, sorted_out

ABC = layout("番号", "名前", "備考")
HEAD = "番号,名前,備考\r\n"


def test_good_rows_are_records_with_their_line(read: Read) -> None:
    records, faults = read(HEAD + '1,山田,"二行の\r\n備考"\r\n2,ﾔﾏﾀﾞ,\r\n', ABC)
    assert faults == []
    assert records == [
        Record({"番号": "1", "名前": "山田", "備考": "二行の\r\n備考"}, 2),
        Record({"番号": "2", "名前": "ﾔﾏﾀﾞ", "備考": ""}, 4),
    ]


def test_a_wrong_column_count_stops_only_its_row(read: Read) -> None:
    records, faults = read(HEAD + "1,a,b\r\n2,a,b,c\r\n3,a\r\n4,a,b\r\n", ABC)
    assert [r.data["番号"] for r in records] == ["1", "4"]
    assert [(f.position, f.code, f.raw) for f in faults] == [
        (3, "column_count", b"2,a,b,c\r\n"),
        (4, "column_count", b"3,a\r\n"),
    ]
    assert faults[0].hint == {"番号": "2", "名前": "a", "備考": "b"}
    assert faults[0].reason == (
        "line 3: wrong number of columns: 4, should be 3. A comma inside a value may not be quoted. "
        "Ask the sender for the corrected row."
    )
    assert (
        faults[1].reason_ja
        == "4行目: 列数が違います: 2列（正しくは3列）。送信元に正しい行の再送を依頼してください。"
    )


def test_a_byte_that_is_no_cp932_stops_only_its_row(read: Read) -> None:
    raw = (
        (HEAD + "1,a,b\r\n").encode("cp932")
        + b"2,\x93\xfa\xfd\x96,b\r\n"
        + b"3,\x85\x40,b\r\n"
        + b"4,a,b\r\n"
    )
    records, faults = read(raw, ABC)
    assert [r.data["番号"] for r in records] == ["1", "4"]
    assert [(f.position, f.code, f.column, f.hint) for f in faults] == [
        (3, "undecodable", "名前", {"番号": "2", "備考": "b"}),
        (4, "undecodable", "名前", {"番号": "3", "備考": "b"}),
    ]
    assert faults[0].raw == b"2,\x93\xfa\xfd\x96,b\r\n"
    assert faults[0].reason == (
        "line 3: column 名前 has 0xFD at byte 5 of the row, which is not CP932 (Shift_JIS). "
        "Check the character set with the sender and ask for the corrected row."
    )
    assert faults[1].reason_ja == (
        "4行目: 列「名前」にCP932 (Shift_JIS)でない文字があります（行の3バイト目、0x85）。"
        "送信元に文字コードを確認し、正しい行の再送を依頼してください。"
    )


def test_a_lone_lead_byte_before_the_line_end_does_not_eat_the_next_row(read: Read) -> None:
    records, faults = read(HEAD.encode("cp932") + b"1,a,\x83\r\n2,a,b\r\n", ABC)
    assert [r.data["番号"] for r in records] == ["2"]
    assert [(f.position, f.column) for f in faults] == [(2, "備考")]


def test_nul_bytes_are_refused(read: Read) -> None:
    records, faults = read(HEAD + "1,a\x00b,c\r\n2,a,b\r\n", ABC)
    assert [r.data["番号"] for r in records] == ["2"]
    assert faults[0].code == "nul"
    assert faults[0].reason == (
        "line 2: column 名前 holds a NUL byte (0x00). The file may be damaged: ask the sender to send it again."
    )


def test_a_file_cut_in_the_middle_gives_all_complete_rows(read: Read) -> None:
    records, faults = read(HEAD + "1,a,b\r\n2,a,b\r\n3,あ", ABC)
    assert [r.data["番号"] for r in records] == ["1", "2"]
    assert [(f.position, f.code, f.raw) for f in faults] == [(4, "cut_file", "3,あ".encode("cp932"))]
    assert faults[0].reason == (
        "line 4: the file ends in the middle of a row (2 of 3 columns). The transfer may have been cut: "
        "ask the sender to send it again. What stands before it was taken in, save what the cut row belongs to."
    )
    assert faults[0].hint == {"番号": "3", "名前": "あ"}


@pytest.mark.parametrize("end", ['3,"あ', '3,"あ,い', "3,".encode("cp932") + b"\x82"])
def test_a_file_cut_inside_quotes_or_a_character(read: Read, end: str | bytes) -> None:
    tail = end if isinstance(end, bytes) else end.encode("cp932")
    records, faults = read((HEAD + "1,a,b\r\n2,a,b\r\n").encode("cp932") + tail, ABC)
    assert [r.data["番号"] for r in records] == ["1", "2"]
    assert [(f.position, f.code, f.raw) for f in faults] == [(4, "cut_file", tail)]


def test_a_last_row_without_a_line_end_is_a_row(read: Read) -> None:
    records, faults = read(HEAD + "1,a,b\r\n2,a,b", ABC)
    assert ([r.data["番号"] for r in records], faults) == (["1", "2"], [])


def test_a_quote_that_is_never_closed_stops_only_its_row(read: Read) -> None:
    body = "".join(f"{i},a,b\r\n" for i in range(3, 50))
    records, faults = read(HEAD + '1,a,b\r\n2,"a,b\r\n' + body, ABC)
    assert [r.data["番号"] for r in records] == ["1", *(str(i) for i in range(3, 50))]
    assert [(f.position, f.code, f.raw) for f in faults] == [(3, "quote", b'2,"a,b\r\n')]
    assert faults[0].hint is not None
    assert faults[0].hint["番号"] == "2"
    assert faults[0].reason_ja is not None
    assert faults[0].reason_ja.startswith('3行目: 引用符(")の対応が取れておらず')


def test_a_quote_that_is_never_closed_among_quoted_rows(read: Read) -> None:
    records, faults = read(HEAD + '"1","a","b"\r\n"2","a,"b"\r\n"3","a","b"\r\n"4","a","b"\r\n', ABC)
    assert [r.data["番号"] for r in records] == ["1", "3", "4"]
    assert [(f.position, f.raw) for f in faults] == [(3, b'"2","a,"b"\r\n')]


def test_an_open_quote_that_closes_in_a_later_row_by_accident_swallows_nothing(read: Read) -> None:
    records, faults = read(HEAD + '1,"a,b\r\n2,x,y\r\n3,x,"\r\n4,x,y\r\n', ABC)
    assert [r.data["番号"] for r in records] == ["2", "4"]
    assert [f.position for f in faults] == [2, 4]


def test_an_open_quote_in_a_large_file_is_found_without_reading_it_all(read: Read) -> None:
    body = "".join(f"{i},{'x' * 50},b\r\n" for i in range(10_000))
    records, faults = read(HEAD + '0,"a,b\r\n' + body, ABC)
    assert len(records) == 10_000
    assert [f.position for f in faults] == [2]


@pytest.mark.parametrize(
    "tail", ["", "\r\n", "\r\n\r\n", ",,\r\n,,\r\n", "\x1a", "\r\n\x1a", "\x1a\r\n", "\x1a\x1a"],
    ids=["nothing", "blank", "blanks", "commas", "1a", "blank-1a", "1a-newline", "1a-1a"],
)  # fmt: skip
def test_what_old_tools_leave_at_the_end_is_no_row(read: Read, tail: str) -> None:
    records, faults = read(HEAD + "1,a,b\r\n" + tail, ABC)
    assert ([r.data["番号"] for r in records], faults) == (["1"], [])


def test_a_trailing_comma_in_the_header_is_a_phantom_column(read: Read) -> None:
    for row in ("1,a,b,\r\n", "1,a,b\r\n"):
        records, faults = read("番号,名前,備考,\r\n" + row, ABC)
        assert ([dict(r.data) for r in records], faults) == ([{"番号": "1", "名前": "a", "備考": "b"}], [])
    _, faults = read("番号,名前,備考,\r\n1,a,b,c\r\n", ABC)
    assert [f.code for f in faults] == ["column_count"]


def test_a_trailing_comma_in_the_rows_alone_must_be_agreed_on(read: Read) -> None:
    """A comma that was not quoted, in a row whose last value is empty, would else shift every value unseen."""
    text = HEAD + "1,a,b,\r\n"
    assert [f.code for f in read(text, ABC)[1]] == ["column_count"]
    records, faults = read(text, layout("番号", "名前", "備考", trailing_comma=True))
    assert ([dict(r.data) for r in records], faults) == ([{"番号": "1", "名前": "a", "備考": "b"}], [])


def test_short_rows_are_filled_only_where_the_layout_says_so(read: Read) -> None:
    records, faults = read(HEAD + "1,a\r\n", layout("番号", "名前", "備考", short_rows="pad"))
    assert ([dict(r.data) for r in records], faults) == ([{"番号": "1", "名前": "a", "備考": ""}], [])


def test_headers_match_after_nfkc_and_in_any_order(read: Read) -> None:
    records, faults = read(" 備考 ,番号,１２（％）\r\nx,1,10\r\n", layout("番号", "12(%)", "備考"))
    assert faults == []
    assert records == [Record({"備考": "x", "番号": "1", "12(%)": "10"}, 2)]


@pytest.mark.parametrize(
    ("head", "english", "japanese"),
    [
        ("番号,名前\r\n", "missing column(s) 備考", "ない列: 備考"),
        ("番号,名前,備考,年齢\r\n", "unknown column(s) 年齢", "知らない列: 年齢"),
        ("番号,名まえ,備考\r\n", "missing column(s) 名前; unknown column(s) 名まえ (did you mean 名前?)",
         "ない列: 名前。知らない列: 名まえ（名前のことですか）"),
        ("番号,名前,備考,名前\r\n", "repeated column(s) 名前", "重複する列: 名前"),
    ],
    ids=["missing", "extra", "renamed", "duplicate"],
)  # fmt: skip
def test_a_header_that_does_not_fit_refuses_the_file_and_names_the_columns(
    read: Read, head: str, english: str, japanese: str
) -> None:
    records, faults = read(head + "1,a,b\r\n", ABC)
    assert records == []
    assert [(f.position, f.code, f.raw) for f in faults] == [(1, "header", head.encode("cp932"))]
    assert faults[0].reason == (
        f"line 1: the header does not match layout test: {english}. No row of this file was taken in. "
        "Ask the sender, or mend the layout and replay the file."
    )
    assert faults[0].reason_ja is not None
    assert japanese in faults[0].reason_ja


def test_unknown_columns_may_be_left_out_or_kept(read: Read) -> None:
    text = "ロット,番号,名前,備考\r\nL1,1,a,b\r\n"
    ignored, _ = read(text, layout("番号", "名前", "備考", extra_columns="ignore"))
    kept, _ = read(text, layout("番号", "名前", "備考", extra_columns="keep"))
    assert ignored[0].data == {"番号": "1", "名前": "a", "備考": "b"}
    assert kept[0].data == {"ロット": "L1", "番号": "1", "名前": "a", "備考": "b"}


def test_aliases_optional_columns_and_a_header_of_its_own(read: Read) -> None:
    using = layout(
        {"name": "番号", "header": "No."},
        {"name": "名前", "aliases": ["氏名"]},
        {"name": "備考", "optional": True},
    )
    records, faults = read("No.,氏名\r\n1,a\r\n", using)
    assert ([dict(r.data) for r in records], faults) == ([{"番号": "1", "名前": "a"}], [])


def test_older_shorter_versions_of_a_layout(read: Read) -> None:
    using = layout("番号", "名前", "備考", older=(2,))
    records, faults = read("番号,名前\r\n1,a\r\n", using)
    assert ([dict(r.data) for r in records], faults) == ([{"番号": "1", "名前": "a"}], [])
    _, faults = read("番号,備考\r\n1,a\r\n", using)
    assert faults[0].code == "header"


def test_files_without_a_header_go_by_position(read: Read) -> None:
    using = layout("番号", "名前", "備考", header=False, older=(2,))
    assert [dict(r.data) for r in read("1,a,b\r\n2,a,b\r\n", using)[0]] == [
        {"番号": "1", "名前": "a", "備考": "b"},
        {"番号": "2", "名前": "a", "備考": "b"},
    ]
    assert [dict(r.data) for r in read("1,a\r\n", using)[0]] == [{"番号": "1", "名前": "a"}]
    records, faults = read("1,a,b,c,d\r\n2,a,b\r\n", using)
    assert ([r.position for r in records], [f.position for f in faults]) == ([2], [1])


def test_lines_before_the_header_can_be_skipped(read: Read) -> None:
    records, _ = read(
        '出力日,2026/11/21\r\n"二行の\r\n' + HEAD + "1,a,b\r\n", layout("番号", "名前", "備考", skip_lines=2)
    )
    assert [(r.position, r.data["番号"]) for r in records] == [(4, "1")]


def test_an_empty_file_is_no_data_or_an_error_as_agreed(read: Read) -> None:
    for raw in (b"", b"\r\n", b"\x1a", b"\xef\xbb\xbf"):
        assert read(raw, ABC) == ([], [])
        _, faults = read(raw, ABC, empty_is_error=True)
        assert [(f.position, f.code) for f in faults] == [(1, "empty_file")]
    assert faults[0].reason == (
        "line 1: the file is empty, which is an error for this interface. Check the sender's job."
    )
    assert read(HEAD, ABC) == ([], [])


def test_utf8_with_and_without_a_mark(read: Read) -> None:
    using = layout("番号", "名前", "備考", encoding="utf-8")
    for mark in (b"", b"\xef\xbb\xbf"):
        records, faults = read(mark + (HEAD + "1,𠮷,b\r\n").encode(), using)
        assert ([r.data["名前"] for r in records], faults) == (["𠮷"], [])
        bare = layout("番号", "名前", "備考", encoding="utf-8", header=False)
        assert read(mark + b"1,a,b\r\n", bare)[0][0].data["番号"] == "1"


def test_a_utf8_file_where_cp932_was_agreed_says_so(read: Read) -> None:
    for mark in (b"", b"\xef\xbb\xbf"):
        records, faults = read(mark + (HEAD + "1,a,b\r\n").encode(), ABC)
        assert records == []
        assert faults[0].code == "encoding"
        assert "UTF-8" in faults[0].reason
        assert faults[0].reason_ja is not None
        assert "UTF-8" in faults[0].reason_ja


def test_auto_detection(read: Read) -> None:
    using = layout("番号", "名前", "備考", encoding="auto")
    for codec in ("utf-8", "utf-8-sig", "cp932"):
        records, faults = read((HEAD + "1,山,b\r\n").encode(codec), using)
        assert ([r.data["名前"] for r in records], faults) == (["山"], [])
    _, faults = read("まったく,別の,表\r\n".encode("cp932"), using)
    assert faults[0].code == "encoding"


def test_what_excel_destroyed_is_named(read: Read) -> None:
    using = layout({"name": "番号", "kind": "code"}, {"name": "名前", "min_length": 7}, "備考")
    records, faults = read(HEAD + "4.90E+12,0600001,x\r\n2,600001,x\r\n3,,1E5\r\n", using)
    assert [r.data["番号"] for r in records] == ["3"]
    assert [(f.position, f.code, f.column, f.value) for f in faults] == [
        (2, "excel_damage", "番号", "4.90E+12"),
        (3, "excel_damage", "名前", "600001"),
    ]
    assert faults[1].reason == (
        "line 3: column 名前: '600001' looks damaged by saving in Excel (shorter than 7 characters: leading zeros may "
        "be lost). Ask for the file as it was exported, not opened in Excel."
    )
    assert faults[0].reason_ja == (
        "2行目: 列「番号」の値「4.90E+12」はExcelで保存し直されて壊れたようです（指数表記）。"
        "Excelで開かずに出力し直したファイルを依頼してください。"
    )


def test_private_characters_are_noted_mapped_or_refused(read: Read) -> None:
    raw = HEAD.encode("cp932") + b"1,\xf0\x40\x93c,b\r\n"
    records, _ = read(raw, ABC)
    assert records[0].data["名前"] == "\ue000田"
    assert records[0].notes == ("列「名前」に外字 U+E000 / private character in column 名前",)
    records, _ = read(raw, ABC, gaiji={"\ue000": "吉"})
    assert (records[0].data["名前"], records[0].notes) == ("吉田", ())
    records, faults = read(raw, layout("番号", "名前", "備考", gaiji="fault"))
    assert records == []
    assert (faults[0].code, faults[0].column) == ("gaiji", "名前")
    assert "U+E000" in faults[0].reason


def test_hosts_that_never_quote(read: Read) -> None:
    using = layout("番号", "名前", "備考", quote="never", delimiter="\t")
    records, faults = read('番号\t名前\t備考\r\n1\t5"皿\t"\r\n', using)
    assert ([dict(r.data) for r in records], faults) == ([{"番号": "1", "名前": '5"皿', "備考": '"'}], [])


def test_a_pipe_inside_a_kanji_is_no_delimiter(read: Read) -> None:
    assert "ポ".encode("cp932")[1:] == b"|"
    records, _ = read("番号|名前|備考\r\n1|ポ|表\r\n", layout("番号", "名前", "備考", delimiter="|"))
    assert records[0].data == {"番号": "1", "名前": "ポ", "備考": "表"}


# ---------------------------------------------------------------- trailers


TRAILED: dict[str, Any] = {"header": False, "trailer": {"marker": "T", "count": 2, "sums": {3: "備考"}}}


def test_a_trailer_that_agrees_is_silent(read: Read) -> None:
    records, faults = read("1,a,100\r\n2,a,200\r\nT,2,300\r\n", layout("番号", "名前", "備考", **TRAILED))
    assert ([r.data["番号"] for r in records], faults) == (["1", "2"], [])


def test_a_wrong_trailer_count_is_reported_and_the_rows_go_on(read: Read) -> None:
    records, faults = read("1,a,100\r\n2,a,200\r\nT,3,300\r\n", layout("番号", "名前", "備考", **TRAILED))
    assert [r.data["番号"] for r in records] == ["1", "2"]
    assert [(f.position, f.code, f.raw) for f in faults] == [(3, "trailer_count", b"T,3,300\r\n")]
    assert faults[0].reason == (
        "line 3: wrong trailer count: the trailer says 3 rows, the file has 2. "
        "The rows that could be read were taken in. Check the count with the sender."
    )
    assert faults[0].reason_ja == (
        "3行目: トレーラの件数が違います: トレーラ3件、実際2件。"
        "読めた行は取り込みました。送信元に件数を確認してください。"
    )


def test_a_strict_layout_takes_nothing_of_a_file_with_a_wrong_trailer(read: Read) -> None:
    strict = layout("番号", "名前", "備考", on_wrong_trailer="strict", **TRAILED)
    records, faults = read("1,a,100\r\n2,a,200\r\nT,2,999\r\n", strict)
    assert records == []
    assert [(f.code, f.column) for f in faults] == [("trailer_sum", "備考")]
    assert "No row of this file was taken in: ask the sender for the right one." in faults[0].reason
    assert [fault.whole for fault in faults] == [True] * len(faults)
    assert [f.code for f in read("1,a,100\r\n", strict)[1]] == ["no_trailer"]
    records, faults = read("1,a,100\r\n2,a\r\n3,a,200\r\nT,3,300\r\n", strict)
    assert ([r.data["番号"] for r in records], [f.code for f in faults]) == (["1", "3"], ["column_count"])


# ---------------------------------------------------------------- against the standard library


_CELL = st.text(alphabet=st.sampled_from('ab,"\r\n 日本ｱ髙～\x0b\x1c\x85'), max_size=6)
_ROWS = st.lists(st.tuples(st.text(alphabet="0123456789", min_size=1, max_size=3), _CELL, _CELL), max_size=12)


@given(_ROWS, st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]), st.integers(min_value=1, max_value=40))
def test_what_the_standard_library_wrote_reads_back_at_every_chunk_size(
    rows: list[tuple[str, str, str]], quoting: Any, size: int
) -> None:
    text = io.StringIO()
    csv.writer(text, quoting=quoting).writerows([("番号", "名前", "備考"), *rows])
    raw = text.getvalue().encode("utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "CHUNK", size)
        patch.setattr(lines.Lines.__init__, "__kwdefaults__", {"chunk_size": size})
        records, faults = sorted_out(
            read_csv(io.BytesIO(raw), layout("番号", "名前", "備考", encoding="utf-8"))
        )
    assert faults == []
    assert [tuple(r.data.values()) for r in records] == rows
    standard = list(csv.reader(io.StringIO(raw.decode(), newline="")))[1:]
    assert [list(r.data.values()) for r in records] == standard


@given(st.binary(max_size=400), st.integers(min_value=1, max_value=64))
def test_no_bytes_whatever_raise_and_chunks_do_not_matter(noise: bytes, size: int) -> None:
    raw = HEAD.encode("cp932") + b"1,a,b\r\n" + noise
    whole = list(read_csv(io.BytesIO(raw), ABC))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines.Lines.__init__, "__kwdefaults__", {"chunk_size": size})
        assert list(read_csv(io.BytesIO(raw), ABC)) == whole
    assert whole[0] == Record({"番号": "1", "名前": "a", "備考": "b"}, 2)


@given(st.lists(st.sampled_from(["good", "short", "long", "bytes", "quote"]), max_size=30))
def test_every_good_row_comes_through_whatever_stands_around_it(kinds: list[str]) -> None:
    shapes = {
        "good": b"%d,a,b\r\n", "short": b"%d,a\r\n", "long": b"%d,a,b,c\r\n", "bytes": b"%d,\xfd,b\r\n",
        "quote": b'%d,"a,b\r\n',
    }  # fmt: skip
    raw = HEAD.encode("cp932") + b"".join(shapes[kind] % i for i, kind in enumerate(kinds))
    records, faults = sorted_out(read_csv(io.BytesIO(raw), ABC))
    assert [int(r.data["番号"]) for r in records] == [i for i, kind in enumerate(kinds) if kind == "good"]
    assert [f.position - 2 for f in faults] == [i for i, kind in enumerate(kinds) if kind != "good"]
    assert b"".join(f.raw for f in faults) == b"".join(
        shapes[kind] % i for i, kind in enumerate(kinds) if kind != "good"
    )


def test_memory_stays_flat_however_long_the_file() -> None:
    row = ("1,山田太郎," + "備考" * 20 + "\r\n").encode("cp932")

    class Endless(io.RawIOBase):
        def __init__(self) -> None:
            self.rows = 200_000
            self.head = HEAD.encode("cp932")

        def read(self, size: int = -1) -> bytes:
            if self.head:
                head, self.head = self.head, b""
                return head
            count = min(self.rows, max(size // len(row), 1))
            self.rows -= count
            return row * count

    stream: Any = Endless()
    tracemalloc.start()
    count = sum(1 for item in read_csv(stream, ABC) if not isinstance(item, Fault))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 200_000
    assert peak < 16 << 20


# ---------------------------------------------------------------- rows that stand apart


def test_rows_that_belong_together_are_brought_together() -> None:
    text = HEAD + "1,a,x\r\n2,a,y\r\n1,a,z,9\r\n,,only\r\n1,a,w\r\n2,b,v\r\n"
    items = list(bring_together(read_csv(io.BytesIO(text.encode("cp932")), ABC), ["番号", "名前"]))
    shown = [(item.position, item.data["備考"] if isinstance(item, Record) else item.code) for item in items]
    assert shown == [(2, "x"), (4, "column_count"), (6, "w"), (3, "y"), (5, "only"), (7, "v")]


def test_a_fault_that_names_no_group_comes_first() -> None:
    text = HEAD.encode("cp932") + b"1,a,x\r\n\xfd,a,y\r\n1,a,w\r\n"
    items = list(bring_together(read_csv(io.BytesIO(text), ABC), ["番号"]))
    assert [item.position for item in items] == [3, 2, 4]
