"""Search windows. RMS counts in whole seconds and includes both ends; windows touch without sharing a second."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import NamedTuple

__all__ = ["JST", "Window", "halves", "rms_time", "windows"]

JST = timezone(timedelta(hours=9), "JST")
_SECOND = timedelta(seconds=1)


class Window(NamedTuple):
    """From `start` to `end`, both included, both whole seconds."""

    start: datetime
    end: datetime


def rms_time(moment: datetime) -> str:
    """`2017-10-14T00:00:00+0900`: JST, no colon in the offset. Any other spelling is refused (ERROR_011)."""
    return moment.astimezone(JST).strftime("%Y-%m-%dT%H:%M:%S+0900")


def windows(start: datetime, end: datetime, longest: timedelta) -> Iterator[Window]:
    """Consecutive windows of at most `longest` that cover each second from `start` to `end` once."""
    start, end = start.replace(microsecond=0), end.replace(microsecond=0)
    while start <= end:
        stop = min(start + longest, end)
        yield Window(start, stop)
        start = stop + _SECOND


def halves(window: Window) -> tuple[Window, Window] | None:
    """The window cut in two; None when it is a single second and cannot be cut."""
    if window.end <= window.start:
        return None
    middle = window.start + (window.end - window.start) // 2
    middle = middle.replace(microsecond=0)
    return Window(window.start, middle), Window(middle + _SECOND, window.end)
