"""Money out of Square: payments and refunds, by the time of their last change."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from functools import partial
from urllib.parse import quote

from connectors.contract import Call, Page
from connectors.square.api import Api, Row
from connectors.square.config import SquareConfig
from connectors.square.places import location_ids, name_of
from connectors.square.walk import Fetch, Place, Window, asked_ids, walk, wire_time

__all__ = ["payments", "refunds"]

_LIMIT = 100


def payments(call: Call[SquareConfig], cursor: Place | None) -> Iterator[Page]:
    """Payments of all locations. Square lists one location at a time, and the main one where none is named."""
    yield from _money(call, cursor, "payments")


def refunds(call: Call[SquareConfig], cursor: Place | None) -> Iterator[Page]:
    """Refunds of all locations."""
    yield from _money(call, cursor, "refunds")


def _money(call: Call[SquareConfig], cursor: Place | None, kind: str) -> Iterator[Page]:
    api = Api(call)
    if ids := asked_ids(call):
        rows = [_found(api, kind, each) for each in dict.fromkeys(ids)]
        yield Page(cursor, [_record(api, row) for row in rows if row is not None], name=f"{kind} by id")
        return
    parts: list[Fetch] = [partial(_list, api, kind, place) for place in location_ids(api)]
    first = timedelta(days=api.config.first_days)
    for number, chunk in enumerate(
        walk(call, cursor, parts, lambda row: row.get("updated_at"), first=first), start=1
    ):
        if chunk.rows or chunk.last:
            yield Page(chunk.place, [_record(api, row) for row in chunk.rows], name=f"{kind} {number}")


def _found(api: Api, kind: str, wanted: str) -> Row | None:
    answer = api.call.http.get(f"/v2/{kind}/{quote(wanted, safe='')}", expect={404})
    row: Row | None = answer.json().get(kind.removesuffix("s"))
    return row


def _list(
    api: Api, kind: str, place: str, window: Window, page: str | None
) -> tuple[Sequence[Row], str | None]:
    # no begin_time: it is about created_at, and would hide an older payment that changed
    body = api.get(
        f"/v2/{kind}",
        location_id=place,
        updated_at_begin_time=wire_time(window.start) if window.start is not None else None,
        updated_at_end_time=wire_time(window.end) if window.end is not None else None,
        sort_field="UPDATED_AT",
        sort_order="ASC",
        limit=min(api.config.page_size, _LIMIT),
        cursor=page,
    )
    return body.get(kind) or (), body.get("cursor") or None


def _record(api: Api, row: Row) -> dict[str, object]:
    return {**row, "location": name_of(api.config, row.get("location_id"))}
