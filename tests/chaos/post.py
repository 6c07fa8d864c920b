"""Takes a channel's events to the hub's gateways: signed, again until they are accepted, as unreliable as posts are.

Each event has a fate: it goes plainly, comes twice, late (so that others overtake it), or never. What became of every
single one stands in the journal, against which the hub's intake is held in the end.
"""

from __future__ import annotations

import heapq
import random
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

__all__ = ["Letter", "Post"]

FATES: Mapping[str, float] = {"lost": 0.08, "doubled": 0.12, "late": 0.12}
TRIES = 40


@dataclass
class Entry:
    """What became of one event. `outcomes`: what the gateways said, by outcome; `calls` counts all tries."""

    event: str
    fate: str
    calls: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    given_up: bool = False


@dataclass(order=True)
class Letter:
    due: float
    number: int
    entry: Entry = field(compare=False)
    headers: Mapping[str, str] = field(compare=False)
    body: bytes = field(compare=False)
    tries: int = field(compare=False, default=0)


class Post:
    """`urls`: the same door at several gateways; whichever is up takes the event."""

    def __init__(self, urls: Sequence[str], seed: str, *, carriers: int = 3) -> None:
        self.urls = list(urls)
        self.journal: dict[str, Entry] = {}
        self._dice = random.Random(f"{seed}/post")
        self._letters: list[Letter] = []
        self._number = 0
        self._under_way = 0
        self._calm = True
        self._there = threading.Condition()
        for _ in range(carriers):
            threading.Thread(target=self._carry, daemon=True).start()

    def take(self, event: str, headers: Mapping[str, str], body: bytes) -> None:
        """An event of the channel; its fate is decided here."""
        with self._there:
            point, fate = self._dice.random(), "plain"
            for name, share in FATES.items():
                if not self._calm and 0 <= point < share:
                    fate = name
                point -= share
            entry = self.journal[event] = Entry(event, fate)
            if fate == "lost":
                return
            late = self._dice.uniform(0.5, 4.0) if fate == "late" else 0.0
            self._put(late, entry, headers, body)
            if fate == "doubled":
                # at the same moment through another gateway, or a while later
                self._put(self._dice.choice((0.0, 0.3, 2.0)), entry, headers, body)

    def storm(self) -> None:
        with self._there:
            self._calm = False

    def calm(self) -> None:
        """From now on every event goes plainly."""
        with self._there:
            self._calm = True

    @property
    def waiting(self) -> int:
        with self._there:
            return len(self._letters) + self._under_way

    def told(self) -> list[dict[str, Any]]:
        with self._there:
            return [vars(entry) | {"outcomes": dict(entry.outcomes)} for entry in self.journal.values()]

    def _put(
        self, wait: float, entry: Entry, headers: Mapping[str, str], body: bytes, tries: int = 0
    ) -> None:
        self._number += 1
        letter = Letter(time.monotonic() + wait, self._number, entry, headers, body, tries)
        heapq.heappush(self._letters, letter)
        self._there.notify()

    def _next(self) -> tuple[Letter, str]:
        with self._there:
            while not self._letters or self._letters[0].due > time.monotonic():
                wait = self._letters[0].due - time.monotonic() if self._letters else None
                self._there.wait(wait)
            self._under_way += 1
            return heapq.heappop(self._letters), self._dice.choice(self.urls)

    def _carry(self) -> None:
        with httpx.Client(timeout=5.0) as client:
            while True:
                letter, url = self._next()
                outcome, accepted = "no_answer", False
                try:
                    answer = client.post(url, content=letter.body, headers=dict(letter.headers))
                    accepted = answer.is_success
                    outcome = str(answer.json()["status"])
                except (httpx.HTTPError, ValueError, KeyError):
                    outcome = "no_answer"
                with self._there:
                    self._under_way -= 1
                    entry = letter.entry
                    entry.calls += 1
                    entry.outcomes[outcome] += 1
                    if accepted:
                        continue
                    if letter.tries + 1 >= TRIES:
                        entry.given_up = True
                        continue
                    pause = min(0.2 * 1.6**letter.tries, 2.0)
                    self._put(pause, entry, letter.headers, letter.body, letter.tries + 1)
