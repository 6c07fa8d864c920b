"""A check, how it fails, and small questions that several checks ask."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NoReturn

__all__ = ["Check", "ContractBroken", "broken", "hold", "secrets_in", "why_not_json"]


class ContractBroken(AssertionError):
    """A promise of the contract is not kept; the text says which one and what to do."""


@dataclass(frozen=True)
class Check:
    """One promise. `run` raises `ContractBroken` when it is not kept."""

    id: str
    run: Callable[[], None]


def broken(finding: str) -> NoReturn:
    """Raise `ContractBroken`."""
    raise ContractBroken(finding)


def hold(condition: object, otherwise: str) -> None:
    """Raise `ContractBroken(otherwise)` unless the condition holds."""
    if not condition:
        broken(otherwise)


def secrets_in(texts: Iterable[str], secrets: Iterable[str]) -> list[str]:
    """The texts that hold a secret, with the secret masked."""
    found = []
    wanted = list(secrets)
    for text in texts:
        masked = text
        for secret in wanted:
            masked = masked.replace(secret, "<SECRET>")
        if masked != text:
            found.append(masked[:500])
    return found


def why_not_json(value: Any) -> str | None:
    """Why a value cannot be stored as JSON and read back the same; None when it can."""
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
        text.encode()
    except (TypeError, ValueError) as error:
        return str(error)
    if json.loads(text) != _plain(value):
        return "it does not come back the same (are there keys that are no text?)"
    return None


def _plain(value: Any) -> Any:
    """Tuples as lists; everything else as it is."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value
