"""More was sold than is there: which orders it hits, told at once and until it is settled.

The order the hub saw first keeps the unit, it may be confirmed already; the last one seen is flagged. Safety stock
does not count as missing: it is there. What may be ordered without stock is never flagged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import structlog
from sqlalchemy import Connection, Row, text

if TYPE_CHECKING:
    from hub.systems import Systems

__all__ = ["Oversold", "flag_oversold", "open_oversold"]

log = structlog.get_logger("tsunagi.stock")


@dataclass(frozen=True, slots=True)
class Oversold:
    """Units of an order that are not there.

    call  who looks after the channel's system; its id where the file names nobody
    """

    sku: str
    order_key: str
    channel: str
    units: int
    flagged_at: datetime
    call: str


# Orders flagged before stay flagged first, so that a flag does not wander; then those seen last.
_FLAG = text("""
    WITH missing AS (
        SELECT f.sku, f.pool, -(f.free + f.safety_stock) AS units FROM stock_free AS f
        JOIN pg_temp.turn AS t ON t.sku = f.sku WHERE f.free + f.safety_stock < 0 AND NOT f.backorderable
    ), hit AS (
        SELECT c.sku, p.pool, c.id AS order_id, c.order_key, c.channel, sum(c.units) AS units, false AS flagged
        FROM pg_temp.turn_claim AS c JOIN stock_pool_places AS p ON p.places = c.places
        WHERE c.kind = 'order' GROUP BY c.sku, p.pool, c.id, c.order_key, c.channel
        UNION ALL  -- flagged, and booked by now
        SELECT o.sku, m.pool, o.order_id, o.order_key, o.channel, o.units, true
        FROM stock_oversold AS o JOIN missing AS m ON m.sku = o.sku JOIN entity AS e ON e.id = o.order_id
        WHERE o.resolved_at IS NULL AND e.deleted_at IS NULL AND NOT e.content ? 'cancelled_at'
          AND coalesce(e.content ->> 'confirmation', '') <> 'cancelled'
          AND coalesce(e.content #>> '{status,fulfilment}', '') NOT IN ('shipped', 'delivered', 'cancelled')
          AND NOT EXISTS (SELECT FROM pg_temp.turn_claim AS c
                          WHERE c.kind = 'order' AND (c.sku, c.id) = (o.sku, o.order_id))
    ), ranked AS (
        SELECT h.*, m.units AS missing, sum(h.units) OVER (
            PARTITION BY h.sku, h.pool ORDER BY h.flagged OR EXISTS (
                SELECT FROM stock_oversold AS o
                WHERE (o.sku, o.order_id) = (h.sku, h.order_id) AND o.resolved_at IS NULL
            ) DESC, h.order_id DESC) - h.units AS before
        FROM hit AS h JOIN missing AS m ON (m.sku, m.pool) = (h.sku, h.pool)
    ), short AS (
        SELECT sku, order_id, order_key, channel, max(least(units, missing - before)) AS units FROM ranked
        WHERE missing > before GROUP BY sku, order_id, order_key, channel
    ), resolved AS (
        UPDATE stock_oversold AS o SET resolved_at = now() FROM pg_temp.turn AS t
        WHERE o.sku = t.sku AND o.resolved_at IS NULL
          AND NOT EXISTS (SELECT FROM short AS s WHERE (s.sku, s.order_id) = (o.sku, o.order_id))
    )
    INSERT INTO stock_oversold AS o (order_id, order_key, channel, sku, units)
    SELECT order_id, order_key, channel, sku, units FROM short
    ON CONFLICT (sku, order_id) WHERE resolved_at IS NULL DO UPDATE SET units = excluded.units
        WHERE o.units <> excluded.units
    RETURNING sku, order_key, channel, units, flagged_at, xmax = 0 AS new
""")
_OPEN = text("""
    SELECT sku, order_key, channel, units, flagged_at FROM stock_oversold
    WHERE resolved_at IS NULL AND (CAST(:sku AS text) IS NULL OR sku = :sku) ORDER BY flagged_at, id
""")


def flag_oversold(connection: Connection, systems: Systems) -> list[Oversold]:
    """Flag and resolve for the SKUs of the turn; returns what was flagged now or changed."""
    rows = connection.execute(_FLAG).all()
    found = _told(systems, rows)
    for one, row in zip(found, rows, strict=True):
        if row.new:
            log.warning("oversold", sku=one.sku, order=one.order_key, units=one.units, call=one.call)
    return found


def open_oversold(connection: Connection, systems: Systems, sku: str | None = None) -> list[Oversold]:
    """Everything flagged and not settled, the oldest first."""
    return _told(systems, connection.execute(_OPEN, {"sku": sku}).all())


def _told(systems: Systems, rows: Sequence[Row[Any]]) -> list[Oversold]:
    call: dict[str, str] = {}
    for system in systems.systems.values():
        channel = system.constants.get("channel")
        if isinstance(channel, str):
            call.setdefault(channel, system.owner or system.system)
    return [
        Oversold(r.sku, r.order_key, r.channel, r.units, r.flagged_at, call.get(r.channel) or r.channel)
        for r in rows
    ]
