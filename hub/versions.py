"""Which of two versions of a record is the older one, by the value its source orders them by.

Events arrive late and out of order, and a page may have been read before the event that overtook it.
"""

from __future__ import annotations

from datetime import UTC, datetime

__all__ = ["is_older"]


def is_older(one: str | None, other: str | None) -> bool:
    """Whether `one` surely lies before `other`: both whole numbers, or both moments in ISO 8601.

    Where one is missing, or they cannot be compared, nothing is older: the version that came last counts.
    """
    if one is None or other is None or one == other:
        return False
    first, second = _order(one), _order(other)
    return first is not None and second is not None and first[0] == second[0] and first[1] < second[1]


def _order(value: str) -> tuple[str, float] | None:
    if value.isascii() and value.isdigit():
        return "number", int(value)
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    if moment.tzinfo is None:  # two of one source: both are without, or both have one
        return "local time", moment.replace(tzinfo=UTC).timestamp()
    return "moment", moment.timestamp()
