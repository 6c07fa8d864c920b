"""Messages to a real receiver: what they say, in which order, and what becomes of failures."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from postroom import WRITE, Call, Desk, Receiver, Reply, sellable
from sqlalchemy import text

from connectors.transport.guarded import Guard
from connectors.webhooks import standard_webhooks
from hub.engine import FlowBusy
from hub.feed import enter_feed
from hub.subscribers import messages, sender
from hub.subscribers.answers import Manner
from hub.subscribers.messages import list_attempts
from hub.subscribers.register import change, find, find_by_id, pause, remove, resume
from hub.subscribers.standing import standings
from hub.subscribers.wake import wake_subscribers

ORDER = {"key": "rakuten/1", "channel": "rakuten", "buyer": {"name": "山田 花子"}}


def impatient() -> Manner:
    """Gives a message up as soon as its time is over, which is now."""
    return Manner(
        first=0.01, longest=0.02, longest_all=0.02, timeout=10.0, turn=5.0, limit=timedelta(0), least=1
    )


# ---------------------------------------------------------------- what is told


def test_a_change_is_told_once_with_its_content_and_signed(desk: Desk) -> None:
    _, secret = desk.subscribe()
    desk.sell("A", 5)
    sent = desk.send()
    assert (sent.messages, sent.accepted, sent.failed, sent.next_in) == (1, 1, 0, None)
    (call,) = desk.receiver.calls
    assert standard_webhooks(call.headers, call.body, [secret]) == call.event_id
    assert call.path == "/hooks"
    assert call.headers["content-type"] == "application/json"
    assert call.said["type"] == "sellable.changed"
    assert call.data["content"] == {"key": "rakuten/A", "channel": "rakuten", "sku": "A", "quantity": 5}
    assert {name: call.data[name] for name in ("kind", "key", "version", "deleted", "link")} == {
        "kind": "sellable", "key": "rakuten/A", "version": 1, "deleted": False, "link": "/api/v1/sellables/rakuten/A",
    }  # fmt: skip
    assert datetime.fromisoformat(call.data["changed_at"]).tzinfo == UTC
    assert desk.send().accepted == 0
    assert desk.states() == ["accepted"]


def test_kinds_that_may_hold_personal_data_are_thin_unless_full_is_asked_for(desk: Desk) -> None:
    desk.subscribe("careful", "order,sellable")
    desk.subscribe("erp", "order", content="full")
    desk.subscribe("ear", "sellable", content="thin")
    desk.change("order", ("rakuten/1", ORDER))
    desk.sell("A", 1)
    for name in ("careful", "erp", "ear"):
        desk.send(name)
    # two of one turn are under way at once
    careful, plain, full, thin = (
        sorted(desk.receiver.calls[:2], key=lambda call: str(call.data["kind"])) + desk.receiver.calls[2:]
    )
    assert "content" not in careful.data
    assert "山田".encode() not in careful.body
    assert plain.data["content"]["quantity"] == 1
    assert full.data["content"] == ORDER
    assert "content" not in thin.data
    # nothing of a thin message's entity is kept
    assert [row.content for row in desk.rows("SELECT content FROM subscriber_message WHERE NOT whole")] == [
        None,
        None,
    ]


def test_only_kinds_and_channels_that_were_asked_for(desk: Desk) -> None:
    desk.subscribe("erp", "sellable,shipment,product,customer", channels=["rakuten"])
    for channel in ("rakuten", "yahoo"):
        desk.sell("A", 1, channel=channel)
        desk.change("shipment", (f"{channel}/1#1", {"order_key": f"{channel}/1"}))
        desk.change("customer", (f"{channel}/9", {"key": f"{channel}/9"}))
        desk.change("order", (f"{channel}/1", {"channel": channel}))
    desk.change("product", ("P", {"key": "P"}))
    desk.send()
    told = {(call.data["kind"], call.data["key"]) for call in desk.receiver.calls}
    # what belongs to no channel concerns all
    assert told == {
        ("sellable", "rakuten/A"),
        ("shipment", "rakuten/1#1"),
        ("customer", "rakuten/9"),
        ("product", "P"),
    }


def test_a_deleted_entity_is_told_without_its_content(desk: Desk) -> None:
    desk.subscribe()
    desk.sell("A", 5)
    desk.send()
    desk.change("sellable", sellable("A", 5), deleted=True)
    desk.send()
    last = desk.receiver.calls[-1]
    assert (last.said["type"], last.data["deleted"], last.data["version"]) == ("sellable.deleted", True, 2)
    assert "content" not in last.data


def test_thin_messages_tell_each_version_whole_ones_the_newest(desk: Desk) -> None:
    desk.subscribe("ear", content="thin")
    desk.subscribe("erp")
    desk.sell("A", 1, 2, 3)
    desk.sell("B", 1)
    desk.send("ear")
    assert [one for one in desk.receiver.told() if one[0] == "rakuten/A"] == [
        ("rakuten/A", n) for n in (1, 2, 3)
    ]
    assert ("rakuten/B", 1) in desk.receiver.told()
    desk.receiver.calls.clear()
    desk.send("erp")
    assert sorted(desk.receiver.told()) == [("rakuten/A", 3), ("rakuten/B", 1)]


def test_what_was_there_before_the_subscriber_is_not_told(desk: Desk) -> None:
    desk.sell("A", 1)
    desk.subscribe()
    assert desk.send().messages == 0
    desk.sell("A", 2)
    desk.send()
    assert desk.receiver.told() == [("rakuten/A", 2)]


def test_a_transaction_that_commits_late_is_not_passed_over(desk: Desk) -> None:
    desk.subscribe()
    with desk.hub.engine.connect() as late:
        with late.begin():
            enter_feed(late)
            late.execute(
                WRITE,
                {
                    "kind": "sellable",
                    "key": "rakuten/L",
                    "content": "{}",
                    "hash": b"0" * 16,
                    "deleted": False,
                },
            )
            desk.sell("A", 1)  # began later, is there first
            sent = desk.send()
            assert desk.receiver.told() == []
            assert sent.next_in is not None
            assert sent.next_in <= 0.2
        desk.send_all()
    assert sorted(desk.receiver.told()) == [("rakuten/A", 1), ("rakuten/L", 1)]


def test_versions_only_go_upwards_also_where_transactions_overlapped(desk: Desk) -> None:
    desk.subscribe("ear", content="thin")
    desk.sell("A", 1, 2, 3)
    # the feed of two transactions that overlapped: the later version has the lower number
    desk.run("UPDATE change_feed SET version = 5 - version")
    desk.send("ear")
    assert [version for _, version in desk.receiver.told()] == [2, 3, 4]


# ---------------------------------------------------------------- failures


def test_a_message_that_came_due_behind_the_look_is_not_left_lying(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.subscribe()
    desk.sell("A", 5)
    with monkeypatch.context() as patch:
        patch.setattr(
            sender, "_DUE", text("SELECT m.id FROM subscriber_message AS m WHERE m.id < :id - :limit")
        )
        assert desk.send().next_in is not None
    assert desk.send_all().accepted == 1


def test_a_retry_has_the_same_id_and_body_and_a_new_signature(desk: Desk) -> None:
    _, secret = desk.subscribe()
    desk.sell("A", 5)
    answers = [Reply(204, body=b""), Reply(400), Reply(500)]
    desk.receiver.answer = lambda call: answers.pop() if answers else Reply()
    desk.send()
    desk.sell("A", 6)  # newer: waits behind the one under way
    assert desk.send_all().accepted >= 1
    first, second, third, newer = desk.receiver.calls
    assert first.event_id == second.event_id == third.event_id != newer.event_id
    assert first.body == second.body == third.body
    for call in desk.receiver.calls:
        standard_webhooks(call.headers, call.body, [secret])
    assert [(call.data["version"], call.data["content"]["quantity"]) for call in desk.receiver.calls] == [
        (1, 5), (1, 5), (1, 5), (2, 6),
    ]  # fmt: skip


def test_versions_overtaken_behind_a_failing_message_are_sent_as_one(desk: Desk) -> None:
    desk.subscribe()
    desk.receiver.answer = lambda call: Reply(500)
    desk.sell("A", 1)
    desk.send()
    for quantity in range(2, 12):
        desk.sell("A", quantity)
        desk.send(manner=Manner(turn=0.2))
    desk.receiver.answer = lambda call: Reply()
    with desk.hub.engine.begin() as connection:
        resume(connection, "erp")
    desk.send_all()
    assert [version for _, version in desk.receiver.told()][-2:] == [1, 11]


@pytest.mark.parametrize(
    ("reply", "status"),
    [
        (Reply(500), 500), (Reply(404), 404), (Reply(302, {"location": "http://127.0.0.1:1/"}), 302),
        (Reply(cut="before"), None), (Reply(cut="head"), None),
    ],
    ids=["500", "404", "302", "cut before the answer", "cut in its head"],
)  # fmt: skip
def test_what_is_not_accepted_is_tried_again(desk: Desk, reply: Reply, status: int | None) -> None:
    told, _ = desk.subscribe()
    desk.sell("A", 5)
    answers = [reply]
    desk.receiver.answer = lambda call: answers.pop() if answers else Reply()
    total = desk.send_all()
    assert (total.failed, total.accepted) == (1, 1)
    with desk.hub.engine.connect() as connection:
        second, first = list_attempts(connection, told)
    assert (first.attempt, first.status, second.attempt, second.status) == (1, status, 2, 200)
    assert (first.error is None) == (status is not None)
    assert first.finished_at is not None
    assert len(desk.receiver.calls) == 2


def test_what_counts_is_the_status_not_the_body(desk: Desk) -> None:
    desk.subscribe()
    desk.sell("A", 5)
    desk.receiver.answer = lambda call: Reply(200, cut="body", body=b"x" * 100_000)
    sent = desk.send()
    assert (sent.accepted, sent.failed) == (1, 0)
    assert desk.send().accepted == 0


@pytest.mark.parametrize("reply", [Reply(wait=1.2), Reply(drip=0.05)], ids=["silent", "drips"])
def test_a_receiver_that_takes_too_long_is_left(desk: Desk, reply: Reply) -> None:
    desk.subscribe()
    desk.sell("A", 5)
    desk.receiver.answer = lambda call: reply
    started = time.monotonic()
    sent = desk.send(manner=Manner(first=30, timeout=0.4, turn=5.0))
    assert sent.failed == 1
    assert time.monotonic() - started < 2
    (attempt,) = desk.rows("SELECT status, error, ms FROM subscriber_attempt")
    assert attempt.status is None
    assert "Timeout" in attempt.error
    assert 300 <= attempt.ms < 1500


def test_nobody_listens(desk: Desk) -> None:
    with Receiver() as gone:
        url = gone.url
    desk.subscribe(url=url)
    desk.sell("A", 5)
    sent = desk.send(manner=Manner())
    assert sent.failed == 1
    assert sent.next_in is not None
    (attempt,) = desk.rows("SELECT error FROM subscriber_attempt")
    assert "ConnectError" in attempt.error


def test_a_bug_in_sending_is_a_failed_attempt_like_any_other(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(host: str, port: int) -> list[str]:
        raise RuntimeError("no such thing")

    desk.subscribe()
    desk.sell("A", 5)
    monkeypatch.setattr(sender, "guard", lambda: Guard(resolve=broken))
    assert desk.send(manner=Manner()).failed == 1
    (attempt,) = desk.rows("SELECT error FROM subscriber_attempt")
    assert "RuntimeError" in attempt.error
    assert desk.states() == ["waiting"]


@pytest.mark.parametrize("status", [429, 503])
def test_a_receiver_that_asks_for_a_pause_gets_it(desk: Desk, status: int) -> None:
    desk.subscribe()
    desk.sell("A", 5)
    desk.sell("B", 5)
    desk.receiver.answer = lambda call: Reply(status, {"retry-after": "120"})
    sent = desk.send()
    assert sent.next_in is not None
    assert 100 < sent.next_in <= 120
    before = len(desk.receiver.calls)
    assert desk.send().failed == 0  # holds for all messages of the subscriber
    assert len(desk.receiver.calls) == before


def test_410_ends_the_subscription_until_a_person_resumes_it(desk: Desk) -> None:
    desk.subscribe()
    desk.sell("A", 5)
    desk.receiver.answer = lambda call: Reply(410)
    assert desk.send().next_in is None
    with desk.hub.engine.connect() as connection:
        (standing,) = standings(connection)
    assert standing.state == "paused"
    assert "410" in (standing.reason or "")
    assert standing.needs_a_person
    desk.receiver.answer = lambda call: Reply()
    desk.sell("B", 1)
    assert desk.send().accepted == 0
    with desk.hub.engine.begin() as connection:
        resume(connection, "erp")
    assert desk.send_all().accepted == 2


def test_order_is_kept_of_each_entity_while_others_go_on(desk: Desk) -> None:
    desk.subscribe("ear", content="thin")
    desk.sell("A", 1, 2, 3)
    desk.sell("B", 1, 2)
    refused = {"count": 0}

    def answer(call: Call) -> Reply:
        if call.data["key"] == "rakuten/A" and call.data["version"] == 1 and refused["count"] < 3:
            refused["count"] += 1
            return Reply(422)
        return Reply()

    desk.receiver.answer = answer
    desk.send_all("ear")
    told = desk.receiver.told()
    assert [version for key, version in told if key == "rakuten/A"] == [1, 1, 1, 1, 2, 3]
    assert [version for key, version in told if key == "rakuten/B"] == [1, 2]
    assert told.index(("rakuten/B", 2)) < told.index(("rakuten/A", 2))


def test_a_message_is_given_up_in_the_end_and_those_behind_it_go_on(desk: Desk) -> None:
    desk.subscribe("ear", content="thin")
    desk.sell("A", 1, 2)
    desk.receiver.answer = lambda call: Reply(
        422 if call.data["version"] == 1 else 200, body=b'{"name": "no such SKU"}'
    )
    total = desk.send_all("ear", impatient())
    assert total.dead == 1
    assert desk.states() == ["dead", "accepted"]
    with desk.hub.engine.connect() as connection:
        (standing,) = standings(connection)
    assert (standing.state, standing.dead, standing.waiting) == ("active", 1, 0)
    assert standing.needs_a_person


def test_a_subscriber_that_always_fails_is_given_up_and_loses_nothing(desk: Desk) -> None:
    desk.subscribe()
    for sku in "ABCDEFGH":
        desk.sell(sku, 1)
    desk.receiver.answer = lambda call: Reply(503)
    desk.send_all(manner=impatient())
    with desk.hub.engine.connect() as connection:
        told = find(connection, "erp")
    assert told.state == "given_up"
    assert "HTTP 503" in (told.reason or "")
    assert set(desk.states()) == {"waiting"}
    assert len(desk.receiver.calls) < 8  # not each message had to find out
    desk.sell("I", 1)
    desk.receiver.answer = lambda call: Reply()
    with desk.hub.engine.begin() as connection:
        resume(connection, "erp")
    assert desk.send_all().accepted == 9


def test_many_messages_failing_in_a_row_hold_the_subscriber_back(desk: Desk) -> None:
    desk.subscribe(at_once=1)
    for number in range(20):
        desk.sell(f"S{number}", 1)
    desk.receiver.answer = lambda call: Reply(500)
    sent = desk.send(manner=Manner(first=5))
    assert sent.failed == 5
    assert sent.next_in is not None
    assert sent.next_in >= 3
    desk.run("UPDATE subscriber SET not_before = NULL")
    assert desk.send(manner=Manner(first=5)).failed == 1  # then it is asked with one message


def test_one_that_fails_or_is_slow_does_not_hold_up_another(desk: Desk) -> None:
    with Receiver() as slow:
        slow.answer = lambda call: Reply(wait=1.0)
        desk.subscribe("slow", url=slow.url, at_once=1)
        desk.subscribe("erp")
        for number in range(5):
            desk.sell(f"S{number}", 1)
        thread = threading.Thread(target=desk.send, args=("slow",))
        thread.start()
        while not slow.calls:
            time.sleep(0.01)
        started = time.monotonic()
        assert desk.send("erp").accepted == 5
        assert time.monotonic() - started < 2
        desk.hub.stopping.set()
        thread.join(10)
        assert len(slow.calls) < 5


def test_days_without_the_hub_are_no_days_of_failures(desk: Desk) -> None:
    desk.subscribe()
    desk.sell("A", 1)
    desk.receiver.answer = lambda call: Reply(503)
    desk.send(manner=Manner(first=0.01, longest_all=0.01, turn=0.0))
    desk.run("UPDATE subscriber SET failing_since = now() - interval '9 days', not_before = NULL")
    desk.run("UPDATE subscriber_message SET retry_until = now() - interval '6 days'")
    desk.send(manner=Manner(first=60))
    assert desk.states() == ["waiting"]
    assert desk.rows("SELECT state FROM subscriber")[0].state == "active"


def test_a_store_that_was_restored_elsewhere_is_noticed(desk: Desk) -> None:
    desk.subscribe()
    desk.run("UPDATE subscriber SET feed_xid = feed_xid + 1000000")  # as if transaction ids had begun anew
    desk.sell("A", 1)
    wake_subscribers(desk.hub.engine)
    (job,) = desk.hub.job_statuses()
    assert job.flow == "erp"
    assert desk.send().accepted == 0
    with desk.hub.engine.connect() as connection:
        (standing,) = standings(connection)
    assert (standing.state, standing.needs_a_person) == ("paused", True)
    assert "restored" in (standing.reason or "")
    with desk.hub.engine.begin() as connection:
        resume(connection, "erp")
    desk.sell("A", 2)
    desk.send_all()
    assert desk.receiver.told()[-1] == ("rakuten/A", 2)


# ---------------------------------------------------------------- senders


def test_two_never_send_to_one_subscriber_at_once(desk: Desk) -> None:
    desk.subscribe()
    desk.sell("A", 1)
    desk.receiver.answer = lambda call: Reply(wait=0.5)
    thread = threading.Thread(target=desk.send)
    thread.start()
    while not desk.receiver.calls:
        time.sleep(0.01)
    with pytest.raises(FlowBusy):
        desk.send()
    thread.join(10)
    assert len(desk.receiver.calls) == 1


def test_a_turn_ends_and_leaves_the_rest(desk: Desk) -> None:
    desk.subscribe(at_once=1)
    for number in range(20):
        desk.sell(f"S{number:02}", 1)
    desk.receiver.answer = lambda call: Reply(wait=0.15)
    sent = desk.send(manner=Manner(turn=1.5, timeout=5.0))
    assert 1 <= sent.accepted < 20
    assert sent.next_in == 0.0
    assert desk.send_all().accepted == 20 - sent.accepted
    assert len(desk.receiver.calls) == 20


def test_as_many_at_once_as_the_subscriber_takes(desk: Desk) -> None:
    desk.subscribe(at_once=3)
    for number in range(12):
        desk.sell(f"S{number:02}", 1)
    desk.receiver.answer = lambda call: Reply(wait=0.05)
    assert desk.send().accepted == 12
    assert desk.receiver.most_busy == 3


def test_pausing_ends_a_turn_under_way(desk: Desk) -> None:
    desk.subscribe(at_once=1)
    for number in range(10):
        desk.sell(f"S{number}", 1)

    def answer(call: Call) -> Reply:
        if len(desk.receiver.calls) == 3:
            with desk.hub.engine.begin() as connection:
                pause(connection, "erp", "maintenance")
        return Reply()

    desk.receiver.answer = answer
    sent = desk.send()
    assert (sent.accepted, sent.next_in) == (3, None)
    with desk.hub.engine.begin() as connection:
        resume(connection, "erp")
    assert desk.send_all().accepted == 7


def test_removing_ends_a_turn_under_way(desk: Desk) -> None:
    told, _ = desk.subscribe(at_once=1)
    desk.sell("A", 1)
    desk.sell("B", 1)

    def answer(call: Call) -> Reply:
        with desk.hub.engine.begin() as connection:
            remove(connection, "erp")
        return Reply()

    desk.receiver.answer = answer
    desk.send()
    assert len(desk.receiver.calls) == 1
    with desk.hub.engine.connect() as connection:
        assert find_by_id(connection, told.id) is None
    assert desk.rows("SELECT FROM subscriber_attempt UNION ALL SELECT FROM subscriber_secret") == []


def test_a_long_backlog_stays_in_the_feed_where_it_may_still_be_overtaken(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messages, "ROUND", 10)
    monkeypatch.setattr(sender, "ENOUGH", 20)
    monkeypatch.setattr(sender, "BATCH", 7)
    desk.subscribe()
    desk.change("sellable", *[sellable(f"S{number:05}", 1) for number in range(60)])
    desk.receiver.answer = lambda call: Reply(503)
    desk.send(manner=Manner(first=60))
    desk.run("UPDATE subscriber SET not_before = NULL")
    desk.send(manner=Manner(first=60))
    desk.run("UPDATE subscriber SET not_before = NULL")
    desk.send(manner=Manner(first=60))
    (row,) = desk.rows("SELECT count(*) AS n FROM subscriber_message")
    assert row.n == 20
    desk.change("sellable", *[sellable(f"S{number:05}", 2) for number in range(60)])
    with desk.hub.engine.begin() as connection:
        resume(connection, "erp")
    desk.receiver.answer = lambda call: Reply()
    tried = len({call.event_id for call in desk.receiver.calls})
    assert desk.send_all().accepted <= 60 + tried
    newest = {call.data["key"]: call.data["content"]["quantity"] for call in desk.receiver.calls}
    assert len(newest) == 60
    assert set(newest.values()) == {2}


def test_settings_may_change_under_way(desk: Desk) -> None:
    desk.subscribe()
    desk.sell("A", 1)
    desk.send()
    with desk.hub.engine.begin() as connection:
        change(connection, "erp", kinds=["sellable", "product"], content="thin")
    desk.change("product", ("P", {"key": "P"}))
    desk.sell("A", 2)
    desk.send()
    assert sorted(desk.receiver.told()[1:]) == [("P", 1), ("rakuten/A", 2)]
    assert all("content" not in call.data for call in desk.receiver.calls[1:])
