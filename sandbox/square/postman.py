"""Webhooks: events are signed and posted to the subscribed URL; what is not taken in time comes again.

A real network doubles, swaps and loses calls; `Habits` says how often, by a seeded random generator, so that a test
that failed can be run again. Square repeats a call that is not answered 2xx within ten seconds, with growing waits
over 24 hours; the waits here are shorter.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import random
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

__all__ = ["Habits", "Postman", "Subscription", "sign"]


@dataclass(frozen=True)
class Subscription:
    """Where events go. `url` is signed with the body, letter by letter."""

    url: str
    signature_key: str = "sandbox-signature-key"
    event_types: frozenset[str] | None = None
    """None: all."""


@dataclass(frozen=True)
class Habits:
    """What the way does to calls: shares of calls (0 to 1), seconds, tries.

    duplicate  comes twice, with the same event id
    reorder    waits for up to `delay` seconds, so that later ones overtake it
    lose       never comes
    """

    duplicate: float = 0.0
    reorder: float = 0.0
    lose: float = 0.0
    delay: float = 0.5
    tries: int = 11
    first_wait: float = 0.2
    longest_wait: float = 5.0
    timeout: float = 10.0


@dataclass(order=True)
class _Letter:
    due: float
    number: int
    body: bytes = field(compare=False)
    attempt: int = field(compare=False, default=0)
    reason: str = field(compare=False, default="")


def sign(key: str, url: str, body: bytes) -> str:
    """`x-square-hmacsha256-signature`: base64 of HMAC-SHA256 over notification URL and body."""
    return base64.b64encode(hmac.digest(key.encode(), url.encode() + body, hashlib.sha256)).decode()


class Postman:
    """Takes events and posts them; by itself within `with postman.working()`, else when `deliver` is called."""

    def __init__(
        self,
        subscription: Subscription,
        habits: Habits | None = None,
        *,
        seed: int = 7,
        clock: Callable[[], float] = time.monotonic,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.subscription = subscription
        self.habits = habits or Habits()
        self.counts: Counter[str] = Counter()
        """accepted, failed, doubled, delayed, lost, given_up."""
        self._random = random.Random(seed)
        self._ids = random.Random(seed + 1)
        self._clock = clock
        self._transport = transport
        self._letters: list[_Letter] = []
        self._number = 0
        self._lock = threading.Lock()

    def publish(
        self, kind: str, merchant_id: str, created_at: str, data: dict[str, Any], **more: Any
    ) -> str | None:
        """Take one event; its id, None if nobody subscribed to it."""
        wanted = self.subscription.event_types
        if wanted is not None and kind not in wanted:
            return None
        with self._lock:
            event_id = str(uuid.UUID(int=self._ids.getrandbits(128), version=4))
            event = {"merchant_id": merchant_id, **more, "type": kind, "event_id": event_id}
            event |= {"created_at": created_at, "data": data}
            body = json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()
            now = self._clock()
            if self._happens(self.habits.lose):
                self.counts["lost"] += 1
                return event_id
            if self._happens(self.habits.reorder):
                self.counts["delayed"] += 1
                now += self._random.random() * self.habits.delay
            self._put(_Letter(now, self._number, body))
            if self._happens(self.habits.duplicate):
                self.counts["doubled"] += 1
                self._put(_Letter(now + self._random.random() * self.habits.delay, self._number, body))
            return event_id

    @property
    def waiting(self) -> int:
        """Calls that are still to be made."""
        return len(self._letters)

    def deliver(self, *, all_of_them: bool = False) -> int:
        """Post what is due (or everything), in order; how many calls were made."""
        made = 0
        with httpx.Client(timeout=self.habits.timeout, transport=self._transport) as client:
            while (letter := self._next(everything=all_of_them)) is not None:
                self._post(client, letter)
                made += 1
        return made

    @contextmanager
    def working(self) -> Iterator[None]:
        """Deliver in a thread of its own until the block ends; then what is left, once."""
        stop = threading.Event()

        def work() -> None:
            with httpx.Client(timeout=self.habits.timeout, transport=self._transport) as client:
                while not stop.is_set():
                    letter = self._next(everything=False)
                    if letter is None:
                        stop.wait(0.01)
                    else:
                        self._post(client, letter)

        thread = threading.Thread(target=work, name="square-webhooks", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(timeout=self.habits.timeout + 1)

    def _happens(self, share: float) -> bool:
        return share > 0 and self._random.random() < share

    def _put(self, letter: _Letter) -> None:
        self._letters.append(letter)
        self._number += 1

    def _next(self, *, everything: bool) -> _Letter | None:
        with self._lock:
            due = [letter for letter in self._letters if everything or letter.due <= self._clock()]
            if not due:
                return None
            first = min(due)
            self._letters.remove(first)
            return first

    def _post(self, client: httpx.Client, letter: _Letter) -> None:
        url = self.subscription.url
        headers = {
            "Content-Type": "application/json",
            "x-square-hmacsha256-signature": sign(self.subscription.signature_key, url, letter.body),
        }
        if letter.attempt:
            headers |= {"square-retry-number": str(letter.attempt), "square-retry-reason": letter.reason}
        try:
            status = client.post(url, content=letter.body, headers=headers).status_code
            letter.reason = "http_error"
        except httpx.HTTPError as error:
            status = 0
            letter.reason = "http_timeout" if isinstance(error, httpx.TimeoutException) else "other_error"
        if 200 <= status < 300:
            self.counts["accepted"] += 1
            return
        self.counts["failed"] += 1
        letter.attempt += 1
        if letter.attempt >= self.habits.tries:
            self.counts["given_up"] += 1
            return
        wait = min(self.habits.first_wait * 2 ** (letter.attempt - 1), self.habits.longest_wait)
        with self._lock:
            letter.due = self._clock() + wait
            self._letters.append(letter)
