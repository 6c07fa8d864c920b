"""Writing entities: set-based, only what changed, with a row in the change feed for each new version."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from weakref import ref

import orjson
from sqlalchemy import Connection, TextClause, bindparam, text

from hub.derive import FACTS, derive_orders, order_facts_lock
from hub.drafting import content_of
from hub.feed import enter_feed
from hub.people.overlay import lay_links_over
from hub.positions import hold_back_older, note_counted_again
from hub.store.database import copy_rows, digest
from hub.urgency import urgent_sql

__all__ = ["HUB", "Draft", "Raced", "Written", "content_of", "write_drafts"]

HUB = "hub"
"""The `system` of versions the hub made itself, by deriving an order's state from facts."""


class Raced(Exception):
    """Another transaction created one of the entities meanwhile; run the chunk again."""


@dataclass(slots=True)
class Draft:
    """What one record says an entity is. `content` is the stored JSON of the validated entity."""

    record_id: str
    record_hash: bytes
    external_id: str | None
    position: int
    key: str
    content: bytes
    merged: bool = False
    write: bool = True
    order_value: str | None = None
    """What the source orders versions of the record by."""
    intake_id: int | None = None
    """The page it came in, where that is not the same for all."""

    _hashed: bytes | None = None
    _hash: bytes = b""

    @property
    def hash(self) -> bytes:
        if self._hashed is not self.content:  # the content is replaced by merging and deriving
            self._hashed, self._hash = self.content, digest(self.content)
        return self._hash


@dataclass(slots=True)
class Written:
    """What a chunk came to. `kinds` also counts the orders that were derived again."""

    created: int = 0
    updated: int = 0
    kinds: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Existing:
    id: int
    hash: bytes
    system: str | None
    deleted: bool


def write_drafts(
    connection: Connection,
    *,
    system: str,
    kind: str,
    mapping: str,
    mapping_version: int,
    intake_id: int,
    drafts: Sequence[Draft],
    authority: Mapping[str, Mapping[str, str]],
) -> Written:
    """Write the drafts of one kind in the caller's transaction; of several with the same key the last counts.

    `authority` is, for each kind, field -> system that owns it. Raises `Raced` when the transaction must be repeated.
    """
    written = Written()
    if not drafts:
        return written
    enter_feed(connection)
    order_facts_lock(connection, kind)
    newest = {draft.key: draft for draft in drafts}
    existing = _lock_existing(connection, kind, list(newest))
    if kind == "stock_position":
        hold_back_older(connection, system, drafts, newest)
    shared = [d for d in newest.values() if (old := existing.get(d.key)) is not None and old.system != system]
    if shared:
        _merge(connection, system, kind, shared, existing, authority.get(kind, {}))
    if kind == "order":
        derive_orders(connection, list(newest.values()))
    if kind == "customer":
        lay_links_over(connection, list(newest.values()))
    for draft in drafts:
        old = existing.get(draft.key)
        changed = old is None or old.deleted or old.hash != draft.hash
        draft.write = changed and newest.get(draft.key) is draft
    if kind == "stock_position":
        note_counted_again(connection, [draft for draft in drafts if not draft.write])
    _stage(connection, drafts)
    expected = sum(draft.write for draft in drafts)
    if expected:
        row = connection.execute(_upsert_entities(kind), {"system": system, "kind": kind}).one()
        if row.written != expected:
            raise Raced
        written.created, written.updated = row.created, row.written - row.created
        written.kinds[kind] = row.written
    names = {
        "system": system,
        "kind": kind,
        "mapping": mapping,
        "version": mapping_version,
        "intake": intake_id,
    }
    connection.execute(_UPSERT_RECORDS, names)
    connection.execute(_UPSERT_REFERENCES, names)
    if kind in FACTS and expected:
        keys = {orjson.loads(draft.content).get("order_key") for draft in drafts if draft.write}
        derived = rederive(connection, sorted(key for key in keys if key))
        if derived:
            written.kinds["order"] = derived
    return written


def rederive(connection: Connection, order_keys: Sequence[str]) -> int:
    """Derive the orders again from the facts known now; returns how many changed."""
    rows = connection.execute(_LOCK_CONTENT, {"kind": "order", "keys": list(order_keys)}).all()
    drafts = [
        Draft("", b"", None, 0, row.key, orjson.dumps(row.content)) for row in rows if not row.deleted_at
    ]
    if not drafts:
        return 0
    derive_orders(connection, drafts, always=True)
    hashes = {row.key: bytes(row.hash) for row in rows}
    changed = [draft for draft in drafts if draft.hash != hashes[draft.key]]
    if not changed:
        return 0
    _stage(connection, changed)
    connection.execute(_UPDATE_DERIVED, {"kind": "order", "system": HUB})
    return len(changed)


def _lock_existing(connection: Connection, kind: str, keys: list[str]) -> dict[str, _Existing]:
    rows = connection.execute(_LOCK, {"kind": kind, "keys": keys})
    return {
        row.key: _Existing(row.id, bytes(row.hash), row.system, row.deleted_at is not None) for row in rows
    }


def _merge(
    connection: Connection,
    system: str,
    kind: str,
    drafts: Iterable[Draft],
    existing: Mapping[str, _Existing],
    owners: Mapping[str, str],
) -> None:
    """Several systems speak of these entities: keep what each said, and put together what counts."""
    ids = {existing[draft.key].id: draft for draft in drafts}
    connection.execute(_SPLIT_SOLE, {"ids": list(ids), "system": system})
    said: dict[int, dict[str, dict[str, Any]]] = {entity_id: {} for entity_id in ids}
    for row in connection.execute(_CONTRIBUTIONS, {"ids": list(ids)}):
        said[row.entity_id][row.system] = row.content
    mine = []
    for entity_id, draft in ids.items():
        content = orjson.loads(draft.content)
        mine.append({"id": entity_id, "system": system, "content": draft.content.decode()})
        # the newest speaker comes last and wins the fields nobody owns
        speakers = {name: c for name, c in said[entity_id].items() if name != system} | {system: content}
        _, draft.content = content_of(kind, merge_contents(speakers, owners))
        draft.merged = True
    connection.execute(_UPSERT_CONTRIBUTION, mine)


def merge_contents(speakers: Mapping[str, Mapping[str, Any]], owners: Mapping[str, str]) -> dict[str, Any]:
    """One content out of what several systems said, oldest speaker first.

    A field with an owner takes the owner's value once the owner has spoken of it; any other field the newest
    speaker's. `owners` may hold "*" for all fields not named.
    """
    merged: dict[str, Any] = {}
    for content in speakers.values():
        merged.update(content)
    traits: dict[str, Any] = {}
    for content in speakers.values():
        traits.update(content.get("traits") or {})
    if traits:
        merged["traits"] = traits
    for name in merged:
        owner = owners.get(name, owners.get("*"))
        if owner is not None and name in speakers.get(owner, {}) and name not in ("key", "traits"):
            merged[name] = speakers[owner][name]
    return merged


def _stage(connection: Connection, drafts: Sequence[Draft]) -> None:
    connection.execute(_CREATE_STAGE)
    transaction = connection.get_transaction()
    used = connection.info.get("stage")
    if used is not None and used() is transaction:
        connection.execute(_EMPTY_STAGE)
    elif (
        transaction is not None
    ):  # it is empty at the start of each; emptying it costs as much as a small page
        connection.info["stage"] = ref(transaction)
    copy_rows(
        connection,
        "COPY pg_temp.stage (record_id, record_hash, external_id, position, key, content, hash, merged, write, "
        "order_value, intake_id) FROM STDIN (FORMAT BINARY)",
        ["text", "bytea", "text", "int8", "text", "jsonb", "bytea", "bool", "bool", "text", "int8"],
        (
            (
                d.record_id,
                d.record_hash,
                d.external_id,
                d.position,
                d.key,
                d.content,
                d.hash,
                d.merged,
                d.write,
                d.order_value,
                d.intake_id,
            )
            for d in sorted(drafts, key=lambda draft: draft.key)
        ),
    )


_LOCK = text(
    "SELECT id, key, hash, system, deleted_at FROM entity WHERE kind = :kind AND key = ANY(:keys) "
    "ORDER BY key FOR UPDATE"
)
_LOCK_CONTENT = text(
    "SELECT id, key, hash, content, deleted_at FROM entity WHERE kind = :kind AND key = ANY(:keys) "
    "ORDER BY key FOR UPDATE"
)
_CREATE_STAGE = text(
    "CREATE TEMP TABLE IF NOT EXISTS stage (record_id text, record_hash bytea, external_id text, position bigint, "
    "key text, content jsonb, hash bytea, merged bool, write bool, "
    "order_value text, intake_id bigint) ON COMMIT DELETE ROWS"
)
_EMPTY_STAGE = text("TRUNCATE pg_temp.stage")
_UPSERT_ENTITIES = """
    WITH written AS (
        INSERT INTO entity AS e (kind, key, version, content, hash, system)
        SELECT :kind, key, 1, content, hash, CASE WHEN merged THEN NULL ELSE :system END
        FROM pg_temp.stage WHERE write ORDER BY key
        ON CONFLICT (kind, key) DO UPDATE
            SET version = e.version + 1, content = excluded.content, hash = excluded.hash,
                system = excluded.system, updated_at = now(), deleted_at = NULL
            WHERE (e.hash <> excluded.hash OR e.deleted_at IS NOT NULL)
              AND (excluded.system IS NULL OR e.system = excluded.system)
        RETURNING id, key, version
    ), fed AS (
        INSERT INTO change_feed (entity_id, kind, version, system, urgent)
        SELECT w.id, :kind, w.version, :system, {urgent}
    )
    SELECT count(*) AS written, count(*) FILTER (WHERE version = 1) AS created FROM written
"""
# `entity` as this statement found it: what was written just now is not seen there
_COMPARED = """FROM written AS w JOIN pg_temp.stage AS s ON s.write AND s.key = w.key
        LEFT JOIN entity AS o ON o.id = w.id"""


@cache
def _upsert_entities(kind: str) -> TextClause:
    """New entities are never urgent; of those that were there, the old and the new content decide."""
    rule = urgent_sql(kind)
    if rule is None:
        return text(_UPSERT_ENTITIES.format(urgent="false FROM written AS w"))
    return text(_UPSERT_ENTITIES.format(urgent=f"{rule} {_COMPARED}"))


_UPDATE_DERIVED = text("""
    WITH written AS (
        UPDATE entity AS e SET version = e.version + 1, content = s.content, hash = s.hash, updated_at = now()
        FROM pg_temp.stage AS s WHERE e.kind = :kind AND e.key = s.key
        RETURNING e.id, e.version
    )
    INSERT INTO change_feed (entity_id, kind, version, system) SELECT id, :kind, version, :system FROM written
""")
_UPSERT_RECORDS = text("""
    INSERT INTO record AS r (system, mapping, record_id, hash, entity_id, mapping_version, intake_id, position,
                             order_value)
    SELECT :system, :mapping, s.record_id, s.record_hash, e.id, :version, coalesce(s.intake_id, :intake), s.position,
           s.order_value
    FROM pg_temp.stage AS s
    CROSS JOIN LATERAL (SELECT id FROM entity WHERE kind = :kind AND key = s.key OFFSET 0) AS e
    ON CONFLICT (system, mapping, record_id) DO UPDATE
        SET hash = excluded.hash, entity_id = excluded.entity_id, mapping_version = excluded.mapping_version,
            intake_id = excluded.intake_id, position = excluded.position, order_value = excluded.order_value
""")
_UPSERT_REFERENCES = text("""
    INSERT INTO cross_reference AS x (system, kind, external_id, entity_id)
    SELECT DISTINCT ON (s.external_id) :system, :kind, s.external_id, e.id
    FROM pg_temp.stage AS s
    CROSS JOIN LATERAL (SELECT id FROM entity WHERE kind = :kind AND key = s.key OFFSET 0) AS e
    WHERE s.external_id IS NOT NULL
    ON CONFLICT (system, kind, external_id) DO UPDATE SET entity_id = excluded.entity_id
        WHERE x.entity_id <> excluded.entity_id
""")
_SPLIT_SOLE = text("""
    INSERT INTO contribution (entity_id, system, content, updated_at)
    SELECT id, system, content, updated_at FROM entity
    WHERE id = ANY(:ids) AND system IS NOT NULL AND system <> :system
    ON CONFLICT DO NOTHING
""")
_CONTRIBUTIONS = text(
    "SELECT entity_id, system, content FROM contribution WHERE entity_id = ANY(:ids) ORDER BY updated_at, system"
)
_UPSERT_CONTRIBUTION = text("""
    INSERT INTO contribution (entity_id, system, content) VALUES (:id, :system, CAST(:content AS jsonb))
    ON CONFLICT (entity_id, system) DO UPDATE SET content = excluded.content, updated_at = now()
        WHERE contribution.content <> excluded.content
""").bindparams(bindparam("content"))
