"""How far a long run has come, for whoever watches: the command line shows a bar, tests keep a list."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Counter", "Progress", "Watch"]


@dataclass(frozen=True, slots=True)
class Progress:
    """What is done so far: records taken in, changes sent, quarantined rows tried again.

    total  how many there will be, as far as it is known by now; None while nobody can tell
    what   the page, file or delivery at hand
    """

    done: int
    total: int | None = None
    what: str = ""


Watch = Callable[[Progress], None]
"""Called every now and then, in the thread of the run; what it raises ends the run."""


class Counter:
    """Counts for a watcher; with None it costs nothing."""

    def __init__(self, watch: Watch | None) -> None:
        self._watch = watch
        self._now = Progress(0)

    @property
    def watched(self) -> bool:
        """Whether anybody looks: what only serves the bar need not be asked of the store."""
        return self._watch is not None

    def at(self, what: str) -> None:
        """Another page, file or delivery."""
        self._tell(Progress(self._now.done, self._now.total, what))

    def add(self, count: int) -> None:
        """So many more are done."""
        self._tell(Progress(self._now.done + count, self._now.total, self._now.what))

    def expect(self, left: int) -> None:
        """So many are still to be done."""
        self._tell(Progress(self._now.done, self._now.done + left, self._now.what))

    def _tell(self, now: Progress) -> None:
        before, self._now = self._now, now
        if self._watch is not None and now != before:
            self._watch(now)
