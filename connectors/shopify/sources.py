"""What comes out of Shopify: products, variants, inventory levels, orders, customers.

Every source takes `params["ids"]`: numbers or global ids of things to fetch now, and nothing else. That is how thin
events are followed, and how an operator fetches a single order. `params["since"]` reads a time again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from connectors.contract import Call, Misconfigured, Page
from connectors.shopify.api import Api
from connectors.shopify.config import ShopifyConfig
from connectors.shopify.ids import gid, number_of
from connectors.shopify.locations import Locations
from connectors.shopify.walk import Ask, Connection, Fetch, Listing, Position, Row, Size, walk

__all__ = ["customers", "inventory", "orders", "products", "variants"]

Finish = Callable[[Mapping[str, Any], Mapping[str, Any]], Sequence[Row]]
"""(a node as it came, all that came with it) -> the records it becomes."""

_IDS_AT_ONCE = 50
_REST_AT_ONCE = 50
_LOCATIONS_OF_ITEM = 50


def products(call: Call[ShopifyConfig], cursor: Position | None) -> Iterator[Page]:
    """Products with their variants, options, pictures and the metafields of the settings.

    `shop` says currency and whether prices include tax. Without a cursor the listing is complete.
    """
    reader = _Reader(call)
    wanted = _metafields(call.config.metafields.product)

    def whole(node: Mapping[str, Any], data: Mapping[str, Any]) -> Sequence[Row]:
        return [{**reader.with_rest(node, "variants", "ProductVariants"), "shop": data["shop"]}]

    if ids := _asked(call, "Product"):
        yield from reader.by_ids("ProductsById", ids, whole, cursor, **wanted)
        return
    fetch = reader.pages("Products", "products", whole, sortKey="UPDATED_AT", **wanted)
    yield from walk(reader.api, Listing("products", fetch), cursor, reader.size)


def variants(call: Call[ShopifyConfig], cursor: Position | None) -> Iterator[Page]:
    """Variants one by one, each with the head of its product: what the shop calls a SKU.

    `params["ids"]` may name products as well: all their variants come.
    """
    reader = _Reader(call)

    def single(node: Mapping[str, Any], data: Mapping[str, Any]) -> Sequence[Row]:
        return [{**_plain(node), "shop": data["shop"]}]

    def of_product(node: Mapping[str, Any], data: Mapping[str, Any]) -> Sequence[Row]:
        if "variants" not in node:
            return single(node, data)
        found = reader.with_rest(node, "variants", "ProductVariants").pop("variants")["nodes"]
        head = {name: node[name] for name in ("id", "handle", "title", "status")}
        return [{**variant, "product": head, "shop": data["shop"]} for variant in found]

    if ids := _asked(call, "ProductVariant"):
        yield from reader.by_ids("VariantsById", ids, of_product, cursor)
        return
    fetch = reader.pages("Variants", "productVariants", single, nested=False)
    yield from walk(reader.api, Listing("variants", fetch, sorted_by_change=False), cursor, reader.size)


def orders(call: Call[ShopifyConfig], cursor: Position | None) -> Iterator[Page]:
    """Orders, whole. Shopify shows the last 60 days unless the app has the scope read_all_orders."""
    reader = _Reader(call)

    def whole(node: Mapping[str, Any], _data: Mapping[str, Any]) -> Sequence[Row]:
        return [reader.with_rest(node, "lineItems", "OrderLines")]

    if ids := _asked(call, "Order"):
        yield from reader.by_ids("OrdersById", ids, whole, cursor)
        return
    fetch = reader.pages("Orders", "orders", whole)
    yield from walk(reader.api, Listing("orders", fetch, whole=False), cursor, reader.size)


def customers(call: Call[ShopifyConfig], cursor: Position | None) -> Iterator[Page]:
    """Customers with their addresses (at most ten) and the metafields of the settings."""
    reader = _Reader(call)
    wanted = _metafields(call.config.metafields.customer)

    def whole(node: Mapping[str, Any], _data: Mapping[str, Any]) -> Sequence[Row]:
        return [_plain(node)]

    if ids := _asked(call, "Customer"):
        yield from reader.by_ids("CustomersById", ids, whole, cursor, nested=False, **wanted)
        return
    fetch = reader.pages("Customers", "customers", whole, nested=False, **wanted)
    yield from walk(reader.api, Listing("customers", fetch), cursor, reader.size)


def inventory(call: Call[ShopifyConfig], cursor: Position | None) -> Iterator[Page]:
    """Inventory levels, one record for each item and location, with all named quantities.

    The locations are those of the settings, else all active ones. `params["ids"]` are inventory item ids.
    """
    reader = _Reader(call)
    places = sorted(Locations(reader.api).read_from(), key=number_of)

    def levels(node: Mapping[str, Any], _data: Mapping[str, Any]) -> Sequence[Row]:
        item = {name: node[name] for name in ("id", "sku", "tracked")}
        found = node["inventoryLevels"]["nodes"]
        return [{**level, "item": item} for level in found if level["location"]["id"] in places]

    if ids := _asked(call, "InventoryItem"):
        reader.size.nested = max(_LOCATIONS_OF_ITEM, reader.size.nested)
        yield from reader.by_ids("InventoryById", ids, levels, cursor)
        return

    def fetch(ask: Ask) -> tuple[Connection, Sequence[Row]]:
        place = reader.api.query(
            "InventoryLevels", location=ask.leg, first=ask.first, after=ask.after, query=ask.query
        )["location"]
        if place is None:
            raise Misconfigured(f"the shop has no location {ask.leg}: correct `locations` in the settings")
        return place["inventoryLevels"], list(place["inventoryLevels"]["nodes"])

    listing = Listing("inventory", fetch, legs=places, sorted_by_change=False)
    yield from walk(reader.api, listing, cursor, reader.size)


class _Reader:
    """One source's reading: the API and how much is asked for at once."""

    def __init__(self, call: Call[ShopifyConfig]) -> None:
        self.api = Api(call)
        self.size = Size(call.config.page_size, call.config.nested_size)

    def pages(
        self, query: str, field: str, finish: Finish, *, nested: bool = True, **variables: Any
    ) -> Fetch:
        """How to fetch pages of the root field `field`."""

        def fetch(ask: Ask) -> tuple[Connection, Sequence[Row]]:
            inside = {"nested": ask.nested} if nested else {}
            data = self.api.query(
                query, first=ask.first, after=ask.after, query=ask.query, **inside, **variables
            )
            return data[field], [row for node in data[field]["nodes"] for row in finish(node, data)]

        return fetch

    def by_ids(
        self,
        query: str,
        ids: Sequence[str],
        finish: Finish,
        cursor: Position | None,
        *,
        nested: bool = True,
        **variables: Any,
    ) -> Iterator[Page]:
        """Things by their ids, a page at a time; the note names those the shop does not show."""
        self.size.first = min(_IDS_AT_ONCE, len(ids))
        left = list(ids)
        while left:

            def ask(first: int, inner: int) -> tuple[list[str], dict[str, Any]]:
                inside = {"nested": inner} if nested else {}
                return left[:first], self.api.query(query, ids=left[:first], **inside, **variables)  # noqa: B023

            asked, data = self.size.fitting(ask)
            left = left[len(asked) :]
            # An id of another kind of thing comes as a node with nothing but its type name.
            nodes = {node["id"]: node for node in data["nodes"] if node and "id" in node}
            rows = [row for node in nodes.values() for row in finish(_plain(node), data)]
            missing = [one for one in asked if one not in nodes]
            note = f"not in the shop, or not visible to this app: {', '.join(missing)}" if missing else None
            yield Page(cursor, rows, name=f"{query} {asked[0]}", note=note)

    def with_rest(self, node: Mapping[str, Any], field: str, query: str) -> Row:
        """A node whose nested connection is read to its end; how it was paged is left out."""
        nodes, page = list(node[field]["nodes"]), node[field]["pageInfo"]
        rest = Size(_REST_AT_ONCE, 1)
        while page["hasNextPage"]:
            after = page["endCursor"]

            def ask(first: int, _nested: int) -> dict[str, Any]:
                return self.api.query(query, id=node["id"], first=first, after=after)  # noqa: B023

            data = rest.fitting(ask)
            found = next(iter(data.values()))
            if found is None:  # deleted while we read: what came is what there was
                break
            nodes += found[field]["nodes"]
            page = found[field]["pageInfo"]
        return {**_plain(node), field: {"nodes": nodes}}


def _asked(call: Call[ShopifyConfig], kind: str) -> list[str]:
    """Ids an operator or a thin event asks for, as global ids."""
    given = call.params.get("ids") or ()
    listed = given.replace(",", " ").split() if isinstance(given, str) else given
    return list(dict.fromkeys(gid(kind, one) for one in listed))


def _metafields(keys: Sequence[str]) -> dict[str, Any]:
    return {"metafields": list(keys), "withMetafields": bool(keys)}


def _plain(node: Mapping[str, Any]) -> Row:
    return {name: value for name, value in node.items() if name != "__typename"}
