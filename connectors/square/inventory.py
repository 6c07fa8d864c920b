"""Counts out of Square: units of one state (IN_STOCK) per variation and location."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from connectors.contract import Call, Page
from connectors.square.api import Api, Row, in_parts
from connectors.square.catalog import Library, catalog_brief
from connectors.square.config import SquareConfig
from connectors.square.places import location_ids, name_of
from connectors.square.walk import Place, Window, asked_ids, walk, wire_time

__all__ = ["count_id", "inventory"]

_IDS_A_CALL = 500
_STATE = "IN_STOCK"


def count_id(variation: Any, location: Any) -> str:
    """The key of a count record, and what a thin event asks for: "{variation id}@{location id}"."""
    return f"{variation}@{location}"


def inventory(call: Call[SquareConfig], cursor: Place | None) -> Iterator[Page]:
    """IN_STOCK counts changed since the last read, with the SKU of their variation (`catalog`) and the hub's name of
    the location (`location`). Quantities are decimal texts; registers may sell below zero.

    `params["ids"]` takes variation ids and "{variation id}@{location id}".
    """
    api = Api(call)
    library = Library(api)
    if ids := asked_ids(call):
        for rows in _by_ids(api, ids):
            yield Page(cursor, _records(library, api.config, rows), name="inventory by id")
        return
    places = location_ids(api)

    def fetch(window: Window, page: str | None) -> tuple[Sequence[Row], str | None]:
        body = api.search(
            "/v2/inventory/counts/batch-retrieve",
            {
                "location_ids": places,
                "states": [_STATE],
                "updated_after": wire_time(window.start) if window.start is not None else None,
                "limit": api.config.page_size,
                "cursor": page,
            },
        )
        return body.get("counts") or (), body.get("cursor") or None

    for number, chunk in enumerate(
        walk(call, cursor, [fetch], lambda row: row.get("calculated_at")), start=1
    ):
        if chunk.rows:
            yield Page(chunk.place, _records(library, api.config, chunk.rows), name=f"inventory {number}")


def _by_ids(api: Api, ids: Sequence[str]) -> Iterator[list[Row]]:
    pairs = [each.partition("@") for each in ids]
    whole = {variation for variation, _, location in pairs if not location}
    wanted = {(variation, location) for variation, _, location in pairs if location}
    named = {location for _, location in wanted}
    if whole or not named:
        named |= set(location_ids(api))
    for part in in_parts((variation for variation, _, _ in pairs), _IDS_A_CALL):
        page: str | None = None
        while True:
            body = api.search(
                "/v2/inventory/counts/batch-retrieve",
                {
                    "catalog_object_ids": part,
                    "location_ids": sorted(named),
                    "states": [_STATE],
                    "limit": api.config.page_size,
                    "cursor": page,
                },
            )
            rows = [
                row
                for row in body.get("counts") or ()
                if row["catalog_object_id"] in whole
                or (row["catalog_object_id"], row["location_id"]) in wanted
            ]
            page = body.get("cursor") or None
            if rows:
                yield rows
            if page is None:
                break


def _records(library: Library, config: SquareConfig, rows: Iterable[Row]) -> list[dict[str, Any]]:
    # counts of whole items (the Restaurants app sells out dishes so) have no SKU and are nobody's stock
    counts = [row for row in rows if row.get("catalog_object_type", "ITEM_VARIATION") == "ITEM_VARIATION"]
    known = library.get(row["catalog_object_id"] for row in counts)
    return [
        {
            "id": count_id(row["catalog_object_id"], row["location_id"]),
            **row,
            "location": name_of(config, row["location_id"]),
            "catalog": catalog_brief(known.get(row["catalog_object_id"])),
        }
        for row in counts
    ]
