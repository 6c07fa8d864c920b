"""Transforms of dates and times, the Japanese calendar among them.

Inside, instants are aware datetimes in UTC; at the edges Japan's time is the default. Null dates that old systems
write (00000000, 99999999, 1900-01-01, blanks; files/01 section 12) become null.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field

from mappings.faults import TransformFault
from mappings.transforms.registry import BadParameter, Step, as_text, transform

_NINE = timedelta(hours=9)  # no summer time in Japan since 1952
_JST = timezone(_NINE)
_NULL_DAYS = frozenset({"00000000", "99999999", "19000101", "00010101"})
_NULL_SHORT = frozenset({"0", "000000", "999999"})
_NOT_DIGITS = re.compile(r"\D+")


def _is_null(body: str) -> bool:
    digits = _NOT_DIGITS.sub("", body)
    return digits[:8] in _NULL_DAYS or digits in _NULL_SHORT


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"there is no time zone {name!r}") from None
    return name


_Zone = Annotated[str, AfterValidator(_zone)]
_Format = Annotated[str, Field(min_length=2, pattern="%")]
Parse = Callable[[str], datetime]


_WIDTHS = {"Y": 4, "m": 2, "d": 2, "H": 2, "M": 2, "S": 2}


def _quick(format: str, kind: str, slow: Step) -> Step:  # noqa: A002
    """A step for formats of fixed-width digits, many times faster than strptime; other values go to `slow`.

    It checks the format's own signs and lets `fromisoformat`, which is strict, read the digits between them. Years
    in which dates may mean nothing (1900), or Japan's clocks were not nine hours ahead, go to `slow`.
    """
    parts = re.findall(r"%(.)|(.)", format)
    order = "".join(part for part, _ in parts if part)
    if order not in ("Ymd", "YmdHM", "YmdHMS"):
        return slow
    tests, digits, at = [], {}, 0
    for part, sign in parts:
        if sign:
            tests.append(f"s[{at}] == {sign!r}")
            at += 1
        else:
            digits[part] = f"{{s[{at}:{at + _WIDTHS[part]}]}}"
            at += _WIDTHS[part]
    day, clock = "-".join(digits[p] for p in "Ymd"), ":".join(digits.get(p, "00") for p in "HMS")
    since = "1900" if kind == "date" else "1951"
    if kind == "datetime":
        text = "s + 'Z'" if format == "%Y-%m-%d %H:%M:%S" else f"f'{day} {clock}Z'"
        read = f"instant({text}) - nine"
    elif order == "Ymd":
        text = "s" if format == "%Y-%m-%d" else f"f'{day}'"
        read = f"date({text})"
    else:
        read = f"instant(f'{day} {clock}').date()"
    test = " and ".join(["s.__class__ is str", f"len(s) == {at}", *tests, f"s[:4] > {since!r}"])
    # the source is made of positions and of the format's own signs, quoted; nothing of a record gets into it
    source = (
        f"def quick(s):\n    if {test}:\n        try:\n"
        f"            return {read}\n"
        "        except ValueError:\n            pass\n    return slow(s)\n"
    )
    space: dict[str, Any] = {
        "date": date.fromisoformat,
        "instant": datetime.fromisoformat,
        "nine": _NINE,
        "slow": slow,
    }
    exec(compile(source, f"<date format {format}>", "exec"), space)  # noqa: S102
    return space["quick"]  # type: ignore[no-any-return]


def _quick_iso(slow: Step) -> Step:
    """The same for ISO 8601 with or without an offset."""
    instant = datetime.fromisoformat

    def quick(value: Any) -> Any:
        if value.__class__ is str and len(value) >= 19 and value[:4] > "1951":
            try:
                found = instant(value)
            except ValueError:
                return slow(value)
            return (found if found.tzinfo else found.replace(tzinfo=_JST)).astimezone(UTC)
        return slow(value)

    return quick


_LOOSE = re.compile(
    r"(?P<Y>\d{4})(?:[-/.年]\s?(?P<m>\d{1,2})[-/.月]\s?(?P<d>\d{1,2})日?|(?P<m2>\d\d)(?P<d2>\d\d))"
    r"(?:[T\s]?\s*(?P<H>\d{1,2})[:時]?(?P<M>\d{2})分?(?::?(?P<S>\d{2})秒?(?:\.\d+)?)?)?"
)
_USUAL = "YYYY-MM-DD, YYYY/MM/DD, YYYYMMDD, YYYY年M月D日 (+ HH:MM[:SS])"


def _loose(body: str) -> datetime:
    """ISO 8601 and the forms usual in Japan: 2026/1/5 9:03, 20260105, 2026年1月5日 9時03分."""
    try:
        return datetime.fromisoformat(body)
    except ValueError:
        pass
    if not body.isascii():
        body = body.translate(_DIGITS_AND_SIGNS)
    match = _LOOSE.fullmatch(body)
    if match is None:
        raise TransformFault("not_a_date", format=_USUAL)
    part = match.groupdict()
    try:
        return datetime(  # noqa: DTZ001  (the zone is put on by the caller)
            int(part["Y"]),
            int(part["m"] or part["m2"]),
            int(part["d"] or part["d2"]),
            int(part["H"] or 0),
            int(part["M"] or 0),
            int(part["S"] or 0),
        )
    except ValueError:
        raise TransformFault("impossible_date") from None


_DIGITS_AND_SIGNS = str.maketrans("０１２３４５６７８９／－：．　", "0123456789/-:. ")
_SHAPE = {
    "Y": r"\d{4}",
    "y": r"\d{2}",
    **dict.fromkeys("mdHMSI", r"\d{1,2}"),
    "j": r"\d{1,3}",
    "f": r"\d{1,6}",
}


def _strict(format: str) -> Parse:  # noqa: A002
    """A parser for a strptime format; tells a wrong shape from a date that does not exist."""
    try:
        datetime.strptime(datetime(2026, 11, 21, tzinfo=_JST).strftime(format), format)  # noqa: DTZ007
    except ValueError as error:
        raise BadParameter("format", str(error)) from None
    shape = re.compile(
        re.sub(r"%(.)", lambda m: _SHAPE.get(m[1], ".+"), re.escape(format).replace(r"\%", "%"))
    )

    def parse(body: str) -> datetime:
        try:
            return datetime.strptime(body, format)  # noqa: DTZ007
        except ValueError:
            if shape.fullmatch(body):
                raise TransformFault("impossible_date") from None
            raise TransformFault("not_a_date", format=format) from None

    return parse


_LATE = re.compile(r"(?P<head>.*?[T\s])(?P<H>2[4-9]|3\d|4[0-7])(?P<tail>:?\d{2}.*)")


def _late(parse: Parse) -> Parse:
    """Reads 25:30 as 1:30 of the next day."""

    def step(body: str) -> datetime:
        match = _LATE.fullmatch(body)
        if match is None:
            return parse(body)
        return parse(f"{match['head']}{int(match['H']) - 24:02d}{match['tail']}") + timedelta(days=1)

    return step


def _from_days(value: Any) -> Any:
    """What is a date already is handed through; the rest must be text."""
    return value if isinstance(value, date) else as_text(value)


@transform(
    "datetime",
    gives="datetime",
    ja="日時を読み、UTCの日時にします。format は strptime の形(省くと ISO 8601 と日本で普通の形)、"
    "timezone は既定 Asia/Tokyo、late_hours: true で 25:30 を翌日1:30 と読みます。0や9だけの日付は null。",
    en="An instant, in UTC. format as in strptime (without it ISO 8601 and the forms usual in Japan are read), "
    "timezone (Asia/Tokyo) where the text has none, late_hours: true reads 25:30 as 1:30 of the next day. Dates of "
    "zeros or nines become null.",
    examples=[
        ({"format": "%Y/%m/%d %H:%M:%S"}, "2026/11/21 09:30:00", "2026-11-21T00:30:00Z"),
        ({}, "2026-11-21T09:30:00+0900", "2026-11-21T00:30:00Z"),
        ({}, "2026/1/5 9:03", "2026-01-05T00:03:00Z"),
        ({"late_hours": True}, "2026/11/21 25:30", "2026-11-21T16:30:00Z"),
        ({"format": "%Y%m%d%H%M%S"}, "00000000000000", None),
    ],
)
def datetime_(
    *,
    format: _Format | None = None,  # noqa: A002
    timezone: _Zone = "Asia/Tokyo",
    late_hours: bool = False,
) -> Step:
    parse = _loose if format is None else _strict(format)
    if late_hours:
        parse = _late(parse)
    zone = ZoneInfo(timezone)
    japan = timezone == "Asia/Tokyo"

    def step(value: Any) -> datetime | None:
        if value.__class__ is str:
            body = value.strip()
        else:
            body = _from_days(value)
            if isinstance(body, datetime):
                return (body if body.tzinfo else body.replace(tzinfo=zone)).astimezone(UTC)
            if isinstance(body, date):
                body = body.isoformat()
        if not body or _is_null(body):
            return None
        found = parse(body)
        try:
            if found.tzinfo is None:
                found = found.replace(tzinfo=_JST if japan and found.year > 1951 else zone)
            return found.astimezone(UTC)
        except OverflowError:
            raise TransformFault("impossible_date") from None

    if not japan or late_hours:
        return step
    return (
        _quick(format, "datetime", step)
        if format
        else _quick_iso(_quick("%Y/%m/%d %H:%M:%S", "datetime", step))
    )


@transform(
    "date",
    gives="date",
    ja="日付を読みます。format は strptime の形(省くと ISO 8601 と日本で普通の形)。0や9だけの日付は null。",
    en="A date. format as in strptime (without it ISO 8601 and the forms usual in Japan). Dates of zeros or nines "
    "become null.",
    examples=[
        ({}, "2026/11/21", "2026-11-21"),
        ({"format": "%Y%m%d"}, "20261121", "2026-11-21"),
        ({}, "2026年1月5日", "2026-01-05"),
        ({}, "00000000", None),
        ({}, "9999/99/99", None),
    ],
)
def date_(*, format: _Format | None = None) -> Step:  # noqa: A002
    parse = _loose if format is None else _strict(format)

    def step(value: Any) -> date | None:
        body = value.strip() if value.__class__ is str else _from_days(value)
        if isinstance(body, datetime):
            return (body.astimezone(_JST) if body.tzinfo else body).date()
        if isinstance(body, date):
            return body
        if not body or _is_null(body):
            return None
        return parse(body).date()

    if format is not None:
        return _quick(format, "date", step)
    return _quick("%Y-%m-%d", "date", _quick("%Y/%m/%d", "date", step))


# ---------------------------------------------------------------- the Japanese calendar

_ERAS = (
    ("令和", "R", "5", date(2019, 5, 1)),
    ("平成", "H", "4", date(1989, 1, 8)),
    ("昭和", "S", "3", date(1926, 12, 25)),
    ("大正", "T", "2", date(1912, 7, 30)),
    ("明治", "M", "1", date(1868, 1, 25)),
)
_BY_SIGN = {sign: era for era in _ERAS for sign in era[:3]} | {
    "㋿": _ERAS[0],
    "㍻": _ERAS[1],
    "㍼": _ERAS[2],
    "㍽": _ERAS[3],
    "㍾": _ERAS[4],
}
_WAREKI = re.compile(
    r"(?P<era>令和|平成|昭和|大正|明治|[RHSTMrhstm]|[㋿㍻㍼㍽㍾])?\s?\.?\s?(?P<y>\d{1,2}|元)\s?[-/.年]\s?(?P<m>\d{1,2})\s?[-/.月]\s?(?P<d>\d{1,2})日?"
    r"|(?P<era2>[RHSTMrhstm1-5])(?P<y2>\d\d)(?P<m2>\d\d)(?P<d2>\d\d)|(?P<y3>\d\d)(?P<m3>\d\d)(?P<d3>\d\d)"
)


@transform(
    "wareki",
    gives="date",
    ja="和暦の日付を読みます: R07/07/01、令和7年7月1日、5070701、元年。元号のない 070701 は era で元号を決めます。",
    en="A date of the Japanese calendar: R07/07/01, 令和7年7月1日, 5070701, 元年. For dates without an era (070701) "
    "`era` names it.",
    examples=[
        ({}, "R07/07/01", "2025-07-01"),
        ({}, "令和7年7月1日", "2025-07-01"),
        ({}, "5070701", "2025-07-01"),
        ({}, "令和元年5月1日", "2019-05-01"),
        ({"era": "R"}, "070701", "2025-07-01"),
        ({}, "00000000", None),
    ],
)
def wareki(
    *, era: Annotated[str, Field(pattern="^(令和|平成|昭和|大正|明治|[RHSTM])$")] | None = None
) -> Step:
    def step(value: Any) -> date | None:
        body = as_text(value).translate(_DIGITS_AND_SIGNS).strip()
        if not body or _is_null(body):
            return None
        match = _WAREKI.fullmatch(body)
        if match is None:
            raise TransformFault("not_a_wareki")
        part = match.groupdict()
        sign = part["era"] or part["era2"] or era
        if sign is None:
            raise TransformFault("not_a_wareki")
        name, _, _, began = _BY_SIGN[sign.upper()]
        year = part["y"] or part["y2"] or part["y3"]
        try:
            found = date(
                began.year - 1 + (1 if year == "元" else int(year)),
                int(part["m"] or part["m2"] or part["m3"]),
                int(part["d"] or part["d2"] or part["d3"]),
            )
        except ValueError:
            raise TransformFault("impossible_date") from None
        if found < began:
            raise TransformFault("before_era", era=name)
        return found

    return step


# ---------------------------------------------------------------- outgoing


def _instant(value: Any) -> datetime | date | None:
    """A canonical date or aware instant, as an object or in ISO 8601; null for blank text."""
    found = value
    if not isinstance(value, date):
        body = as_text(value)
        if not body:
            return None
        try:
            found = date.fromisoformat(body) if len(body) == 10 else datetime.fromisoformat(body)
        except ValueError:
            raise TransformFault("not_a_date", format="ISO 8601") from None
    if isinstance(found, datetime) and found.tzinfo is None:
        found = found.replace(tzinfo=UTC)
    assert isinstance(found, date)
    return found


@transform(
    "format_date",
    gives="text",
    ja="日付を format(strftime)の文字にします。日時は timezone(既定 Asia/Tokyo)の日付になります。",
    en="A date as text in `format` (strftime); of an instant, the day it has in `timezone` (Asia/Tokyo).",
    examples=[
        ({"format": "%Y/%m/%d"}, "2026-11-21", "2026/11/21"),
        ({"format": "%Y%m%d"}, "2026-11-21T15:30:00Z", "20261122"),
    ],
)
def format_date(*, format: _Format = "%Y/%m/%d", timezone: _Zone = "Asia/Tokyo") -> Step:  # noqa: A002
    zone = ZoneInfo(timezone)

    def step(value: Any) -> str | None:
        found = _instant(value)
        if isinstance(found, datetime):
            found = found.astimezone(zone)
        return None if found is None else found.strftime(format)

    return step


@transform(
    "format_datetime",
    gives="text",
    ja="日時を timezone(既定 Asia/Tokyo)の format(strftime)の文字にします。",
    en="An instant as text in `format` (strftime), as clocks in `timezone` (Asia/Tokyo) show it.",
    examples=[
        ({"format": "%Y/%m/%d %H:%M:%S"}, "2026-11-21T00:30:00Z", "2026/11/21 09:30:00"),
        ({"format": "%Y-%m-%dT%H:%M:%S%z"}, "2026-11-21T00:30:00Z", "2026-11-21T09:30:00+0900"),
    ],
)
def format_datetime(*, format: _Format = "%Y/%m/%d %H:%M:%S", timezone: _Zone = "Asia/Tokyo") -> Step:  # noqa: A002
    zone = ZoneInfo(timezone)
    japan = timezone == "Asia/Tokyo"

    def step(value: Any) -> str | None:
        found = _instant(value)
        if found is None:
            return None
        if not isinstance(found, datetime):
            raise TransformFault("not_a_date", format="ISO 8601")
        return found.astimezone(_JST if japan and found.year > 1951 else zone).strftime(format)

    return step


@transform(
    "format_wareki",
    gives="text",
    ja="日付を和暦の文字にします。style: short は R07/07/01、long は 令和7年7月1日。",
    en="A date in the Japanese calendar; style short: R07/07/01, long: 令和7年7月1日.",
    examples=[({}, "2025-07-01", "R07/07/01"), ({"style": "long"}, "2019-05-01", "令和元年5月1日")],
)
def format_wareki(*, style: Annotated[str, Field(pattern="^(short|long)$")] = "short") -> Step:
    def step(value: Any) -> str | None:
        day = _instant(value)
        if day is None:
            return None
        if isinstance(day, datetime):
            day = day.astimezone(_JST).date()
        for name, sign, _, began in _ERAS:
            if day >= began:
                year = day.year - began.year + 1
                if style == "short":
                    return f"{sign}{year:02d}/{day.month:02d}/{day.day:02d}"
                return f"{name}{'元' if year == 1 else year}年{day.month}月{day.day}日"
        raise TransformFault("before_era", era="明治")

    return step
