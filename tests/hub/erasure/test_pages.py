"""Blanking rows of stored files: nobody else's row says anything else afterwards."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import pytest
import yaml
from hypothesis import given, strategies as st

from connectors.contract import Fault, Record, Source, Title
from connectors.file_exchange.formats import read_records
from hub.erasure.pages import blanked, without_rows, without_values
from hub.intake import Intake

BASE: Mapping[str, Any] = {
    "layout": "people", "title": {"ja": "人", "en": "people"}, "format": "csv", "columns": ["no", "name", "yen"]
}  # fmt: skip
ROWS = ["1,山田 太郎,100", '2,"川嶋\n花子",250', "3,鈴木 一郎,30"]
ITEM = Intake(
    1, "s", "f", "files", "a.csv", "text/csv", b"", 0, {}, (), False, "processed", datetime.now(UTC)
)


def source(folder: Path, **more: Any) -> Source:
    """Files of a layout, read as they are when they are taken in."""
    (folder / "people.yaml").write_text(yaml.safe_dump({**BASE, **more}, allow_unicode=True), "utf-8")

    def decode(stream: IO[bytes], *_: Any) -> Iterator[Record | Fault]:
        return read_records(stream, "people", layouts=[folder])

    return Source("files", lambda *_: iter(()), "no", Title("", ""), decode=decode)


def file(rows: list[str], encoding: str, *tail: str) -> bytes:
    return "".join(f"{row}\r\n" for row in ("no,name,yen", *rows, *tail)).encode(encoding)


def read(from_: Source, body: bytes) -> list[tuple[int, Any]]:
    assert from_.decode is not None
    rows = from_.decode(io.BytesIO(body), None, {})
    return [(row.position, row.data if isinstance(row, Record) else row.code) for row in rows]


@pytest.mark.parametrize("encoding", ["cp932", "utf-8", "utf-8-sig"])
def test_a_row_over_two_lines_goes_whole_and_the_others_stay(tmp_path: Path, encoding: str) -> None:
    body = file(ROWS, encoding)
    of_people = source(tmp_path, encoding="auto")
    new = without_rows(body, ITEM, of_people, None, {3})
    assert new is not None
    assert len(new) == len(body)
    assert [row for row in read(of_people, new) if row[0] not in (3, 4)] == [
        row for row in read(of_people, body) if row[0] != 3
    ]
    assert "花子".encode(encoding) not in new


def test_a_trailer_that_counts_rows_still_agrees(tmp_path: Path) -> None:
    of_people = source(tmp_path, trailer={"marker": "T", "count": 2}, on_wrong_trailer="strict")
    body = file([ROWS[0], ROWS[2]], "cp932", "T,2,")
    new = without_rows(body, ITEM, of_people, None, {3})
    assert new is not None
    assert (2, {"no": "1", "name": "山田 太郎", "yen": "100"}) in read(of_people, new)


def test_a_trailer_that_sums_cannot_be_kept_right_so_nothing_is_blanked(tmp_path: Path) -> None:
    of_people = source(tmp_path, trailer={"marker": "T", "sums": {3: "yen"}}, on_wrong_trailer="strict")
    assert without_rows(file([ROWS[0], ROWS[2]], "cp932", "T,,130"), ITEM, of_people, None, {3}) is None


def test_a_line_that_is_not_there_is_no_row(tmp_path: Path) -> None:
    assert without_rows(file(ROWS, "cp932"), ITEM, source(tmp_path), None, {99}) is None


def test_values_go_out_of_one_row_only() -> None:
    body = "a,川嶋 花子\r\nb,川嶋 花子\r\n".encode("cp932")
    new = without_values(body, {2}, ["川嶋 花子".encode("cp932")])
    assert new == "a,川嶋 花子\r\nb,         \r\n".encode("cp932")


@given(st.text(alphabet="あア漢a,\"' 0", max_size=30), st.sampled_from(["cp932", "utf-8", "utf-16-le"]))
def test_blanks_keep_length_and_line_ends(text: str, encoding: str) -> None:
    line = f"{text}\r\n".encode(encoding)
    new = blanked(line)
    assert len(new) == len(line)
    assert (new.count(b"\n"), new.count(b"\r")) == (line.count(b"\n"), line.count(b"\r"))
    if encoding != "utf-16-le":
        assert new.strip() == b""
