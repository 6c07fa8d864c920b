"""A fixed token in a header: all that some systems offer. It proves who calls, not what was said."""

from __future__ import annotations

from collections.abc import Mapping

from connectors.contract import Refused
from connectors.webhooks.secrets import BAD_SIGNATURE, Secrets, header_of, opened_by, plain_secrets

__all__ = ["header_token", "smaregi"]


def header_token(headers: Mapping[str, str], secrets: Secrets, *, header: str, prefix: str = "") -> None:
    """The header's value must be one of the secrets, after `prefix` ("Bearer ")."""
    keys = list(secrets)
    plain_secrets(keys)
    text = header_of(headers, header)
    if not text.startswith(prefix):
        raise Refused(f"the header {header} does not begin with {prefix!r}", code=BAD_SIGNATURE)
    opened_by(keys, lambda key: key, [text[len(prefix) :].encode()])


def smaregi(headers: Mapping[str, str], secrets: Secrets, *, header: str, contract_id: str) -> None:
    """Smaregi signs nothing: what it offers is a fixed header of your own (name and value are typed in the developer
    console) and `Smaregi-Contract-Id`. Both must fit.

    The body is not covered, so take from it only ids to fetch, never values.
    """
    header_token(headers, secrets, header=header)
    if header_of(headers, "smaregi-contract-id") != contract_id:
        raise Refused("the call is for another Smaregi contract", code="other_account")
