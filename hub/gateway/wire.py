"""The wire of a webhook: uvicorn's HTTP, where a call that came in one piece is taken and answered without ASGI.

A task, a queue of messages and two writes for each call take a quarter of all the gateway does for it. Here the bytes
that end a call lead straight to the gateway, and its answer is one write. Every other call (in pieces, long, behind
another one that is still being answered, not a webhook) goes the usual way; what is promised of a call is the same on
both.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from hub.gateway.app import INLINE, Answer, Gateway

__all__ = ["Wire"]


class Wire(HttpToolsProtocol):
    """One connection."""

    _reading = False
    _whole: RequestResponseCycle | None = None

    def data_received(self, data: bytes) -> None:
        self._reading = True
        try:
            super().data_received(data)
        finally:
            self._reading = False
        cycle, self._whole = self._whole, None
        if cycle is None:
            return
        if cycle.more_body or cycle.waiting_for_100_continue or len(cycle.body) > INLINE:
            super()._start_asgi_task(cycle, self.app)
        else:
            self.app.take(cycle.scope, bytes(cycle.body), self._answering(cycle))

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        # while bytes are read the call's body may still follow among them
        if (
            self._reading
            and isinstance(app, Gateway)
            and app.knows(cycle.scope)
            and not self.flow.write_paused
        ):
            self._whole = cycle
        else:
            super()._start_asgi_task(cycle, app)

    def _answering(self, cycle: RequestResponseCycle) -> Callable[[Answer], None]:
        def tell(answer: Answer) -> None:
            if cycle.disconnected or self.transport.is_closing():
                return
            rest, last = _rest(answer.outcome, answer.stored, answer.headers, cycle.keep_alive)
            parts = [STATUS_LINE[answer.status]]
            for name, value in cycle.default_headers:
                parts += (name, b": ", value, b"\r\n")
            self.transport.write(b"".join([*parts, rest]))
            cycle.response_started = cycle.response_complete = True
            if last:
                self.transport.close()
            cycle.on_response()

        return tell


@lru_cache(maxsize=512)
def _rest(
    outcome: str, stored: int | None, headers: tuple[tuple[bytes, bytes], ...], keep_alive: bool
) -> tuple[bytes, bool]:
    """The headers that are ours and the body, as bytes; and whether the connection ends with it."""
    content = Answer(0, outcome, stored=stored).content
    lines = [
        (b"content-type", b"application/json"), (b"content-length", str(len(content)).encode()), *headers,
    ]  # fmt: skip
    last = not keep_alive or (b"connection", b"close") in headers
    if not keep_alive and (b"connection", b"close") not in headers:
        lines.append((b"connection", b"close"))
    return b"".join(b"%b: %b\r\n" % line for line in lines) + b"\r\n" + content, last
