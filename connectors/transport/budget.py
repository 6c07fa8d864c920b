"""The rate budget: how often an account may be called."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol

from connectors.contract import Budget, Retry

__all__ = ["Limiter", "LocalLimiter", "Unlimited"]


class Limiter(Protocol):
    """Holds back calls so that an account stays inside its budget.

    `acquire` blocks until `cost` requests may be made (a call that the other side counts double costs 2).
    `penalise` tells that the other side wants no call before `until` (an aware datetime).
    """

    def acquire(self, cost: float = 1) -> None: ...
    def penalise(self, until: datetime) -> None: ...


class Unlimited:
    """For accounts without a known budget: waits only when the other side said so."""

    def acquire(self, cost: float = 1) -> None:
        """Never waits."""

    def penalise(self, until: datetime) -> None:
        """The retry itself waits; there is nobody else to hold back."""


class LocalLimiter:
    """A token bucket for one process (threads share it); `budget.burst` calls may go at once.

    A caller takes its turn by going into debt and then sleeps it off outside the lock, so turns are handed
    out in the order of asking. Raises `Retry` instead of sleeping longer than `max_wait`: a task must not
    sit on its slot for hours.
    """

    def __init__(
        self,
        budget: Budget,
        *,
        max_wait: timedelta = timedelta(minutes=5),
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        if budget.requests <= 0 or budget.per <= timedelta(0) or budget.burst < 1:
            raise ValueError(f"a budget needs requests > 0, per > 0 and burst >= 1: {budget}")
        self._rate = budget.requests / budget.per.total_seconds()
        self._burst = float(budget.burst)
        self._max_wait = max_wait.total_seconds()
        self._clock = clock
        self._sleep = sleep
        self._now = now
        self._lock = threading.Lock()
        self._tokens = self._burst
        self._at = clock()  # up to when tokens are counted; lies ahead while the account is closed

    def acquire(self, cost: float = 1) -> None:
        """Wait for the turn. Raises `Retry` when it is further away than `max_wait`."""
        with self._lock:
            instant = self._refill()
            wait = max(self._at - instant, 0.0) + max((cost - self._tokens) / self._rate, 0.0)
            if wait > self._max_wait:
                raise Retry(
                    f"the rate budget of this account is used up for another {wait:.0f} s",
                    after=timedelta(seconds=wait),
                )
            self._tokens -= cost
        if wait > 0:
            self._sleep(wait)

    def penalise(self, until: datetime) -> None:
        """No call before `until`, whoever asks."""
        with self._lock:
            instant = self._refill()
            self._at = max(self._at, instant + (until - self._now()).total_seconds())

    def _refill(self) -> float:
        instant = self._clock()
        if instant > self._at:
            self._tokens = min(self._burst, self._tokens + (instant - self._at) * self._rate)
            self._at = instant
        return instant
