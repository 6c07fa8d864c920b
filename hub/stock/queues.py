"""Who wants units of a SKU stands in its queue: all that came while the last ones were decided are decided together.

One of each queue decides at a time; queues of different SKUs know nothing of each other. Alone in its queue, a caller
decides for himself at once.
"""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from weakref import WeakKeyDictionary, ref

from sqlalchemy import Engine
from sqlalchemy.exc import InterfaceError, OperationalError, TimeoutError as PoolTimeout

from hub.stock.claims import Claim, Reserved
from hub.stock.taking import KeyTaken, take
from hub.words import HubError

__all__ = ["Queues", "queues_of"]

TOGETHER = 128
"""Most claims decided in one transaction."""
AT_ONCE = 8
"""Most queues of one process that are decided for at once, beside callers that decide for themselves."""

_Entry = tuple[Claim, Future[Reserved]]


class Queues:
    """The queues of one process before one database."""

    def __init__(self, engine: Engine) -> None:
        self._engine = ref(engine)  # `_all` forgets us with the engine, so we must not hold it
        self._lock = threading.Lock()
        # a queue is there as long as somebody decides for it
        self._waiting: dict[str, deque[_Entry]] = {}
        self._threads: ThreadPoolExecutor | None = None

    def take(self, wanted: Claim) -> Reserved:
        """What `reserve` does, without a second look. Raises NotEnough, NotReservable, ReservationClosed."""
        answer, first = self._join(wanted)
        if first and self._decide_next(wanted.sku):
            self._go_on(wanted.sku)
        return answer.result()

    def ask(self, wanted: Claim) -> Future[Reserved]:
        """The same without waiting: another thread decides. An answer that is cancelled before takes nothing."""
        answer, first = self._join(wanted)
        if first:
            self._go_on(wanted.sku)
        return answer

    def _join(self, wanted: Claim) -> tuple[Future[Reserved], bool]:
        """Stand in the queue; whether nobody decides for it yet."""
        answer: Future[Reserved] = Future()
        with self._lock:
            queue = self._waiting.get(wanted.sku)
            first = queue is None
            if queue is None:
                queue = self._waiting[wanted.sku] = deque()
            queue.append((wanted, answer))
        return answer, first

    def _go_on(self, sku: str) -> None:
        """Let a thread of its own decide until the queue is empty."""
        with self._lock:
            if self._threads is None:
                self._threads = ThreadPoolExecutor(AT_ONCE, "reservations")
        self._threads.submit(self._decide_all, sku)

    def _decide_all(self, sku: str) -> None:
        while self._decide_next(sku):
            pass

    def _decide_next(self, sku: str) -> bool:
        """Decide for those who stand there by now; whether others have come meanwhile. Never raises."""
        with self._lock:
            queue = self._waiting[sku]
            group = [queue.popleft() for _ in range(min(len(queue), TOGETHER))]
        self._decide([(wanted, answer) for wanted, answer in group if answer.set_running_or_notify_cancel()])
        with self._lock:
            if queue:
                return True
            del self._waiting[sku]
            return False

    def _decide(self, group: list[_Entry]) -> None:
        if not group:
            return
        try:
            outcomes = self._taken([wanted for wanted, _ in group])
        except (OperationalError, InterfaceError, PoolTimeout) as error:  # nobody can be served now
            for _, answer in group:
                answer.set_exception(error)
            return
        except Exception as error:  # noqa: BLE001  (each gets its own answer, this one too)
            if len(group) == 1:
                group[0][1].set_exception(error)
            for one in group if len(group) > 1 else ():  # what is wrong with one must not keep the others out
                self._decide([one])
            return
        for (_, answer), outcome in zip(group, outcomes, strict=True):
            if isinstance(outcome, HubError):
                answer.set_exception(outcome)
            else:
                answer.set_result(outcome)

    def _taken(self, wants: list[Claim]) -> list[Reserved | HubError]:
        engine = self._engine()
        if engine is None:
            raise RuntimeError("the engine is gone")
        while True:
            try:
                with engine.begin() as connection:
                    return take(connection, wants)
            except KeyTaken:  # by another transaction, which is seen now; each time another key
                continue


_all: WeakKeyDictionary[Engine, Queues] = WeakKeyDictionary()
_all_lock = threading.Lock()


def queues_of(engine: Engine) -> Queues:
    """The queues before this database: one set for each engine of the process."""
    with _all_lock:
        found = _all.get(engine)
        if found is None:
            found = _all[engine] = Queues(engine)
        return found
