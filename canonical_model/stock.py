"""Stock: where units lie, what moved them, who holds a claim on them."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from pydantic import Field

from canonical_model.codes import StockQuality
from canonical_model.entity import Entity
from canonical_model.values import Instant, Quantity, SignedQuantity

__all__ = ["Reservation", "Sellable", "StockMovement", "StockPosition", "available"]


def available(on_hand: int | None, allocated: int | None = None) -> int:
    """Good units nobody was promised; never below zero, and zero where nothing is known.

    Mappings call it: `{call: "canonical_model.stock:available", args: [on_hand, allocated]}`.
    """
    return max((on_hand or 0) - (allocated or 0), 0)


class StockPosition(Entity, kind="stock_position", ja="在庫", en="Stock position"):
    """What a location says it has of a SKU, as of a moment. Key: "{sku}@{location}".

    on_hand       good units, allocated ones included (as WMS files in Japan count)
    allocated     units of `on_hand` already promised to instructed orders
    safety_stock  units never offered
    incoming      units ordered and not yet received, expected at `incoming_at`
    """

    sku: str
    location: str
    on_hand: SignedQuantity
    allocated: Quantity = 0
    defective: Quantity = 0
    held: Quantity = 0
    incoming: Quantity = 0
    as_of: Instant | None = None
    safety_stock: Quantity = 0
    backorderable: bool = False
    incoming_at: Instant | None = None
    policy: str | None = None

    @property
    def available(self) -> int:
        """Good units nobody was promised; never below zero."""
        return available(self.on_hand, self.allocated)


class StockMovement(Entity, kind="stock_movement", ja="在庫変動", en="Stock movement"):
    """One change of stock; appended, never edited. Key: "{system}/{document}/{line}".

    quantity  units that came (positive) or went (negative)
    reason    a code of `MovementReason`, or the system's own word
    """

    sku: str
    location: str
    quantity: SignedQuantity
    reason: str
    quality: StockQuality = StockQuality.GOOD
    lot: str | None = None
    expires_on: date | None = None
    occurred_at: Instant
    document: str | None = None
    order_key: str | None = None


class Reservation(Entity, kind="reservation", ja="取置", en="Reservation"):
    """A claim on units before they are allocated; ends at `expires_at` unless confirmed."""

    sku: str
    quantity: Quantity
    location: str | None = None
    channel: str
    order_key: str | None = None
    expires_at: Instant | None = None
    state: str = "open"


class Sellable(Entity, kind="sellable", ja="販売可能数", en="Sellable stock"):
    """How many units of a SKU a channel may offer, and why. Key: "{channel}/{sku}". The hub writes it, nobody else.

    free = on_hand - allocated - safety_stock - reserved - unbooked, and quantity = free - buffer - withheld, never
    below zero. Of a kit (セット品) the terms are those of `limiting_part`, and free is in kits: its units shared out
    by `part_units`, rounded down.

    on_hand        good units in the locations the channel may sell from: counted, and moved since; never below zero
                   in one location
    moved          of `on_hand`, what moved since the count
    allocated      promised by the systems that count the stock
    safety_stock   never offered; only what is there can be kept back
    reserved       open reservations, and confirmed ones whose order is still to come
    unbooked       ordered, and not in those systems' counts yet
    free           what is left for all channels of the pool; below zero: more was sold than is there
    buffer         kept back by this channel's buffer
    withheld       left to other channels by this channel's policy (share, rank, upper limit)
    policy         the name of that policy
    pool           which locations these figures are of; None: all that sell online
    backorderable  may be ordered without stock, says the system that counts it
    sold_there     how often an order of this channel for the SKU came in or changed: with each the channel may have
                   moved its number by itself, so the number is sent again though it is the same
    """

    channel: str
    sku: Annotated[str, Field(min_length=1)]
    quantity: Quantity
    on_hand: Quantity = 0
    moved: SignedQuantity = 0
    allocated: Quantity = 0
    safety_stock: Quantity = 0
    reserved: Quantity = 0
    unbooked: Quantity = 0
    free: SignedQuantity = 0
    buffer: Quantity = 0
    withheld: Quantity = 0
    policy: str = "shared"
    pool: str | None = None
    backorderable: bool = False
    limiting_part: str | None = None
    part_units: Quantity = 1
    sold_there: Quantity = 0
