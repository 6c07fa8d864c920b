"""Rows to documents, streaming."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, strategies as st

from mappings import Mapping, RecordFaults, Unit
from mappings.grouping import SeenKeys
from tests.mappings.support import MakeMapping, Row, Unreadable

MAPPING = """
version: 1
direction: in
entity: stock_position
{group}
external_id: {external_id}
{when}
fields:
  key: n
  sku: n
  location: {{value: main}}
  on_hand: {{value: 0}}
"""


@pytest.fixture
def grouped(make_mapping: MakeMapping) -> Mapping:
    return make_mapping(
        MAPPING.format(group="group: {by: n, same: [h]}", external_id="n", when="when: {present: n}")
    )


def rows(*keys: str | None, start: int = 1) -> list[Row]:
    return [Row({"n": key, "h": "x", "i": at}, at) for at, key in enumerate(keys, start)]


def test_adjacent_rows_become_one_unit_with_their_lines(grouped: Mapping) -> None:
    units = list(grouped.units(rows("a", "a ", "b", "c", "c")))
    assert [(u.external_id, u.positions, len(u.data["rows"])) for u in units if isinstance(u, Unit)] == [
        ("a", (1, 2), 2),
        ("b", (3,), 1),
        ("c", (4, 5), 2),
    ]
    first = units[0]
    assert isinstance(first, Unit)
    assert first.data["i"] == 1
    assert [row["i"] for row in first.data["rows"]] == [1, 2]


def test_units_are_made_while_the_file_is_read(grouped: Mapping) -> None:
    read: list[int] = []

    def reading() -> Iterator[Row]:
        for row in rows("a", "a", "b", "c"):
            read.append(row.position)
            yield row

    units = iter(grouped.units(reading()))
    next(units)
    assert read == [1, 2, 3]


def test_rows_that_when_turns_away_stay_countable(grouped: Mapping) -> None:
    units = list(grouped.units(rows("a", "", "b")))
    assert [(u.external_id, u.positions) for u in units if isinstance(u, Unit)] == [
        ("a", (1,)),
        ("", (2,)),
        ("b", (3,)),
    ]
    skipped = units[1]
    assert isinstance(skipped, Unit)
    assert grouped.to_entity(skipped.data, {"system": {}}) is None


def test_an_unreadable_row_holds_back_its_group(grouped: Mapping) -> None:
    broken = Unreadable(3, "12 columns instead of 41", "列数が 41 ではなく 12 です。", hint={"n": "a"})
    found = list(grouped.units([*rows("a", "a"), broken, *rows("b", start=4)]))  # type: ignore[list-item]
    refused, good = found
    assert isinstance(refused, RecordFaults)
    assert (refused.external_id, refused.positions) == ("a", (1, 2, 3))
    assert refused.faults[0].reason_en == (
        "Line 3 of 'a' could not be read, so its rows are held back together: 12 columns instead of 41"
    )
    assert refused.faults[0].reason_ja == (
        "「a」の 3 行目が読めないため、この番号の行はまとめて保留しました: 列数が 41 ではなく 12 です。"
    )
    assert isinstance(good, Unit)


def test_an_unreadable_row_without_hint_in_the_midst_of_a_group_is_its_own(grouped: Mapping) -> None:
    broken = Unreadable(2, "bad byte", "読めない文字があります。")
    inside = list(grouped.units([*rows("a"), broken, *rows("a", start=3)]))  # type: ignore[list-item]
    assert [type(found) for found in inside] == [RecordFaults]
    between = list(grouped.units([*rows("a"), broken, *rows("b", start=3)]))  # type: ignore[list-item]
    assert [type(found) for found in between] == [Unit, Unit]


def test_records_without_group_are_units_of_their_own(make_mapping: MakeMapping) -> None:
    mapping = make_mapping(MAPPING.format(group="", external_id="{join: [n, h], with: '@'}", when=""))
    found = list(mapping.units([*rows("a", None), Unreadable(3, "x", "x")]))  # type: ignore[list-item]
    assert isinstance(found[0], Unit)
    assert (found[0].external_id, found[0].positions) == ("a@x", (1,))
    assert isinstance(found[1], RecordFaults)
    assert [(f.code, f.column, f.position) for f in found[1].faults] == [("required", "n", 2)]
    assert len(found) == 2


def test_keys_may_use_constants_of_the_system(make_mapping: MakeMapping) -> None:
    mapping = make_mapping(
        MAPPING.format(group="", external_id="{join: [$system.shop, n], with: '/'}", when="")
    )
    (unit,) = mapping.units(rows("a"), {"system": {"shop": "main"}})
    assert isinstance(unit, Unit)
    assert unit.external_id == "main/a"
    (refused,) = mapping.units(rows("a"))
    assert isinstance(refused, RecordFaults)
    assert refused.faults[0].code == "constant_missing"


@given(st.lists(st.sampled_from("abcdef"), max_size=30))
def test_every_row_is_in_exactly_one_unit_or_refusal(keys: list[str]) -> None:
    mapping = _KEPT[0]
    found = list(mapping.units(rows(*keys)))
    assert sorted(line for unit in found for line in unit.positions) == list(range(1, len(keys) + 1))
    first_seen: set[Any] = set()
    for unit in found:
        assert isinstance(unit, RecordFaults) == (unit.external_id in first_seen)
        first_seen.add(unit.external_id)


_KEPT: list[Mapping] = []


@pytest.fixture(autouse=True)
def _keep(grouped: Mapping) -> None:
    _KEPT[:] = [grouped]


@given(st.dictionaries(st.text(max_size=6), st.integers(0, 10**9), max_size=3000))
def test_seen_keys_remember_what_a_dict_would(known: dict[str, int]) -> None:
    seen = SeenKeys()
    assert all(seen.swap(key, number) is None for key, number in known.items())
    assert all(seen.swap(key, number + 1) == number for key, number in known.items())
    assert all(seen.swap(key, 0) == number + 1 for key, number in known.items())
    assert len(seen) == len(known)


def test_a_long_file_takes_little_memory(grouped: Mapping) -> None:
    def stream() -> Iterator[Row]:
        for line in range(1, 40_001):
            yield Row({"n": f"order-{line // 2:09d}", "h": "x"}, line)

    tracemalloc.start()
    try:
        count = sum(1 for _ in grouped.units(stream()))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == 20_001
    assert peak < 6_000_000
