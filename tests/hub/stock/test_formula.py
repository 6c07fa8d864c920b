"""What a channel may sell: each term of the formula, and what counts when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from room import Room, at

from canonical_model import Sellable


def terms(room: Room, key: str = "mall/A") -> dict[str, object]:
    content = room.sellable()[key]
    Sellable.model_validate(content)
    return {
        name: value for name, value in content.items() if name not in ("key", "channel", "sku", "sold_there")
    }


def test_nothing_is_derived_where_nothing_is_counted(room: Room) -> None:
    room.offer("A")
    room.order("mall/1", {"A": 1})
    assert room.sellable() == {}
    assert room.turn().skus == 0


def test_every_listed_channel_shows_what_lies_there(room: Room) -> None:
    room.count("A", 5, when=at(0))
    room.count("UNLISTED", 5, when=at(0))
    room.offer("A", "NEVER-COUNTED")
    assert {key: each["quantity"] for key, each in room.sellable().items()} == {"mall/A": 5, "shop/A": 5}


def test_the_sum_of_all_terms_is_the_quantity(room: Room) -> None:
    room.allocate("mall", "{buffer: 1}")
    room.count("A", 20, when=at(0), allocated=3, safety_stock=2)
    room.move("m1", "A", 4, at(5))
    room.offer("A")
    room.order("shop/1", {"A": 2}, when=at(6))
    room.say("wms", "reservation", {"key": "r1", "sku": "A", "quantity": 5, "channel": "shop"})
    assert terms(room) == {
        "quantity": 11, "on_hand": 24, "moved": 4, "allocated": 3, "safety_stock": 2, "reserved": 5, "unbooked": 2,
        "free": 12, "buffer": 1,
    }  # fmt: skip


def test_an_order_counts_from_when_it_is_seen_until_the_count_holds_it(room: Room) -> None:
    room.count("A", 10, when=at(0))
    room.offer("A")
    room.order("mall/1", {"A": 2}, when=at(10))
    assert room.shows("shop/A") == 8
    room.accept("mall/1", at(20))
    assert room.shows("shop/A") == 8
    room.count("A", 10, when=at(40), allocated=0)  # taken before the warehouse had surely booked it
    assert room.shows("shop/A") == 8
    room.count("A", 10, when=at(50), allocated=2)
    assert terms(room) == {"quantity": 8, "on_hand": 10, "allocated": 2, "free": 8}
    room.count("A", 8, when=at(60))  # shipped
    room.ship("mall/1", {"A": 2}, shipped_at=at(55))
    assert room.shows("shop/A") == 8
    assert room.scalar("SELECT count(*) FROM stock_demand") == 0


def test_a_cancelled_order_gives_its_units_back_unless_they_left(room: Room) -> None:
    room.count("A", 10, when=at(0))
    room.offer("A")
    room.order("mall/1", {"A": 2}, when=at(10))
    assert room.shows("mall/A") == 8
    room.order("mall/1", {"A": 2}, when=at(10), cancelled=True)
    assert room.shows("mall/A") == 10
    room.order("mall/2", {"A": 3}, when=at(10))
    room.ship("mall/2", {"A": 3}, shipped_at=datetime.now(UTC))
    room.order("mall/2", {"A": 3}, when=at(10), cancelled=True)
    assert room.shows("mall/A") == 7


def test_what_is_missing_of_a_booked_order_is_still_owed(room: Room) -> None:
    room.count("A", 5, when=at(0))
    room.offer("A")
    room.order("mall/1", {"A": 3}, when=at(1))
    room.accept("mall/1", at(2))
    room.ship("mall/1", {"A": 2}, short=1, shipped_at=at(60))
    room.count("A", 0, when=at(60 * 26))
    room.order("mall/1", {"A": 3}, when=at(1))
    assert terms(room) == {"quantity": 0, "unbooked": 1, "free": -1}
    room.count("A", 1, when=at(60 * 27))  # the next delivery is for the buyer who waits
    assert room.shows("mall/A") == 0


def test_what_is_missing_is_owed_also_where_the_report_comes_before_the_count(room: Room) -> None:
    now = datetime.now(UTC)
    room.count("A", 3, when=now - timedelta(hours=3))
    room.offer("A")
    room.order("mall/1", {"A": 3}, when=now - timedelta(hours=2.5))
    room.accept("mall/1", now - timedelta(hours=2))
    room.count("A", 3, when=now - timedelta(hours=1), allocated=3)
    assert room.shows("mall/A") == 0
    assert room.scalar("SELECT count(*) FROM stock_demand") == 0  # booked
    room.ship("mall/1", {"A": 2}, short=1, shipped_on=now.date().isoformat())
    assert room.shows("mall/A") == 0
    room.count("A", 1, when=datetime.now(UTC))  # one was found again
    assert terms(room) == {"quantity": 0, "on_hand": 1, "unbooked": 1}
    room.count("A", 0, when=datetime.now(UTC))
    assert terms(room) == {"quantity": 0, "unbooked": 1, "free": -1}
    assert [(one.order_key, one.units) for one in room.oversold()] == [("mall/1", 1)]
    room.ship("mall/1", {"A": 1}, key="mall/1#1/2", shipped_on=now.date().isoformat())
    room.count("A", 0, when=datetime.now(UTC))
    assert room.shows("mall/A") == 0
    assert room.scalar("SELECT count(*) FROM stock_demand") == 0


def test_a_shipment_alone_books_an_order_where_nobody_tells_the_warehouse(room: Room) -> None:
    room.configure(wms="constants: {channel: wms}\nallocation: {counts: {books: shipment}}")
    now = datetime.now(UTC)
    room.count("A", 10, when=now - timedelta(hours=1))
    room.offer("A")
    room.order("mall/1", {"A": 2})
    room.ship("mall/1", {"A": 2}, status="instructed")
    assert room.shows("mall/A") == 8
    room.ship("mall/1", {"A": 2}, shipped_on=now.date().isoformat())
    assert room.shows("mall/A") == 8
    room.count("A", 8, when=datetime.now(UTC))  # newer than the report
    assert terms(room) == {"quantity": 8, "on_hand": 8, "free": 8}


def test_old_shipments_are_booked_by_their_date(room: Room) -> None:
    room.count("A", 10, when=at(60 * 24))
    room.offer("A")
    room.order("mall/1", {"A": 2}, when=at(-60 * 24 * 30))
    room.ship("mall/1", {"A": 2}, shipped_on="2026-10-25")
    assert room.shows("mall/A") == 10


def test_the_counting_systems_own_orders_are_booked_when_they_are_placed(room: Room) -> None:
    room.configure(pos="constants: {channel: pos}")
    room.count("A", 4, system="pos", location="S01", when=at(10))
    room.offer("A")
    room.order("pos/1", {"A": 1}, when=at(5))
    assert room.shows("mall/A") == 4
    room.order("pos/2", {"A": 1}, when=at(15))
    assert room.shows("mall/A") == 3
    room.count("A", 3, system="pos", location="S01", when=at(16))
    assert room.shows("mall/A") == 3


def test_movements_after_the_count_are_replayed_and_those_before_are_not(room: Room) -> None:
    room.count("A", 10, when=at(10))
    room.offer("A")
    room.move("before", "A", -3, at(10))
    room.move("after", "A", -1, at(10.01))
    room.move("returned", "A", 2, at(11))
    room.move("broken", "A", 7, at(12), quality="defective")
    room.move("elsewhere", "A", 5, at(12), location="WEST")
    assert terms(room) == {"quantity": 11, "on_hand": 11, "moved": 1, "free": 11}
    room.count("A", 11, when=at(12))
    assert terms(room) == {"quantity": 11, "on_hand": 11, "free": 11}


def test_a_movement_for_an_order_is_not_counted_beside_the_order(room: Room) -> None:
    room.count("A", 10, when=at(10))
    room.offer("A")
    room.move("m1", "A", -2, at(20), order_key="mall/1")
    assert room.shows("mall/A") == 8
    room.order("mall/1", {"A": 2}, when=at(19))  # comes later than the movement
    assert terms(room) == {"quantity": 8, "on_hand": 10, "unbooked": 2, "free": 8}
    room.count("A", 8, when=at(30))
    assert terms(room) == {"quantity": 8, "on_hand": 8, "free": 8}


def test_a_count_of_an_earlier_moment_does_not_replace_a_later_one(room: Room) -> None:
    room.count("A", 7, when=at(20))
    room.count("A", 10, when=at(10))
    room.offer("A")
    assert room.shows("mall/A") == 7


def test_a_clock_that_runs_ahead_books_nothing_early(room: Room) -> None:
    now = datetime.now(UTC)
    room.count("A", 10, when=now + timedelta(hours=9))
    room.offer("A")
    room.order("mall/1", {"A": 1}, when=now)
    room.accept("mall/1", now + timedelta(minutes=10))
    assert room.shows("mall/A") == 9


def test_a_count_without_a_time_is_as_old_as_the_system_may_be(room: Room) -> None:
    room.configure(wms=room.files["wms"] + "allocation: {counts: {books_after: 0m, age: 1h}}\n")
    room.offer("A")
    room.count("A", 10, received=at(100))
    room.order("mall/1", {"A": 1}, when=at(1))
    room.accept("mall/1", at(41))
    assert room.shows("mall/A") == 9
    room.accept("mall/1", at(40))
    room.order("mall/1", {"A": 1}, when=at(1.5))
    assert room.shows("mall/A") == 10


def test_a_count_told_again_by_an_event_has_its_own_sku_looked_at_and_no_other(room: Room) -> None:
    room.configure(wms=room.files["wms"] + "allocation: {counts: {books_after: 0m, age: 0m}}\n")
    room.offer("A", "B")
    for sku in ("A", "B"):
        room.count(sku, 10, received=at(0))
        room.order(f"mall/{sku}", {sku: 2}, when=at(1))
        room.accept(f"mall/{sku}", at(2))
    assert (room.shows("mall/A"), room.shows("mall/B")) == (8, 8)
    room.count("A", 10, received=at(5))
    assert room.turn().skus == 1
    assert (room.shows("mall/A"), room.shows("mall/B")) == (10, 8)


def test_a_count_that_repeats_itself_is_newer_all_the_same(room: Room) -> None:
    """Two units came in and two were promised: the numbers are the same, and the order stands in them now."""
    pulls = "flows:\n  stock: {pull: files, mapping: file_exchange/stock.in}"
    counts = "allocation: {counts: {books_after: 0m, age: 0m}}\n"
    room.configure(wms=room.files["wms"].replace("flows:", pulls) + counts)
    room.offer("A")
    room.count("A", 10, received=at(0))
    room.order("mall/1", {"A": 2}, when=at(1))
    room.accept("mall/1", at(2))
    assert room.shows("mall/A") == 8
    room.say("wms", "stock_position", received=at(5), flow="stock")
    assert room.shows("mall/A") == 8  # a page that is no whole listing says nothing of what it does not show
    with room.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE intake SET flow = 'stock' WHERE system = 'wms'")
        connection.exec_driver_sql(
            "UPDATE intake SET complete = true WHERE received_at = '2026-11-21T00:05:00Z'"
        )
    room.say("wms", "stock_position", received=at(6), flow="stock")
    assert room.shows("mall/A") == 8  # that listing began with the page of the first count
    with room.engine.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE intake SET complete = true WHERE received_at = '2026-11-21T00:06:00Z'"
        )
    room.say("wms", "stock_position", received=at(7), flow="stock")
    assert room.shows("mall/A") == 10


@pytest.mark.parametrize(
    ("on_hand", "allocated", "safety", "shown"), [(-3, 0, 0, 7), (2, 0, 5, 7), (2, 3, 0, 6)]
)
def test_one_location_in_want_takes_nothing_from_the_others_but_what_it_owes(
    room: Room, on_hand: int, allocated: int, safety: int, shown: int
) -> None:
    room.count("A", 7, when=at(0))
    room.count("A", on_hand, location="S01", when=at(0), allocated=allocated, safety_stock=safety)
    room.offer("A")
    assert room.shows("mall/A") == shown


def test_a_sku_that_is_no_longer_counted_shows_none(room: Room) -> None:
    room.count("A", 7, when=at(0))
    room.offer("A")
    assert room.shows("mall/A") == 7
    with room.engine.begin() as connection:
        connection.exec_driver_sql(
            "WITH gone AS (UPDATE entity SET deleted_at = now(), version = 2 WHERE kind = 'stock_position' "
            "RETURNING id) "
            "INSERT INTO change_feed (entity_id, kind, version, system, deleted) "
            "SELECT id, 'stock_position', 2, 'wms', true FROM gone"
        )
    assert room.shows("mall/A") == 0


def test_a_listing_that_is_gone_takes_its_number_along(room: Room) -> None:
    room.count("A", 7, when=at(0))
    room.offer("A")
    assert len(room.sellable()) == 2
    with room.engine.begin() as connection:
        connection.exec_driver_sql(
            "WITH gone AS (UPDATE entity SET deleted_at = now(), version = 2 WHERE key = 'mall/A' AND kind = 'listing' "
            "RETURNING id) INSERT INTO change_feed (entity_id, kind, version, system, deleted) "
            "SELECT id, 'listing', 2, 'mall', true FROM gone"
        )
    assert set(room.sellable()) == {"shop/A"}
    room.offer("A")
    assert set(room.sellable()) == {"mall/A", "shop/A"}


def test_a_number_that_goes_down_is_urgent_and_one_that_goes_up_is_not(room: Room) -> None:
    room.count("A", 7, when=at(0))
    room.offer("A", channels=("mall",))
    room.turn()
    room.order("mall/1", {"A": 1})
    room.turn()
    room.order("mall/1", {"A": 1}, cancelled=True)
    room.turn()
    with room.engine.connect() as connection:
        rows = connection.exec_driver_sql(
            "SELECT urgent FROM change_feed WHERE kind = 'sellable' ORDER BY xid, seq"
        )
        assert [row.urgent for row in rows] == [False, True, False]


def test_a_turn_with_nothing_new_writes_nothing(room: Room) -> None:
    room.count("A", 7, when=at(0))
    room.offer("A")
    assert room.turn().changed == 2
    again = room.turn()
    assert (again.skus, again.changed, again.waiting) == (0, 0, False)
    room.order("mall/1", {"B": 1})  # of a SKU nobody counts
    assert room.turn().changed == 0


def test_a_first_count_older_than_what_left_meanwhile_is_lowered_by_it(room: Room) -> None:
    room.count("B", 1, when=at(0))
    room.offer("A", channels=("mall",))
    room.order("mall/1", {"A": 1}, when=at(0))
    room.ship("mall/1", {"A": 1}, shipped_at=at(20))
    room.turn()  # nobody counts A so far: the order is done with, and must not be forgotten
    room.count("A", 6, when=at(10))
    assert room.shows("mall/A") == 5
    room.count("A", 5)
    assert room.shows("mall/A") == 5
