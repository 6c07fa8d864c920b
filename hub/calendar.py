"""Business days: which days an office, a bank or a warehouse works, and when a schedule is due next.

Two calendars are built in:

    jp       Monday to Friday except national holidays, substitute holidays included (library `jpholiday`)
    jp-bank  the same without 31 December to 3 January (銀行法施行令 第五条: 銀行の休日)

National holidays do not know 年末年始 or お盆. A company's own days stand in `calendars/<name>.yaml` beside the
system files:

    extends: jp
    closed: ["12-29..01-03", "2026-08-12..2026-08-15"]    # every year without a year; both ends included
    open: ["2026-11-28"]                                  # works though the calendar below says no
    weekly: [sun]                                         # days off of the week, instead of Saturday and Sunday

All times are Japan's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

from hub.words import HubError
from mappings.marks import BadYaml, read_yaml
from mappings.problems import suggestion

__all__ = [
    "BUILT_IN",
    "JST",
    "BusinessTimes",
    "Calendar",
    "CalendarError",
    "calendars",
    "next_run",
    "runs_after",
]

JST = ZoneInfo("Asia/Tokyo")

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_HORIZON = timedelta(days=400)
_DAY = re.compile(r"(?:(?P<year>\d{4})-)?(?P<month>\d{2})-(?P<day>\d{2})")
_KEYS = ("extends", "closed", "open", "weekly", "title")


class CalendarError(HubError):
    """A calendar that is not there, cannot be read, or never opens."""


@dataclass(frozen=True, slots=True)
class _Days:
    """A range of days, both ends included; without a year it comes back every year."""

    first: tuple[int | None, int, int]
    last: tuple[int | None, int, int]

    def __contains__(self, day: date) -> bool:
        if self.first[0] is not None:
            return self.first <= (day.year, day.month, day.day) <= self.last
        begin, end, asked = self.first[1:], self.last[1:], (day.month, day.day)
        # 12-29..01-03 runs over the turn of the year
        return begin <= asked <= end if begin <= end else asked >= begin or asked <= end


@dataclass(frozen=True, slots=True)
class Calendar:
    """Which days are business days. `weekly` holds days off as 0 (Monday) to 6."""

    name: str
    weekly: frozenset[int] = frozenset({5, 6})
    holidays: bool = True
    closed: tuple[_Days, ...] = ()
    open: tuple[_Days, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """The whole calendar as JSON-able values, for a process that has no calendar files."""
        return {**asdict(self), "weekly": sorted(self.weekly)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Calendar:
        """The inverse of `as_dict`, also after a way through JSON."""
        days = {
            name: tuple(_Days(tuple(each["first"]), tuple(each["last"])) for each in data[name])
            for name in ("closed", "open")
        }
        return cls(data["name"], frozenset(data["weekly"]), data["holidays"], **days)

    def is_business_day(self, day: date) -> bool:
        """Whether work is done on that day."""
        if any(day in days for days in self.open):
            return True
        if day.weekday() in self.weekly or any(day in days for days in self.closed):
            return False
        if not self.holidays:
            return True
        import jpholiday  # takes as long to import as all of this room, and most programs never ask

        return not jpholiday.is_holiday(day)

    def next(self, day: date, count: int = 1) -> date:
        """The `count`-th business day after `day` (`count` may be negative: before it).

        Raises CalendarError when there is none within 400 days.
        """
        step = timedelta(days=1 if count > 0 else -1)
        left, here = abs(count), day
        while left:
            here += step
            if abs(here - day) > _HORIZON:
                raise self._never()
            left -= self.is_business_day(here)
        return here

    def of_month(self, year: int, month: int) -> list[date]:
        """All business days of a month."""
        first = date(year, month, 1)
        days = (first + timedelta(days=n) for n in range(31))
        return [day for day in days if day.month == month and self.is_business_day(day)]

    def _never(self) -> CalendarError:
        return CalendarError(
            f"カレンダー {self.name} には営業日がありません。",
            f"Calendar {self.name} has no business day for more than a year.",
        )


BUILT_IN: Mapping[str, Calendar] = {
    "jp": Calendar("jp"),
    "jp-bank": Calendar("jp-bank", closed=(_Days((None, 12, 31), (None, 1, 3)),)),
}


@dataclass(frozen=True, slots=True)
class BusinessTimes:
    """Times of day on business days.

    at     times in Japan
    which  every business day, or the n-th of each month: 1 the first, -1 the last
    """

    calendar: Calendar
    at: tuple[time, ...]
    which: Literal["every"] | tuple[int, ...] = "every"

    def due_on(self, day: date) -> bool:
        """Whether the schedule runs on that day."""
        if not self.calendar.is_business_day(day):
            return False
        if self.which == "every":
            return True
        days = self.calendar.of_month(day.year, day.month)
        place = days.index(day)
        return place + 1 in self.which or place - len(days) in self.which


def next_run(schedule: str | BusinessTimes, after: datetime) -> datetime:
    """The first moment after `after` (aware) at which the schedule is due, in UTC.

    A text is a cron expression read in Japan time. Raises CalendarError when there is none within 400 days.
    """
    return next(runs_after(schedule, after))


def runs_after(schedule: str | BusinessTimes, after: datetime) -> Iterator[datetime]:
    """Every moment after `after` at which the schedule is due, in UTC, in order."""
    local = after.astimezone(JST)
    if isinstance(schedule, str):
        from croniter import croniter

        moments = croniter(schedule, local, ret_type=datetime)
        while True:
            yield moments.get_next(datetime).astimezone(UTC)
    day, quiet = local.date(), timedelta(0)
    while quiet <= _HORIZON:
        if schedule.due_on(day):
            for moment in sorted(datetime.combine(day, at, JST) for at in schedule.at):
                if moment > local:
                    quiet = timedelta(0)
                    yield moment.astimezone(UTC)
        day += timedelta(days=1)
        quiet += timedelta(days=1)
    raise schedule.calendar._never()


# ---------------------------------------------------------------- own calendars


@dataclass(slots=True)
class _Reading:
    """Calendar files being read; `open` notices one that extends itself."""

    files: Mapping[str, Path]
    done: dict[str, Calendar] = field(default_factory=lambda: dict(BUILT_IN))
    open: list[str] = field(default_factory=list)


def calendars(folders: Iterable[Path]) -> tuple[dict[str, Calendar], list[CalendarError]]:
    """The built-in calendars and those of `<folder>/calendars/*.yaml`; and what is wrong with files left out."""
    reading = _Reading(
        {p.stem: p for folder in folders for p in sorted((folder / "calendars").glob("*.yaml"))}
    )
    faults = []
    for name in reading.files:
        try:
            _read(name, reading)
        except CalendarError as fault:
            faults.append(fault)
    return reading.done, faults


def _read(name: str, reading: _Reading) -> Calendar:
    if name in BUILT_IN and name in reading.files:
        raise CalendarError(
            f"{reading.files[name]}: {name} は組み込みのカレンダー名です。別の名前にしてください。",
            f"{reading.files[name]}: {name} is a built-in calendar. Give it another name.",
        )
    if name in reading.done:
        return reading.done[name]
    path = reading.files[name]
    if name in reading.open:
        raise _wrong(path, 0, "extends が循環しています", "extends goes round in a circle")
    reading.open.append(name)
    try:
        calendar = reading.done[name] = _build(path, reading)
    finally:
        reading.open.pop()
    return calendar


def _build(path: Path, reading: _Reading) -> Calendar:
    try:
        data, marks = read_yaml(path.read_text("utf-8-sig"))
    except BadYaml as error:
        raise _wrong(path, error.line, "YAMLとして読めません", "this is no YAML") from error
    except (OSError, UnicodeDecodeError) as error:
        raise _wrong(path, 0, f"読めません({error})", f"cannot be read ({error})") from error
    if not isinstance(data, dict):
        raise _wrong(path, 1, "キーと値を書いてください", "write keys and values here")
    for key in data:
        if key not in _KEYS:
            ja, en = suggestion(key, _KEYS)
            raise _wrong(
                path,
                marks.line((key,)),
                f"「{key}」というキーはありません。{ja}",
                f"there is no key {key!r}.{en}",
            )
    base = str(data.get("extends", "jp"))
    if base not in reading.done and base not in reading.files:
        ja, en = suggestion(base, [*reading.done, *reading.files])
        line = marks.line(("extends",))
        raise _wrong(
            path, line, f"カレンダー「{base}」はありません。{ja}", f"there is no calendar {base!r}.{en}"
        )
    below = _read(base, reading)
    weekly = below.weekly
    if "weekly" in data:
        words = _texts(data["weekly"])
        if unknown := [word for word in words if word not in WEEKDAYS]:
            line = marks.line(("weekly",))
            raise _wrong(
                path,
                line,
                f"曜日は {', '.join(WEEKDAYS)} です({unknown[0]})",
                f"{unknown[0]!r} is no weekday",
            )
        weekly = frozenset(WEEKDAYS.index(word) for word in words)
    own = {}
    for key in ("closed", "open"):
        own[key] = tuple(
            _days(path, marks.line((key, n)), text) for n, text in enumerate(_texts(data.get(key)))
        )
    return Calendar(path.stem, weekly, below.holidays, below.closed + own["closed"], below.open + own["open"])


def _texts(value: Any) -> list[str]:
    if value is None:
        return []
    return [str(item) for item in value] if isinstance(value, list) else [str(value)]


def _days(path: Path, line: int, text: str) -> _Days:
    first, _, last = text.partition("..")
    found = [_DAY.fullmatch(part.strip()) for part in (first, last or first)]
    try:
        ends = []
        for match in found:
            if match is None:
                raise ValueError(text)
            year = int(match["year"]) if match["year"] else None
            month, day = int(match["month"]), int(match["day"])
            date(year or 2024, month, day)  # 2024: 29 February may come back every four years
            ends.append((year, month, day))
        if (ends[0][0] is None) != (ends[1][0] is None) or (ends[0][0] is not None and ends[0] > ends[1]):
            raise ValueError(text)
    except ValueError as error:
        raise _wrong(
            path, line, f"日付「{text}」が読めません。2026-12-29、12-29、12-29..01-03 の形で書いてください",
            f"{text!r} is no day or range. Write 2026-12-29, 12-29 or 12-29..01-03",
        ) from error  # fmt: skip
    return _Days(ends[0], ends[1])


def _wrong(path: Path, line: int, ja: str, en: str) -> CalendarError:
    where = f"{path}:{line}" if line else str(path)
    return CalendarError(f"{where}: {ja}", f"{where}: {en}")
