"""Reading a list to its end, page by page, from where the last read stood.

Most of Square's lists come in no order of time (counts newest first, catalogue and customers as Square likes), so how
far a read has come is known only at its end. The cursor therefore holds the place inside the list as well: a
read that broke off goes on with Square's own page cursor, and starts the list over where Square no longer knows it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import AwareDatetime

from connectors.contract import Call, Cursor, Refused, Retry
from connectors.square.api import Row
from connectors.square.config import SquareConfig

__all__ = [
    "OVERLAP",
    "Chunk",
    "Fetch",
    "Place",
    "Window",
    "asked_ids",
    "instant",
    "newest_of",
    "walk",
    "wire_time",
]

OVERLAP = timedelta(minutes=5)
"""How far behind the newest row a read starts again: Square's lists lag behind its writes (customers: "well under 30
seconds", payments: "several seconds", both by its reference)."""

_STALE = frozenset({"invalid_cursor", "bad_request", "invalid_value", "not_found"})


class Place(Cursor):
    """Where a read stands.

    since    everything changed up to then was read (Square's clock)
    began    when the walk that is under way began (our clock)
    newest   newest change seen in the walk that is under way
    part     which of the lists of the walk comes next (orders: groups of ten locations)
    page     Square's cursor of the next page; None where a list begins
    """

    since: AwareDatetime | None = None
    began: AwareDatetime | None = None
    newest: AwareDatetime | None = None
    part: int = 0
    page: str | None = None

    @property
    def under_way(self) -> bool:
        """A walk broke off here."""
        return self.page is not None or self.part > 0


@dataclass(frozen=True, slots=True)
class Window:
    """Changes to read: from `start` (None: all) to `end` (None: now)."""

    start: datetime | None
    end: datetime | None = None


@dataclass(frozen=True, slots=True)
class Chunk:
    """Rows of one page, the place behind it, and whether it ends the walk."""

    rows: list[Row]
    place: Place
    last: bool


Fetch = Callable[[Window, str | None], tuple[Sequence[Row], str | None]]
"""(window, page cursor) -> rows and the cursor of the next page, None behind the last."""


def instant(text: str) -> datetime:
    """An RFC 3339 time ("2026-11-21T00:30:00.123Z") as an aware datetime."""
    return datetime.fromisoformat(text)


def wire_time(moment: datetime, precision: str = "milliseconds") -> str:
    """An aware datetime as Square writes it."""
    return moment.astimezone(UTC).isoformat(timespec=precision).replace("+00:00", "Z")


def newest_of(known: datetime | None, moments: Sequence[datetime | None]) -> datetime | None:
    """The newest of them."""
    return max((moment for moment in (known, *moments) if moment is not None), default=None)


def asked_ids(call: Call[SquareConfig]) -> list[str]:
    """Ids an operator or a thin event asks for."""
    return [str(each) for each in call.params.get("ids") or ()]


def walk(
    call: Call[SquareConfig],
    cursor: Place | None,
    parts: Sequence[Fetch],
    moment: Callable[[Row], str | None],
    *,
    first: timedelta | None = None,
) -> Iterator[Chunk]:
    """Read the parts one after the other.

    moment  the time of a row's last change, as Square wrote it
    first   how far back a read without cursor looks; None: everything

    What changes while pages are read may already lie behind the reader. So a walk of several pages counts as read up to
    its beginning at most, and several parts share one end of their window.
    `params["since"]` (aware date and time) reads again from then.
    """
    begun = cursor.since if cursor else None
    if cursor is not None and cursor.part >= len(parts):
        cursor = Place(since=cursor.since)  # there are fewer locations now
    place = _start(call, cursor, first)
    while True:
        end = place.began if len(parts) > 1 else None
        window = Window(place.since - OVERLAP if place.since else None, end)
        try:
            rows, following = parts[place.part](window, place.page)
        except Refused as error:
            if cursor is None or not cursor.under_way or place != cursor or error.code not in _STALE:
                raise
            # Square forgot the page: from the beginning, nothing is lost by it
            cursor = Place(since=cursor.since)
            place = _start(call, cursor, first)
            continue
        if following is not None and following == place.page:
            raise Retry("Square's list does not move on: it gave the same cursor again")
        told = [instant(text) for text in map(moment, rows) if text]
        newest = newest_of(place.newest, told)
        last = following is None and place.part == len(parts) - 1
        if last:
            if place.under_way and newest is not None and place.began is not None:
                newest = min(newest, place.began)
            place = Place(since=newest_of(place.since, [newest, begun]))
        else:
            part = place.part if following is not None else place.part + 1
            place = place.model_copy(update={"newest": newest, "part": part, "page": following})
        yield Chunk(list(rows), place, last)
        if last:
            return


def _start(call: Call[SquareConfig], cursor: Place | None, first: timedelta | None) -> Place:
    given: Any = call.params.get("since")
    if cursor is not None and cursor.under_way and given is None:
        return cursor
    since = cursor.since if cursor else None
    if given is not None:
        since = given if isinstance(given, datetime) else instant(str(given))
    elif since is None and first is not None:
        since = call.now() - first
    return Place(since=since, began=call.now())
