"""Calls to Square, and what its answers mean.

Every failed answer carries `errors`, a list of `{category, code, detail, field}`. Calls that take many things at once
(catalogue batches, bulk customers) may answer 200 with errors beside what was done.
Facts: Square's published OpenAPI (2025-08-20), schemas Error, ErrorCategory, ErrorCode.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import httpx

from connectors.contract import Batch, Budget, Call, ConnectorError, Misconfigured, Refused, Retry
from connectors.square.config import SquareConfig
from connectors.transport.auth import Bearer
from connectors.transport.http import Answer, HttpSettings, Intent

__all__ = ["CONFLICTS", "Api", "Row", "classify", "error_of", "http_settings", "idempotency_key", "in_parts"]

Row = Mapping[str, Any]
T = TypeVar("T")

CONFLICTS = frozenset({"conflict", "version_mismatch"})
"""Codes of a lost race: someone else wrote the object after we read its version."""

_MAY_PASS = frozenset({"RATE_LIMITED", "REQUEST_TIMEOUT", "TEMPORARY_ERROR", "GATEWAY_TIMEOUT"})
_VERSION = frozenset({"INVALID_SQUARE_VERSION_FORMAT", "API_VERSION_INCOMPATIBLE"})
_NO_ENTRY = (
    "Squareがアクセストークンを受け付けません。期限・権限・本番とサンドボックスの取り違えを確認してください。"
    " / Square does not accept the access token: check whether it ended, what it may do, and that it belongs to"
    " this host (production or sandbox)."
)


def http_settings(config: SquareConfig) -> HttpSettings:
    """How to reach the account."""
    return HttpSettings(
        base_url=config.base_url,
        auth=Bearer(config.access_token),
        headers={"Square-Version": config.square_version, "Accept": "application/json"},
        budget=Budget(config.requests_per_second, burst=max(1, int(config.requests_per_second))),
        classify=classify,
        plain_http=config.plain_http,
    )


def classify(answer: Answer) -> ConnectorError | None:
    """The error a failed answer's `errors` mean; None where they say nothing, or where the status says enough."""
    if answer.is_success or answer.status_code == httpx.codes.TOO_MANY_REQUESTS or answer.status_code >= 500:
        return None
    body = answer.json()
    errors = body.get("errors") if isinstance(body, dict) else None
    return error_of(errors) if isinstance(errors, list) and errors else None


def error_of(errors: Sequence[Any]) -> ConnectorError:
    """What a list of Square's errors means. The code of `Refused` is Square's own, in small letters."""
    first = errors[0] if isinstance(errors[0], dict) else {}
    category, code = str(first.get("category", "")), str(first.get("code", "UNKNOWN"))
    said = "Square: " + "; ".join(_told(error) for error in errors[:5])
    if category == "AUTHENTICATION_ERROR":
        return Misconfigured(f"{said}. {_NO_ENTRY}")
    if code in _VERSION:
        return Misconfigured(f"{said}; check the setting square_version")
    if category in ("API_ERROR", "RATE_LIMIT_ERROR") or code in _MAY_PASS:
        return Retry(said)
    return Refused(said, code=code.lower())


def _told(error: Any) -> str:
    if not isinstance(error, dict):
        return str(error)[:200]
    place = f" ({error['field']})" if error.get("field") else ""
    return f"{error.get('code')} {error.get('detail') or ''}".strip() + place


class Api:
    """The API of one call. Nothing is kept longer than the call."""

    def __init__(self, call: Call[SquareConfig]) -> None:
        self.call = call
        self.config = call.config

    def get(self, path: str, **params: Any) -> dict[str, Any]:
        """GET; None values are left out."""
        return _body(self.call.http.get(path, params=params), path)

    def search(self, path: str, body: Row) -> dict[str, Any]:
        """A POST that only reads; None values are left out."""
        wanted = {name: value for name, value in body.items() if value is not None}
        return _body(self.call.http.post(path, json=wanted, intent=Intent.READ), path)

    def write(self, path: str, body: Row, *, partial: bool = False) -> dict[str, Any]:
        """A POST that writes. It may be repeated: an idempotency key or a version makes the second one harmless.

        partial  errors in an answer of 200 belong to parts of the request; the caller looks at them
        """
        return _body(
            self.call.http.post(path, json=dict(body), intent=Intent.REPEATABLE), path, partial=partial
        )


def _body(answer: Answer, path: str, *, partial: bool = False) -> dict[str, Any]:
    body = answer.json()
    if not isinstance(body, dict):
        raise Retry(f"Square {path}: JSON that is no object: {answer.excerpt}")
    errors = body.get("errors")
    if errors and not partial:
        raise error_of(errors if isinstance(errors, list) else [errors])
    return body


def idempotency_key(batch: Batch, body: Any) -> str:
    """A key for one request of a batch: the same body of the same batch has the same key, any other another.

    Square answers a key it knows with the first answer, and refuses it with another body (IDEMPOTENCY_KEY_REUSED);
    what a batch sends may change between attempts, because versions are read anew.
    """
    text = json.dumps(body, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(f"{batch.idempotency_key}\n{text}".encode()).hexdigest()


def in_parts(things: Iterable[T], size: int) -> Iterator[list[T]]:
    """The things in their order, without repeats, at most `size` at a time."""
    unique = list(dict.fromkeys(things))
    for start in range(0, len(unique), size):
        yield unique[start : start + size]
