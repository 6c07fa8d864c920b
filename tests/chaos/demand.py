"""What people do during a run, by one seed: they buy, call off, send back; goods come and go; prices change."""

from __future__ import annotations

import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.chaos.goods import CHANNELS, Sku
from tests.chaos.warehouse import Warehouse

__all__ = ["Channel", "Demand", "Placed"]

SCENES = ("plain", "plain", "plain", "cod", "guest", "dated", "line_discount", "pending", "edited")
"""Kinds of orders of the shop: paid, cash on delivery, without an account, not paid yet, changed afterwards, ..."""


class Channel:
    """A channel's `/_chaos/` door."""

    def __init__(self, name: str, url: str) -> None:
        self.name = name
        self.url = url
        self._client = httpx.Client(base_url=f"{url}/_chaos/", timeout=30)
        self._lock = threading.Lock()

    def ask(self, what: str, **said: Any) -> Any:
        with self._lock:
            answer = self._client.post(what, json=said)
        answer.raise_for_status()
        return answer.json()


@dataclass
class Placed:
    """An order as it was placed, and when (seconds since 1970)."""

    channel: str
    order: str
    key: str
    sku: str
    at: float


@dataclass
class Demand:
    """Plays people, `rate` things a second, until `end`. What was done stands in `done` and in `journal`."""

    channels: dict[str, Channel]
    warehouse: Warehouse
    skus: Sequence[Sku]
    seed: str
    rate: float
    journal: Path
    placed: list[Placed] = field(default_factory=list)
    done: Counter[str] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)
    """What went wrong with the play itself; must stay empty."""

    def __post_init__(self) -> None:
        self._dice = random.Random(f"{self.seed}/demand")
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._guarded, args=(work,), daemon=True)
            for work in (self._people, self._warehouse_works)
        ]
        self._returned: set[str] = set()
        self.gone_home = threading.Event()
        """Nobody buys any more; the warehouse goes on, and ships what it can."""

    def begin(self) -> None:
        for thread in self._threads:
            thread.start()

    def people_go_home(self) -> None:
        self.gone_home.set()
        self._threads[0].join(30)

    def end(self) -> None:
        self.gone_home.set()
        self._stop.set()
        for thread in self._threads:
            thread.join(30)

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001  (told in the balance)
            self.failed.append(f"{work.__name__}: {type(error).__name__}: {error}")

    # ------------------------------------------------------------ people

    def _people(self) -> None:
        what: dict[Callable[[], str | None], float] = {
            self._buy: 62, self._call_off: 8, self._think_better_of_it: 5, self._goods_come: 7, self._write_off: 2,
            self._price: 6, self._send_back: 4,
        }  # fmt: skip
        acts, weights = list(what), list(what.values())
        while not self.gone_home.wait(self._dice.expovariate(self.rate)):
            act = self._dice.choices(acts, weights)[0]
            said = act()
            if said is not None:
                self.done[act.__name__.strip("_").replace("_", " ")] += 1
                self._note(said)

        for one in self.skus:  # nothing that comes later hides a number a channel moved by itself
            if self._dice.random() < 0.5:
                self._think_better_of_it(one.sku)

    def _note(self, said: str) -> None:
        with self.journal.open("a") as file:
            file.write(json.dumps({"at": round(time.time(), 3), "what": said}, ensure_ascii=False) + "\n")

    def _sku(self) -> str:
        # the first ones are wanted most, scarce or not
        return self.skus[min(int(self._dice.expovariate(0.25)), len(self.skus) - 1)].sku

    def _buy(self, sku: str | None = None) -> str | None:
        channel, sku = self._dice.choice(CHANNELS), sku or self._sku()
        units = self._dice.choice((1, 1, 1, 2, 3))
        scene = self._dice.choice(SCENES)
        bought = self.channels[channel].ask("buy", sku=sku, units=units, scene=scene)
        if bought is None:
            self.done["sold out"] += 1
            return None
        self.placed.append(Placed(channel, bought["order"], bought["key"], sku, time.time()))
        return f"{bought['key']}: {units} x {sku} ({scene})"

    def _think_better_of_it(self, sku: str | None = None) -> str | None:
        """Bought and called off at once: the hub may see both together, and the channel's own number moves twice."""
        bought = self._buy(sku)
        return None if bought is None else f"{bought}; {self._call(self.placed[-1])}"

    def _call_off(self) -> str | None:
        return self._call(self._dice.choice(self.placed[-15:])) if self.placed else None

    def _call(self, one: Placed) -> str | None:
        restock = self._dice.random() < 0.5
        with self.warehouse.lock:
            if not self.warehouse.call_off(one.key):
                return None
            called_off = self.channels[one.channel].ask("cancel", order=one.order, restock=restock)
        return f"{one.key}: called off" if called_off else None

    def _send_back(self) -> str | None:
        """A parcel of the tills comes back: the money at once, the goods at the warehouse."""
        found = [one for one in self.placed if one.channel == "tills" and one.key not in self._returned
                 and self.warehouse.shipped(one.key)]  # fmt: skip
        if not found:
            return None
        one = self._dice.choice(found)
        self._returned.add(one.key)
        self.channels["tills"].ask("take_back", order=one.order, sku=one.sku)
        self.warehouse.receive(one.sku, 1)
        return f"{one.key}: one {one.sku} sent back"

    def _goods_come(self) -> str:
        sku, units = self._sku(), self._dice.randint(1, 4)
        self.warehouse.receive(sku, units)
        return f"{units} {sku} received"

    def _write_off(self) -> str | None:
        sku = self._sku()
        with self.warehouse.lock:
            if self.warehouse.unpromised(sku) < 1:
                return None
            self.warehouse.receive(sku, -1)
        return f"1 {sku} written off"

    def _price(self) -> str:
        channel, sku = self._dice.choice(CHANNELS), self._sku()
        price = 100 * self._dice.randint(5, 60)
        self.channels[channel].ask("price", sku=sku, price=price)
        return f"{sku} costs {price} at {channel}"

    # ------------------------------------------------------------ the warehouse's day

    def _warehouse_works(self) -> None:
        dice = random.Random(f"{self.seed}/day")
        count = 0.0
        while not self._stop.wait(dice.uniform(0.5, 1.2)):
            self.warehouse.read()
            self.warehouse.ship(1.0 if self.gone_home.is_set() else 0.5)
            if time.monotonic() >= count:
                self.warehouse.count()
                count = time.monotonic() + dice.uniform(2.0, 4.0)
