"""How often a caller may come: so many requests within any second, counted per API as the vendor does."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

__all__ = ["Rate"]


class Rate:
    """Remembers when each API was called. `window` is what counts as a second.

    Nine tenths of one by default: a caller that waits a full second by its own clock must never be refused for
    the way its requests travelled.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, window: float = 0.9) -> None:
        self._clock = clock
        self._window = window
        self._seen: dict[str, deque[float]] = {}

    def allows(self, name: str, per_second: float, pace: float = 1.0) -> bool:
        """Whether one more call may be made now; if so, it is counted. `pace` lets seconds pass faster."""
        now = self._clock() * pace
        seen = self._seen.setdefault(name, deque())
        while seen and now - seen[0] >= max(1.0, 1.0 / per_second) * self._window:
            seen.popleft()
        if len(seen) >= max(1, int(per_second)):
            return False
        seen.append(now)
        return True
