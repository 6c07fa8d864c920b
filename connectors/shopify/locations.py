"""The shop's places: the hub's names for them, their ids at Shopify."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from connectors.contract import Misconfigured, Refused
from connectors.shopify.api import Api
from connectors.shopify.ids import gid, kind_of

__all__ = ["Locations"]


class Locations:
    """Resolves what settings and records call a place. The shop is asked only where a name has to be looked up."""

    def __init__(self, api: Api) -> None:
        self._api = api

    @cached_property
    def known(self) -> list[dict[str, Any]]:
        """Every location of the shop."""
        found: list[dict[str, Any]] = []
        after: str | None = None
        while True:
            page = self._api.query("Locations", after=after)["locations"]
            found += page["nodes"]
            if not page["pageInfo"]["hasNextPage"]:
                return found
            after = page["pageInfo"]["endCursor"]

    def write_to(self, wanted: str | None) -> str:
        """The id of a place. Raises `Refused` for one a record names and nobody knows, `Misconfigured` for one the
        settings name, and where a record names none and there are several.
        """
        settings = self._api.config
        if wanted is not None:
            named = settings.locations.get(wanted)
            return self._configured(named) if named is not None else self._of_record(wanted)
        if settings.location is not None:
            return self._configured(settings.locations.get(settings.location, settings.location))
        if len(settings.locations) == 1:
            return self._configured(next(iter(settings.locations.values())))
        active = [place["id"] for place in self.known if place["isActive"]]
        if len(active) == 1:
            return str(active[0])
        raise Misconfigured(
            f"the shop has several locations: set `location` to the one stock is written to; known: {self._names()}"
        )

    def read_from(self) -> list[str]:
        """The ids of the places whose stock is read: those of the settings, else all active ones."""
        configured = self._api.config.locations
        if configured:
            return list(dict.fromkeys(self._configured(named) for named in configured.values()))
        return [place["id"] for place in self.known if place["isActive"]]

    def _configured(self, named: str) -> str:
        found = self._by_id_or_name(named)
        if found is None:
            raise Misconfigured(f"the settings name the location {named!r}; the shop has: {self._names()}")
        return found

    def _of_record(self, wanted: str) -> str:
        found = self._by_id_or_name(wanted)
        if found is None:
            raise Refused(
                f"no location {wanted!r}: add it to `locations` of the settings; the shop has: {self._names()}",
                code="unknown_location",
            )
        return found

    def _by_id_or_name(self, named: str) -> str | None:
        if (named.isascii() and named.isdigit()) or kind_of(named) == "Location":
            return gid("Location", named)
        return next((str(place["id"]) for place in self.known if place["name"] == named), None)

    def _names(self) -> str:
        return ", ".join(f"{place['name']} ({place['id'].rsplit('/', 1)[-1]})" for place in self.known)
