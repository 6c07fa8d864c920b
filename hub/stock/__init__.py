"""The stock room: what each channel may sell, who has a claim on it, and what was sold that is not there.

`refresh` derives, `reserve`, `confirm` and `release` are the reservations, `explain_stock` says why a channel shows
what it shows. See docs/stock.md.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hub.stock.demand import KINDS
    from hub.stock.oversold import Oversold, open_oversold
    from hub.stock.reservations import (
        NotEnough,
        NotReservable,
        ReservationClosed,
        Reserved,
        confirm,
        release,
        reserve,
        reserved,
    )
    from hub.stock.turn import Turned, refresh

__all__ = [
    "KINDS",
    "NotEnough",
    "NotReservable",
    "Oversold",
    "ReservationClosed",
    "Reserved",
    "Turned",
    "confirm",
    "open_oversold",
    "refresh",
    "release",
    "reserve",
    "reserved",
]

_HOMES = {
    "KINDS": "hub.stock.demand",
    "NotEnough": "hub.stock.reservations",
    "NotReservable": "hub.stock.reservations",
    "Oversold": "hub.stock.oversold",
    "ReservationClosed": "hub.stock.reservations",
    "Reserved": "hub.stock.reservations",
    "Turned": "hub.stock.turn",
    "confirm": "hub.stock.reservations",
    "open_oversold": "hub.stock.oversold",
    "refresh": "hub.stock.turn",
    "release": "hub.stock.reservations",
    "reserve": "hub.stock.reservations",
    "reserved": "hub.stock.reservations",
}


def __getattr__(name: str) -> Any:
    # not imported above: system files name policies of this room, and reading them (`tsunagi preview`, every DAG file
    # Airflow parses) must not wait for the database's libraries
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
