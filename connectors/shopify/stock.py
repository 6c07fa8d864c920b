"""Stock into Shopify: absolute, compared with what stood there, and never twice.

Shopify sells from `available` and lowers it itself with every order. So each row is written only if the number still
is the one we believe in (`changeFromQuantity`): what this sink last accepted, else what Shopify says now. Where it is
another, somebody sold or typed something meanwhile; then the row is looked at again and written once more.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Annotated, Any

from pydantic import Field, model_validator

from connectors.contract import Batch, Call, Change, Outcome, Refused, Retry
from connectors.outcomes import Row, failed, read_record
from connectors.shopify.api import Api, UserErrors
from connectors.shopify.config import ShopifyConfig
from connectors.shopify.ids import gid, search_text
from connectors.shopify.locations import Locations
from connectors.shopify.walk import Size

__all__ = ["BATCH", "StockRow", "set_stock"]

BATCH = 250
"""Arrays of inputs hold at most 250 members."""
_SKUS_AT_ONCE = 50
_ITEMS_AT_ONCE = 100
_MOST_ROUNDS = 6
_SOON = timedelta(seconds=5)

_STALE = frozenset({"CHANGE_FROM_QUANTITY_STALE", "COMPARE_QUANTITY_STALE", "COMPARE_QUANTITY_REQUIRED"})
_NOT_STOCKED = "ITEM_NOT_STOCKED_AT_LOCATION"
"""Told by 2026-07; 2026-10 has no such code, so a level that is missing is also seen when we look."""
_KEY_USED_UP = frozenset({"IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED", "IDEMPOTENCY_KEY_PARAMETER_MISMATCH"})
_BUSY = "IDEMPOTENCY_CONCURRENT_REQUEST"


class StockRow(Row):
    """Stock of one item at one place.

    available        units the shop may still sell there
    committed        units of the shop's own open orders that `available` already leaves out, where the hub says so:
                     an order the hub has not seen yet then lowers what is written
    inventoryItemId  the item (from the listing); else it is looked up by `sku`
    location         the hub's name of the place (settings `locations`), its id or its name at Shopify; the settings'
                     `location`, or the only one there is, when left out
    """

    sku: str | None = None
    inventoryItemId: str | None = None  # noqa: N815  (Shopify's name)
    location: str | None = None
    available: int
    committed: Annotated[int, Field(ge=0)] | None = None

    @model_validator(mode="after")
    def _named(self) -> StockRow:
        if not self.sku and not self.inventoryItemId:
            raise ValueError("give inventoryItemId or sku")
        return self


@dataclass(frozen=True, slots=True)
class _Write:
    """A row on its way: what to write where, and what we believe stands there (None: not known yet)."""

    change: Change
    row: StockRow
    item: str
    location: str
    wanted: int
    base: int | None
    looked: bool = False
    notes: tuple[str, ...] = ()

    @property
    def place(self) -> tuple[str, str]:
        return self.item, self.location


@dataclass(frozen=True, slots=True)
class _Level:
    """What stands at a place now; None: the item is not stocked there."""

    available: int | None
    committed: int = 0


def set_stock(call: Call[ShopifyConfig], batch: Batch) -> Iterator[Outcome]:
    """Write stock levels. One mutation for the batch; rows it refuses are told apart and the rest is sent again.

    Rows that already are as wanted are left alone. An item that is not stocked at the place is stocked there.
    """
    sending = _Sending(Api(call), batch)
    for change in batch:
        sending.read(change)
    sending.name_items()
    yield from sending.write()


class _Sending:
    """One batch on its way."""

    def __init__(self, api: Api, batch: Batch) -> None:
        self.api = api
        self.batch = batch
        self.places = Locations(api)
        self.settled: list[Outcome] = []
        self.rows: list[tuple[Change, StockRow]] = []
        self.writes: list[_Write] = []

    # ------------------------------------------------------------ which rows

    def read(self, change: Change) -> None:
        try:
            self.rows.append((change, read_record(StockRow, change.record)))
        except Refused as error:
            self.settled.append(failed(change, error))

    def name_items(self) -> None:
        """Find item and place of each row; two rows for one place would contradict each other."""
        unnamed = {row.sku for _, row in self.rows if row.sku and not row.inventoryItemId}
        items = _items_by_sku(self.api, sorted(unnamed))
        taken: set[tuple[str, str]] = set()
        for change, row in self.rows:
            try:
                item = (
                    gid("InventoryItem", row.inventoryItemId)
                    if row.inventoryItemId
                    else _only(row.sku, items)
                )
                write = self._write(change, row, item, self.places.write_to(row.location))
                if write.place in taken:
                    raise Refused("the batch has another row for this item and place", code="duplicate_row")
            except Refused as error:
                self.settled.append(failed(change, error))
                continue
            taken.add(write.place)
            self.writes.append(write)

    def _write(self, change: Change, row: StockRow, item: str, location: str) -> _Write:
        wanted = 0 if change.deleted else row.available
        notes = (f"{wanted} は0として書き込みました / {wanted} was written as 0",) if wanted < 0 else ()
        before = change.previous or {}
        told = before.get("available")
        believed = told if isinstance(told, int) and not isinstance(told, bool) else None
        same_place = all(
            before.get(name) == change.record.get(name) for name in ("inventoryItemId", "sku", "location")
        )
        base = max(believed, 0) if same_place and believed is not None else None
        return _Write(change, row, item, location, max(wanted, 0), base, notes=notes)

    # ------------------------------------------------------------ writing

    def write(self) -> Iterator[Outcome]:
        yield from self.settled
        unknown = [write for write in self.writes if write.base is None]
        ready = [write for write in self.writes if write.base is not None]
        for round_ in range(_MOST_ROUNDS):
            outcomes, looked_up = self._look(unknown)
            yield from outcomes
            ready += looked_up
            if not ready:
                return
            outcomes, ready, unknown = self._send(ready, round_)
            yield from outcomes
            if not ready and not unknown:
                return
        yield from (
            Outcome.retry(
                write.change.key, "the stock at Shopify changes faster than it can be written", after=_SOON
            )
            for write in (*ready, *unknown)
        )

    def _look(self, writes: Sequence[_Write]) -> tuple[list[Outcome], list[_Write]]:
        """What stands there now. Settles what is as wanted, stocks what is not stocked; gives what is to be written."""
        outcomes: list[Outcome] = []
        ready: list[_Write] = []
        try:
            levels = _levels(self.api, writes)
        except Retry as error:
            return [failed(write.change, error) for write in writes], []
        for write in writes:
            level = levels.get(write.place)
            if level is None:
                unknown = Refused(f"the shop has no inventory item {write.item}", code="unknown_item")
                outcomes.append(failed(write.change, unknown))
            elif level.available is None:
                outcomes.append(self._stock(write))
            else:
                seen = _with_unseen_sales(write, level)
                if level.available == seen.wanted:
                    outcomes.append(_done(seen))
                else:
                    ready.append(replace(seen, base=level.available, looked=True))
        return outcomes, ready

    def _stock(self, write: _Write) -> Outcome:
        """Stock an item at a place where it is not kept yet."""
        key = _key(self.batch, "stock", [write.item, write.location, write.wanted])
        try:
            self.api.mutate(
                "StockItem", repeatable=True,
                item=write.item, location=write.location, available=write.wanted, key=key,
            )  # fmt: skip
        except UserErrors as error:
            # Somebody was faster, or a lost answer had done it: the next try finds the level and compares.
            if any("already" in one.message.lower() for one in error.errors):
                return Outcome.retry(write.change.key, str(error), after=_SOON)
            return failed(write.change, error)
        except (Refused, Retry) as error:
            return failed(write.change, error)
        return _done(write)

    def _send(
        self, writes: Sequence[_Write], round_: int
    ) -> tuple[list[Outcome], list[_Write], list[_Write]]:
        """One mutation; it writes all rows or none. Gives outcomes, what to send again, and what to look at first."""
        quantities = [
            {
                "inventoryItemId": write.item,
                "locationId": write.location,
                "quantity": write.wanted,
                "changeFromQuantity": write.base,
            }
            for write in writes
        ]
        wanted = {
            "name": "available",
            "reason": "correction",
            "referenceDocumentUri": f"gid://tsunagi/Delivery/{_plain(self.batch.idempotency_key)}",
            "quantities": quantities,
        }
        # A key whose first use failed is used up, so every round has its own.
        key = _key(self.batch, f"set {round_}", quantities)
        try:
            self.api.mutate("SetStock", repeatable=True, input=wanted, key=key)
        except UserErrors as error:
            return self._sort(writes, error)
        except (Refused, Retry) as error:
            return [failed(write.change, error) for write in writes], [], []
        return [_done(write) for write in writes], [], []

    def _sort(
        self, writes: Sequence[_Write], error: UserErrors
    ) -> tuple[list[Outcome], list[_Write], list[_Write]]:
        told: dict[int, set[str]] = defaultdict(set)
        said: dict[int, str] = {}
        codes = {one.code or "" for one in error.errors}
        for one in error.errors:
            number = _row_number(one.path)
            if number is not None and number < len(writes):
                told[number].add(one.code or "")
                said.setdefault(number, one.message)
        if _BUSY in codes:
            return [Outcome.retry(write.change.key, str(error), after=_SOON) for write in writes], [], []
        if not told and codes <= (_STALE | _KEY_USED_UP | {_NOT_STOCKED}):
            # Which rows are meant is not told, or the key was used up by an attempt that failed: look at all.
            told = dict.fromkeys(range(len(writes)), codes)
        if not told:
            return [failed(write.change, error) for write in writes], [], []
        outcomes: list[Outcome] = []
        again: list[_Write] = []
        look: list[_Write] = []
        for number, write in enumerate(writes):
            if number not in told:
                again.append(write)
            elif not told[number] <= (_STALE | _KEY_USED_UP | {_NOT_STOCKED}):
                reason = f"Shopify: {said.get(number, error)}"
                outcomes.append(
                    Outcome.refused(write.change.key, reason, code=min(told[number]).lower() or error.code)
                )
            elif write.looked and told[number] & _STALE:
                reason = "the stock at Shopify changed twice while it was written"
                outcomes.append(Outcome.retry(write.change.key, reason, after=_SOON))
            else:
                look.append(write)
        return outcomes, again, look


def _with_unseen_sales(write: _Write, level: _Level) -> _Write:
    """Lower what is written by the units Shopify sold and the hub has not seen yet, where the hub says what it saw."""
    if write.row.committed is None or write.change.deleted:
        return write
    unseen = level.committed - write.row.committed
    if unseen <= 0:
        return write
    lowered = max(max(write.row.available, 0) - unseen, 0)
    note = (
        f"ハブが未取込の受注 {unseen} 個を差し引き {lowered} としました / "
        f"{unseen} units sold at Shopify that the hub has not seen: written as {lowered}"
    )
    return replace(write, wanted=lowered, notes=(*write.notes, note))


def _done(write: _Write) -> Outcome:
    return Outcome.done(write.change.key, external_version=str(write.wanted), notes=write.notes)


def _key(batch: Batch, what: str, content: object) -> str:
    """An idempotency key: of the batch, and of what exactly is sent, since Shopify refuses a key with other content."""
    text = json.dumps([batch.idempotency_key, what, content], ensure_ascii=False, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:40]


def _plain(key: str) -> str:
    """The batch's key as a part of a URI."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "-" for c in key) or "batch"


def _row_number(path: Iterable[str]) -> int | None:
    """3 of ("input", "quantities", "3", "changeFromQuantity")."""
    return next((int(step) for step in path if step.isascii() and step.isdigit()), None)


def _only(sku: str | None, items: Mapping[str, list[str]]) -> str:
    found = items.get(sku or "", [])
    if not found:
        raise Refused(f"SKU {sku!r} is not in the shop", code="unknown_sku")
    if len(found) > 1:
        raise Refused(f"SKU {sku!r} belongs to several items ({', '.join(found)})", code="ambiguous_sku")
    return found[0]


def _items_by_sku(api: Api, skus: Sequence[str]) -> dict[str, list[str]]:
    """SKU -> inventory items that carry it (Shopify does not keep SKUs unique)."""
    found: dict[str, list[str]] = defaultdict(list)
    size = Size(2 * _SKUS_AT_ONCE, 1)
    for start in range(0, len(skus), _SKUS_AT_ONCE):
        wanted = skus[start : start + _SKUS_AT_ONCE]
        query = " OR ".join(f"sku:{search_text(sku)}" for sku in wanted)
        after: str | None = None
        while True:
            page = size.fitting(_asking(api, "ItemsBySku", query=query, after=after))["productVariants"]
            for variant in page["nodes"]:
                # The search knows no case and takes parts of words: only the very same SKU counts.
                if variant["sku"] in wanted and variant["inventoryItem"]["id"] not in found[variant["sku"]]:
                    found[variant["sku"]].append(variant["inventoryItem"]["id"])
            if not page["pageInfo"]["hasNextPage"]:
                break
            after = page["pageInfo"]["endCursor"]
    return found


def _levels(api: Api, writes: Sequence[_Write]) -> dict[tuple[str, str], _Level]:
    """What stands at the places of `writes`; items the shop does not have are left out."""
    items: dict[str, list[str]] = defaultdict(list)
    for write in writes:
        items[write.location].append(write.item)
    found: dict[tuple[str, str], _Level] = {}
    size = Size(_ITEMS_AT_ONCE, 1)
    for location, wanted in items.items():
        left = wanted
        while left:

            def ask(first: int, _nested: int) -> list[dict[str, Any] | None]:
                nodes: list[dict[str, Any] | None] = api.query(
                    "StockNow",
                    ids=left[:first],  # noqa: B023  (called before the loop goes on)
                    location=location,  # noqa: B023
                )["nodes"]
                return nodes

            nodes = size.fitting(ask)
            for item, node in zip(left, nodes, strict=False):
                if node and "id" in node:
                    found[item, location] = _level(node["inventoryLevel"])
            left = left[len(nodes) :]
    return found


def _asking(api: Api, name: str, **variables: Any) -> Callable[[int, int], dict[str, Any]]:
    return lambda first, _nested: api.query(name, first=first, **variables)


def _level(told: Mapping[str, Any] | None) -> _Level:
    if told is None:
        return _Level(None)
    by_name = {quantity["name"]: int(quantity["quantity"]) for quantity in told["quantities"]}
    return _Level(by_name["available"], by_name.get("committed", 0))
