"""Reservations: a claim on units that ends by itself, and that cannot oversell.

`reserve` takes units (how: `hub.stock.taking`); callers of one SKU stand in a queue and are decided for together
(`hub.stock.queues`). What ends gives its units back with the next turn.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, Row, text

from hub.stock.claims import (
    LONGEST,
    Claim,
    NotEnough,
    NotReservable,
    ReservationClosed,
    Reserved,
    reserved_of,
)
from hub.stock.queues import queues_of

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
    """Take `quantity` units of a SKU, or of a kit's parts, for a channel until `ttl` is over; all of them or none.

    `location`: only from there (店舗受取). `key` names the reservation; asked for again with the same key, the same
    reservation is given and nothing is taken twice. `refresh` (`Hub.refresh_stock`) is called once where too little is
    left and a turn may give units back: reservations that have run out, say.
    Raises NotEnough, NotReservable, or ValueError for a quantity below 1 or a time of more than 30 days.
    """
    named = {} if key is None else {"key": key}
    wanted = Claim(sku, quantity, channel, ttl, location, **named)
    queues = queues_of(engine)
    try:
        return queues.take(wanted)
    except NotEnough as error:
        if refresh is None or not error.stale:
            raise
    refresh()
    return queues.take(wanted)


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


def _one(row: Row[Any] | None, key: str) -> Reserved:
    if row is None:
        raise ReservationClosed(
            f"取り置き {key} はないか、もう終わっています。",
            f"There is no reservation {key}, or it has ended.",
        )
    return reserved_of(row)
