"""Reservations held against a model: what is taken, confirmed, ordered, released and run out of, in any sequence."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from room import Room, at

from hub.stock import NotEnough, ReservationClosed, confirm, release, reserve

_numbers = itertools.count(1)
_actions = st.lists(
    st.tuples(
        st.sampled_from(["take", "take", "take", "confirm", "order", "release", "expire", "receive", "turn"]),
        st.integers(1, 4),
        st.sampled_from(["mall", "shop"]),
    ),
    min_size=3,
    max_size=16,
)


@dataclass
class Books:
    """What must be so: units that lie there, and who has a claim on them."""

    stock: int = 6
    standing: dict[str, int] = field(default_factory=dict)
    confirmed: dict[str, int] = field(default_factory=dict)
    ordered: int = 0

    @property
    def left(self) -> int:
        return self.stock - sum(self.standing.values()) - sum(self.confirmed.values()) - self.ordered


@pytest.mark.timeout(300)
@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(actions=_actions)
def test_a_reservation_is_given_exactly_when_there_is_room(
    lasting_room: Room, actions: list[tuple[str, int, str]]
) -> None:
    room, sku, books = lasting_room, f"R{next(_numbers)}", Books()
    room.count(sku, books.stock, when=at(0))
    room.offer(sku)
    room.turn()
    for number, (what, size, channel) in enumerate(actions, start=1):
        key = f"{sku}-{number}"
        first = next(iter(books.standing), None)
        if what in ("take", "expire"):
            ttl = timedelta(hours=1) if what == "take" else timedelta(microseconds=1)
            if size <= books.left:
                reserve(
                    room.engine, sku=sku, quantity=size, channel=channel, key=key, ttl=ttl, refresh=room.turn
                )
                if what == "take":
                    books.standing[key] = size
            else:
                with pytest.raises(NotEnough) as refused:
                    reserve(room.engine, sku=sku, quantity=size, channel=channel, key=key, refresh=room.turn)
                assert refused.value.left == books.left
        elif what == "confirm" and first is not None:
            with room.engine.begin() as connection:
                confirm(connection, first, f"{channel}/{first}")
            books.confirmed[f"{channel}/{first}"] = books.standing.pop(first)
        elif what == "order" and books.confirmed:
            order, units = books.confirmed.popitem()
            room.order(order, {sku: units}, when=at(number))
            books.ordered += units
        elif what == "release":
            with room.engine.begin() as connection:
                if first is None:
                    with pytest.raises(ReservationClosed):
                        release(connection, key)
                else:
                    release(connection, first)
                    del books.standing[first]
        elif what == "receive":
            books.stock += size
            room.count(sku, books.stock, when=at(number))
            room.turn()
        elif what == "turn":
            room.turn()
    assert books.left >= 0
    offers = room.sellable()
    assert [offers[f"{channel}/{sku}"]["quantity"] for channel in ("mall", "shop")] == [books.left] * 2
