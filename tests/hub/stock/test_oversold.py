"""Two orders for the last unit: the second one is flagged at once, with who to call."""

from __future__ import annotations

import pytest
from room import Room, at
from structlog.testing import capture_logs


def flags(room: Room) -> list[tuple[str, int]]:
    return [(one.order_key, one.units) for one in room.oversold()]


@pytest.fixture
def last_unit(room: Room) -> Room:
    room.count("A", 1, when=at(0))
    room.offer("A")
    room.order("mall/1", {"A": 1}, when=at(2))
    assert flags(room) == []
    return room


def test_the_second_order_for_the_last_unit_is_flagged_at_once(last_unit: Room) -> None:
    last_unit.order(
        "shop/2", {"A": 1}, when=at(1)
    )  # placed earlier, seen later: the first may be confirmed already
    with capture_logs() as logs:
        (found,) = last_unit.turn().oversold
    assert (found.order_key, found.sku, found.units, found.channel, found.call) == (
        "shop/2",
        "A",
        1,
        "shop",
        "shop desk",
    )
    assert [(line["event"], line["order"], line["call"]) for line in logs] == [
        ("oversold", "shop/2", "shop desk")
    ]
    with capture_logs() as logs:
        assert flags(last_unit) == [("shop/2", 1)]
    assert logs == []  # told once
    assert last_unit.shows("mall/A") == 0
    assert last_unit.sellable()["mall/A"]["free"] == -1


def test_a_flag_is_lifted_when_stock_comes_or_the_order_goes(last_unit: Room) -> None:
    last_unit.order("shop/2", {"A": 1})
    last_unit.order("shop/3", {"A": 2})
    assert flags(last_unit) == [("shop/2", 1), ("shop/3", 2)]
    last_unit.count("A", 3, when=at(10))
    assert flags(last_unit) == [("shop/3", 1)]
    last_unit.order("shop/3", {"A": 2}, cancelled=True)
    assert flags(last_unit) == []
    assert last_unit.scalar("SELECT count(*) FROM stock_oversold WHERE resolved_at IS NOT NULL") == 2


def test_a_flag_does_not_wander_when_the_first_order_changes(last_unit: Room) -> None:
    last_unit.order("shop/2", {"A": 1})
    assert flags(last_unit) == [("shop/2", 1)]
    last_unit.count("A", 3, when=at(5))
    assert flags(last_unit) == []
    last_unit.order("mall/9", {"A": 2})
    assert flags(last_unit) == [("mall/9", 1)]
    last_unit.order("mall/1", {"A": 2}, when=at(2))
    assert flags(last_unit) == [("mall/9", 2)]


def test_it_stays_flagged_when_the_warehouse_has_booked_what_it_has_not_got(last_unit: Room) -> None:
    last_unit.order("shop/2", {"A": 1})
    assert flags(last_unit) == [("shop/2", 1)]
    last_unit.accept("mall/1", at(3))
    last_unit.accept("shop/2", at(3))
    last_unit.count("A", 1, when=at(60), allocated=2)
    assert flags(last_unit) == [("shop/2", 1)]
    last_unit.count("A", 2, when=at(61), allocated=2)
    assert flags(last_unit) == []


def test_safety_stock_is_there_and_backorders_are_no_fault(room: Room) -> None:
    room.count("A", 2, when=at(0), safety_stock=2)
    room.count("B", 0, when=at(0), backorderable=True)
    room.offer("A", "B")
    room.order("mall/1", {"A": 2, "B": 5})
    assert flags(room) == []
    assert {key: each["quantity"] for key, each in room.sellable().items() if key.startswith("mall")} == {
        "mall/A": 0,
        "mall/B": 0,
    }
    room.order("mall/2", {"A": 1})
    assert flags(room) == [("mall/2", 1)]


def test_an_order_for_a_store_that_has_none_is_flagged_though_others_have_some(room: Room) -> None:
    room.say("wms", "location", {"key": "S01", "name": "渋谷店", "pickup": True})
    room.count("A", 5, location="EAST", when=at(0))
    room.count("A", 1, location="S01", when=at(0))
    room.offer("A")
    room.order("mall/1", {"A": 1}, place="S01")
    assert flags(room) == []
    room.order("mall/2", {"A": 1}, place="S01")
    assert flags(room) == [("mall/2", 1)]
