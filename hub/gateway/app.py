"""The gateway's ASGI application: `POST /webhooks/{system}` as plain ASGI, everything else by FastAPI behind it.

Routing through a framework costs three times the whole call at 64 connections, so the one hot door does without.
A call is verified by the connector's pure function, stored with its event id, and answered after the commit. The
answer never waits for what is done with the event.
"""

from __future__ import annotations

import asyncio
import time
import traceback
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import orjson
import structlog
from fastapi import FastAPI, Response

from connectors.contract import Event, Misconfigured, Refused, Retry
from hub.engine import Hub
from hub.gateway.arrivals import Arrivals, NotStorable, StoreDown, arrivals_of
from hub.gateway.counters import Counters
from hub.gateway.doors import Door, load_doors
from hub.store.database import schema_is_current

__all__ = ["MAX_BYTES", "Gateway"]

MAX_BYTES = 5 * 1024 * 1024
"""Longest body that is read."""
INLINE = 128 * 1024
"""A longer body is verified in a thread: hashing and parsing it would hold up the others."""
BODY_WITHIN = 15.0
"""Seconds a caller has for sending the body."""
ANSWER_WITHIN = 4.0
"""Seconds for storing; senders give up after five or more. What is stored after all, its repetition finds stored."""
DOORS_EVERY = 30.0
"""Seconds after which changed system files and secrets count."""

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_PREFIX = "/webhooks/"
_TOO_SLOW = "the body did not come in time"

log = structlog.get_logger("tsunagi.gateway")


@dataclass(slots=True, eq=False)
class _Answer(Exception):
    """What a call gets. `outcome` is counted, `reason` logged; the caller learns no more than the status says."""

    status: int
    outcome: str
    reason: str = ""
    headers: tuple[tuple[bytes, bytes], ...] = ()


class Gateway:
    """The application. `other` answers what is no webhook; health and counters are added to it.

    What it counts itself it may give as Prometheus text by a function `other.state.metrics`; applications it mounts, by
    prefix, as `other.state.mounted`.
    """

    def __init__(
        self,
        hub: Hub,
        *,
        other: FastAPI | None = None,
        max_bytes: int = MAX_BYTES,
        doors_every: float = DOORS_EVERY,
    ) -> None:
        self._hub = hub
        self._max_bytes = max_bytes
        self._doors_every = doors_every
        url = hub.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
        self._arrivals = Arrivals(url, within=ANSWER_WITHIN)
        self._doors: dict[str, Door] | None = None
        self._looking: asyncio.Task[None] | None = None
        self.counters = Counters()
        self._mounted: Mapping[str, Any] = getattr(other.state, "mounted", {}) if other is not None else {}
        self._other = other or FastAPI(title="Tsunagi", docs_url=None, redoc_url=None, openapi_url=None)
        self._other.add_api_route("/health/live", self._live, methods=["GET"])
        self._other.add_api_route("/health/ready", self._ready, methods=["GET"])
        self._other.add_api_route("/metrics", self._metrics, methods=["GET"])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith(_PREFIX):
            await self._webhook(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._lifespan(scope, receive, send)
        else:
            await self._beside(scope, receive, send)

    async def close(self) -> None:
        """Store what waits and let go of the database."""
        if self._looking is not None:
            self._looking.cancel()
            with suppress(asyncio.CancelledError):
                await self._looking
        await self._arrivals.close()

    async def _beside(self, scope: Scope, receive: Receive, send: Send) -> None:
        """What is mounted is called as the framework's own mount would; its layers around one would say nothing new."""
        for prefix, app in self._mounted.items():
            if scope["path"].startswith(f"{prefix}/"):
                root = scope.get("root_path", "")
                await app({**scope, "app_root_path": root, "root_path": root + prefix}, receive, send)
                return
        await self._other(scope, receive, send)

    # ------------------------------------------------------------------ the hot door

    async def _webhook(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        system, size = "-", 0
        try:
            door = await self._door(scope)
            system = door.system
            headers = _headers(scope)
            body = await self._body(headers, receive)
            size = len(body)
            events = await self._events(door, headers, body)
            answer, said = await self._store(door, events, body)
        except _Answer as refused:
            answer, said = refused, None
        seconds = time.perf_counter() - started
        self.counters.count(system, answer.outcome, answer.status, seconds, size, answer.reason)
        await _send(send, answer, said)

    async def _door(self, scope: Scope) -> Door:
        if scope["method"] != "POST":
            raise _Answer(405, "bad_method", headers=((b"allow", b"POST"),))
        doors = self._doors if self._doors is not None else await self._look()
        door = doors.get(scope["path"][len(_PREFIX) :])
        if door is None:
            raise _Answer(404, "unknown_system")
        return door

    async def _body(self, headers: Mapping[str, str], receive: Receive) -> bytes:
        told = headers.get("content-length", "0")
        if not told.isdigit() or int(told) > self._max_bytes:
            raise _Answer(413, "too_large", headers=((b"connection", b"close"),))
        if headers.get("content-encoding", "identity") != "identity":
            raise _Answer(415, "encoded", headers=((b"connection", b"close"),))
        task = asyncio.current_task()
        assert task is not None
        # the loop's own alarm: the context manager around it costs more than all headers
        alarm = asyncio.get_running_loop().call_later(BODY_WITHIN, task.cancel, _TOO_SLOW)
        try:
            return await self._whole(receive)
        except asyncio.CancelledError as error:
            if error.args != (_TOO_SLOW,) or task.uncancel():
                raise
            raise _Answer(408, "too_slow", headers=((b"connection", b"close"),)) from None
        finally:
            alarm.cancel()

    async def _whole(self, receive: Receive) -> bytes:
        parts, size = [], 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise _Answer(400, "cut_short")
            part = message.get("body", b"")
            size += len(part)
            if size > self._max_bytes:
                raise _Answer(413, "too_large", headers=((b"connection", b"close"),))
            parts.append(part)
            if not message.get("more_body"):
                return parts[0] if len(parts) == 1 else b"".join(parts)

    async def _events(self, door: Door, headers: Mapping[str, str], body: bytes) -> Sequence[Event]:
        try:
            if len(body) > INLINE:
                return await asyncio.to_thread(door.open, headers, body)
            return door.open(headers, body)
        except Refused as error:
            if error.code in ("bad_signature", "outside_window", "other_account"):
                raise _Answer(401, error.code, str(error)) from None
            if error.code == "unknown_topic":
                raise _Answer(200, error.code) from None
            # what a body could not be read for may quote it
            raise _Answer(400, "bad_event") from None
        except Misconfigured as error:
            raise _Answer(503, "door_shut", str(error), ((b"retry-after", b"300"),)) from None
        except Retry:
            raise _Answer(503, "not_now", headers=((b"retry-after", b"30"),)) from None
        except Exception as error:  # noqa: BLE001  (a connector's bug shuts no other door; it is counted and told)
            # where it broke, never the error's text: that may quote the body
            raise _Answer(500, "breakdown", f"{type(error).__name__} {_where(error)}") from None

    async def _store(
        self, door: Door, events: Sequence[Event], body: bytes
    ) -> tuple[_Answer, dict[str, int] | None]:
        try:
            arrivals = arrivals_of(door, events, body)
        except (TypeError, ValueError) as error:  # a whole number beyond 64 bits, half a surrogate pair
            raise _Answer(400, "not_storable", type(error).__name__) from None
        if not arrivals:
            # genuine, and of no interest to any flow: the sender must not repeat it
            return _Answer(200, "no_flow" if events else "unknown_topic"), {"stored": 0}
        try:
            new = await self._arrivals.store(arrivals)
        except StoreDown as error:
            raise _Answer(503, "store_down", str(error), ((b"retry-after", b"5"),)) from None
        except NotStorable as error:
            raise _Answer(400, "not_storable", str(error)) from None
        return _Answer(200, "stored" if any(new) else "duplicate"), {"stored": sum(new)}

    # ------------------------------------------------------------------ doors, health, counters

    async def _look(self) -> dict[str, Door]:
        self._doors = doors = await asyncio.to_thread(load_doors, self._hub)
        if self._looking is None:
            self._looking = asyncio.create_task(self._keep_looking(), name="doors")
        return doors

    async def _keep_looking(self) -> None:
        while True:
            await asyncio.sleep(self._doors_every)
            try:
                await asyncio.to_thread(self._hub.reload)
                self._doors = await asyncio.to_thread(load_doors, self._hub)
            except Exception:
                log.exception("doors stay as they are")

    async def _lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def told(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "lifespan.startup.complete":
                await self._look()
            elif message["type"].startswith("lifespan.shutdown"):
                await self.close()
            await send(message)

        await self._other(scope, receive, told)

    async def _live(self) -> dict[str, str]:
        return {"status": "ok"}

    async def _ready(self, response: Response) -> dict[str, str]:
        try:
            async with asyncio.timeout(ANSWER_WITHIN):
                current = await asyncio.to_thread(schema_is_current, self._hub.engine)
        except Exception:  # noqa: BLE001  (whatever it is, nothing can be stored)
            response.status_code = 503
            return {"status": "the database is away"}
        if not current:
            response.status_code = 503
            return {"status": "the schema is not current: run tsunagi init"}
        return {"status": "ok"}

    async def _metrics(self) -> Response:
        text = self.counters.text(commits=self._arrivals.commits, events=self._arrivals.events)
        text += getattr(self._other.state, "metrics", str)()
        return Response(text, media_type="text/plain; version=0.0.4")


def _where(error: BaseException) -> str:
    """The innermost places an error passed, for whoever mends it."""
    frames = traceback.extract_tb(error.__traceback__)[-3:]
    return " > ".join(f"{PurePath(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames)


def _headers(scope: Scope) -> dict[str, str]:
    """Names in lower case; of several of one name all values, as RFC 9110 joins them."""
    headers: dict[str, str] = {}
    for name, value in scope["headers"]:
        key, text = name.decode("latin-1"), value.decode("latin-1")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    return headers


async def _send(send: Send, answer: _Answer, said: Mapping[str, int] | None) -> None:
    content = orjson.dumps({"status": answer.outcome, **(said or {})})
    headers = [
        (b"content-type", b"application/json"), (b"content-length", str(len(content)).encode()), *answer.headers,
    ]  # fmt: skip
    with suppress(OSError):
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": content})
