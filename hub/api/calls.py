"""What is counted and logged of calls: the route, never the address (keys may be e-mail addresses), never a body."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import Counter

import structlog

from hub.gateway.counters import BOUNDS, QUIET
from hub.logs import Own

__all__ = ["Calls"]

log = structlog.get_logger("tsunagi.api")


class Calls:
    """Calls by method, route and status, and how long they took."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, str, int]] = Counter()
        self._within: dict[str, list[int]] = {}
        self._seconds: Counter[str] = Counter()
        self._told: dict[int, float] = {}
        self._untold: Counter[int] = Counter()

    def count(
        self,
        method: str,
        route: str,
        status: int,
        seconds: float,
        *,
        key: str | None,
        call: str,
        sent: int,
        waits: bool,
    ) -> None:
        """One call. `waits`: it may have waited because it was asked to, so its time says nothing."""
        self.counts[method, route, status] += 1
        if not waits:
            within = self._within.setdefault(route, [0] * (len(BOUNDS) + 1))
            within[bisect_left(BOUNDS, seconds)] += 1
            self._seconds[route] += seconds  # type: ignore[assignment]
        more = 0
        if status in (401, 429):  # whoever tries keys must not fill the disk
            now = time.monotonic()
            if now - self._told.get(status, -QUIET) < QUIET:
                self._untold[status] += 1
                return
            self._told[status] = now
            more = self._untold.pop(status, 0)
        say = log.info if status < 400 else log.warning
        say("call", method=Own(method), route=Own(route), status=status, seconds=round(seconds, 4), bytes=sent,
            by=key and Own(key), call=Own(call), **({"more_before": more} if more else {}))  # fmt: skip

    def text(self) -> str:
        """Prometheus' text format."""
        lines = ["# TYPE tsunagi_api_calls_total counter"]
        for (method, route, status), number in sorted(self.counts.items()):
            lines.append(
                f'tsunagi_api_calls_total{{method="{method}",route="{route}",status="{status}"}} {number}'
            )
        lines.append("# TYPE tsunagi_api_seconds histogram")
        for route, within in sorted(self._within.items()):
            total = 0
            for bound, number in zip((*BOUNDS, "+Inf"), within, strict=True):
                total += number
                lines.append(f'tsunagi_api_seconds_bucket{{route="{route}",le="{bound}"}} {total}')
            lines.append(f'tsunagi_api_seconds_sum{{route="{route}"}} {self._seconds[route]:.6f}')
            lines.append(f'tsunagi_api_seconds_count{{route="{route}"}} {total}')
        return "\n".join(lines) + "\n"
