"""Shipments and their parcels."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from pydantic import Field

from canonical_model.codes import Carrier
from canonical_model.entity import Entity
from canonical_model.values import Instant, Quantity, Value

__all__ = ["Parcel", "Shipment", "ShipmentLine"]


class Parcel(Value):
    """One box. Tracking numbers are kept as digits without hyphens."""

    tracking_number: str | None = None
    carrier: Carrier = Carrier.OTHER
    carrier_name: str | None = None
    count: Annotated[int, Field(ge=1)] = 1


class ShipmentLine(Value):
    """Units of an order line in this shipment; `short` is what was instructed and missing (欠品)."""

    line_id: str | None = None
    sku: str
    quantity: Quantity
    short: Quantity = 0


class Shipment(Entity, kind="shipment"):
    """What left a warehouse for one recipient. Key: the shipping instruction's number.

    `recipient_id` is the recipient of the order, `lines` say which units went.
    """

    order_key: str
    recipient_id: str = "1"
    location: str | None = None
    instruction: str | None = None
    lines: Annotated[tuple[ShipmentLine, ...], Field(min_length=1)]
    parcels: tuple[Parcel, ...] = ()
    shipped_on: date | None = None
    shipped_at: Instant | None = None
    delivered_at: Instant | None = None
