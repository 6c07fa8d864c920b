"""Reading a connection (Relay: nodes, endCursor, hasNextPage) to its end, while it changes.

Two kinds. Lists sorted by `updatedAt` are read on from the newest row seen: what changes meanwhile moves to the end
and comes again. Lists that cannot be sorted so (variants, inventory levels) are filtered by `updated_at`, and a row
that changes behind the reader's place would be missed: they are read on from the moment the listing began.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from connectors.contract import Call, Cursor, Page, Refused
from connectors.shopify.api import Api, TooCostly
from connectors.shopify.config import ShopifyConfig
from connectors.shopify.ids import search_text

__all__ = ["OVERLAP", "Ask", "Listing", "Position", "Size", "instant", "since_of", "updated_since", "walk"]

OVERLAP = timedelta(minutes=5)
"""Searches run on an index that lags behind, and clocks differ."""

_LONG_AGO = datetime.min.replace(tzinfo=UTC)

T = TypeVar("T")

Row = dict[str, Any]
Connection = Mapping[str, Any]
Fetch = Callable[["Ask"], tuple[Connection, Sequence[Row]]]
"""A page asked for -> the connection, for its pageInfo, and the finished rows."""


class Position(Cursor):
    """Where a source stands.

    updated_at  every change up to then was read
    since, after, leg, reached   while a listing is under way: what it asked for, the page and the leg it stands at,
                what `updated_at` becomes at its end
    """

    updated_at: datetime | None = None
    since: datetime | None = None
    after: str | None = None
    leg: str | None = None
    reached: datetime | None = None

    @property
    def under_way(self) -> bool:
        return self.after is not None or self.leg is not None


class Size:
    """How much is asked for at once: less where it costs too much, for the rest of the call."""

    def __init__(self, first: int, nested: int) -> None:
        self.first = first
        self.nested = nested

    def smaller(self, share: float) -> bool:
        """Ask for `share` of it, and less in any case; False when nothing can be left out any more."""
        if self.first > 1:
            self.first = max(min(int(self.first * share), self.first - 1), 1)
        elif self.nested > 1:
            self.nested = max(min(int(self.nested * share), self.nested - 1), 1)
        else:
            return False
        return True

    def fitting(self, ask: Callable[[int, int], T]) -> T:
        """`ask(first, nested)`, with less and less until Shopify takes it."""
        while True:
            try:
                return ask(self.first, self.nested)
            except TooCostly as error:
                if not self.smaller(error.share):
                    raise


@dataclass(frozen=True, slots=True)
class Ask:
    """One page: of which leg, how many rows with how many nested ones, behind which place, matching what."""

    leg: str | None
    first: int
    nested: int
    after: str | None
    query: str | None


@dataclass(frozen=True, slots=True)
class Listing:
    """A list to walk.

    legs              parts that are read one after the other (locations), in an order that stays
    sorted_by_change  whether rows come in the order of their `updatedAt`
    whole             whether a listing without a bound holds everything there is, so that absence means something
    """

    name: str
    fetch: Fetch
    legs: Sequence[str | None] = (None,)
    sorted_by_change: bool = True
    whole: bool = True


def instant(text: str) -> datetime:
    """A GraphQL DateTime ("2026-11-21T12:50:35Z") as an aware datetime."""
    return datetime.fromisoformat(text)


def updated_since(moment: datetime | None) -> str | None:
    """The search for what changed at or after a moment."""
    if moment is None:
        return None
    text = moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return "updated_at:>=" + search_text(text)


def since_of(call: Call[ShopifyConfig], position: Position) -> datetime | None:
    """Where to begin: `params["since"]` (aware ISO date and time) if given, else behind the cursor."""
    given = call.params.get("since")
    if given is None:
        return position.updated_at - OVERLAP if position.updated_at else None
    since = given if isinstance(given, datetime) else instant(str(given))
    if since.tzinfo is None:
        raise Refused("`since` needs an offset: 2026-11-21T00:00:00+09:00", code="bad_param")
    return since


def walk(api: Api, listing: Listing, position: Position | None, size: Size) -> Iterator[Page]:
    """The pages of a list. A listing that a killed run left is gone on with; a delta without rows gives no page."""
    begun = position or Position()
    resumed = begun.under_way and begun.leg in listing.legs and "since" not in api.call.params
    since = begun.since if resumed else since_of(api.call, begun)
    reached = begun.reached if resumed else begun.updated_at if listing.sorted_by_change else api.call.now()
    legs = listing.legs[listing.legs.index(begun.leg) :] if resumed else listing.legs
    number = 0
    for leg, following in zip(legs, [*legs[1:], None], strict=True):
        after = begun.after if resumed and leg == begun.leg else None
        more = True
        while more:
            connection, rows = _page(
                listing, size, Ask(leg, 0, 0, after, updated_since(since)), saved=begun.after
            )
            if listing.sorted_by_change:
                reached = max([instant(row["updatedAt"]) for row in rows] + [reached or _LONG_AGO])
            number += 1
            more, after = connection["pageInfo"]["hasNextPage"], connection["pageInfo"]["endCursor"]
            ends = not more and leg == legs[-1]
            place = Position(
                updated_at=begun.updated_at, since=since, after=after if more else None,
                leg=leg if more else following, reached=reached,
            )  # fmt: skip
            if ends:
                place = Position(updated_at=None if reached == _LONG_AGO else reached)
            # An end without rows is told all the same where the cursor stands in the middle of the listing.
            if rows or (ends and (since is None or resumed or number > 1)):
                yield Page(
                    place,
                    rows,
                    name=f"{listing.name} {number}",
                    complete=listing.whole and ends and since is None and not resumed,
                )


def _page(listing: Listing, size: Size, ask: Ask, *, saved: str | None) -> tuple[Connection, Sequence[Row]]:
    def fetch(first: int, nested: int, after: str | None = ask.after) -> tuple[Connection, Sequence[Row]]:
        return listing.fetch(replace(ask, first=first, nested=nested, after=after))

    try:
        return size.fitting(fetch)
    except TooCostly:
        raise
    except Refused:
        if ask.after is None or ask.after != saved:
            raise
        # Shopify no longer takes the saved place (it grew old, or another version): this leg from its beginning.
        return size.fitting(lambda first, nested: fetch(first, nested, None))
