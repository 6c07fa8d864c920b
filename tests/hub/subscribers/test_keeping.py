"""Replay, erasure and retention."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from postroom import QUICK, Desk, Reply, sellable

from hub.subscribers import forget, tidy
from hub.subscribers.answers import Manner
from hub.subscribers.messages import dead_messages, list_attempts, replay_event, replay_failed, replay_from
from hub.subscribers.register import SubscriberFault, find

AT_ONCE = Manner(
    first=0.01, longest=0.02, longest_all=0.02, timeout=10.0, turn=5.0, limit=timedelta(0), least=1
)
ORDER = {"key": "rakuten/1", "channel": "rakuten", "buyer": {"name": "山田 花子"}}


def kill_one(desk: Desk, *quantities: int) -> str:
    """A message of A that was given up; its `webhook-id`."""
    desk.subscribe("ear", content="thin")
    desk.sell("A", *quantities)
    desk.receiver.answer = lambda call: Reply(400 if call.data["version"] == 1 else 200)
    desk.send_all("ear", AT_ONCE)
    assert desk.states()[0] == "dead"
    desk.receiver.answer = lambda call: Reply()
    dead_id = desk.receiver.calls[0].event_id
    desk.receiver.calls.clear()
    return dead_id


def test_what_was_given_up_is_listed_and_sent_again_under_its_id(desk: Desk) -> None:
    event = kill_one(desk, 1)
    with desk.hub.engine.begin() as connection:
        (dead,) = dead_messages(connection)
        assert (dead.subscriber, dead.event_id, dead.kind, dead.key, dead.status) == (
            "ear", event, "sellable", "rakuten/A", 400,
        )  # fmt: skip
        assert dead_messages(connection, "somebody") == []
        found = replay_failed(connection, find(connection, "ear"))
    assert (found.waiting, found.overtaken) == (1, 0)
    desk.send_all("ear")
    assert [call.event_id for call in desk.receiver.calls] == [event]
    assert desk.states() == ["accepted"]


def test_what_was_given_up_is_not_sent_again_after_something_newer(desk: Desk) -> None:
    kill_one(desk, 1, 2)
    with desk.hub.engine.begin() as connection:
        found = replay_failed(connection, find(connection, "ear"))
        assert (found.waiting, found.overtaken) == (0, 1)
        assert dead_messages(connection) == []
    assert desk.send_all("ear").accepted == 0
    assert desk.states() == ["overtaken", "accepted"]


def test_one_message_is_sent_again_as_it_was_whatever_became_of_it(desk: Desk) -> None:
    desk.subscribe()
    desk.sell("A", 1)
    desk.send()
    desk.sell("A", 2)
    desk.send()
    first = desk.receiver.calls[0]
    with desk.hub.engine.begin() as connection:
        told = find(connection, "erp")
        assert replay_event(connection, told, first.event_id).waiting == 1
        with pytest.raises(SubscriberFault, match="no message"):
            replay_event(connection, told, "msg_unknown")
    desk.send_all()
    again = desk.receiver.calls[-1]
    assert (again.event_id, again.body) == (first.event_id, first.body)
    with desk.hub.engine.connect() as connection:
        assert [one.attempt for one in list_attempts(connection, told, event_id=first.event_id)] == [2, 1]


def test_everything_since_a_moment_is_told_as_it_is_now_once_each(desk: Desk) -> None:
    desk.sell("OLD", 1)
    desk.run("UPDATE change_feed SET at = now() - interval '2 days'")
    desk.sell("A", 1, 2)
    desk.sell("B", 1)
    desk.change("sellable", sellable("B", 1), deleted=True)
    desk.change("product", ("P", {"key": "P"}))
    desk.subscribe()  # hears of none of it by itself
    assert desk.send().messages == 0
    with desk.hub.engine.begin() as connection:
        told = find(connection, "erp")
        assert replay_from(connection, told, datetime.now(UTC) - timedelta(days=1)).waiting == 2
        assert (
            replay_from(connection, told, datetime.now(UTC) - timedelta(days=1)).waiting == 0
        )  # they wait already
    desk.send_all()
    assert sorted((call.data["key"], call.data["version"], call.data["deleted"]) for call in desk.receiver.calls) == [
        ("rakuten/A", 2, False), ("rakuten/B", 2, True),
    ]  # fmt: skip
    ids = {call.event_id for call in desk.receiver.calls}
    with desk.hub.engine.begin() as connection:
        assert replay_from(connection, told, datetime(2000, 1, 1, tzinfo=UTC)).waiting == 3
    desk.send_all()
    assert len({call.event_id for call in desk.receiver.calls} - ids) == 3  # new messages, under new ids


def test_everything_since_a_moment_keeps_to_the_channels(desk: Desk) -> None:
    desk.sell("A", 1, channel="rakuten")
    desk.sell("A", 1, channel="yahoo")
    desk.subscribe("ear", content="thin", channels=["yahoo"])
    with desk.hub.engine.begin() as connection:
        found = replay_from(connection, find(connection, "ear"), datetime.now(UTC) - timedelta(days=1))
    assert found.waiting == 1
    desk.send_all("ear")
    assert desk.receiver.told() == [("yahoo/A", 1)]


# ---------------------------------------------------------------- erasure


def entity_ids(desk: Desk) -> list[int]:
    return [row.id for row in desk.rows("SELECT id FROM entity")]


def test_forgetting_removes_contents_and_answers_and_ends_what_waits(desk: Desk) -> None:
    desk.subscribe("erp", "order", content="full")
    desk.change("order", ("rakuten/1", ORDER))
    desk.send()
    accepted = desk.receiver.calls[0].event_id
    desk.change("order", ("rakuten/1", {**ORDER, "note": "2"}))
    desk.receiver.answer = lambda call: Reply(500, body=call.body)
    desk.send(manner=Manner(first=60))
    assert [row.kept for row in desk.rows("SELECT content IS NOT NULL AS kept FROM subscriber_message")] == [
        True,
        True,
    ]
    with desk.hub.engine.begin() as connection:
        assert forget(connection, entity_ids(desk)) == 2
        assert forget(connection, entity_ids(desk)) == 0
    assert desk.states() == ["accepted", "forgotten"]
    kept = desk.rows("SELECT m.content, a.answer, a.error FROM subscriber_message m JOIN subscriber_attempt a "
                     "ON a.message_id = m.id")  # fmt: skip
    assert {value for row in kept for value in row} == {None}
    with desk.hub.engine.begin() as connection, pytest.raises(SubscriberFault, match="erased"):
        replay_event(connection, find(connection, "erp"), accepted)
    desk.run("UPDATE subscriber SET not_before = NULL")
    before = len(desk.receiver.calls)
    assert desk.send_all().accepted == 0
    assert len(desk.receiver.calls) == before


def test_forgetting_leaves_what_holds_nothing(desk: Desk) -> None:
    desk.subscribe("erp", "order,sellable")
    desk.change("order", ("rakuten/1", ORDER))
    desk.sell("A", 1)
    desk.receiver.answer = lambda call: Reply(503)
    desk.send(manner=Manner(first=60))
    ids = [row.id for row in desk.rows("SELECT id FROM entity WHERE kind = 'order'")]
    with desk.hub.engine.begin() as connection:
        assert forget(connection, ids) == 0
    assert desk.states() == ["waiting", "waiting"]
    # a person who was erased is told of as deleted; the waiting message says what is left
    desk.run("UPDATE entity SET key = 'rakuten/erased' WHERE kind = 'order'")
    desk.receiver.answer = lambda call: Reply()
    desk.run("UPDATE subscriber SET not_before = NULL")
    desk.run("UPDATE subscriber_message SET next_at = now()")
    desk.send_all()
    assert "rakuten/erased" in [call.data["key"] for call in desk.receiver.calls]


def test_a_message_whose_entity_is_gone_from_the_store_is_dropped(desk: Desk) -> None:
    desk.subscribe()
    desk.sell("A", 1)
    desk.receiver.answer = lambda call: Reply(503)
    desk.send()
    desk.run("DELETE FROM entity")
    desk.receiver.answer = lambda call: Reply()
    assert desk.send_all().accepted == 0
    assert desk.states() == ["forgotten"]


# ---------------------------------------------------------------- retention


def test_tidying_removes_what_came_to_its_end_and_nothing_that_waits(desk: Desk) -> None:
    kill_one(desk, 1, 2)
    desk.sell("A", 3)
    desk.receiver.answer = lambda call: Reply(503)
    desk.send("ear", Manner(first=60))
    assert desk.states() == ["dead", "accepted", "waiting"]
    with desk.hub.engine.begin() as connection:
        assert tidy(connection, older_than=datetime.now(UTC) - timedelta(days=90)) == 0
        assert tidy(connection, older_than=datetime.now(UTC) + timedelta(days=1)) == 2
    assert desk.states() == ["waiting"]
    (row,) = desk.rows("SELECT count(*) AS n FROM subscriber_attempt")
    assert row.n == 1
    assert QUICK.limit == timedelta(days=3)
