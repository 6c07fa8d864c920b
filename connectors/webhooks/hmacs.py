"""Signatures by HMAC-SHA256 with a shared secret (RFC 2104).

Who signs what:

| system | header | of | written |
|---|---|---|---|
| Shopify | X-Shopify-Hmac-Sha256 | body | base64 |
| WooCommerce | X-WC-Webhook-Signature | body | base64 |
| LINE | X-Line-Signature | body | base64 |
| Square | x-square-hmacsha256-signature | notification URL, body | base64 |
| EC-CUBE 4 | X-ECCUBE-Signature | body | hex |
| GitHub and many own shops | X-Hub-Signature-256 | body | "sha256=" and hex |
| Stripe | Stripe-Signature | time, ".", body | t=...,v1=hex |
| Standard Webhooks (`standard.py`) | webhook-signature | id, ".", time, ".", body | v1,base64 |

The body is the bytes as received: parsing and writing it again changes the signature.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Literal

from connectors.contract import Misconfigured, Refused
from connectors.webhooks.secrets import BAD_SIGNATURE, Secrets, header_of, opened_by, plain_secrets
from connectors.webhooks.window import DEFAULT_WINDOW, Clock, utc_now, within_window

__all__ = ["ec_cube", "github", "hmac_header", "line", "shopify", "square", "stripe", "woocommerce"]

Headers = Mapping[str, str]

_DIGEST_BYTES = 32
_LONGEST_HEADER = 4096


def hmac_header(
    headers: Headers,
    body: bytes,
    secrets: Secrets,
    *,
    header: str,
    encoding: Literal["base64", "hex"] = "base64",
    prefix: str = "",
    before: bytes = b"",
) -> None:
    """HMAC-SHA256 of `before` and the body, in one header.

    prefix  text before the digest ("sha256=")
    before  bytes that are signed in front of the body (Square's URL)
    """
    keys = list(secrets)
    plain_secrets(keys)
    text = header_of(headers, header)
    if not text.startswith(prefix):
        raise Refused(f"the header {header} does not begin with {prefix!r}", code=BAD_SIGNATURE)
    opened_by(keys, lambda key: _digest(key, before + body), [_decoded(text[len(prefix) :], encoding)])


def shopify(headers: Headers, body: bytes, secrets: Secrets) -> None:
    """Shopify: base64 of the HMAC of the body, key = the app's client secret (shopify.dev, webhooks over HTTPS)."""
    hmac_header(headers, body, secrets, header="x-shopify-hmac-sha256")


def woocommerce(headers: Headers, body: bytes, secrets: Secrets) -> None:
    """WooCommerce: base64 of the HMAC of the body, key = the secret typed at the webhook."""
    hmac_header(headers, body, secrets, header="x-wc-webhook-signature")


def line(headers: Headers, body: bytes, secrets: Secrets) -> None:
    """LINE Messaging API: base64 of the HMAC of the body, key = the channel secret."""
    hmac_header(headers, body, secrets, header="x-line-signature")


def square(headers: Headers, body: bytes, secrets: Secrets, *, notification_url: str) -> None:
    """Square: base64 of the HMAC of notification URL and body, key = the subscription's signature key.

    The URL is the subscribed one, byte for byte; behind a proxy that is not what the gateway sees, so it is a
    setting. Raises `Misconfigured` where it is not set. (developer.squareup.com, validate webhook notifications)
    """
    if not notification_url:
        raise Misconfigured("the notification URL that Square signs is not set: the webhook door is shut")
    hmac_header(
        headers, body, secrets, header="x-square-hmacsha256-signature", before=notification_url.encode()
    )


def ec_cube(headers: Headers, body: bytes, secrets: Secrets) -> None:
    """EC-CUBE 4, Web API plugin: hex of the HMAC of the body. The plugin signs only when a secret is typed in there."""
    hmac_header(headers, body, secrets, header="x-eccube-signature", encoding="hex")


def github(headers: Headers, body: bytes, secrets: Secrets, *, header: str = "x-hub-signature-256") -> None:
    """GitHub's form, which many systems took over: "sha256=" and hex of the HMAC of the body."""
    hmac_header(headers, body, secrets, header=header, encoding="hex", prefix="sha256=")


def stripe(
    headers: Headers,
    body: bytes,
    secrets: Secrets,
    *,
    tolerance: timedelta = DEFAULT_WINDOW,
    now: Clock = utc_now,
    header: str = "stripe-signature",
) -> datetime:
    """Stripe: `t=<unix seconds>,v1=<hex>[,v1=<hex>]`, HMAC of "{t}.{body}", key = the endpoint's secret (whsec_...).

    Several v1 stand there while Stripe itself rolls the secret; v0 and unknown schemes are passed over. Gives the
    signed time. The time is judged after the signature, so a forger learns nothing of our clock.
    """
    keys = list(secrets)
    plain_secrets(keys)
    told_at, proofs = _stripe_parts(header_of(headers, header))
    opened_by(keys, lambda key: _digest(key, told_at.encode() + b"." + body), proofs)
    try:
        signed_at = datetime.fromtimestamp(int(told_at), UTC)
    except (OverflowError, ValueError, OSError):
        raise Refused("the signed time is no time", code=BAD_SIGNATURE) from None
    within_window(signed_at, window=tolerance, now=now)
    return signed_at


def _stripe_parts(text: str) -> tuple[str, list[bytes]]:
    told_at, proofs = "", []
    for part in text[:_LONGEST_HEADER].split(","):
        name, _, value = part.strip().partition("=")
        if name == "t":
            told_at = value
        elif name == "v1":
            proofs.append(_decoded(value, "hex"))
    if not (told_at.isascii() and told_at.isdigit()) or not proofs:
        raise Refused("the signature header has no time or no v1 signature", code=BAD_SIGNATURE)
    return told_at, proofs


def _digest(key: bytes, signed: bytes) -> bytes:
    return hmac.digest(key, signed, "sha256")


def _decoded(text: str, encoding: Literal["base64", "hex"]) -> bytes:
    """The digest a header gives. Strict: what another decoder would let pass is another text, not this signature."""
    try:
        if encoding == "hex":
            digest = bytes.fromhex(text) if text.isascii() and text.isalnum() else b""
        else:
            digest = base64.b64decode(text.encode("ascii"), validate=True)
    except (ValueError, binascii.Error):
        digest = b""
    if len(digest) != _DIGEST_BYTES:
        raise Refused("the signature is wrong: it is no HMAC-SHA256", code=BAD_SIGNATURE)
    return digest
