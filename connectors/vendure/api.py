"""Calls to the Admin API, and what its answers mean.

Vendure answers HTTP 200 to nearly everything. An error stands in one of two places: in `errors` with a code (no
permission, unknown id, bad input), or in the result itself, which is then a member of the `ErrorResult` interface.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import httpx

from connectors.contract import Call, ConnectorError, Misconfigured, Refused, Retry
from connectors.transport.http import HttpSettings, Intent
from connectors.vendure.auth import VendureLogin, error_codes
from connectors.vendure.config import VendureConfig
from connectors.vendure.documents import document

__all__ = ["Api", "Channel", "Unexpected", "classify", "forget_channels", "http_settings"]

_NO_MINOR_UNIT = frozenset({"JPY", "KRW", "VND", "CLP", "ISK", "PYG", "UGX", "XAF", "XOF", "XPF"})
_THREE_DECIMALS = frozenset({"BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"})
_WRONG_SCHEMA = frozenset({"GRAPHQL_VALIDATION_FAILED", "GRAPHQL_PARSE_FAILED"})
_NO_ENTRY = frozenset({"FORBIDDEN", "UNAUTHORIZED", "CHANNEL_NOT_FOUND"})


class Unexpected(Retry):
    """An exception inside the server, told without a code: a locked database as well as a foreign key."""


def _account(config: VendureConfig) -> str:
    """What tells this account from others: server, user, channel."""
    return f"vendure:{config.username}@{config.base_url.rstrip('/')}#{config.channel_token or ''}"


def http_settings(config: VendureConfig) -> HttpSettings:
    """How to reach the account. Every call is a POST to the Admin API's one address."""
    headers = {"Accept": "application/json"}
    if config.channel_token:
        headers["vendure-token"] = config.channel_token
    return HttpSettings(
        base_url=config.base_url.rstrip("/") + "/" + config.admin_api_path.strip("/"),
        auth=VendureLogin(config.username, config.password, name=_account(config)),
        headers=headers,
        classify=classify,
        plain_http=config.plain_http,
    )


def classify(response: httpx.Response) -> ConnectorError | None:
    """The error a GraphQL answer means; None when it has none (or is no GraphQL answer at all).

    What the server itself did not expect may pass: `Unexpected`, a `Retry`.
    """
    try:
        body = response.json()
    except ValueError:
        return None
    codes = error_codes(body)
    if not codes:
        return None
    first = body["errors"][0]
    message = str(first.get("message", "")) if isinstance(first, dict) else str(first)
    path = ".".join(str(step) for step in (first.get("path") or ())) if isinstance(first, dict) else ""
    code = codes[0]
    said = f"Vendure: {message}" + (f" ({code})" if code else "") + (f" at {path}" if path else "")
    if code in _WRONG_SCHEMA:
        return Misconfigured(
            f"{said}; the server's API differs from Vendure 3.7's, or a field named in custom_fields is not there"
        )
    if code in _NO_ENTRY:
        return Misconfigured(f"{said}; check the administrator's role and the channel token")
    if code is None or code == "INTERNAL_SERVER_ERROR":
        return Unexpected(said)
    return Refused(said, code=str(code).lower())


@dataclass(frozen=True, slots=True)
class Channel:
    """What the channel says about itself."""

    code: str
    token: str
    currency: str
    language: str
    prices_include_tax: bool
    tax_zone: str | None
    decimals: int


_CHANNEL_SECONDS = 300.0
_channels: dict[str, tuple[float, Channel]] = {}
"""By the settings: what a channel was when it was last asked, and when that was."""


def forget_channels() -> None:
    """Ask each channel anew."""
    _channels.clear()


class Api:
    """The Admin API of one call."""

    def __init__(self, call: Call[VendureConfig]) -> None:
        self.call = call
        self.config = call.config

    def query(self, name: str, **variables: Any) -> dict[str, Any]:
        """`data` of a query."""
        return self._send(name, variables, Intent.READ)

    def mutate(self, name: str, *, repeatable: bool = False, **variables: Any) -> Any:
        """The one result of a mutation. `repeatable`: sending it twice is the same as sending it once.

        Raises `Refused` (code = Vendure's errorCode in small letters) when the result is an `ErrorResult`.
        """
        data = self._send(name, variables, Intent.REPEATABLE if repeatable else Intent.ONCE)
        result = next(iter(data.values()))
        if isinstance(result, Mapping) and "errorCode" in result:
            detail = result.get("transitionError")
            reason = f"Vendure: {result.get('message')}" + (f" {detail}" if detail else "")
            raise Refused(reason, code=str(result["errorCode"]).lower())
        return result

    def _send(self, name: str, variables: Mapping[str, Any], intent: Intent) -> dict[str, Any]:
        answer = self.call.http.post(
            "",
            params={"languageCode": self.config.language},
            json={
                "operationName": name,
                "query": document(name, self.config.custom_fields),
                "variables": variables,
            },
            intent=intent,
        )
        body = answer.json()
        data = body.get("data") if isinstance(body, dict) else None
        if not isinstance(data, dict):
            raise Retry(f"Vendure answered {name} without data: {answer.excerpt}")
        return data

    @cached_property
    def channel(self) -> Channel:
        """The channel we work in. Raises `Misconfigured` when it is not the one of the settings, or when amounts
        are not kept in the currency's minor unit.

        A call that fetches by ids takes it from one that asked in the last minutes: an event must not wait for it.
        """
        key = repr(self.config)  # secrets are masked in it
        kept = _channels.get(key)
        if kept is not None and "ids" in self.call.params and time.monotonic() - kept[0] < _CHANNEL_SECONDS:
            return kept[1]
        channel = self._ask_channel()
        _channels[key] = (time.monotonic(), channel)
        return channel

    def _ask_channel(self) -> Channel:
        data = self.query("Channel")
        active = data["activeChannel"]
        channel = Channel(
            code=active["code"],
            token=active["token"],
            currency=active["defaultCurrencyCode"],
            language=self.config.language or active["defaultLanguageCode"],
            prices_include_tax=bool(active["pricesIncludeTax"]),
            tax_zone=(active.get("defaultTaxZone") or {}).get("id"),
            decimals=int(data["globalSettings"]["serverConfig"]["moneyStrategyPrecision"]),
        )
        # A server with a single channel takes any token, so an error would show only when a second one is opened.
        if self.config.channel_token and channel.token != self.config.channel_token:
            raise Misconfigured(
                f"the channel token of the settings names no channel; Vendure put us into {channel.code!r}"
            )
        expected = (
            0 if channel.currency in _NO_MINOR_UNIT else 3 if channel.currency in _THREE_DECIMALS else 2
        )
        if channel.decimals != expected and not self.config.amounts_in_minor_units:
            raise Misconfigured(
                f"channel {channel.code!r} sells in {channel.currency}, which has {expected} decimals, but the shop's "
                f"money strategy counts {channel.decimals}: set its precision to {expected}, or, if the amounts are "
                "stored in the currency's minor unit all the same, set amounts_in_minor_units"
            )
        return channel
