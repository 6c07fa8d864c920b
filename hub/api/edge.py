"""What stands before the routes: the body is read whole and bounded, errors become problem bodies, calls are counted.

Plain ASGI: a middleware of the framework's own kind would cost a task and a queue for each call.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from contextlib import suppress
from typing import Any
from uuid import uuid4

import structlog
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from psycopg.errors import QueryCanceled
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException

from hub.api.calls import Calls
from hub.api.invalid import problem_of
from hub.api.problems import Problem, body_of, language_of

__all__ = ["AT_ONCE", "MAX_BYTES", "Edge"]

MAX_BYTES = 1024 * 1024
"""Longest body."""
LINGER = 32 * MAX_BYTES
"""What is read of a longer one, to be let go, before the line is cut."""
BODY_WITHIN = 15.0
"""Seconds a caller has for sending it."""
AT_ONCE = 500
"""Calls of one process that may be under way; more are told to come back."""

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

log = structlog.get_logger("tsunagi.api")
_CLOSE = {"connection": "close"}
_CONVERTER = re.compile(r":path\}")
_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})


class _HungUp(Exception):
    """The caller is gone; nobody is there to be answered."""


class Edge:
    """The middleware around the routes."""

    def __init__(self, app: App, calls: Calls, max_bytes: int = MAX_BYTES) -> None:
        self._app = app
        self._calls = calls
        self._max_bytes = max_bytes
        self._at_once = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, call = time.perf_counter(), str(uuid4())
        answered = _Answered(send, call)
        self._at_once += 1
        try:
            await self._handle(scope, receive, answered)
        except _HungUp:
            pass
        except Exception as error:
            if answered.status:  # too late to say something else
                raise
            with suppress(OSError):
                await self._tell(scope, answered, error, call)
        finally:
            self._at_once -= 1
            route = _route(scope)
            method = scope["method"] if scope["method"] in _METHODS else "-"
            self._calls.count(
                method, route, answered.status, time.perf_counter() - started, key=scope.get("tsunagi.key"),
                call=call, sent=answered.sent, waits=b"wait=" in scope.get("query_string", b""),
            )  # fmt: skip

    async def _handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._at_once > AT_ONCE:
            raise Problem("busy", headers={"retry-after": "1"})
        if b"\0" in scope["path"].encode("utf-8", "replace"):
            raise Problem("not_found")
        headers = {name: value for name, value in scope["headers"] if name in _BODY_HEADERS}
        if b"content-length" not in headers and b"transfer-encoding" not in headers:
            await self._app(scope, receive, send)
            return
        body = await self._body(headers, receive)
        if body and not _JSON.match(headers.get(b"content-type", b"")):
            raise Problem("bad_media_type")
        whole: Message | None = {"type": "http.request", "body": body, "more_body": False}

        async def once() -> Message:
            nonlocal whole
            given, whole = whole, None
            return given if given is not None else await receive()

        await self._app(scope, once, send)

    async def _body(self, headers: Mapping[bytes, bytes], receive: Receive) -> bytes:
        told = headers.get(b"content-length", b"0")
        if not told.isdigit() or int(told) > LINGER:
            raise Problem("too_large", headers=_CLOSE)
        parts, size = [], 0
        try:
            async with asyncio.timeout(BODY_WITHIN):
                while size <= LINGER:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise _HungUp
                    part = message.get("body", b"")
                    size += len(part)
                    # the rest is read and let go: an answer in the middle of a caller's sending would be lost
                    if size <= self._max_bytes:
                        parts.append(part)
                    if not message.get("more_body"):
                        break
        except TimeoutError:
            raise Problem("too_slow", headers=_CLOSE) from None
        if size > self._max_bytes:
            raise Problem("too_large", headers=_CLOSE)
        if headers.get(b"content-encoding", b"identity") != b"identity":
            raise Problem("bad_media_type")
        return b"".join(parts)

    async def _tell(self, scope: Scope, send: Send, error: Exception, call: str) -> None:
        headers = {name: value for name, value in scope["headers"] if name == b"accept-language"}
        lang = language_of(headers.get(b"accept-language", b"").decode("latin-1"))
        problem = _problem(error, lang)
        if problem.code == "breakdown":
            log.error("breakdown", call=call, exc_info=error)
        body, fields = body_of(problem, lang, call)
        told = [(name.encode(), value.encode("latin-1", "replace")) for name, value in fields.items()]
        told.append((b"content-length", str(len(body)).encode()))
        await send({"type": "http.response.start", "status": problem.status, "headers": told})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


_BODY_HEADERS = frozenset({b"content-length", b"transfer-encoding", b"content-encoding", b"content-type"})
_JSON = re.compile(rb"\s*application/([\w.+-]+\+)?json\s*(;|$)", re.IGNORECASE)


def _route(scope: Scope) -> str:
    """The template of the route; of an address without one nothing: it may hold anything."""
    found = scope.get("route")
    return _CONVERTER.sub("}", found.path) if isinstance(found, APIRoute) else "-"


class _Answered:
    """What was sent, and the call's id put on it."""

    def __init__(self, send: Send, call: str) -> None:
        self._send = send
        self._call = call
        self.status = 0
        self.sent = 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            more = [(b"x-request-id", self._call.encode()), (b"x-content-type-options", b"nosniff")]
            message = {**message, "headers": [*message.get("headers", []), *more]}
        elif message["type"] == "http.response.body":
            self.sent += len(message.get("body", b""))
        await self._send(message)


def _problem(error: Exception, lang: Any) -> Problem:
    if isinstance(error, Problem):
        return error
    if isinstance(error, RequestValidationError):
        return problem_of(error, lang)
    if isinstance(error, HTTPException):
        return _of_status(error)
    if isinstance(error, PoolTimeout):
        return Problem("busy", headers={"retry-after": "2"})
    if isinstance(error, DBAPIError) and isinstance(error.orig, QueryCanceled):
        return Problem("search_too_long")
    if isinstance(error, OperationalError | InterfaceError):
        return Problem("store_down", headers={"retry-after": "5"})
    return Problem("breakdown")


def _of_status(error: HTTPException) -> Problem:
    codes = {404: "not_found", 405: "bad_method", 413: "too_large", 415: "bad_media_type", 400: "bad_json"}
    return Problem(codes.get(error.status_code, "bad_request"), headers=dict(error.headers or {}))
