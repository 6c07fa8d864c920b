"""Reservations: never more than is there, for as long as asked, and handed over to the order."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from room import Room, at
from sqlalchemy import create_engine, text

from hub.stock import NotEnough, NotReservable, ReservationClosed, confirm, release, reserve, reserved
from hub.stock.reservations import tidy


def take(room: Room, quantity: int = 1, *, sku: str = "A", channel: str = "shop", **more: Any) -> str:
    return reserve(room.engine, sku=sku, quantity=quantity, channel=channel, **more).key


@pytest.fixture
def stocked(room: Room) -> Room:
    room.count("A", 5, when=at(0))
    room.offer("A")
    room.turn()
    return room


def test_a_reservation_is_gone_from_every_channel_until_it_is_released(stocked: Room) -> None:
    key = take(stocked, 2)
    assert stocked.sellable()["mall/A"] == {
        "key": "mall/A", "channel": "mall", "sku": "A", "quantity": 3, "on_hand": 5, "reserved": 2, "free": 3,
    }  # fmt: skip
    with stocked.engine.begin() as connection:
        assert release(connection, key).state == "released"
    assert stocked.shows("mall/A") == 5
    with stocked.engine.begin() as connection, pytest.raises(ReservationClosed):
        release(connection, key)


def test_what_is_not_there_is_refused_and_says_how_many_are(stocked: Room) -> None:
    take(stocked, 3)
    with pytest.raises(NotEnough) as refused:
        take(stocked, 3)
    assert refused.value.left == 2
    assert "2" in refused.value.ja
    take(stocked, 2)
    with pytest.raises(NotEnough):
        take(stocked, 1)


def test_a_sku_nobody_counts_cannot_be_reserved(stocked: Room) -> None:
    with pytest.raises(NotReservable):
        take(stocked, sku="B")
    with pytest.raises(ValueError, match="quantity"):
        take(stocked, 0)
    with pytest.raises(ValueError, match="ttl"):
        take(stocked, ttl=timedelta(days=31))


def test_the_same_key_takes_once_and_names_one_thing(stocked: Room) -> None:
    assert take(stocked, 2, key="cart-1") == take(stocked, 2, key="cart-1") == "cart-1"
    with pytest.raises(ReservationClosed):
        take(stocked, 1, key="cart-1")
    assert stocked.shows("mall/A") == 3


def test_a_reservation_ends_by_itself(stocked: Room) -> None:
    key = take(stocked, 5, ttl=timedelta(microseconds=1))
    with stocked.engine.connect() as connection:
        assert reserved(connection, key).state == "expired"
    with stocked.engine.begin() as connection, pytest.raises(ReservationClosed):
        confirm(connection, key, "shop/1")
    with pytest.raises(NotEnough):
        take(stocked, 1)
    assert take(stocked, 1, refresh=stocked.turn)  # a turn gives back what has run out
    assert stocked.shows("mall/A") == 4


def test_a_confirmed_reservation_stands_until_its_order_comes_and_then_the_order_counts(
    stocked: Room,
) -> None:
    key = take(stocked, 2, ttl=timedelta(seconds=5))
    with stocked.engine.begin() as connection:
        assert confirm(connection, key, "shop/1").expires_at is None
        assert confirm(connection, key, "shop/1").state == "confirmed"
    assert stocked.sellable()["mall/A"]["reserved"] == 2
    stocked.order("shop/1", {"A": 2})
    found = stocked.sellable()["mall/A"]
    assert (found["quantity"], found.get("reserved"), found["unbooked"]) == (3, None, 2)
    with stocked.engine.begin() as connection:
        assert reserved(connection, key).state == "ordered"
        with pytest.raises(ReservationClosed):
            release(connection, key)
    assert stocked.shows("mall/A") == 3


def test_what_has_ended_is_forgotten_in_time(stocked: Room) -> None:
    for number, key in enumerate(("gone", "kept")):
        take(stocked, 1, key=key)
        if number == 0:
            with stocked.engine.begin() as connection:
                release(connection, key)
    with stocked.engine.begin() as connection:
        assert tidy(connection, older_than=at(0)) == 0
        assert tidy(connection, older_than=datetime.now(UTC) + timedelta(minutes=1)) == 1
        assert reserved(connection, "kept").state == "open"


def test_a_channels_own_rule_holds_for_reservations_too(stocked: Room) -> None:
    stocked.allocate("shop", "{policy: share, share: 50%, buffer: 1, skus: {B: {stop: true}}}")
    stocked.count("B", 5, when=at(0))
    stocked.turn()
    with pytest.raises(NotEnough) as refused:
        take(stocked, 3)
    assert refused.value.left == 2 == stocked.shows("shop/A")
    with pytest.raises(NotEnough):
        take(stocked, 1, sku="B")
    take(stocked, 5, channel="mall")


def test_a_reservation_another_system_keeps_counts_as_well(stocked: Room) -> None:
    stocked.say("wms", "reservation", {"key": "r", "sku": "A", "quantity": 4, "channel": "mall"})
    assert stocked.shows("shop/A") == 1
    stocked.say(
        "wms", "reservation", {"key": "r", "sku": "A", "quantity": 4, "channel": "mall", "state": "done"}
    )
    assert stocked.shows("shop/A") == 5


def test_parts_are_reserved_for_a_kit(room: Room) -> None:
    kit = [{"sku": "P", "quantity": 2}, {"sku": "Q", "quantity": 1}]
    room.say(
        "wms",
        "product",
        {"key": "SET", "code": "SET", "name": "SET", "variants": [{"sku": "SET", "kit": kit}]},
    )
    room.count("P", 5, when=at(0))
    room.count("Q", 9, when=at(0))
    room.offer("SET", "P", "Q")
    room.turn()
    take(room, 2, sku="SET")
    with pytest.raises(NotEnough):
        take(room, 1, sku="SET")
    take(room, 1, sku="P")
    assert {key: each["quantity"] for key, each in room.sellable().items() if key.startswith("mall")} == {
        "mall/P": 0, "mall/Q": 7, "mall/SET": 0,
    }  # fmt: skip


def test_32_clients_never_take_more_than_there_is(stocked: Room) -> None:
    """Threads with connections of their own, a turn beside them, and units that are given back."""
    units, clients, tries = 60, 32, 12
    stocked.count("A", units, when=at(1))
    stocked.turn()
    engine = create_engine(stocked.engine.url, pool_size=clients + 2)
    taken: list[str] = []
    refused: list[int] = []
    start, done = threading.Barrier(clients + 1), threading.Event()

    def client(number: int) -> None:
        channel = "mall" if number % 2 else "shop"
        start.wait()
        for attempt in range(tries):
            try:
                units = 1 + (number + attempt) % 3
                taken.append(reserve(engine, sku="A", quantity=units, channel=channel).key)
            except NotEnough as error:
                refused.append(error.left)

    def turns() -> None:
        start.wait()
        while not done.wait(0.01):
            stocked.turn()

    with ThreadPoolExecutor(clients + 1) as threads:
        turning = threads.submit(turns)
        working = [threads.submit(client, number) for number in range(clients)]
        for each in working:
            each.result()
        done.set()
        turning.result()
    engine.dispose()
    assert len(taken) + len(refused) == clients * tries
    open_units = stocked.scalar("SELECT sum(quantity) FROM stock_reservation WHERE state = 'open'")
    assert open_units == units  # every unit found its taker, and none found two
    assert stocked.scalar("SELECT min(free) FROM stock_free") == 0
    assert stocked.shows("mall/A") == 0


def test_two_callers_with_one_key_take_once(stocked: Room) -> None:
    start = threading.Barrier(8)

    def client() -> str:
        start.wait()
        return take(stocked, 2, key="same")

    with ThreadPoolExecutor(8) as threads:
        keys = [each.result() for each in [threads.submit(client) for _ in range(8)]]
    assert keys == ["same"] * 8
    assert stocked.scalar("SELECT free FROM stock_free WHERE sku = 'A'") == 3
    assert stocked.shows("mall/A") == 3


def test_a_long_transaction_over_one_sku_keeps_nobody_from_another(stocked: Room) -> None:
    stocked.count("B", 5, when=at(0))
    stocked.turn()
    with stocked.engine.begin() as connection:
        connection.execute(text("SELECT FROM stock_free WHERE sku = 'A' FOR UPDATE"))
        take(stocked, 5, sku="B")
    assert stocked.scalar("SELECT free FROM stock_free WHERE sku = 'B'") == 0
