"""Writing CSV: bytes a host takes, and every change of a value told."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given, strategies as st

from connectors.files.csv_codec import read_csv
from connectors.files.csv_writer import CsvWriter, RowRefused
from tests.connectors.files.conftest import layout, sorted_out


def test_quoted_where_needed_with_crlf() -> None:
    writer = CsvWriter(layout("番号", "名前", "備考"))
    assert writer.header() == "番号,名前,備考\r\n".encode("cp932")
    line, findings = writer.row({"番号": 1, "名前": 'a"b', "備考": "x,y"}, 1)
    assert (line, findings) == (b'1,"a""b","x,y"\r\n', ())


def test_all_values_quoted_and_other_line_ends() -> None:
    writer = CsvWriter(layout("番号", "名前", quote="all", newline="lf", encoding="utf-8-sig"))
    assert writer.header() == b"\xef\xbb\xbf" + '"番号","名前"\n'.encode()
    assert writer.row({"番号": True, "名前": None}, 1)[0] == b'"1",""\n'


def test_a_host_that_never_quotes_gets_replacements_and_we_a_report() -> None:
    writer = CsvWriter(layout("番号", "備考", quote="never", header=False, forbidden={"①": "(1)"}))
    assert writer.header() == b""
    line, findings = writer.row({"番号": "1", "備考": 'a,b"c\r\nd①'}, 7)
    assert line.decode("cp932") == "1,a，b”c d(1)\r\n"
    assert [(f.kind, f.original, f.substitute, f.row, f.column) for f in findings] == [
        ("forbidden", ",", "，", 7, "備考"),
        ("forbidden", '"', "”", 7, "備考"),
        ("forbidden", "\r\n", " ", 7, "備考"),
        ("forbidden", "①", "(1)", 7, "備考"),
    ]


def test_characters_the_host_cannot_read_are_replaced_and_reported() -> None:
    line, findings = CsvWriter(layout("番号", "名前")).row({"番号": "1", "名前": "𠮷田髙😀"}, 3)
    assert line == b"1," + "吉田".encode("cp932") + b"\xfb\xfc" + "〓".encode("cp932") + b"\r\n"
    assert [finding.describe("en") for finding in findings] == [
        "row 3, column 名前: 𠮷 (U+20BB7) became '吉'",
        "row 3, column 名前: 😀 (U+1F600) became '〓'",
    ]


def test_control_characters_never_leave() -> None:
    line, findings = CsvWriter(layout("番号")).row({"番号": "a\x00b\x1ac"}, 1)
    assert line == b"abc\r\n"
    assert [finding.code_points for finding in findings] == ["U+0000", "U+001A"]


def test_a_value_that_is_too_long_is_refused_or_cut_between_characters() -> None:
    refusing = CsvWriter(layout({"name": "住所", "max_bytes": 5}))
    with pytest.raises(RowRefused) as caught:
        refusing.row({"住所": "東京都"}, 1)
    assert str(caught.value) == "column 住所 takes 5 bytes, the value has 6: '東京都'"
    assert caught.value.japanese == "列「住所」の値が6バイトで、上限5バイトを超えています: 東京都"
    cutting = CsvWriter(layout({"name": "住所", "max_bytes": 5, "overflow": "cut"}))
    line, findings = cutting.row({"住所": "東京都"}, 2)
    assert line.decode("cp932") == "東京\r\n"
    assert findings[0].describe("ja") == "2行目 列「住所」: 長すぎるため「東京」に切詰め（元: 東京都）"


def test_a_required_value_must_be_there_and_an_unknown_one_must_not() -> None:
    writer = CsvWriter(layout({"name": "番号", "required": True}, "名前"))
    with pytest.raises(RowRefused, match="column 番号 is required and empty"):
        writer.row({"番号": "", "名前": "a"}, 1)
    with pytest.raises(RowRefused, match="not a column of layout test: 氏名"):
        writer.row({"番号": "1", "氏名": "a"}, 1)


def test_codes_keep_ascii_hyphens() -> None:
    assert (
        CsvWriter(layout({"name": "電話", "kind": "code"})).row({"電話": "03–1234"}, 1)[0] == b"03-1234\r\n"
    )


def test_a_trailer_counts_and_sums() -> None:
    using = layout("番号", "金額", header=False, trailer={"marker": "T", "count": 2, "sums": {4: "金額"}})
    writer = CsvWriter(using)
    rows = [{"番号": "1", "金額": 100}, {"番号": "2", "金額": "250"}]
    raw = b"".join(writer.row(row, i)[0] for i, row in enumerate(rows, 1)) + writer.trailer(rows)
    assert raw == b"1,100\r\n2,250\r\nT,2,,350\r\n"
    records, faults = sorted_out(read_csv(io.BytesIO(raw), using))
    assert (len(records), faults) == (2, [])


_TEXT = st.text(
    alphabet=st.characters(
        codec="cp932", exclude_characters="\x1a\x00\x80\uf8f0\uf8f1\uf8f2\uf8f3\xa2\xa3\xac\u2016\u2212\u301c"
    ),
    max_size=20,
)


@given(st.lists(st.tuples(_TEXT, _TEXT), max_size=8), st.sampled_from(["all", "minimal"]))
def test_what_is_written_is_what_the_standard_library_reads(rows: list[tuple[str, str]], quote: str) -> None:
    using = layout("a", "b", quote=quote, header=False)
    writer = CsvWriter(using)
    raw = b""
    sent: list[list[str]] = []
    for number, (a, b) in enumerate(rows, 1):
        line, findings = writer.row({"a": a, "b": b}, number)
        raw += line
        if findings:
            assert {finding.kind for finding in findings} <= {"forbidden", "fold"}
        sent.append([_plain(a), _plain(b)])
    standard = list(csv.reader(io.StringIO(raw.decode("cp932"), newline="")))
    assert standard == sent
    records, faults = sorted_out(read_csv(io.BytesIO(raw), using))
    assert faults == []
    assert [list(record.data.values()) for record in records] == [row for row in sent if any(row)]


def _plain(text: str) -> str:
    kept = "".join(c for c in text if c in "\t\r\n" or (c >= " " and c != "\x7f"))
    return kept.encode("cp932").decode("cp932")
