"""From errors to outcomes, where Square has a word of its own."""

from __future__ import annotations

from connectors import outcomes
from connectors.contract import Change, Outcome, Refused, Retry
from connectors.square.api import CONFLICTS

__all__ = ["failed"]


def failed(change: Change, error: Refused | Retry) -> Outcome:
    """The outcome an error means for one change. A lost race is tried again: the version is read anew then."""
    if isinstance(error, Refused) and error.code in CONFLICTS:
        return Outcome.retry(change.key, str(error))
    return outcomes.failed(change, error)
