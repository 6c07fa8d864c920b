"""Handing entities out: JSON lines for machines, CSV for people."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import IO, Any

import orjson
from sqlalchemy import Connection, Engine, text

from canonical_model.entity import entity_model
from hub.progress import Counter, Watch

__all__ = ["export_csv", "export_jsonl", "safe_cell"]

# what a spreadsheet runs as a formula; Japanese ones take the full-width signs too
_FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠", "\t", "\r", "\n")
_EVERY = 1000

_COUNT = text("SELECT count(*) FROM entity WHERE kind = :kind AND deleted_at IS NULL")
_ENTITIES = text("SELECT version, content FROM entity WHERE kind = :kind AND deleted_at IS NULL ORDER BY key")


def export_jsonl(engine: Engine, kind: str, target: IO[bytes], *, watch: Watch | None = None) -> int:
    """One living entity a line, in key order: its `version` and the stored content. Returns how many.

    Raises KeyError when there is no such kind. Streams: memory stays flat.
    """
    with _reading(engine, kind) as connection:
        counter = _counter(connection, kind, watch)
        count = 0
        for entity in _counted(_entities(connection, kind), counter):
            target.write(orjson.dumps(entity, option=orjson.OPT_APPEND_NEWLINE))
            count += 1
    return count


def export_csv(engine: Engine, kind: str, target: IO[str], *, watch: Watch | None = None) -> int:
    """One row an entity, for spreadsheets: nested values under dotted names, lists as JSON. Returns how many.

    Values a spreadsheet would run as a formula are prefixed with an apostrophe. A first pass over the entities finds
    the columns, so they are read twice, and never held in memory; both passes see the same moment.
    """
    with _reading(engine, kind) as connection:
        counter = _counter(connection, kind, watch, passes=2)
        columns: dict[str, None] = {"key": None, "version": None}
        for entity in _counted(_entities(connection, kind), counter):
            columns.update(dict.fromkeys(_flat(entity)))
        writer = csv.DictWriter(target, fieldnames=list(columns), restval="")
        writer.writeheader()
        count = 0
        for entity in _counted(_entities(connection, kind), counter):
            writer.writerow(_flat(entity))
            count += 1
    return count


@contextmanager
def _reading(engine: Engine, kind: str) -> Iterator[Connection]:
    entity_model(kind)
    with engine.connect() as plain:
        yield plain.execution_options(isolation_level="REPEATABLE READ")


def _entities(connection: Connection, kind: str) -> Iterator[dict[str, Any]]:
    options = {"stream_results": True, "yield_per": 1000}
    for row in connection.execute(_ENTITIES, {"kind": kind}, execution_options=options):
        yield {"version": row.version, **row.content}


def _counter(connection: Connection, kind: str, watch: Watch | None, passes: int = 1) -> Counter:
    counter = Counter(watch)
    if counter.watched:
        counter.expect(passes * (connection.scalar(_COUNT, {"kind": kind}) or 0))
    return counter


def _counted(entities: Iterable[dict[str, Any]], counter: Counter) -> Iterator[dict[str, Any]]:
    since = 0
    for since, entity in enumerate(entities, start=1):
        yield entity
        if since % _EVERY == 0:
            counter.add(_EVERY)
    counter.add(since % _EVERY)


def _flat(value: dict[str, Any], path: str = "") -> dict[str, str]:
    row: dict[str, str] = {}
    for name, part in value.items():
        where = f"{path}.{name}" if path else name
        if isinstance(part, dict):
            row |= _flat(part, where)
        else:
            row[where] = safe_cell(part)
    return row


def safe_cell(value: Any) -> str:
    """A value for a spreadsheet: lists and objects as JSON, and nothing that would run as a formula."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    shown = value if isinstance(value, str) else orjson.dumps(value).decode()
    return f"'{shown}" if shown.startswith(_FORMULA) else shown
