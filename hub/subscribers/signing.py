"""How a message is written and signed: Standard Webhooks 1.0.0 (standardwebhooks.com)."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote

import orjson
from pydantic import SecretStr

from hub.api.kinds import PLURALS

__all__ = ["body_of", "link_to", "ping_body", "signed_headers"]


def link_to(kind: str, key: str) -> str:
    """Where the hub's API shows the entity as it is now."""
    place = f"/api/v1/{PLURALS[kind]}"
    changed_by_proxies = any(part in ("", ".", "..") for part in key.split("/"))
    return f"{place}?key={quote(key, safe='')}" if changed_by_proxies else f"{place}/{quote(key)}"


def body_of(
    kind: str,
    key: str,
    version: int,
    *,
    changed_at: datetime,
    deleted: bool,
    content: Mapping[str, Any] | None,
) -> bytes:
    """The message's JSON; `content` only in whole messages. The same arguments give the same bytes."""
    data: dict[str, Any] = {
        "kind": kind,
        "key": key,
        "version": version,
        "changed_at": changed_at,
        "deleted": deleted,
        "link": link_to(kind, key),
    }
    if content is not None:
        data["content"] = content
    what = "deleted" if deleted else "changed"
    return orjson.dumps(
        {"type": f"{kind}.{what}", "timestamp": changed_at, "data": data}, option=orjson.OPT_UTC_Z
    )


def ping_body(name: str, at: datetime) -> bytes:
    """The message of `tsunagi subscriber test`."""
    return orjson.dumps(
        {"type": "ping", "timestamp": at, "data": {"subscriber": name}}, option=orjson.OPT_UTC_Z
    )


def signed_headers(event_id: str, at: datetime, body: bytes, secrets: Iterable[SecretStr]) -> dict[str, str]:
    """The headers of one attempt at the moment `at`; a signature for each secret, apart by blanks."""
    seconds = str(int(at.timestamp()))
    signed = f"{event_id}.{seconds}.".encode() + body
    proofs = [
        "v1," + base64.b64encode(hmac.digest(_plain(secret), signed, "sha256")).decode() for secret in secrets
    ]
    return {"webhook-id": event_id, "webhook-timestamp": seconds, "webhook-signature": " ".join(proofs)}


def _plain(secret: SecretStr) -> bytes:
    return base64.b64decode(secret.get_secret_value().removeprefix("whsec_"))
