"""Business-day schedules as an Airflow timetable.

The scheduler gets the calendar's days with the DAG, not the calendar's name, so it needs no system files. An
exception in a timetable is swallowed by Airflow (the DAG then shows no next run), so nothing here may raise
for a calendar that `hub.calendar` has accepted.
"""

from __future__ import annotations

from datetime import UTC, datetime, time
from typing import Any

import pendulum
from airflow.timetables.base import DagRunInfo, DataInterval, TimeRestriction, Timetable

from hub.calendar import BusinessTimes, Calendar, CalendarError, runs_after

__all__ = ["BusinessTimetable"]


class BusinessTimetable(Timetable):
    """Runs at the given times of the business days of a calendar, Japan time.

    Of the moments missed while Airflow was down only the newest is run, as Airflow does for cron schedules.
    """

    def __init__(self, times: BusinessTimes) -> None:
        self.times = times
        self.description = self.summary

    @property
    def summary(self) -> str:
        """As in the DAG list: `jp 09:00,15:00` or `jp-bank #-1 18:00` (the last business day of each month)."""
        which = "" if self.times.which == "every" else " #" + ",".join(map(str, self.times.which))
        at = ",".join(moment.strftime("%H:%M") for moment in self.times.at)
        return f"{self.times.calendar.name}{which} {at}"

    def serialize(self) -> dict[str, Any]:
        which = self.times.which
        return {
            "calendar": self.times.calendar.as_dict(),
            "at": [moment.isoformat() for moment in self.times.at],
            "which": which if which == "every" else list(which),
        }

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> BusinessTimetable:
        which = data["which"] if data["which"] == "every" else tuple(data["which"])
        at = tuple(time.fromisoformat(moment) for moment in data["at"])
        return cls(BusinessTimes(Calendar.from_dict(data["calendar"]), at, which))

    def infer_manual_data_interval(self, *, run_after: pendulum.DateTime) -> DataInterval:
        return DataInterval.exact(run_after)

    def next_dagrun_info(
        self, *, last_automated_data_interval: DataInterval | None, restriction: TimeRestriction
    ) -> DagRunInfo | None:
        now = datetime.now(UTC)
        if last_automated_data_interval is not None:
            after: datetime = last_automated_data_interval.end
        else:
            after = (
                max(restriction.earliest or now, now)
                if not restriction.catchup
                else restriction.earliest or now
            )
        due = self._due(after, now, catchup=restriction.catchup)
        if due is None or (restriction.latest is not None and due > restriction.latest):
            return None
        return DagRunInfo.exact(pendulum.instance(due))

    def _due(self, after: datetime, now: datetime, *, catchup: bool) -> datetime | None:
        newest = None
        try:
            for moment in runs_after(self.times, after):
                if catchup or moment > now:
                    return newest or moment
                newest = moment
        except CalendarError:
            return newest
        return newest
