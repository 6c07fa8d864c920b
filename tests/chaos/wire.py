"""The road to a channel, as bad as roads are: an ASGI layer in front of a stand-in that makes calls fail.

429         told to wait, with Retry-After; nothing was done
500         nothing was done, and it does not say so
503         nothing was done, with Retry-After
lost        done, but the answer never comes: after a while the line is cut
cut         done, and the line is cut in the middle of the answer
slow        done, after a while
"""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["SHARES", "Wire"]

SHARES: Mapping[str, float] = {
    "429": 0.03,
    "500": 0.025,
    "503": 0.02,
    "lost": 0.03,
    "cut": 0.03,
    "slow": 0.04,
}
"""Of all calls; the rest goes well."""
CONTROL = "/_chaos"


@dataclass
class Wire:
    """`app` behind a road that is bad from `storm()` to `calm()`; `made` counts what was done to calls.

    Besides single faults there are outages: for `outage` seconds every call gets 503, one in `every` seconds or so.
    """

    app: ASGIApp
    seed: str
    shares: Mapping[str, float] = field(default_factory=lambda: dict(SHARES))
    every: float = 25.0
    outage: float = 2.0
    made: Counter[str] = field(default_factory=Counter)
    calls: int = 0

    def __post_init__(self) -> None:
        self._dice = random.Random(f"{self.seed}/wire")
        self._lock = threading.Lock()
        self._calm = True
        self._down_from = 0.0

    def storm(self) -> None:
        self._down_from = time.monotonic() + self._dice.uniform(0.3, 1.0) * self.every
        self._calm = False

    def calm(self) -> None:
        self._calm = True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(CONTROL):
            await self.app(scope, receive, send)
            return
        self.calls += 1
        match self._strike():
            case "429":
                await PlainTextResponse("busy", 429, headers={"Retry-After": "1"})(scope, receive, send)
            case "500":
                await PlainTextResponse("<html>Internal Server Error</html>", 500)(scope, receive, send)
            case "503" | "outage":
                await PlainTextResponse("maintenance", 503, headers={"Retry-After": "1"})(
                    scope, receive, send
                )
            case "slow":
                await asyncio.sleep(self._seconds())
                await self.app(scope, receive, send)
            case "lost" | "cut" as kind:
                await self._cut(kind, scope, receive, send)
            case _:
                await self.app(scope, receive, send)

    def _strike(self) -> str | None:
        with self._lock:
            if self._calm:
                return None
            kind = self._chosen()
            if kind is not None:
                self.made[kind] += 1
            return kind

    def _chosen(self) -> str | None:
        now = time.monotonic()
        if now >= self._down_from + self.outage:
            self._down_from = now + self._dice.uniform(0.5, 1.5) * self.every
        if now >= self._down_from:
            return "outage"
        point = self._dice.random()
        for kind, share in self.shares.items():
            point -= share
            if point < 0:
                return kind
        return None

    def _seconds(self) -> float:
        with self._lock:
            return self._dice.uniform(0.3, 2.0)

    async def _cut(self, kind: str, scope: Scope, receive: Receive, send: Send) -> None:
        """The channel does what it was asked; then the answer is kept back, or half of it goes out."""
        kept: list[Message] = []

        async def keep(message: Message) -> None:
            kept.append(message)

        await self.app(scope, receive, keep)
        body = b"".join(message.get("body", b"") for message in kept[1:])
        if kind == "lost":
            await asyncio.sleep(self._seconds())
            body = b""
        # headers with the full length and too little behind them: the server then cuts the line
        await send(kept[0])
        if half := body[: len(body) // 2]:
            await send({"type": "http.response.body", "body": half, "more_body": True})
