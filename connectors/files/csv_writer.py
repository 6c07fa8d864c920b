"""Writing CSV files for hosts: bytes as Windows writes them, lengths in bytes, every change of a value reported."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from connectors.files.charset import Charset, Finding, Replacements, default_replacements
from connectors.files.layout import Column, CsvLayout

__all__ = ["CsvWriter", "RowRefused", "text_of"]

_NEVER = {"\r\n": " ", "\n": " ", "\r": " ", '"': "”"}
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


class RowRefused(ValueError):
    """A row cannot be written as the layout asks; `column`, and the reason in both languages."""

    def __init__(self, column: str, japanese: str, english: str) -> None:
        super().__init__(english)
        self.column = column
        self.japanese = japanese
        self.english = english


@dataclass(slots=True)
class CsvWriter:
    """Rows to bytes, one at a time: `header()` first if the layout has one, then `row(...)` for each."""

    layout: CsvLayout
    replacements: Replacements = field(default_factory=default_replacements)
    _charset: Charset = field(init=False)
    _forbidden: re.Pattern[str] | None = field(init=False)
    _instead: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        encoding = "utf-8" if self.layout.encoding == "auto" else self.layout.encoding
        self._charset = Charset(encoding, self.layout.substitute, self.replacements)
        never = self.layout.quote == "never"
        self._instead = {
            **({**_NEVER, self.layout.delimiter: "，"} if never else {}),
            **self.layout.forbidden,
        }
        longest_first = sorted(self._instead, key=len, reverse=True)
        self._forbidden = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def header(self) -> bytes:
        """The header line, or nothing where the layout has none."""
        if not self.layout.header:
            return b""
        line, _ = self._charset.encode(self._line([c.header or c.name for c in self.layout.columns]))
        return (b"\xef\xbb\xbf" if self.layout.encoding.lower() in ("utf-8-sig", "utf-8-bom") else b"") + line

    def row(self, record: Mapping[str, Any], number: int) -> tuple[bytes, tuple[Finding, ...]]:
        """One record as a line, and what had to be changed in it. Raises RowRefused.

        `number` is the row's 1-based place in the file and only goes into the findings. A column the record lacks is
        written empty; a key the layout does not know is refused, because it would be lost without a word.
        """
        names = {column.name for column in self.layout.columns}
        strange = [key for key in record if key not in names]
        if strange:
            raise RowRefused(
                strange[0],
                f"レイアウト「{self.layout.layout}」にない列です: {'、'.join(strange)}",
                f"not a column of layout {self.layout.layout}: {', '.join(strange)}",
            )
        findings: list[Finding] = []
        values: list[str] = []
        for column in self.layout.columns:
            value, changed = self._value(column, record.get(column.name))
            values.append(value)
            findings += [replace(finding, row=number, column=column.name) for finding in changed]
        return self._charset.strict(self._line(values)), tuple(findings)

    def trailer(self, rows: Iterable[Mapping[str, Any]]) -> bytes:
        """The counting last row, or nothing where the layout has none."""
        wanted = self.layout.trailer
        if wanted is None:
            return b""
        count, sums = 0, dict.fromkeys(wanted.sums.values(), 0)
        for row in rows:
            count += 1
            for name in sums:
                sums[name] += int(text_of(row.get(name)) or 0)
        cells = [wanted.marker] + [""] * (max((wanted.count or 1, *wanted.sums), default=1) - 1)
        if wanted.count is not None:
            cells[wanted.count - 1] = str(count)
        for number, name in wanted.sums.items():
            cells[number - 1] = str(sums[name])
        return self._charset.strict(self._line(cells))

    def _value(self, column: Column, raw: Any) -> tuple[str, list[Finding]]:
        text = text_of(raw)
        if not text:
            if column.required:
                raise RowRefused(
                    column.name,
                    f"必須の列「{column.name}」が空です",
                    f"column {column.name} is required and empty",
                )
            return "", []
        findings: list[Finding] = []
        if self._forbidden is not None:
            text = self._forbidden.sub(lambda m: self._forbid(m, findings), text)
        if _CONTROL.search(text):
            text = _CONTROL.sub(lambda m: self._forbid(m, findings), text)
        text, changed = self._charset.clean(text, ascii_hyphen=column.kind == "code")
        findings += changed
        if column.max_bytes is not None:
            text = self._fitted(column, text, findings)
        return text, findings

    def _forbid(self, found: re.Match[str], findings: list[Finding]) -> str:
        instead = self._instead.get(found.group(), "")
        findings.append(Finding("forbidden", found.group(), instead))
        return instead

    def _fitted(self, column: Column, text: str, findings: list[Finding]) -> str:
        assert column.max_bytes is not None
        encoded = self._charset.strict(text)
        if len(encoded) <= column.max_bytes:
            return text
        if column.overflow == "refuse":
            raise RowRefused(
                column.name,
                f"列「{column.name}」の値が{len(encoded)}バイトで、上限{column.max_bytes}バイトを超えています: {text}",
                f"column {column.name} takes {column.max_bytes} bytes, the value has {len(encoded)}: {text!r}",
            )
        kept = self._charset.cut(encoded, column.max_bytes).decode(self._charset.encoding)
        findings.append(Finding("cut", text, kept))
        return kept

    def _line(self, values: Sequence[str]) -> str:
        if self.layout.quote == "never":
            return self.layout.delimiter.join(values) + self.layout.newline_text
        buffer = io.StringIO()
        csv.writer(
            buffer,
            delimiter=self.layout.delimiter,
            quoting=csv.QUOTE_ALL if self.layout.quote == "all" else csv.QUOTE_MINIMAL,
            lineterminator=self.layout.newline_text,
        ).writerow(values)
        return buffer.getvalue()


def text_of(value: Any) -> str:
    """A value as it stands in a file: None is empty, booleans are 1 and 0."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "1" if value else "0"
    return str(value)
