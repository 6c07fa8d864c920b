"""What sinks are given, and from errors to outcomes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from connectors.contract import Change, Outcome, Refused, Retry
from connectors.square.api import CONFLICTS

__all__ = ["RecordModel", "failed", "read_record"]

ModelT = TypeVar("ModelT", bound=BaseModel)


class RecordModel(BaseModel):
    """Base of what sinks are given: Square's own field names; unknown ones are an error of the mapping."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def read_record(model: type[ModelT], record: Mapping[str, Any]) -> ModelT:
    """The change's record as `model`. Raises `Refused` (code `bad_record`) naming each field that is wrong."""
    try:
        return model.model_validate(record)
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(str(step) for step in detail['loc'])}: {detail['msg']}"
            for detail in error.errors(include_url=False, include_input=False)
        )
        raise Refused(f"the record is not what Square's sink takes: {wrong}", code="bad_record") from None


def failed(change: Change, error: Refused | Retry) -> Outcome:
    """The outcome an error means for one change. A lost race is tried again: the version is read anew then."""
    if isinstance(error, Retry):
        return Outcome.retry(change.key, str(error), after=error.after)
    if error.code in CONFLICTS:
        return Outcome.retry(change.key, str(error))
    return Outcome.refused(change.key, str(error), code=error.code)
