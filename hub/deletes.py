"""Deletions: only when the source can tell, absence only in a complete listing, and a brake against mass deletes.

A deleted entity stays, marked, as a last version; sinks that hold it are told. It lives again when it comes again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import orjson
from sqlalchemy import Connection, text

from hub.derive import FACTS, order_facts_lock
from hub.entities import Draft, content_of, merge_contents, rederive
from hub.feed import enter_feed
from hub.people.overlay import lay_links_over
from hub.store.database import digest
from hub.words import Words

__all__ = ["BRAKE_FREE", "BRAKE_SHARE", "Listing", "Origin", "Removed", "delete_absent", "delete_told"]

BRAKE_SHARE = 0.10
"""Share of what a flow brought that may vanish at once."""
BRAKE_FREE = 10
"""So many may always vanish at once: a share of a small shop is nothing."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Whose word it is that something is gone."""

    system: str
    flow: str
    mapping: str
    kind: str


@dataclass(slots=True)
class Listing:
    """What a complete listing has shown so far.

    whole     its first page was seen by this run; else absence says nothing
    doubtful  rows could not be read, so what is absent may be among them
    """

    whole: bool
    seen: set[str] = field(default_factory=set)
    doubtful: bool = False

    def begin_again(self) -> None:
        """The listing has ended; the next page begins a new one."""
        self.whole, self.seen, self.doubtful = True, set(), False


@dataclass(frozen=True, slots=True)
class Removed:
    """What came of it: entities deleted, and what an operator should read."""

    count: int = 0
    orders: int = 0
    notes: tuple[str, ...] = ()


_TOLD = text("""
    SELECT DISTINCT e.id FROM cross_reference AS x JOIN entity AS e ON e.id = x.entity_id
    WHERE x.system = :system AND x.kind = :kind AND x.external_id = ANY(:ids) AND e.deleted_at IS NULL
""")
_BROUGHT = """
    FROM record AS r JOIN intake AS i ON i.id = r.intake_id JOIN entity AS e ON e.id = r.entity_id
    WHERE r.system = :system AND r.mapping = :mapping AND i.flow = :flow AND e.deleted_at IS NULL
"""
_KNOWN = text(f"SELECT count(DISTINCT e.id) {_BROUGHT}")
_ABSENT = text(f"""
    SELECT e.id {_BROUGHT} GROUP BY e.id HAVING NOT bool_or(r.record_id = ANY(:seen)) ORDER BY e.id
""")
_SOLE = text("""
    WITH gone AS (
        UPDATE entity SET deleted_at = now(), version = version + 1, updated_at = now()
        WHERE id = ANY(:ids) AND system = :system AND deleted_at IS NULL
        RETURNING id, version, content ->> 'order_key' AS order_key
    ), fed AS (
        INSERT INTO change_feed (entity_id, kind, version, system, deleted, urgent)
        SELECT id, :kind, version, :system, true, :kind = 'stock_position' FROM gone
    )
    SELECT id, order_key FROM gone
""")
_SHARED = text("""
    DELETE FROM contribution WHERE system = :system AND entity_id = ANY(:ids)
    RETURNING entity_id
""")
_WORDS = text("SELECT system, content FROM contribution WHERE entity_id = :id ORDER BY updated_at, system")
_HOLD = text("SELECT FROM entity WHERE id = :id FOR UPDATE")
_REWRITE = text("""
    WITH written AS (
        UPDATE entity SET content = CAST(:content AS jsonb), hash = :hash, version = version + 1, updated_at = now()
        WHERE id = :id AND hash <> :hash RETURNING id, version
    )
    INSERT INTO change_feed (entity_id, kind, version, system) SELECT id, :kind, version, :system FROM written
""")
_FORGET = text("DELETE FROM record WHERE system = :system AND mapping = :mapping AND entity_id = ANY(:ids)")


def delete_told(
    connection: Connection, origin: Origin, external_ids: Sequence[str], owners: dict[str, str]
) -> Removed:
    """The source said that these are gone. Runs in the caller's transaction, before its first write."""
    enter_feed(connection)
    ids = list(
        connection.scalars(_TOLD, {"system": origin.system, "kind": origin.kind, "ids": list(external_ids)})
    )
    return _remove(connection, origin, ids, owners)


def delete_absent(
    connection: Connection, origin: Origin, listing: Listing, owners: dict[str, str], *, accepted: bool
) -> Removed:
    """What this flow once brought and a complete listing no longer shows is gone; in the caller's transaction.

    More than `BRAKE_SHARE` of it, and all of it by an empty listing, is held back until an operator accepts it
    (`accepted`).
    """
    if not listing.whole:
        return Removed()
    enter_feed(connection)
    names = {"system": origin.system, "mapping": origin.mapping, "flow": origin.flow}
    absent = list(connection.scalars(_ABSENT, {**names, "seen": list(listing.seen)}))
    if not absent:
        return Removed()
    if listing.doubtful:
        return Removed(notes=(_held_doubtful(len(absent)).say(),))
    known = connection.scalar(_KNOWN, names) or 0
    # a listing that shows nothing at all is an export that failed more often than an empty shop
    braked = not listing.seen or len(absent) > max(BRAKE_FREE, known * BRAKE_SHARE)
    if braked and not accepted:
        return Removed(notes=(_held_brake(len(absent), known).say(),))
    return _remove(connection, origin, absent, owners)


def _held_doubtful(count: int) -> Words:
    return Words(
        f"{count} 件が一覧にありませんが、読めない行があるため削除しません。行を直して再送してもらってください。",
        f"{count} are missing from the listing, but some of its rows could not be read: nothing was deleted. "
        "Have the listing mended and sent again.",
    )


def _held_brake(count: int, known: int) -> Words:
    return Words(
        f"{known} 件中 {count} 件が一覧から消えました。多すぎるため削除を保留しました。正しければ "
        "accept_deletes=true を指定して取り込み直してください。",
        f"{count} of {known} vanished from the listing at once: nothing was deleted. If that is right, "
        "run the flow again with accept_deletes=true.",
    )


def _remove(connection: Connection, origin: Origin, ids: list[int], owners: dict[str, str]) -> Removed:
    if not ids:
        return Removed()
    order_facts_lock(connection, origin.kind)
    names = {"system": origin.system, "kind": origin.kind, "ids": ids}
    gone = connection.execute(_SOLE, names).all()
    for entity_id in list(connection.scalars(_SHARED, names)):
        _speak_without(connection, origin, entity_id, owners)
    connection.execute(_FORGET, {"system": origin.system, "mapping": origin.mapping, "ids": ids})
    orders = 0
    if origin.kind in FACTS:
        orders = rederive(connection, sorted({row.order_key for row in gone if row.order_key}))
    return Removed(len(gone), orders)


def _speak_without(connection: Connection, origin: Origin, entity_id: int, owners: dict[str, str]) -> None:
    """The other systems still speak of it: what they say is what it is now."""
    connection.execute(_HOLD, {"id": entity_id})
    speakers = {row.system: row.content for row in connection.execute(_WORDS, {"id": entity_id})}
    if speakers:
        model, content = content_of(origin.kind, merge_contents(speakers, owners))
        if origin.kind == "customer":
            draft = Draft("", b"", None, 0, model.key, content)
            lay_links_over(connection, [draft])
            content = draft.content
        connection.execute(
            _REWRITE,
            {
                "id": entity_id, "kind": origin.kind, "system": origin.system, "hash": digest(content),
                "content": orjson.dumps(orjson.loads(content)).decode(),
            },
        )  # fmt: skip
