"""Claims that are decided together: each gets its own answer, in the order they came, and none gets another's units."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from datetime import timedelta
from typing import Any

import pytest
from room import Room, at
from sqlalchemy import event, text
from sqlalchemy.exc import OperationalError

from hub.stock import NotEnough, NotReservable, ReservationClosed, Reserved, reserve
from hub.stock.claims import Claim
from hub.stock.queues import Queues, queues_of
from hub.stock.taking import take


class Held:
    """Somebody holds the SKU's row, so that what is asked for meanwhile stands in the queue."""

    def __init__(self, room: Room, queues: Queues, sku: str = "A") -> None:
        self.room, self.queues, self.sku = room, queues, sku
        self.commits = 0
        event.listen(room.engine, "commit", self._count)

    def _count(self, _: Any) -> None:
        self.commits += 1

    def ask(self, *claims: Claim, first: Claim | None = None) -> list[Future[Reserved]]:
        """Stand in the queue while the row is held; all but the first are decided together once it is let go."""
        with self.room.engine.connect() as connection:
            connection.execute(text("SELECT FROM stock_free WHERE sku = :sku FOR UPDATE"), {"sku": self.sku})
            answers = [self.queues.ask(first or Claim(self.sku, 1, "shop", key="first"))]
            while self.queues._waiting[self.sku]:  # until its group is being decided
                threading.Event().wait(0.01)
            answers += [self.queues.ask(claim) for claim in claims]
            connection.rollback()
        for answer in answers:
            if not answer.cancelled():
                answer.exception(30)
        return answers


@pytest.fixture
def held(room: Room) -> Held:
    room.count("A", 10, when=at(0))
    room.count("B", 10, when=at(0))
    room.offer("A", "B")
    room.turn()
    return Held(room, Queues(room.engine))


def left(room: Room, sku: str = "A") -> int:
    return int(room.scalar(f"SELECT free FROM stock_free WHERE sku = '{sku}'"))


def test_who_comes_while_the_last_ones_are_decided_shares_one_commit(held: Held) -> None:
    before = held.commits
    answers = held.ask(*(Claim("A", 1, "shop", key=f"k{n}") for n in range(6)))
    assert [answer.result().key for answer in answers] == ["first", *(f"k{n}" for n in range(6))]
    assert held.commits - before == 2  # the first one, and all others
    assert left(held.room) == 3
    assert held.room.scalar("SELECT sum(quantity) FROM stock_reservation") == 7
    assert held.queues._waiting == {}


def test_the_last_units_go_to_who_came_first_and_a_smaller_wish_may_still_fit(held: Held) -> None:
    wishes = [
        Claim("A", units, channel) for units, channel in ((5, "shop"), (6, "mall"), (3, "mall"), (2, "shop"))
    ]
    first, five, six, three, two = held.ask(*wishes)
    assert first.result().quantity == 1
    assert five.result().quantity == 5
    with pytest.raises(NotEnough) as refused:
        six.result()
    assert refused.value.left == 4
    assert three.result().quantity == 3
    with pytest.raises(NotEnough) as refused:
        two.result()
    assert refused.value.left == 1
    assert left(held.room) == 1


def test_one_key_in_a_group_takes_once_and_names_one_thing(held: Held) -> None:
    same = [Claim("A", 2, "shop", key="cart") for _ in range(3)]
    again, other = Claim("A", 1, "shop", key="first"), Claim("A", 3, "shop", key="cart")
    _, *rest = held.ask(*same, again, other)
    assert {answer.result() for answer in rest[:3]} == {rest[0].result()}
    assert rest[3].result().key == "first"
    with pytest.raises(ReservationClosed):
        rest[4].result()
    assert left(held.room) == 7


def test_refusals_of_every_sort_stand_beside_what_is_given(held: Held) -> None:
    held.room.allocate("shop", "{policy: shared, at_most: 4}")
    held.room.turn()
    answers = held.ask(
        Claim("A", 1, "shop", location="NOWHERE"), Claim("A", 5, "shop"), Claim("A", 4, "shop"), Claim("A", 5, "mall"),
    )  # fmt: skip
    assert [type(answer.exception()) for answer in answers] == [
        type(None), NotReservable, NotEnough, type(None), type(None),
    ]  # fmt: skip
    assert left(held.room) == 0


def test_what_is_wrong_with_one_fails_none_of_the_others(held: Held) -> None:
    good, bad, more = held.ask(
        Claim("A", 1, "shop"), Claim("A", 1, "shop", key="nul\0"), Claim("A", 2, "mall")
    )[1:]
    assert (good.result().quantity, more.result().quantity) == (1, 2)
    assert bad.exception() is not None
    assert left(held.room) == 6


def test_who_has_hung_up_before_is_given_nothing(held: Held) -> None:
    queue = held.queues
    with held.room.engine.connect() as connection:
        connection.execute(text("SELECT FROM stock_free WHERE sku = 'A' FOR UPDATE"))
        first = queue.ask(Claim("A", 1, "shop"))
        while queue._waiting["A"]:
            threading.Event().wait(0.01)
        gone, stays = queue.ask(Claim("A", 4, "shop", key="gone")), queue.ask(Claim("A", 2, "shop"))
        assert gone.cancel()
        assert not first.cancel()  # it is being decided: it will be held, under its key
        connection.rollback()
    assert (first.result(30).quantity, stays.result(30).quantity) == (1, 2)
    assert left(held.room) == 7
    assert held.room.scalar("SELECT count(*) FROM stock_reservation WHERE key = 'gone'") == 0


def test_queues_of_other_skus_do_not_wait(held: Held) -> None:
    with held.room.engine.connect() as connection:
        connection.execute(text("SELECT FROM stock_free WHERE sku = 'A' FOR UPDATE"))
        waits = held.queues.ask(Claim("A", 1, "shop"))
        assert held.queues.ask(Claim("B", 10, "shop")).result(30).quantity == 10
        assert not waits.done()
        connection.rollback()
    assert waits.result(30).quantity == 1


def test_a_key_another_transaction_uses_at_this_moment_is_waited_for(held: Held) -> None:
    """The same key, for two SKUs: their rows do not keep the two apart, the key does."""
    with held.room.engine.connect() as connection, connection.begin():
        (given,) = take(connection, [Claim("B", 1, "shop", key="both")])
        waits, good = (held.queues.ask(Claim("A", 1, "shop", key=key)) for key in ("both", "good"))
        assert not waits.done()
    assert isinstance(given, Reserved)
    with pytest.raises(ReservationClosed):
        waits.result(30)
    assert good.result(30).key == "good"
    assert (left(held.room, "A"), left(held.room, "B")) == (9, 9)


def test_while_the_database_is_away_each_is_told_so_and_the_queue_goes_on(
    held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any) -> None:
        raise OperationalError("connect", {}, Exception("away"))

    with monkeypatch.context() as patched:
        patched.setattr("hub.stock.queues.take", away)
        for answer in [held.queues.ask(Claim("A", 1, "shop")) for _ in range(3)]:
            assert isinstance(answer.exception(30), OperationalError)
    assert held.queues.take(Claim("A", 1, "shop")).quantity == 1
    assert left(held.room) == 9


def test_one_process_has_one_set_of_queues_for_each_database(room: Room) -> None:
    assert queues_of(room.engine) is queues_of(room.engine)


def test_many_threads_share_groups_and_oversell_nothing(held: Held) -> None:
    given, refused = [], []
    gate = threading.Barrier(16)

    def client(number: int) -> None:
        gate.wait()
        for turn in range(4):
            try:
                given.append(
                    reserve(held.room.engine, sku="B", quantity=1 + turn % 2, channel="shop", ttl=timedelta(hours=1),
                            key=f"{number % 8}-{turn}")
                )  # fmt: skip
            except NotEnough as error:
                refused.append(error.left)

    threads = [threading.Thread(target=client, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(given) + len(refused) == 64
    kept = {one.key: one.quantity for one in given}
    assert sum(kept.values()) == held.room.scalar(
        "SELECT sum(quantity) FROM stock_reservation WHERE sku = 'B'"
    )
    assert left(held.room, "B") == 10 - sum(kept.values()) == 0
