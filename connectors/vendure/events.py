"""Events of a shop that carries the signed events plugin (`sandbox/vendure` shows it).

Vendure itself sends nothing. The plugin POSTs thin events: they name what to fetch, and are sent at most once, so the
polls stay the truth.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from connectors.contract import Event, Misconfigured, Refused
from connectors.vendure.config import VendureConfig

__all__ = ["events"]

_SOURCES = {"orders": "orders", "products": "products", "variants": "stock", "customers": "customers"}
"""What an event names -> the source that fetches it by id."""


def events(headers: Mapping[str, str], body: bytes, config: VendureConfig) -> Sequence[Event]:
    """Verify `X-Shop-Signature` (HMAC-SHA256 of "timestamp.body") and read the event.

    Raises `Misconfigured` without a secret in the settings, `Refused` when the signature is wrong. A call that is sent
    again is known by its event id; those are made unique per source, because one event may name things of two.
    """
    secret = config.webhook_secret
    if secret is None or not secret.get_secret_value():
        raise Misconfigured("no webhook_secret is set: the webhook door is shut")
    given = {name.lower(): value for name, value in headers.items()}
    timestamp = given.get("x-shop-timestamp", "")
    if not timestamp.isascii() or not timestamp.isdigit():
        raise Refused("the header X-Shop-Timestamp is missing", code="bad_signature")
    digest = hmac.new(secret.get_secret_value().encode(), timestamp.encode() + b"." + body, hashlib.sha256)
    signature = given.get("x-shop-signature", "").encode()
    if not hmac.compare_digest(f"sha256={digest.hexdigest()}".encode(), signature):
        raise Refused("the signature is wrong", code="bad_signature")
    return _read(body)


def _read(body: bytes) -> list[Event]:
    try:
        said: Any = json.loads(body)
        event_id, kind, data = str(said["id"]), str(said["type"]), dict(said["data"])
        occurred_at = datetime.fromisoformat(said["occurredAt"])
        named = {field: tuple(str(each) for each in data.get(field) or ()) for field in _SOURCES}
    except (ValueError, KeyError, TypeError) as error:
        raise Refused(f"the event cannot be read: {error}", code="bad_event") from error
    deleted = data.get("change") == "deleted"
    found = []
    for field, ids in named.items():
        source = _SOURCES[field]
        if not ids or (deleted and field == "variants"):
            continue
        gone = ids if deleted else ()
        found.append(
            Event(
                source=source,
                event_id=f"{event_id}:{source}",
                occurred_at=occurred_at,
                fetch=() if gone else ids,
                deleted=gone,
            )
        )
    if kind == "CustomerAddress":
        # An address that was deleted is a change of its customer.
        return [
            Event(each.source, each.event_id, occurred_at, fetch=each.fetch or each.deleted) for each in found
        ]
    return found
