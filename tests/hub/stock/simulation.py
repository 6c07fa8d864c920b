"""A market: buyers on several channels, the same demand for two ways of keeping stock.

- **hub**: the hub itself, its stock room and its database. What channels tell arrives by webhook after a moment; some
  webhooks are lost and found by the next poll. Numbers that changed are sent at once.
- **poller**: what the general tools do: every five minutes it reads the orders of all channels and sends at most 2,000
  SKUs.

Both see the same buyers at the same moments. A buyer buys when the channel shows enough; a channel takes the units off
its own number at once, as marketplaces do. The warehouse counts now and then. Units sold beyond what was there are
oversold.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Protocol

from room import CHANNEL, WMS, Room, at

__all__ = ["Buyer", "HubWay", "Market", "PollingWay", "Result", "run"]

POLL = 5.0
"""Minutes between two runs of the poller, and between two of the hub's own polls."""
MOST = 2000
"""SKUs the poller sends in one run."""


@dataclass(frozen=True, slots=True)
class Buyer:
    """Somebody who looks at a channel at a minute and wants units of a SKU."""

    minute: float
    channel: str
    sku: str
    units: int


@dataclass(frozen=True, slots=True)
class Market:
    """What both ways are put into. Minutes; the first `stock` of each SKU lies in the warehouse at minute 0."""

    channels: tuple[str, ...]
    stock: dict[str, int]
    buyers: tuple[Buyer, ...]
    counts: tuple[float, ...]
    late: float = 0.05
    """Mean minutes until a webhook, or a number that was sent, arrives."""
    lost: float = 0.05
    """Share of webhooks that never come."""
    seed: int = 0

    @classmethod
    def drawn(cls, seed: int, *, channels: int, skus: int, buyers: int, minutes: float) -> Market:
        """A random day: half of the buyers come when a SKU is talked about, within a quarter of an hour or so."""
        chance = Random(seed)
        names = tuple(f"ch{n}" for n in range(channels))
        stock = {f"{seed}-{n}": chance.randint(1, 10) for n in range(skus)}
        talked_about = {sku: chance.uniform(10, minutes - 30) for sku in stock}
        drawn = []
        for _ in range(buyers):
            sku, channel, units = (
                chance.choice(list(stock)),
                chance.choice(names),
                chance.choice((1, 1, 1, 2)),
            )
            rush = chance.random() < 0.5
            minute = chance.gauss(talked_about[sku], 8) if rush else chance.uniform(1, minutes)
            drawn.append(Buyer(min(max(minute, 0.5), minutes), channel, sku, units))
        every = tuple(minutes * part for part in (0.3, 0.6, 0.9))
        return cls(names, stock, tuple(sorted(drawn, key=lambda buyer: buyer.minute)), every, seed=seed)


@dataclass
class Result:
    """How a day went. `oversold`: units sold that were not there; `turned_away`: wanted, there, and not shown."""

    sold: int = 0
    oversold: int = 0
    turned_away: int = 0
    sent: int = 0
    wrong: dict[str, int] = field(default_factory=dict)
    """At the end of the day: channel/SKU -> what it shows, where that is not what is left."""


class Way(Protocol):
    """A way of keeping the channels' numbers."""

    def start(self, day: Day) -> None: ...

    def ordered(self, day: Day, key: str, buyer: Buyer) -> None: ...

    def counted(self, day: Day, minute: float, lies: dict[str, int], promised: dict[str, int]) -> None: ...


class Day:
    """The clock, what each channel shows, and the truth."""

    def __init__(self, market: Market) -> None:
        self.market = market
        self.chance = Random(market.seed + 1)
        self.now = 0.0
        self.shows: dict[tuple[str, str], int] = {}
        self.truth = dict(market.stock)
        self.result = Result()
        self.orders: dict[str, Buyer] = {}
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._tie = itertools.count()

    def later(self, minutes: float, do: Callable[[], None]) -> None:
        """Do something so many minutes from now."""
        heapq.heappush(self._events, (self.now + minutes, next(self._tie), do))

    def delay(self) -> float:
        return self.chance.expovariate(1 / self.market.late)

    def show(self, channel: str, sku: str, units: int) -> None:
        """Send a channel a number; it arrives a moment later, over whatever the channel shows by then."""
        self.result.sent += 1
        self.later(self.delay(), lambda: self.shows.__setitem__((channel, sku), units))

    def buy(self, way: Way, number: int, buyer: Buyer) -> None:
        place = (buyer.channel, buyer.sku)
        if self.shows.get(place, 0) < buyer.units:
            self.result.turned_away += min(buyer.units, max(self.truth[buyer.sku], 0))
            return
        self.shows[place] -= buyer.units
        self.result.sold += buyer.units
        self.result.oversold += min(buyer.units, max(buyer.units - self.truth[buyer.sku], 0))
        self.truth[buyer.sku] -= buyer.units
        key = f"{buyer.channel}/{self.market.seed}-{number}"
        self.orders[key] = buyer
        way.ordered(self, key, buyer)

    def events(self) -> Iterator[Callable[[], None]]:
        while self._events:
            self.now, _, do = heapq.heappop(self._events)
            yield do


def run(market: Market, way: Way) -> Result:
    """Play the day to its end."""
    day = Day(market)
    for channel in market.channels:
        for sku, units in market.stock.items():
            day.shows[(channel, sku)] = units
    way.start(day)
    for number, buyer in enumerate(market.buyers):
        day.later(buyer.minute, lambda number=number, buyer=buyer: day.buy(way, number, buyer))  # type: ignore[misc]
    for minute in market.counts:
        day.later(minute, lambda: way.counted(day, day.now, dict(market.stock), _promised(day)))
    for do in day.events():
        do()
    day.result.wrong = {
        f"{channel}/{sku}": shown
        for (channel, sku), shown in day.shows.items()
        if shown != max(day.truth[sku], 0)
    }
    return day.result


def _promised(day: Day) -> dict[str, int]:
    """What the warehouse has promised: orders it was handed over, a moment after they were placed."""
    promised: dict[str, int] = dict.fromkeys(day.market.stock, 0)
    for buyer in day.orders.values():
        if buyer.minute <= day.now - 2 * POLL:
            promised[buyer.sku] += buyer.units
    return promised


# ---------------------------------------------------------------- the two ways


class PollingWay:
    """Every five minutes: orders in, numbers out, 2,000 SKUs at most."""

    def __init__(self) -> None:
        self._sold: dict[str, int] = {}
        self._told: dict[str, int] = {}
        self._behind: list[str] = []

    def start(self, day: Day) -> None:
        self._told = dict(day.market.stock)
        last = day.market.buyers[-1].minute + 2 * POLL
        for n in range(1, int(last / POLL) + 1):
            day.later(n * POLL, lambda: self._poll(day))

    def ordered(self, day: Day, key: str, buyer: Buyer) -> None:
        self._sold[buyer.sku] = self._sold.get(buyer.sku, 0) + buyer.units

    def counted(self, day: Day, minute: float, lies: dict[str, int], promised: dict[str, int]) -> None:
        """It knows from the orders what the count will say."""

    def _poll(self, day: Day) -> None:
        now = {sku: max(units - self._sold.get(sku, 0), 0) for sku, units in day.market.stock.items()}
        changed = [sku for sku, units in now.items() if units != self._told[sku]]
        for sku in changed[:MOST]:
            self._told[sku] = now[sku]
            for channel in day.market.channels:
                day.show(channel, sku, now[sku])


class HubWay:
    """The hub: an order is taken in a moment after it was placed, or by the poll; what changed is sent at once."""

    def __init__(self, room: Room) -> None:
        self.room = room
        self._told: dict[str, int] = {}
        self._known: set[str] = set()

    def start(self, day: Day) -> None:
        self.room.configure(
            wms=f"{WMS}allocation: {{counts: {{books_after: 0m}}}}\n",
            **{name: CHANNEL.format(channel=name, more="") for name in day.market.channels},
        )
        for sku, units in day.market.stock.items():
            self.room.count(sku, units, when=at(0))
        self.room.offer(*day.market.stock, channels=day.market.channels)
        self._told = {key: offer["quantity"] for key, offer in self._offers(day).items()}
        last = day.market.buyers[-1].minute + 2 * POLL
        for n in range(1, int(last / POLL) + 1):
            day.later(n * POLL, lambda: self._take_in(day, list(day.orders)))

    def ordered(self, day: Day, key: str, buyer: Buyer) -> None:
        if day.chance.random() >= day.market.lost:
            day.later(day.delay(), lambda: self._take_in(day, [key]))

    def counted(self, day: Day, minute: float, lies: dict[str, int], promised: dict[str, int]) -> None:
        for sku, units in lies.items():
            self.room.count(sku, units, when=at(minute), allocated=promised[sku])
        self._send(day)

    def _take_in(self, day: Day, keys: list[str]) -> None:
        new = [key for key in keys if key not in self._known]
        for key in new:
            buyer = day.orders[key]
            self.room.order(key, {buyer.sku: buyer.units}, when=at(buyer.minute))
            self._known.add(key)
            # handed over to the warehouse with the next file
            day.later(2 * POLL - (day.now - buyer.minute), lambda key=key: self._hand_over(day, key))  # type: ignore[misc]
        if new:
            self._send(day)

    def _hand_over(self, day: Day, key: str) -> None:
        self.room.accept(key, at(day.orders[key].minute + 2 * POLL))

    def _offers(self, day: Day) -> dict[str, dict[str, int]]:
        skus = day.market.stock
        return {key: offer for key, offer in self.room.sellable().items() if offer["sku"] in skus}

    def _send(self, day: Day) -> None:
        for key, offer in self._offers(day).items():
            if self._told[key] != offer["quantity"]:
                self._told[key] = offer["quantity"]
                channel, _, sku = key.partition("/")
                day.show(channel, sku, offer["quantity"])
