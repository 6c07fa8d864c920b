"""A wire that fails where a test asked for it."""

from __future__ import annotations

import asyncio

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sandbox.square.answers import no
from sandbox.square.seller import Fault, Seller

__all__ = ["Faults"]


class Faults:
    """Makes the wire fail where a test asked for it; outside of every other rule."""

    def __init__(self, app: ASGIApp, seller: Seller) -> None:
        self.app = app
        self.seller = seller

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        fault = self._strike(path) if scope["type"] == "http" and not path.startswith("/_sandbox") else None
        if fault is None:
            await self.app(scope, receive, send)
        elif fault.kind == "429":
            refusal = no("RATE_LIMITED", "Too many requests.", status=429, category="RATE_LIMIT_ERROR")
            await refusal.answer()(scope, receive, send)
        elif fault.kind == "500":
            refusal = no("INTERNAL_SERVER_ERROR", "Something went wrong.", status=500, category="API_ERROR")
            await refusal.answer()(scope, receive, send)
        elif fault.kind == "no_answer":
            await asyncio.sleep(fault.seconds)
            await PlainTextResponse("gateway time-out", 504)(scope, receive, send)
        else:
            await self._spoil(fault, scope, receive, send)

    def _strike(self, path: str) -> Fault | None:
        for fault in self.seller.faults:
            if fault.path in path and fault.times > 0:
                fault.times -= 1
                return fault
        return None

    async def _spoil(self, fault: Fault, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the API do its work, then keep the answer back (`lost_answer`) or cut it (`cut_body`)."""
        kept: list[Message] = []

        async def keep(message: Message) -> None:
            kept.append(message)

        await self.app(scope, receive, keep)
        if fault.kind == "lost_answer":
            await asyncio.sleep(fault.seconds)
        for message in kept:
            if fault.kind == "cut_body" and message["type"] == "http.response.body":
                half = message["body"][: len(message["body"]) // 2]
                await send({**message, "body": half, "more_body": True})
            else:
                await send(message)
