"""The inventory's part of the API: changes in, counts and changes out."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sandbox.square.answers import Refusal, error, no
from sandbox.square.ledger import ALLOWED, COUNTABLE, Entry, Key
from sandbox.square.seller import Row, Seller
from sandbox.square.shapes import ANY, Field, checked, parse_time

__all__ = ["batch_change", "retrieve_changes", "retrieve_counts"]

_STATES = (
    "CUSTOM", "IN_STOCK", "SOLD", "RETURNED_BY_CUSTOMER", "RESERVED_FOR_SALE", "SOLD_ONLINE", "ORDERED_FROM_VENDOR",
    "RECEIVED_FROM_VENDOR", "IN_TRANSIT_TO", "NONE", "WASTE", "UNLINKED_RETURN", "COMPOSED", "DECOMPOSED",
    "SUPPORTED_BY_NEWER_VERSION", "IN_TRANSIT",
)  # fmt: skip
_KINDS = ("PHYSICAL_COUNT", "ADJUSTMENT", "TRANSFER")
_WHAT = {
    "id": Field(most=100),
    "reference_id": Field(most=255),
    "catalog_object_id": Field(required=True, least=1, most=100),
    "catalog_object_type": Field(most=14),
    "location_id": Field(required=True, least=1, most=100),
    "quantity": Field("decimal", required=True, most=26),
    "team_member_id": Field(most=100),
    "employee_id": Field(most=100),
    "occurred_at": Field("time", required=True, most=34),
}
_CHANGE = {
    "idempotency_key": Field(required=True, least=1, most=128),
    "changes": Field("array", required=True, least=1, most=100, item=Field("object", fields={
        "type": Field(required=True, values=_KINDS),
        "physical_count": Field("object", fields={**_WHAT, "state": Field(required=True, values=_STATES)}),
        "adjustment": Field("object", fields={
            **_WHAT, "from_state": Field(required=True, values=_STATES),
            "to_state": Field(required=True, values=_STATES),
        }),
        "transfer": ANY,
    })),
    "ignore_unchanged_counts": Field("boolean"),
}  # fmt: skip
_IDS = Field("array", most=1000, item=Field(least=1))
_COUNTS = {
    "catalog_object_ids": _IDS,
    "location_ids": _IDS,
    "updated_after": Field("time"),
    "cursor": Field(),
    "states": Field("array", item=Field(values=_STATES)),
    "limit": Field("integer", least=1, most=1000),
}
_CHANGES = {
    "catalog_object_ids": _IDS,
    "location_ids": _IDS,
    "types": Field("array", item=Field(values=_KINDS)),
    "states": Field("array", item=Field(values=_STATES)),
    "updated_after": Field("time"),
    "updated_before": Field("time"),
    "cursor": Field(),
    "limit": Field("integer", least=1, most=1000),
}
_OLDEST = timedelta(hours=24)


def batch_change(seller: Seller, body: Any) -> Row:
    """All changes or none. A change is about the time it names, whenever it comes."""
    asked = checked(body, _CHANGE)
    return seller.once(asked["idempotency_key"], asked, lambda: _change(seller, asked))


def _change(seller: Seller, asked: Row) -> Row:
    errors: list[Row] = []
    plans: list[tuple[Key, Entry]] = []
    for number, change in enumerate(asked["changes"]):
        wrong = _wrong(seller, change, f"changes[{number}]")
        if wrong:
            errors += (
                wrong
                if seller.names_culprits
                else [{k: v for k, v in e.items() if k != "field"} for e in wrong]
            )
        else:
            plans.append(_plan(seller, change))
    if errors:
        raise Refusal(404 if {each["code"] for each in errors} == {"NOT_FOUND"} else 400, errors)
    done = []
    for key, entry in plans:
        unchanged = (
            entry.kind == "PHYSICAL_COUNT" and seller.ledger.quantity(key, entry.to_state) == entry.quantity
        )
        if unchanged and asked.get("ignore_unchanged_counts", True):
            continue
        seller.move(key, entry)
        done.append(entry.body)
    keys = dict.fromkeys(key for key, _ in plans)
    told = seller.ledger.told_at
    counts = [seller.count_row(key, state) for key in keys for state in _STATES if (*key, state) in told]
    answer: Row = {"counts": counts} if counts else {}
    return answer | ({"changes": done} if done else {})


def _wrong(seller: Seller, change: Row, path: str) -> list[Row]:
    kind = change["type"]
    member = kind.lower()
    detail = change.get(member)
    if kind == "TRANSFER":
        return [error("INSUFFICIENT_PERMISSIONS", "Transfers need a Retail Plus subscription.", path)]
    if detail is None:
        return [
            error("MISSING_REQUIRED_PARAMETER", f"Missing required parameter `{member}`.", f"{path}.{member}")
        ]
    path = f"{path}.{member}"
    errors = []
    variation = seller.catalog.get(detail["catalog_object_id"])
    if variation is None or variation["type"] != "ITEM_VARIATION" or variation["is_deleted"]:
        errors.append(error("NOT_FOUND", "No such item variation.", f"{path}.catalog_object_id"))
    if detail["location_id"] not in seller.locations:
        errors.append(error("NOT_FOUND", "No such location.", f"{path}.location_id"))
    moment = parse_time(detail["occurred_at"])
    now = seller.clock()
    if moment is None or moment > now or moment < now - _OLDEST:
        errors.append(
            error(
                "INVALID_TIME", "occurred_at is in the future or older than 24 hours.", f"{path}.occurred_at"
            )
        )
    quantity = Decimal(detail["quantity"])
    if quantity < 0 or (kind == "ADJUSTMENT" and not quantity):
        errors.append(error("INVALID_VALUE", "The quantity is too low.", f"{path}.quantity"))
    if kind == "PHYSICAL_COUNT" and detail["state"] not in COUNTABLE:
        errors.append(error("INVALID_VALUE", f"{detail['state']} cannot be counted.", f"{path}.state"))
    if kind == "ADJUSTMENT" and (detail["from_state"], detail["to_state"]) not in ALLOWED:
        errors.append(
            error(
                "INVALID_VALUE",
                f"Not allowed: {detail['from_state']} to {detail['to_state']}.",
                f"{path}.to_state",
            )
        )
    return errors


def _plan(seller: Seller, change: Row) -> tuple[Key, Entry]:
    kind = change["type"]
    detail = change[kind.lower()]
    key = (detail["catalog_object_id"], detail["location_id"])
    more = {
        name: detail[name] for name in ("reference_id", "team_member_id", "employee_id") if name in detail
    }
    entry = seller.entry(
        key,
        kind,
        Decimal(detail["quantity"]),
        detail["state"] if kind == "PHYSICAL_COUNT" else detail["to_state"],
        datetime.fromisoformat(detail["occurred_at"]),
        from_state=None if kind == "PHYSICAL_COUNT" else detail["from_state"],
        source={"product": "EXTERNAL_API", "name": "Tsunagi"},
        **more,
    )
    return key, entry


def retrieve_counts(seller: Seller, body: Any) -> Row:
    """Counts by the time they were last told about, newest first."""
    asked = checked(body, _COUNTS)
    since = parse_time(asked.get("updated_after"))
    found = []
    for key, state in seller.tracked():
        moment = seller.ledger.told_at[(*key, state)]
        if (
            (not asked.get("catalog_object_ids") or key[0] in asked["catalog_object_ids"])
            and (not asked.get("location_ids") or key[1] in asked["location_ids"])
            and (not asked.get("states") or state in asked["states"])
            and (since is None or moment > since)
        ):
            found.append((moment, "|".join((*key, state))))
    ids = [name for _, name in sorted(found, reverse=True)]
    page, cursor = seller.pages.cut(asked, ids, asked.get("limit", 100), seller.clock())
    counts = []
    for name in page:
        variation, location, state = name.split("|")
        counts.append(seller.count_row((variation, location), state))
    return ({"counts": counts} if counts else {}) | ({"cursor": cursor} if cursor else {})


def retrieve_changes(seller: Seller, body: Any) -> Row:
    """Changes, oldest first by `occurred_at`."""
    asked = checked(body, _CHANGES)
    after, before = parse_time(asked.get("updated_after")), parse_time(asked.get("updated_before"))
    if after is not None and before is not None and before < after:
        raise no("INVALID_TIME_RANGE", "updated_before lies before updated_after.", "updated_before")
    found: list[tuple[datetime, int, str]] = []
    known: dict[str, Row] = {}
    for key, entries in seller.ledger.entries.items():
        if asked.get("catalog_object_ids") and key[0] not in asked["catalog_object_ids"]:
            continue
        if asked.get("location_ids") and key[1] not in asked["location_ids"]:
            continue
        for entry in entries:
            if (
                (not asked.get("types") or entry.kind in asked["types"])
                and (not asked.get("states") or entry.to_state in asked["states"])
                and (after is None or entry.created_at > after)
                and (before is None or entry.created_at < before)
            ):
                known[str(entry.number)] = entry.body
                found.append((entry.occurred_at, entry.number, str(entry.number)))
    ids = [name for _, _, name in sorted(found)]
    page, cursor = seller.pages.cut(asked, ids, asked.get("limit", 100), seller.clock())
    changes = [known[name] for name in page if name in known]
    return ({"changes": changes} if changes else {}) | ({"cursor": cursor} if cursor else {})
