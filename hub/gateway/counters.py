"""What the gateway counts, and how it is told: as Prometheus text, and in few log lines however many calls come."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import Counter

import structlog

__all__ = ["BOUNDS", "Counters"]

BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
"""Upper bounds of the histogram of answering times, in seconds."""
QUIET = 1.0
"""Seconds in which one outcome of one system is logged once."""

log = structlog.get_logger("tsunagi.gateway")


class Counters:
    """Calls by system and outcome, and how long they took."""

    def __init__(self) -> None:
        self.calls: Counter[tuple[str, str]] = Counter()
        self._within = [0] * (len(BOUNDS) + 1)
        self._seconds = 0.0
        self._told: dict[tuple[str, str], float] = {}
        self._untold: Counter[tuple[str, str]] = Counter()

    def count(
        self, system: str, outcome: str, status: int, seconds: float, size: int, reason: str = ""
    ) -> None:
        """One call; told in the log unless it was stored. Nothing of its body or headers ever is."""
        key = (system, outcome)
        self.calls[key] += 1
        self._within[bisect_left(BOUNDS, seconds)] += 1
        self._seconds += seconds
        if outcome == "stored":
            return
        now = time.monotonic()
        if now - self._told.get(key, -QUIET) < QUIET:
            self._untold[key] += 1
            return
        self._told[key] = now
        more = self._untold.pop(key, 0)
        tell = log.info if status < 300 else log.warning
        tell(
            "webhook", system=system, outcome=outcome, status=status, bytes=size, seconds=round(seconds, 4),
            reason=reason, **({"more_before": more} if more else {}),
        )  # fmt: skip

    def text(self, *, commits: int, events: int) -> str:
        """Prometheus' text format."""
        lines = ["# TYPE tsunagi_webhook_calls_total counter"]
        for (system, outcome), number in sorted(self.calls.items()):
            lines.append(f'tsunagi_webhook_calls_total{{system="{system}",outcome="{outcome}"}} {number}')
        lines.append("# TYPE tsunagi_webhook_seconds histogram")
        total = 0
        for bound, number in zip((*BOUNDS, "+Inf"), self._within, strict=True):
            total += number
            lines.append(f'tsunagi_webhook_seconds_bucket{{le="{bound}"}} {total}')
        lines += [
            f"tsunagi_webhook_seconds_sum {self._seconds:.6f}",
            f"tsunagi_webhook_seconds_count {total}",
            "# TYPE tsunagi_webhook_commits_total counter",
            f"tsunagi_webhook_commits_total {commits}",
            "# TYPE tsunagi_webhook_events_total counter",
            f"tsunagi_webhook_events_total {events}",
        ]
        return "\n".join(lines) + "\n"
