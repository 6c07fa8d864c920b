"""The secrets of a webhook door, and comparing without telling how near a guess was."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable, Mapping

from pydantic import SecretStr

from connectors.contract import Misconfigured, Refused

__all__ = ["BAD_SIGNATURE", "Secrets", "header_of", "opened_by", "plain_secrets"]

Secrets = Iterable[SecretStr | None]
"""Secrets as the settings hold them; None and empty ones count as not set."""

BAD_SIGNATURE = "bad_signature"
"""`Refused.code` of every call that is not proven genuine."""


def plain_secrets(secrets: Secrets) -> list[bytes]:
    """The secrets that are set. Raises `Misconfigured` when there is none: an empty key would fit every forger's
    signature.
    """
    found = [
        plain.encode()
        for secret in secrets
        if secret is not None and (plain := secret.get_secret_value()).strip()
    ]
    if not found:
        raise Misconfigured(
            "Webhookの秘密鍵が設定されていないため受け付けません。 / "
            "no webhook secret is set: the webhook door is shut"
        )
    return found


def header_of(headers: Mapping[str, str], name: str) -> str:
    """A header's value. Names are compared in lower case, as a gateway hands them over. Raises `Refused`."""
    wanted = name.lower()
    value = headers.get(wanted)
    if value is None:
        value = next((given for key, given in headers.items() if key.lower() == wanted), "")
    if not value.strip():
        raise Refused(f"the header {wanted} is missing", code=BAD_SIGNATURE)
    return value.strip()


def opened_by(secrets: Secrets, expected: Callable[[bytes], bytes], given: Iterable[bytes]) -> None:
    """Raise `Refused` unless one of the `given` proofs is what `expected` makes of one of the secrets.

    Every pair is compared, so the time taken tells neither which secret fits nor how much of it.
    """
    proofs = list(given)
    fits = False
    for secret in plain_secrets(secrets):
        wanted = expected(secret)
        for proof in proofs:
            fits |= hmac.compare_digest(wanted, proof)
    if not fits:
        raise Refused("the signature is wrong", code=BAD_SIGNATURE)
