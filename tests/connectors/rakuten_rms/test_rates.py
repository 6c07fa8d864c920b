"""The declared budget and costs keep every published rate of the vendor, whatever is called in which order."""

from __future__ import annotations

from hypothesis import example, given, strategies as st

from connectors.rakuten_rms import connector
from connectors.rakuten_rms.gateway import READ_COST
from connectors.transport.budget import LocalLimiter
from sandbox.rakuten.rate import Rate

# what is called, what the vendor allows per second, what our budget is charged
CALLS = {
    "order": (1.0, 1.0),
    "stock write": (1.0, 1.0),
    "stock read": (5.0, READ_COST),
    "items": (5.0, READ_COST),
}


@example([("items", 0.0)] * 12)
@example([("order", 0.0), ("stock write", 0.0)] * 4)
@given(
    st.lists(
        st.tuples(st.sampled_from(sorted(CALLS)), st.sampled_from([0.0, 0.0, 0.2, 1.0, 30.0])), max_size=60
    )
)
def test_no_call_is_ever_refused_for_its_rate(calls: list[tuple[str, float]]) -> None:
    now = 1000.0

    def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds

    assert connector.budget is not None
    limiter = LocalLimiter(connector.budget, clock=lambda: now, sleep=sleep)
    # a hair below a second: the arithmetic of floats must not decide
    vendor = Rate(clock=lambda: now, window=0.999)

    for name, pause in calls:
        per_second, cost = CALLS[name]
        sleep(pause)
        limiter.acquire(cost)
        assert vendor.allows(name, per_second)
