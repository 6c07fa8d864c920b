"""Writing fixed-length files: fields filled and cut by bytes, counts and sums put into the trailer."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from functools import cache
from typing import Any

from connectors.files.charset import Charset, Finding, Replacements, default_replacements
from connectors.files.csv_writer import RowRefused, text_of
from connectors.files.layout import FixedField, FixedLayout, RecordKind
from connectors.files.numbers import write_number

__all__ = ["FixedWriter", "to_full_width", "to_zengin"]

_FULL_BLANK = "\u3000"
_ZENGIN = re.compile(r"[0-9A-Z\uff66-\uff9f ().,/\\-]*")
_LARGE = str.maketrans("ァィゥェォッャュョヮー", "アイウエオツヤユヨワ-")


@cache
def _half_kana() -> dict[str, str]:
    """Full-width katakana and marks -> their half-width form (ガ is two characters there)."""
    return {unicodedata.normalize("NFKC", chr(code)): chr(code) for code in range(0xFF61, 0xFFA0)}


def to_zengin(text: str) -> str:
    """`text` in the half-width characters of 全銀 files: capitals, large kana, "-" for the long vowel.

    Characters the set does not have are left for the caller to refuse. The rules are the banks' input guides'.
    """
    wide = unicodedata.normalize("NFKC", text).upper()
    kana = "".join(chr(ord(c) + 0x60) if "ぁ" <= c <= "ゖ" else c for c in wide).translate(_LARGE)
    half = _half_kana()
    parts = unicodedata.normalize("NFD", kana).replace("\u3099", "ﾞ").replace("\u309a", "ﾟ")
    return "".join(half.get(c, c) for c in parts).replace("ｰ", "-")


def to_full_width(text: str) -> str:
    """Every half-width character in its full-width form, as 漢字項目 (PIC N) demand."""
    composed = re.sub("[\uff61-\uff9f]+", lambda m: unicodedata.normalize("NFKC", m.group()), text)
    return "".join(
        _FULL_BLANK if c == " " else chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in composed
    )


@dataclass(slots=True)
class FixedWriter:
    """Records to bytes: `header(...)`, `row(...)` for each, then `trailer(...)` and `end()`."""

    layout: FixedLayout
    replacements: Replacements = field(default_factory=default_replacements)
    _charset: Charset = field(init=False)

    def __post_init__(self) -> None:
        self._charset = Charset(self.layout.encoding, self.layout.substitute, self.replacements)

    def header(self, values: Mapping[str, Any]) -> bytes:
        """The header record, or nothing where the layout has none. Raises RowRefused."""
        kind = self.layout.of_role("header")
        return b"" if kind is None else self._record(kind, values, 1)[0]

    def row(self, record: Mapping[str, Any], number: int) -> tuple[bytes, tuple[Finding, ...]]:
        """One data record, and what had to be changed in it. Raises RowRefused."""
        kind = self.layout.of_role("data")
        assert kind is not None
        known = {item.name for item in kind.fields} | {self.layout.header_as}
        strange = [key for key in record if key not in known]
        if strange:
            raise RowRefused(
                strange[0],
                f"レイアウト「{self.layout.layout}」にない項目です: {'、'.join(strange)}",
                f"not a field of layout {self.layout.layout}: {', '.join(strange)}",
            )
        return self._record(kind, record, number)

    def trailer(self, rows: Iterable[Mapping[str, Any]]) -> bytes:
        """The trailer with count and sums of `rows`, or nothing where the layout has none."""
        kind = self.layout.of_role("trailer")
        if kind is None:
            return b""
        count, sums = 0, dict.fromkeys(kind.sums, Decimal(0))
        for row in rows:
            count += 1
            for name, source in kind.sums.items():
                sums[name] += Decimal(text_of(row.get(source)) or 0)
        values: dict[str, Any] = dict(sums)
        if kind.count is not None:
            values[kind.count] = count
        return self._record(kind, values, count)[0]

    def end(self) -> bytes:
        """The end record, or nothing where the layout has none."""
        kind = self.layout.of_role("end")
        return b"" if kind is None else self._record(kind, {}, 1)[0]

    def _record(
        self, kind: RecordKind, values: Mapping[str, Any], number: int
    ) -> tuple[bytes, tuple[Finding, ...]]:
        buffer = bytearray(b" " * self.layout.record_length)
        at = self.layout.kind_start - 1
        code = kind.kind.encode("ascii")
        buffer[at : at + len(code)] = code
        findings: list[Finding] = []
        for item in kind.fields:
            encoded, changed = self._field(
                item, item.value if item.value is not None else values.get(item.name)
            )
            buffer[item.start - 1 : item.stop] = encoded
            findings += [replace(finding, row=number, column=item.name) for finding in changed]
        return bytes(buffer) + (b"\r\n" if self.layout.newline == "crlf" else b""), tuple(findings)

    def _field(self, item: FixedField, value: Any) -> tuple[bytes, tuple[Finding, ...]]:
        if item.kind == "filler" or value is None or value == "":
            return self._filled(item, b"", empty=True), ()
        if item.kind == "number":
            try:
                return write_number(value, item), ()
            except ValueError as error:
                raise _refused(
                    item, f"項目「{item.name}」: 数値として書けません（{value}）", str(error)
                ) from None
        if item.kind == "date":
            return self._date(item, value), ()
        text = text_of(value)
        if item.kind == "zengin":
            text = to_zengin(text)
            if not _ZENGIN.fullmatch(text):
                raise _refused(item, f"項目「{item.name}」に全銀で使えない文字があります: {text}",
                               f"characters outside the 全銀 set: {text!r}")  # fmt: skip
        elif item.kind == "kanji":
            text = to_full_width(text)
        encoded, findings = self._charset.encode(text)
        if len(encoded) > item.length:
            if item.overflow == "refuse":
                raise _refused(
                    item,
                    f"項目「{item.name}」の値が{len(encoded)}バイトで、上限{item.length}バイトを超えています: {text}",
                    f"takes {item.length} bytes, the value has {len(encoded)}: {text!r}",
                )
            encoded = self._charset.cut(encoded, item.length)
            findings = (*findings, Finding("cut", text, encoded.decode(self._charset.encoding)))
        return self._filled(item, encoded), findings

    def _filled(self, item: FixedField, encoded: bytes, *, empty: bool = False) -> bytes:
        if item.kind == "number" and empty:
            return b"0" * item.length
        rest = item.length - len(encoded)
        if item.kind == "kanji":
            return encoded + _FULL_BLANK.encode(self._charset.encoding) * (rest // 2) + b" " * (rest % 2)
        return encoded + b" " * rest

    def _date(self, item: FixedField, value: Any) -> bytes:
        try:
            day = value if isinstance(value, date) else date.fromisoformat(str(value)[:10])
        except ValueError:
            raise _refused(
                item, f"項目「{item.name}」: 日付ではありません（{value}）", f"not a date: {value!r}"
            ) from None
        return day.strftime(item.format).encode("ascii").ljust(item.length)[: item.length]


def _refused(item: FixedField, japanese: str, english: str) -> RowRefused:
    return RowRefused(item.name, japanese, f"field {item.name}: {english}")
