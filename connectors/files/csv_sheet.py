"""A CSV file told apart into runs of rows without reading them: by bytes, and carefully only where it must be.

Rows that stand together and have the same value in one column are a run. Of each run the key, a digest of its bytes
and its place are told; whoever knows the digest already need not read the run. Equal bytes under an equal layout,
header and codec are read as equal rows, so `digest` says all that reading could.

In every encoding a layout may have, the bytes of comma, quote and line end are no part of another character. A line
without a quote and with the right number of commas is one row; any other goes through `CsvReader.row_at`, which
decides as it would when it read the whole file.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import IO, Any

from connectors.contract import Fault, Piece, Record, Run
from connectors.files.charset import may_hold_trouble
from connectors.files.csv_codec import CsvReader
from connectors.files.csv_opening import OpenCsv, open_csv
from connectors.files.headers import Header
from connectors.files.layout import CsvLayout
from connectors.files.lines import Chunk, Lines

__all__ = ["CsvPieces", "CsvSheet", "open_sheet"]

_PLAIN_DELIMITERS = ",\t;:"
_LONGEST = 60_000
_MOST_LINES = 20
_MOST_FAULTS = 20_000


class CsvPieces:
    """Reads pieces of one file: whole rows with their line numbers, as they would be read in its midst. Picklable."""

    def __init__(self, layout: CsvLayout, codec: str, header: Header, gaiji: Mapping[str, str]) -> None:
        self._layout, self._codec, self._header, self._gaiji = layout, codec, header, gaiji

    def read(self, piece: Piece) -> Iterator[Record | Fault]:
        """The rows of a piece. Faults found when the file was told apart stand in `piece.faults`: they know more."""
        lines = Lines(io.BytesIO(piece.raw), self._codec, piece.line, False)
        opened = OpenCsv(self._layout, self._codec, lines, self._header)
        for item in CsvReader(opened, self._gaiji).run():
            yield piece.faults.get(item.position, item) if isinstance(item, Fault) else item


def open_sheet(stream: IO[bytes], layout: CsvLayout, gaiji: Mapping[str, str]) -> CsvSheet | None:
    """The file as a sheet; None where it must be read as a whole: a trailer that counts, a wrong header."""
    if layout.trailer is not None or layout.together or layout.delimiter not in _PLAIN_DELIMITERS:
        return None
    opened = open_csv(stream, layout)
    if not isinstance(opened, OpenCsv) or opened.header.width != opened.header.bare:
        return None
    return CsvSheet(opened, gaiji)


class CsvSheet:
    """An opened file whose rows stand for themselves. Iterate `runs` once.

    identity  what, beside a row's bytes, decides how it is read
    pieces    reads the runs afterwards
    """

    def __init__(self, opened: OpenCsv, gaiji: Mapping[str, str]) -> None:
        layout, header = opened.layout, opened.header
        self._open, self._lines, self._header = opened, opened.lines, header
        self._careful = CsvReader(opened, gaiji)
        self._quotes = layout.quote != "never"
        self._delimiter, self._sign, self._codec = layout.delimiter, layout.delimiter.encode(), opened.codec
        signs = b"\r\n" + self._sign + (b'"' if self._quotes else b"")
        self._dull = bytes(byte for byte in range(256) if byte not in signs)
        self._plain = self._sign * (header.width - 1), self._sign * (header.width - 1) + b"\r"
        self.columns = frozenset(header.names)
        self.pieces = CsvPieces(layout, opened.codec, header, gaiji)
        told = (layout.model_dump_json(), opened.codec, header, sorted(gaiji.items()))
        self.identity = hashlib.blake2b(repr(told).encode("utf-8", "surrogatepass"), digest_size=32).digest()
        self._faults: dict[int, Fault] = {}
        self.crowded = False
        """More rows than are kept could not be read: the file is to be read as a whole."""

    @property
    def faults(self) -> Mapping[int, Fault]:
        """What could not be read, by line, once `runs` is through."""
        return self._faults

    def runs(self, key: str | None, columns: Sequence[str], seed: bytes) -> Iterator[Run]:
        """The runs in the file's order; every row that is not blank, and every fault, lies in exactly one.

        key      the column whose equal values make a run; None: each row is one
        columns  whose values of the first row are told as well, where they can be
        seed     goes into the digests

        Faults without a key belong to the run in whose midst they stand, else they are one by themselves.
        """
        indices = dict(zip(self._header.names, self._header.indices, strict=True))
        wanted = [(name, indices[name]) for name in columns]
        start = hashlib.blake2b(self.identity + seed, digest_size=16)
        now: str | None = None  # the key of the run at hand; what else is known of it stands below
        values: dict[str, str] | None = None
        hashed, begin, end, line, last = start, 0, 0, 0, 0
        loose: list[_Row] = []
        for row in self._rows(-1 if key is None else indices[key]):
            own, source, raw, at, behind, first, until = row
            if own is not None and own == now:
                if loose:
                    hashed.update(b"".join(b"\n" + other[2] for other in loose))
                    loose = []
                hashed.update(b"\n" + raw)
                end, last = behind, until
                continue
            if now is not None:
                if own is None and source is None:
                    loose.append(row)
                    continue
                yield Run(now, values, hashed.digest(), begin, end, line, last)
                if loose:
                    yield from (_alone(other, start, None) for other in loose)
                    loose = []
            if own is None:
                now = None
                yield _alone(row, start, self._values(row, wanted))
                continue
            now, begin, end, line, last = own, at, behind, first, until
            values = self._values(row, wanted) if wanted or source is None else _NOTHING
            hashed = start.copy()
            hashed.update(raw)
        if now is not None:
            yield Run(now, values, hashed.digest(), begin, end, line, last)
        yield from (_alone(other, start, None) for other in loose)

    def _values(self, row: _Row, wanted: Sequence[tuple[str, int]]) -> dict[str, str] | None:
        source = row[1]
        if not wanted or source is None:
            return {} if source is not None else None
        if isinstance(source, dict):
            return {name: source[name] for name, _ in wanted}
        if isinstance(source, list):
            cells = [source[index] for _, index in wanted]
        else:
            parts = source.split(self._sign)
            try:
                cells = [parts[index].decode(self._codec).rstrip("\r") for _, index in wanted]
            except UnicodeDecodeError:
                return None
        if may_hold_trouble("".join(cells)):
            return None
        return {name: cell for (name, _), cell in zip(wanted, cells, strict=True)}

    # ------------------------------------------------------------ rows

    def _rows(self, at_key: int) -> Iterator[_Row]:
        """Every row with its key and place; plain lines of one key that stand together come as one row."""
        lines, codec = self._lines, self._codec
        at = lines.at
        for chunk in lines.chunks():
            parts = chunk.raw.split(b"\n")
            if not parts[-1]:
                parts.pop()
            number = at - chunk.first
            begin = self._open.offset + chunk.offset + sum(map(len, parts[:number])) + number
            cells = self._cells(chunk, parts, at_key)
            cells.append(None)
            open_line = -1 if chunk.raw.endswith(b"\n") else len(parts) - 1
            while number < len(parts):
                cell, behind = cells[number], number + 1
                if cell is not None:
                    key = _text(cell, codec) if at_key >= 0 else None
                    if key is not None or at_key < 0:
                        line = raw = parts[number]
                        if at_key >= 0 and cells[behind] == cell:
                            behind += 1
                            while cells[behind] == cell:
                                behind += 1
                            raw = b"\n".join(parts[number:behind])
                        end = begin + len(raw) + (behind - 1 != open_line)
                        yield key, line, raw, begin, end, chunk.first + number, chunk.first + behind - 1
                        begin, number = end, behind
                        continue
                row = self._rare(chunk, parts, number, begin, at_key)
                begin, number = row[4], row[6] + 1 - chunk.first
                if row[1] is not _BLANK:
                    yield row
                if self.crowded:
                    return
            at = lines.at = chunk.first + number

    def _cells(self, chunk: Chunk, parts: list[bytes], at_key: int) -> list[bytes | None]:
        """Of each line that is plainly one row the cell of its key, of any other None. The hot path: a step a line."""
        sign, longest = self._sign, _LONGEST
        # all that is left of a line are the signs that matter: a line is plain when they are just the delimiters
        signs = chunk.raw.translate(None, self._dull).split(b"\n")
        bare, windows = self._plain
        if at_key == 0:
            return [
                line.partition(sign)[0]
                if ((left == windows and line[-1] == _RETURN) or left == bare) and len(line) < longest
                else None
                for line, left in zip(parts, signs, strict=False)
            ]
        return [
            line.split(sign, at_key + 1)[at_key]
            if ((left == windows and line[-1] == _RETURN) or left == bare) and len(line) < longest
            else None
            for line, left in zip(parts, signs, strict=False)
        ]

    def _rare(self, chunk: Chunk, parts: list[bytes], number: int, begin: int, at_key: int) -> _Row:
        """A row that takes a closer look."""
        first = chunk.first + number
        row, count = self._quoted(parts, number, at_key)
        if row is not None:
            raw = b"\n".join(parts[number : number + count])
            key = row[at_key].strip() if at_key >= 0 else None
            return key, row, raw, begin, self._end(begin, raw, first + count), first, first + count - 1
        items, behind = self._careful.row_at(first)
        count = behind - first
        if number + count <= len(parts):
            raw = b"\n".join(parts[number : number + count])
        else:
            raw = self._lines.raw(first, behind - 1).removesuffix(b"\n")
        end = self._end(begin, raw, behind)
        if not items:
            return None, _BLANK, raw, begin, end, first, behind - 1
        item = items[0]
        source: dict[str, str] | None = None
        data = item.data if isinstance(item, Record) else item.hint or {}
        if isinstance(item, Fault):
            self._faults[item.position] = item
            self.crowded = len(self._faults) > _MOST_FAULTS
        else:
            source = item.data
        key = (data.get(self._name_at(at_key)) or "").strip() or None if at_key >= 0 else None
        return key, source, raw, begin, end, first, behind - 1

    def _end(self, begin: int, raw: bytes, behind: int) -> int:
        """Where a row ends whose lines go up to `behind`: after its line end, if it has one."""
        cut = self._lines.cut and self._lines.last == behind - 1
        return begin + len(raw) + (not cut)

    def _name_at(self, index: int) -> str:
        header = self._header
        return header.names[header.indices.index(index)]

    def _quoted(self, parts: list[bytes], number: int, at_key: int) -> tuple[list[str] | None, int]:
        """A row with quotes that is read without doubt, and how many lines it has; (None, 0) where there is any."""
        line = parts[number]
        quotes = line.count(b'"') if self._quotes else 0
        if not quotes or len(line) > _LONGEST:
            return None, 0
        behind = number + 1
        if quotes % 2:
            # what a quote opens is closed by the next line with an odd number of them; the reader would object if not
            for part in parts[behind : number + _MOST_LINES]:
                behind += 1
                if part.count(b'"') % 2:
                    break
            line = b"\n".join(parts[number:behind])
            if len(line) > _LONGEST:
                return None, 0
        try:
            text = line.decode(self._codec)
            row: list[str] = next(csv.reader((text,), strict=True, delimiter=self._delimiter), [])
        except (csv.Error, UnicodeDecodeError):
            return None, 0
        if len(row) != self._header.width or may_hold_trouble(text):
            return None, 0
        if (at_key >= 0 and not row[at_key].strip()) or not any(row):
            return None, 0
        return row, behind - number


_RETURN = ord("\r")
_BLANK: Any = object()
_NOTHING: dict[str, str] = {}
_Row = tuple["str | None", Any, bytes, int, int, int, int]
"""Key; the row as bytes, list or record, None for a fault; its bytes; begin and end in the file; its lines.

Of plain lines that come as one the first as bytes, and the bytes of all."""


def _text(cell: bytes, codec: str) -> str | None:
    """What a cell without quotes says; None when it takes a closer look."""
    if cell.isascii() and b"\0" not in cell:
        return cell.decode("ascii").strip() or None
    try:
        text = cell.decode(codec)
    except UnicodeDecodeError:
        return None
    return None if may_hold_trouble(text) else text.strip() or None


def _alone(row: _Row, start: Any, values: dict[str, str] | None) -> Run:
    """The run of a single row."""
    key, _, raw, begin, end, first, last = row
    hashed = start.copy()
    hashed.update(raw)
    return Run(key, values, hashed.digest(), begin, end, first, last)
