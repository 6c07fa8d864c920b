"""Inventory and store."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from canonical_model.codes import ChannelType, CodeList, LocationType
from canonical_model.location import Channel, Location, OpeningHours
from canonical_model.mach.dialect import Dialect
from canonical_model.mach.words import (
    Context,
    MachError,
    address,
    address_out,
    array,
    boolean,
    code,
    currency_of,
    drop_empty,
    email,
    instant,
    instant_out,
    known,
    local,
    local_out,
    mach_id,
    number,
    obj,
    phone,
    references,
    references_out,
    text,
    texts,
    whole,
)
from canonical_model.stock import StockPosition

__all__ = ["read_inventory", "read_store", "write_channel", "write_inventory", "write_store"]


def read_inventory(given: Mapping[str, Any], _context: Context) -> StockPosition:
    """Key: "{sku}@{location}", as of when the object was last changed."""
    sku, location = text(given.get("sku_id")), text(given.get("location_id"))
    quantities = obj(given.get("quantities"))
    on_hand = number(quantities.get("on_hand"))
    if sku is None or location is None or on_hand is None or on_hand != int(on_hand):
        raise MachError("an inventory needs a sku_id, a location_id and quantities.on_hand")
    return StockPosition(
        key=f"{sku}@{location}",
        refs=references(given),
        sku=sku,
        location=location,
        on_hand=int(on_hand),
        allocated=whole(quantities.get("reserved")) or 0,
        incoming=whole(quantities.get("incoming")) or 0,
        as_of=instant(given.get("updated_at")),
        safety_stock=whole(given.get("safety_stock")) or 0,
        backorderable=boolean(given.get("backorderable"), False),
        incoming_at=instant(given.get("backorder_eta")),
        policy=text(given.get("policy_id")),
    )


_STOCK_WORDS = {
    Dialect.SNAKE: ("in_stock", "backorder", "out_of_stock"),
    Dialect.CAMEL: ("inStock", "backorder", "outOfStock"),
}


def write_inventory(position: StockPosition, context: Context) -> dict[str, Any]:
    in_stock, backorder, out = _STOCK_WORDS[context.dialect]
    nothing_left = backorder if position.backorderable else out
    return {
        "id": mach_id(position),
        "external_references": references_out(position),
        "updated_at": instant_out(position.as_of),
        "sku_id": position.sku,
        "location_id": position.location,
        "policy_id": position.policy,
        "quantities": {
            "on_hand": position.on_hand,
            "reserved": position.allocated,
            "available": position.available,
            "incoming": position.incoming,
        },
        "stock_status": in_stock if position.available > 0 else nothing_left,
        "backorderable": position.backorderable or None,
        "backorder_eta": instant_out(position.incoming_at),
        "safety_stock": position.safety_stock or None,
    }


_LOCATIONS: dict[str, CodeList] = {
    "physical": LocationType.STORE,
    "popup": LocationType.POPUP,
    "partner": LocationType.PARTNER,
    "warehouse": LocationType.WAREHOUSE,
    "supplier": LocationType.SUPPLIER,
}
_CHANNELS: dict[str, CodeList] = {"online": ChannelType.WEB, "marketplace": ChannelType.MARKETPLACE}
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def _languages(market: Mapping[str, Any]) -> tuple[str, ...]:
    found = [text(item.get("locale")) or text(item.get("code")) for item in array(market.get("language"))]
    return tuple(locale for locale in found if locale)


def _languages_out(languages: tuple[str, ...]) -> list[dict[str, Any]]:
    return [{"code": locale.partition("-")[0], "locale": locale} for locale in languages]


def _hours(given: Any) -> tuple[OpeningHours, ...]:
    hours = obj(given)
    found = []
    for weekday, name in enumerate(_DAYS, start=1):
        opens, closes = text(obj(hours.get(name)).get("open")), text(obj(hours.get(name)).get("close"))
        if opens and closes and all(len(hour) == 5 and hour[2] == ":" for hour in (opens, closes)):
            found.append(OpeningHours(weekday=weekday, opens=opens, closes=closes))
    return tuple(found)


def read_store(given: Mapping[str, Any], _context: Context) -> Location | Channel:
    """What has shelves is a location; online and marketplace stores are channels."""
    translations: dict[str, dict[str, str]] = {}
    market = obj(given.get("market"))
    name = local(given, "name", translations) or given["id"]
    common: dict[str, Any] = {
        "key": given["id"],
        "refs": references(given),
        "name": name,
        "time_zone": text(market.get("timezone")) or "Asia/Tokyo",
        "currency": currency_of(market.get("currency")) or "JPY",
        "languages": _languages(market),
        "brand": text(obj(given.get("brand")).get("brand_name")),
        "capabilities": texts(given.get("capabilities")),
        "active": given.get("status") in (None, "active"),
        "translations": translations,
    }
    channel = code(given.get("type"), _CHANNELS)
    if channel is not None:
        return Channel(type=channel, country=text(market.get("country")) or "JP", **common)
    contact = obj(given.get("contact"))
    return Location(
        type=code(given.get("type"), _LOCATIONS) or LocationType.STORE,
        address=address(given.get("address")),
        phone=phone(contact.get("phone")),
        email=email(contact.get("email")),
        hours=_hours(given.get("operating_hours")),
        pickup="pickup" in common["capabilities"],
        **common,
    )


def _common_out(place: Location | Channel, country: str | None) -> dict[str, Any]:
    market = {
        "country": country,
        "currency": place.currency,
        "timezone": place.time_zone,
        "language": _languages_out(place.languages),
    }
    return {
        "id": mach_id(place),
        "external_references": references_out(place),
        "name": local_out(place.name, "name", place.translations),
        "market": drop_empty(market),
        "brand": drop_empty({"brand_name": place.brand}),
        "capabilities": list(place.capabilities),
        "status": "active" if place.active else "inactive",
    }


def write_store(location: Location, _context: Context) -> dict[str, Any]:
    hours = {_DAYS[day.weekday - 1]: {"open": day.opens, "close": day.closes} for day in location.hours}
    return {
        **_common_out(location, location.address.country if location.address else None),
        "type": known(location.type, _LOCATIONS),
        "address": address_out(location.address),
        "contact": drop_empty({"phone": location.phone, "email": location.email}),
        "operating_hours": hours,
    }


def write_channel(channel: Channel, _context: Context) -> dict[str, Any]:
    kind = channel.type
    word = known(kind, _CHANNELS) if kind in (ChannelType.WEB, ChannelType.MARKETPLACE) else "online"
    return {**_common_out(channel, channel.country), "type": word}
