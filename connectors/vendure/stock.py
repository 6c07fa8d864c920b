"""Stock into Vendure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import model_validator

from connectors.contract import Batch, Call, Change, Misconfigured, Outcome, Refused, Retry
from connectors.outcomes import Row, each, failed, read_record
from connectors.vendure.api import Api, Unexpected
from connectors.vendure.config import VendureConfig

__all__ = ["StockRow", "set_stock", "variants_by_sku"]


class StockRow(Row):
    """Stock of one SKU at one stock location, absolute. Exactly one of the two numbers:

    saleable       units that may still be sold. Vendure sells `stockOnHand - stockAllocated`, so what it has allocated
                   to its own open orders is added. The number stays right when such an order is shipped.
    stockOnHand    units that lie there, allocated ones included; written as it is
    stockLocation  name or id; the settings' `stock_location`, or the only one there is, when left out
    """

    sku: str
    saleable: int | None = None
    stockOnHand: int | None = None  # noqa: N815  (Vendure's name)
    stockLocation: str | None = None  # noqa: N815

    @model_validator(mode="after")
    def _one_number(self) -> StockRow:
        if self.saleable is not None and self.stockOnHand is not None:
            raise ValueError("give saleable or stockOnHand, not both")
        return self


@dataclass(frozen=True, slots=True)
class _Write:
    change: Change
    variant: str
    location: str
    on_hand: int


def set_stock(call: Call[VendureConfig], batch: Batch) -> Iterator[Outcome]:
    """Write stock levels; those that already are as wanted are left alone.

    One request for the batch. If Vendure refuses it (it is all or nothing there), each change is tried on its own.
    """
    api = Api(call)
    places = _Locations(api)
    rows: dict[str, StockRow] = {}
    for change in batch:
        try:
            rows[change.key] = read_record(StockRow, change.record)
        except Refused as error:
            yield failed(change, error)
    known = variants_by_sku(api, {row.sku for row in rows.values()})
    writes: list[_Write] = []
    for change in batch:
        if change.key not in rows:
            continue
        try:
            write = _plan(change, rows[change.key], known, places)
        except Refused as error:
            yield failed(change, error)
            continue
        if write is None:
            yield Outcome.done(change.key)
        else:
            writes.append(write)
    yield from _send(api, writes)


def variants_by_sku(api: Api, skus: Iterable[str]) -> dict[str, list[dict[str, Any]]]:
    """SKU -> the variants that carry it (Vendure does not keep SKUs unique)."""
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    wanted = sorted(set(skus))
    for start in range(0, len(wanted), 500):
        options = {"take": 1000, "filter": {"sku": {"in": wanted[start : start + 500]}}}
        for variant in api.query("VariantsBySku", options=options)["productVariants"]["items"]:
            found[variant["sku"]].append(variant)
    return found


class _Locations:
    """The channel's stock locations, asked for once."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._known: dict[str, str] | None = None

    def resolve(self, wanted: str | None) -> str:
        """Id of a location. Raises `Refused` for one a record names, `Misconfigured` for one the settings name."""
        if self._known is None:
            items = self._api.query("StockLocations", options={"take": 1000})["stockLocations"]["items"]
            self._known = {item["name"]: item["id"] for item in items} | {
                item["id"]: item["id"] for item in items
            }
        names = ", ".join(sorted(self._known))
        if wanted is not None:
            if wanted in self._known:
                return self._known[wanted]
            raise Refused(
                f"no stock location {wanted!r} in this channel; known: {names}", code="unknown_location"
            )
        default = self._api.config.stock_location
        if default in self._known:
            return self._known[default]
        if default is None and len(set(self._known.values())) == 1:
            return next(iter(self._known.values()))
        raise Misconfigured(
            f"set stock_location to the stock location that is written to (it is {default!r}); known: {names}"
        )


def _plan(
    change: Change, row: StockRow, known: dict[str, list[dict[str, Any]]], places: _Locations
) -> _Write | None:
    variants = known.get(row.sku, [])
    if not variants:
        raise Refused(f"SKU {row.sku!r} is not sold in this channel", code="unknown_sku")
    if len(variants) > 1:
        ids = ", ".join(variant["id"] for variant in variants)
        raise Refused(f"SKU {row.sku!r} belongs to several variants ({ids})", code="ambiguous_sku")
    variant = variants[0]
    location = places.resolve(row.stockLocation)
    level = next((each for each in variant["stockLevels"] if each["stockLocationId"] == location), None)
    allocated = level["stockAllocated"] if level else 0
    if change.deleted:
        on_hand = allocated
    elif row.stockOnHand is not None:
        on_hand = row.stockOnHand
    elif row.saleable is not None:
        on_hand = row.saleable + allocated
    else:
        raise Refused("give saleable or stockOnHand", code="bad_record")
    if level and level["stockOnHand"] == on_hand:
        return None
    return _Write(change, variant["id"], location, on_hand)


def _send(api: Api, writes: Sequence[_Write]) -> Iterator[Outcome]:
    def write(some: Sequence[_Write]) -> None:
        levels: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for one in some:
            levels[one.variant].append({"stockLocationId": one.location, "stockOnHand": one.on_hand})
        inputs = [{"id": variant, "stockLevels": wanted} for variant, wanted in levels.items()]
        api.mutate("UpdateVariants", repeatable=True, input=inputs)

    def alone(change: Change) -> Outcome:
        write([by_change[id(change)]])
        return Outcome.done(change.key)

    if not writes:
        return
    by_change = {id(one.change): one for one in writes}
    try:
        write(writes)
    except (Refused, Unexpected) as error:
        if len(writes) == 1:
            yield failed(writes[0].change, error)
        else:
            yield from each([one.change for one in writes], alone)
    except Retry as error:
        yield from (failed(one.change, error) for one in writes)
    else:
        yield from (Outcome.done(one.change.key) for one in writes)
