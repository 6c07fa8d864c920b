"""Matching a file's header line with a layout: by text after NFKC and strip, never by luck.

A header that does not fit refuses the file, and the reason names the columns: loading a file by position whose
columns moved would fill every order with another column's values.
"""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from connectors.files.layout import Column, CsvLayout

__all__ = ["Header", "HeaderMismatch", "fold", "match_header", "match_width"]


@dataclass(frozen=True, slots=True)
class Header:
    """Which column of the file is which of the layout.

    width    columns the header has, and so has a row
    bare     the same without a phantom column after a trailing comma
    names    record keys, in the order of `indices`
    indices  0-based columns of the file
    """

    width: int
    bare: int
    names: tuple[str, ...]
    indices: tuple[int, ...]

    @property
    def straight(self) -> bool:
        """Whether the names simply stand in the file's order from its first column on."""
        return self.indices == tuple(range(len(self.names)))


class HeaderMismatch(ValueError):
    """The header does not fit; `japanese` and `english` say how."""

    def __init__(self, japanese: str, english: str) -> None:
        super().__init__(english)
        self.japanese = japanese
        self.english = english


def fold(text: str) -> str:
    """The form in which header texts are compared: １２（％） equals 12(%)."""
    return unicodedata.normalize("NFKC", text).strip()


def match_header(row: Sequence[str], layout: CsvLayout) -> Header:
    """Match the header line `row`. Raises HeaderMismatch naming missing, unknown and repeated columns."""
    cells = [fold(cell) for cell in row]
    while len(cells) > 1 and not cells[-1]:
        cells.pop()  # a trailing comma makes a phantom column
    wanted: dict[str, list[Column]] = {}
    for column in layout.columns:
        for text in dict.fromkeys(fold(t) for t in (column.header or column.name, *column.aliases)):
            wanted.setdefault(text, []).append(column)
    taken: dict[str, int] = {}
    unknown: list[int] = []
    repeated: list[str] = []
    for index, cell in enumerate(cells):
        candidates = [column for column in wanted.get(cell, ()) if column.name not in taken]
        if candidates:
            taken[candidates[0].name] = index
        elif cell in wanted:
            repeated.append(row[index].strip())
        else:
            unknown.append(index)
    missing = [c.name for c in layout.columns if c.name not in taken and not c.optional]
    if len(cells) in layout.older and set(missing) <= {c.name for c in layout.columns[len(cells) :]}:
        missing = []
    strange = [row[index].strip() for index in unknown] if layout.extra_columns == "error" else []
    if missing or strange or repeated:
        raise _mismatch(missing, strange, repeated)
    names = list(taken.items())
    if layout.extra_columns == "keep":
        names += [(row[index].strip(), index) for index in unknown]
    names.sort(key=lambda item: item[1])
    return Header(len(row), len(cells), tuple(name for name, _ in names), tuple(index for _, index in names))


def match_width(width: int, layout: CsvLayout) -> Header:
    """The columns of a file without a header whose first row has `width` columns: this or an older version."""
    if width not in layout.older:
        width = len(layout.columns)
    return Header(width, width, tuple(c.name for c in layout.columns[:width]), tuple(range(width)))


def _mismatch(missing: list[str], unknown: list[str], repeated: list[str]) -> HeaderMismatch:
    japanese: list[str] = []
    english: list[str] = []
    if missing:
        japanese.append(f"ない列: {'、'.join(missing)}")
        english.append(f"missing column(s) {', '.join(missing)}")
    if unknown:
        close = {u: difflib.get_close_matches(u, missing, 1, 0.4) for u in unknown}
        japanese.append(
            "知らない列: "
            + "、".join(f"{u}（{c[0]}のことですか）" if c else u or "（空）" for u, c in close.items())
        )
        english.append(
            "unknown column(s) "
            + ", ".join(f"{u} (did you mean {c[0]}?)" if c else u or "(blank)" for u, c in close.items())
        )
    if repeated:
        japanese.append(f"重複する列: {'、'.join(repeated)}")
        english.append(f"repeated column(s) {', '.join(repeated)}")
    return HeaderMismatch("。".join(japanese), "; ".join(english))
