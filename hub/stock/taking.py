"""Taking units: claims on one SKU are decided together, in the order they came, in one transaction.

The SKU's rows of `stock_free` are locked and read; each claim is then given all it wants or nothing, the next one sees
what is left; what was given is written by one statement. So the row is held, and the disk waited for, once for all who
came while the last ones were decided, and not once for each. A turn (`hub.stock.turn`) locks the same rows before it
sums up, so none is lost between the two.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from hub.stock.claims import Claim, NotEnough, NotReservable, ReservationClosed, Reserved, reserved_of
from hub.words import HubError

__all__ = ["KeyTaken", "take"]


class KeyTaken(Exception):
    """Another transaction has just used one of the keys for another SKU: roll back, and decide anew."""


# Rows of `stock_free` come back from FOR UPDATE as they are once the lock is held. Turns lock in the same order.
_LOOK = text("""
    WITH wanted AS (
        SELECT coalesce(k.part, :sku) AS sku, coalesce(k.units, 1) AS units
        FROM (SELECT 1) AS one LEFT JOIN stock_kit AS k ON k.kit = :sku AND NOT k.stocked
    ), rule AS (
        SELECT c.channel AS asked, r.* FROM unnest(CAST(:channels AS text[])) AS c(channel) CROSS JOIN LATERAL (
            SELECT places, buffer, leave, share, at_most FROM stock_rule
            WHERE (channel = c.channel AND sku IN (:sku, '')) OR (channel = '*' AND sku = '')
            ORDER BY channel = c.channel DESC, sku DESC LIMIT 1) AS r
    ), pools AS (
        SELECT places, pool FROM stock_pool_places
        WHERE places IN (SELECT places FROM rule) OR places = ANY(CAST(:places AS text[]))
    ), held AS MATERIALIZED (
        SELECT f.sku, f.pool, f.free, w.units FROM stock_free AS f JOIN wanted AS w ON w.sku = f.sku
        WHERE f.pool IN (SELECT pool FROM pools) ORDER BY f.sku, f.pool FOR UPDATE OF f
    )
    SELECT (SELECT count(*) FROM wanted) AS parts,
           (SELECT json_agg(json_build_array(asked, places, buffer, leave, share, at_most)) FROM rule) AS rules,
           (SELECT json_agg(json_build_array(places, pool)) FROM pools) AS pools,
           (SELECT json_agg(json_build_array(sku, pool, free, units)) FROM held) AS held,
           EXISTS (SELECT FROM stock_dirty WHERE sku = :sku) OR EXISTS (
               SELECT FROM stock_reservation WHERE state = 'open' AND expires_at <= now() AND sku = :sku) AS stale
""")
# behind the lock, so that what another transaction has given for this SKU is seen
_FORMER = text("""
    SELECT key, sku, quantity, channel,
           CASE WHEN state = 'open' AND expires_at <= now() THEN 'expired' ELSE state END AS state,
           expires_at, location, order_key FROM stock_reservation WHERE key = ANY(:keys)
""")
# keys in their order, so that two transactions never wait for each other's
_GIVE = text("""
    WITH made AS (
        INSERT INTO stock_reservation (key, origin, sku, quantity, channel, location, expires_at)
        SELECT key, 'api', :sku, quantity, channel, location, now() + make_interval(secs => seconds)
        FROM unnest(CAST(:keys AS text[]), CAST(:quantities AS bigint[]), CAST(:channels AS text[]),
                    CAST(:locations AS text[]), CAST(:seconds AS double precision[]))
                 AS c(key, quantity, channel, location, seconds) ORDER BY key
        ON CONFLICT (key) DO NOTHING
        RETURNING key, expires_at
    ), taken AS (
        UPDATE stock_free AS f SET free = f.free - t.units, reserved = f.reserved + t.units
        FROM unnest(CAST(:parts AS text[]), CAST(:pools AS text[]), CAST(:units AS bigint[])) AS t(sku, pool, units)
        WHERE (f.sku, f.pool) = (t.sku, t.pool)
    ), noted AS (
        INSERT INTO stock_dirty (sku) VALUES (:sku)
    )
    SELECT key, expires_at FROM made
""")


@dataclass(frozen=True, slots=True)
class _Rule:
    """How a channel shows a SKU: row of `stock_rule`."""

    places: str
    buffer: int
    leave: int
    share: int
    at_most: int

    def cut(self, units: int) -> int:
        """What the channel may take where so many units are free."""
        units -= self.buffer
        return 0 if units <= self.leave else min(units * self.share // 10_000, self.at_most)


class _Counter:
    """What is left of one SKU, or of a kit's parts, while claims on it are decided."""

    def __init__(self, row: Any) -> None:
        self.stale: bool = row.stale
        self.taken: Counter[tuple[str, str]] = Counter()
        self._parts: int = row.parts
        self._rules = {asked: _Rule(*rule) for asked, *rule in row.rules or ()}
        self._pools: dict[str, list[str]] = {}
        for places, pool in row.pools or ():
            self._pools.setdefault(places, []).append(pool)
        self._held: dict[str, list[tuple[tuple[str, str], int]]] = {}
        self._free: dict[tuple[str, str], int] = {}
        for part, pool, free, units in row.held or ():
            self._held.setdefault(pool, []).append(((part, pool), units))
            self._free[part, pool] = free

    def take(self, wanted: Claim) -> None:
        """Take the units away. Raises NotEnough or NotReservable."""
        rule = self._rules.get(wanted.channel)
        places = None if rule is None else rule.places if wanted.location is None else f"@{wanted.location}"
        pools = self._pools.get(places, []) if places is not None else []
        rows = [row for pool in pools for row in self._held.get(pool, ())]
        if rule is None or not rows:
            raise NotReservable(
                f"{wanted.sku} は {wanted.location or wanted.channel} の在庫として数えられていません。",
                f"{wanted.sku} is not counted where {wanted.location or wanted.channel} sells from.",
            )
        # the tightest of the pools around its places, then the channel's cut; where a part is not counted, nothing
        whole = len(rows) == self._parts * len(pools)
        room = rule.cut(max(0, min(self._free[at] // units for at, units in rows))) if whole else 0
        if room < wanted.quantity:
            raise NotEnough(wanted.sku, wanted.quantity, wanted.channel, max(room, 0), stale=self.stale)
        for at, units in rows:
            self._free[at] -= units * wanted.quantity
            self.taken[at] += units * wanted.quantity


def take(connection: Connection, wants: Sequence[Claim]) -> list[Reserved | HubError]:
    """Decide these claims on one SKU, first come, first served; what each of them gets, or why it gets nothing.

    A key that names a reservation already, of before or of this group, is answered with that one. Everything is written
    in the caller's transaction, which must be new. Raises KeyTaken: then it must be rolled back and begun anew.
    """
    sku = wants[0].sku
    places = {f"@{one.location}" for one in wants if one.location is not None}
    channels = {one.channel for one in wants}
    looked = connection.execute(
        _LOOK, {"sku": sku, "channels": sorted(channels), "places": sorted(places)}
    ).one()
    counter = _Counter(looked)
    former = {
        row.key: reserved_of(row) for row in connection.execute(_FORMER, {"keys": [one.key for one in wants]})
    }
    outcomes: dict[int, Reserved | HubError] = {}
    given: dict[str, Claim] = {}
    for number, one in enumerate(wants):
        try:
            if one.key in former:
                _same(former[one.key], one)
                outcomes[number] = former[one.key]
            elif one.key in given:
                _same(given[one.key], one)
            else:
                counter.take(one)
                given[one.key] = one
        except HubError as error:
            outcomes[number] = error
    ends = _give(connection, sku, given, counter) if given else {}
    return [
        outcomes[number] if number in outcomes else _held(given[one.key], ends[one.key])
        for number, one in enumerate(wants)
    ]


def _give(
    connection: Connection, sku: str, given: dict[str, Claim], counter: _Counter
) -> dict[str, datetime | None]:
    """Write down what was given; when each of it ends."""
    taken = counter.taken
    rows = connection.execute(_GIVE, {
        "sku": sku, "keys": list(given), "quantities": [one.quantity for one in given.values()],
        "channels": [one.channel for one in given.values()], "locations": [one.location for one in given.values()],
        "seconds": [one.ttl.total_seconds() for one in given.values()], "parts": [part for part, _ in taken],
        "pools": [pool for _, pool in taken], "units": list(taken.values()),
    })  # fmt: skip
    ends = {row.key: row.expires_at for row in rows}
    if len(ends) < len(given):
        raise KeyTaken
    return ends


def _held(wanted: Claim, ends: datetime | None) -> Reserved:
    return Reserved(wanted.key, wanted.sku, wanted.quantity, wanted.channel, "open", ends, wanted.location)


def _same(found: Reserved | Claim, wanted: Claim) -> None:
    """Raises ReservationClosed where the key names something else."""
    if (found.sku, found.quantity, found.channel) != (wanted.sku, wanted.quantity, wanted.channel):
        raise ReservationClosed(
            f"キー {found.key} は別の取り置きに使われています。",
            f"The key {found.key} names another reservation.",
        )
