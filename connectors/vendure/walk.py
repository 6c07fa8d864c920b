"""Reading a whole list while it changes.

Vendure pages by skip and take, so a row that goes away or changes its place shifts the others past the reader. Two
things hold against it. Lists sorted by `updatedAt` are read from the last row's second on, not by counting: what
changes moves behind the reader's place, never before it. Where counting is needed (more rows in one second than fit
a page, lists sorted by id), each page begins with the last row of the page before; if it does not, the list
shifted and the walk starts over, leaving out what it gave already.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from connectors.contract import Retry

__all__ = ["Chunk", "instant", "walk_by_id", "walk_by_time", "wire_time"]

Row = Mapping[str, Any]
Fetch = Callable[[Mapping[str, Any]], Sequence[Row]]
"""List options without `take` -> the rows of that page; fewer than `take` rows end the list."""

_MOST_RESTARTS = 10


@dataclass(frozen=True, slots=True)
class Chunk:
    """Rows not given before; `last` when the list is read to its end. May be empty."""

    rows: list[Row]
    last: bool


def instant(text: str) -> datetime:
    """A GraphQL DateTime ("2026-11-21T21:50:35.000Z") as an aware datetime."""
    return datetime.fromisoformat(text)


def wire_time(moment: datetime) -> str:
    """An aware datetime as Vendure writes it, in milliseconds."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def walk_by_time(
    fetch: Fetch, take: int, since: datetime | None, where: Mapping[str, Any] | None = None
) -> Iterator[Chunk]:
    """The rows changed after `since`, oldest change first; a row that changes meanwhile comes again.

    The bound is set just below the second of the last row: SQLite keeps whole seconds, PostgreSQL more digits than
    the API shows, and both must give that row again rather than lose its neighbours.
    """
    seen: dict[str, str] = {}
    bound, skip, restarts = since, 0, 0
    last = ("", "")
    while True:
        changed = {"updatedAt": {"after": wire_time(bound)}} if bound else {}
        rows = fetch(
            {"skip": skip, "sort": {"updatedAt": "ASC", "id": "ASC"}, "filter": {**(where or {}), **changed}}
        )
        if skip and (not rows or _place(rows[0]) != last):
            restarts = _restart(restarts)
            skip = 0
            continue
        fresh = [row for row in rows if seen.get(row["id"]) != row["updatedAt"]]
        seen.update((row["id"], row["updatedAt"]) for row in fresh)
        ended = len(rows) < take
        yield Chunk(fresh, ended)
        if ended:
            return
        last = _place(rows[-1])
        following = instant(rows[-1]["updatedAt"]).replace(microsecond=0) - timedelta(milliseconds=1)
        if bound is None or following > bound:
            bound, skip = following, 0
        else:
            skip += len(rows) - 1


def walk_by_id(fetch: Fetch, take: int, where: Mapping[str, Any] | None = None) -> Iterator[Chunk]:
    """All rows in the order of their ids; no row twice."""
    seen: set[str] = set()
    skip, last, restarts = 0, "", 0
    while True:
        rows = fetch({"skip": skip, "sort": {"id": "ASC"}, "filter": dict(where or {})})
        if skip and (not rows or rows[0]["id"] != last):
            restarts = _restart(restarts)
            skip = 0
            continue
        fresh = [row for row in rows if row["id"] not in seen]
        seen.update(row["id"] for row in fresh)
        ended = len(rows) < take
        yield Chunk(fresh, ended)
        if ended:
            return
        last = rows[-1]["id"]
        skip += len(rows) - 1


def _place(row: Row) -> tuple[str, str]:
    return row["id"], row["updatedAt"]


def _restart(count: int) -> int:
    if count >= _MOST_RESTARTS:
        raise Retry("the list at Vendure changes faster than it can be read")
    return count + 1
