"""Fulfillment and shipping method."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from pydantic import ValidationError

from canonical_model.codes import Carrier, CodeList, ShipmentStatus
from canonical_model.mach.measures import grams, kilograms_out, millimetres
from canonical_model.mach.words import (
    Context,
    MachError,
    address,
    address_out,
    array,
    boolean,
    code,
    drop_empty,
    instant,
    instant_out,
    known,
    local,
    local_out,
    mach_id,
    money,
    money_out,
    number_out,
    obj,
    outside,
    references,
    references_out,
    text,
    texts,
    whole,
)
from canonical_model.shipment import Parcel, ParcelItem, Shipment, ShipmentLine, ShippingMethod, TrackingEvent
from canonical_model.values import Address

__all__ = ["read_fulfillment", "read_shipping_method", "write_fulfillment", "write_shipping_method"]

_STATUS: dict[str, CodeList] = {
    "pending": ShipmentStatus.INSTRUCTED,
    "processing": ShipmentStatus.STARTED,
    "picked": ShipmentStatus.STARTED,
    "packed": ShipmentStatus.STARTED,
    "labeled": ShipmentStatus.STARTED,
    "shipped": ShipmentStatus.SHIPPED,
    "in_transit": ShipmentStatus.IN_TRANSIT,
    "out_for_delivery": ShipmentStatus.OUT_FOR_DELIVERY,
    "delivered": ShipmentStatus.DELIVERED,
    "failed": ShipmentStatus.FAILED,
    "returned": ShipmentStatus.RETURNED,
    "cancelled": ShipmentStatus.CANCELLED,
}
_CARRIER_WORDS = {
    "yamato": Carrier.YAMATO,
    "ヤマト": Carrier.YAMATO,
    "sagawa": Carrier.SAGAWA,
    "佐川": Carrier.SAGAWA,
    "japan post": Carrier.JAPAN_POST,
    "日本郵便": Carrier.JAPAN_POST,
    "seino": Carrier.SEINO,
    "西濃": Carrier.SEINO,
    "fukuyama": Carrier.FUKUYAMA,
    "福山": Carrier.FUKUYAMA,
}


def _carrier(name: str | None) -> Carrier:
    folded = (name or "").lower()
    return next((carrier for word, carrier in _CARRIER_WORDS.items() if word in folded), Carrier.OTHER)


def _carrier_out(carrier: Carrier, name: str | None) -> str | None:
    return name or (None if carrier is Carrier.OTHER else carrier.label_en)


def _line(given: Mapping[str, Any]) -> ShipmentLine:
    line_id = text(given.get("order_line_item_id"))
    sku = text(given.get("sku")) or text(given.get("variant_id")) or text(given.get("product_id")) or line_id
    units = whole(given.get("quantity"))
    if sku is None or units is None:
        raise MachError(
            "every line item of a fulfillment needs an order_line_item_id or a sku, and a quantity"
        )
    return ShipmentLine(line_id=line_id, sku=sku, quantity=units, serials=texts(given.get("serial_numbers")))


def _line_out(line: ShipmentLine) -> dict[str, Any]:
    return drop_empty(
        {
            "order_line_item_id": line.line_id,
            "sku": line.sku,
            "quantity": line.quantity,
            "serial_numbers": list(line.serials),
        }
    )


def _parcel(given: Mapping[str, Any], carrier: Carrier, carrier_name: str | None) -> Parcel:
    sides = obj(given.get("dimensions"))
    items = [
        ParcelItem(line_id=item["order_line_item_id"], quantity=units)
        for item in array(given.get("items"))
        if text(item.get("order_line_item_id")) and (units := whole(item.get("quantity"))) is not None
    ]
    return Parcel(
        id=text(given.get("package_id")),
        tracking_number=text(given.get("tracking_number")),
        carrier=carrier,
        carrier_name=carrier_name,
        weight_g=grams(given.get("weight")),
        length_mm=millimetres(sides.get("length"), sides.get("unit")),
        width_mm=millimetres(sides.get("width"), sides.get("unit")),
        height_mm=millimetres(sides.get("height"), sides.get("unit")),
        items=tuple(items),
        label_url=text(given.get("label_url")),
    )


def _parcel_out(parcel: Parcel) -> dict[str, Any]:
    sides = {"length": parcel.length_mm, "width": parcel.width_mm, "height": parcel.height_mm}
    centimetres: dict[str, Any] = {
        name: number_out(Decimal(side) / 10) for name, side in sides.items() if side is not None
    }
    items = [{"order_line_item_id": item.line_id, "quantity": item.quantity} for item in parcel.items]
    return drop_empty(
        {
            "package_id": parcel.id,
            "tracking_number": parcel.tracking_number,
            "weight": kilograms_out(parcel.weight_g),
            "dimensions": {**centimetres, "unit": "cm"} if centimetres else None,
            "items": items,
            "label_url": parcel.label_url,
        }
    )


def _place(given: Any) -> Address | None:
    """The place of a tracking event, which may name no more than a country."""
    found = obj(given)
    try:
        return address(found) or (
            Address(city=found["city"], country="ZZ") if text(found.get("city")) else None
        )
    except ValidationError:
        return None


def _event(given: Mapping[str, Any]) -> TrackingEvent | None:
    at, status = instant(given.get("timestamp")), text(given.get("status"))
    if at is None or status is None:
        return None
    return TrackingEvent(
        at=at,
        status=status,
        description=text(given.get("description")),
        place=_place(given.get("location")),
        exception=boolean(given.get("exception"), False),
    )


def _event_out(event: TrackingEvent) -> dict[str, Any]:
    return drop_empty(
        {
            "timestamp": instant_out(event.at),
            "status": event.status,
            "description": event.description,
            "location": address_out(event.place),
            "exception": event.exception,
        }
    )


def read_fulfillment(given: Mapping[str, Any], context: Context) -> Shipment:
    order = text(given.get("order_id"))
    lines = tuple(_line(item) for item in array(given.get("line_items")))
    if order is None or not lines:
        raise MachError("a fulfillment needs an order_id and line_items")
    name = text(given.get("carrier_name"))
    carrier, tracking = _carrier(name), text(given.get("tracking_number"))
    parcels = [_parcel(item, carrier, name) for item in array(given.get("packages"))]
    if not parcels and (tracking or name):
        parcels = [Parcel(tracking_number=tracking, carrier=carrier, carrier_name=name)]
    events = [_event(item) for item in array(given.get("tracking_events"))]
    return Shipment(
        key=given["id"],
        refs=references(given),
        order_key=f"{context.channel}/{order}",
        lines=lines,
        parcels=tuple(parcels),
        status=code(given.get("status"), _STATUS),
        shipped_at=instant(given.get("shipped_at")),
        delivered_at=instant(given.get("delivered_at")),
        expected_at=instant(given.get("expected_delivery_date")),
        method_key=text(given.get("shipping_method_id")),
        service=text(given.get("service_level")),
        origin=address(given.get("origin_address")),
        destination=address(given.get("destination_address")),
        events=tuple(event for event in events if event is not None),
        tracking_url=text(given.get("tracking_url")),
        instructions=text(given.get("delivery_instructions")),
        signature_required=boolean(given.get("signature_required"), False),
        signed_by=text(obj(given.get("signature_obtained")).get("signed_by")),
        type=text(given.get("fulfillment_type")) or "shipment",
    )


def _status_word(shipment: Shipment) -> str:
    if shipment.status is not None:
        return known(shipment.status, _STATUS)
    if shipment.arrived:
        return "delivered"
    return "shipped" if shipment.moved else "pending"


def write_fulfillment(shipment: Shipment, _context: Context) -> dict[str, Any]:
    parcels = shipment.parcels
    only = parcels[0] if len(parcels) == 1 else None
    first = parcels[0] if parcels else None
    return {
        "id": mach_id(shipment),
        "order_id": outside(shipment.order_key, shipment),
        "status": _status_word(shipment),
        "external_references": references_out(shipment),
        "fulfillment_type": shipment.type,
        "line_items": [_line_out(line) for line in shipment.lines],
        "shipping_method_id": shipment.method_key,
        "carrier_name": _carrier_out(first.carrier, first.carrier_name) if first else None,
        "service_level": shipment.service,
        "tracking_number": only.tracking_number if only else None,
        "tracking_url": shipment.tracking_url,
        "tracking_events": [_event_out(event) for event in shipment.events],
        "shipped_at": instant_out(shipment.shipped_at),
        "expected_delivery_date": instant_out(shipment.expected_at),
        "delivered_at": instant_out(shipment.delivered_at),
        "origin_address": address_out(shipment.origin),
        "destination_address": address_out(shipment.destination),
        "packages": [_parcel_out(parcel) for parcel in parcels if parcel.id is not None],
        "signature_required": shipment.signature_required or None,
        "signature_obtained": drop_empty({"signed_by": shipment.signed_by}),
        "delivery_instructions": shipment.instructions,
    }


def read_shipping_method(given: Mapping[str, Any], _context: Context) -> ShippingMethod:
    translations: dict[str, dict[str, str]] = {}
    estimate, handling = obj(given.get("delivery_estimate")), obj(given.get("handling_time"))
    scope, rules = obj(given.get("geographic_scope")), obj(given.get("availability_rules"))
    name = text(given.get("carrier_name"))
    cutoff = text(given.get("cutoff_time"))
    made = {
        "key": given["id"],
        "refs": references(given),
        "name": local(given, "name", translations) or given["id"],
        "description": local(given, "description", translations),
        "carrier": _carrier(name),
        "carrier_name": name,
        "service": text(given.get("service_level")),
        "type": text(given.get("fulfillment_type")) or "ship_to_address",
        "price": money(obj(given.get("cost")).get("base_cost")),
        "free_from": money(given.get("free_shipping_threshold")),
        "min_days": whole(estimate.get("min_days")),
        "max_days": whole(estimate.get("max_days")),
        "business_days": boolean(estimate.get("business_days_only"), True),
        "min_handling_days": whole(handling.get("min_days")),
        "max_handling_days": whole(handling.get("max_days")),
        "countries": texts(scope.get("countries")),
        "excluded_regions": texts(scope.get("exclude_regions")),
        "channels": texts(rules.get("channels")),
        "tracked": boolean(given.get("tracking_available"), True),
        "signature_required": boolean(given.get("signature_required"), False),
        "position": whole(given.get("display_priority")),
        "active": given.get("status") not in ("inactive", "archived"),
        "created_at": instant(given.get("created_at")),
        "translations": translations,
    }
    try:
        return ShippingMethod.model_validate({**made, "cutoff": cutoff})
    except ValidationError:
        return ShippingMethod.model_validate(made)


def write_shipping_method(method: ShippingMethod, _context: Context) -> dict[str, Any]:
    estimate = {
        "min_days": method.min_days,
        "max_days": method.max_days,
        "business_days_only": None if method.business_days else False,
    }
    handling = {"min_days": method.min_handling_days, "max_days": method.max_handling_days}
    scope = {"countries": list(method.countries), "exclude_regions": list(method.excluded_regions)}
    return {
        "id": mach_id(method),
        "external_references": references_out(method),
        "name": local_out(method.name, "name", method.translations),
        "description": local_out(method.description, "description", method.translations),
        "carrier_name": _carrier_out(method.carrier, method.carrier_name),
        "service_level": method.service,
        "fulfillment_type": method.type,
        "cost": drop_empty({"base_cost": money_out(method.price)}),
        "free_shipping_threshold": money_out(method.free_from),
        "delivery_estimate": drop_empty(estimate),
        "handling_time": drop_empty(handling),
        "cutoff_time": method.cutoff,
        "geographic_scope": drop_empty(scope),
        "availability_rules": drop_empty({"channels": list(method.channels)}),
        "tracking_available": None if method.tracked else False,
        "signature_required": method.signature_required or None,
        "display_priority": method.position,
        "status": None if method.active else "inactive",
        "created_at": instant_out(method.created_at),
    }
