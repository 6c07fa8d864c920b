"""Which locations each channel sells from, and how: the system files worked out into tables.

*Places* are a set of locations something may be taken from: "*" all that sell online, "@S01" one location, "p:..."
any other set. A *pool* is a set of locations whose stock and promises are summed up. What is promised from some
places counts in every pool that holds all of them; a channel may offer what the tightest of the pools around its own
places has left. Pools are the sets that channels name and the unions of those that overlap, so that a unit promised
from "the warehouse or the store" is taken into account for the store alone only when it must be (Hall's theorem).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import orjson

from hub.stock.checks import SHIPMENT
from hub.stock.policy import BOOKS_AFTER, COUNT_AGE, Cut
from hub.words import HubError

if TYPE_CHECKING:
    from hub.systems import Systems

__all__ = ["ANY_CHANNEL", "EVERYWHERE", "Place", "Shape", "at_location", "build_shape", "pools_around"]

EVERYWHERE = "*"
ANY_CHANNEL = "*"
MOST_POOLS = 512
"""More pools mean that the location lists of channels cross in every way; then nobody can follow the numbers."""

Locations = frozenset[str]


class TooManyPools(HubError):
    """The location lists of channels cross in too many ways."""


def at_location(location: str) -> str:
    """The places that are one location."""
    return f"@{location}"


@dataclass(frozen=True, slots=True)
class Place:
    """A location as the stock room sees it."""

    location: str
    online: bool = True
    pickup: bool = False


@dataclass(slots=True)
class Shape:
    """Rows of the tables `stock_rule`, `stock_counter`, `stock_pool_location` and `stock_pool_places`."""

    rules: list[dict[str, Any]] = field(default_factory=list)
    counters: list[dict[str, Any]] = field(default_factory=list)
    pool_locations: list[dict[str, str]] = field(default_factory=list)
    pool_places: list[dict[str, str]] = field(default_factory=list)

    def digest(self, known: Iterable[str]) -> str:
        """Equal for shapes that give equal numbers for SKUs that lie in `known` locations only."""
        there = set(known)
        parts = [
            sorted(map(_line, self.rules)),
            sorted(map(_line, self.counters)),
            sorted(_line(row) for row in self.pool_locations if row["location"] in there),
            sorted(_line(row) for row in self.pool_places if _place_known(row["places"], there)),
        ]
        return hashlib.blake2b(orjson.dumps(parts), digest_size=16).hexdigest()


def _place_known(places: str, there: set[str]) -> bool:
    return not places.startswith("@") or places[1:] in there


def _line(row: Mapping[str, Any]) -> str:
    return orjson.dumps(row, default=str, option=orjson.OPT_SORT_KEYS).decode()


def build_shape(
    systems: Systems,
    places: Iterable[Place],
    channel_locations: Mapping[str, Iterable[str]],
    books_flow: Callable[[str], str | None],
) -> Shape:
    """Work the system files out.

    `channel_locations` are the locations that Channel entities name; a system file's `locations` come first.
    `books_flow` names the flow by which a system is told of orders, where its file does not say.
    Raises TooManyPools.
    """
    known = list(places)
    online = frozenset(place.location for place in known if place.online)
    sets: dict[str, Locations] = {EVERYWHERE: online}
    sets |= {at_location(p.location): frozenset((p.location,)) for p in known if p.pickup}
    shape = Shape(rules=[_rule(ANY_CHANNEL, "", EVERYWHERE, Cut(), False)])
    named: dict[str, Locations] = {name: frozenset(each) for name, each in channel_locations.items()}
    for system in systems.systems.values():
        said, channel = system.allocation, system.constants.get("channel")
        shape.counters.append(_counter(system.system, channel, said, books_flow))
        if not isinstance(channel, str) or said is None or not said.model_fields_set - {"counts"}:
            continue
        mine = frozenset(said.locations) or named.pop(channel, frozenset())
        named.pop(channel, None)
        shape.rules += _rules_of(channel, said, _called(mine, sets))
    for channel, mine in named.items():
        if mine:
            shape.rules.append(_rule(channel, "", _called(mine, sets), Cut(), False))
    pools = pools_around(sets)
    for name, locations in pools.items():
        shape.pool_locations += [{"pool": name, "location": each} for each in sorted(locations)]
        # an empty set lies in no other: nothing can be taken from it
        inside = (called for called, each in sets.items() if each == locations or (each and each < locations))
        shape.pool_places += [{"pool": name, "places": called} for called in sorted(inside)]
    # a location that an order or a reservation names counts wherever it lies
    singles = {at_location(place.location): place.location for place in known} | {
        at_location(each): each for locations in sets.values() for each in locations
    }
    held = {(row["pool"], row["places"]) for row in shape.pool_places}
    for name, locations in pools.items():
        shape.pool_places += [
            {"pool": name, "places": called}
            for called, each in sorted(singles.items())
            if each in locations and (name, called) not in held
        ]
    return shape


def _rules_of(channel: str, said: Any, places: str) -> list[dict[str, Any]]:
    everything = said.offers == "everything"
    rows = [_rule(channel, "", places, said.cut(), everything)]
    rows += [
        _rule(channel, sku, places, said.with_changes(changed).cut(), everything)
        for sku, changed in said.skus.items()
    ]
    return rows


def _rule(channel: str, sku: str, places: str, cut: Cut, everything: bool) -> dict[str, Any]:
    return {
        "channel": channel, "sku": sku, "places": places, "policy": cut.policy, "buffer": cut.buffer,
        "share": cut.share, "leave": cut.leave, "at_most": cut.at_most, "everything": everything,
    }  # fmt: skip


def _counter(
    system: str, channel: object, said: Any, books_flow: Callable[[str], str | None]
) -> dict[str, Any]:
    counts = None if said is None else said.counts
    flow = None if counts is None else counts.books
    if flow is None:
        flow = books_flow(system)
    after: timedelta = BOOKS_AFTER if counts is None else counts.books_after
    age: timedelta = COUNT_AGE if counts is None else counts.age
    return {
        "system": system,
        "channel": channel if isinstance(channel, str) else None,
        "flow": None if flow == SHIPMENT else flow,
        "books_after": after,
        "count_age": age,
    }


def _called(locations: Locations, sets: dict[str, Locations]) -> str:
    """The name of a set of locations, new or known."""
    if not locations:
        return EVERYWHERE
    name = at_location(next(iter(locations))) if len(locations) == 1 else _hashed(locations)
    sets[name] = locations
    return name


def _hashed(locations: Locations) -> str:
    text = "\n".join(sorted(locations)).encode()
    return f"p:{hashlib.blake2b(text, digest_size=6).hexdigest()}"


def pools_around(sets: Mapping[str, Locations]) -> dict[str, Locations]:
    """The sets themselves, and the unions of those that overlap, each under one name. Raises TooManyPools."""
    pools: dict[Locations, str] = {}
    for name, locations in sets.items():
        pools.setdefault(locations, name)
    waiting = list(pools)
    while waiting:
        one = waiting.pop()
        for other in list(pools):
            if not one & other or one <= other or other <= one:
                continue
            union = one | other
            if union not in pools:
                pools[union] = _hashed(union)
                waiting.append(union)
        if len(pools) - len(sets) > MOST_POOLS:
            raise TooManyPools(
                "チャネルの allocation.locations の重なり方が複雑すぎます。拠点の組み合わせを減らしてください。",
                "The allocation.locations of channels overlap in too many ways. Use fewer combinations.",
            )
    return {name: locations for locations, name in pools.items()}
