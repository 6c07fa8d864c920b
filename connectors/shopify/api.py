"""Calls to the Admin API, and what its answers mean.

Shopify answers HTTP 200 to nearly everything. An error stands in one of two places: in `errors` (no scope, throttled,
too costly, wrong schema), or in the `userErrors` of a mutation. A call costs points, not one request: a bucket holds
so many and fills by so many a second; each answer says what it cost and what is left.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx

from connectors.contract import Budget, Call, ConnectorError, Misconfigured, Refused, Retry
from connectors.shopify.config import ShopifyConfig
from connectors.shopify.documents import document
from connectors.transport.auth import HeaderKey
from connectors.transport.http import Answer, HttpSettings, Intent

__all__ = ["Api", "Throttled", "TooCostly", "UserError", "UserErrors", "classify", "http_settings"]

_DEAREST = 1000
"""No single query may cost more points."""
_MUTATION = 10
_THROTTLED_TRIES = 5
_WAIT_WITHOUT_TOLD = timedelta(seconds=2)

_NO_ENTRY = frozenset({"ACCESS_DENIED", "SHOP_INACTIVE", "UNAUTHORIZED", "FORBIDDEN"})
_PASSING = frozenset({"INTERNAL_SERVER_ERROR", "TIMEOUT", "SERVICE_UNAVAILABLE"})


class Throttled(Retry):
    """The bucket of cost points was empty; nothing was done."""


class TooCostly(Refused):
    """A query asked for so much at once that Shopify does not run it; `share` of it would have been allowed."""

    def __init__(self, reason: str, share: float = 0.5) -> None:
        super().__init__(reason, code="max_cost_exceeded")
        self.share = share


@dataclass(frozen=True, slots=True)
class UserError:
    """One entry of `userErrors`: the path of the input that is wrong, a message, a code where there is one."""

    message: str
    code: str | None = None
    path: tuple[str, ...] = ()


class UserErrors(Refused):
    """What a mutation says of its input. `code` is that of the first, in small letters."""

    def __init__(self, name: str, errors: Sequence[UserError]) -> None:
        said = "; ".join(f"{error.message} [{'.'.join(error.path) or name}]" for error in errors[:5])
        super().__init__(f"Shopify: {said}", code=(errors[0].code or "user_error").lower())
        self.errors = tuple(errors)


def http_settings(config: ShopifyConfig) -> HttpSettings:
    """How to reach the shop. The budget counts cost points, not requests."""
    base = (config.base_url or f"https://{config.shop}").rstrip("/")
    return HttpSettings(
        base_url=f"{base}/admin/api/{config.api_version}",
        auth=HeaderKey("X-Shopify-Access-Token", config.access_token),
        headers={"Accept": "application/json"},
        budget=Budget(config.restore_rate, burst=config.bucket_size),
        classify=classify,
    )


def classify(response: httpx.Response) -> ConnectorError | None:
    """The error an answer means; None when it has none, or is no GraphQL answer and the usual rules apply."""
    if response.status_code in (httpx.codes.NOT_FOUND, httpx.codes.PAYMENT_REQUIRED, httpx.codes.LOCKED):
        return Misconfigured(
            f"Shopify answered HTTP {response.status_code}: is the shop's domain right, and the shop open?"
        )
    try:
        body = response.json()
    except ValueError:
        return None
    errors = body.get("errors") if isinstance(body, dict) else None
    if not errors or not response.is_success:
        return None
    first = errors[0] if isinstance(errors, list) else {"message": errors}
    told = first if isinstance(first, Mapping) else {"message": first}
    extensions = told.get("extensions")
    code = str((extensions if isinstance(extensions, Mapping) else {}).get("code") or "")
    said = f"Shopify: {told.get('message')}" + (f" ({code})" if code else "")
    if code == "THROTTLED":
        return Throttled(said, after=_until_enough(body))
    if code == "MAX_COST_EXCEEDED":
        return TooCostly(said, _allowed_share(extensions))
    if code in _NO_ENTRY:
        return Misconfigured(
            f"{said}; アプリの権限（スコープ）と保護対象の顧客データの承認を確認してください。 / "
            "check the app's scopes and its approval for protected customer data"
        )
    if code in _PASSING:
        return Retry(said)
    # The validation of a query names its codes in camel case (undefinedField, argumentNotAccepted, ...).
    if code[:1].islower():
        return Misconfigured(f"{said}; the shop's API is not of the version of the settings")
    return Refused(said, code=code.lower() or None)


def _allowed_share(extensions: Any) -> float:
    """What part of a query's cost one query may have; a half where Shopify does not say."""
    try:
        return min(max(float(extensions["maxCost"]) / float(extensions["cost"]), 0.0), 1.0)
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return 0.5


def _until_enough(body: Mapping[str, Any]) -> timedelta:
    """How long until the bucket holds what the query asks for."""
    cost = (body.get("extensions") or {}).get("cost") or {}
    status = cost.get("throttleStatus") or {}
    try:
        missing = float(cost["requestedQueryCost"]) - float(status["currentlyAvailable"])
        rate = float(status["restoreRate"])
        # whole milliseconds, rounded up: a wait that is a hair too short is refused again
        return timedelta(milliseconds=math.ceil(max(missing, 0.0) / rate * 1000))
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return _WAIT_WITHOUT_TOLD


class Api:
    """The Admin API of one call. Nothing is kept longer than the call."""

    def __init__(self, call: Call[ShopifyConfig]) -> None:
        self.call = call
        self.config = call.config
        self.version_told: str | None = None
        self._costs: dict[str, float] = {}

    def query(self, name: str, **variables: Any) -> dict[str, Any]:
        """`data` of a query."""
        return self._send(name, variables, Intent.READ)

    def mutate(self, name: str, *, repeatable: bool = False, **variables: Any) -> dict[str, Any]:
        """The payload of a mutation. `repeatable`: sending it twice is the same as sending it once.

        Raises `UserErrors` when Shopify has something to say against the input.
        """
        data = self._send(name, variables, Intent.REPEATABLE if repeatable else Intent.ONCE)
        payload = next(iter(data.values()))
        if not isinstance(payload, dict):
            raise Retry(f"Shopify answered {name} without a result")
        errors = [
            UserError(str(error.get("message")), error.get("code"), tuple(map(str, error.get("field") or ())))
            for member, found in payload.items()
            if member.lower().endswith("usererrors")
            for error in found or ()
        ]
        if errors:
            raise UserErrors(name, errors)
        return payload

    def _send(self, name: str, variables: Mapping[str, Any], intent: Intent) -> dict[str, Any]:
        body = {"operationName": name, "query": document(name), "variables": dict(variables)}
        for left in reversed(range(_THROTTLED_TRIES)):
            cost = self._costs.get(name, self._guess(variables, intent))
            try:
                answer = self.call.http.post("graphql.json", json=body, intent=intent, cost=cost)
                break
            except Throttled:
                # What must happen once is not repeated by call.http after HTTP 200; but this surely did nothing, and
                # the budget now holds the next try back for as long as Shopify said.
                if intent is not Intent.ONCE or not left:
                    raise
        said = answer.json()
        data = said.get("data") if isinstance(said, dict) else None
        if not isinstance(data, dict):
            raise Retry(f"Shopify answered {name} without data: {answer.excerpt}")
        self._learn(name, said, answer)
        return data

    def _guess(self, variables: Mapping[str, Any], intent: Intent) -> float:
        """Points of a call not made before; the next one of its kind counts what this one cost."""
        if intent is not Intent.READ:
            return _MUTATION
        rows = variables.get("first") or len(variables.get("ids") or ()) or 1
        guess: float = min(2 + 2 * int(rows), _DEAREST)
        return guess

    def _learn(self, name: str, said: Mapping[str, Any], answer: Answer) -> None:
        self.version_told = answer.headers.get("x-shopify-api-version", self.version_told)
        cost = (said.get("extensions") or {}).get("cost") or {}
        actual = cost.get("actualQueryCost")
        if isinstance(actual, (int, float)) and actual > 0:
            self._costs[name] = min(float(actual), _DEAREST)
