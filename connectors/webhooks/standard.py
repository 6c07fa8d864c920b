"""Standard Webhooks (standardwebhooks.com, specification 1.0.0): id, time and body are signed together."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from connectors.contract import Misconfigured, Refused
from connectors.webhooks.secrets import BAD_SIGNATURE, Secrets, header_of, opened_by, plain_secrets
from connectors.webhooks.window import DEFAULT_WINDOW, Clock, utc_now, within_window

__all__ = ["standard_webhooks"]

_PREFIX = b"whsec_"
_LONGEST_HEADER = 4096
_DIGEST_BYTES = 32


def standard_webhooks(
    headers: Mapping[str, str],
    body: bytes,
    secrets: Secrets,
    *,
    tolerance: timedelta = DEFAULT_WINDOW,
    now: Clock = utc_now,
) -> str:
    """Verify `webhook-signature`: `v1,<base64 HMAC-SHA256 of "{webhook-id}.{webhook-timestamp}.{body}">`, several of
    them apart by blanks while a secret is being replaced. Gives the message id.

    A secret that begins with `whsec_` holds its key as base64, any other text is the key itself. `v1a` (ed25519) and
    unknown versions are passed over. The time is judged after the signature, so a forger learns nothing of our clock.
    """
    keys = list(secrets)
    for plain in plain_secrets(keys):
        _key(plain)
    message = header_of(headers, "webhook-id")
    told_at = header_of(headers, "webhook-timestamp")
    if not (told_at.isascii() and told_at.isdigit()):
        raise Refused("the header webhook-timestamp is no time", code=BAD_SIGNATURE)
    signed = f"{message}.{told_at}.".encode() + body
    opened_by(keys, lambda plain: hmac.digest(_key(plain), signed, "sha256"), _proofs(headers))
    try:
        signed_at = datetime.fromtimestamp(int(told_at), UTC)
    except (OverflowError, ValueError, OSError):
        raise Refused("the signed time is no time", code=BAD_SIGNATURE) from None
    within_window(signed_at, window=tolerance, now=now)
    return message


def _key(plain: bytes) -> bytes:
    if not plain.startswith(_PREFIX):
        return plain
    try:
        key = base64.b64decode(plain[len(_PREFIX) :], validate=True)
    except binascii.Error:
        key = b""
    if not key:
        raise Misconfigured(
            "Webhookの秘密鍵は whsec_ で始まっていますが、続きがbase64ではありません。 / "
            "the webhook secret begins with whsec_, but what follows is no base64"
        )
    return key


def _proofs(headers: Mapping[str, str]) -> list[bytes]:
    proofs = []
    for part in header_of(headers, "webhook-signature")[:_LONGEST_HEADER].split():
        version, _, text = part.partition(",")
        if version == "v1":
            try:
                digest = base64.b64decode(text.encode("ascii"), validate=True)
            except ValueError:  # no base64 (binascii.Error is one), or no ASCII
                continue
            if len(digest) == _DIGEST_BYTES:
                proofs.append(digest)
    if not proofs:
        raise Refused("the header webhook-signature holds no v1 signature", code=BAD_SIGNATURE)
    return proofs
