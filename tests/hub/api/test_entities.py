"""Reading and searching entities."""

from __future__ import annotations

import re
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from desk import Desk, at_key
from hypothesis import HealthCheck, given, settings, strategies as st
from sqlalchemy import text

from canonical_model import ENTITIES
from hub.api import entities
from hub.api.kinds import PLURALS, filters_of

ODD_KEYS = [
    "mall/A 1#2",
    "m%2Fb",
    "buyer+tag@example.jp",
    "あ/い?う&え",
    "a//b",
    "x/../y",
    'quote"\\',
    "-._~",
    "a;b=c",
]


def products(desk: Desk, *codes: str) -> None:
    desk.room.say(
        "core", "product",
        *({"key": code, "code": code, "name": code, "variants": [{"sku": f"{code}-1"}, {"sku": f"{code}-2"}]}
          for code in codes),
    )  # fmt: skip


def everything(desk: Desk, path: str, key: str, **params: Any) -> list[dict[str, Any]]:
    """All pages of a search, one after the other."""
    found: list[dict[str, Any]] = []
    cursor = None
    while True:
        answer = desk.get(path, key, params={**params, **({"cursor": cursor} if cursor else {})})
        assert answer.status_code == 200, answer.text
        found += answer.json()["items"]
        cursor = answer.json()["next"]
        if cursor is None:
            return found


def test_every_kind_can_be_searched(desk: Desk) -> None:
    key = desk.key(*(f"read:{kind}" for kind in ENTITIES))
    for plural in PLURALS.values():
        answer = desk.get(f"/{plural}", key)
        assert answer.status_code == 200, answer.text
    assert len(set(PLURALS.values())) == len(ENTITIES)


@pytest.mark.parametrize("key", ODD_KEYS)
def test_any_key_is_found_by_its_address_or_by_the_query(desk: Desk, key: str) -> None:
    reader = desk.key("read:channel")
    desk.room.say("core", "channel", {"key": key, "name": "odd"})
    if ".." not in key:  # what no client and no proxy leaves alone
        answer = desk.get(at_key("channels", key), reader)
        assert answer.status_code == 200
        assert answer.json()["content"]["key"] == answer.json()["key"] == key
    assert [one["key"] for one in desk.get("/channels", reader, params={"key": key}).json()["items"]] == [key]


def test_a_slash_may_stay_as_it_is(desk: Desk) -> None:
    desk.room.order("mall/42", {"A": 1})
    assert desk.get("/orders/mall/42", desk.key("read:order")).json()["content"]["number"] == "42"


def test_an_entity_has_a_version_and_an_etag(desk: Desk) -> None:
    key = desk.key("read:product")
    products(desk, "TAGGED")
    first = desk.get("/products/TAGGED", key)
    tag = first.headers["etag"]
    assert first.json()["version"] == 1
    assert datetime.fromisoformat(first.json()["updated_at"]) > datetime.now(UTC) - timedelta(minutes=5)
    for held in (tag, f"W/{tag}", f'"x", {tag}', "*"):
        assert desk.get("/products/TAGGED", key, headers={"if-none-match": held}).status_code == 304
    desk.room.say(
        "core", "product", {"key": "TAGGED", "code": "TAGGED", "name": "new", "variants": [{"sku": "T"}]}
    )
    second = desk.get("/products/TAGGED", key, headers={"if-none-match": tag})
    assert (second.status_code, second.json()["version"]) == (200, 2)
    assert second.headers["etag"] != tag


def test_what_is_gone_is_gone_and_what_never_was_is_not_found(desk: Desk) -> None:
    key = desk.key("read:product")
    products(desk, "GONE")
    with desk.hub.engine.begin() as connection:
        connection.execute(
            text("UPDATE entity SET deleted_at = now(), version = version + 1 WHERE key = 'GONE'")
        )
    gone = desk.get("/products/GONE", key)
    assert (gone.status_code, gone.json()["code"], gone.json()["version"]) == (410, "deleted", 2)
    assert desk.get("/products/NEVER", key).status_code == 404
    assert desk.get("/products", key, params={"key": "GONE"}).json()["items"] == []
    item = desk.get("/products", key, params={"key": "GONE", "deleted": "true"}).json()["items"][0]
    assert item["content"] is None
    assert item["deleted_at"] is not None


@pytest.mark.parametrize("limit", [1, 3, 1000])
def test_pages_hold_everything_once(desk: Desk, limit: int) -> None:
    codes = [f"PAGED{limit}-{number:02d}" for number in range(11)]
    products(desk, *codes)
    found = everything(desk, "/products", desk.key("read:*"), key_prefix=f"PAGED{limit}-", limit=limit)
    assert [one["key"] for one in found] == codes


def test_orders_are_found_by_their_fields(desk: Desk) -> None:
    key = desk.key("read:order")
    desk.room.order("find/1", {"A": 1})
    desk.room.order("find/2", {"A": 1}, cancelled=True)
    desk.room.order("other/1", {"A": 1})

    def keys(**params: Any) -> list[str]:
        return [one["key"] for one in everything(desk, "/orders", key, **params)]

    assert keys(channel="find") == ["find/1", "find/2"]
    assert keys(channel="find", number="1") == ["find/1"]
    assert keys(number="1") == ["find/1", "other/1"]
    assert keys(channel="find", confirmation="cancelled") == ["find/2"]
    assert keys(channel="find", payment="none") == ["find/1", "find/2"]  # a default, which is not stored
    assert keys(channel="find", payment="paid") == []
    assert desk.get("/orders", key, params={"payment": "maybe"}).json()["errors"][0]["field"] == "payment"


def test_customers_are_found_by_contact_and_products_by_sku(desk: Desk) -> None:
    desk.room.say(
        "core", "customer",
        {"key": "core/1", "name": {"full": "山田 花子"}, "emails": ["hanako@example.jp"], "phones": ["0312345678"]},
        {"key": "core/2", "name": {"full": "山田 太郎"}, "emails": ["taro@example.jp"]},
    )  # fmt: skip
    key = desk.key("read:customer", "read:*")
    for params in ({"email": "hanako@EXAMPLE.jp"}, {"phone": "03-1234-5678"}):
        assert [one["key"] for one in everything(desk, "/customers", key, **params)] == ["core/1"]
    assert desk.get("/customers", key, params={"email": "no address"}).status_code == 422
    products(desk, "BYSKU")
    assert [one["key"] for one in everything(desk, "/products", key, sku="BYSKU-2")] == ["BYSKU"]
    desk.room.offer("BYSKU-2")
    assert [one["key"] for one in everything(desk, "/listings", key, sku="BYSKU-2")] == [
        "mall/BYSKU-2",
        "shop/BYSKU-2",
    ]
    assert [one["key"] for one in everything(desk, "/listings", key, sku="BYSKU-2", channel="shop")] == [
        "shop/BYSKU-2"
    ]


def test_each_field_that_is_said_to_have_an_index_has_one(desk: Desk) -> None:
    own = (
        r"entity_(sku|order_key|movement|movement_order|order_number|order_customer|email|phone|variant)_idx"
    )
    looked = 0
    for kind in PLURALS:
        for name, one in filters_of(kind).items():
            if one.indexed:
                plan = plan_of(desk, kind, name)
                assert re.search(own, plan), f"{kind} {name}:\n{plan}"
                looked += 1
    assert looked > 10


def plan_of(desk: Desk, kind: str, name: str) -> str:
    """How PostgreSQL would search if only the indexes on fields were there; a small table needs none of them."""
    statement, windowed = entities._search(kind, frozenset({name, "limit"}), True)
    assert not windowed
    with desk.hub.engine.connect() as connection:
        connection.execute(text("SET LOCAL enable_seqscan = off"))
        connection.execute(text("DROP INDEX entity_updated_idx"))
        connection.execute(text("ALTER TABLE entity DROP CONSTRAINT entity_kind_key_key"))
        return "\n".join(connection.scalars(text(f"EXPLAIN {statement.text}"), {name: "x", "limit": 10}))


def test_changed_since(desk: Desk) -> None:
    key = desk.key("read:product")
    products(desk, "OLD")
    with desk.hub.engine.begin() as connection:
        connection.execute(text("UPDATE entity SET updated_at = '2020-01-01T00:00Z' WHERE key = 'OLD'"))
    products(desk, "NEW")
    since = {"updated_since": "2020-01-01T09:00:01+09:00"}
    keys = [one["key"] for one in everything(desk, "/products", key, **since)]
    assert "NEW" in keys
    assert "OLD" not in keys
    # the way people write it: a + that means a space in a query
    raw = desk.client.get("/api/v1/products?updated_since=2020-01-01T09:00:00+09:00&limit=1000",
                          headers={"authorization": f"Bearer {key}"})  # fmt: skip
    assert "OLD" in [one["key"] for one in raw.json()["items"]]


def test_a_search_without_an_index_goes_on_until_it_has_seen_everything(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entities, "WINDOW", 4)
    key = desk.key("read:location")
    desk.room.say(
        "core", "location",
        *({"key": f"L{number:02d}", "name": "l", "type": "store" if number in (0, 9, 17) else "warehouse"}
          for number in range(20)),
    )  # fmt: skip
    first = desk.get("/locations", key, params={"type": "store"}).json()
    assert len(first["items"]) <= 1
    assert first["next"]
    found = everything(desk, "/locations", key, type="store")
    assert [one["key"] for one in found] == ["L00", "L09", "L17"]


def test_a_cursor_of_another_search_is_refused(desk: Desk) -> None:
    key = desk.key("read:product", "read:order")
    products(desk, "CUR1", "CUR2")
    cursor = desk.get("/products", key, params={"limit": 1, "key_prefix": "CUR"}).json()["next"]
    assert desk.get("/products", key, params={"cursor": cursor, "key_prefix": "CUR"}).status_code == 200
    for path, params in (
        ("/products", {"cursor": cursor}),
        ("/products", {"cursor": cursor, "key_prefix": "CU"}),
        ("/orders", {"cursor": cursor, "key_prefix": "CUR"}),
        ("/products", {"cursor": "x"}),
        ("/products", {"cursor": "あ"}),
        ("/products", {"cursor": cursor[:-3], "key_prefix": "CUR"}),
    ):
        answer = desk.get(path, key, params=params)
        assert (answer.status_code, answer.json()["code"]) == (400, "bad_cursor"), params


@pytest.mark.parametrize("params", [{"limit": 0}, {"limit": 1001}, {"limit": "x"}, {"colour": "red"}, {"deleted": "so"},
                                    {"updated_since": "2026-11-21T09:00:00"}, {"updated_since": "soon"},
                                    {"key": ""}, {"key": "a\0b"}, {"sku": "a\0"}, {"key": "x" * 201}])  # fmt: skip
def test_a_bad_query_is_told_field_by_field(desk: Desk, params: dict[str, Any]) -> None:
    answer = desk.get("/products", desk.key("read:*"), params=params)
    assert answer.status_code == 422
    assert [one["field"] for one in answer.json()["errors"]] == list(params)


def test_a_search_asks_the_database_a_fixed_number_of_times(desk: Desk) -> None:
    from sqlalchemy import event

    key = desk.key("read:product")
    products(desk, *(f"MANY{number:03d}" for number in range(60)))
    asked: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        asked.append(statement)

    desk.get("/products", key)
    event.listen(desk.hub.engine, "before_cursor_execute", note)
    try:
        for limit in (2, 60):
            asked.clear()
            assert len(desk.get("/products", key, params={"limit": limit}).json()["items"]) == limit
            assert len(asked) == 2  # the time limit, and the page
    finally:
        event.remove(desk.hub.engine, "before_cursor_execute", note)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_walk_through_pages_misses_nothing_while_others_write(desk: Desk, data: st.DataObject) -> None:
    """What is there from the first page to the last comes exactly once, in the state of some moment in between."""
    mark = f"WALK{datetime.now(UTC).timestamp()}-"
    fixed = data.draw(st.sets(st.integers(0, 60), min_size=1, max_size=25))
    added = data.draw(st.lists(st.integers(0, 60), max_size=25))
    limit = data.draw(st.integers(1, 7))
    key = desk.key("read:product")
    products(desk, *(f"{mark}{number:02d}" for number in fixed))
    begun = threading.Event()

    def write() -> None:
        begun.wait(10)
        for number in added:
            desk.room.say(
                "core", "product",
                {"key": f"{mark}{number:02d}", "code": "x", "name": f"again {number}", "variants": [{"sku": "s"}]},
            )  # fmt: skip

    writer = threading.Thread(target=write)
    writer.start()
    found: list[str] = []
    cursor = None
    while True:
        params = {"key_prefix": mark, "limit": limit, **({"cursor": cursor} if cursor else {})}
        page = desk.get("/products", key, params=params).json()
        begun.set()
        found += [one["key"] for one in page["items"]]
        if (cursor := page["next"]) is None:
            break
    writer.join(30)
    assert found == sorted(found)
    assert len(found) == len(set(found))
    assert {f"{mark}{number:02d}" for number in fixed} <= set(found)
