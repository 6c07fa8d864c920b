"""Business days around the turn of the year, Golden Week and a company's own days."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from hub.calendar import (
    BUILT_IN,
    JST,
    BusinessTimes,
    Calendar,
    CalendarError,
    calendars,
    next_run,
    runs_after,
)

JP, BANK = BUILT_IN["jp"], BUILT_IN["jp-bank"]
NINE = (time(9, 0),)


def jst(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=JST)


def own(tmp_path: Path, text: str, name: str = "acme") -> Calendar:
    (tmp_path / "calendars").mkdir(exist_ok=True)
    (tmp_path / "calendars" / f"{name}.yaml").write_text(text, "utf-8")
    found, faults = calendars([tmp_path])
    assert faults == []
    return found[name]


@pytest.mark.parametrize(
    ("day", "jp", "bank"),
    [
        ("2026-12-30", True, True),
        ("2026-12-31", True, False),  # jpholiday knows national holidays only
        ("2027-01-01", False, False),
        ("2027-01-02", False, False),  # a Saturday
        ("2027-01-04", True, True),
        ("2026-05-06", False, False),  # substitute holiday of Golden Week
        ("2026-09-22", False, False),  # a day between two holidays is one (国民の休日)
        ("2026-11-21", False, False),  # a Saturday
    ],
)
def test_built_in_calendars(day: str, jp: bool, bank: bool) -> None:
    assert JP.is_business_day(date.fromisoformat(day)) is jp
    assert BANK.is_business_day(date.fromisoformat(day)) is bank


def test_the_bank_is_closed_from_the_last_day_of_the_year_to_the_third() -> None:
    assert BANK.next(date(2026, 12, 30)) == date(2027, 1, 4)
    assert JP.next(date(2026, 12, 31)) == date(2027, 1, 4)
    assert BANK.next(date(2027, 1, 4), -1) == date(2026, 12, 30)
    assert BANK.next(date(2026, 12, 29), 2) == date(2027, 1, 4)


def test_a_company_adds_its_own_days(tmp_path: Path) -> None:
    acme = own(tmp_path, 'closed: ["12-29..01-03", 2026-08-12..2026-08-15]\nopen: ["2026-12-30"]\n')
    assert not acme.is_business_day(date(2026, 12, 29))
    assert acme.is_business_day(date(2026, 12, 30))  # open wins
    assert not acme.is_business_day(date(2027, 12, 30))
    assert not acme.is_business_day(date(2026, 8, 13))
    assert acme.is_business_day(date(2027, 8, 13))  # that range had a year


def test_a_calendar_stands_on_another_and_may_change_the_weekly_days_off(tmp_path: Path) -> None:
    own(tmp_path, "closed: ['08-13..08-15']\n", "office")
    warehouse = own(tmp_path, "extends: office\nweekly: [sun]\n", "warehouse")
    assert warehouse.is_business_day(date(2026, 11, 28))  # a Saturday
    assert not warehouse.is_business_day(date(2026, 11, 29))
    assert not warehouse.is_business_day(date(2026, 8, 14))


def test_next_run_over_the_turn_of_the_year() -> None:
    schedule = BusinessTimes(BANK, (time(15, 0), time(9, 0)))
    runs = list(islice(runs_after(schedule, jst("2026-12-30 10:00")), 3))
    assert runs == [jst("2026-12-30 15:00"), jst("2027-01-04 09:00"), jst("2027-01-04 15:00")]
    assert runs[0].tzinfo is UTC


def test_next_run_is_strictly_after_and_counts_days_in_japan() -> None:
    schedule = BusinessTimes(JP, NINE)
    assert next_run(schedule, jst("2026-11-24 09:00")) == jst("2026-11-25 09:00")
    # 23:30 UTC on Sunday the 22nd is Monday the 23rd in Japan, a holiday (勤労感謝の日)
    assert next_run(schedule, datetime(2026, 11, 22, 23, 30, tzinfo=UTC)) == jst("2026-11-24 09:00")


def test_the_first_and_the_last_business_day_of_the_month() -> None:
    runs = runs_after(BusinessTimes(BANK, NINE, (1, -1)), jst("2026-12-01 12:00"))
    assert [run.astimezone(JST).date().isoformat() for run in islice(runs, 3)] == [
        "2026-12-30", "2027-01-04", "2027-01-29",
    ]  # fmt: skip


def test_cron_is_read_in_japan_time() -> None:
    assert next_run("30 8 * * *", datetime(2026, 11, 21, 0, 0, tzinfo=UTC)) == datetime(
        2026, 11, 21, 23, 30, tzinfo=UTC
    )


@given(st.datetimes(datetime(2025, 1, 1), datetime(2030, 12, 31)))  # noqa: DTZ001
def test_a_run_lies_on_a_business_day_and_none_is_left_out(naive: datetime) -> None:
    after = naive.replace(tzinfo=JST)
    schedule = BusinessTimes(BANK, NINE)
    run = next_run(schedule, after).astimezone(JST)
    assert run > after
    assert BANK.is_business_day(run.date())
    assert BANK.next(run.date(), -1) <= after.date()


def test_a_calendar_that_never_opens_is_an_error(tmp_path: Path) -> None:
    never = own(tmp_path, "closed: ['01-01..12-31']\n")
    with pytest.raises(CalendarError, match="no business day"):
        next_run(BusinessTimes(never, NINE), jst("2026-01-01 00:00"))
    with pytest.raises(CalendarError, match="no business day"):
        never.next(date(2026, 1, 1))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("closed: ['2026-02-30']\n", "acme.yaml:1: '2026-02-30' is no day or range"),
        (
            "closed:\n  - 01-01\n  - 2026-01-05..2026-01-02\n",
            "acme.yaml:3: '2026-01-05..2026-01-02' is no day",
        ),
        ("extend: jp\n", "acme.yaml:1: there is no key 'extend'. Did you mean 'extends'?"),
        ("\nextends: jpbank\n", "acme.yaml:2: there is no calendar 'jpbank'. Did you mean 'jp-bank'"),
        ("extends: acme\n", "goes round in a circle"),
        ("weekly: [sunday]\n", "'sunday' is no weekday"),
        ("- 1\n", "write keys and values"),
        ("closed: [\n", "this is no YAML"),
    ],
)
def test_what_is_wrong_with_a_calendar_file_is_told_with_its_line(
    tmp_path: Path, text: str, said: str
) -> None:
    (tmp_path / "calendars").mkdir()
    (tmp_path / "calendars" / "acme.yaml").write_text(text, "utf-8")
    (tmp_path / "calendars" / "good.yaml").write_text("closed: ['12-31']\n", "utf-8")
    found, faults = calendars([tmp_path])
    assert [fault for fault in faults if said in fault.en], [fault.en for fault in faults]
    assert sorted(found) == ["good", "jp", "jp-bank"]
