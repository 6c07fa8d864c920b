"""Events at their due times, whatever becomes of those before: an open loop of signed webhooks over a few lines."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from bench.w7.shop import HEADER, START, event

__all__ = ["Sale", "prepare", "send"]

LINES = 32
"""Connections; an event whose line still waits for an answer goes late, and its time counts from when it was due."""


@dataclass(frozen=True, slots=True)
class Sale:
    """One event: when it is due (seconds after the start), what is left after it, and the call's bytes."""

    due: float
    sku: str
    left: int
    call: bytes


def prepare(skus: Sequence[str], rate: float, seconds: float, *, seed: int, first: int = 0) -> list[Sale]:
    """Sales at random moments (Poisson) of random SKUs, one unit each. `first` numbers the events."""
    dice = random.Random(seed)
    left = dict.fromkeys(skus, START)
    opened = datetime.now(UTC) + timedelta(seconds=1)
    sales: list[Sale] = []
    due = 0.0
    while (due := due + dice.expovariate(rate)) < seconds:
        sku = dice.choice(skus)
        left[sku] -= 1
        body, signature = event(first + len(sales), sku, left[sku], opened + timedelta(seconds=due))
        head = (
            b"POST /webhooks/till HTTP/1.1\r\nhost: hub\r\ncontent-type: application/json\r\n"
            b"%b: %b\r\ncontent-length: %d\r\n\r\n"
        )
        call = head % (HEADER.encode(), signature, len(body)) + body
        sales.append(Sale(due, sku, left[sku], call))
    return sales


async def _line(port: int, sales: Sequence[Sale], started: float, answers: list[float]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for sale in sales:
        pause = started + sale.due - time.monotonic()
        if pause > 0:
            await asyncio.sleep(pause)
        writer.write(sale.call)
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        await reader.readexactly(length)
        if not head.startswith(b"HTTP/1.1 200"):
            raise SystemExit(f"the gateway said {head.decode()}")
        answers.append(time.monotonic() - started - sale.due)
    writer.close()


def send(port: int, sales: Sequence[Sale]) -> tuple[float, list[float]]:
    """Send all; returns when that began (monotonic clock) and the seconds from each event's due time to its answer."""
    answers: list[float] = []

    async def go() -> float:
        started = time.monotonic() + 0.5
        await asyncio.gather(*(_line(port, sales[n::LINES], started, answers) for n in range(LINES)))
        return started

    try:
        import uvloop
    except ImportError:
        return asyncio.run(go()), answers
    return uvloop.run(go()), answers
