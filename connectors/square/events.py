"""Events of Square's webhooks.

Most name only what changed, or come out of order: then the sources read it anew (`fetch`). Payments, refunds and
customers come whole, in the shape of their lists.
Facts: Square's webhook reference (payloads) and developer docs: answer within 10 seconds, duplicates happen.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from connectors.contract import Event, Refused
from connectors.square.catalog import SINCE
from connectors.square.config import SquareConfig
from connectors.square.inventory import count_id
from connectors.square.places import name_of
from connectors.webhooks import square

__all__ = ["events"]

Body = Mapping[str, Any]
Told = list[tuple[str, dict[str, Any]]]
"""(source, what its event holds) of one call."""


def events(headers: Mapping[str, str], body: bytes, config: SquareConfig) -> Sequence[Event]:
    """Verify `x-square-hmacsha256-signature` and read the event; [] for a type nothing is done about, and for
    locations that are not ours.

    Raises `Misconfigured` while signature key or notification URL are not set, `Refused` when the signature is wrong
    or the event cannot be read. The URL is part of what is signed, letter by letter.
    """
    square(headers, body, [config.webhook_secret], notification_url=config.notification_url or "")
    try:
        said: Any = json.loads(body)
        event_id, kind = str(said["event_id"]), str(said["type"])
        occurred_at = datetime.fromisoformat(said["created_at"])
        read = _READERS.get(kind)
        told = read(said["data"], config) if read is not None else []
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Refused(
            f"the event cannot be read: {type(error).__name__}: {error}", code="bad_event"
        ) from error
    return [
        Event(
            source=source,
            event_id=f"{event_id}:{source}" if len(told) > 1 else event_id,
            occurred_at=occurred_at,
            **more,
        )
        for source, more in told
    ]


def _order(data: Body, config: SquareConfig) -> Told:
    # {"object": {"order_updated": {"order_id", "location_id", "state", "version"}}}: its only member, whatever its name
    (about,) = data["object"].values()
    if not _ours(config, about.get("location_id")):
        return []
    return [("orders", {"fetch": (str(about.get("order_id") or data["id"]),)})]


def _counts(data: Body, config: SquareConfig) -> Told:
    # no SKU inside, and counts overtake each other: the source asks for the present number
    counts = [
        (count_id(count["catalog_object_id"], count["location_id"]), count)
        for count in data["object"]["inventory_counts"]
    ]
    ids = [
        each
        for each, count in counts
        if count.get("state") == "IN_STOCK" and _ours(config, count["location_id"])
    ]
    return [("inventory", {"fetch": tuple(dict.fromkeys(ids))})] if ids else []


def _catalog(data: Body, _: SquareConfig) -> Told:
    moment = datetime.fromisoformat(data["object"]["catalog_version"]["updated_at"])
    since = (SINCE + moment.isoformat(),)
    return [("products", {"fetch": since}), ("variations", {"fetch": since})]


def _customer(data: Body, _: SquareConfig) -> Told:
    if data.get("deleted"):
        return [("customers", {"deleted": (str(data["id"]),)})]
    return [("customers", {"records": (dict(data["object"]["customer"]),)})]


def _money(source: str, member: str) -> Callable[[Body, SquareConfig], Told]:
    def read(data: Body, config: SquareConfig) -> Told:
        row = data["object"][member]
        place = row.get("location_id")
        if not _ours(config, place):
            return []
        return [(source, {"records": ({**row, "location": name_of(config, place)},)})]

    return read


def _ours(config: SquareConfig, location_id: Any) -> bool:
    return not config.locations or location_id in config.locations.values()


_READERS: dict[str, Callable[[Body, SquareConfig], Told]] = {
    "order.created": _order,
    "order.updated": _order,
    "order.fulfillment.updated": _order,
    "inventory.count.updated": _counts,
    "catalog.version.updated": _catalog,
    "customer.created": _customer,
    "customer.updated": _customer,
    "customer.deleted": _customer,
    "payment.created": _money("payments", "payment"),
    "payment.updated": _money("payments", "payment"),
    "refund.created": _money("refunds", "refund"),
    "refund.updated": _money("refunds", "refund"),
}
