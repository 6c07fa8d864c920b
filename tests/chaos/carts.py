"""Units kept for carts: a till of our own asks the hub's functions, a shop of our own asks the API of the gateways.

Both ask again until they get an answer, with the same key: whether units were taken is only known then.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import httpx
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from hub.stock import NotEnough, NotReservable, ReservationClosed, release, reserve, reserved
from tests.chaos.goods import CHANNELS, Sku

__all__ = ["Carts"]

BRIEF = 3
"""Seconds some reservations hold; the others hold for an hour."""
AGAIN_LATER = 0.3


class _NoAnswer(Exception):
    """It may have been done or not."""


class Carts:
    """Reserves and releases in a thread until `end`. `known` is key -> (sku, units, state); a state is
    only written down when the hub has said so.
    """

    def __init__(
        self, engine: Engine, gateways: Sequence[str], key: str, skus: Sequence[Sku], seed: str
    ) -> None:
        self.known: dict[str, tuple[str, int, str]] = {}
        self.done: Counter[str] = Counter()
        self.failed: list[str] = []
        self._engine = engine
        self._gateways = gateways
        self._api = httpx.Client(timeout=8, headers={"Authorization": f"Bearer {key}"})
        self._skus = skus
        self._seed = seed
        self._dice = random.Random(f"{seed}/carts")
        self._unsure: set[str] = set()
        """Refused in the end, but an earlier try got no answer: it may still be carried out."""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def begin(self) -> None:
        self._thread.start()

    def end(self) -> None:
        self._stop.set()
        self._thread.join(90)
        for key in self._unsure:
            sku, units, _ = self.known[key]
            with self._engine.connect() as connection:
                try:
                    found = reserved(connection, key)
                except ReservationClosed:
                    continue
            self.done["carried out after all"] += 1
            self.known[key] = (sku, units, found.state)

    def _run(self) -> None:
        try:
            while not self._stop.wait(self._dice.uniform(0.4, 1.4)):
                held = [key for key, (_, _, state) in self.known.items() if state == "open"]
                if held and self._dice.random() < 0.35:
                    self._release(self._dice.choice(held))
                else:
                    self._reserve()
        except Exception as error:  # noqa: BLE001  (told in the balance)
            self.failed.append(f"carts: {type(error).__name__}: {error}")

    def _surely(self, ask: Callable[[], str]) -> tuple[str, bool]:
        """The state the hub tells in the end, and whether a try before that got no answer."""
        unsure = False
        while True:
            try:
                return ask(), unsure
            except (DBAPIError, httpx.TransportError, _NoAnswer):
                self.done["cart asked again"] += 1
                unsure = True
                time.sleep(AGAIN_LATER)

    # ------------------------------------------------------------ take

    def _reserve(self) -> None:
        sku, units = self._dice.choice(self._skus).sku, self._dice.choice((1, 1, 2))
        key, channel = f"cart-{self._seed}-{len(self.known)}", self._dice.choice(CHANNELS)
        seconds = BRIEF if self._dice.random() < 0.4 else 3600
        by_api = self._dice.random() < 0.5

        def here() -> str:
            try:
                reserve(self._engine, sku=sku, quantity=units, channel=channel, key=key,
                        ttl=timedelta(seconds=seconds))  # fmt: skip
            except (NotEnough, NotReservable):
                return "none"
            return "open"

        def there() -> str:
            return self._post(
                "", {"sku": sku, "quantity": units, "channel": channel, "expires_in": seconds},
                {"Idempotency-Key": key}, {"not_enough": "none", "not_reservable": "none", "reservation_ended": "open"},
            )  # fmt: skip

        state, unsure = self._surely(there if by_api else here)
        if unsure and state == "none":
            self._unsure.add(key)
        if state == "open" and seconds == BRIEF:
            state = "expired"
        self.done["refuse" if state == "none" else "reserve by API" if by_api else "reserve"] += 1
        self.known[key] = (sku, units, state)

    # ------------------------------------------------------------ give back

    def _release(self, key: str) -> None:
        sku, units, _ = self.known[key]

        def here() -> str:
            with self._engine.begin() as connection:
                try:
                    release(connection, key)
                except ReservationClosed:
                    return reserved(connection, key).state
            return "released"

        def there() -> str:
            return self._post(f"/{key}/release", None, {}, {})

        by_api = self._dice.random() < 0.5
        state, _ = self._surely(there if by_api else here)
        self.done["release by API" if by_api else "release"] += 1
        self.known[key] = (sku, units, state)

    def _post(self, path: str, body: Any, headers: dict[str, str], refusals: dict[str, str]) -> str:
        answer = self._api.post(
            f"{self._dice.choice(self._gateways)}/api/v1/reservations{path}", json=body, headers=headers
        )
        if answer.is_success:
            return str(answer.json()["state"])
        code = answer.json().get("code") if "json" in answer.headers.get("content-type", "") else None
        if code in refusals:
            return refusals[code]
        if answer.status_code >= 500 or answer.status_code == 429:
            raise _NoAnswer
        raise AssertionError(
            f"the API answers {answer.status_code} to {path or 'reserve'}: {answer.text[:300]}"
        )
