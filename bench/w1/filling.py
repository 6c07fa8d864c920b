"""The set-based way into the hub's tables, for what W1 is compared with: COPY to a temporary table, write what differs.

Fills the same tables with the same content as the hub does. Only the hashes are its own.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from bench.w1.store import FLOW, MAPPING, SYSTEM

__all__ = ["Filling", "run"]

PART = 4 * 1024 * 1024
_STAGE = """
    CREATE TEMP TABLE stage (record_id text, key text, position bigint, content text, hash bigint, row_hash bigint)
    ON COMMIT DROP
"""
_ENTITIES = """
    WITH differs AS (
        SELECT s.key, jsonb_strip_nulls(s.content::jsonb) AS content, int8send(s.hash) AS hash
        FROM stage AS s LEFT JOIN entity AS e ON e.kind = 'order' AND e.key = s.key
        WHERE e.hash IS DISTINCT FROM int8send(s.hash)
    ), written AS (
        INSERT INTO entity AS e (kind, key, version, content, hash, system)
        SELECT 'order', key, 1, content, hash, %(system)s FROM differs
        ON CONFLICT (kind, key) DO UPDATE SET version = e.version + 1, content = excluded.content,
            hash = excluded.hash, updated_at = now()
        RETURNING id, version
    )
    INSERT INTO change_feed (entity_id, kind, version, system) SELECT id, 'order', version, %(system)s FROM written
"""
_RECORDS = """
    INSERT INTO record AS r (system, mapping, record_id, hash, entity_id, mapping_version, intake_id, position)
    SELECT %(system)s, %(mapping)s, s.record_id, int8send(s.row_hash), e.id, 1, %(intake)s, s.position
    FROM stage AS s JOIN entity AS e ON e.kind = 'order' AND e.key = s.key
    LEFT JOIN record AS o ON o.system = %(system)s AND o.mapping = %(mapping)s AND o.record_id = s.record_id
    WHERE o.hash IS DISTINCT FROM int8send(s.row_hash)
    ON CONFLICT (system, mapping, record_id) DO UPDATE SET hash = excluded.hash, entity_id = excluded.entity_id,
        mapping_version = excluded.mapping_version, intake_id = excluded.intake_id, position = excluded.position
"""
_REFERENCES = """
    INSERT INTO cross_reference (system, kind, external_id, entity_id)
    SELECT %(system)s, 'order', s.record_id, e.id FROM stage AS s JOIN entity AS e ON e.kind = 'order' AND e.key = s.key
    ON CONFLICT DO NOTHING
"""
_DIFFERENT = """
    SELECT h.id FROM hashes AS h
    LEFT JOIN record AS r ON r.system = %(system)s AND r.mapping = %(mapping)s AND r.record_id = h.id
    WHERE r.hash IS DISTINCT FROM int8send(h.hash)
"""
_REFUSE = """
    INSERT INTO quarantine (system, flow, direction, stage, mapping, subject, code, faults, intake_id)
    SELECT %(system)s, %(flow)s, 'in', 'map', %(mapping)s, u, 'refused', '[]', %(intake)s
    FROM unnest(%(ids)s::text[]) AS u
    ON CONFLICT (system, flow, mapping, subject) WHERE state = 'open' DO UPDATE SET intake_id = excluded.intake_id
"""


class Filling:
    """One file on its way into the store, in one transaction."""

    def __init__(self, connection: psycopg.Connection[Any], name: str) -> None:
        self._connection = connection
        self._names: dict[str, Any] = {"system": SYSTEM, "mapping": MAPPING, "flow": FLOW, "intake": None}
        self._name = name

    def intake(self, raw: bytes) -> None:
        """Store the file as it was received."""
        row = self._connection.execute(
            "INSERT INTO intake (system, flow, source, name, media_type, sha256, size, state, processed_at) "
            "VALUES (%s, %s, 'files', %s, 'text/csv', %s, %s, 'processed', now()) RETURNING id",
            [SYSTEM, FLOW, self._name, hashlib.sha256(raw).digest(), len(raw)],
        ).fetchone()
        assert row is not None
        self._names["intake"] = row[0]
        for part, at in enumerate(range(0, len(raw), PART)):
            self._connection.execute(
                "INSERT INTO intake_body (intake_id, part, body) VALUES (%s, %s, %b)",
                [row[0], part, raw[at : at + PART]],
            )

    def different(self, hashes: bytes) -> list[str]:
        """The record ids of `id,hash` in CSV whose hash is not the one the store has."""
        self._connection.execute("CREATE TEMP TABLE hashes (id text, hash bigint) ON COMMIT DROP")
        self._copy("COPY hashes FROM STDIN (FORMAT csv)", [hashes])
        self._connection.execute("ANALYZE hashes")
        return [row[0] for row in self._connection.execute(_DIFFERENT, self._names)]

    def stage(self, lines: Sequence[bytes] | Iterator[bytes]) -> None:
        """CSV of record id, key, position, content, hash of the content, hash of the rows."""
        self._connection.execute(_STAGE)
        self._copy("COPY stage FROM STDIN (FORMAT csv)", lines)
        self._connection.execute("ANALYZE stage")

    def write(self, refused: Sequence[str]) -> None:
        for statement in (_ENTITIES, _RECORDS, _REFERENCES):
            self._connection.execute(statement, self._names)
        if refused:
            self._connection.execute(_REFUSE, {**self._names, "ids": list(refused)})

    def _copy(self, statement: str, parts: Sequence[bytes] | Iterator[bytes]) -> None:
        with self._connection.cursor().copy(statement) as copy:  # type: ignore[arg-type]
            for part in parts:
                copy.write(part)


@contextmanager
def _opened(url: str, name: str) -> Iterator[Filling]:
    with psycopg.connect(url) as connection:
        yield Filling(connection, name)


def run(take: Callable[[Filling, Path], None]) -> None:
    """URL FILE NAME of the command line."""
    url, file, name = sys.argv[1:4]
    with _opened(url, name) as filling:
        take(filling, Path(file))
