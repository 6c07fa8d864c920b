"""Detached JWS with RS256 (RFC 7515 appendix F; RFC 7797 for payloads that are not encoded).

The header holds `<protected>..<signature>`; the payload is the body. The algorithm is ours to choose, not the
caller's: anything but RS256 in the protected header is refused, so neither "none" nor an HMAC made with the public
key opens the door.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from cryptography.x509 import load_pem_x509_certificate

from connectors.contract import Misconfigured, Refused
from connectors.webhooks.secrets import BAD_SIGNATURE, header_of
from connectors.webhooks.window import Clock, utc_now, within_window

__all__ = ["PublicKeys", "jws_detached"]

PublicKeys = Mapping[str, str] | Sequence[str]
"""PEM public keys or certificates: by key id (`kid`), or in a row where the caller names none."""

_SHORTEST_KEY = 2048
_LONGEST_HEADER = 16_384


def jws_detached(
    headers: Mapping[str, str],
    body: bytes,
    keys: PublicKeys,
    *,
    header: str,
    window: timedelta | None = None,
    now: Clock = utc_now,
) -> Mapping[str, Any]:
    """Verify a detached RS256 signature over the body; gives the protected header.

    window  with it, the protected header must carry `iat` (unix seconds) no further than this from now

    Raises `Misconfigured` when no key is set or one cannot be read.
    """
    known = _loaded(keys)
    protected, signature = _parts(header_of(headers, header))
    about = _about(protected)
    encoded = about.get("b64", True)
    payload = _base64url(body) if encoded else body
    signed = protected.encode("ascii") + b"." + payload
    candidates = _candidates(known, about.get("kid"))
    if not any(_fits(key, signature, signed) for key in candidates):
        raise Refused("the signature is wrong", code=BAD_SIGNATURE)
    if window is not None:
        issued = about.get("iat")
        if not isinstance(issued, int) or isinstance(issued, bool):
            raise Refused("the signature does not say when it was made (iat)", code=BAD_SIGNATURE)
        try:
            signed_at = datetime.fromtimestamp(issued, UTC)
        except (OverflowError, ValueError, OSError):
            raise Refused("the signed time is no time", code=BAD_SIGNATURE) from None
        within_window(signed_at, window=window, now=now)
    return about


def _loaded(keys: PublicKeys) -> dict[str | None, list[rsa.RSAPublicKey]]:
    named: list[tuple[str | None, str]] = (
        list(keys.items()) if isinstance(keys, Mapping) else [(None, pem) for pem in keys]
    )
    found: dict[str | None, list[rsa.RSAPublicKey]] = {}
    for kid, pem in named:
        if pem.strip():
            found.setdefault(kid, []).append(_public_key(pem.strip()))
    if not found:
        raise Misconfigured(
            "署名を検証する公開鍵が設定されていないため受け付けません。 / "
            "no public key is set to verify webhooks with: the door is shut"
        )
    return found


def _public_key(pem: str) -> rsa.RSAPublicKey:
    data = pem.encode()
    try:
        if "CERTIFICATE" in pem.partition("\n")[0]:
            key: object = load_pem_x509_certificate(data).public_key()
        else:
            key = load_pem_public_key(data)
    except (ValueError, UnsupportedAlgorithm):
        raise Misconfigured("a public key for webhooks is no PEM public key or certificate") from None
    if not isinstance(key, rsa.RSAPublicKey) or key.key_size < _SHORTEST_KEY:
        raise Misconfigured(
            f"a public key for webhooks is no RSA key of at least {_SHORTEST_KEY} bits, as RS256 needs"
        )
    return key


def _parts(text: str) -> tuple[str, bytes]:
    pieces = text.split(".")
    if len(text) > _LONGEST_HEADER or len(pieces) != 3 or pieces[1] or not pieces[0]:
        raise Refused("the header is no detached JWS (<protected>..<signature>)", code=BAD_SIGNATURE)
    return pieces[0], _decoded(pieces[2])


def _about(protected: str) -> dict[str, Any]:
    try:
        about = json.loads(_decoded(protected))
    except ValueError:
        about = None
    if not isinstance(about, dict):
        raise Refused("the signature's protected header cannot be read", code=BAD_SIGNATURE)
    if about.get("alg") != "RS256":
        raise Refused("the signature is not made by RS256", code=BAD_SIGNATURE)
    critical = about.get("crit", [])
    # RFC 7515 4.1.11: what is critical and not understood makes the signature invalid; RFC 7797 6: b64 must be critical
    understood = isinstance(critical, list) and set(map(str, critical)) <= {"b64"}
    if not understood or not isinstance(about.get("b64", True), bool) or ("b64" in about) != bool(critical):
        raise Refused("the signature's critical headers are not understood", code=BAD_SIGNATURE)
    return about


def _candidates(known: Mapping[str | None, list[rsa.RSAPublicKey]], kid: Any) -> Sequence[rsa.RSAPublicKey]:
    if None in known:
        return known[None]
    if kid is None and len(known) == 1:
        return next(iter(known.values()))
    if not isinstance(kid, str) or kid not in known:
        raise Refused("the signature names a key that is not known here (kid)", code=BAD_SIGNATURE)
    return known[kid]


def _fits(key: rsa.RSAPublicKey, signature: bytes, signed: bytes) -> bool:
    try:
        key.verify(signature, signed, padding.PKCS1v15(), SHA256())
    except InvalidSignature:
        return False
    return True


def _base64url(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def _decoded(text: str) -> bytes:
    try:
        raw = text.encode("ascii")
        return base64.b64decode(raw + b"=" * (-len(raw) % 4), altchars=b"-_", validate=True)
    except (ValueError, binascii.Error):
        raise Refused("the signature is no base64url", code=BAD_SIGNATURE) from None
