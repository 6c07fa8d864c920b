"""Customers: list, search, bulk-create, bulk-update, bulk-retrieve."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from functools import partial
from typing import Any

from sandbox.square.answers import Refusal, error, no
from sandbox.square.seller import Row, Seller
from sandbox.square.shapes import Field, checked, parse_time, times

__all__ = ["bulk_create", "bulk_retrieve", "bulk_update", "delete", "list_customers", "search"]

_NAMES = ("given_name", "family_name", "company_name", "email_address", "phone_number")
_ADDRESS = Field("object", fields={
    name: Field()
    for name in (
        "address_line_1", "address_line_2", "address_line_3", "locality", "sublocality", "postal_code",
        "administrative_district_level_1", "country", "first_name", "last_name",
    )
})  # fmt: skip
_PROFILE = {
    "given_name": Field(most=300),
    "family_name": Field(most=300),
    "company_name": Field(most=500),
    "nickname": Field(most=100),
    "email_address": Field(most=254),
    "phone_number": Field(),
    "address": _ADDRESS,
    "reference_id": Field(most=100),
    "note": Field(),
    "birthday": Field(),
}
_EXACT = Field("object", fields={"exact": Field(), "fuzzy": Field()})
_RANGE = Field("object", fields={"start_at": Field("time"), "end_at": Field("time")})
_SEARCH = {
    "cursor": Field(),
    "limit": Field("integer", least=1, most=100),
    "count": Field("boolean"),
    "query": Field("object", fields={
        "filter": Field("object", fields={
            "created_at": _RANGE, "updated_at": _RANGE, "email_address": _EXACT, "phone_number": _EXACT,
            "reference_id": _EXACT,
        }),
        "sort": Field("object", fields={
            "field": Field(values=("DEFAULT", "CREATED_AT")), "order": Field(values=("ASC", "DESC")),
        }),
    }),
}  # fmt: skip
_MAP = {"customers": Field("map", required=True, least=1, most=100, item=Field("object"))}
_RETRIEVE = {"customer_ids": Field("array", required=True, least=1, most=100, item=Field(least=1))}


def list_customers(seller: Seller, query: Mapping[str, str]) -> Row:
    limit = int(query.get("limit", 100))
    if not 1 <= limit <= 100:
        raise no("VALUE_TOO_HIGH" if limit > 100 else "VALUE_TOO_LOW", "limit is 1 to 100.", "limit")
    by = query.get("sort_field", "DEFAULT")
    return _page(
        seller, dict(query), list(seller.customers.values()), by, query.get("sort_order", "ASC"), limit
    )


def search(seller: Seller, body: Any) -> Row:
    asked = checked(body, _SEARCH)
    query = asked.get("query") or {}
    filters = {name: given for name, given in (query.get("filter") or {}).items() if given}

    rows = [row for row in seller.customers.values() if _fits(row, filters)]
    sort = query.get("sort") or {}
    return _page(
        seller, asked, rows, sort.get("field", "DEFAULT"), sort.get("order", "ASC"), asked.get("limit", 100)
    )


def _fits(row: Row, filters: Mapping[str, Row]) -> bool:
    for name, given in filters.items():
        if name in ("created_at", "updated_at"):
            start, end = times(given, f"query.filter.{name}")
            moment = parse_time(row[name])
            if moment is None or (start and moment < start) or (end and moment > end):
                return False
            continue
        present = str(row.get(name, "")).lower()
        if "exact" in given and present != given["exact"].lower():
            return False
        if "fuzzy" in given and given["fuzzy"].lower() not in present:
            return False
    return True


def _page(seller: Seller, query: Row, rows: list[Row], by: str, order: str, limit: int) -> Row:
    def place(row: Row) -> tuple[str, ...]:
        if by == "CREATED_AT":
            return row["created_at"], row["id"]
        return row.get("given_name", ""), row.get("family_name", ""), row["id"]

    there = [row for row in rows if seller.visible(row) and any(row.get(name) for name in _NAMES)]
    ids = [row["id"] for row in sorted(there, key=place, reverse=order == "DESC")]
    page, cursor = seller.pages.cut(query, ids, limit, seller.clock())
    found = [seller.customers[each] for each in page if each in seller.customers]
    answer: Row = {"customers": found} if found else {}
    return (
        answer | ({"cursor": cursor} if cursor else {}) | ({"count": len(ids)} if query.get("count") else {})
    )


def bulk_retrieve(seller: Seller, body: Any) -> Row:
    asked = checked(body, _RETRIEVE)
    return {"responses": {each: _retrieved(seller, each) for each in asked["customer_ids"]}}


def _retrieved(seller: Seller, each: str) -> Row:
    row = seller.customers.get(each)
    return {"customer": row} if row else {"errors": [error("NOT_FOUND", f"Customer `{each}` not found.")]}


def bulk_create(seller: Seller, body: Any) -> Row:
    """Each profile has its own idempotency key: the name under which it stands in the map."""
    asked = checked(body, _MAP)
    responses: dict[str, Row] = {}
    for key, given in asked["customers"].items():
        try:
            responses[key] = seller.once(key, given, partial(_create, seller, _profile(given)))
        except Refusal as refusal:
            responses[key] = {"errors": refusal.errors}
    return {"responses": responses}


def bulk_update(seller: Seller, body: Any) -> Row:
    """Members that are left out stay; null takes one away. A version that is not the present one is a conflict."""
    asked = checked(body, _MAP)
    responses: dict[str, Row] = {}
    for each, given in asked["customers"].items():
        try:
            responses[each] = {"customer": _updated(seller, each, given)}
        except Refusal as refusal:
            responses[each] = {"errors": refusal.errors}
    return {"responses": responses}


def _profile(given: Row, *, version: bool = False) -> Row:
    checked(given, _PROFILE | ({"version": Field("integer")} if version else {}))
    if given.get("email_address") and not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", given["email_address"]):
        raise no("INVALID_EMAIL_ADDRESS", "The e-mail address is invalid.", "email_address")
    if given.get("phone_number") and not re.fullmatch(r"\+?[\d\s().-]{9,20}", given["phone_number"]):
        raise no("INVALID_PHONE_NUMBER", "The telephone number is invalid.", "phone_number")
    if given.get("birthday"):
        try:
            date.fromisoformat(f"2000-{given['birthday'][-5:]}")  # the year may be 0000: not known
        except ValueError:
            raise no("INVALID_DATE", "The birthday is invalid.", "birthday") from None
    return given


def _create(seller: Seller, given: Row) -> Row:
    if not any(given.get(name) for name in _NAMES):
        raise no(
            "MISSING_REQUIRED_PARAMETER", "A name, company, e-mail address or telephone number is needed."
        )
    now = seller.now()
    row = {name: value for name, value in given.items() if value is not None}
    row |= {"id": seller.new_id("customer"), "created_at": now, "updated_at": now, "version": 0}
    row |= {"creation_source": "THIRD_PARTY", "preferences": {"email_unsubscribed": False}}
    seller.customers[row["id"]] = row
    _publish(seller, row, "customer.created")
    return {"customer": row}


def _updated(seller: Seller, each: str, given: Row) -> Row:
    row = seller.customers.get(each)
    if row is None:
        raise no("NOT_FOUND", f"Customer `{each}` not found.")
    changes = {name: value for name, value in _profile(given, version=True).items() if name != "version"}
    if "version" in given and given["version"] != row["version"]:
        raise no("CONFLICT", f"The profile is at version {row['version']}.", "version")
    for name, value in changes.items():
        if value is None:
            row.pop(name, None)
        elif isinstance(value, dict):
            row[name] = {**row.get(name, {}), **value}
        else:
            row[name] = value
    row |= {"updated_at": seller.now(), "version": row["version"] + 1}
    _publish(seller, row, "customer.updated")
    return row


def delete(seller: Seller, each: str) -> None:
    """Somebody deletes a profile in the dashboard."""
    with seller.lock:
        row = seller.customers.pop(each)
        data = {"type": "customer", "id": each, "deleted": True, "object": {"customer": row}}
        seller.tell("customer.deleted", data)


def _publish(seller: Seller, row: Row, kind: str) -> None:
    seller.tell(kind, {"type": "customer", "id": row["id"], "object": {"customer": row}})
