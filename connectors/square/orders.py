"""Orders out of Square: receipts of the registers, online orders, returns and exchanges.

Facts (Square's OpenAPI 2025-08-20, SearchOrders): ten locations a search; the sort field must be that of the time
filter; receipts a register took offline may come up to 72 hours late, under the time at which they were made,
so changes are read by `updated_at` and never by `created_at`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

from connectors.contract import Call, Page
from connectors.square.api import Api, Row, in_parts
from connectors.square.catalog import Library, catalog_brief
from connectors.square.config import SquareConfig
from connectors.square.places import location_ids, name_of
from connectors.square.walk import Fetch, Place, Window, asked_ids, walk, wire_time

__all__ = ["orders"]

_LOCATIONS_A_SEARCH = 10
_IDS_A_CALL = 100


def orders(call: Call[SquareConfig], cursor: Place | None) -> Iterator[Page]:
    """Orders of every state, oldest change first. Lines carry their variation's SKU (`catalog`), the order the hub's
    name of its location (`location`). A return is an order of its own with `returns` and without `line_items`.
    """
    api = Api(call)
    library = Library(api)
    if ids := asked_ids(call):
        for part in in_parts(ids, _IDS_A_CALL):
            found = api.search("/v2/orders/batch-retrieve", {"order_ids": part}).get("orders") or ()
            yield Page(cursor, _records(library, api.config, found), name="orders by id")
        return
    parts: list[Fetch] = [
        partial(_search, api, places) for places in in_parts(location_ids(api), _LOCATIONS_A_SEARCH)
    ]
    first = timedelta(days=api.config.first_days)
    for number, chunk in enumerate(
        walk(call, cursor, parts, lambda row: row.get("updated_at"), first=first), start=1
    ):
        if chunk.rows or (chunk.last and len(parts) > 1):
            yield Page(chunk.place, _records(library, api.config, chunk.rows), name=f"orders {number}")


def _search(
    api: Api, places: Sequence[str], window: Window, page: str | None
) -> tuple[Sequence[Row], str | None]:
    times = {"start_at": window.start, "end_at": window.end}
    body = api.search(
        "/v2/orders/search",
        {
            "location_ids": list(places),
            "query": {
                "filter": {
                    "date_time_filter": {
                        "updated_at": {
                            name: wire_time(time) for name, time in times.items() if time is not None
                        }
                    }
                },
                "sort": {"sort_field": "UPDATED_AT", "sort_order": "ASC"},
            },
            "limit": api.config.page_size,
            "cursor": page,
        },
    )
    return body.get("orders") or (), body.get("cursor") or None


def _records(library: Library, config: SquareConfig, rows: Iterable[Row]) -> list[dict[str, Any]]:
    listed = list(rows)
    known = library.get(
        line["catalog_object_id"]
        for row in listed
        for line in _all_lines(row)
        if line.get("catalog_object_id")
    )

    def with_sku(line: Row) -> dict[str, Any]:
        brief = catalog_brief(known.get(line.get("catalog_object_id") or ""))
        return {**line, "catalog": brief} if brief else dict(line)

    records = []
    for row in listed:
        record = {**row, "location": name_of(config, row.get("location_id"))}
        if row.get("line_items"):
            record["line_items"] = [with_sku(line) for line in row["line_items"]]
        if row.get("returns"):
            record["returns"] = [
                {
                    **each,
                    "return_line_items": [with_sku(line) for line in each.get("return_line_items") or ()],
                }
                for each in row["returns"]
            ]
        records.append(record)
    return records


def _all_lines(order: Row) -> Iterator[Row]:
    yield from order.get("line_items") or ()
    for each in order.get("returns") or ():
        yield from each.get("return_line_items") or ()
