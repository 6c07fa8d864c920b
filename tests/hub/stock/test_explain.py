"""Why a channel shows so many: every term with the rows it comes from, in words of both languages."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from room import Room, at
from typer.testing import CliRunner

from hub.cli import app
from hub.stock import reserve
from hub.stock.explain import StockExplanation, explain_stock
from mappings import load_mapping


def why(room: Room, sku: str = "A", channel: str | None = None) -> StockExplanation:
    room.turn()
    return explain_stock(room.engine, room.systems, load_mapping, sku, channel)


@pytest.fixture
def busy(room: Room) -> Room:
    """A channel with every term."""
    room.allocate("mall", "{buffer: 1, skus: {A: {buffer: 2}}}")
    room.count("A", 20, when=at(0), allocated=3, safety_stock=1)
    room.move("m1", "A", -2, at(5))
    room.offer("A")
    room.order("mall/1", {"A": 1}, when=at(6))
    room.order("shop/2", {"A": 2}, when=at(7))
    room.turn()
    room.accept("shop/2", at(8))
    reserve(room.engine, sku="A", quantity=4, channel="shop", key="cart-7", ttl=timedelta(hours=1))
    return room


def test_every_term_has_its_rows(busy: Room) -> None:
    found = why(busy, channel="mall")
    (shown,) = found.shown
    content = shown.content
    assert (content["quantity"], shown.locations) == (5, ("EAST",))
    assert shown.rule.startswith("mall.yaml:")
    assert shown.rule.endswith("allocation.skus.A")
    assert sum(row.on_hand + row.moved for row in found.counted) == content["on_hand"] == 18
    assert sum(row.allocated for row in found.counted) == content["allocated"]
    assert sum(row.quantity for row in found.moved) == content["moved"]
    units = {kind: sum(c.units for c in found.claims if c.kind == kind) for kind in ("order", "reservation")}
    assert units == {"order": content["unbooked"], "reservation": content["reserved"]}
    assert [(c.key, c.why.en) for c in found.claims] == [
        ("mall/1", "wms has not accepted it yet"),
        ("shop/2", "accepted by wms, its count does not hold it yet"),
        ("cart-7", "until it runs out"),
    ]
    assert found.counted[0].as_of == at(0)


def test_looking_changes_nothing(busy: Room) -> None:
    busy.turn()
    state = "SELECT string_agg(md5(t::text), '' ORDER BY t::text) FROM {} AS t"
    tables = ("stock_free", "stock_demand", "stock_dirty", "entity", "change_feed")
    before = [busy.scalar(state.format(table)) for table in tables]
    why(busy)
    assert [busy.scalar(state.format(table)) for table in tables] == before


def test_a_kit_is_explained_by_its_parts(room: Room) -> None:
    kit = [{"sku": "P", "quantity": 2}, {"sku": "Q", "quantity": 1}]
    room.say(
        "wms",
        "product",
        {"key": "SET", "code": "SET", "name": "SET", "variants": [{"sku": "SET", "kit": kit}]},
    )
    room.count("P", 5, when=at(0))
    room.count("Q", 9, when=at(0))
    room.offer("SET", "P")
    found = why(room, "SET")
    assert (found.parts, [row.sku for row in found.counted]) == ({"P": 2, "Q": 1}, ["P", "Q"])
    assert [row.sku for row in why(room, "P").counted] == ["P"]


def test_a_sku_nobody_counts(room: Room) -> None:
    room.count("A", 1)
    with pytest.raises(LookupError):
        why(room, "B")


@pytest.fixture
def tsunagi(busy: Room, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    monkeypatch.setenv("TSUNAGI_HOME", str(tmp_path / "home"))
    monkeypatch.setenv(
        "TSUNAGI_DATABASE_URL", busy.engine.url.render_as_string(hide_password=False).replace("+psycopg", "")
    )
    monkeypatch.setenv("TSUNAGI_SYSTEMS", str(busy.folder))
    monkeypatch.setenv("COLUMNS", "200")

    def run(*words: str, lang: str = "en") -> tuple[int, str]:
        monkeypatch.setenv("TSUNAGI_LANG", lang)
        result = CliRunner().invoke(app, words)
        return result.exit_code, result.output

    return run


def test_the_command_tells_an_operator(tsunagi: Any) -> None:
    code, told = tsunagi("explain", "stock", "A", "--channel", "mall")
    assert code == 0
    for words in (
        "mall shows 5",
        "ordered, not in the counts yet",
        "-3",
        "cart-7",
        "mall/1",
        "wms has not accepted it yet",
        "mall.yaml",
    ):
        assert words in told
    assert "shop shows" not in told
    code, told = tsunagi("stock", "A", lang="ja")
    assert code == 0
    for words in ("mall: 5 個を表示", "shop: 7 個を表示", "未計上の受注", "wms がまだ受け取っていません"):
        assert words in told
    code, told = tsunagi("stock", "A", "--json")
    document = orjson.loads(told)
    assert (code, document["shown"][0]["content"]["quantity"], document["claims"][0]["why"]["ja"]) == (
        0, 5, "wms がまだ受け取っていません",
    )  # fmt: skip
    assert tsunagi("stock", "NOPE")[0] == 2
    assert tsunagi("stock", "A", "--channel", "till")[0] == 2


def test_the_command_lists_what_is_oversold_and_who_to_call(tsunagi: Any, busy: Room) -> None:
    assert tsunagi("stock") == (0, "✓ Nothing is oversold.\n")
    busy.order("shop/9", {"A": 40})
    code, told = tsunagi("stock")
    assert code == 1
    for words in ("shop/9", "shop desk", "32"):
        assert words in told
    code, told = tsunagi("stock", "--json")
    assert (code, orjson.loads(told)["order_key"]) == (1, "shop/9")
    code, told = tsunagi("status")
    assert (code, "Oversold: 32 units on 1 orders. See tsunagi stock." in told) == (0, True)
