"""Reservations: a claim on units that ends by itself, taken in one statement that cannot oversell.

`reserve` locks the SKU's rows of `stock_free`, looks at what is left by now, takes it, and writes the reservation:
whoever comes at the same moment waits for the row and sees what is left then. A turn (`hub.stock.turn`) locks the same
rows before it sums up, so none is lost between the two. What ends gives its units back with the next turn.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, Row, text

from hub.words import HubError

__all__ = [
    "LONGEST",
    "NotEnough",
    "NotReservable",
    "ReservationClosed",
    "Reserved",
    "confirm",
    "release",
    "reserve",
    "reserved",
    "tidy",
]

LONGEST = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Reserved:
    """A reservation. `state`: open, confirmed (for an order still to come), ordered (it came), released or expired."""

    key: str
    sku: str
    quantity: int
    channel: str
    state: str
    expires_at: datetime | None = None
    location: str | None = None
    order_key: str | None = None


class NotEnough(HubError):
    """So many units are not left for this channel; `left` says how many are."""

    def __init__(self, sku: str, quantity: int, channel: str, left: int) -> None:
        super().__init__(
            f"{channel} で {sku} を {quantity} 個は取り置けません。残りは {left} 個です。",
            f"{quantity} of {sku} cannot be reserved for {channel}: {left} left.",
        )
        self.sku, self.quantity, self.channel, self.left = sku, quantity, channel, left


class NotReservable(HubError):
    """The SKU is not counted where this channel sells from, or the location is none."""


class ReservationClosed(HubError):
    """There is no such reservation, or it has ended."""


# `room` is what this channel may take now: the tightest of the pools around its places, then the channel's cut. Rows of
# `stock_free` come back from FOR UPDATE as they are once the lock is held.
_RESERVE = text("""
    WITH former AS (
        SELECT key, sku, quantity, channel,
               CASE WHEN state = 'open' AND expires_at <= now() THEN 'expired' ELSE state END,
               expires_at, location, order_key
        FROM stock_reservation WHERE key = :key
    ), wanted AS (
        SELECT coalesce(k.part, :sku) AS sku, coalesce(k.units, 1) AS units
        FROM (SELECT 1) AS one LEFT JOIN stock_kit AS k ON k.kit = :sku AND NOT k.stocked
    ), rule AS (
        SELECT * FROM stock_rule WHERE (channel = :channel AND sku IN (:sku, '')) OR (channel = '*' AND sku = '')
        ORDER BY channel = :channel DESC, sku DESC LIMIT 1
    ), pools AS (
        SELECT pool FROM stock_pool_places
        WHERE places = coalesce('@' || CAST(:location AS text), (SELECT places FROM rule))
    ), held AS MATERIALIZED (
        SELECT f.sku, f.pool, f.free, w.units FROM stock_free AS f JOIN wanted AS w ON w.sku = f.sku
        WHERE f.pool IN (SELECT pool FROM pools) AND NOT EXISTS (SELECT FROM former)
        ORDER BY f.sku, f.pool FOR UPDATE OF f
    ), room AS (
        SELECT count(*) AS rows, CASE
            WHEN count(*) < (SELECT count(*) FROM wanted) * (SELECT count(*) FROM pools) THEN 0
            WHEN greatest(min(h.free / h.units), 0) - min(r.buffer) <= min(r.leave) THEN 0
            ELSE least((greatest(min(h.free / h.units), 0) - min(r.buffer)) * min(r.share) / 10000, min(r.at_most))
            END AS units
        FROM held AS h CROSS JOIN rule AS r
    ), made AS (
        INSERT INTO stock_reservation (key, origin, sku, quantity, channel, location, expires_at)
        SELECT :key, 'api', :sku, :quantity, :channel, :location, now() + CAST(:ttl AS interval) FROM room
        WHERE room.units >= :quantity AND NOT EXISTS (SELECT FROM former)
        ON CONFLICT (key) DO NOTHING
        RETURNING key, sku, quantity, channel, state, expires_at, location, order_key
    ), taken AS (
        UPDATE stock_free AS f SET free = f.free - h.units * :quantity, reserved = f.reserved + h.units * :quantity
        FROM held AS h WHERE (f.sku, f.pool) = (h.sku, h.pool) AND EXISTS (SELECT FROM made)
    ), noted AS (
        INSERT INTO stock_dirty (sku) SELECT sku FROM made
    )
    SELECT (SELECT units FROM room) AS room, (SELECT rows FROM room) AS rows, found.* FROM (SELECT 1) AS one
    LEFT JOIN (SELECT * FROM made UNION ALL SELECT * FROM former) AS found ON true
""")
_STALE = text("""
    SELECT EXISTS (SELECT FROM stock_dirty WHERE sku = :sku) OR EXISTS (
        SELECT FROM stock_reservation WHERE state = 'open' AND expires_at <= now() AND sku = :sku)
""")
_CLOSE = text("""
    WITH closed AS (
        UPDATE stock_reservation SET state = 'released', closed_at = now()
        WHERE key = :key AND state IN ('open', 'confirmed')
        RETURNING key, sku, quantity, channel, state, expires_at, location, order_key
    ), noted AS (INSERT INTO stock_dirty (sku) SELECT sku FROM closed)
    SELECT * FROM closed
""")
# a reservation that has run out is as good as released, also before a turn has said so
_CONFIRM = text("""
    WITH confirmed AS (
        UPDATE stock_reservation SET state = 'confirmed', order_key = :order_key, expires_at = NULL
        WHERE key = :key AND ((state = 'open' AND expires_at > now())
                              OR (state = 'confirmed' AND order_key = :order_key))
        RETURNING key, sku, quantity, channel, state, expires_at, location, order_key
    ), noted AS (INSERT INTO stock_dirty (sku) SELECT sku FROM confirmed)
    SELECT * FROM confirmed
""")
_TIDY = text("DELETE FROM stock_reservation WHERE closed_at < :before")
_TIDY_FLAGS = text("DELETE FROM stock_oversold WHERE resolved_at < :before")
_FIND = text("""
    SELECT key, sku, quantity, channel,
           CASE WHEN state = 'open' AND expires_at <= now() THEN 'expired' ELSE state END AS state,
           expires_at, location, order_key FROM stock_reservation WHERE key = :key
""")


def reserve(
    engine: Engine,
    *,
    sku: str,
    quantity: int,
    channel: str,
    ttl: timedelta = timedelta(minutes=15),
    location: str | None = None,
    key: str | None = None,
    refresh: Callable[[], object] | None = None,
) -> Reserved:
    """Take `quantity` units of a SKU, or of a kit's parts, for a channel until `ttl` is over; one statement.

    `location`: only from there (店舗受取). `key` names the reservation; asked for again with the same key, the same
    reservation is given and nothing is taken twice. `refresh` (`Hub.refresh_stock`) is called once where too little is
    left and a turn may give units back: reservations that have run out, say.
    Raises NotEnough, NotReservable, or ValueError for a quantity below 1 or a time of more than 30 days.
    """
    if quantity < 1:
        raise ValueError("quantity must be 1 or more")
    if not timedelta(0) < ttl <= LONGEST:
        raise ValueError(f"ttl must be more than nothing and at most {LONGEST.days} days")
    names: dict[str, Any] = {
        "key": key or secrets.token_urlsafe(16),
        "sku": sku,
        "quantity": quantity,
        "channel": channel,
        "location": location,
        "ttl": ttl,
    }
    try:
        with engine.begin() as connection:
            return _take(connection, names)
    except NotEnough:
        if refresh is None or not _stale(engine, sku):
            raise
    refresh()
    with engine.begin() as connection:
        return _take(connection, names)


def _take(connection: Connection, names: dict[str, Any]) -> Reserved:
    sku, quantity, channel, location = (names[name] for name in ("sku", "quantity", "channel", "location"))
    row = connection.execute(_RESERVE, names).one()
    if row.key is not None:
        return _same(_reserved(row), names)
    if not row.rows:
        raise NotReservable(
            f"{sku} は {location or channel} の在庫として数えられていません。",
            f"{sku} is not counted where {location or channel} sells from.",
        )
    if row.room >= quantity:  # another caller used the same key a moment ago
        return _same(reserved(connection, names["key"]), names)
    raise NotEnough(sku, quantity, channel, max(row.room, 0))


def _same(found: Reserved, names: dict[str, Any]) -> Reserved:
    if (found.sku, found.quantity, found.channel) != (names["sku"], names["quantity"], names["channel"]):
        raise ReservationClosed(
            f"キー {found.key} は別の取り置きに使われています。",
            f"The key {found.key} names another reservation.",
        )
    return found


def confirm(connection: Connection, key: str, order_key: str) -> Reserved:
    """The buyer has ordered: the units stay taken until the order `order_key` comes in, and then the order counts.

    Raises ReservationClosed when it has run out or was released: then nothing is promised any more.
    """
    return _one(connection.execute(_CONFIRM, {"key": key, "order_key": order_key}).one_or_none(), key)


def release(connection: Connection, key: str) -> Reserved:
    """Give the units back. Raises ReservationClosed when there is nothing to give back."""
    return _one(connection.execute(_CLOSE, {"key": key}).one_or_none(), key)


def reserved(connection: Connection, key: str) -> Reserved:
    """A reservation, in whatever state. Raises ReservationClosed when there is none."""
    return _one(connection.execute(_FIND, {"key": key}).one_or_none(), key)


def tidy(connection: Connection, *, older_than: datetime) -> int:
    """Forget reservations, and flags of oversold orders, that ended before; returns how many."""
    names = {"before": older_than}
    return connection.execute(_TIDY, names).rowcount + connection.execute(_TIDY_FLAGS, names).rowcount


def _stale(engine: Engine, sku: str) -> bool:
    """Whether a turn might give units of this SKU back."""
    with engine.connect() as connection:
        return bool(connection.scalar(_STALE, {"sku": sku}))


def _one(row: Row[Any] | None, key: str) -> Reserved:
    if row is None:
        raise ReservationClosed(
            f"取り置き {key} はないか、もう終わっています。",
            f"There is no reservation {key}, or it has ended.",
        )
    return _reserved(row)


def _reserved(row: Row[Any]) -> Reserved:
    return Reserved(
        row.key, row.sku, row.quantity, row.channel, row.state, row.expires_at, row.location, row.order_key
    )
