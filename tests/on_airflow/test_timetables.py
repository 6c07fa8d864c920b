"""Business-day schedules as Airflow sees them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, time, timedelta

import pendulum
import pytest
from airflow.timetables.base import DataInterval, TimeRestriction

from hub.calendar import BUILT_IN, BusinessTimes, Calendar
from plugins import timetables
from plugins.timetables import BusinessTimetable

COMPANY = Calendar.from_dict({
    "name": "ours",
    "weekly": [6],
    "holidays": True,
    "closed": [{"first": [None, 12, 29], "last": [None, 1, 3]}],
    "open": [{"first": [2026, 11, 22], "last": [2026, 11, 22]}],
})  # fmt: skip
TIMETABLE = BusinessTimetable(BusinessTimes(COMPANY, (time(9, 0), time(15, 30))))
NEVER = BusinessTimetable(BusinessTimes(Calendar("never", frozenset(range(7))), (time(9, 0),)))


def jst(*parts: int) -> pendulum.DateTime:
    return pendulum.datetime(*parts, tz="Asia/Tokyo")


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch):
    def set_now(moment: datetime) -> None:
        class Clock(datetime):
            @classmethod
            def now(cls, tz=None) -> datetime:
                return moment.astimezone(UTC)

        monkeypatch.setattr(timetables, "datetime", Clock)

    return set_now


def due(timetable: BusinessTimetable, last: pendulum.DateTime | None, *, catchup: bool = False, latest=None):
    interval = None if last is None else DataInterval.exact(last)
    restriction = TimeRestriction(jst(2026, 1, 1), latest, catchup)
    info = timetable.next_dagrun_info(last_automated_data_interval=interval, restriction=restriction)
    return None if info is None else info.run_after.in_timezone("Asia/Tokyo")


def test_it_passes_through_json_whole() -> None:
    again = BusinessTimetable.deserialize(json.loads(json.dumps(TIMETABLE.serialize())))
    assert again.times == TIMETABLE.times
    monthly = BusinessTimetable(BusinessTimes(BUILT_IN["jp-bank"], (time(18, 0),), (1, -1)))
    assert BusinessTimetable.deserialize(json.loads(json.dumps(monthly.serialize()))).times == monthly.times
    assert monthly.summary == "jp-bank #1,-1 18:00"


def test_the_next_run_is_on_the_next_business_day(now) -> None:
    now(jst(2026, 12, 28, 16, 0))
    assert due(TIMETABLE, jst(2026, 12, 28, 15, 30)) == jst(2027, 1, 4, 9, 0)
    assert due(TIMETABLE, None) == jst(2027, 1, 4, 9, 0)


def test_a_sunday_on_which_the_company_works_counts(now) -> None:
    now(jst(2026, 11, 21, 20, 0))
    assert due(TIMETABLE, jst(2026, 11, 21, 15, 30)) == jst(2026, 11, 22, 9, 0)


def test_of_many_missed_moments_only_the_newest_is_run(now) -> None:
    now(jst(2026, 11, 20, 10, 0))
    assert due(TIMETABLE, jst(2026, 11, 16, 9, 0)) == jst(2026, 11, 20, 9, 0)
    assert due(TIMETABLE, jst(2026, 11, 16, 9, 0), catchup=True) == jst(2026, 11, 16, 15, 30)


def test_a_schedule_ends_where_the_dag_ends(now) -> None:
    now(jst(2026, 11, 20, 10, 0))
    assert due(TIMETABLE, jst(2026, 11, 20, 9, 0), latest=jst(2026, 11, 20, 12, 0)) is None


def test_a_calendar_without_business_days_gives_no_run_and_no_error(now) -> None:
    now(jst(2026, 11, 20, 10, 0))
    assert due(NEVER, None) is None
    assert due(NEVER, jst(2026, 11, 20, 10, 0) - timedelta(days=1)) is None
