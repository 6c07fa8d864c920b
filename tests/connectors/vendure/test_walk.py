"""Reading a list that changes while it is read, against a list in memory that pages as Vendure does."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, strategies as st

from connectors.contract import Retry
from connectors.vendure.walk import instant, walk_by_id, walk_by_time, wire_time

START = datetime(2026, 11, 21, tzinfo=UTC)


class Listing:
    """Rows id -> updatedAt. `between` runs after each page and may change the rows."""

    def __init__(self, rows: dict[int, datetime], take: int, between: Callable[[Listing, int], None]) -> None:
        self.rows = dict(rows)
        self.take = take
        self.between = between
        self.pages = 0

    def __call__(self, options: Any) -> list[dict[str, Any]]:
        after = options["filter"].get("updatedAt", {}).get("after")
        rows = [(at, number) for number, at in self.rows.items() if after is None or at > instant(after)]
        rows.sort(key=(lambda row: row) if "updatedAt" in options["sort"] else (lambda row: row[1]))
        page = rows[options["skip"] : options["skip"] + self.take]
        self.pages += 1
        self.between(self, self.pages)
        return [{"id": str(number), "updatedAt": wire_time(at)} for at, number in page]


seconds = st.integers(0, 3).map(lambda second: START + timedelta(seconds=second))
# What happens after each page: several rows may change or go at once.
changes = st.lists(
    st.lists(st.tuples(st.integers(0, 29), st.sampled_from(["change", "delete"])), max_size=6), max_size=5
)


@given(st.lists(seconds, max_size=30), st.integers(2, 7), changes)
def test_no_row_is_lost_while_rows_change_and_go(
    stamps: list[datetime], take: int, script: list[Any]
) -> None:
    left = list(script)
    gone: set[int] = set()

    def between(listing: Listing, page: int) -> None:
        for number, what in left.pop() if left else []:
            if number in listing.rows and what == "delete":
                gone.add(number)
                del listing.rows[number]
            elif number in listing.rows:
                listing.rows[number] = START + timedelta(seconds=10 + page)

    listing = Listing(dict(enumerate(stamps)), take, between)
    chunks = list(walk_by_time(listing, take, None))
    seen = {row["id"]: row["updatedAt"] for chunk in chunks for row in chunk.rows}
    assert {str(number) for number in range(len(stamps)) if number not in gone} <= set(seen)
    for number, at in listing.rows.items():
        # Each row was given in its last state, unless it changed after the last page was read.
        assert seen[str(number)] == wire_time(at) or at.second - 10 == listing.pages
    assert [chunk.last for chunk in chunks] == [False] * (len(chunks) - 1) + [True]


@given(st.integers(0, 30), st.integers(2, 7), st.lists(st.lists(st.integers(0, 9), max_size=6), max_size=5))
def test_by_id_every_row_that_stays_comes_once(count: int, take: int, doomed: list[list[int]]) -> None:
    left = list(doomed)
    gone = {number for numbers in doomed for number in numbers}

    def between(listing: Listing, page: int) -> None:
        for number in left.pop() if left else []:
            listing.rows.pop(number, None)

    listing = Listing(dict.fromkeys(range(count), START), take, between)
    ids = [row["id"] for chunk in walk_by_id(listing, take) for row in chunk.rows]
    assert len(ids) == len(set(ids))
    assert {str(number) for number in range(count) if number not in gone} <= set(ids)


def test_more_rows_of_one_second_than_a_page_holds() -> None:
    listing = Listing(dict.fromkeys(range(25), START), 4, lambda *_: None)
    rows = [row["id"] for chunk in walk_by_time(listing, 4, None) for row in chunk.rows]
    assert rows == sorted(rows, key=int)
    assert len(rows) == 25


def test_rows_of_the_bounds_own_second_come_again() -> None:
    listing = Listing({1: START, 2: START + timedelta(seconds=1)}, 10, lambda *_: None)
    since = START - timedelta(milliseconds=1)
    assert [row["id"] for chunk in walk_by_time(listing, 10, since) for row in chunk.rows] == ["1", "2"]
    assert [row["id"] for chunk in walk_by_time(listing, 10, START) for row in chunk.rows] == ["2"]


def test_a_list_that_never_stands_still_is_tried_later() -> None:
    def shift(listing: Listing, page: int) -> None:
        listing.rows = {number - 1: at for number, at in listing.rows.items()}

    with pytest.raises(Retry, match="faster"):
        list(walk_by_id(Listing(dict.fromkeys(range(100, 140), START), 5, shift), 5))
