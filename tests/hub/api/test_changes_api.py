"""The change feed over HTTP: nothing is missed, whatever commits when."""

from __future__ import annotations

import random
import threading
import time
from typing import Any

import httpx
import pytest
from desk import PREFIX, Desk
from sqlalchemy import text

from hub.api import changes as feed
from hub.entities import Draft, content_of, write_drafts


def language(key: str, name: str = "言語") -> dict[str, Any]:
    return {"key": key, "code": "ja", "name": name}


def follow(desk: Desk, key: str, after: str | None = None, **params: Any) -> tuple[list[dict[str, Any]], str]:
    """Everything behind a cursor, and the cursor behind it."""
    found: list[dict[str, Any]] = []
    while True:
        answer = desk.get("/changes", key, params={**params, **({"after": after} if after else {})})
        assert answer.status_code == 200, answer.text
        found += answer.json()["changes"]
        after = answer.json()["cursor"]
        if not answer.json()["more"]:
            return found, after


def now(desk: Desk, key: str) -> str:
    return str(desk.get("/changes", key, params={"after": "now"}).json()["cursor"])


def test_changes_come_in_order_with_what_there_is_now(desk: Desk) -> None:
    key = desk.key("changes", "read:language")
    begin = now(desk, key)
    desk.room.say("core", "language", language("a"), language("b"))
    desk.room.say("shop", "language", language("c"))
    desk.room.say("core", "language", language("a", "改名"))
    found, cursor = follow(desk, key, begin, limit=2)
    assert [(one["key"], one["version"], one["system"]) for one in found] == [
        ("a", 1, "core"), ("b", 1, "core"), ("c", 1, "shop"), ("a", 2, "core"),
    ]  # fmt: skip
    assert "entity" not in found[0]
    assert follow(desk, key, cursor)[0] == []
    told, _ = follow(desk, key, begin, content="true")
    assert [one["entity"]["content"]["name"] for one in told] == ["改名", "言語", "言語", "改名"]
    assert told[0]["entity"]["version"] == 2


def test_a_deletion_is_a_change_without_content(desk: Desk) -> None:
    key = desk.key("changes", "read:language")
    desk.room.say("core", "language", language("gone"))
    begin = now(desk, key)
    with desk.hub.engine.begin() as connection:
        connection.execute(text("""
            WITH gone AS (UPDATE entity SET deleted_at = now(), version = version + 1 WHERE key = 'gone' RETURNING *)
            INSERT INTO change_feed (entity_id, kind, version, system, deleted)
            SELECT id, kind, version, 'core', true FROM gone
        """))  # fmt: skip
    (change,), _ = follow(desk, key, begin, content="true")
    assert (change["deleted"], change["version"], change["entity"]["content"]) == (True, 2, None)


def test_what_was_erased_leaves_no_trace_and_no_gap(desk: Desk) -> None:
    key = desk.key("changes", "read:language")
    begin = now(desk, key)
    desk.room.say("core", "language", language("erased"))
    with desk.hub.engine.begin() as connection:
        connection.execute(text("DELETE FROM entity WHERE key = 'erased'"))
    desk.room.say("core", "language", language("kept"))
    found, _ = follow(desk, key, begin, limit=1)
    assert [one["key"] for one in found] == ["kept"]


def test_only_kinds_the_key_may_read_are_told(desk: Desk) -> None:
    key = desk.key("changes", "read:*")
    begin = now(desk, key)
    desk.room.order("feed/1", {"A": 1})
    desk.room.say("core", "language", language("told"))
    assert [one["kind"] for one in follow(desk, key, begin)[0]] == ["language"]
    assert desk.get("/changes", key, params={"kinds": "language,order"}).json()["scopes"] == ["read:order"]
    assert desk.get("/changes", key, params={"kinds": "people"}).status_code == 422
    assert desk.get("/changes", key, params={"kinds": ","}).status_code == 422
    both = desk.key("changes", "read:*", "read:order")
    assert [one["kind"] for one in follow(desk, both, begin)[0]] == ["order", "language"]
    assert [one["kind"] for one in follow(desk, both, begin, kinds="order")[0]] == ["order"]


@pytest.mark.parametrize("after", ["x", "WyJmIiwxXQ", "WyJmIiwtMSwwXQ", "WyJrIiwiYSIsImIiXQ", "", "a" * 299])
def test_a_cursor_we_did_not_give_is_refused(desk: Desk, after: str) -> None:
    answer = desk.get("/changes", desk.key("changes", "read:*"), params={"after": after})
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_cursor")


def test_a_cursor_from_before_a_restore_is_told_apart(desk: Desk) -> None:
    from hub.api.cursors import feed_cursor
    from hub.feed import FeedPosition

    ahead = feed_cursor(FeedPosition(2**40, 1))
    answer = desk.get("/changes", desk.key("changes", "read:*"), params={"after": ahead})
    assert (answer.status_code, answer.json()["code"]) == (410, "cursor_ahead")


def test_a_transaction_that_commits_late_is_not_missed(desk: Desk) -> None:
    """It takes its number first and commits last; what committed meanwhile waits for it."""
    key = desk.key("changes", "read:language")
    begin = now(desk, key)
    with desk.hub.engine.connect() as late:
        write(late, "late")
        desk.room.say("core", "language", language("early"))
        seen, cursor = follow(desk, key, begin)
        assert seen == []
        late.commit()
    found, _ = follow(desk, key, cursor)
    assert [one["key"] for one in found] == ["late", "early"]


def write(connection: Any, key: str) -> None:
    model, body = content_of("language", language(key))
    write_drafts(connection, system="core", kind="language", mapping="m", mapping_version=1, intake_id=1,
                 drafts=[Draft(key, b"", None, 1, model.key, body)], authority={})  # fmt: skip


def test_a_follower_gets_every_version_while_many_write_and_some_hesitate(desk: Desk) -> None:
    key = desk.key("changes", "read:language")
    begin = now(desk, key)
    writers, rounds = 5, 12
    failed: list[Exception] = []

    def busy(number: int) -> None:
        dice = random.Random(number)
        try:
            for turn in range(rounds):
                with desk.hub.engine.connect() as connection:
                    write(connection, f"w{number}-{turn}")
                    time.sleep(dice.random() * 0.05)
                    if turn % 4 == 3:
                        connection.rollback()
                    else:
                        connection.commit()
        except Exception as error:  # noqa: BLE001  (told by the test)
            failed.append(error)

    threads = [threading.Thread(target=busy, args=(number,)) for number in range(writers)]
    for one in threads:
        one.start()
    found: list[dict[str, Any]] = []
    cursor = begin
    while any(one.is_alive() for one in threads):
        more, cursor = follow(desk, key, cursor, limit=3)
        found += more
    more, cursor = follow(desk, key, cursor)
    assert not failed
    keys = [one["key"] for one in found + more]
    expected = {f"w{number}-{turn}" for number in range(writers) for turn in range(rounds) if turn % 4 != 3}
    assert sorted(keys) == sorted(expected)


def test_waiting_ends_with_the_change(desk: Desk) -> None:
    key = desk.key("changes", "read:language")
    begin = now(desk, key)
    with _later(0.8, lambda: desk.room.say("core", "language", language("waited"))):
        started = time.monotonic()
        answer = desk.get("/changes", key, params={"after": begin, "wait": 20})
        took = time.monotonic() - started
    assert [one["key"] for one in answer.json()["changes"]] == ["waited"]
    assert 0.5 < took < 10


def _later(seconds: float, do: Any) -> Any:
    from contextlib import contextmanager

    @contextmanager
    def running() -> Any:
        timer = threading.Timer(seconds, do)
        timer.start()
        yield
        timer.join(20)

    return running()


def test_waiting_ends_with_the_time(desk: Desk) -> None:
    key = desk.key("changes", "read:language")
    begin = now(desk, key)
    started = time.monotonic()
    answer = desk.get("/changes", key, params={"after": begin, "wait": 1})
    assert answer.json() == {"changes": [], "cursor": begin, "more": False}
    assert 0.9 < time.monotonic() - started < 8
    assert desk.get("/changes", key, params={"wait": feed.LONGEST + 1}).status_code == 422


def test_who_waits_holds_no_connection_and_no_thread(desk: Desk) -> None:
    key = desk.key("changes", "read:language")
    begin = now(desk, key)
    address, headers = str(desk.client.base_url), {"authorization": f"Bearer {key}"}

    def wait() -> None:
        with httpx.Client(base_url=address, timeout=60, headers=headers) as client:
            client.get(f"{PREFIX}/changes", params={"after": begin, "wait": 6})

    waiters = [threading.Thread(target=wait) for _ in range(40)]
    for one in waiters:
        one.start()
    time.sleep(2)
    busiest = 0
    for _ in range(20):
        busiest = max(busiest, desk.hub.engine.pool.checkedout())
        assert desk.get("/languages", key, params={"limit": 1}).status_code == 200
    desk.room.say("core", "language", language("end of waiting"))
    for one in waiters:
        one.join(30)
    assert busiest <= 3  # whoever looks for all of them, the search, the reading of keys


def test_more_waiters_than_are_kept_are_answered_at_once(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "WAITERS", 0)
    key = desk.key("changes", "read:language")
    started = time.monotonic()
    assert desk.get("/changes", key, params={"after": now(desk, key), "wait": 20}).status_code == 200
    assert time.monotonic() - started < 10
