"""What every general tool is given: the orders as finished rows, from the hand-written map in front of it.

Imports nothing heavy; runs in the environments of the tools.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from bench.w1.order_map import mapped

__all__ = ["COLUMNS", "KEYS", "SCHEMA", "TABLE", "Row", "entities", "pages"]

SCHEMA, TABLE = "peer", "entity"
COLUMNS = ("kind", "key", "content")
KEYS = ("kind", "key")
Row = tuple[str, str, str]
"""Kind, key, and content as JSON."""


def entities(file: Path, channel: str) -> Iterator[Row]:
    """The orders that can be taken in; those refused are left out without a word."""
    text = file.read_bytes().decode("cp932", "replace")
    for number, _, content in mapped(text, channel):
        if content is not None:
            yield "order", f"{channel}/{number}", content.decode()


def pages(rows: Iterator[Row], size: int) -> Iterator[list[Row]]:
    """So many rows at a time."""
    while page := list(islice(rows, size)):
        yield page
