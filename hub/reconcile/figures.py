"""Counts and sums of what was compared, per channel and business date, so that one sees where a difference lies.

Money is in integer minor units, per currency and tax rate; nothing is rounded and nothing is converted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, NamedTuple

from hub.calendar import JST
from hub.words import Words

__all__ = ["Figures", "Group", "Measure", "measures_of"]


class Group(NamedTuple):
    """Where a thing belongs: channel or location ("" where it has none), business date in Japan ("" likewise)."""

    channel: str
    day: str


class Measure(NamedTuple):
    """What is summed. `rate` is the tax rate ("0.1") and `currency` set for money; `money` is in minor units."""

    name: str
    currency: str = ""
    rate: str = ""

    def title(self) -> Words:
        """The measure in words."""
        words = _TITLES.get(self.name, Words(self.name, self.name))
        rate = f" {float(self.rate) * 100:g}%" if self.rate else ""
        return Words(f"{words.ja}{rate}", f"{words.en}{rate}")


_TITLES = {
    "count": Words("件数", "Count"),
    "payable": Words("請求額", "Payable"),
    "total": Words("合計(ポイント利用前)", "Total before points"),
    "points": Words("ポイント利用", "Points used"),
    "taxable": Words("課税対象額", "Taxable"),
    "tax": Words("消費税", "Tax"),
    "sales": Words("明細と料金の合計", "Lines and charges"),
    "units": Words("数量", "Units"),
    "allocated": Words("引当数", "Allocated"),
    "packages": Words("個口数", "Packages"),
    "amount": Words("金額", "Amount"),
    "received": Words("受領額", "Received"),
    "active": Words("有効", "Active"),
}

Amounts = Iterator[tuple[Measure, int]]


@dataclass(slots=True)
class Figures:
    """Sums of both sides: group -> measure -> [hub, system]."""

    sums: dict[Group, dict[Measure, list[int]]] = field(default_factory=dict)

    def add(self, side: int, group: Group, amounts: Amounts) -> None:
        """Add one thing to side 0 (the hub) or 1 (the system)."""
        there = self.sums.setdefault(group, {})
        for measure, amount in amounts:
            there.setdefault(measure, [0, 0])[side] += amount

    def rows(self) -> list[dict[str, Any]]:
        """channel, day, measure, currency, rate, hub, system, difference; sorted."""
        found = []
        for group in sorted(self.sums):
            for measure, (hub, system) in sorted(self.sums[group].items(), key=lambda item: _place(item[0])):
                found.append(
                    {
                        "channel": group.channel, "day": group.day, "measure": measure.name,
                        "currency": measure.currency, "rate": measure.rate, "hub": hub, "system": system,
                        "difference": system - hub,
                    }
                )  # fmt: skip
        return found


def _place(measure: Measure) -> tuple[int, str, str]:
    names = list(_TITLES)
    return (
        names.index(measure.name) if measure.name in names else len(names),
        measure.currency,
        measure.rate,
    )


# ---------------------------------------------------------------- of one entity


def measures_of(kind: str, content: Mapping[str, Any]) -> tuple[Group, list[tuple[Measure, int]]]:
    """The group of an entity's stored content, and its amounts; "count" is always among them."""
    amounts = [(Measure("count"), 1)]
    reader = _READERS.get(kind)
    if reader is not None:
        amounts += reader(content)
    return Group(_channel(content), _day(kind, content)), amounts


def _channel(content: Mapping[str, Any]) -> str:
    told = content.get("channel") or content.get("location")
    if told:
        return str(told)
    order = str(content.get("order_key") or "")
    return order.partition("/")[0] if "/" in order else ""


_DAYS = {
    "order": ("business_date", "ordered_at"),
    "shipment": ("shipped_on", "shipped_at", "delivered_at"),
    "payment": ("paid_on", "created_at"),
    "refund": ("paid_on", "decided_at"),
    "return": ("received_on", "requested_at"),
    "stock_movement": ("occurred_at",),
    "settlement": ("paid_on", "period_until"),
}


def _day(kind: str, content: Mapping[str, Any]) -> str:
    for name in _DAYS.get(kind, ()):
        told = content.get(name)
        if told:
            return _in_japan(str(told))
    return ""


def _in_japan(told: str) -> str:
    if len(told) == 10:
        return date.fromisoformat(told).isoformat()
    return datetime.fromisoformat(told).astimezone(JST).date().isoformat()


def _money(name: str, money: Mapping[str, Any] | None, rate: str = "", sign: int = 1) -> Amounts:
    if money:
        yield Measure(name, str(money.get("currency", "JPY")), rate), sign * int(money["amount"])


def _order(content: Mapping[str, Any]) -> Amounts:
    totals = content.get("totals") or {}
    for name in ("payable", "total", "points"):
        yield from _money(name, totals.get(name))
    for line in content.get("taxes") or ():
        yield from _money("taxable", line["taxable"], str(line["rate"]))
        yield from _money("tax", line["tax"], str(line["rate"]))
    for line in content.get("lines") or ():
        units = int((line.get("quantity") or {}).get("ordered", 0))
        price = line["unit_price"]
        yield Measure("units"), units
        yield from _money("sales", price, str(price.get("tax_rate") or ""), units)
    for charge in content.get("charges") or ():
        yield from _money("sales", charge["amount"], str(charge["amount"].get("tax_rate") or ""))


def _position(content: Mapping[str, Any]) -> Amounts:
    yield Measure("units"), int(content.get("on_hand", 0))
    yield Measure("allocated"), int(content.get("allocated", 0))


def _quantity(content: Mapping[str, Any]) -> Amounts:
    yield Measure("units"), int(content.get("quantity", 0))


def _shipment(content: Mapping[str, Any]) -> Amounts:
    yield Measure("packages"), sum(int(parcel.get("count", 1)) for parcel in content.get("parcels") or ())
    yield Measure("units"), sum(int(line.get("quantity", 0)) for line in content.get("lines") or ())


def _return(content: Mapping[str, Any]) -> Amounts:
    yield Measure("units"), sum(int(line.get("quantity", 0)) for line in content.get("lines") or ())


def _payment(content: Mapping[str, Any]) -> Amounts:
    from canonical_model.payment import Payment

    yield from _money("amount", content.get("amount"))
    currency = str((content.get("amount") or {}).get("currency", "JPY"))
    yield Measure("received", currency), Payment.model_validate(content).received


def _amount(content: Mapping[str, Any]) -> Amounts:
    yield from _money("amount", content.get("amount"))


def _listing(content: Mapping[str, Any]) -> Amounts:
    yield Measure("active"), int(bool(content.get("active", True)))


_READERS: dict[str, Callable[[Mapping[str, Any]], Amounts]] = {
    "order": _order,
    "stock_position": _position,
    "stock_movement": _quantity,
    "sellable": _quantity,
    "shipment": _shipment,
    "return": _return,
    "payment": _payment,
    "refund": _amount,
    "settlement": _amount,
    "listing": _listing,
}
