"""Locations: what a channel may sell from where, orders for one place, pools that overlap."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from datetime import timedelta

import pytest
from hypothesis import assume, given, settings, strategies as st
from room import Room, at

from hub.stock import NotEnough, reserve
from hub.stock.shape import Place, TooManyPools, build_shape, pools_around
from hub.systems import Systems

LOCATIONS = "EWST"
places = st.sets(st.sampled_from(LOCATIONS), min_size=1).map(frozenset)


def numbers(room: Room, sku: str = "A") -> dict[str, int]:
    return {
        key.split("/")[0]: each["quantity"] for key, each in room.sellable().items() if each["sku"] == sku
    }


@pytest.fixture
def stores(room: Room) -> Room:
    """One unit in the warehouse, five in the store; the store's own channel and the mall, which ships from both."""
    room.configure(till="constants: {channel: till}\nallocation: {locations: [S01], offers: everything}")
    room.count("A", 1, location="EAST", when=at(0))
    room.count("A", 5, location="S01", when=at(0))
    room.offer("A", channels=("mall",))
    return room


def test_a_channel_sells_from_the_locations_its_file_names(stores: Room) -> None:
    stores.allocate("mall", "{locations: [EAST]}")
    assert numbers(stores) == {"mall": 1, "till": 5}
    stores.allocate("mall", "{}")
    assert numbers(stores) == {"mall": 6, "till": 5}


def test_an_order_that_may_come_from_two_places_is_taken_into_account_only_where_it_must(
    stores: Room,
) -> None:
    stores.order("mall/1", {"A": 1})
    assert numbers(stores) == {"mall": 5, "till": 5}  # the warehouse has it
    stores.order("mall/2", {"A": 2})
    assert numbers(stores) == {"mall": 3, "till": 3}  # two of three must come from the store
    stores.order("till/1", {"A": 3})
    assert numbers(stores) == {"mall": 0, "till": 0}


def test_an_order_for_a_place_counts_there_alone(stores: Room) -> None:
    stores.order("mall/1", {"A": 2}, place="S01")  # fetched at the store
    assert numbers(stores) == {"mall": 4, "till": 3}
    stores.order("mall/2", {"A": 1}, place="somewhere in the garden")
    assert numbers(stores) == {"mall": 3, "till": 3}


def test_units_a_warehouse_has_in_hand_are_promised_from_there(stores: Room) -> None:
    stores.order("mall/1", {"A": 2})
    stores.ship("mall/1", {"A": 2}, location="S01", status="instructed")
    assert numbers(stores) == {"mall": 4, "till": 3}


def test_a_location_that_does_not_sell_online_is_left_out_unless_a_channel_names_it(stores: Room) -> None:
    stores.say("wms", "location", {"key": "S01", "name": "渋谷店", "sells_online": False, "safety_stock": 2})
    assert numbers(stores) == {"mall": 1, "till": 3}
    stores.say("wms", "location", {"key": "S01", "name": "渋谷店"})
    assert numbers(stores) == {"mall": 6, "till": 5}


def test_a_channel_entity_may_name_the_locations(stores: Room) -> None:
    stores.say("mall", "channel", {"key": "mall", "name": "モール", "locations": ["EAST"]})
    assert numbers(stores) == {"mall": 1, "till": 5}
    stores.allocate("mall", "{locations: [S01]}")  # the system file comes first
    assert numbers(stores) == {"mall": 5, "till": 5}


def test_a_reservation_at_a_store_takes_from_the_store(stores: Room) -> None:
    stores.say("wms", "location", {"key": "S01", "name": "渋谷店", "pickup": True})
    stores.turn()
    reserve(stores.engine, sku="A", quantity=4, channel="mall", location="S01", ttl=timedelta(hours=1))
    with pytest.raises(NotEnough):
        reserve(stores.engine, sku="A", quantity=2, channel="mall", location="S01")
    assert numbers(stores) == {"mall": 2, "till": 1}


def test_a_store_that_opens_changes_only_what_lies_there(stores: Room) -> None:
    stores.count("B", 3, when=at(0))
    stores.offer("B", channels=("mall",))
    stores.turn()
    stores.count("A", 2, location="S02", when=at(0))
    assert stores.turn().skus == 1
    assert numbers(stores) == {"mall": 8, "till": 5}


def test_rules_for_single_skus(room: Room) -> None:
    room.count("A", 10, when=at(0))
    room.count("B", 10, when=at(0))
    room.offer("A", "B")
    room.allocate("mall", "{policy: share, share: 40%, skus: {B: {policy: shared, buffer: 3}}}")
    assert {k: (v["quantity"], v.get("withheld"), v.get("buffer")) for k, v in room.sellable().items()} == {
        "mall/A": (4, 6, None), "mall/B": (7, None, 3), "shop/A": (10, None, None), "shop/B": (10, None, None),
    }  # fmt: skip


# ---------------------------------------------------------------- kits


def test_a_kit_is_as_many_as_its_scarcest_part_allows(room: Room) -> None:
    kit = [{"sku": "P", "quantity": 2}, {"sku": "Q", "quantity": 1}]
    product = {"key": "SET", "code": "SET", "name": "SET", "variants": [{"sku": "SET", "kit": kit}]}
    room.say("wms", "product", product)
    room.count("P", 7, when=at(0))
    room.offer("SET", "P", "Q", channels=("mall",))
    assert set(room.sellable()) == {"mall/P"}  # nobody ever counted Q
    room.count("Q", 9, when=at(0))
    found = room.sellable()["mall/SET"]
    assert (found["quantity"], found["limiting_part"], found["part_units"], found["on_hand"]) == (
        3,
        "P",
        2,
        7,
    )
    room.order("mall/1", {"SET": 2, "P": 1})
    assert {key: each["quantity"] for key, each in room.sellable().items()} == {
        "mall/P": 2,
        "mall/Q": 7,
        "mall/SET": 1,
    }
    room.accept("mall/1", at(1))
    room.count("P", 7, when=at(60), allocated=5)
    room.count("Q", 9, when=at(60), allocated=2)
    assert {key: each["quantity"] for key, each in room.sellable().items()} == {
        "mall/P": 2,
        "mall/Q": 7,
        "mall/SET": 1,
    }
    assert room.scalar("SELECT count(*) FROM stock_demand") == 0


def test_parts_shipped_for_a_kit_book_it(room: Room) -> None:
    room.configure(wms="constants: {channel: wms}\nallocation: {counts: {books: shipment}}")
    kit = [{"sku": "P", "quantity": 2}]
    room.say(
        "wms",
        "product",
        {"key": "SET", "code": "SET", "name": "SET", "variants": [{"sku": "SET", "kit": kit}]},
    )
    room.count("P", 8, when=at(0))
    room.offer("P", channels=("mall",))
    room.order("mall/1", {"SET": 2}, when=at(1))
    assert numbers(room, "P") == {"mall": 4}
    room.ship("mall/1", {"P": 4}, shipped_at=at(2))
    room.count("P", 4, when=at(60 * 25))
    assert numbers(room, "P") == {"mall": 4}


def test_a_kit_that_is_counted_itself_is_a_thing_of_its_own(room: Room) -> None:
    kit = [{"sku": "P", "quantity": 1}]
    room.say(
        "wms",
        "product",
        {"key": "SET", "code": "SET", "name": "SET", "variants": [{"sku": "SET", "kit": kit}]},
    )
    room.count("P", 8, when=at(0))
    room.offer("SET", "P", channels=("mall",))
    room.order("mall/1", {"SET": 3})
    assert numbers(room, "P") == {"mall": 5} == numbers(room, "SET")
    room.count("SET", 4, when=at(0))
    assert (numbers(room, "P"), numbers(room, "SET")) == ({"mall": 8}, {"mall": 1})


def test_a_kit_whose_parts_change(room: Room) -> None:
    def define(**parts: int) -> None:
        kit = [{"sku": sku, "quantity": units} for sku, units in parts.items()]
        room.say(
            "wms", "product", {"key": "S", "code": "S", "name": "S", "variants": [{"sku": "S", "kit": kit}]}
        )

    define(P=2, Q=1)
    room.count("P", 8, when=at(0))
    room.count("Q", 3, when=at(0))
    room.offer("S", channels=("mall",))
    assert numbers(room, "S") == {"mall": 3}
    define(P=4)
    assert numbers(room, "S") == {"mall": 2}


# ---------------------------------------------------------------- pools


def served(stock: Mapping[str, int], claims: Iterable[tuple[frozenset[str], int]]) -> bool:
    """Whether every unit claimed can be given from a location of its own set: a matching, unit by unit."""
    units = [of for of, number in claims for _ in range(number)]
    given: dict[str, list[int]] = {each: [] for each in stock}

    def give(unit: int, tried: set[str]) -> bool:
        for location in units[unit] - tried:
            tried.add(location)
            if len(given[location]) < stock[location]:
                given[location].append(unit)
                return True
            for other in list(given[location]):
                if give(other, tried):
                    given[location][given[location].index(other)] = unit
                    return True
        return False

    return all(give(unit, set()) for unit in range(len(units)))


@settings(deadline=None)
@given(
    sets=st.dictionaries(st.sampled_from(["a", "b", "c", "d"]), places, min_size=1),
    stock=st.fixed_dictionaries({each: st.integers(0, 4) for each in LOCATIONS}),
    claims=st.lists(st.tuples(st.sampled_from(["a", "b", "c", "d"]), st.integers(1, 3)), max_size=5),
)
def test_the_tightest_pool_is_exactly_what_can_still_be_promised(
    sets: dict[str, frozenset[str]], stock: dict[str, int], claims: list[tuple[str, int]]
) -> None:
    known = [(sets[name], units) for name, units in claims if name in sets]
    assume(served(stock, known))
    pools = pools_around(sets).values()
    for mine in sets.values():
        tightest = min(
            sum(stock[each] for each in pool) - sum(units for of, units in known if of <= pool)
            for pool in pools
            if mine <= pool
        )
        assert served(stock, [*known, (mine, tightest)])
        assert not served(stock, [*known, (mine, tightest + 1)])


def test_location_lists_that_cross_in_every_way_are_refused() -> None:
    sets = {f"{a}{b}": frozenset((f"{a}", f"{b}")) for a, b in itertools.combinations(range(12), 2)}
    with pytest.raises(TooManyPools):
        pools_around(sets)


def test_nothing_is_taken_from_nowhere() -> None:
    shape = build_shape(Systems(), [Place("S01", online=False)], {"till": ["S01"]}, lambda _: None)
    assert {(row["pool"], row["places"]) for row in shape.pool_places} == {("*", "*"), ("@S01", "@S01")}
