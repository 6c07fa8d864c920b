"""What a query costs, and the leaky bucket it is paid from.

Rules as the vendor publishes them: a scalar costs nothing, an object 1, a connection 2 and its size times what one
node costs, a mutation 10; one query at most 1,000. Before a query runs the bucket must hold what was asked for;
taken is what the answer really held.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from graphql import FieldNode, SelectionSetNode

from sandbox.shopify.graph import Operation

__all__ = ["DEAREST", "Bucket", "actual_cost", "requested_cost"]

DEAREST = 1000
_MUTATION = 10


def requested_cost(operation: Operation) -> int:
    """What a query may cost at most."""
    if operation.mutation:
        return _MUTATION
    return sum(_field(operation, node) for node in operation.fields(operation.node.selection_set, None))


def actual_cost(operation: Operation) -> int:
    """What it did cost, once it ran."""
    return _MUTATION if operation.mutation else max(operation.counted, 1)


def _selected(operation: Operation, selection: SelectionSetNode) -> int:
    return sum(_field(operation, node) for node in operation.fields(selection, None))


def _field(operation: Operation, node: FieldNode) -> int:
    if node.selection_set is None or node.name.value == "pageInfo":
        return 0
    arguments = operation.arguments(node)
    inner = list(operation.fields(node.selection_set, None))
    rows = [one for one in inner if one.name.value in ("nodes", "edges") and one.selection_set is not None]
    size = arguments.get("first")
    ids = arguments.get("ids")
    if rows and isinstance(size, int):
        return 2 + size * sum(
            1 + _selected(operation, one.selection_set) for one in rows if one.selection_set
        )
    one = 1 + _selected(operation, node.selection_set)
    if isinstance(size, int):
        return size * one
    return len(ids) * one if isinstance(ids, list) else one


@dataclass
class Bucket:
    """Points of one app in one shop. `pace` lets its seconds pass faster."""

    size: float = 2000.0
    restore: float = 100.0
    pace: float = 1.0
    clock: Callable[[], float] = time.monotonic
    _held: float | None = field(default=None)
    _at: float = field(default=0.0)

    def available(self) -> float:
        now = self.clock()
        held = self.size if self._held is None else self._held
        self._held = min(self.size, held + (now - self._at) * self.pace * self.restore)
        self._at = now
        return self._held

    def take(self, points: float) -> None:
        self._held = self.available() - points

    def empty(self) -> None:
        """Nothing is left: the next call is throttled."""
        self.take(self.available())

    def status(self) -> dict[str, Any]:
        return {
            "maximumAvailable": self.size,
            "currentlyAvailable": int(self.available()),
            "restoreRate": self.restore * self.pace,
        }
