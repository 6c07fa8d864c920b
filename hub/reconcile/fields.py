"""Where two contents differ: field by field, under the canonical paths, with who owns each field."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from pydantic import ValidationError

from canonical_model.content import from_content
from hub.logs import mask_record

__all__ = ["MOST", "FieldDifference", "differences_of", "differences_of_values"]

MOST = 50
"""Fields of one difference that are told."""


@dataclass(frozen=True, slots=True)
class FieldDifference:
    """One field. `owner` is the system whose word counts for it; None: the last speaker's does.

    `hub` and `system` are JSON values; None where the side does not have it.
    """

    path: str
    hub: Any
    system: Any
    owner: str | None = None

    def masked(self) -> FieldDifference:
        """The same with personal data masked."""
        return FieldDifference(
            self.path, mask_record(self.hub, self.path), mask_record(self.system, self.path), self.owner
        )

    def as_dict(self) -> dict[str, Any]:
        return {"path": self.path, "hub": self.hub, "system": self.system, "owner": self.owner}


def differences_of(
    kind: str, hub: Mapping[str, Any], system: Mapping[str, Any], owners: Mapping[str, str]
) -> list[FieldDifference]:
    """The fields in which two contents of a kind differ; none where they mean the same (defaults count as told)."""
    found = []
    for path, mine, theirs in _walk(_full(kind, hub), _full(kind, system), ""):
        name = path.partition(".")[0].partition("[")[0]
        found.append(FieldDifference(path, mine, theirs, owners.get(name, owners.get("*"))))
        if len(found) == MOST:
            break
    return found


def differences_of_values(hub: Mapping[str, Any], system: Mapping[str, Any]) -> list[FieldDifference]:
    """The same of two rows in a system's own shape, all of which the hub sends."""
    return [FieldDifference(path, mine, theirs, None) for path, mine, theirs in _walk(hub, system, "")][:MOST]


def _full(kind: str, content: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return from_content(kind, content).model_dump(mode="json")
    except ValidationError:  # content of an older model: compared as it stands
        return dict(content)


def _walk(hub: Any, system: Any, path: str) -> Iterator[tuple[str, Any, Any]]:
    if hub == system:
        return
    if isinstance(hub, Mapping) and isinstance(system, Mapping):
        for name in [*hub, *(name for name in system if name not in hub)]:
            yield from _walk(hub.get(name), system.get(name), f"{path}.{name}" if path else name)
    elif isinstance(hub, list) and isinstance(system, list):
        for place, mine, theirs in _pairs(hub, system):
            yield from _walk(mine, theirs, f"{path}[{place}]")
    else:
        yield path, hub, system


def _pairs(hub: Sequence[Any], system: Sequence[Any]) -> Iterator[tuple[int, Any, Any]]:
    """Entries side by side: by their `id` where all have one of their own, else by their place."""
    mine, theirs = _by_id(hub), _by_id(system)
    if mine is None or theirs is None:
        for place in range(max(len(hub), len(system))):
            yield (
                place,
                hub[place] if place < len(hub) else None,
                system[place] if place < len(system) else None,
            )
        return
    for place, (name, entry) in enumerate(mine.items()):
        yield place, entry, theirs.get(name)
    for place, (name, entry) in enumerate(theirs.items()):
        if name not in mine:
            yield place, None, entry


def _by_id(entries: Sequence[Any]) -> dict[str, Any] | None:
    named = {
        orjson.dumps(entry["id"]).decode(): entry
        for entry in entries
        if isinstance(entry, Mapping) and entry.get("id") is not None
    }
    return named if len(named) == len(entries) else None
