from __future__ import annotations

from datetime import UTC, date, datetime, time

import pytest
from hypothesis import given, strategies as st

from connectors.file_exchange.patterns import NamePattern


def test_a_name_is_read() -> None:
    parsed = NamePattern("JUCHU_{date:%Y%m%d}_{seq:03d}.csv").parse("JUCHU_20261121_007.csv")
    assert parsed is not None
    assert (parsed.day, parsed.sequence, parsed.before_sequence, parsed.start) == (
        date(2026, 11, 21), 7, "JUCHU_20261121_", "JUCHU_",
    )  # fmt: skip


@pytest.mark.parametrize(
    "name",
    ["JUCHU_20261131_007.csv", "JUCHU_20261121_07.csv", "JUCHU_20261121_007.CSV", "xJUCHU_20261121_007.csv",
     "JUCHU_20261121_007.csv.end", "JUCHU_2026112１_007.csv"],
)  # fmt: skip
def test_other_names_are_not(name: str) -> None:
    assert NamePattern("JUCHU_{date:%Y%m%d}_{seq:03d}.csv").parse(name) is None


def test_times_and_wildcards() -> None:
    parsed = NamePattern("order_{date:%y%m%d}{time:%H%M}*.csv").parse("order_2611210940-x.csv")
    assert parsed is not None
    assert (parsed.day, parsed.at, parsed.sequence) == (date(2026, 11, 21), time(9, 40), None)


def test_files_are_taken_in_the_order_of_day_time_and_number_not_of_letters() -> None:
    pattern = NamePattern("A{seq}_{date:%d%m%Y}.csv")
    names = ["A10_21112026.csv", "A9_21112026.csv", "A1_22112026.csv", "A99_01112026.csv"]
    parsed = [found for name in names if (found := pattern.parse(name))]
    assert [p.name for p in sorted(parsed, key=lambda p: p.order)] == [
        "A99_01112026.csv", "A9_21112026.csv", "A10_21112026.csv", "A1_22112026.csv",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "pattern", ["{seq:3d}.csv", "{day}.csv", "{date:%B}.csv", "{seq:03d}{seq:03d}", "a{"]
)
def test_patterns_that_cannot_be_understood(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"known are|write|stands twice|may use"):
        NamePattern(pattern)


@given(st.dates(min_value=date(2000, 1, 1)), st.integers(min_value=0, max_value=9999))
def test_what_is_written_is_read(day: date, number: int) -> None:
    pattern = NamePattern("S-{date:%Y%m%d}.{seq:04d}.{time:%H%M%S}.dat")
    parsed = pattern.parse(pattern.write(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), day, number))
    assert parsed is not None
    assert (parsed.day, parsed.at, parsed.sequence) == (day, time(3, 4, 5), number)
