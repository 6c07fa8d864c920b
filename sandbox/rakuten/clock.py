"""The vendor's two spellings of Japan Standard Time, and the checks of both."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta, timezone

__all__ = ["JST", "colon_time", "parse_order_date", "parse_order_time", "plain_time"]

JST = timezone(timedelta(hours=9), "JST")

_ORDER_TIME = re.compile(r"^(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})\+0900$")
_ORDER_DATE = re.compile(r"^\d{4}-\d{2}-\d{2}$")


def plain_time(moment: datetime) -> str:
    """Order API: `2017-10-14T00:00:00+0900`, without a colon in the offset."""
    return moment.astimezone(JST).strftime("%Y-%m-%dT%H:%M:%S+0900")


def colon_time(moment: datetime) -> str:
    """Item and inventory API: `2022-01-01T19:00:00+09:00`."""
    return moment.astimezone(JST).strftime("%Y-%m-%dT%H:%M:%S+09:00")


def parse_order_time(text: object) -> datetime | None:
    """The moment, or None where the order API would say that the format is wrong."""
    found = _ORDER_TIME.match(text) if isinstance(text, str) else None
    if found is None:
        return None
    try:
        return datetime.fromisoformat(found.group(1)).replace(tzinfo=JST)
    except ValueError:
        return None


def parse_order_date(text: object) -> date | None:
    """A day as `2018-01-25`; other spellings (2018/01/25) are refused, as the vendor's samples show."""
    if not isinstance(text, str) or not _ORDER_DATE.match(text):
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
