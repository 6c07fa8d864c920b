"""What can go wrong on a wire, put between a connector and its recording."""

from __future__ import annotations

from collections.abc import Callable

import httpx

from connectors.transport.http import Intent

__all__ = [
    "Faulty",
    "Transform",
    "bad_request",
    "garble",
    "intent_of_sent",
    "lock_out",
    "lose_answers",
    "no_connection",
    "throttle",
    "unavailable",
]

Fault = Callable[[httpx.Request, httpx.BaseTransport], httpx.Response]
Transform = Callable[[httpx.BaseTransport], httpx.BaseTransport]
RETRY_AFTER = 2


class Faulty(httpx.BaseTransport):
    """Lets requests through until `when(number, request)` says otherwise; `number` counts from 0."""

    def __init__(
        self, inner: httpx.BaseTransport, fault: Fault, when: Callable[[int, httpx.Request], bool]
    ) -> None:
        self._inner = inner
        self._fault = fault
        self._when = when
        self._count = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        number, self._count = self._count, self._count + 1
        if self._when(number, request):
            return self._fault(request, self._inner)
        return self._inner.handle_request(request)


def intent_of_sent(request: httpx.Request) -> Intent | None:
    """What repeating this request would mean; None for requests of the auth scheme."""
    intent = request.extensions.get("tsunagi", {}).get("intent")
    return intent if isinstance(intent, Intent) else None


def throttle(at: int) -> Transform:
    """Request number `at` is answered with 429 and Retry-After."""
    limits = {"Retry-After": str(RETRY_AFTER)}
    return lambda inner: Faulty(inner, _answer(429, headers=limits), lambda number, _: number == at)


def lock_out() -> Transform:
    """401 to everything."""
    return lambda inner: Faulty(inner, _answer(401, json={"message": "unauthorised"}), _always)


def unavailable() -> Transform:
    """503 to everything."""
    return lambda inner: Faulty(inner, _answer(503, text="maintenance"), _always)


def bad_request() -> Transform:
    """400 to everything, with a body nobody expects."""
    return lambda inner: Faulty(inner, _answer(400, json={"message": "bad request"}), _always)


def no_connection() -> Transform:
    """Nobody answers."""

    def refuse(request: httpx.Request, _: httpx.BaseTransport) -> httpx.Response:
        raise httpx.ConnectError("connection refused", request=request)

    return lambda inner: Faulty(inner, refuse, _always)


def lose_answers(*, only: Intent | None = None) -> Transform:
    """The other side does what was asked, but its answer never arrives."""

    def lose(request: httpx.Request, inner: httpx.BaseTransport) -> httpx.Response:
        inner.handle_request(request)
        raise httpx.ReadTimeout("no answer", request=request)

    return lambda inner: Faulty(inner, lose, lambda _, r: only is None or intent_of_sent(r) is only)


def garble() -> Transform:
    """A page of HTML with status 200 in place of every JSON answer."""

    def spoil(request: httpx.Request, inner: httpx.BaseTransport) -> httpx.Response:
        response = inner.handle_request(request)
        if "json" not in response.headers.get("content-type", ""):
            return response
        return httpx.Response(200, html="<html><title>Maintenance</title></html>")

    return lambda inner: Faulty(inner, spoil, _always)


def _answer(status: int, **options: object) -> Fault:
    def answer(request: httpx.Request, _: httpx.BaseTransport) -> httpx.Response:
        request.read()
        return httpx.Response(status, **options)  # type: ignore[arg-type]

    return answer


def _always(_number: int, _request: httpx.Request) -> bool:
    return True
