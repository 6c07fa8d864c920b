"""Locations (stores) under the hub's names and Square's ids."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from connectors.contract import Misconfigured, Refused
from connectors.square.api import Api
from connectors.square.config import SquareConfig

__all__ = ["id_of", "location_ids", "locations", "name_of"]


def locations(api: Api) -> list[dict[str, Any]]:
    """All locations of the seller, as Square gives them."""
    return list(api.get("/v2/locations").get("locations") or ())


def location_ids(api: Api) -> list[str]:
    """Ids of the locations of this account: those of the settings, or all active ones."""
    if api.config.locations:
        return list(api.config.locations.values())
    active = [str(each["id"]) for each in locations(api) if each.get("status", "ACTIVE") == "ACTIVE"]
    if not active:
        raise Misconfigured("Squareに有効な店舗がありません。 / this Square account has no active location")
    return active


def name_of(config: SquareConfig, location_id: Any) -> Any:
    """The hub's name of a location; the id itself where the settings name none."""
    for name, known in config.locations.items():
        if known == location_id:
            return name
    return location_id


def id_of(config: SquareConfig, record: Mapping[str, Any]) -> str:
    """The location a record is for: `location_id` (Square's), `location` (the hub's name), or the only one there is.

    Raises `Refused` where none can be told.
    """
    known = config.locations
    wanted = record.get("location_id")
    if wanted is not None:
        if known and wanted not in known.values():
            raise Refused(
                f"location {wanted!r} is not among the settings' locations", code="unknown_location"
            )
        return str(wanted)
    name = record.get("location")
    if name is None and len(known) == 1:
        return next(iter(known.values()))
    if name in known:
        return known[name]
    if name is not None and not known:
        return str(name)
    raise Refused(
        f"拠点 {name!r} に当たるSquareの店舗がありません。設定 locations に加えるか、定数 locations で送る拠点を絞って"
        f"ください。 / no Square location is named {name!r}: add it to the setting locations"
        f" ({', '.join(known) or 'empty'}), or name the locations to send in the constant `locations`",
        code="unknown_location",
    )
