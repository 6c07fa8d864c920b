"""The first look at a CSV file: is it empty, what is it written in, does its header fit the layout."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any, Literal

from connectors.contract import Fault
from connectors.files.charset import codec_name, detect_encoding, first_bad_byte
from connectors.files.headers import Header, HeaderMismatch, match_header, match_width
from connectors.files.layout import CsvLayout
from connectors.files.lines import Lines
from connectors.files.messages import fault

__all__ = ["SURROGATE", "OpenCsv", "about", "open_csv"]

SURROGATE = re.compile("[\udc80-\udcff]")
"""A byte that could not be decoded, see `Lines`."""
_BOM = b"\xef\xbb\xbf"
_HEAD = 1 << 16
_ABOUT = {
    "cp932": "CP932 (Shift_JIS)",
    "shift_jis": "Shift_JIS (JIS X 0208)",
    "utf-8": "UTF-8",
    "euc_jp": "EUC-JP",
}


def about(codec: str) -> str:
    """What people call a codec."""
    return _ABOUT.get(codec, codec)


@dataclass(slots=True)
class OpenCsv:
    """A file whose head fits its layout; `lines.at` is its first data line, `offset` where `lines` begin in it."""

    layout: CsvLayout
    codec: str
    lines: Lines
    header: Header
    offset: int = 0

    def reader(self, line: int) -> Any:
        """A strict `csv.reader` from `line` on."""
        return _reader(self.lines.since(line), self.layout)

    def reader_of_one(self, line: int) -> Any:
        """The same for one row: no more is decoded than it has."""
        return _reader(self.lines.one_by_one(line), self.layout)


def open_csv(stream: IO[bytes], layout: CsvLayout) -> OpenCsv | Fault | None:
    """The opened file; the fault that refuses it as a whole; None when it is empty."""
    head = stream.read(_HEAD)
    if not head.strip(b"\r\n\x1a" + _BOM):
        return None
    try:
        codec = _codec(head, layout)
    except _WrongEncoding as wrong:
        return fault("encoding", 1, _first_line(head), detail_ja=wrong.japanese, detail_en=wrong.english)
    bare = head.removeprefix(_BOM) if codec == "utf-8" else head
    lines = Lines(_Stream(bare, stream), codec)  # type: ignore[arg-type]
    lines.at = 1 + layout.skip_lines
    for _ in zip(range(layout.skip_lines), lines.since(1), strict=False):
        pass
    header = _header(lines, layout, codec)
    if isinstance(header, Fault):
        return header
    return OpenCsv(layout, codec, lines, header, len(head) - len(bare))


class _WrongEncoding(Exception):
    def __init__(self, japanese: str, english: str) -> None:
        super().__init__(english)
        self.japanese = japanese
        self.english = english


class _Stream:
    """The head of a stream, looked at and then put back in front."""

    def __init__(self, head: bytes, rest: IO[bytes]) -> None:
        self._head = head
        self._rest = rest

    def read(self, size: int) -> bytes:
        if self._head:
            head, self._head = self._head, b""
            return head + self._rest.read(max(size - len(head), 0))
        return self._rest.read(size)


def _reader(lines: Iterator[str], layout: CsvLayout) -> Any:
    quoting: Literal[0, 3] = csv.QUOTE_NONE if layout.quote == "never" else csv.QUOTE_MINIMAL
    return csv.reader(lines, strict=True, delimiter=layout.delimiter, quoting=quoting)


def _codec(head: bytes, layout: CsvLayout) -> str:
    if layout.encoding == "auto":
        expected = [column.header or column.name for column in layout.columns] if layout.header else ()
        try:
            return detect_encoding(head, expected)
        except ValueError as error:
            raise _WrongEncoding(
                "文字コードを判定できません（UTF-8でもCP932でもないようです）", str(error)
            ) from error
    codec = codec_name(layout.encoding)
    if head.startswith(_BOM) and codec != "utf-8":
        raise _WrongEncoding(
            f"UTF-8（BOM付き）です。レイアウトは{about(codec)}",
            f"it is UTF-8 with a BOM, the layout says {about(codec)}",
        )
    return codec


def _header(lines: Lines, layout: CsvLayout, codec: str) -> Header | Fault:
    """Match the header and move `lines.at` behind it; of a file without one, look at its first row."""
    start = lines.at
    reader = _reader(lines.since(start), layout)
    try:
        row: list[str] = next(reader, [])
    except csv.Error as error:
        raw = lines.raw(start, start)
        return fault(
            "header",
            start,
            raw,
            layout=layout.layout,
            detail_ja=f"引用符の誤り（{error}）",
            detail_en=str(error),
        )
    if not layout.header:
        return match_width(len(row), layout)
    end = start + reader.line_num - 1
    raw = lines.raw(start, end)
    if any(SURROGATE.search(cell) for cell in row):
        return _other_encoding(start, raw, codec)
    try:
        header = match_header(row, layout)
    except HeaderMismatch as wrong:
        if codec == "cp932" and not raw.isascii() and first_bad_byte(raw, "utf-8") is None:
            return _other_encoding(start, raw, codec)
        return fault(
            "header", start, raw, layout=layout.layout, detail_ja=wrong.japanese, detail_en=wrong.english
        )
    lines.at = end + 1
    return header


def _other_encoding(line: int, raw: bytes, codec: str) -> Fault:
    japanese, english = f"見出し行が{about(codec)}ではありません", f"the header is not {about(codec)}"
    if first_bad_byte(raw, "utf-8") is None:
        japanese, english = f"{japanese}（UTF-8のようです）", f"{english}, it looks like UTF-8"
    return fault("encoding", line, raw, detail_ja=japanese, detail_en=english)


def _first_line(head: bytes) -> bytes:
    return head[: head.find(b"\n") + 1] or head
