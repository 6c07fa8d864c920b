"""The replay window: a signed time must be near now."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta

from connectors.contract import Refused

__all__ = ["DEFAULT_WINDOW", "Clock", "clock_at", "utc_now", "within_window"]

Clock = Callable[[], datetime]
"""Gives the present moment, aware."""

DEFAULT_WINDOW = timedelta(minutes=5)
"""Stripe's tolerance; also holds clocks that differ a little."""


_still: ContextVar[datetime | None] = ContextVar("still", default=None)


def utc_now() -> datetime:
    """The clock of this machine."""
    return _still.get() or datetime.now(UTC)


@contextmanager
def clock_at(moment: datetime | None) -> Iterator[None]:
    """Inside, it is always `moment` for the doors: a genuine call kept for tests was signed back then."""
    token = _still.set(moment)
    try:
        yield
    finally:
        _still.reset(token)


def within_window(signed_at: datetime, *, window: timedelta = DEFAULT_WINDOW, now: Clock = utc_now) -> None:
    """Raise `Refused` (code `outside_window`) when `signed_at` is further than `window` from now, in either
    direction: a time far ahead would open the door for as long.
    """
    distance = abs(now() - signed_at)
    if distance > window:
        raise Refused(
            f"the call was signed {distance.total_seconds():.0f} s away from this machine's time, "
            f"allowed are {window.total_seconds():.0f} s: a replay, or a clock that is wrong",
            code="outside_window",
        )
