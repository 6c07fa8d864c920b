"""Customer profiles out of Square.

Searching by `updated_at` comes in no order of time; Square shows only profiles with a name, company, e-mail address
or telephone number. A profile that was merged into another is gone (customer.deleted tells, and the next full read).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from connectors.contract import Call, Page
from connectors.square.api import Api, Row, in_parts
from connectors.square.config import SquareConfig
from connectors.square.walk import Place, Window, asked_ids, walk, wire_time

__all__ = ["LIMIT", "customers", "retrieve"]

LIMIT = 100


def customers(call: Call[SquareConfig], cursor: Place | None) -> Iterator[Page]:
    """Profiles changed since the last read. Without a cursor it is the complete list, oldest profile first."""
    api = Api(call)
    if ids := asked_ids(call):
        for part in in_parts(ids, LIMIT):
            yield Page(cursor, list(retrieve(api, part).values()), name="customers by id")
        return
    size = min(api.config.page_size, LIMIT)

    def fetch(window: Window, page: str | None) -> tuple[Sequence[Row], str | None]:
        if window.start is None:
            body = api.get(
                "/v2/customers", limit=size, sort_field="CREATED_AT", sort_order="ASC", cursor=page
            )
        else:
            changed = {"updated_at": {"start_at": wire_time(window.start)}}
            body = api.search(
                "/v2/customers/search", {"limit": size, "query": {"filter": changed}, "cursor": page}
            )
        return body.get("customers") or (), body.get("cursor") or None

    whole = (cursor is None or (cursor.since is None and cursor.under_way)) and "since" not in call.params
    for number, chunk in enumerate(walk(call, cursor, [fetch], lambda row: row.get("updated_at")), start=1):
        if chunk.rows or (whole and chunk.last):
            yield Page(chunk.place, chunk.rows, name=f"customers {number}", complete=whole and chunk.last)


def retrieve(api: Api, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Profiles by id, at most `LIMIT`; those that do not exist are left out."""
    body = api.search("/v2/customers/bulk-retrieve", {"customer_ids": list(ids)})
    answers = body.get("responses") or {}
    return {each: answers[each]["customer"] for each in ids if (answers.get(each) or {}).get("customer")}
