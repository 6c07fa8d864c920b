"""Stock as Square keeps it: a log of counts and adjustments per variation and location, ordered by `occurred_at`.

A quantity is the last physical count of a state and what moved into and out of the state afterwards, by the time at
which it happened and not by when it was told (Square's guide, "How the Inventory API works"). So a count that arrives
late does not swallow the sales made after it was taken, and a sale told late changes nothing a later count has seen.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

__all__ = ["ALLOWED", "COUNTABLE", "UNTRACKED", "Entry", "Ledger"]

UNTRACKED = frozenset({"NONE", "SOLD", "UNLINKED_RETURN"})
"""States Square keeps no quantity of."""
COUNTABLE = frozenset({"IN_STOCK", "WASTE", "RETURNED_BY_CUSTOMER", "RESERVED_FOR_SALE"})
"""States a physical count may set. Square publishes no list; this one is assumed."""
ALLOWED = frozenset(
    {
        ("NONE", "IN_STOCK"),
        ("IN_STOCK", "SOLD"),
        ("IN_STOCK", "WASTE"),
        ("UNLINKED_RETURN", "IN_STOCK"),
        ("UNLINKED_RETURN", "WASTE"),
    }
)
"""Moves an application may report; others are Square's own (sales, refunds)."""

Key = tuple[str, str]
"""(variation id, location id)"""


@dataclass(frozen=True, order=True)
class Entry:
    """One line of the log; `body` is the InventoryChange as Square shows it."""

    occurred_at: datetime
    number: int
    kind: str = field(compare=False)
    to_state: str = field(compare=False)
    quantity: Decimal = field(compare=False)
    from_state: str | None = field(compare=False, default=None)
    created_at: datetime = field(compare=False, default_factory=lambda: datetime.now().astimezone())
    body: dict[str, Any] = field(compare=False, default_factory=dict)


@dataclass
class Ledger:
    """All entries, and when each quantity was last told about."""

    entries: dict[Key, list[Entry]] = field(default_factory=dict)
    told_at: dict[tuple[str, str, str], datetime] = field(default_factory=dict)

    def add(self, key: Key, entry: Entry) -> list[str]:
        """Write an entry; the states it may have changed."""
        insort(self.entries.setdefault(key, []), entry)
        states = [state for state in (entry.from_state, entry.to_state) if state and state not in UNTRACKED]
        for state in states:
            self.told_at[(*key, state)] = entry.created_at
        return states

    def quantity(self, key: Key, state: str) -> Decimal | None:
        """Units in a state; None where nothing was ever told."""
        total: Decimal | None = None
        for entry in reversed(self.entries.get(key, ())):
            if entry.kind == "PHYSICAL_COUNT":
                if entry.to_state == state:
                    return entry.quantity + (total or 0)
                continue
            if entry.to_state == state:
                total = (total or Decimal(0)) + entry.quantity
            elif entry.from_state == state:
                total = (total or Decimal(0)) - entry.quantity
        return total

    def counts(self) -> Iterator[tuple[Key, str, datetime]]:
        """Every quantity that is known: whose, of which state, told about when."""
        for (variation, location, state), moment in self.told_at.items():
            yield (variation, location), state, moment
