"""Places where stock lies, and channels where it is sold."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from canonical_model.codes import ChannelType, LocationType
from canonical_model.entity import Entity
from canonical_model.values import Address, Email, Phone, Quantity, Translations, Value

__all__ = ["Channel", "Location", "OpeningHours"]


class OpeningHours(Value):
    """Hours of one weekday (1 Monday .. 7 Sunday) as "HH:MM"; closing after midnight is told as such ("25:00")."""

    weekday: Annotated[int, Field(ge=1, le=7)]
    opens: Annotated[str, Field(pattern=r"^\d{2}:\d{2}$")]
    closes: Annotated[str, Field(pattern=r"^\d{2}:\d{2}$")]


class Location(Entity, kind="location", ja="拠点", en="Location"):
    """A warehouse, store or other place that holds stock. Key: the location's code.

    sells_online   its stock may be offered by web channels (ship from store)
    pickup         buyers may fetch orders here (店舗受取)
    safety_stock   units of every SKU kept back here
    """

    name: str
    type: LocationType = LocationType.WAREHOUSE
    address: Address | None = None
    phone: Phone | None = None
    email: Email | None = None
    time_zone: str = "Asia/Tokyo"
    currency: str = "JPY"
    languages: tuple[str, ...] = ()
    brand: str | None = None
    hours: tuple[OpeningHours, ...] = ()
    capabilities: tuple[str, ...] = ()
    sells_online: bool = True
    pickup: bool = False
    safety_stock: Quantity = 0
    active: bool = True
    translations: Translations = Field(default_factory=dict)


class Channel(Entity, kind="channel", ja="チャネル", en="Channel"):
    """Where orders come from: a marketplace account, an own shop, a chain of stores. Key: the channel's code."""

    name: str
    type: ChannelType = ChannelType.WEB
    country: str = "JP"
    time_zone: str = "Asia/Tokyo"
    currency: str = "JPY"
    languages: tuple[str, ...] = ()
    brand: str | None = None
    locations: tuple[str, ...] = ()
    """Keys of the locations whose stock this channel offers; empty: all of them."""
    capabilities: tuple[str, ...] = ()
    active: bool = True
    translations: Translations = Field(default_factory=dict)
