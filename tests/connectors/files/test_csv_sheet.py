"""A sheet gives what reading gives: runs cut out of a file one by one are read as the same records and faults."""

from __future__ import annotations

import io
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from connectors.contract import Fault, Piece, Record, Run
from connectors.files import csv_sheet, lines
from connectors.files.csv_codec import read_csv
from connectors.files.csv_sheet import CsvSheet, open_sheet
from connectors.files.layout import CsvLayout
from mappings.grouping import rows_apart
from tests.connectors.files.conftest import layout

KEYED = layout(
    {"name": "番号", "kind": "code"}, "名前", {"name": "郵便番号", "kind": "code", "min_length": 3}, "備考"
)
UNQUOTED = KEYED.model_copy(update={"quote": "never"})
HEAD = "番号,名前,郵便番号,備考\r\n".encode("cp932")
GAIJI = {"\ue000": "高"}

# what hosts and spreadsheets do to rows: quotes, line ends, bytes that are no characters, private ones, end marks
CELLS = st.sampled_from(
    [
        b"", b"1", b"1", b"2", b"2 ", b"AB", b"0600001", b"12", b"4.90E+12", "山田".encode("cp932"), b"\xf0\x40",
        b"\xfd", b"\x8c", b"\x83\x5c", b'"', b'"a"', b'"a,b"', b'"a\r\nb"', b'a"b', b'""', b'"a""b"', b"\x00", b"\r",
        b"\x1a",
        " ".encode("cp932"), "　".encode("cp932"),
    ]
)  # fmt: skip
ROWS = st.one_of(
    st.tuples(st.sampled_from([b"1", b"2", b"3", b" 3", b'"3"']), CELLS, CELLS, CELLS).map(b",".join),
    st.lists(CELLS, max_size=6).map(b",".join),
)
FILES = st.tuples(
    st.lists(st.tuples(ROWS, st.sampled_from([b"\r\n", b"\r\n", b"\r\n", b"\n"])), max_size=14),
    st.sampled_from([b"", b"\x1a", b"1,2", b"\r\n"]),
).map(lambda file: HEAD + b"".join(row + end for row, end in file[0]) + file[1])


def sheet_of(raw: bytes, shape: CsvLayout = KEYED) -> CsvSheet:
    found = open_sheet(io.BytesIO(raw), shape, GAIJI)
    assert found is not None
    return found


def pieces(raw: bytes, sheet: CsvSheet, runs: list[Run]) -> list[Piece]:
    faults = dict(sheet.faults)
    return [
        Piece(
            raw[run.begin : run.end],
            run.line,
            {n: f for n, f in faults.items() if run.line <= n <= run.last},
        )
        for run in runs
    ]


def key_of(data: Any, key: str) -> str | None:
    return (data.get(key) or "").strip() or None


@contextmanager
def chunks_of(size: int) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines.Lines.__init__, "__kwdefaults__", {"chunk_size": size})
        yield


@pytest.mark.parametrize(
    ("size", "shape", "key"),
    [
        (3, KEYED, "番号"),
        (40, KEYED, "番号"),
        (1 << 20, KEYED, "番号"),
        (40, KEYED, "備考"),
        (40, UNQUOTED, "番号"),
    ],
)
@settings(max_examples=150)
@given(raw=FILES)
def test_runs_one_by_one_are_read_as_the_file_is(size: int, shape: CsvLayout, key: str, raw: bytes) -> None:
    with chunks_of(size):
        whole = list(read_csv(io.BytesIO(raw), shape, gaiji=GAIJI))
        sheet = sheet_of(raw, shape)
        runs = list(sheet.runs(key, ["名前"], b""))
        cut = pieces(raw, sheet, runs)
        reader = pickle.loads(pickle.dumps(sheet.pieces))
        read = [list(reader.read(piece)) for piece in cut]
    assert [item for items in read for item in items] == whole
    # the runs are the groups, in their order: what is torn here is torn there
    keys = [run.key for run in runs if run.key is not None]
    apart = rows_apart(whole, partial(key_of, key=key))
    assert {key for key in keys if keys.count(key) > 1} == set(apart)
    for run, items in zip(runs, read, strict=True):
        assert {
            key_of(item.data if isinstance(item, Record) else item.hint or {}, key) for item in items
        } <= {
            run.key,
            None,
        }
        if run.values is not None and items and isinstance(items[0], Record):
            assert run.values == {"名前": items[0].data["名前"]}


@settings(max_examples=100)
@given(raw=FILES)
def test_without_a_key_each_row_is_a_run(raw: bytes) -> None:
    whole = list(read_csv(io.BytesIO(raw), KEYED, gaiji=GAIJI))
    sheet = sheet_of(raw)
    runs = list(sheet.runs(None, ["番号"], b""))
    read = [list(sheet.pieces.read(piece)) for piece in pieces(raw, sheet, runs)]
    assert [item for items in read for item in items] == whole
    assert all(len(items) <= 1 for items in read)


def test_equal_bytes_are_equal_wherever_they_stand_and_a_digest_tells_layouts_apart() -> None:
    rows = [b"1,a,001,x\r\n1,b,001,y\r\n", b"2,a,,\r\n", b'3,"a\r\nb",,\r\n']
    forth = {run.key: run.digest for run in sheet_of(HEAD + b"".join(rows)).runs("番号", [], b"")}
    back = {run.key: run.digest for run in sheet_of(HEAD + b"".join(reversed(rows))).runs("番号", [], b"")}
    assert forth == back
    assert len(set(forth.values())) == 3
    other = layout({"name": "番号", "kind": "code"}, "名前", {"name": "郵便番号", "min_length": 4}, "備考")
    seeded = {run.key: run.digest for run in sheet_of(HEAD + b"".join(rows)).runs("番号", [], b"seed")}
    strange = {run.key: run.digest for run in sheet_of(HEAD + b"".join(rows), other).runs("番号", [], b"")}
    assert not set(forth.values()) & (set(seeded.values()) | set(strange.values()))


def test_an_unreadable_row_in_the_midst_of_a_run_changes_its_digest() -> None:
    good = [run.digest for run in sheet_of(HEAD + b"1,a,001,x\r\n1,b,001,y\r\n").runs("番号", [], b"")]
    sheet = sheet_of(HEAD + b"1,a,001,x\r\n\xfd,c,001,z\r\n1,b,001,y\r\n")
    runs = list(sheet.runs("番号", [], b""))
    assert [run.key for run in runs] == ["1"]
    assert [run.digest for run in runs] != good
    assert [fault.code for fault in sheet.faults.values()] == ["undecodable"]


def test_files_that_must_be_read_as_a_whole_are_no_sheets() -> None:
    trailer = KEYED.model_copy(update={"trailer": {"marker": "T"}})
    together = KEYED.model_copy(update={"together": ("番号",)})
    bars = KEYED.model_copy(update={"delimiter": "|"})  # it is the second byte of characters in CP932
    for shape in (trailer, together, bars):
        assert open_sheet(io.BytesIO(HEAD + b"1,a,001,x\r\n"), shape, {}) is None
    assert open_sheet(io.BytesIO(b""), KEYED, {}) is None
    assert open_sheet(io.BytesIO("他,の,見出し\r\n".encode("cp932")), KEYED, {}) is None


def test_a_file_with_too_many_faults_is_crowded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_sheet, "_MOST_FAULTS", 3)
    sheet = sheet_of(HEAD + b"1,a\r\n" * 10)
    list(sheet.runs("番号", [], b""))
    assert sheet.crowded
    assert all(isinstance(fault, Fault) for fault in sheet.faults.values())
