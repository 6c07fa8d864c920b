"""Rate budgets in PostgreSQL: one bucket for an account, whoever calls it, on whatever machine.

The row says up to when the budget is used (the generic cell rate algorithm: `used_until` moves on by cost / rate with
each turn, and lags behind now by at most burst / rate). Taking a turn is one statement; nobody holds a lock while
waiting. The clock is the database's, so machines need not agree on the time.

Two lanes share a bucket. An urgent caller may take a turn that lies ahead and sleeps until then. A bulk caller never
queues up: it goes when the bucket has enough for it and for the share kept free, and asks again otherwise, so that an
urgent call waits for one other call at most, however many bulk callers there are. A bulk caller that was passed over
for long queues up like an urgent one.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, text

from connectors.contract import Budget, Retry
from hub.store.database import check_lines

__all__ = [
    "PASSED_OVER",
    "SHARE",
    "AccountLane",
    "BudgetStatus",
    "Budgets",
    "PostgresLimiter",
    "budget_statuses",
]

SHARE = 0.2
"""Part of the burst that bulk callers leave to urgent ones."""
MAX_WAIT = timedelta(minutes=5)
"""A call that would have to wait longer is given up with `Retry`: a task must not sit on its slot for hours."""
PASSED_OVER = 10.0
"""Seconds after which a bulk caller queues up."""

# The clock is read where the row is locked already, so that waiting for the lock costs nobody a turn.
_TURN = text("""
    WITH taken AS (
        INSERT INTO rate_budget AS b (account, bucket, rate, burst, used_until, granted)
        VALUES (:account, :bucket, :rate, :burst,
                clock_timestamp() + make_interval(secs => (:cost - :burst) / :rate), 1)
        ON CONFLICT (account, bucket) DO UPDATE
            SET used_until = greatest(b.used_until, clock_timestamp() - make_interval(secs => :burst / :rate))
                             + make_interval(secs => :cost / :rate),
                rate = :rate, burst = :burst, granted = b.granted + 1, waited = b.waited + :waited
            WHERE greatest(b.used_until, clock_timestamp() - make_interval(secs => :burst / :rate))
                  + make_interval(secs => :need / :rate) <= clock_timestamp() + make_interval(secs => :ahead)
        RETURNING used_until
    )
    SELECT true AS mine, extract(epoch FROM used_until - clock_timestamp())::float8 AS wait FROM taken
    UNION ALL
    SELECT false, extract(epoch FROM used_until - clock_timestamp())::float8 + :need / :rate
    FROM rate_budget WHERE account = :account AND bucket = :bucket AND NOT EXISTS (SELECT FROM taken)
""")
# After it one call at once, not a whole burst: the other side has just said that it is too much.
_HOLD = text("""
    INSERT INTO rate_budget AS b (account, bucket, rate, burst, used_until, held_until, penalties)
    VALUES (:account, :bucket, :rate, :burst, clock_timestamp() + make_interval(secs => :seconds - 1 / :rate),
            clock_timestamp() + make_interval(secs => :seconds), 1)
    ON CONFLICT (account, bucket) DO UPDATE
        SET used_until = greatest(b.used_until, excluded.used_until),
            held_until = greatest(b.held_until, excluded.held_until), penalties = b.penalties + 1
""")
_AHEAD = text("""
    SELECT extract(epoch FROM greatest(used_until, clock_timestamp() - make_interval(secs => :burst / :rate))
           - clock_timestamp())::float8 + :need / :rate
    FROM rate_budget WHERE account = :account AND bucket = :bucket
""")
_STATUS = text("""
    SELECT account, bucket, rate, burst, granted, waited, penalties,
           CASE WHEN held_until > clock_timestamp() THEN held_until END AS held_until,
           greatest(0, least(burst, extract(epoch FROM clock_timestamp() - used_until) * rate))::float8 AS free
    FROM rate_budget ORDER BY account, bucket
""")


@dataclass(frozen=True, slots=True)
class BudgetStatus:
    """One account's budget, as an operator wants to see it.

    rate        requests a second; `burst` may go at once
    free        requests that may go at this moment
    granted     turns taken so far; `waited` seconds were spent waiting for them by bulk callers passed over
    penalties   how often the other side asked for a pause; `held_until` is the end of the present one
    """

    account: str
    bucket: str
    rate: float
    burst: float
    free: float
    granted: int
    waited: float
    penalties: int
    held_until: datetime | None

    def as_dict(self) -> dict[str, Any]:
        """The status as JSON-able values."""
        return asdict(self)


def budget_statuses(connection: Connection) -> list[BudgetStatus]:
    """Every budget that was ever used, by account."""
    return [BudgetStatus(**row._mapping) for row in connection.execute(_STATUS)]


class PostgresLimiter:
    """The `Limiter` of one account and bucket; threads may share it, but then also its lane."""

    def __init__(
        self,
        engine: Engine,
        account: str,
        budget: Budget,
        *,
        bucket: str = "",
        urgent: bool = False,
        max_wait: timedelta = MAX_WAIT,
        passed_over: float = PASSED_OVER,
        sleep: Callable[[float], None] = time.sleep,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        if budget.requests <= 0 or budget.per <= timedelta(0) or budget.burst < 1:
            raise ValueError(f"a budget needs requests > 0, per > 0 and burst >= 1: {budget}")
        self._engine = engine
        self._rate = budget.requests / budget.per.total_seconds()
        self._burst = float(budget.burst)
        self._names = {"account": account, "bucket": bucket, "rate": self._rate, "burst": self._burst}
        self._max_wait = max_wait.total_seconds()
        self._passed_over = passed_over
        self._sleep = sleep
        self._now = now
        self.urgent = urgent

    def acquire(self, cost: float = 1) -> None:
        """Wait for the turn. Raises `Retry` when it is further away than `max_wait`."""
        waited = 0.0
        while True:
            mine, wait = self._ask(cost, waited)
            if mine:
                if wait > 0:
                    self._sleep(wait)
                return
            if waited + wait > self._max_wait:
                raise Retry(
                    f"the rate budget of this account is used up for another {wait:.0f} s",
                    after=timedelta(seconds=wait),
                )
            # bulk callers that wait for the same moment should not ask all at once
            pause = max(wait, 0.0) + random.uniform(0.001, 0.05) / self._rate  # noqa: S311
            self._sleep(pause)
            waited += pause

    def wait(self) -> float:
        """Seconds until a call may have its turn as things stand; 0 or less means now. Takes no turn."""
        need = self._need(1.0, urgently=self.urgent)
        with self._engine.connect() as connection:
            found = connection.scalar(_AHEAD, {**self._names, "need": need})
        return 0.0 if found is None else float(found)

    def penalise(self, until: datetime) -> None:
        """No call before `until`, whoever asks."""
        seconds = (until - self._now()).total_seconds()
        if seconds > 0:
            with self._engine.connect() as connection:
                connection.execute(_HOLD, {**self._names, "seconds": seconds})

    @contextmanager
    def urgently(self) -> Iterator[None]:
        """Calls made inside go on the urgent lane."""
        before, self.urgent = self.urgent, True
        try:
            yield
        finally:
            self.urgent = before

    def _need(self, cost: float, *, urgently: bool) -> float:
        """What the bucket must have for the call: a bulk one leaves the urgent their share."""
        if urgently:
            return cost
        enough = min(cost, self._burst)
        return enough + min(float(int(SHARE * self._burst)), self._burst - enough)

    def _ask(self, cost: float, waited: float) -> tuple[bool, float]:
        urgently = self.urgent or waited >= self._passed_over
        need = self._need(cost, urgently=urgently)
        # one turn may lie ahead where nothing can be kept free: a lone caller then loses no time by asking
        alone = 0.0 if need > min(cost, self._burst) else 1 / self._rate
        ahead = self._max_wait - waited if urgently else alone
        values = {**self._names, "cost": float(cost), "need": need, "ahead": ahead, "waited": waited}
        with self._engine.connect() as connection:
            row = connection.execute(_TURN, values).one_or_none()
            if row is None:  # another caller made the bucket's row meanwhile; the next statement sees it
                row = connection.execute(_TURN, values).one()
        return row.mine, row.wait


class Budgets:
    """The budgets of all accounts, over connections of their own.

    A turn lost in a crash of the database is no harm, so these do not wait for the disk.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = create_engine(
            engine.url,
            pool_size=2,
            max_overflow=30,
            isolation_level="AUTOCOMMIT",
            hide_parameters=True,
            connect_args={"application_name": "tsunagi-budget"},
        )
        check_lines(self._engine)
        event.listen(self._engine, "connect", _do_not_wait_for_the_disk)

    def close(self) -> None:
        self._engine.dispose()

    def limiter(self, account: str, budget: Budget, *, urgent: bool = False) -> PostgresLimiter:
        """What `open_call` hands to an account's HTTP door."""
        return PostgresLimiter(self._engine, account, budget, urgent=urgent)


class AccountLane:
    """On which lane the calls of one run go: bulk, or urgent as a whole or for a while."""

    def __init__(self, budgets: Budgets, account: str, *, urgent: bool = False) -> None:
        self._budgets = budgets
        self._account = account
        self._urgent = urgent
        self._limiter: PostgresLimiter | None = None

    def limit(self, budget: Budget) -> PostgresLimiter:
        """The limiter of the run's calls, for `open_call`."""
        self._limiter = self._budgets.limiter(self._account, budget, urgent=self._urgent)
        return self._limiter

    def wait(self) -> float:
        """Seconds until the next call may have its turn, as things stand; 0 or less means now. Takes no turn."""
        return 0.0 if self._limiter is None else self._limiter.wait()

    def urgently(self) -> AbstractContextManager[None]:
        """Calls made inside go on the urgent lane."""
        return nullcontext() if self._limiter is None else self._limiter.urgently()


def _do_not_wait_for_the_disk(connection: Any, _record: object) -> None:
    autocommit, connection.autocommit = connection.autocommit, True
    connection.execute("SET synchronous_commit = off")
    connection.autocommit = autocommit
