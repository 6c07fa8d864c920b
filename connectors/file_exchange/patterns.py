"""File names as patterns: `JUCHU_{date:%Y%m%d}_{seq:03d}.csv` reads and writes them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, time

__all__ = ["NamePattern", "ParsedName"]

_TOKEN = re.compile(r"\{(date|time|seq)(?::([^{}]+))?\}|(\*)")
_DIGITS = {
    "%Y": r"\d{4}",
    "%y": r"\d{2}",
    "%m": r"\d{2}",
    "%d": r"\d{2}",
    "%H": r"\d{2}",
    "%M": r"\d{2}",
    "%S": r"\d{2}",
}


@dataclass(frozen=True, slots=True)
class ParsedName:
    """What a name says: its day, its time, its running number.

    before_sequence  the name up to the number, of names numbered anew each day
    start            the pattern's literal start, of names numbered without end
    """

    name: str
    day: date | None
    at: time | None
    sequence: int | None
    before_sequence: str
    start: str

    @property
    def order(self) -> tuple[date, time, int, str]:
        """Files are taken in by this."""
        return (self.day or date.min, self.at or time.min, self.sequence or 0, self.name)


class NamePattern:
    """A pattern of file names. Raises ValueError when it cannot be understood.

    `{date:%Y%m%d}` and `{time:%H%M%S}` take digits of strftime only, `{seq:03d}` a number of a fixed width
    (`{seq}`: of any), `*` anything. A pattern for files we write may hold no `*`.
    """

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.width: int | None = None
        self.start = pattern.split("{")[0].split("*")[0]
        self._formats: dict[str, str] = {}
        self._written = pattern
        parts: list[str] = []
        at = 0
        for token in _TOKEN.finditer(pattern):
            parts += (re.escape(pattern[at : token.start()]), self._part(token))
            at = token.end()
        parts.append(re.escape(pattern[at:]))
        if "{" in _TOKEN.sub("", pattern) or "}" in _TOKEN.sub("", pattern):
            raise ValueError(f"{pattern!r}: known are {{date:%Y%m%d}}, {{time:%H%M%S}}, {{seq:03d}} and *")
        self._regex = re.compile("".join(parts), re.ASCII)

    def _part(self, token: re.Match[str]) -> str:
        kind, form, star = token.groups()
        if star:
            return ".*"
        if kind in self._formats:
            raise ValueError(f"{self.pattern!r}: {{{kind}}} stands twice")
        if kind == "seq":
            self._formats["seq"] = form or "d"
            wide = re.fullmatch(r"0(\d)d", form or "")
            if form and wide is None:
                raise ValueError(f"{self.pattern!r}: write {{seq:03d}} or {{seq}}")
            self.width = int(wide[1]) if wide else None
            return rf"(?P<seq>\d{{{self.width}}})" if self.width else r"(?P<seq>\d+)"
        self._formats[kind] = form or ("%Y%m%d" if kind == "date" else "%H%M%S")
        digits = re.sub(r"%.", lambda m: _DIGITS.get(m[0], "?"), self._formats[kind])
        if "?" in digits:
            raise ValueError(f"{self.pattern!r}: {{{kind}}} may use {' '.join(_DIGITS)}")
        return f"(?P<{kind}>{digits})"

    def parse(self, name: str) -> ParsedName | None:
        """What `name` says, or None when it is not of this pattern (an impossible date is not)."""
        found = self._regex.fullmatch(name)
        if found is None:
            return None
        groups = found.groupdict()
        try:
            day = self._read(groups, "date")
            at = self._read(groups, "time")
        except ValueError:
            return None
        number = groups.get("seq")
        before = name[: found.start("seq")] if number is not None else name
        return ParsedName(
            name, day.date() if day else None, at.time() if at else None, int(number) if number else None, before,
            self.start,
        )  # fmt: skip

    def _read(self, groups: dict[str, str | None], kind: str) -> datetime | None:
        text = groups.get(kind)
        return datetime.strptime(text, self._formats[kind]) if text else None  # noqa: DTZ007  (a name has no zone)

    def write(self, when: datetime, day: date, sequence: int) -> str:
        """The name of a file of `day` with this running number, written at `when`."""

        def fill(token: re.Match[str]) -> str:
            kind, _, star = token.groups()
            if star:
                raise ValueError(f"{self.pattern!r}: a file that is written needs a name without *")
            if kind == "seq":
                return format(sequence, self._formats["seq"])
            return (day if kind == "date" else when).strftime(self._formats[kind])

        return _TOKEN.sub(fill, self.pattern)

    def has(self, kind: str) -> bool:
        """Whether `date`, `time` or `seq` is part of the pattern."""
        return kind in self._formats

    @property
    def highest(self) -> int | None:
        """The number after which a running number starts again at 1; None when it never does."""
        return 10**self.width - 1 if self.width else None
