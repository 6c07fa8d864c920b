"""Reading CSV files as Japanese hosts write them: a stream of bytes to records and faults.

The fast path is the standard library's `csv` on decoded text; only a row that does not fit takes the careful one.
A row that cannot be read is a `Fault` with its bytes, its line and what could still be read of it; the rows around
it come through, also when a quote was never closed or the file was cut off.
"""

from __future__ import annotations

import csv
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from operator import itemgetter
from typing import IO, Any, Literal

from connectors.contract import Fault, Record
from connectors.files.charset import (
    codec_name,
    corrupt_characters,
    detect_encoding,
    first_bad_byte,
    private_characters,
)
from connectors.files.headers import HeaderMismatch, match_header, match_width
from connectors.files.layout import Column, CsvLayout
from connectors.files.lines import Lines
from connectors.files.messages import fault

__all__ = ["read_csv"]

_BOM = "\ufeff"
_SURROGATE = re.compile("[\udc80-\udcff]")
_SCIENTIFIC = re.compile(r"^\s*-?\d(?:\.\d+)?E\+\d+\s*$")
_HEAD = 1 << 16
_SPOOL = 8 << 20
_ABOUT = {
    "cp932": "CP932 (Shift_JIS)",
    "utf-8": "UTF-8",
    "shift_jis": "Shift_JIS (JIS X 0208)",
    "euc_jp": "EUC-JP",
}


@dataclass(frozen=True, slots=True)
class _Trailer:
    row: Sequence[str]
    line: int
    raw: bytes


def read_csv(
    stream: IO[bytes],
    layout: CsvLayout,
    *,
    empty_is_error: bool = False,
    gaiji: Mapping[str, str] | None = None,
) -> Iterator[Record | Fault]:
    """Rows of a CSV file as records keyed by the layout's column names, bad rows as faults. Streams.

    gaiji           private character -> what stands for it; the others are noted or refused, see the layout
    empty_is_error  a file without rows and header gives the fault `empty_file` instead of nothing

    `Record.position` is the 1-based line on which the row starts. Values are the text as it stands in the file.
    """
    if layout.trailer is None or layout.on_wrong_trailer == "report":
        yield from _Reader(stream, layout, gaiji or {}).run(empty_is_error)
        return
    with tempfile.SpooledTemporaryFile(max_size=_SPOOL) as spool:
        while part := stream.read(_HEAD):
            spool.write(part)
        spool.seek(0)
        bad = [
            item
            for item in _Reader(spool, layout, gaiji or {}).run(empty_is_error)
            if isinstance(item, Fault)
            and item.code in ("trailer_count", "trailer_sum", "no_trailer", "cut_file")
        ]
        if bad:
            yield from bad
            return
        spool.seek(0)
        yield from _Reader(spool, layout, gaiji or {}).run(empty_is_error)


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


class _Reader:
    def __init__(self, stream: IO[bytes], layout: CsvLayout, gaiji: Mapping[str, str]) -> None:
        self._layout = layout
        self._gaiji = {ord(key): value for key, value in gaiji.items()}
        self._head = stream.read(_HEAD)
        self._stream: Any = _Stream(self._head, stream)
        self._quoting: Literal[0, 3] = csv.QUOTE_NONE if layout.quote == "never" else csv.QUOTE_MINIMAL
        self._counted = 0
        self._sums: dict[str, Decimal] = {
            name: Decimal(0) for name in (layout.trailer.sums.values() if layout.trailer else ())
        }
        self._trailer_seen = False

    def run(self, empty_is_error: bool) -> Iterator[Record | Fault]:
        """All of the file."""
        if not self._head.strip(b"\r\n\x1a\xef\xbb\xbf"):
            if empty_is_error:
                yield fault("empty_file", 1, self._head)
            return
        wrong = self._open()
        if wrong is None:
            wrong = self._read_header()
        if wrong is not None:
            yield wrong
            return
        yield from self._data() if self._layout.trailer is None else self._checked()

    def _open(self) -> Fault | None:
        layout = self._layout
        has_bom = self._head.startswith(b"\xef\xbb\xbf")
        if layout.encoding == "auto":
            try:
                self._codec = detect_encoding(
                    self._head, [c.header or c.name for c in layout.columns] if layout.header else ()
                )
            except ValueError as error:
                return fault(
                    "encoding",
                    1,
                    _first_line(self._head),
                    detail_ja="UTF-8でもCP932でもありません",
                    detail_en=str(error),
                )
        else:
            self._codec = codec_name(layout.encoding)
            if has_bom and self._codec != "utf-8":
                return fault(
                    "encoding", 1, _first_line(self._head),
                    detail_ja=f"UTF-8（BOM付き）です。レイアウトは{_ABOUT[self._codec]}",
                    detail_en=f"it is UTF-8 with a BOM, the layout says {_ABOUT[self._codec]}",
                )  # fmt: skip
        self._lines = Lines(self._stream, self._codec)
        self._lines.at = 1 + layout.skip_lines
        return None

    def _reader(self, line: int) -> Any:
        return csv.reader(
            self._lines.since(line), strict=True, delimiter=self._layout.delimiter, quoting=self._quoting
        )

    # ------------------------------------------------------------ header

    def _read_header(self) -> Fault | None:
        lines = self._lines
        for _ in zip(range(self._layout.skip_lines), lines.since(1), strict=False):
            pass
        start = lines.at
        reader = self._reader(start)
        try:
            row: list[str] = next(reader, [])
        except csv.Error as error:
            raw = lines.raw(start, start)
            return fault(
                "header",
                start,
                raw,
                layout=self._layout.layout,
                detail_ja=f"引用符の誤り（{error}）",
                detail_en=str(error),
            )
        if row and start == 1:
            row[0] = row[0].removeprefix(_BOM)
        if not self._layout.header:
            self._header = match_width(len(row), self._layout)
            return None
        end = start + reader.line_num - 1
        raw = lines.raw(start, end)
        if any(_SURROGATE.search(cell) for cell in row):
            return self._undecodable_header(start, raw)
        try:
            self._header = match_header(row, self._layout)
        except HeaderMismatch as wrong:
            if self._codec == "cp932" and first_bad_byte(raw, "utf-8") is None and not raw.isascii():
                return self._undecodable_header(start, raw)
            return fault(
                "header",
                start,
                raw,
                layout=self._layout.layout,
                detail_ja=wrong.japanese,
                detail_en=wrong.english,
            )
        lines.at = end + 1
        return None

    def _undecodable_header(self, line: int, raw: bytes) -> Fault:
        wanted = _ABOUT.get(self._codec, self._codec)
        japanese, english = f"見出し行が{wanted}ではありません", f"the header is not {wanted}"
        if first_bad_byte(raw, "utf-8") is None:
            japanese, english = f"{japanese}（UTF-8のようです）", f"{english}, it looks like UTF-8"
        return fault("encoding", line, raw, detail_ja=japanese, detail_en=english)

    # ------------------------------------------------------------ rows

    def _data(self) -> Iterator[Any]:
        """Records, faults and trailers. The loop is the hot path: what is rare is decided behind one comparison."""
        lines, header = self._lines, self._header
        width, names = header.width, header.names
        pick: Callable[[list[str]], Sequence[str]] | None = None
        if not header.straight:
            only = itemgetter(*header.indices)
            pick = only if len(names) > 1 else lambda row: (only(row),)
        marker = self._layout.trailer.marker if self._layout.trailer else None
        phantom = header.width > header.bare
        shortest = self._shortest()
        start = lines.at
        while True:
            reader = self._reader(start)
            base = start - 1
            try:
                for row in reader:
                    if len(row) == width and start > lines.tainted and row[0] != marker and any(row):
                        if phantom and row[-1]:
                            yield from self._odd(row, start, base + reader.line_num)
                            start = lines.at = base + reader.line_num + 1
                            continue
                        for index, least in shortest:
                            if len(row[index]) < least and row[index]:
                                yield from self._odd(row, start, base + reader.line_num)
                                break
                        else:
                            yield Record(
                                dict(zip(names, row if pick is None else pick(row), strict=False)), start
                            )
                        start = lines.at = base + reader.line_num + 1
                        continue
                    end = base + reader.line_num
                    if end > start and len(row) != width and self._swallowed(start, end):
                        raise csv.Error("a quote that is opened and not closed")
                    yield from self._odd(row, start, end)
                    start = lines.at = end + 1
            except csv.Error as error:
                yield self._broken(start, base + reader.line_num, str(error))
                start = lines.at = start + 1
                continue
            return

    def _shortest(self) -> tuple[tuple[int, int], ...]:
        known = {column.name: column.min_length for column in self._layout.columns}
        pairs = zip(self._header.names, self._header.indices, strict=True)
        return tuple((index, least) for name, index in pairs if (least := known.get(name)))

    def _odd(self, row: list[str], start: int, end: int) -> Iterator[Any]:
        """A row the hot path would not take: blank, trailer, wrong width, or with something strange in it."""
        if not any(row):
            return
        lines, header = self._lines, self._header
        if self._layout.trailer is not None and row[0] == self._layout.trailer.marker:
            yield _Trailer(row, start, lines.raw(start, end))
            return
        bad = self._strange(row, start, end) or self._wrong_width(row, start, end)
        if bad is not None:
            yield bad
            return
        notes: tuple[str, ...] = ()
        values = [*row, *[""] * (header.width - len(row))]
        if any(private_characters(value) for value in row):
            values = [value.translate(self._gaiji) for value in values]
            notes = self._private_notes(values)
            if notes and self._layout.gaiji == "fault":
                index = next(i for i, value in enumerate(values) if private_characters(value))
                yield fault(
                    "gaiji", start, lines.raw(start, end), column=self._name(index),
                    value=" ".join(f"U+{ord(c):04X}" for c in private_characters(values[index])), hint=self._hint(row),
                )  # fmt: skip
                return
        yield Record(
            {name: values[i] for name, i in zip(header.names, header.indices, strict=True)}, start, notes
        )

    def _strange(self, row: list[str], start: int, end: int) -> Fault | None:
        """Undecodable or corrupt bytes, NUL, Excel damage."""
        columns = {column.name: column for column in self._layout.columns}
        for index, value in enumerate(row):
            name = self._name(index)
            if _SURROGATE.search(value) or corrupt_characters(value):
                return self._not_decodable(row, name, start, end)
            damage = _excel_damage(value, columns.get(name))
            if damage is not None:
                return fault(
                    "excel_damage", start, self._lines.raw(start, end), column=name, value=value,
                    hint=self._hint(row), detail_ja=damage[0], detail_en=damage[1],
                )  # fmt: skip
        return None

    def _not_decodable(self, row: list[str], name: str, start: int, end: int) -> Fault:
        raw = self._lines.raw(start, end)
        if self._is_cut_off(end) and len(row) < self._header.width:
            return self._cut(row, start, raw)
        bad = first_bad_byte(raw, self._codec)
        if bad is None:
            offset = raw.find(b"\x00")
            if offset >= 0:
                return fault("nul", start, raw, column=name, hint=self._hint(row))
            bad = (0, raw[0])  # U+FFFD stood in the file already: it was damaged before it was sent
        offset, byte = bad
        return fault(
            "undecodable", start, raw, column=name, hint=self._hint(row),
            encoding=_ABOUT.get(self._codec, self._codec), offset=offset + 1, byte=byte,
        )  # fmt: skip

    def _wrong_width(self, row: list[str], start: int, end: int) -> Fault | None:
        width = self._header.width
        bare = self._header.bare
        if len(row) == bare:
            return None
        if len(row) == bare + 1 and not row[-1] and (width > bare or self._layout.trailing_comma):
            return None
        raw = self._lines.raw(start, end)
        if len(row) < width and self._is_cut_off(end):
            return self._cut(row, start, raw)
        if len(row) < width and self._layout.short_rows == "pad":
            return None
        many = len(row) > width
        return fault(
            "column_count", start, raw, hint=self._hint(row), found=len(row), expected=width,
            hint_ja="値の中のカンマが引用符で囲まれていない可能性があります。" if many else "",
            hint_en="A comma inside a value may not be quoted. " if many else "",
        )  # fmt: skip

    def _cut(self, row: Sequence[str], start: int, raw: bytes) -> Fault:
        width = self._header.width
        return fault(
            "cut_file", start, raw, hint=self._hint(row),
            detail_ja=f"{width}列中{len(row)}列まで", detail_en=f"{len(row)} of {width} columns",
        )  # fmt: skip

    def _is_cut_off(self, end: int) -> bool:
        """Whether this is the file's last line and it has no line end."""
        return self._lines.cut and self._lines.last == end

    # ------------------------------------------------------------ broken quotes

    def _swallowed(self, start: int, end: int) -> bool:
        """Whether a row over several lines has eaten good rows: one of its later lines is a whole row by itself."""
        text = self._lines.raw(start + 1, end).decode(self._codec, "surrogateescape")
        for line in text.split("\n"):
            try:
                row = next(csv.reader([line], strict=True, delimiter=self._layout.delimiter), [])
            except csv.Error:
                continue
            if len(row) == self._header.width:
                return True
        return False

    def _broken(self, start: int, end: int, detail: str) -> Fault:
        """Only the first line is given up; parsing goes on behind it."""
        raw = self._lines.raw(start, start)
        text = raw.decode(self._codec, "surrogateescape").rstrip("\r\n")
        try:
            row = next(csv.reader([text], delimiter=self._layout.delimiter, quoting=self._quoting), [])
        except csv.Error:
            row = []
        if start == end and self._is_cut_off(end):
            return self._cut(row, start, raw)
        return fault("quote", start, raw, hint=self._hint(row), detail=detail)

    # ------------------------------------------------------------ small things

    def _name(self, index: int) -> str:
        header = self._header
        if index in header.indices:
            return header.names[header.indices.index(index)]
        return f"#{index + 1}"

    def _hint(self, row: Sequence[str]) -> dict[str, str]:
        """The columns that could be read; of a row with too many or too few only those to trust, from the left."""
        header = self._header
        return {
            name: row[index]
            for name, index in zip(header.names, header.indices, strict=True)
            if index < len(row) and not _SURROGATE.search(row[index]) and not corrupt_characters(row[index])
        }

    def _private_notes(self, values: Sequence[str]) -> tuple[str, ...]:
        return tuple(
            f"列「{self._name(index)}」に外字 U+{ord(character):04X} / private character in column {self._name(index)}"
            for index, value in enumerate(values)
            for character in private_characters(value)
        )

    # ------------------------------------------------------------ trailer

    def _checked(self) -> Iterator[Record | Fault]:
        """The rows, and behind them what the trailer says against them."""
        trailer = self._layout.trailer
        assert trailer is not None
        seen: _Trailer | None = None
        for item in self._data():
            if isinstance(item, _Trailer):
                seen = item
                continue
            self._counted += 1
            data = item.data if isinstance(item, Record) else item.hint or {}
            for name in self._sums:
                self._sums[name] += _number(data.get(name)) or 0
            yield item
        tail_ja, tail_en = _tail(self._layout)
        if seen is None:
            yield fault("no_trailer", self._lines.last or 1, b"", tail_ja=tail_ja, tail_en=tail_en)
            return
        if trailer.count is not None:
            said = _number(_cell(seen.row, trailer.count))
            if said != self._counted:
                yield fault(
                    "trailer_count", seen.line, seen.raw, value=_cell(seen.row, trailer.count),
                    expected=_cell(seen.row, trailer.count), found=self._counted, tail_ja=tail_ja, tail_en=tail_en,
                )  # fmt: skip
        for number, name in trailer.sums.items():
            said = _number(_cell(seen.row, number))
            if said != self._sums[name]:
                yield fault(
                    "trailer_sum", seen.line, seen.raw, column=name, value=_cell(seen.row, number),
                    expected=_cell(seen.row, number), found=self._sums[name], tail_ja=tail_ja, tail_en=tail_en,
                )  # fmt: skip


def _tail(layout: CsvLayout) -> tuple[str, str]:
    if layout.on_wrong_trailer == "strict":
        return ("このファイルは1行も取り込んでいません。", "No row of this file was taken in.")
    return (
        "読めた行は取り込みました。送信元に件数を確認してください。",
        "The rows that could be read were taken in. Check the count with the sender.",
    )


def _first_line(head: bytes) -> bytes:
    return head[: head.find(b"\n") + 1] or head


def _cell(row: Sequence[str], number: int) -> str:
    return row[number - 1].strip() if number <= len(row) else ""


def _number(text: Any) -> Decimal | None:
    try:
        return Decimal(str(text).replace(",", ""))
    except InvalidOperation:
        return None


def _excel_damage(value: str, column: Column | None) -> tuple[str, str] | None:
    if column is None or not value:
        return None
    if column.kind == "code" and _SCIENTIFIC.match(value):
        return "指数表記", "scientific notation"
    if column.min_length is not None and len(value) < column.min_length:
        return (
            f"{column.min_length}文字未満: 先頭の0が消えた可能性",
            f"shorter than {column.min_length} characters: leading zeros may be lost",
        )
    return None
