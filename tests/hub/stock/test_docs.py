"""docs/stock.md says what is true: its example day, its settings."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from room import Room, at

from hub.stock.policy import Allocation

DOCS = Path(__file__).resolve().parents[3] / "docs"
PAGES = [DOCS / "stock.md", DOCS / "ja" / "stock.md"]


def rows(page: Path) -> list[list[str]]:
    """The example day: minutes after 09:00, on hand, allocated, not in the counts, shown."""
    found = re.findall(
        r"^\| (\d\d):(\d\d) \|.*?\| (\d+) \| (\d+) \| (\d+) \| (\d+) \|$",
        page.read_text("utf-8"),
        re.MULTILINE,
    )
    return [[str((int(hour) - 9) * 60 + int(minute)), *numbers] for hour, minute, *numbers in found]


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_the_example_day_is_what_happens(room: Room, page: Path) -> None:
    told = rows(page)
    assert len(told) == 6
    room.offer("A")
    events = [
        lambda: room.count("A", 10, when=at(0)),
        lambda: room.order("mall/1", {"A": 2}, when=at(10)),
        lambda: room.accept("mall/1", at(20)),
        lambda: room.count("A", 10, when=at(30)),
        lambda: room.count("A", 10, when=at(60), allocated=2),
        lambda: room.count("A", 8, when=at(120)),
    ]
    for (minute, *numbers), happens, expected in zip(told, events, (0, 10, 20, 30, 60, 120), strict=True):
        assert int(minute) == expected
        happens()
        offer = room.sellable()["mall/A"]
        found = [offer.get(name, 0) for name in ("on_hand", "allocated", "unbooked", "quantity")]
        assert found == [int(number) for number in numbers]


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_the_settings_are_understood(page: Path) -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
    found = [Allocation.model_validate(yaml.safe_load(block)["allocation"]) for block in blocks]
    assert [each.policy for each in found] == ["share", "shared"]
    assert found[1].counts.books_after == timedelta(minutes=30)
