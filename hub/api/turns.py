"""After a reservation the other channels must hear of it: turns of the stock room, as few as will do.

What a reservation touched stands in the store (`stock_dirty`), so nothing is lost if this process dies first: the next
turn of anybody takes it up.
"""

from __future__ import annotations

import threading
import time

import structlog

from hub.engine import Hub
from hub.jobs.road import wake_pushes
from hub.stock import refresh

__all__ = ["PAUSE", "Turns"]

PAUSE = 0.2
"""Seconds in which reservations are gathered for one turn."""

log = structlog.get_logger("tsunagi.api")


class Turns:
    """Turns for all calls of this process."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._one = threading.Lock()
        self._begun = 0
        self._done = 0
        self._state = threading.Lock()
        self._wanted = False
        self._thread: threading.Thread | None = None
        self._closed = threading.Event()

    def catch_up(self) -> None:
        """Return behind a turn that began after this call; many callers share one."""
        needed = self._begun + 1
        with self._one:
            if self._done >= needed:
                return
            self._begun += 1
            number = self._begun
            refresh(self._hub.engine, self._hub.systems, self._hub.mapping, wait=False)
            self._done = number

    def soon(self) -> None:
        """Ask for a turn, and for sending what comes of it, in a moment."""
        with self._state:
            self._wanted = True
            if self._thread is None and not self._closed.is_set():
                self._thread = threading.Thread(target=self._run, name="api-turns", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """Wait for the turn at hand."""
        self._closed.set()
        with self._state:
            thread = self._thread
        if thread is not None:
            thread.join(30)

    def _run(self) -> None:
        while True:
            self._closed.wait(PAUSE)
            with self._state:
                if not self._wanted or self._closed.is_set():
                    self._thread = None
                    return
                self._wanted = False
            begun = time.monotonic()
            try:
                self.catch_up()
                wake_pushes(self._hub)
            except Exception as error:  # noqa: BLE001  (the next turn of anybody does it)
                log.warning("no turn", reason=type(error).__name__)
            # a hub with very much to work out is not to do nothing else
            self._closed.wait(min(time.monotonic() - begun, 5.0))
