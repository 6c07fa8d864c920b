"""Times and ids as the vendor writes them."""

from __future__ import annotations

from datetime import UTC, datetime

__all__ = ["gid", "number_of", "wire_time"]


def wire_time(moment: datetime) -> str:
    """ "2026-11-21T03:00:00Z": UTC, whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def gid(kind: str, number: int | str) -> str:
    return f"gid://shopify/{kind}/{number}"


def number_of(text: object) -> int:
    """The number of a global id; 0 where there is none."""
    digits = str(text).rsplit("/", 1)[-1].partition("?")[0]
    return int(digits) if digits.isdigit() else 0
