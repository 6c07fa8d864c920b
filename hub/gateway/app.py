"""The gateway's ASGI application: `POST /webhooks/{system}` as plain ASGI, everything else by FastAPI behind it.

Routing through a framework costs three times the whole call at 64 connections, so the one hot door does without; a
call that is there as a whole does without ASGI too (`hub/gateway/wire.py`).
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
from hub.gateway.arrivals import Arrival, Arrivals, NotStorable, Outcome, StoreDown, arrivals_of
from hub.gateway.counters import Counters
from hub.gateway.doors import Door, load_doors
from hub.store.database import schema_is_current

__all__ = ["INLINE", "MAX_BYTES", "Answer", "Gateway"]

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
class Answer(Exception):
    """What a call gets. `outcome` is counted, `reason` logged; the caller learns no more than the status says.

    stored  how many of its events are new; None where none was to be stored
    """

    status: int
    outcome: str
    reason: str = ""
    headers: tuple[tuple[bytes, bytes], ...] = ()
    stored: int | None = None

    @property
    def content(self) -> bytes:
        """The body, JSON."""
        said = {} if self.stored is None else {"stored": self.stored}
        return orjson.dumps({"status": self.outcome, **said})


_HANG_UP = ((b"connection", b"close"),)


class _Call:
    """One call while it is worked on: what is counted of it, and how it is answered."""

    __slots__ = ("_counters", "_started", "_tell", "size", "system")

    def __init__(self, counters: Counters, tell: Callable[[Answer], None]) -> None:
        self._counters = counters
        self._tell = tell
        self._started = time.perf_counter()
        self.system = "-"
        self.size = 0

    def answer(self, answer: Answer) -> None:
        seconds = time.perf_counter() - self._started
        self._counters.count(self.system, answer.outcome, answer.status, seconds, self.size, answer.reason)
        self._tell(answer)

    def stored(self, outcome: Outcome) -> None:
        """What the store says of its events."""
        if isinstance(outcome, NotStorable):
            self.answer(Answer(400, "not_storable", str(outcome)))
        elif isinstance(outcome, Exception):
            self.answer(Answer(503, "store_down", str(outcome), ((b"retry-after", b"5"),)))
        else:
            new = sum(outcome)
            self.answer(Answer(200, "stored" if new else "duplicate", stored=new))

    def failed(self, error: Exception) -> None:
        if isinstance(error, StoreDown | NotStorable):
            self.stored(error)
        else:
            self.answer(error if isinstance(error, Answer) else _broken(error))


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

    # ------------------------------------------------------------------ webhooks

    def knows(self, scope: Mapping[str, Any]) -> bool:
        """Whether `take` may be asked: it is a webhook, and the doors have been looked at."""
        return self._doors is not None and scope["method"] == "POST" and scope["path"].startswith(_PREFIX)

    def take(self, scope: Mapping[str, Any], body: bytes, tell: Callable[[Answer], None]) -> None:
        """Take a webhook that is here as a whole, of at most `INLINE` bytes; `tell` what it gets, now or later."""
        call = _Call(self.counters, tell)
        try:
            call.size = len(body)
            door = self._door(scope)
            call.system = door.system
            headers = _headers(scope)
            self._look_at(headers)
            if call.size > self._max_bytes:
                raise Answer(413, "too_large", headers=_HANG_UP)
            self._arrivals.put(_arrivals(door, _events(door, headers, body), body), call.stored)
        except Exception as error:  # noqa: BLE001  (whatever it is, the caller is told)
            call.failed(error)

    async def _webhook(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A webhook that comes in pieces, is long, or comes before the doors were looked at."""
        answers: list[Answer] = []
        call = _Call(self.counters, answers.append)
        try:
            if self._doors is None:
                await self._look()
            door = self._door(scope)
            call.system = door.system
            headers = _headers(scope)
            self._look_at(headers)
            body = await self._body(receive)
            call.size = len(body)
            look = asyncio.to_thread if call.size > INLINE else _at_once
            events = await look(_events, door, headers, body)
            call.stored(await self._arrivals.store(_arrivals(door, events, body)))
        except Exception as error:  # noqa: BLE001  (whatever it is, the caller is told)
            call.failed(error)
        await _send(send, answers[0])

    def _door(self, scope: Mapping[str, Any]) -> Door:
        if scope["method"] != "POST":
            raise Answer(405, "bad_method", headers=((b"allow", b"POST"),))
        door = (self._doors or {}).get(scope["path"][len(_PREFIX) :])
        if door is None:
            raise Answer(404, "unknown_system")
        return door

    def _look_at(self, headers: Mapping[str, str]) -> None:
        told = headers.get("content-length", "0")
        if not told.isdigit() or int(told) > self._max_bytes:
            raise Answer(413, "too_large", headers=_HANG_UP)
        if headers.get("content-encoding", "identity") != "identity":
            raise Answer(415, "encoded", headers=_HANG_UP)

    async def _body(self, receive: Receive) -> bytes:
        task = asyncio.current_task()
        assert task is not None
        # the loop's own alarm: the context manager around it costs more than all headers
        alarm = asyncio.get_running_loop().call_later(BODY_WITHIN, task.cancel, _TOO_SLOW)
        try:
            return await self._whole(receive)
        except asyncio.CancelledError as error:
            if error.args != (_TOO_SLOW,) or task.uncancel():
                raise
            raise Answer(408, "too_slow", headers=_HANG_UP) from None
        finally:
            alarm.cancel()

    async def _whole(self, receive: Receive) -> bytes:
        parts, size = [], 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Answer(400, "cut_short")
            part = message.get("body", b"")
            size += len(part)
            if size > self._max_bytes:
                raise Answer(413, "too_large", headers=_HANG_UP)
            parts.append(part)
            if not message.get("more_body"):
                return parts[0] if len(parts) == 1 else b"".join(parts)

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


def _broken(error: Exception) -> Answer:
    """Tells the innermost places an error passed, for whoever mends it; never its text, that may quote the body."""
    frames = traceback.extract_tb(error.__traceback__)[-3:]
    where = " > ".join(f"{PurePath(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames)
    return Answer(500, "breakdown", f"{type(error).__name__} {where}")


def _events(door: Door, headers: Mapping[str, str], body: bytes) -> Sequence[Event]:
    """Verify and read. Raises Answer."""
    try:
        return door.open(headers, body)
    except Refused as error:
        if error.code in ("bad_signature", "outside_window", "other_account"):
            raise Answer(401, error.code, str(error)) from None
        if error.code == "unknown_topic":
            raise Answer(200, error.code) from None
        # what a body could not be read for may quote it
        raise Answer(400, "bad_event") from None
    except Misconfigured as error:
        raise Answer(503, "door_shut", str(error), ((b"retry-after", b"300"),)) from None
    except Retry:
        raise Answer(503, "not_now", headers=((b"retry-after", b"30"),)) from None
    except Exception as error:  # noqa: BLE001  (a connector's bug shuts no other door; it is counted and told)
        raise _broken(error) from None


def _arrivals(door: Door, events: Sequence[Event], body: bytes) -> list[Arrival]:
    """What is to be stored. Raises Answer where there is nothing, or what cannot be stored."""
    try:
        arrivals = arrivals_of(door, events, body)
    except (TypeError, ValueError) as error:  # a whole number beyond 64 bits, half a surrogate pair
        raise Answer(400, "not_storable", type(error).__name__) from None
    if not arrivals:
        # genuine, and of no interest to any flow: the sender must not repeat it
        raise Answer(200, "no_flow" if events else "unknown_topic", stored=0)
    return arrivals


async def _at_once(function: Callable[..., Sequence[Event]], *values: Any) -> Sequence[Event]:
    return function(*values)


def _headers(scope: Mapping[str, Any]) -> dict[str, str]:
    """Names in lower case; of several of one name all values, as RFC 9110 joins them."""
    given = scope["headers"]
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in given}
    if len(headers) < len(given):
        headers.clear()
        for name, value in given:
            key, text = name.decode("latin-1"), value.decode("latin-1")
            headers[key] = f"{headers[key]}, {text}" if key in headers else text
    return headers


async def _send(send: Send, answer: Answer) -> None:
    content = answer.content
    headers = [
        (b"content-type", b"application/json"), (b"content-length", str(len(content)).encode()), *answer.headers,
    ]  # fmt: skip
    with suppress(OSError):
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": content})
