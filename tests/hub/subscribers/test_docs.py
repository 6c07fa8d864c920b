"""docs/subscribers.md says what is true: its message, its statuses, its numbers."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from hub.api.scopes import OPEN_KINDS
from hub.subscribers.answers import Answer, Manner
from hub.subscribers.register import OVERLAP
from hub.subscribers.signing import body_of

DOCS = Path(__file__).resolve().parents[3] / "docs"
PAGES = [DOCS / "subscribers.md", DOCS / "ja" / "subscribers.md"]


@pytest.mark.parametrize("page", PAGES, ids=["en", "ja"])
def test_the_example_is_a_message(page: Path) -> None:
    (body,) = re.findall(r'^\{"type".*?\}\}\}$', page.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    said = json.loads(body.replace("{...}", "{}"))
    at = datetime.fromisoformat(said["timestamp"])
    made = body_of("sellable", "rakuten/TEA-100", 7, changed_at=at, deleted=False, content={})
    assert json.loads(made) == said


@pytest.mark.parametrize("page", PAGES, ids=["en", "ja"])
def test_the_statuses_of_the_table_are_those_of_the_code(page: Path) -> None:
    rows = [line for line in page.read_text("utf-8").splitlines() if line.startswith("| ")]
    of_the_place = next(line for line in rows if "3xx" in line).split("|")[1]
    named = {int(number) for number in re.findall(r"\b[345]\d\d\b", of_the_place)} | {
        300,
        301,
        302,
        303,
        307,
        308,
    }
    for status in range(300, 600):
        if status not in (304, 410):
            assert Answer(status, 1).of_the_place == (status in named), status
    assert Answer(410, 1).gone
    assert Answer(None, 1, error="no connection").of_the_place
    for own in (400, 422, 500):
        assert not Answer(own, 1).of_the_place


def test_the_numbers_of_the_page() -> None:
    manner = Manner()
    assert (manner.first, manner.longest, manner.longest_all, manner.timeout) == (2, 6 * 3600, 3600, 15)
    assert (manner.limit, manner.least, manner.in_a_row) == (timedelta(days=3), 8, 5)
    assert (manner.asked, OVERLAP) == (timedelta(days=1), timedelta(days=1))
    assert not OPEN_KINDS & {
        "order",
        "customer",
        "shipment",
        "payment",
        "refund",
        "return",
        "subscription",
        "cart",
    }


@given(
    failures=st.integers(1, 10_000),
    whole=st.booleans(),
    after=st.none() | st.floats(0, 86_400, allow_nan=False),
)
def test_pauses_grow_to_a_limit_and_honour_what_was_asked(
    failures: int, whole: bool, after: float | None
) -> None:
    manner = Manner()
    pause = manner.pause(failures, whole=whole, after=after)
    longest = manner.longest_all if whole else manner.longest
    assert pause >= (after or 0)
    assert pause >= min(2 * 3 ** (min(failures, 30) - 1), longest) * 0.8
    assert pause <= max(longest * 1.2, after or 0)
