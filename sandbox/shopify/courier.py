"""Takes the shop's events to subscribers: signed, again after a failure, and as unreliable as a test wants."""

from __future__ import annotations

import base64
import hmac
import json
import queue
import random
import threading
import time
from collections.abc import Collection
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import httpx

from sandbox.shopify.payloads import Told

__all__ = ["Courier", "Sent", "Subscription", "call_of"]


@dataclass(frozen=True)
class Subscription:
    """Where events go. `topics` empty: all of them."""

    url: str
    secret: str
    topics: Collection[str] = ()


@dataclass(frozen=True)
class Sent:
    """One try: which delivery, to whom, and what came of it (an HTTP status, or None)."""

    topic: str
    delivery: str
    attempt: int
    status: int | None


def call_of(told: Told, secret: str, api_version: str = "2026-10") -> tuple[dict[str, str], bytes]:
    """Headers and body of an event, signed."""
    body = json.dumps(told.body, ensure_ascii=False, separators=(",", ":")).encode()
    digest = hmac.digest(secret.encode(), body, "sha256")
    headers = {
        "Content-Type": "application/json",
        "X-Shopify-Topic": told.topic,
        "X-Shopify-Hmac-Sha256": base64.b64encode(digest).decode(),
        "X-Shopify-Shop-Domain": told.shop,
        "X-Shopify-API-Version": api_version,
        "X-Shopify-Webhook-Id": told.delivery,
        "X-Shopify-Event-Id": f"event-{told.delivery}",
        "X-Shopify-Triggered-At": told.at,
    }
    return headers, body


@dataclass
class Courier:
    """`Shop(tell=courier)`; runs in a thread of its own between `start` and `stop`.

    duplicates, losses   share of deliveries that come twice, or never
    reorder              share of deliveries that the next one overtakes
    attempts, pause      tries of a delivery (the vendor makes about eight in four hours), seconds between them
    """

    subscriptions: list[Subscription] = field(default_factory=list)
    duplicates: float = 0.0
    losses: float = 0.0
    reorder: float = 0.0
    attempts: int = 8
    pause: float = 0.2
    timeout: float = 5.0
    seed: int = 7
    sent: list[Sent] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    """Deliveries that were given up."""

    def __post_init__(self) -> None:
        self._dice = random.Random(self.seed)
        self._queue: queue.PriorityQueue[tuple[float, int, Any]] = queue.PriorityQueue()
        self._count = 0
        self._open = 0
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def __call__(self, told: Told) -> None:
        """Take an event; it goes out soon."""
        for subscription in self.subscriptions:
            if subscription.topics and told.topic not in subscription.topics:
                continue
            if self._dice.random() < self.losses:
                self.dropped.append(told.delivery)
                continue
            late = 3 * self.pause if self._dice.random() < self.reorder else 0.0
            self._put(late, told, subscription, 1)
            if self._dice.random() < self.duplicates:
                self._put(late + self.pause, told, subscription, 1)

    def start(self) -> Self:
        self._thread = threading.Thread(target=self._run, name="shopify-courier", daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=10)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def drain(self, timeout: float = 10.0) -> bool:
        """Wait until every event is delivered or given up; False when that takes longer."""
        until = time.monotonic() + timeout
        while time.monotonic() < until:
            with self._lock:
                if not self._open:
                    return True
            time.sleep(0.005)
        return False

    def _put(self, wait: float, told: Told, subscription: Subscription, attempt: int) -> None:
        with self._lock:
            self._count += 1
            self._open += 1
            self._queue.put((time.monotonic() + wait, self._count, (told, subscription, attempt)))

    def _run(self) -> None:
        with httpx.Client(timeout=self.timeout) as client:
            while not self._stop.is_set():
                try:
                    due, number, job = self._queue.get(timeout=0.05)
                except queue.Empty:
                    continue
                wait = due - time.monotonic()
                if wait > 0:
                    self._queue.put((due, number, job))
                    self._stop.wait(min(wait, 0.02))
                    continue
                self._deliver(client, *job)
                with self._lock:
                    self._open -= 1

    def _deliver(self, client: httpx.Client, told: Told, subscription: Subscription, attempt: int) -> None:
        headers, body = call_of(told, subscription.secret)
        try:
            status: int | None = client.post(subscription.url, content=body, headers=headers).status_code
        except httpx.HTTPError:
            status = None
        self.sent.append(Sent(told.topic, told.delivery, attempt, status))
        if status is not None and 200 <= status < 300:
            return
        if attempt >= self.attempts:
            self.dropped.append(told.delivery)
            return
        self._put(self.pause * attempt, told, subscription, attempt + 1)
