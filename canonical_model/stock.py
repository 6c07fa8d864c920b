"""Stock: where units lie, what moved them, who holds a claim on them."""

from __future__ import annotations

from datetime import date

from canonical_model.codes import StockQuality
from canonical_model.entity import Entity
from canonical_model.values import Instant, Quantity, SignedQuantity

__all__ = ["Reservation", "StockMovement", "StockPosition"]


class StockPosition(Entity, kind="stock_position"):
    """What a location says it has of a SKU, as of a moment. Key: "{sku}@{location}".

    on_hand     good units, allocated ones included (as WMS files in Japan count)
    allocated   units of `on_hand` already promised to instructed orders
    """

    sku: str
    location: str
    on_hand: SignedQuantity
    allocated: Quantity = 0
    defective: Quantity = 0
    held: Quantity = 0
    incoming: Quantity = 0
    as_of: Instant | None = None

    @property
    def available(self) -> int:
        """Good units nobody was promised; never below zero."""
        return max(self.on_hand - self.allocated, 0)


class StockMovement(Entity, kind="stock_movement"):
    """One change of stock; appended, never edited. Key: "{system}/{document}/{line}"."""

    sku: str
    location: str
    quantity: SignedQuantity
    reason: str
    quality: StockQuality = StockQuality.GOOD
    lot: str | None = None
    expires_on: date | None = None
    occurred_at: Instant
    document: str | None = None


class Reservation(Entity, kind="reservation"):
    """A claim on units before they are allocated; ends at `expires_at` unless confirmed."""

    sku: str
    quantity: Quantity
    location: str | None = None
    channel: str
    order_key: str | None = None
    expires_at: Instant | None = None
    state: str = "open"
