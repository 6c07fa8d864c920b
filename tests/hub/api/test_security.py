"""Who may do what, and how soon a key is dead."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from desk import Desk
from sqlalchemy import text

from canonical_model import ENTITIES
from canonical_model.schema import current_schemas
from hub.api.keys import hash_of, list_keys
from hub.api.kinds import PLURALS
from hub.api.problems import Problem
from hub.api.scopes import OPEN_KINDS, SCOPES, ScopeError, checked, covers
from hub.api.security import FAILURES, FRESH, STALE, Guard

CLOSED = {"/orders", "/orders/a", "/changes", "/reservations/x", "/stock/A", "/key", "/status", "/products"}


@pytest.mark.parametrize("path", sorted(CLOSED))
@pytest.mark.parametrize(
    "header",
    [None, "", "Bearer", "Bearer tsk_", "Bearer tsk_a_b", "Basic dXNlcjpwYXNz", "Bearer あ", "tsk_a_b"],
)
def test_without_a_good_key_every_door_is_shut(desk: Desk, path: str, header: str | None) -> None:
    headers = {} if header is None else {"authorization": header.encode()}
    answer = desk.client.get(f"/api/v1{path}", headers={"x-forwarded-for": "192.0.2.1", **headers})
    assert answer.status_code in (401, 429)
    if answer.status_code == 401:
        assert answer.headers["www-authenticate"].startswith('Bearer realm="tsunagi"')
        assert answer.json()["code"] == ("no_key" if header is None else "bad_key")


def test_a_key_with_one_wrong_letter_opens_nothing(desk: Desk) -> None:
    key = desk.key("read:*")
    assert desk.get("/key", key).status_code == 200
    for wrong in (
        f"{key[:-1]}{'A' if key[-1] != 'A' else 'B'}",
        key[:-1],
        f"{key}A",
        key.upper(),
        key.replace("tsk_", "tsx_"),
    ):
        assert desk.get("/key", wrong).status_code in (401, 429)


@pytest.mark.parametrize(
    ("scopes", "open_paths"),
    [
        (["read:product"], {"/products", "/key"}),
        (["read:*"], {"/products", "/key", "/sellables"}),
        (["read:order"], {"/orders", "/key"}),
        (["changes"], {"/key"}),
        (["changes", "read:product"], {"/products", "/key", "/changes", "/changes?kinds=product"}),
        (["reserve"], {"/key"}),
        (["subscribers"], {"/key"}),
        (["admin"], {"/products", "/key", "/sellables", "/changes", "/changes?kinds=product", "/status"}),
    ],
)
def test_a_key_opens_what_its_scopes_name_and_nothing_else(
    desk: Desk, scopes: list[str], open_paths: set[str]
) -> None:
    key = desk.key(*scopes)
    for path in ("/products", "/orders", "/customers", "/sellables", "/changes", "/changes?kinds=product",
                 "/changes?kinds=order", "/key", "/status"):  # fmt: skip
        status = desk.get(path, key).status_code
        assert status == (200 if path in open_paths else 403), path


def test_what_is_missing_is_named(desk: Desk) -> None:
    answer = desk.get("/orders", desk.key("read:*"))
    assert answer.json()["scopes"] == ["read:order"]
    assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]


def test_kinds_with_people_in_them_are_guarded() -> None:
    people = {
        kind
        for kind, schema in current_schemas().items()
        if {"PersonName", "Contact", "Party"} & set(schema.get("$defs", {}))
        or "customer_key" in schema["properties"]
    }
    assert {"customer", "order", "subscription", "cart", "payment"} <= people
    assert not people & OPEN_KINDS
    assert set(ENTITIES) >= OPEN_KINDS
    for kind in PLURALS:
        assert covers(frozenset({"read:*"}), f"read:{kind}") == (kind in OPEN_KINDS)
        assert covers(frozenset({"admin"}), f"read:{kind}") == (kind in OPEN_KINDS)
        assert covers(frozenset({f"read:{kind}"}), f"read:{kind}")


def test_scopes_are_words_we_know() -> None:
    assert checked([" reserve:shop ", "changes", "changes", "read:order"]) == (
        "changes",
        "read:order",
        "reserve:shop",
    )
    for wrong in (
        ["read:everything"],
        ["write:order"],
        ["reserve:"],
        ["reserve:*"],
        ["reserve:a b"],
        ["order"],
        ["read:"],
        [],
        ["*"],
    ):
        with pytest.raises(ScopeError):
            checked(wrong)
    assert set(SCOPES) >= {"read:*", "changes", "reserve", "subscribers", "admin"}


def test_the_store_keeps_no_secret(desk: Desk) -> None:
    key = desk.key("read:*")
    with desk.hub.engine.connect() as connection:
        rows = [str(row) for row in connection.execute(text("SELECT * FROM api_key"))]
        kept = {one.id: one for one in list_keys(connection)}[key.split("_")[1]]
    assert not any(key.split("_", 2)[2] in row for row in rows)
    assert kept.hash == hash_of(key)
    assert "hash" not in repr(kept)


def test_a_revoked_key_and_an_expired_one_say_so_to_who_holds_them(desk: Desk) -> None:
    key = desk.key("read:*")
    assert desk.get("/key", key).status_code == 200
    desk.revoke(key)
    desk.forget_keys()
    ended = desk.get("/key", key)
    assert (ended.status_code, ended.json()["detail"]) == (401, "This key was revoked.")
    short = desk.key("read:*", expires_at=datetime.now(UTC) - timedelta(seconds=1))
    assert desk.get("/key", short).json()["detail"] == "This key has expired."
    assert desk.get("/key", f"{short[:-2]}zz").json()["detail"] != "This key has expired."


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def who(guard: Guard, key: str, address: str = "a") -> str:
    """Whose key it is, or the code of the problem."""
    import asyncio

    try:
        return asyncio.run(guard.caller(f"Bearer {key}", address)).name
    except Problem as problem:
        return problem.code


def test_a_revoked_key_dies_within_seconds_and_a_call_asks_the_database_for_nothing(desk: Desk) -> None:
    from sqlalchemy import event

    key, clock = desk.key("read:*"), Clock()
    guard, asked = Guard(desk.hub.engine, clock=clock), []
    event.listen(desk.hub.engine, "before_cursor_execute", lambda *_: asked.append(1), named=False)
    name = who(guard, key)
    assert name.startswith("test ")
    before = len(asked)
    for _ in range(50):
        clock.now += FRESH / 100
        assert who(guard, key) == name
        assert who(guard, "tsk_nobody_nothing", "b") in ("bad_key", "too_many_failures")
    assert len(asked) == before
    desk.revoke(key)
    with guard._reading:  # another call is reading, and takes its time
        clock.now += FRESH
        assert who(guard, key) == name
    clock.now += STALE - FRESH
    assert who(guard, key) == "bad_key"


def test_who_fails_all_the_time_must_wait_and_good_keys_never_do(desk: Desk) -> None:
    key, clock = desk.key("read:*"), Clock()
    guard = Guard(desk.hub.engine, clock=clock)
    said = [who(guard, "tsk_x_y") for _ in range(FAILURES + 5)]
    assert said == ["bad_key"] * FAILURES + ["too_many_failures"] * 5
    assert who(guard, key).startswith("test ")
    assert who(guard, "tsk_x_y", "another address") == "bad_key"
    clock.now += 61
    assert who(guard, "tsk_x_y") == "bad_key"


def test_when_a_key_was_last_used_is_written_down(desk: Desk) -> None:
    key = desk.key("read:*")
    guard = Guard(desk.hub.engine)
    who(guard, key)
    guard.close()
    with desk.hub.engine.connect() as connection:
        kept = {one.id: one for one in list_keys(connection)}[key.split("_")[1]]
    assert kept.last_used_at is not None
    assert datetime.now(UTC) - kept.last_used_at < timedelta(minutes=1)
