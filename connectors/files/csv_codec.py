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
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from operator import itemgetter
from typing import IO, Any

from connectors.contract import Fault, Record
from connectors.files.charset import corrupt_characters, first_bad_byte, private_characters
from connectors.files.csv_opening import SURROGATE, OpenCsv, about, open_csv
from connectors.files.layout import Column, CsvLayout, CsvTrailer
from connectors.files.messages import cut_tail, fault, trailer_tail

__all__ = ["CsvReader", "read_csv"]

_SCIENTIFIC = re.compile(r"^\s*-?\d(?:\.\d+)?E\+\d+\s*$")
_SPOOL = 8 << 20
_WRONG_ENDS = frozenset({"trailer_count", "trailer_sum", "no_trailer", "cut_file"})


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
    read = _all_or_nothing if _strict(layout) else _rows
    return read(stream, layout, empty_is_error, gaiji or {})


def _all_or_nothing(
    stream: IO[bytes], layout: CsvLayout, empty_is_error: bool, gaiji: Mapping[str, str]
) -> Iterator[Record | Fault]:
    with tempfile.SpooledTemporaryFile(max_size=_SPOOL) as spool:
        while part := stream.read(1 << 20):
            spool.write(part)
        spool.seek(0)
        first = _rows(spool, layout, empty_is_error, gaiji)
        bad = [item for item in first if isinstance(item, Fault) and item.code in _WRONG_ENDS]
        if bad:
            yield from (replace(item, whole=True) for item in bad)
            return
        spool.seek(0)
        yield from _rows(spool, layout, empty_is_error, gaiji)


def _rows(
    stream: Any, layout: CsvLayout, empty_is_error: bool, gaiji: Mapping[str, str]
) -> Iterator[Record | Fault]:
    opened = open_csv(stream, layout)
    if isinstance(opened, OpenCsv):
        return CsvReader(opened, gaiji).run()
    if isinstance(opened, Fault):
        return iter((opened,))
    return iter((fault("empty_file", 1, b""),) if empty_is_error else ())


class CsvReader:
    """The rows of an opened file."""

    def __init__(self, opened: OpenCsv, gaiji: Mapping[str, str]) -> None:
        self._open = opened
        self._layout = opened.layout
        self._lines = opened.lines
        self._header = opened.header
        self._codec = opened.codec
        self._gaiji = {ord(key): value for key, value in gaiji.items()}
        self._pick: Callable[[list[str]], Sequence[str]] | None = None
        if not self._header.straight:
            only = itemgetter(*self._header.indices)
            self._pick = only if len(self._header.names) > 1 else lambda row: (only(row),)
        self._wary = self._suspicion()

    def run(self) -> Iterator[Record | Fault]:
        """All rows of the file."""
        return self._data() if self._layout.trailer is None else self._checked(self._layout.trailer)

    # ------------------------------------------------------------ rows

    def _data(self) -> Iterator[Any]:
        """Records, faults and trailers. The loop is the hot path: what is rare is decided behind one comparison."""
        lines, header = self._lines, self._header
        width, names, pick, wary = header.width, header.names, self._pick, self._wary
        start = lines.at
        while True:
            reader = self._open.reader(start)
            base = start - 1
            try:
                for row in reader:
                    end = base + reader.line_num
                    if (
                        len(row) == width
                        and (start > lines.tainted or lines.sound(start, end))
                        and any(row)
                        and not (wary and wary(row))
                    ):
                        yield Record(
                            dict(zip(names, row if pick is None else pick(row), strict=False)), start
                        )
                    elif end > start and len(row) != width and self._swallowed(start, end):
                        raise csv.Error("a quote that is opened and not closed")
                    else:
                        yield from self._odd(row, start, end)
                    start = lines.at = end + 1
            except csv.Error as error:
                yield self._broken(start, base + reader.line_num, str(error))
                start = lines.at = start + 1
                continue
            return

    def row_at(self, start: int) -> tuple[list[Any], int]:
        """What is read at one line: a record, a fault, or nothing of a blank row; and the line to go on with.

        The same that `run` gives when it comes there, whatever stands before. Each row gets the close look.
        """
        self._lines.at = start
        reader = self._open.reader_of_one(start)
        try:
            row = next(reader, None)
            if row is None:
                return [], start + 1
            end = start - 1 + reader.line_num
            if end > start and len(row) != self._header.width and self._swallowed(start, end):
                raise csv.Error("a quote that is opened and not closed")
            return list(self._odd(row, start, end)), end + 1
        except csv.Error as error:
            return [self._broken(start, start - 1 + reader.line_num, str(error))], start + 1

    def _suspicion(self) -> Callable[[list[str]], bool] | None:
        """What must be looked for in each row of this layout; None when there is nothing."""
        header, marker = self._header, self._layout.trailer.marker if self._layout.trailer else None
        phantom = header.width > header.bare
        known = {column.name: column.min_length for column in self._layout.columns}
        pairs = zip(header.names, header.indices, strict=True)
        shortest = [(index, least) for name, index in pairs if (least := known.get(name))]
        if not (marker or phantom or shortest):
            return None

        def look(row: list[str]) -> bool:
            for index, least in shortest:
                if len(row[index]) < least and row[index]:
                    return True
            return row[0] == marker or (phantom and row[-1] != "")

        return look

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
                    characters=" ".join(f"U+{ord(c):04X}" for c in private_characters(values[index])),
                    hint=self._hint(row),
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
            if SURROGATE.search(value) or corrupt_characters(value):
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
            encoding=about(self._codec), offset=offset + 1, byte=byte,
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
            "cut_file", start, raw, hint=self._hint(row), **cut_tail(strict=_strict(self._layout)),
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
            row: list[str] = next(csv.reader([text], delimiter=self._layout.delimiter), [])
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
            if index < len(row) and not SURROGATE.search(row[index]) and not corrupt_characters(row[index])
        }

    def _private_notes(self, values: Sequence[str]) -> tuple[str, ...]:
        return tuple(
            f"列「{self._name(index)}」に外字 U+{ord(character):04X} / private character in column {self._name(index)}"
            for index, value in enumerate(values)
            for character in private_characters(value)
        )

    # ------------------------------------------------------------ trailer

    def _checked(self, trailer: CsvTrailer) -> Iterator[Record | Fault]:
        """The rows, and behind them what the trailer says against them."""
        seen: _Trailer | None = None
        counted, sums = 0, dict.fromkeys(trailer.sums.values(), Decimal(0))
        for item in self._data():
            if isinstance(item, _Trailer):
                seen = item
                continue
            counted += 1
            data = item.data if isinstance(item, Record) else item.hint or {}
            for name in sums:
                sums[name] += _number(data.get(name)) or 0
            yield item
        tail = trailer_tail(strict=_strict(self._layout))
        if seen is None:
            yield fault("no_trailer", self._lines.last or 1, b"", **tail)
            return
        if trailer.count is not None:
            said = _number(_cell(seen.row, trailer.count))
            if said != counted:
                yield fault(
                    "trailer_count", seen.line, seen.raw, value=_cell(seen.row, trailer.count),
                    expected=_cell(seen.row, trailer.count), found=counted, **tail,
                )  # fmt: skip
        for number, name in trailer.sums.items():
            said = _number(_cell(seen.row, number))
            if said != sums[name]:
                yield fault(
                    "trailer_sum", seen.line, seen.raw, column=name, value=_cell(seen.row, number),
                    expected=_cell(seen.row, number), found=sums[name], **tail,
                )  # fmt: skip


def _strict(layout: CsvLayout) -> bool:
    return layout.trailer is not None and layout.on_wrong_trailer == "strict"


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
