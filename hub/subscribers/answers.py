"""What an answer means, and how long to wait after a failure."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import timedelta

__all__ = ["Answer", "Manner"]

_GONE = 410
_OF_THE_PLACE = frozenset(
    {300, 301, 302, 303, 304, 307, 308, 401, 403, 404, 405, 408, 425, 429, 502, 503, 504}
)
"""What says that the receiver as a whole is away, busy or elsewhere, and nothing of the message."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one attempt.

    status   None: no answer; then `error` says why
    ms       from the beginning of the attempt to the answer's status
    excerpt  the first letters of the body, masked
    after    seconds the receiver asked us to wait
    """

    status: int | None
    ms: int
    excerpt: str | None = None
    error: str | None = None
    after: float | None = None

    @property
    def accepted(self) -> bool:
        return self.status is not None and 200 <= self.status < 300

    @property
    def gone(self) -> bool:
        """The receiver wants no more of this, ever."""
        return self.status == _GONE

    @property
    def of_the_place(self) -> bool:
        """Another message would have got the same answer."""
        return self.status is None or self.status in _OF_THE_PLACE


@dataclass(frozen=True, slots=True)
class Manner:
    """How patient we are. Times are seconds unless they say otherwise.

    first         pause after the first failure; each further one triples it
    longest       longest pause of one message
    longest_all   longest pause of a subscriber as a whole: when it is well again, it should soon be noticed
    limit         how long a message is tried, and how long a subscriber may fail altogether
    least         fewest attempts before that: the hub itself may have stood still in between
    in_a_row      failures in a row, of as many messages, after which it is no longer the messages that are wrong
    timeout       for one attempt
    turn          how long one turn sends before others may have their turn
    asked         longest pause a receiver may ask for
    """

    first: float = 2.0
    longest: float = 6 * 3600.0
    longest_all: float = 3600.0
    limit: timedelta = timedelta(days=3)
    least: int = 8
    in_a_row: int = 5
    timeout: float = 15.0
    turn: float = 10.0
    asked: timedelta = timedelta(hours=24)

    def pause(self, failures: int, *, whole: bool, after: float | None) -> float:
        """Seconds to wait after so many failures in a row, of one message or of the `whole` subscriber."""
        longest = self.longest_all if whole else self.longest
        grown = min(self.first * 3.0 ** min(failures - 1, 30), longest)
        spread = grown * random.uniform(0.8, 1.2)  # noqa: S311  (spreads load, guards nothing)
        return max(spread, after or 0.0)
