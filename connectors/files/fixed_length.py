"""Fixed-length files: records of one length, cut by bytes, with header, data, trailer and end records.

Never read such a file line by line: a record may hold 0A or 0D bytes, and many have no line ends at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import IO, Any

from connectors.contract import Fault, Record
from connectors.files.charset import codec_name, first_bad_byte
from connectors.files.layout import FixedField, FixedLayout, RecordKind
from connectors.files.messages import cut_tail, fault, trailer_tail
from connectors.files.numbers import read_number

__all__ = ["read_fixed"]

_NULL_DATES = frozenset({"00000000", "99999999", "19000101", "000000", "999999", "0000", ""})
_AFTER = {
    "header": frozenset({"", "trailer", "header"}),
    "data": frozenset({"", "header", "data"}),
    "trailer": frozenset({"", "header", "data"}),
    "end": frozenset({"", "header", "data", "trailer"}),
}


@dataclass(slots=True)
class _Group:
    """One header-to-trailer group of a file."""

    header: dict[str, Any] | None = None
    count: int = 0
    sums: dict[str, int | Decimal] = field(default_factory=dict)


class _FieldFault(Exception):
    def __init__(self, code: str, item: FixedField, value: str) -> None:
        super().__init__(code)
        self.code = code
        self.item = item
        self.value = value


def read_fixed(
    stream: IO[bytes], layout: FixedLayout, *, empty_is_error: bool = False
) -> Iterator[Record | Fault]:
    """Data records of a fixed-length file as records, bad ones as faults; counts and sums are held to the trailer.

    `Record.position` is the 1-based number of the record in the file (the line, where there are line ends).
    With `on_wrong_trailer: strict` a file whose trailer disagrees gives its faults and no record; the records are
    held back until the trailer was seen, so such a file must fit into memory.
    """
    reader = _Reader(layout)
    if layout.on_wrong_trailer == "report":
        yield from reader.run(stream, empty_is_error)
        return
    held = list(reader.run(stream, empty_is_error))
    wrong = [item for item in held if isinstance(item, Fault) and item.code in _FILE_FAULTS]
    yield from [replace(item, whole=True) for item in wrong] or held


_FILE_FAULTS = frozenset({"trailer_count", "trailer_sum", "no_trailer", "cut_file"})


class _Reader:
    def __init__(self, layout: FixedLayout) -> None:
        self._layout = layout
        self._codec = codec_name(layout.encoding)
        self._kinds = {record.kind.encode(self._codec): record for record in layout.records}
        self._closing = [record for record in layout.records if record.role in ("trailer", "end")]
        self._group = _Group()
        self._role = ""
        self._strict = layout.on_wrong_trailer == "strict"
        self._tail = trailer_tail(strict=self._strict)

    def run(self, stream: IO[bytes], empty_is_error: bool) -> Iterator[Record | Fault]:
        number = 0
        for number, raw in enumerate(_records(stream, self._layout.record_length), 1):
            if len(raw) < self._layout.record_length:
                yield fault(
                    "cut_file", number, raw, **cut_tail(strict=self._strict),
                    detail_ja=f"{self._layout.record_length}バイト中{len(raw)}バイトまで",
                    detail_en=f"{len(raw)} of {self._layout.record_length} bytes",
                )  # fmt: skip
                return
            yield from self._record(number, raw)
        if number == 0:
            if empty_is_error:
                yield fault("empty_file", 1, b"")
        elif self._closing and self._role not in {record.role for record in self._closing}:
            yield fault("no_trailer", number, b"", **self._tail)

    def _record(self, number: int, raw: bytes) -> Iterator[Record | Fault]:
        start = self._layout.kind_start - 1
        kind = self._kinds.get(raw[start : start + self._layout.kind_length])
        if kind is None:
            shown = raw[start : start + self._layout.kind_length].decode(self._codec, "replace")
            yield fault(
                "record_kind", number, raw, value=shown, known=", ".join(r.kind for r in self._layout.records)
            )
            return
        if self._role not in _AFTER[kind.role]:
            yield fault(
                "record_order", number, raw,
                detail_ja=f"{kind.role} が {self._role} の後にあります",
                detail_en=f"{kind.role} after {self._role}",
            )  # fmt: skip
        self._role = kind.role
        if kind.role == "data":
            self._group.count += 1
        try:
            data = self._fields(kind, raw)
        except _FieldFault as wrong:
            yield self._field_fault(number, raw, kind, wrong)
            return
        if kind.role == "header":
            self._group = _Group(header=data)
        elif kind.role == "data":
            for name, value in data.items():
                if isinstance(value, int | Decimal):
                    self._group.sums[name] = self._group.sums.get(name, 0) + value
            if self._layout.header_as is not None:
                data[self._layout.header_as] = self._group.header
            yield Record(_plain(data), number)
        elif kind.role == "trailer":
            yield from self._against_trailer(number, raw, kind, data)
            self._group = _Group()

    def _against_trailer(
        self, number: int, raw: bytes, kind: RecordKind, data: Mapping[str, Any]
    ) -> Iterator[Fault]:
        if kind.count is not None and data[kind.count] != self._group.count:
            yield fault(
                "trailer_count", number, raw, column=kind.count, value=str(data[kind.count]),
                expected=data[kind.count], found=self._group.count, **self._tail,
            )  # fmt: skip
        for name, source in kind.sums.items():
            found = self._group.sums.get(source, 0)
            if data[name] != found:
                yield fault(
                    "trailer_sum", number, raw, column=name, value=str(data[name]),
                    expected=data[name], found=found, **self._tail,
                )  # fmt: skip

    def _fields(self, kind: RecordKind, raw: bytes) -> dict[str, Any]:
        return {
            item.name: self._value(item, raw[item.start - 1 : item.stop])
            for item in kind.fields
            if item.kind != "filler"
        }

    def _value(self, item: FixedField, raw: bytes) -> Any:
        if not raw.strip(b" \x00"):
            return None  # blanks and low-values mean "not set", also in a number
        if item.kind == "number":
            try:
                return read_number(raw, item)
            except ValueError:
                raise _FieldFault("number", item, raw.decode(self._codec, "replace")) from None
        if first_bad_byte(raw, self._codec) is not None:
            raise _FieldFault("undecodable", item, "")
        text = raw.decode(self._codec)
        text = text.rstrip(" \u3000") if item.kind == "kanji" else text.rstrip(" ")
        if item.kind != "date":
            return text
        if text.strip() in _NULL_DATES:
            return None
        try:
            return datetime.strptime(text, item.format).date().isoformat()  # noqa: DTZ007  (a calendar date)
        except ValueError:
            raise _FieldFault("date", item, text) from None

    def _field_fault(self, number: int, raw: bytes, kind: RecordKind, wrong: _FieldFault) -> Fault:
        hint: dict[str, Any] = {}
        for item in kind.fields:
            try:
                if item.kind != "filler":
                    hint[item.name] = self._value(item, raw[item.start - 1 : item.stop])
            except _FieldFault:
                continue
        words: dict[str, Any] = {"format": wrong.item.format}
        if wrong.code == "undecodable":
            offset, byte = first_bad_byte(raw[wrong.item.start - 1 : wrong.item.stop], self._codec) or (0, 0)
            words = {"encoding": self._codec.upper(), "offset": wrong.item.start + offset, "byte": byte}
        return fault(
            wrong.code,
            number,
            raw,
            column=wrong.item.name,
            value=wrong.value or None,
            hint=_plain(hint),
            **words,
        )


def _plain(data: dict[str, Any]) -> dict[str, Any]:
    """JSON can carry it: decimals become text."""
    return {key: str(value) if isinstance(value, Decimal) else value for key, value in data.items()}


def _records(stream: IO[bytes], length: int) -> Iterator[bytes]:
    """Records without their line ends; a last one that is too short comes as it is. One DOS end mark is dropped."""
    head = stream.read(length + 2)
    gap = 2 if head[length:] == b"\r\n" else 1 if head[length : length + 1] == b"\n" else 0
    buffer = head
    while True:
        block = stream.read(1 << 20)
        buffer += block
        at = 0
        while len(buffer) - at >= length + gap + 1:  # one more byte is known: this is not the end
            yield buffer[at : at + length]
            at += length + gap
        buffer = buffer[at:]
        if not block:
            break
    rest = buffer.rstrip(b"\r\n") if gap else buffer
    if len(rest) != length and rest.endswith(b"\x1a"):
        rest = rest[:-1].rstrip(b"\r\n") if gap else rest[:-1]
    while rest:
        yield rest[:length]
        rest = rest[length:].lstrip(b"\r\n") if gap else rest[length:]
