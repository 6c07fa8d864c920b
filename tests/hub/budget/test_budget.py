"""One budget for all processes: never more turns than allowed, the urgent lane first."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from sqlalchemy import Engine, text

from connectors.contract import Budget, Retry
from hub.budget import Budgets, PostgresLimiter, budget_statuses
from hub.store.database import open_engine

# Each turn lies at the moment it is given, or when it lies ahead, at the moment the budget is used up to.
LOG = """
    CREATE TABLE turn (n bigserial, at timestamptz);
    CREATE FUNCTION log_turn() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO turn (at) VALUES (greatest(NEW.used_until, clock_timestamp()));
        RETURN NEW;
    END $$;
    CREATE TRIGGER log_turn AFTER INSERT OR UPDATE OF granted ON rate_budget FOR EACH ROW EXECUTE FUNCTION log_turn();
"""


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = open_engine(database_url)
    with engine.begin() as connection:
        connection.execute(text(LOG))
    yield engine
    engine.dispose()


@pytest.fixture
def budgets(engine: Engine) -> Iterator[Budgets]:
    opened = Budgets(engine)
    yield opened
    opened.close()


def turns(engine: Engine) -> list[float]:
    with engine.connect() as connection:
        return sorted(
            float(at) for at in connection.scalars(text("SELECT extract(epoch FROM at) FROM turn ORDER BY n"))
        )


def assert_within(found: list[float], rate: float, burst: int) -> None:
    """In no stretch of time are there more turns than `burst`, and `rate` for each second of it.

    Ten milliseconds are granted to the trigger, which reads the clock a little after the turn was given.
    """
    for first in range(len(found)):
        for last in range(first, len(found)):
            allowed = burst + rate * (found[last] - found[first] + 0.01)
            assert last - first + 1 <= allowed, (first, last, found[last] - found[first])


def crowd(limiters: list[PostgresLimiter], each: int) -> None:
    def work(limiter: PostgresLimiter) -> None:
        for _ in range(each):
            limiter.acquire()

    threads = [threading.Thread(target=work, args=(limiter,)) for limiter in limiters]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rate=st.integers(20, 200), burst=st.integers(1, 12), bulk=st.integers(0, 3), urgent=st.integers(1, 3),
    each=st.integers(1, 6),
)  # fmt: skip
def test_no_window_ever_holds_more_than_the_budget(
    engine: Engine, budgets: Budgets, rate: int, burst: int, bulk: int, urgent: int, each: int
) -> None:
    with engine.begin() as connection:
        connection.execute(text("TRUNCATE turn, rate_budget"))
    budget = Budget(rate, burst=burst)
    lanes = [False] * bulk + [True] * urgent
    crowd([budgets.limiter("shop", budget, urgent=lane) for lane in lanes], each)
    found = turns(engine)
    assert len(found) == len(lanes) * each
    assert_within(found, rate, burst)


PROCESS = """
import sys
from connectors.contract import Budget
from hub.budget import Budgets
from hub.store.database import open_engine
engine = open_engine(sys.argv[1])
limiter = Budgets(engine).limiter("shop", Budget(60, burst=4))
for _ in range(15):
    limiter.acquire()
"""


def test_processes_share_one_budget_and_use_all_of_it(engine: Engine) -> None:
    url = engine.url.render_as_string(hide_password=False)
    workers = [subprocess.Popen([sys.executable, "-W", "ignore", "-c", PROCESS, url]) for _ in range(3)]
    assert [worker.wait(60) for worker in workers] == [0, 0, 0]
    found = turns(engine)
    assert len(found) == 45
    assert_within(found, 60, 4)


def test_a_lone_caller_goes_at_the_full_rate(engine: Engine, budgets: Budgets) -> None:
    limiter = budgets.limiter("shop", Budget(50))
    started = time.monotonic()
    for _ in range(26):
        limiter.acquire()
    assert 0.49 <= time.monotonic() - started < 1.5
    assert_within(turns(engine), 50, 1)


def test_an_urgent_call_overtakes_bulk_callers_that_wait(engine: Engine, budgets: Budgets) -> None:
    budget = Budget(5)
    bulk = [threading.Thread(target=crowd, args=([budgets.limiter("shop", budget)], 2)) for _ in range(8)]
    for thread in bulk:
        thread.start()
    time.sleep(0.3)
    started = time.monotonic()
    budgets.limiter("shop", budget, urgent=True).acquire()
    # eight bulk callers wait, which would be 1.6 s; it waits for the turn at hand and its own
    assert time.monotonic() - started < 0.9
    for thread in bulk:
        thread.join()
    assert_within(turns(engine), 5, 1)


def test_bulk_callers_leave_a_share_of_the_burst(engine: Engine, budgets: Budgets) -> None:
    budget = Budget(1, burst=10)
    limiter = PostgresLimiter(
        budgets._engine, "shop", budget, max_wait=timedelta(seconds=0.2), passed_over=1000
    )
    for _ in range(8):
        limiter.acquire()
    with pytest.raises(Retry):
        limiter.acquire()
    started = time.monotonic()
    with limiter.urgently():
        limiter.acquire()
        limiter.acquire()
    assert time.monotonic() - started < 0.5


def test_how_long_a_turn_is_away_is_told_without_taking_it(engine: Engine, budgets: Budgets) -> None:
    budget = Budget(1, burst=10)
    bulk, urgent = budgets.limiter("shop", budget), budgets.limiter("shop", budget, urgent=True)
    assert bulk.wait() <= 0  # nobody has called yet
    for _ in range(9):
        urgent.acquire()
    assert -1.1 < urgent.wait() <= 0 < bulk.wait() <= 2  # one is left, of those that are kept for the urgent
    urgent.acquire()
    assert 0 < urgent.wait() <= 1
    with bulk.urgently():
        assert bulk.wait() <= 1
    with engine.connect() as connection:
        (status,) = budget_statuses(connection)
    assert status.granted == 10


def test_a_bulk_caller_that_was_passed_over_for_long_queues_up(engine: Engine, budgets: Budgets) -> None:
    budget = Budget(20)
    stop = threading.Event()

    def urgent() -> None:
        limiter = budgets.limiter("shop", budget, urgent=True)
        while not stop.is_set():
            limiter.acquire()

    crowding = [threading.Thread(target=urgent) for _ in range(4)]
    for thread in crowding:
        thread.start()
    time.sleep(0.2)
    started = time.monotonic()
    PostgresLimiter(budgets._engine, "shop", budget, passed_over=0.5).acquire()
    assert time.monotonic() - started < 3
    stop.set()
    for thread in crowding:
        thread.join()


def test_a_pause_the_other_side_asks_for_holds_everybody_back(engine: Engine, budgets: Budgets) -> None:
    budget = Budget(100, burst=50)
    asked, other = budgets.limiter("shop", budget), budgets.limiter("shop", budget, urgent=True)
    asked.acquire()
    started = time.monotonic()
    asked.penalise(datetime.now(UTC) + timedelta(seconds=0.4))
    with engine.connect() as connection:
        (status,) = budget_statuses(connection)
    assert status.penalties == 1
    assert status.free == 0
    assert status.held_until is not None
    other.acquire()
    assert time.monotonic() - started >= 0.38
    with engine.begin() as connection:
        connection.execute(text("TRUNCATE turn"))
    for _ in range(5):
        other.acquire()
    assert_within(turns(engine), 100, 1)  # no burst right after it


def test_a_turn_too_far_away_is_given_up_and_not_counted(engine: Engine, budgets: Budgets) -> None:
    limiter = budgets.limiter("shop", Budget(1, per=timedelta(hours=1)), urgent=True)
    limiter.acquire()
    with pytest.raises(Retry) as error:
        limiter.acquire()
    assert error.value.after is not None
    assert 3500 < error.value.after.total_seconds() <= 3600
    with engine.connect() as connection:
        assert budget_statuses(connection)[0].granted == 1


def test_a_call_may_cost_more_than_the_burst(engine: Engine, budgets: Budgets) -> None:
    limiter = budgets.limiter("shop", Budget(100, burst=10))
    limiter.acquire(10)
    started = time.monotonic()
    limiter.acquire(30)
    assert 0.25 <= time.monotonic() - started < 1


def test_accounts_do_not_share(engine: Engine, budgets: Budgets) -> None:
    budgets.limiter("north", Budget(1)).acquire()
    started = time.monotonic()
    budgets.limiter("south", Budget(1)).acquire()
    assert time.monotonic() - started < 0.5


def test_a_budget_that_allows_nothing_is_refused(budgets: Budgets) -> None:
    with pytest.raises(ValueError, match="requests > 0"):
        budgets.limiter("shop", Budget(0))


def test_two_may_be_the_first_to_ask_for_a_bucket(engine: Engine, budgets: Budgets) -> None:
    limiter = PostgresLimiter(
        budgets._engine, "shop", Budget(1), max_wait=timedelta(seconds=0.01), passed_over=1000
    )
    with ThreadPoolExecutor(1) as other:
        with engine.begin() as connection:
            # the bucket is made, its only turn taken, and nobody else sees it yet
            connection.execute(
                text("INSERT INTO rate_budget (account, bucket, rate, burst, used_until) "
                     "VALUES ('shop', :bucket, 1, 1, now() + interval '1 minute')"),
                {"bucket": limiter._names["bucket"]},
            )  # fmt: skip
            asked = other.submit(limiter.acquire)
            waits = text("SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'transactionid'")
            until = time.monotonic() + 30
            while not connection.scalar(waits):
                assert time.monotonic() < until
                time.sleep(0.01)
        with pytest.raises(Retry):
            asked.result(30)
