"""Shipments and their parcels, and the ways goods may be sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Annotated, Any

from pydantic import Field

from canonical_model.codes import Carrier, ShipmentStatus, TemperatureZone
from canonical_model.entity import Entity
from canonical_model.values import Address, Instant, Money, Quantity, Translations, Value

__all__ = [
    "Parcel",
    "ParcelItem",
    "Shipment",
    "ShipmentLine",
    "ShippingMethod",
    "TrackingEvent",
    "units_sent",
]


def units_sent(lines: Sequence[Mapping[str, Any]] | None) -> int | None:
    """Units that left with a shipment; None where all it tells is that units are missing (欠品).

    Mappings call it: `{present: {call: "canonical_model.shipment:units_sent", args: [lines]}}`.
    """
    return sum(line.get("quantity") or 0 for line in lines or ()) or None


class ParcelItem(Value):
    """Units of an order line in one parcel."""

    line_id: str
    quantity: Quantity


class Parcel(Value):
    """One box. Tracking numbers are kept as digits without hyphens; sizes in grams and millimetres."""

    tracking_number: str | None = None
    carrier: Carrier = Carrier.OTHER
    carrier_name: str | None = None
    count: Annotated[int, Field(ge=1)] = 1
    id: str | None = None
    weight_g: Quantity | None = None
    length_mm: Quantity | None = None
    width_mm: Quantity | None = None
    height_mm: Quantity | None = None
    items: tuple[ParcelItem, ...] = ()
    label_url: str | None = None


class TrackingEvent(Value):
    """What the carrier told about the way."""

    at: Instant
    status: str
    description: str | None = None
    place: Address | None = None
    exception: bool = False


class ShipmentLine(Value):
    """Units of an order line in this shipment; `short` is what was instructed and missing (欠品)."""

    line_id: str | None = None
    sku: str
    quantity: Quantity
    short: Quantity = 0
    lot: str | None = None
    serials: tuple[str, ...] = ()


class Shipment(Entity, kind="shipment", ja="出荷", en="Shipment"):
    """What left a warehouse for one recipient. Key: the shipping instruction's number.

    `recipient_id` is the recipient of the order, `lines` say which units went. `status` is what the warehouse or
    the carrier said last; where they say nothing, the dates tell (`moved`, `arrived`).
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
    status: ShipmentStatus | None = None
    method_key: str | None = None
    service: str | None = None
    expected_at: Instant | None = None
    origin: Address | None = None
    destination: Address | None = None
    events: tuple[TrackingEvent, ...] = ()
    tracking_url: str | None = None
    instructions: str | None = None
    signature_required: bool = False
    signed_by: str | None = None
    type: str = "shipment"
    """shipment, pickup, local_delivery or digital_delivery."""

    @property
    def cancelled(self) -> bool:
        """It will not leave (any more)."""
        return self.status is ShipmentStatus.CANCELLED

    @property
    def moved(self) -> bool:
        """The goods have left the warehouse."""
        if self.status is not None:
            return self.status not in _BEFORE_SHIPPING
        return not (self.shipped_on is None and self.shipped_at is None and self.delivered_at is None)

    @property
    def arrived(self) -> bool:
        """The recipient has the goods."""
        if self.status is not None:
            return self.status is ShipmentStatus.DELIVERED
        return self.delivered_at is not None


_BEFORE_SHIPPING = frozenset({ShipmentStatus.INSTRUCTED, ShipmentStatus.STARTED, ShipmentStatus.CANCELLED})


class ShippingMethod(Entity, kind="shipping_method", ja="配送方法", en="Shipping method"):
    """A way goods may be sent, as offered to buyers (宅急便, ネコポス, 店舗受取). Key: the method's id.

    Days count from shipping; `handling_days` are the days before it. `cutoff` is the hour of the last order of
    the day, "HH:MM" in the shop's time.
    """

    name: str
    description: str | None = None
    carrier: Carrier = Carrier.OTHER
    carrier_name: str | None = None
    service: str | None = None
    type: str = "ship_to_address"
    price: Money | None = None
    free_from: Money | None = None
    min_days: Quantity | None = None
    max_days: Quantity | None = None
    business_days: bool = True
    min_handling_days: Quantity | None = None
    max_handling_days: Quantity | None = None
    cutoff: Annotated[str, Field(pattern=r"^([01]?\d|2[0-3]):[0-5]\d$")] | None = None
    countries: tuple[str, ...] = ()
    excluded_regions: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    zone: TemperatureZone = TemperatureZone.AMBIENT
    tracked: bool = True
    signature_required: bool = False
    position: int | None = None
    active: bool = True
    created_at: Instant | None = None
    translations: Translations = Field(default_factory=dict)
