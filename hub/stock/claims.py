"""What is said of a reservation: what is wanted, what is held, and why something cannot be had."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row

from hub.words import HubError

__all__ = ["LONGEST", "Claim", "NotEnough", "NotReservable", "ReservationClosed", "Reserved", "reserved_of"]

LONGEST = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Claim:
    """Units somebody wants to reserve; see `hub.stock.reserve`.

    Raises ValueError for a quantity below 1 or a time of more than 30 days.
    """

    sku: str
    quantity: int
    channel: str
    ttl: timedelta = timedelta(minutes=15)
    location: str | None = None
    key: str = field(default_factory=lambda: secrets.token_urlsafe(16))

    def __post_init__(self) -> None:
        if self.quantity < 1:
            raise ValueError("quantity must be 1 or more")
        if not timedelta(0) < self.ttl <= LONGEST:
            raise ValueError(f"ttl must be more than nothing and at most {LONGEST.days} days")


@dataclass(frozen=True, slots=True)
class Reserved:
    """A reservation. `state`: open, confirmed (for an order still to come), ordered (it came), released or expired."""

    key: str
    sku: str
    quantity: int
    channel: str
    state: str
    expires_at: datetime | None = None
    location: str | None = None
    order_key: str | None = None


class NotEnough(HubError):
    """So many units are not left for this channel; `left` says how many are, `stale` whether a turn may find more."""

    def __init__(self, sku: str, quantity: int, channel: str, left: int, *, stale: bool = False) -> None:
        super().__init__(
            f"{channel} で {sku} を {quantity} 個は取り置けません。残りは {left} 個です。",
            f"{quantity} of {sku} cannot be reserved for {channel}: {left} left.",
        )
        self.sku, self.quantity, self.channel, self.left, self.stale = sku, quantity, channel, left, stale


class NotReservable(HubError):
    """The SKU is not counted where this channel sells from, or the location is none."""


class ReservationClosed(HubError):
    """There is no such reservation, or it has ended."""


def reserved_of(row: Row[Any]) -> Reserved:
    """A row of `stock_reservation`, with its state by now."""
    return Reserved(
        row.key, row.sku, row.quantity, row.channel, row.state, row.expires_at, row.location, row.order_key
    )
