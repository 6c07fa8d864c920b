"""What sinks are given, and from errors to outcomes: one bad change never stops the others, and a server that is down
is not asked a hundred times.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from connectors.contract import Change, Outcome, Refused, Retry

__all__ = ["Row", "each", "failed", "read_record"]

RowT = TypeVar("RowT", bound=BaseModel)

_MOST_RETRIES_IN_A_ROW = 3


class Row(BaseModel):
    """Base of what sinks are given: the system's own field names; unknown ones are an error of the mapping."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def read_record(model: type[RowT], record: Mapping[str, Any]) -> RowT:
    """The change's record as `model`. Raises `Refused` (code `bad_record`) naming each field that is wrong."""
    try:
        return model.model_validate(record)
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(str(step) for step in detail['loc'])}: {detail['msg']}"
            for detail in error.errors(include_url=False, include_input=False)
        )
        raise Refused(f"the record is not what this sink takes: {wrong}", code="bad_record") from None


def failed(change: Change, error: Refused | Retry) -> Outcome:
    """The outcome an error means for one change."""
    if isinstance(error, Retry):
        return Outcome.retry(change.key, str(error), after=error.after)
    return Outcome.refused(change.key, str(error), code=error.code)


def each(changes: Iterable[Change], write: Callable[[Change], Outcome]) -> Iterator[Outcome]:
    """`write` for each change on its own. When the server fails several times in a row, the rest waits untried."""
    in_a_row = 0
    last: Retry | None = None
    for change in changes:
        if last is not None and in_a_row >= _MOST_RETRIES_IN_A_ROW:
            yield failed(change, last)
            continue
        try:
            outcome = write(change)
        except Refused as error:
            outcome, in_a_row = failed(change, error), 0
        except Retry as error:
            outcome, in_a_row, last = failed(change, error), in_a_row + 1, error
        else:
            in_a_row = 0
        yield outcome
