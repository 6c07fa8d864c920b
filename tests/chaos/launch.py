"""`python -m tests.chaos.launch BUG COMMAND...`: the hub's own command, with a bug planted into it where BUG is no "-".

The bugs show that a run fails when the hub does not keep its word: each breaks one promise, in one place, now and then.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from connectors.contract import Batch, Outcome
from hub import delivery
from hub.gateway import app, arrivals

__all__ = ["BUGS"]


def _twice() -> None:
    """The gateway no longer knows an event again."""
    made, count = arrivals.arrivals_of, itertools.count()

    def forgetful(*given: Any) -> Any:
        return [replace(one, event_id=f"{one.event_id}~{next(count)}") for one in made(*given)]

    app.__dict__["arrivals_of"] = forgetful


def _unsent() -> None:
    """Every fourth batch is written down as accepted and never sent."""
    real, count = delivery.Sender._run, itertools.count(1)

    def lazy(self: Any, batch: Batch, outcomes: dict[str, Outcome]) -> None:
        if next(count) % 4 == 0:
            outcomes.update({change.key: Outcome.done(change.key) for change in batch})
            return
        real(self, batch, outcomes)

    delivery.Sender._run = lazy  # type: ignore[method-assign]


BUGS: dict[str, Callable[[], None]] = {"twice": _twice, "unsent": _unsent}


def main(arguments: list[str]) -> None:
    """Plant the bug, then be the command."""
    bug, *command = arguments
    if bug != "-":
        BUGS[bug]()
    if command[0] == "flows":
        from tests.chaos.flows import run

        run(command[1])
        return
    from hub.cli import main as tsunagi

    sys.argv = ["tsunagi", *command]
    tsunagi()


if __name__ == "__main__":
    main(sys.argv[1:])
