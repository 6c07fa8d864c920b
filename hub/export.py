"""Handing entities out: JSON lines for machines, CSV for people."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from typing import IO, Any

import orjson
from sqlalchemy import Engine, text

from canonical_model.entity import entity_model

__all__ = ["export_csv", "export_jsonl", "read_entities"]

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def read_entities(engine: Engine, kind: str) -> Iterator[dict[str, Any]]:
    """All living entities of a kind in key order, with `version` beside the content. Streams; memory stays flat.

    Raises KeyError when there is no such kind.
    """
    entity_model(kind)
    query = text(
        "SELECT key, version, content FROM entity WHERE kind = :kind AND deleted_at IS NULL ORDER BY key"
    )
    with engine.connect().execution_options(stream_results=True, yield_per=1000) as connection:
        for row in connection.execute(query, {"kind": kind}):
            yield {"version": row.version, **row.content}


def export_jsonl(engine: Engine, kind: str, target: IO[bytes]) -> int:
    """One entity a line. Returns how many."""
    count = 0
    for entity in read_entities(engine, kind):
        target.write(orjson.dumps(entity, option=orjson.OPT_APPEND_NEWLINE))
        count += 1
    return count


def export_csv(engine: Engine, kind: str, target: IO[str]) -> int:
    """One row an entity, for spreadsheets: nested values under dotted names, lists as JSON. Returns how many.

    Values a spreadsheet would run as a formula are prefixed with an apostrophe. The columns are found by a first
    pass over the entities, so the file is read twice from the store and never held in memory.
    """
    columns: dict[str, None] = {"key": None, "version": None}
    for entity in read_entities(engine, kind):
        columns.update(dict.fromkeys(_flat(entity)))
    writer = csv.DictWriter(target, fieldnames=list(columns), restval="")
    writer.writeheader()
    count = 0
    for entity in read_entities(engine, kind):
        writer.writerow(_flat(entity))
        count += 1
    return count


def _flat(value: dict[str, Any], path: str = "") -> dict[str, str]:
    row: dict[str, str] = {}
    for name, part in value.items():
        where = f"{path}.{name}" if path else name
        if isinstance(part, dict):
            row |= _flat(part, where)
        else:
            row[where] = _cell(part)
    return row


def _cell(value: Any) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    shown = value if isinstance(value, str) else orjson.dumps(value).decode()
    return f"'{shown}" if shown.startswith(_FORMULA) else shown
