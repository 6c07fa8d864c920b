"""Search windows: every second is looked at once, however the time is cut."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given, strategies as st

from connectors.rakuten_rms.windows import Window, halves, rms_time, windows

SECOND = timedelta(seconds=1)
moments = st.integers(1_700_000_000_000_000, 1_800_000_000_000_000).map(
    lambda us: datetime.fromtimestamp(us / 1e6, UTC)
)
lengths = st.timedeltas(timedelta(seconds=1), timedelta(days=63)).map(
    lambda d: timedelta(seconds=int(d.total_seconds()))
)


def adjoin(parts: list[Window]) -> bool:
    return all(after.start - before.end == SECOND for before, after in pairwise(parts))


@given(moments, st.timedeltas(timedelta(0), timedelta(days=700)), lengths)
def test_windows_cover_each_second_once(start: datetime, span: timedelta, longest: timedelta) -> None:
    end = start + span
    if span / longest > 2000:
        end = start + longest * 2000

    parts = list(windows(start, end, longest))

    assert parts[0].start == start.replace(microsecond=0)
    assert parts[-1].end == end.replace(microsecond=0)
    assert adjoin(parts)
    assert all(part.start <= part.end <= part.start + longest for part in parts)


@given(moments, st.integers(0, 63 * 86400))
def test_halving_goes_down_to_single_seconds_and_loses_none(start: datetime, seconds: int) -> None:
    whole = Window(start.replace(microsecond=0), start.replace(microsecond=0) + SECOND * seconds)

    parts = halves(whole)

    if seconds == 0:
        assert parts is None
    else:
        assert parts is not None
        left, right = parts
        assert (left.start, right.end) == (whole.start, whole.end)
        assert adjoin([left, right])
        assert left.end >= left.start
        assert right.end >= right.start


def test_no_window_where_the_end_lies_before_the_start() -> None:
    now = datetime(2026, 11, 21, tzinfo=UTC)

    assert list(windows(now, now - SECOND, timedelta(days=1))) == []


def test_times_are_written_in_japan_without_a_colon() -> None:
    assert rms_time(datetime(2026, 11, 20, 15, 0, tzinfo=UTC)) == "2026-11-21T00:00:00+0900"
