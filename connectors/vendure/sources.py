"""What comes out of Vendure: products, variants, stock levels, orders, customers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from connectors.contract import Call, Cursor, Page
from connectors.vendure.api import Api
from connectors.vendure.config import VendureConfig
from connectors.vendure.walk import Chunk, Row, instant, walk_by_id, walk_by_time, wire_time

__all__ = [
    "OVERLAP",
    "OrderCursor",
    "ProductCursor",
    "Since",
    "customers",
    "orders",
    "products",
    "stock",
    "variants",
]

OVERLAP = timedelta(minutes=2)
"""Rows of transactions that commit late, and whole-second timestamps."""


class Since(Cursor):
    """Everything changed up to `updated_at` (the shop's clock) was read."""

    updated_at: datetime


class ProductCursor(Cursor):
    """A product's own row and its variants' rows have timestamps of their own."""

    products_at: datetime | None = None
    variants_at: datetime | None = None


class OrderCursor(Cursor):
    """`touched_at`: the newest change of an order or of its payments, refunds or fulfilments that was read."""

    updated_at: datetime | None = None
    touched_at: datetime | None = None


class _List:
    """One GraphQL list field, read by its query."""

    def __init__(self, api: Api, query: str, field: str, take: int | None = None) -> None:
        self.api = api
        self.query = query
        self.field = field
        self.take = take or api.config.page_size

    def __call__(self, options: Mapping[str, Any]) -> Sequence[Row]:
        rows: Sequence[Row] = self.api.query(self.query, options={**options, "take": self.take})[self.field][
            "items"
        ]
        return rows

    def changed(self, since: datetime | None, where: Mapping[str, Any] | None = None) -> Iterator[Chunk]:
        return walk_by_time(self, self.take, since, where)

    def all(self, where: Mapping[str, Any] | None = None) -> Iterator[Chunk]:
        return walk_by_id(self, self.take, where)

    def by_ids(self, ids: Iterable[str], where: Mapping[str, Any] | None = None) -> Iterator[list[Row]]:
        """The rows of these ids, a page at a time; unknown ids are left out."""
        wanted = list(dict.fromkeys(ids))
        for start in range(0, len(wanted), self.take):
            some = wanted[start : start + self.take]
            yield list(self({"filter": {**(where or {}), "id": {"in": some}}}))


def _newest(known: datetime | None, rows: Iterable[Row]) -> datetime | None:
    moments = [instant(row["updatedAt"]) for row in rows]
    return max([*moments, *([known] if known else [])], default=None)


def _behind(moment: datetime | None) -> datetime | None:
    return moment - OVERLAP if moment else None


def _asked(call: Call[VendureConfig]) -> list[str]:
    """Ids an operator or a thin event asks for."""
    return [str(each) for each in call.params.get("ids") or ()]


def _since(call: Call[VendureConfig], moment: datetime | None) -> datetime | None:
    """Where to begin: `params["since"]` (aware ISO date and time) if given, else behind the cursor."""
    given = call.params.get("since")
    if given is None:
        return _behind(moment)
    return given if isinstance(given, datetime) else instant(str(given))


# ---------------------------------------------------------------- products


def products(call: Call[VendureConfig], cursor: ProductCursor | None) -> Iterator[Page]:
    """Products with variants, options, facets, assets, prices (minor units) and stock levels.

    A change of a variant leaves its product's `updatedAt` as it is (seen on 3.7.3), so changed variants are asked
    for first and their products fetched whole. Stock that an order allocates touches neither: see `stock`.
    Without a cursor the listing is complete, and a product that is missing in it was deleted.
    """
    api = Api(call)
    _ = api.channel
    listing = _List(api, "Products", "products")
    if ids := _asked(call):
        yield from (Page(cursor, rows, name="products by id") for rows in listing.by_ids(ids))
        return
    whole = cursor is None and "since" not in call.params
    products_at = cursor.products_at if cursor else None
    if whole:
        # Taken before the first product is read: a variant that changes while we read must come again.
        variants_at = _newest_variant(api)
    else:
        variants_at = cursor.variants_at if cursor else None
        product_ids, variants_at = _products_of_changed_variants(api, _since(call, variants_at), variants_at)
        read = list(listing.by_ids(product_ids))
        for number, rows in enumerate(read, start=1):
            done = variants_at if number == len(read) else (cursor.variants_at if cursor else None)
            yield Page(
                ProductCursor(products_at=products_at, variants_at=done),
                rows,
                name=f"products by variant {number}",
            )
    for number, chunk in enumerate(listing.changed(_since(call, products_at)), start=1):
        products_at = _newest(products_at, chunk.rows)
        reached = ProductCursor(products_at=products_at, variants_at=variants_at)
        if chunk.rows or (whole and chunk.last):
            yield Page(reached, chunk.rows, name=f"products {number}", complete=whole and chunk.last)


def _newest_variant(api: Api) -> datetime | None:
    newest = api.query("ChangedVariants", options={"take": 1, "sort": {"updatedAt": "DESC"}})
    return _newest(None, newest["productVariants"]["items"])


def _products_of_changed_variants(
    api: Api, since: datetime | None, known: datetime | None
) -> tuple[list[str], datetime | None]:
    found: dict[str, None] = {}
    for chunk in _List(api, "ChangedVariants", "productVariants", take=1000).changed(since):
        known = _newest(known, chunk.rows)
        found.update((row["productId"], None) for row in chunk.rows)
    return list(found), known


def variants(call: Call[VendureConfig], cursor: Since | None) -> Iterator[Page]:
    """Variants one by one, each with the head of its product: what the shop calls a SKU.

    Without a cursor the listing is complete. A product that is switched off leaves its variants' `updatedAt` as it is.
    """
    api = Api(call)
    _ = api.channel
    yield from _by_time(_List(api, "Variants", "productVariants"), cursor, "variants")


# ---------------------------------------------------------------- stock


def stock(call: Call[VendureConfig], _cursor: None = None) -> Iterator[Page]:
    """Stock levels, one record for each SKU and stock location; always the complete listing.

    Vendure keeps no list of stock levels, and an order that allocates stock touches the variant's `updatedAt` not at
    all, so there is no delta to ask for. `stockOnHand` may be below zero; `stockAllocated` is part of it.
    `params["ids"]` (variant ids) fetches only those.
    """
    listing = _List(Api(call), "Stock", "productVariants")
    if ids := _asked(call):
        yield from (Page(None, _levels(rows), name="stock by variant") for rows in listing.by_ids(ids))
        return
    for number, chunk in enumerate(listing.all(), start=1):
        if chunk.rows or chunk.last:
            yield Page(None, _levels(chunk.rows), name=f"stock {number}", complete=chunk.last)


def _levels(variants: Iterable[Row]) -> list[dict[str, Any]]:
    return [
        {
            **level,
            "sku": variant["sku"],
            "productVariantId": variant["id"],
            "productId": variant["productId"],
            "enabled": variant["enabled"],
            "trackInventory": variant["trackInventory"],
            "outOfStockThreshold": variant["outOfStockThreshold"],
            "useGlobalOutOfStockThreshold": variant["useGlobalOutOfStockThreshold"],
        }
        for variant in variants
        for level in variant["stockLevels"]
    ]


# ---------------------------------------------------------------- orders

_PLACED = {"orderPlacedAt": {"isNull": False}}


def orders(call: Call[VendureConfig], cursor: OrderCursor | None) -> Iterator[Page]:
    """Placed orders with lines, surcharges, shipping, payments, refunds, fulfilments, discounts, tax and addresses.

    An order's `updatedAt` stays as it is when a payment is settled or a fulfilment is shipped (seen on 3.7.3; the
    order's `state` changes all the same). So orders placed in the last `watch_days` are looked at each time by a
    thin query, and those whose payments, refunds or fulfilments moved are fetched again. Older ones come again only by
    `updatedAt`, by `params` or by a full read.
    """
    api = Api(call)
    _ = api.channel
    listing = _List(api, "Orders", "orders")
    if ids := _asked(call):
        # an event may name a cart: it is no order yet
        yield from (Page(cursor, rows, name="orders by id") for rows in listing.by_ids(ids, _PLACED))
        return
    reached = cursor or OrderCursor()
    given: dict[str, datetime] = {}
    for number, chunk in enumerate(listing.changed(_since(call, reached.updated_at), _PLACED), start=1):
        given.update((row["id"], _touched(row)) for row in chunk.rows)
        if chunk.rows:
            newest = _newest(reached.updated_at, chunk.rows)
            reached = OrderCursor(updated_at=newest, touched_at=reached.touched_at)
            yield Page(reached, chunk.rows, name=f"orders {number}")
    moved, touched_at = _moved(api, _since(call, reached.touched_at), given)
    pages = list(listing.by_ids(moved)) or [[]]
    end = OrderCursor(
        updated_at=reached.updated_at,
        touched_at=max(filter(None, (reached.touched_at, touched_at)), default=None),
    )
    for number, rows in enumerate(pages, start=1):
        cursor_of_page = end if number == len(pages) else reached
        if rows or end != reached:
            yield Page(cursor_of_page, rows, name=f"orders that moved {number}")


def _moved(
    api: Api, since: datetime | None, given: Mapping[str, datetime]
) -> tuple[list[str], datetime | None]:
    """Ids of watched orders touched after `since` and not `given` in that state, and the newest touch of all."""
    if api.config.watch_days == 0:
        return [], None
    oldest = api.call.now() - timedelta(days=api.config.watch_days)
    moved: list[str] = []
    newest: datetime | None = None
    watched = {"orderPlacedAt": {"after": wire_time(oldest)}}
    for chunk in _List(api, "OrderTouches", "orders", take=1000).all(watched):
        for row in chunk.rows:
            touched = _touched(row)
            newest = max(touched, newest) if newest else touched
            if given.get(row["id"]) != touched and (since is None or touched > since):
                moved.append(row["id"])
    return moved, newest


def _touched(order: Row) -> datetime:
    """When the order, or what hangs on it, was last written."""
    parts = [order, *(order["payments"] or ()), *(order["fulfillments"] or ())]
    parts += [refund for payment in order["payments"] or () for refund in payment["refunds"]]
    return max(instant(part["updatedAt"]) for part in parts)


# ---------------------------------------------------------------- customers


def customers(call: Call[VendureConfig], cursor: Since | None) -> Iterator[Page]:
    """Customers with their addresses.

    A changed address leaves the customer's `updatedAt` as it is (seen on 3.7.3): it comes with the customer's next
    change, with an event of the shop's plugin, or with a read without cursor, which is a complete listing.
    """
    yield from _by_time(_List(Api(call), "Customers", "customers"), cursor, "customers")


def _by_time(listing: _List, cursor: Since | None, name: str) -> Iterator[Page]:
    """A list that its own `updatedAt` tells all about."""
    call = listing.api.call
    if ids := _asked(call):
        yield from (Page(cursor, rows, name=f"{name} by id") for rows in listing.by_ids(ids))
        return
    whole = cursor is None and "since" not in call.params
    updated_at = cursor.updated_at if cursor else None
    for number, chunk in enumerate(listing.changed(_since(call, updated_at)), start=1):
        updated_at = _newest(updated_at, chunk.rows)
        if chunk.rows or (whole and chunk.last):
            reached = Since(updated_at=updated_at) if updated_at else None
            yield Page(reached, chunk.rows, name=f"{name} {number}", complete=whole and chunk.last)
