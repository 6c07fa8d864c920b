"""Who wants units of a SKU stands in its queue: all that came while the last ones were decided are decided together.

One of each queue decides at a time; queues of different SKUs know nothing of each other. Alone in its queue, a caller
decides for himself at once.
"""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Self
from weakref import WeakKeyDictionary, ref

from sqlalchemy import Connection, Engine
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


class _Session:
    """One connection for all groups that are decided in a row: asking the pool for it costs a round trip each time."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._connection: Connection | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def taken(self, wants: list[Claim]) -> list[Reserved | HubError]:
        """Decide a group in a transaction of its own."""
        while True:
            if self._connection is None or self._connection.invalidated:
                self.__exit__()
                self._connection = self._engine.connect()
            try:
                with self._connection.begin():
                    return take(self._connection, wants)
            except KeyTaken:  # by another transaction, which is seen now; each time another key
                continue


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
        if first:
            with self._session() as session:
                more = self._decide_next(wanted.sku, session)
            if more:
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
        with self._session() as session:
            while self._decide_next(sku, session):
                pass

    def _session(self) -> _Session:
        engine = self._engine()
        if engine is None:
            raise RuntimeError("the engine is gone")
        return _Session(engine)

    def _decide_next(self, sku: str, session: _Session) -> bool:
        """Decide for those who stand there by now; whether others have come meanwhile. Never raises."""
        with self._lock:
            queue = self._waiting[sku]
            group = [queue.popleft() for _ in range(min(len(queue), TOGETHER))]
        self._decide([one for one in group if one[1].set_running_or_notify_cancel()], session)
        with self._lock:
            if queue:
                return True
            del self._waiting[sku]
            return False

    def _decide(self, group: list[_Entry], session: _Session) -> None:
        if not group:
            return
        try:
            outcomes = session.taken([wanted for wanted, _ in group])
        except (OperationalError, InterfaceError, PoolTimeout) as error:  # nobody can be served now
            for _, answer in group:
                answer.set_exception(error)
            return
        except Exception as error:  # noqa: BLE001  (each gets its own answer, this one too)
            if len(group) == 1:
                group[0][1].set_exception(error)
            for one in group if len(group) > 1 else ():  # what is wrong with one must not keep the others out
                self._decide([one], session)
            return
        for (_, answer), outcome in zip(group, outcomes, strict=True):
            if isinstance(outcome, HubError):
                answer.set_exception(outcome)
            else:
                answer.set_result(outcome)


_all: WeakKeyDictionary[Engine, Queues] = WeakKeyDictionary()
_all_lock = threading.Lock()


def queues_of(engine: Engine) -> Queues:
    """The queues before this database: one set for each engine of the process."""
    with _all_lock:
        found = _all.get(engine)
        if found is None:
            found = _all[engine] = Queues(engine)
        return found
