"""Events of a shop that carries the signed events plugin (`sandbox/vendure/app/signed_events`).

Vendure itself sends nothing. The plugin POSTs thin events, several in one call: they name what to fetch.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from connectors.contract import Event, Refused
from connectors.vendure.config import VendureConfig
from connectors.webhooks import standard_webhooks

__all__ = ["events"]

_NAMES = ("orders", "products", "variants", "stock", "customers")
"""What an event may name, each by the source that fetches it by id."""
_AT_ONCE = 1000
"""More events in one call than any plugin sends are not read."""


def events(headers: Mapping[str, str], body: bytes, config: VendureConfig) -> Sequence[Event]:
    """Verify the call (Standard Webhooks, five minutes) and read its events; [] where they name nothing we fetch.

    Raises `Misconfigured` without a secret in the settings, `Refused` when the signature is wrong, the call is old or
    it cannot be read. An event that is sent again is known by its id, also in other company; the id is made unique per
    source, because one event may name things of two.
    """
    standard_webhooks(headers, body, [config.webhook_secret])
    try:
        told = json.loads(body)["events"]
        if not isinstance(told, list) or len(told) > _AT_ONCE:
            raise ValueError(f"events must be a list of {_AT_ONCE} at most")
        return [event for one in told for event in _read(one)]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Refused(
            f"the events cannot be read: {type(error).__name__}: {error}", code="bad_event"
        ) from error


def _read(said: Mapping[str, Any]) -> Iterator[Event]:
    event_id, data = str(said["id"]), said["data"]
    occurred_at = datetime.fromisoformat(said["occurredAt"])
    if occurred_at.tzinfo is None:
        raise ValueError("occurredAt has no offset")
    for name in _NAMES:
        given = data.get(name) or ()
        if not isinstance(given, (list, tuple)):
            raise TypeError(f"{name} must be a list of ids")
        ids = tuple(str(each) for each in given)
        gone = ids if data.get("change") == "deleted" else ()
        if ids:
            yield Event(name, f"{event_id}:{name}", occurred_at, fetch=() if gone else ids, deleted=gone)
