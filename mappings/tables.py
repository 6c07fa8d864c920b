"""Code tables: CSV files with the columns `from,to[,note]`, which operators edit in Excel.

UTF-8 with or without a byte order mark, any line ends. `from` is matched exactly after trimming; an empty `to`
means "nothing" (the field is left out).
"""

from __future__ import annotations

import csv
import difflib
import hashlib
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mappings.faults import TransformFault
from mappings.transforms.registry import UNSET, as_text

__all__ = ["BadTable", "Table", "find_table", "read_table"]


class BadTable(ValueError):
    """A table file that cannot be used."""

    def __init__(self, line: int, ja: str, en: str) -> None:
        super().__init__(en)
        self.line, self.ja, self.en = line, ja, en


@dataclass(frozen=True)
class Table:
    """A read table. `lines` tells in which line of the file each `from` stands."""

    name: str
    file: str
    digest: str
    values: dict[str, str]
    lines: dict[str, int] = field(repr=False)

    def step(self, unknown: Any = UNSET) -> Callable[[Any], Any]:
        """The lookup as a step; `unknown` is the answer for values that are not there, else they are a fault."""
        values = self.values
        instead = unknown if unknown is UNSET or unknown or unknown == 0 else None

        def lookup(value: Any) -> Any:
            key = as_text(value)
            if not key:
                return None
            found = values.get(key)
            if found is None:
                if instead is UNSET:
                    raise self._fault(key)
                return instead
            return found or None

        return lookup

    def _fault(self, key: str) -> TransformFault:
        near = difflib.get_close_matches(key, self.values, n=2, cutoff=0.6)
        return TransformFault(
            "unknown_code",
            table=self.name,
            file=self.file,
            near_ja=f"近い値: {'、'.join(near)}" if near else "",
            near_en=f" Near: {', '.join(near)}" if near else "",
        )


def find_table(roots: Sequence[Path], connector: str, name: str) -> Path | None:
    """The table's file: the first root that has it wins, so an operator's folder goes before the shipped one."""
    for root in roots:
        path = root / connector / "tables" / f"{name}.csv"
        if path.is_file():
            return path
    return None


def read_table(path: Path, name: str, shown: str) -> Table:
    """Read a table. `shown` is the file's name in messages. Raises `BadTable` naming the line."""
    raw = path.read_bytes()
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise BadTable(
            line,
            "UTF-8 ではありません。Excel では「CSV UTF-8 (コンマ区切り)」で保存してください。",
            'this is not UTF-8. In Excel save it as "CSV UTF-8 (Comma delimited)".',
        ) from None
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    values: dict[str, str] = {}
    lines: dict[str, int] = {}
    try:
        _head(next(reader, []))
        start = reader.line_num + 1
        for row in reader:
            line, start = start, reader.line_num + 1
            cells = [cell.strip() for cell in row]
            if not any(cells):
                continue
            key, to = _pair(cells, line)
            if key in values:
                raise BadTable(
                    line,
                    f"「{key}」が {lines[key]} 行目と重複しています。どちらかを消してください。",
                    f"{key!r} stands here and in line {lines[key]}. Remove one of them.",
                )
            values[key], lines[key] = to, line
    except csv.Error as error:
        raise BadTable(reader.line_num, f"CSVとして読めません: {error}", f"this is no CSV: {error}") from None
    return Table(name, shown, hashlib.sha256(raw).hexdigest(), values, lines)


def _head(row: list[str]) -> None:
    head = [cell.strip().lower() for cell in row]
    while head and not head[-1]:
        head.pop()
    if head not in (["from", "to"], ["from", "to", "note"]):
        raise BadTable(
            1, "1行目は from,to または from,to,note です。", "the first line must be from,to or from,to,note."
        )


def _pair(cells: list[str], line: int) -> tuple[str, str]:
    if len(cells) < 2 or any(cells[3:]):
        raise BadTable(line, "列は from,to,note の3つまでです。", "a row has the columns from,to[,note].")
    if not cells[0]:
        raise BadTable(line, "from が空です。", "`from` is empty.")
    return cells[0], cells[1]
