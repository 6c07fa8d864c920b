"""Persons: customers held together by linked pairs, one of them the survivor (統合先).

Links are the truth, and there is never more than one way from a customer to another (a pair inside a person is
refused), so taking any link back parts exactly the two sides. Who belongs to whom, who survives and what the others
show is worked out from the links alone, whatever order they were made in: `settle` writes what that changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import Connection, text

from hub.entities import HUB
from hub.people.overlay import denials, laid_over, own_part, without_overlay
from hub.store.database import digest

if TYPE_CHECKING:
    from hub.systems import Systems

__all__ = ["Survivors", "alone", "groups", "person_of", "persons_of", "settle"]

_PEOPLE_LOCK = 0x7453_5045
_ALONE = text("SELECT pg_advisory_xact_lock(:lock)")
_GROUPS = text("""
    WITH RECURSIVE walk AS (
        SELECT id AS start, id FROM unnest(CAST(:ids AS bigint[])) AS s(id)
        UNION
        SELECT w.start, n.id FROM walk AS w CROSS JOIN LATERAL (
            SELECT other_id AS id FROM people_pair WHERE state = 'linked' AND one_id = w.id
            UNION ALL
            SELECT one_id FROM people_pair WHERE state = 'linked' AND other_id = w.id
        ) AS n
    )
    SELECT start, id FROM walk ORDER BY start, id
""")
_CUSTOMERS = text("""
    SELECT e.id, e.key, e.content, e.hash, e.deleted_at, m.person_id, m.overlay, m.own
    FROM entity AS e LEFT JOIN people_member AS m ON m.entity_id = e.id
    WHERE e.id = ANY(:ids)
""")
# in a statement of its own: what a writer changed while this one waited must be seen whole, content and `own` alike
_HOLD = text("SELECT FROM entity WHERE id = ANY(:ids) ORDER BY key FOR UPDATE")
_CHOSEN = text("""
    SELECT survivor_id FROM people_pair
    WHERE state = 'linked' AND survivor_id IS NOT NULL AND one_id = ANY(:ids)
    ORDER BY decided_at DESC, id DESC
""")
_REMEMBER = text("""
    INSERT INTO people_member AS m (entity_id, person_id, overlay, own)
    SELECT id, person, CAST(overlay AS jsonb), CAST(own AS jsonb)
    FROM unnest(CAST(:ids AS bigint[]), CAST(:persons AS bigint[]), CAST(:overlays AS text[]), CAST(:owns AS text[]))
        AS n(id, person, overlay, own)
    ON CONFLICT (entity_id) DO UPDATE SET person_id = excluded.person_id, overlay = excluded.overlay, own = excluded.own
""")
_RELEASE = text("DELETE FROM people_member WHERE entity_id = ANY(:ids)")
_WRITE = text("""
    WITH written AS (
        UPDATE entity AS e SET version = e.version + 1, content = CAST(n.content AS jsonb), hash = n.hash,
                               updated_at = now()
        FROM unnest(CAST(:ids AS bigint[]), CAST(:contents AS text[]), CAST(:hashes AS bytea[])) AS n(id, content, hash)
        WHERE e.id = n.id AND e.hash <> n.hash RETURNING e.id, e.version, e.deleted_at IS NOT NULL AS gone
    ), fed AS (
        INSERT INTO change_feed (entity_id, kind, version, system, deleted)
        SELECT id, 'customer', version, :system, gone FROM written ORDER BY id
    )
    SELECT count(*) FROM written
""")
# what the hub says and what a system says of its own merges are followed alike; a circle ends where it began
_PERSONS = text("""
    WITH RECURSIVE walk AS (
        SELECT e.key AS start, e.key, e.content ->> 'merged_into' AS next, 0 AS step FROM entity AS e
        WHERE e.kind = 'customer' AND e.key = ANY(:keys)
        UNION ALL
        SELECT w.start, e.key, e.content ->> 'merged_into', w.step + 1 FROM walk AS w
        JOIN entity AS e ON e.kind = 'customer' AND e.key = w.next
    ) CYCLE key SET looped USING path
    SELECT DISTINCT ON (start) start, key
    FROM (SELECT start, key, step, looped, bool_or(looped) OVER (PARTITION BY start) AS circle FROM walk) AS w
    WHERE NOT looped ORDER BY start, CASE WHEN circle THEN step ELSE -step END
""")


@dataclass(frozen=True)
class Survivors:
    """Whose customers survive, best first: what stands before the "/" of their keys."""

    scopes: tuple[str, ...] = ()

    @classmethod
    def of(cls, scopes: Iterable[str], systems: Systems) -> Survivors:
        """What the rules say, then the system that owns customers, or their names."""
        owners = systems.authority.get("customer", {})
        owner = owners.get("*", owners.get("name"))
        owned: list[str] = []
        if owner is not None and owner in systems.systems:
            channel = systems.systems[owner].constants.get("channel")
            owned = [str(channel or owner), owner]
        return cls(tuple(dict.fromkeys([*scopes, *owned])))

    def rank(self, key: str) -> int:
        scope = key.partition("/")[0]
        return self.scopes.index(scope) if scope in self.scopes else len(self.scopes)


@dataclass(slots=True)
class _Customer:
    """A customer, what its systems say, and what links lay over it now."""

    id: int
    key: str
    content: Mapping[str, Any]
    own: Mapping[str, Any]
    hash: bytes
    deleted: bool
    person: int | None
    overlay: Mapping[str, Any] | None

    @classmethod
    def of(cls, row: Any) -> _Customer:
        own = own_part(row.content) if row.own is None else row.own
        return cls(
            row.id, row.key, row.content, own, bytes(row.hash), row.deleted_at is not None, row.person_id, row.overlay
        )  # fmt: skip

    def bare(self) -> dict[str, Any]:
        return without_overlay(self.content, self.own)


@dataclass(slots=True)
class _Changes:
    members: dict[int, tuple[int, Mapping[str, Any], Mapping[str, Any]]] = field(default_factory=dict)
    released: list[int] = field(default_factory=list)
    contents: dict[int, bytes] = field(default_factory=dict)


def alone(connection: Connection) -> None:
    """One transaction at a time looks for pairs or decides on them; before anything is read."""
    connection.execute(_ALONE, {"lock": _PEOPLE_LOCK})


def groups(connection: Connection, ids: Sequence[int]) -> list[list[int]]:
    """The customers that links hold together, for each of these customers' persons once; single ones too."""
    found: dict[int, list[int]] = {}
    for start, member in connection.execute(_GROUPS, {"ids": list(ids)}):
        found.setdefault(start, []).append(member)
    return [list(each) for each in dict.fromkeys(tuple(members) for members in found.values())]


def settle(connection: Connection, ids: Iterable[int], survivors: Survivors) -> int:
    """Bring the persons of these customers up to date with the links; returns how many customers changed.

    Once in a transaction, one that entered the feed and is `alone`: customers are locked in the order of their keys.
    """
    together = groups(connection, sorted(set(ids)))
    everybody = sorted(member for members in together for member in members)
    if not everybody:
        return 0
    connection.execute(_HOLD, {"ids": everybody})
    customers = {row.id: _Customer.of(row) for row in connection.execute(_CUSTOMERS, {"ids": everybody})}
    chosen = list(connection.scalars(_CHOSEN, {"ids": everybody}))
    changes = _Changes()
    for members in together:
        _person([customers[member] for member in members], chosen, survivors, changes)
    return _write(connection, changes)


def _person(
    members: Sequence[_Customer], chosen: Sequence[int], survivors: Survivors, changes: _Changes
) -> None:
    if len(members) == 1:
        (one,) = members
        if one.person is not None:
            changes.released.append(one.id)
            _show(one, {}, changes)
        return
    survivor = _survivor(members, chosen, survivors)
    denied = denials((member.key, member.own) for member in members)
    for member in members:
        overlay: dict[str, Any] = {"denied": denied} if denied else {}
        if member is not survivor:
            overlay["merged_into"] = survivor.key
        if (member.person, member.overlay) != (survivor.id, overlay):
            changes.members[member.id] = (survivor.id, overlay, member.own)
        _show(member, overlay, changes)


def _survivor(members: Sequence[_Customer], chosen: Sequence[int], survivors: Survivors) -> _Customer:
    """The one a person chose last; else by the rules, then the one registered first. Deleted ones come last."""
    by_id = {member.id: member for member in members if not member.deleted}
    for entity_id in chosen:
        if entity_id in by_id:
            return by_id[entity_id]
    return min(
        members,
        key=lambda one: (
            one.deleted, survivors.rank(one.key), str(one.content.get("registered_at", "9999")), one.id
        ),
    )  # fmt: skip


def _show(customer: _Customer, overlay: Mapping[str, Any], changes: _Changes) -> None:
    content = laid_over(customer.bare(), overlay)
    if digest(content) != customer.hash:
        changes.contents[customer.id] = content


def _write(connection: Connection, changes: _Changes) -> int:
    if changes.released:
        connection.execute(_RELEASE, {"ids": changes.released})
    if changes.members:
        persons, overlays, owns = zip(*changes.members.values(), strict=True)
        connection.execute(
            _REMEMBER,
            {
                "ids": list(changes.members), "persons": list(persons),
                "overlays": [orjson.dumps(overlay).decode() for overlay in overlays],
                "owns": [orjson.dumps(own).decode() for own in owns],
            },
        )  # fmt: skip
    if not changes.contents:
        return 0
    contents = changes.contents
    return int(
        connection.scalar(
            _WRITE,
            {
                "ids": list(contents), "contents": [content.decode() for content in contents.values()],
                "hashes": [digest(content) for content in contents.values()], "system": HUB,
            },
        ) or 0
    )  # fmt: skip


def persons_of(connection: Connection, keys: Sequence[str]) -> dict[str, str]:
    """The survivor's key for each customer key that is known: where the orders of all its customers belong."""
    return {row.start: row.key for row in connection.execute(_PERSONS, {"keys": list(keys)})}


def person_of(connection: Connection, key: str) -> str:
    """The survivor's key of a customer; its own where it stands alone or is not known."""
    return persons_of(connection, [key]).get(key, key)
