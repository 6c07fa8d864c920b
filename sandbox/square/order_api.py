"""Orders, payments, refunds and locations as the API shows them; all of it only reads.

Facts: Square's OpenAPI (2025-08-20): ten locations a search, the sort field must be that of the time filter, payments
are listed for the main location unless one is named.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sandbox.square.answers import no
from sandbox.square.seller import Row, Seller
from sandbox.square.shapes import Field, checked, parse_time, times

__all__ = [
    "list_locations",
    "list_payments",
    "list_refunds",
    "one_payment",
    "one_refund",
    "retrieve_orders",
    "search_orders",
]

_RANGE = Field("object", fields={"start_at": Field("time"), "end_at": Field("time")})
_STATES = ("OPEN", "COMPLETED", "CANCELED", "DRAFT")
_SEARCH = {
    "location_ids": Field("array", required=True, least=1, most=10, item=Field(least=1)),
    "cursor": Field(),
    "query": Field("object", fields={
        "filter": Field("object", fields={
            "state_filter": Field("object", fields={
                "states": Field("array", required=True, least=1, item=Field(values=_STATES)),
            }),
            "date_time_filter": Field("object", fields={
                "created_at": _RANGE, "updated_at": _RANGE, "closed_at": _RANGE,
            }),
            "customer_filter": Field("object", fields={"customer_ids": Field("array", most=10, item=Field())}),
        }),
        "sort": Field("object", fields={
            "sort_field": Field(required=True, values=("CREATED_AT", "UPDATED_AT", "CLOSED_AT")),
            "sort_order": Field(values=("ASC", "DESC")),
        }),
    }),
    "limit": Field("integer", least=1, most=1000),
    "return_entries": Field("boolean"),
}  # fmt: skip
_RETRIEVE = {
    "location_id": Field(),
    "order_ids": Field("array", required=True, least=1, most=100, item=Field(least=1)),
}
_LIST_LIMIT = 100


def search_orders(seller: Seller, body: Any) -> Row:
    asked = checked(body, _SEARCH)
    unknown = [each for each in asked["location_ids"] if each not in seller.locations]
    if unknown:
        raise no("FORBIDDEN", f"Not a location of this merchant: {unknown[0]}", "location_ids", status=403,
                 category="AUTHENTICATION_ERROR")  # fmt: skip
    query = asked.get("query") or {}
    filters = query.get("filter") or {}
    sort = query.get("sort") or {"sort_field": "CREATED_AT"}
    ranges = {
        name: given for name, given in (filters.get("date_time_filter") or {}).items() if given is not None
    }
    for name in ranges:
        if sort["sort_field"] != name.upper():
            raise no(
                "BAD_REQUEST",
                f"sort_field must match the date_time_filter ({name}).",
                "query.sort.sort_field",
            )
    bounds = {name: times(given, f"query.filter.date_time_filter.{name}") for name, given in ranges.items()}
    states = (filters.get("state_filter") or {}).get("states")
    by = sort["sort_field"].lower()

    def fits(row: Row) -> bool:
        if row["location_id"] not in asked["location_ids"] or (states and row["state"] not in states):
            return False
        for name, (start, end) in bounds.items():
            moment = parse_time(row.get(name))
            if moment is None or (start and moment < start) or (end and moment > end):
                return False
        return seller.visible(row) and bool(row.get(by))

    rows = sorted((row for row in seller.orders.values() if fits(row)), key=lambda row: (row[by], row["id"]))
    if sort.get("sort_order", "DESC") == "DESC":
        rows.reverse()
    page, cursor = seller.pages.cut(
        asked, [row["id"] for row in rows], asked.get("limit", 500), seller.clock()
    )
    found = [seller.orders[each] for each in page]
    answer: Row = {}
    if found and asked.get("return_entries"):
        names = ("id", "version", "location_id")
        entries = [{("order_id" if n == "id" else n): row[n] for n in names} for row in found]
        answer["order_entries"] = entries
    elif found:
        answer["orders"] = found
    return answer | ({"cursor": cursor} if cursor else {})


def retrieve_orders(seller: Seller, body: Any) -> Row:
    asked = checked(body, _RETRIEVE)
    found = [seller.orders[each] for each in asked["order_ids"] if each in seller.orders]
    return {"orders": found} if found else {}


def list_locations(seller: Seller, _query: Mapping[str, str]) -> Row:
    return {"locations": list(seller.locations.values())}


def list_payments(seller: Seller, query: Mapping[str, str]) -> Row:
    main = next(iter(seller.locations))
    return _listed(seller, query, "payments", seller.payments, query.get("location_id", main))


def list_refunds(seller: Seller, query: Mapping[str, str]) -> Row:
    return _listed(seller, query, "refunds", seller.refunds, query.get("location_id"))


def _listed(
    seller: Seller, query: Mapping[str, str], kind: str, rows: Mapping[str, Row], location: str | None
) -> Row:
    for name in ("begin_time", "end_time", "updated_at_begin_time", "updated_at_end_time"):
        if name in query and parse_time(query[name]) is None:
            raise no("INVALID_TIME", f"`{query[name]}` is no RFC 3339 timestamp.", name)
    by = {"CREATED_AT": "created_at", "UPDATED_AT": "updated_at"}.get(query.get("sort_field", "CREATED_AT"))
    if by is None:
        raise no("INVALID_ENUM_VALUE", "sort_field is CREATED_AT or UPDATED_AT.", "sort_field")
    if query.get("sort_order", "DESC") not in ("ASC", "DESC"):
        raise no("INVALID_SORT_ORDER", "sort_order is ASC or DESC.", "sort_order")

    def fits(row: Row) -> bool:
        for prefix, name in (("", "created_at"), ("updated_at_", "updated_at")):
            moment = parse_time(row[name])
            start = parse_time(query.get(f"{prefix}begin_time"))
            end = parse_time(query.get(f"{prefix}end_time"))
            if moment is None or (start and moment < start) or (end and moment > end):
                return False
        return (location is None or row["location_id"] == location) and seller.visible(row)

    found = sorted((row for row in rows.values() if fits(row)), key=lambda row: (row[by], row["id"]))
    if query.get("sort_order", "DESC") == "DESC":
        found.reverse()
    # a limit above 100 is ignored, says the specification
    limit = int(query.get("limit", _LIST_LIMIT))
    limit = limit if 1 <= limit <= _LIST_LIMIT else _LIST_LIMIT
    page, cursor = seller.pages.cut(dict(query), [row["id"] for row in found], limit, seller.clock())
    answer: Row = {kind: [rows[each] for each in page]} if page else {}
    return answer | ({"cursor": cursor} if cursor else {})


def one_payment(seller: Seller, wanted: str) -> Row:
    return {"payment": _one(seller.payments, wanted)}


def one_refund(seller: Seller, wanted: str) -> Row:
    return {"refund": _one(seller.refunds, wanted)}


def _one(rows: Mapping[str, Row], wanted: str) -> Row:
    if wanted not in rows:
        raise no("NOT_FOUND", f"Could not find `{wanted}`.", status=404)
    return rows[wanted]
