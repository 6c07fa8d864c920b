"""Searching for what is left of a person: every column of every table, and every file of the home.

Nothing here knows what a table is for. Texts and JSON are compared folded (see `hub/erasure/values.py`), bytes in
every encoding, also where a stored page is cut in two.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, text
from sqlalchemy.sql import quoted_name

from hub.erasure.files import holds
from hub.erasure.values import FOLDED, fold, patterns

__all__ = ["Place", "search", "search_files"]

_EDGE = 512
_COLUMNS = text("""
    SELECT c.table_schema AS schema, c.table_name AS name, c.column_name AS column,
           CASE WHEN c.data_type = 'bytea' THEN 'bytes' ELSE 'text' END AS how
    FROM information_schema.columns AS c
    JOIN information_schema.tables AS t USING (table_schema, table_name)
    WHERE t.table_type = 'BASE TABLE' AND c.table_schema NOT IN ('pg_catalog', 'information_schema')
      AND (c.data_type IN ('text', 'character varying', 'character', 'json', 'jsonb', 'bytea', 'xml', 'name')
           OR (c.data_type = 'ARRAY' AND c.udt_name IN ('_text', '_varchar', '_jsonb', '_bytea')))
    ORDER BY 1, 2, c.ordinal_position
""")
_CUT = text("""
    SELECT count(DISTINCT b.intake_id) FROM intake_body AS b
    JOIN intake_body AS next ON next.intake_id = b.intake_id AND next.part = b.part + 1
    WHERE b.part >= 0 AND EXISTS (
        SELECT FROM unnest(CAST(:needles AS bytea[])) AS n
        WHERE position(n IN substring(b.body FROM greatest(length(b.body) - :edge + 1, 1))
                            || substring(next.body FOR :edge)) > 0)
""")


@dataclass(frozen=True, slots=True)
class Place:
    """Where something was found: a column of a table or a file, in how many rows, and the first rows' numbers."""

    where: str
    rows: int
    ids: tuple[str, ...] = ()


def search(connection: Connection, values: Sequence[str]) -> list[Place]:
    """Every column that holds one of the values, however it is written there. Only reads.

    It reads every row: minutes on a large store. Values of fewer than two letters are passed over.
    """
    folded = sorted({fold(value) for value in values if len(fold(value)) >= 2})
    if not folded:
        return []
    needles = patterns(values)
    found: list[Place] = []
    tables: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for row in connection.execute(_COLUMNS):
        tables.setdefault((row.schema, row.name), []).append((row.column, row.how))
    for (schema, name), columns in tables.items():
        found += _search_table(connection, schema, name, columns, {"texts": folded, "needles": needles})
    cut = connection.scalar(_CUT, {"needles": needles, "edge": _EDGE})
    if cut:
        found.append(Place("public.intake_body.body (between parts)", cut))
    return found


def _search_table(
    connection: Connection,
    schema: str,
    name: str,
    columns: Sequence[tuple[str, str]],
    values: dict[str, object],
) -> Iterator[Place]:
    quote = connection.dialect.identifier_preparer.quote
    table = f"{quote(schema)}.{quote(name)}"
    tests = [_test(f"t.{quote(quoted_name(column, quote=True))}", how) for column, how in columns]
    counts = ", ".join(f"count(*) FILTER (WHERE {test}) AS c{n}" for n, test in enumerate(tests))
    row = connection.execute(text(f"SELECT {counts} FROM {table} AS t"), values).one()  # noqa: S608
    for n, (column, _) in enumerate(columns):
        if row[n]:
            yield Place(f"{schema}.{name}.{column}", row[n], _ids(connection, schema, name, tests[n], values))


def _test(column: str, how: str) -> str:
    if how == "bytes":
        return (
            f"EXISTS (SELECT FROM unnest(CAST(:needles AS bytea[])) AS n WHERE position(n IN {column}) > 0)"
        )
    body = FOLDED.format(f"{column}::text")
    return f"EXISTS (SELECT FROM unnest(CAST(:texts AS text[])) AS v WHERE position(v IN {body}) > 0)"


def _ids(
    connection: Connection, schema: str, name: str, test: str, values: dict[str, object]
) -> tuple[str, ...]:
    """Numbers of the first rows, where the table numbers its rows; other keys may be personal themselves."""
    numbered = connection.scalar(
        text(
            "SELECT column_name FROM information_schema.columns WHERE table_schema = :schema AND table_name = :name "
            "AND column_name IN ('id', 'intake_id', 'entity_id', 'delivery_id') AND data_type IN ('bigint', 'integer') "
            "ORDER BY column_name <> 'id' LIMIT 1"
        ),
        {"schema": schema, "name": name},
    )
    if numbered is None:
        return ()
    quote = connection.dialect.identifier_preparer.quote
    query = f"SELECT DISTINCT t.{numbered} FROM {quote(schema)}.{quote(name)} AS t WHERE {test} ORDER BY 1 LIMIT 10"  # noqa: S608
    return tuple(str(one) for one in connection.scalars(text(query), values))


def search_files(files: Iterable[Path], values: Sequence[str]) -> list[Path]:
    """Files that hold one of the values in their bytes."""
    needles = patterns(values)
    found = []
    for path in files:
        try:
            if holds(path, needles):
                found.append(path)
        except FileNotFoundError:
            continue  # it was archived or rotated meanwhile
    return found
