"""What W1 must leave in the store, and what it was told of by the server: rows written, bytes of WAL."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Self

import orjson
import psycopg

from hub.digests import digest

__all__ = [
    "CHANNEL",
    "FLOW",
    "MAPPING",
    "SYSTEM",
    "Written",
    "content_digest",
    "digests",
    "entities",
    "multiply",
]

SYSTEM, FLOW, CHANNEL, MAPPING = "core", "orders", "mailorder", "file_exchange/general_orders.in"

_MD5 = "SELECT coalesce(md5(string_agg(md5(t::text), '' ORDER BY md5(t::text))), '') || ' ' || count(*) FROM ({}) AS t"
_PARTS = {
    "entity": "SELECT kind, key, version, content, system, deleted_at IS NULL FROM entity",
    "record": "SELECT r.system, r.mapping, r.record_id, e.key, r.mapping_version, r.position, r.order_value, "
    "(SELECT count(*) FROM intake AS i WHERE i.id <= r.intake_id) "
    "FROM record AS r JOIN entity AS e ON e.id = r.entity_id",
    "cross_reference": "SELECT x.system, x.kind, x.external_id, e.key "
    "FROM cross_reference AS x JOIN entity AS e ON e.id = x.entity_id",
    "change_feed": "SELECT e.key, f.kind, f.version, f.system, f.deleted, f.urgent "
    "FROM change_feed AS f JOIN entity AS e ON e.id = f.entity_id",
    "intake": "SELECT system, flow, source, name, sha256, size, state, "
    "sha256 = (SELECT sha256(string_agg(body, ''::bytea ORDER BY part)) FROM intake_body WHERE intake_id = i.id) "
    "FROM intake AS i",
    # which orders were refused; the ways differ in how well they say why
    "refused": "SELECT DISTINCT CASE WHEN mapping = '' THEN faults -> 0 ->> 'key' ELSE subject END FROM quarantine "
    "WHERE state = 'open'",
}


def digests(url: str) -> dict[str, str]:
    """Content of the tables W1 fills, without ids, times and hashes (each way has its own)."""
    with psycopg.connect(url) as connection:
        return {name: str(_one(connection, _MD5.format(sql))) for name, sql in _PARTS.items()}


def entities(url: str) -> Iterator[tuple[str, str, Any]]:
    """Kind, key and content of what the hub's own tables hold."""
    with psycopg.connect(url) as connection, connection.cursor("entities") as cursor:
        cursor.itersize = 5000
        yield from cursor.execute("SELECT kind, key, content FROM entity WHERE deleted_at IS NULL")


def content_digest(rows: Iterable[tuple[str, str, Any]]) -> str:
    """Digest and number of (kind, key, content) rows in any order.

    `content` is what JSON gives; the order of members does not count, a null member counts as one that is not there.
    """
    every = sorted(
        digest(orjson.dumps([kind, key, _whole(content)], option=orjson.OPT_SORT_KEYS))
        for kind, key, content in rows
    )
    return f"{digest(*every).hex()} {len(every)}"


def _whole(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _whole(part) for name, part in value.items() if part is not None}
    return [_whole(part) for part in value] if isinstance(value, list) else value


def _one(connection: psycopg.Connection[Any], sql: str) -> Any:
    row = connection.execute(sql).fetchone()  # type: ignore[call-overload]
    assert row is not None
    return row[0]


@dataclass(frozen=True, slots=True)
class Written:
    """What the server has written so far: rows by table, bytes of WAL, bytes of stored files."""

    rows: dict[str, int]
    wal: int
    bodies: int

    @classmethod
    def so_far(cls, url: str) -> Self:
        with psycopg.connect(url, autocommit=True) as connection:
            found = connection.execute(
                "SELECT relname, n_tup_ins + n_tup_upd + n_tup_del FROM pg_stat_user_tables"
            ).fetchall()
            wal = _one(connection, "SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn")
            bodies = _one(connection, "SELECT coalesce(sum(size), 0) FROM intake")
        return cls(dict(found), int(wal), int(bodies))

    def since(self, before: Self) -> dict[str, Any]:
        """Rows by table, without the file itself and what runs say of themselves; bytes of WAL, and of files."""
        own = {"intake", "intake_body", "flow_run", "flow_state", "rate_budget"}
        rows = {
            name: count - before.rows.get(name, 0)
            for name, count in self.rows.items()
            if name not in own and count != before.rows.get(name, 0)
        }
        return {"rows": rows, "wal": self.wal - before.wal, "bodies": self.bodies - before.bodies}


_MULTIPLY = """
    WITH made AS (
        INSERT INTO entity (kind, key, version, content, hash, system)
        SELECT kind, key || '-' || n, version,
               content || jsonb_build_object('key', key || '-' || n, 'number', (content ->> 'number') || '-' || n),
               hash, system
        FROM entity CROSS JOIN generate_series(2, %(times)s) AS n WHERE kind = 'order' RETURNING id, key
    ), fed AS (
        INSERT INTO change_feed (entity_id, kind, version, system) SELECT id, 'order', 1, %(system)s FROM made
    ), named AS (
        INSERT INTO cross_reference (system, kind, external_id, entity_id)
        SELECT %(system)s, 'order', substr(key, length(%(channel)s) + 2), id FROM made
    )
    INSERT INTO record (system, mapping, record_id, hash, entity_id, mapping_version, intake_id, position)
    SELECT r.system, r.mapping, r.record_id || '-' || n, r.hash, m.id, r.mapping_version, r.intake_id, r.position
    FROM record AS r CROSS JOIN generate_series(2, %(times)s) AS n
    JOIN made AS m ON m.key = %(channel)s || '/' || r.record_id || '-' || n
"""


def multiply(url: str, times: int) -> None:
    """Put so many times the orders into the store, under other numbers."""
    with psycopg.connect(url) as connection:
        connection.execute(_MULTIPLY, {"times": times, "system": SYSTEM, "channel": CHANNEL})
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")
