"""The rate budget of one process."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, strategies as st

from connectors.contract import Budget, Retry
from connectors.transport.budget import LocalLimiter


class Time:
    """A clock that moves when somebody sleeps."""

    def __init__(self) -> None:
        self.at = 1000.0
        self.slept: list[float] = []

    def clock(self) -> float:
        return self.at

    def sleep(self, seconds: float) -> None:
        self.slept.append(round(seconds, 6))
        self.at += seconds

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.at, UTC)


def limiter(
    time: Time, requests: float, *, burst: int = 1, max_wait: timedelta = timedelta(minutes=5)
) -> LocalLimiter:
    budget = Budget(requests, timedelta(seconds=1), burst)
    return LocalLimiter(budget, clock=time.clock, sleep=time.sleep, now=time.now, max_wait=max_wait)


def test_calls_keep_their_distance() -> None:
    time = Time()
    limit = limiter(time, 2)
    for _ in range(4):
        limit.acquire()
    assert time.slept == [0.5, 0.5, 0.5]


def test_a_burst_goes_at_once_and_fills_up_again() -> None:
    time = Time()
    limit = limiter(time, 1, burst=3)
    for _ in range(3):
        limit.acquire()
    assert time.slept == []
    limit.acquire()
    assert time.slept == [1.0]
    time.at += 60
    for _ in range(3):
        limit.acquire()
    assert time.slept == [1.0]


def test_a_costly_call_waits_longer_even_beyond_the_burst() -> None:
    time = Time()
    limit = limiter(time, 10, burst=5)
    limit.acquire(5)
    limit.acquire(20)
    assert time.slept == [2.0]


def test_a_penalty_closes_the_door_for_everybody_and_refills_nothing() -> None:
    time = Time()
    limit = limiter(time, 1)
    limit.acquire()
    limit.penalise(time.now() + timedelta(seconds=30))
    limit.acquire()
    limit.acquire()
    assert time.slept == [31.0, 1.0]


def test_a_penalty_in_the_past_does_nothing() -> None:
    time = Time()
    limit = limiter(time, 1)
    limit.penalise(time.now() - timedelta(seconds=30))
    limit.acquire()
    assert time.slept == []


def test_a_wait_beyond_the_limit_goes_up_instead_of_blocking() -> None:
    time = Time()
    limit = limiter(time, 1, max_wait=timedelta(seconds=10))
    limit.acquire()
    limit.penalise(time.now() + timedelta(seconds=60))
    with pytest.raises(Retry) as retry:
        limit.acquire()
    assert retry.value.after == timedelta(seconds=61)
    assert time.slept == []


@pytest.mark.parametrize("budget", [Budget(0), Budget(1, timedelta(0)), Budget(1, burst=0)])
def test_a_budget_that_lets_nothing_through_is_refused(budget: Budget) -> None:
    with pytest.raises(ValueError, match="a budget needs"):
        LocalLimiter(budget)


@given(
    requests=st.integers(1, 20),
    burst=st.integers(1, 10),
    pauses=st.lists(st.floats(0, 5), min_size=1, max_size=60),
)
def test_no_window_ever_holds_more_than_the_budget_allows(
    requests: int, burst: int, pauses: list[float]
) -> None:
    time = Time()
    limit = limiter(time, requests, burst=burst)
    moments = []
    for pause in pauses:
        time.at += pause
        limit.acquire()
        moments.append(time.at)
    for first in range(len(moments)):
        for last in range(first, len(moments)):
            allowed = burst + (moments[last] - moments[first]) * requests
            assert last - first + 1 <= allowed + 1e-6


def test_threads_share_one_budget() -> None:
    limit = LocalLimiter(Budget(200, timedelta(seconds=1)))
    started = time.monotonic()
    threads = [threading.Thread(target=lambda: [limit.acquire() for _ in range(5)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert time.monotonic() - started >= 19 / 200
