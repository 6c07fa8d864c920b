"""The queries of the Admin API that the stand-in knows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any

from sandbox.shopify.clock import gid, number_of, wire_time
from sandbox.shopify.graph import Connection, GraphProblem
from sandbox.shopify.search import matching
from sandbox.shopify.shop import Level, Shop

__all__ = ["Reading"]

Node = Mapping[str, Any]

_KINDS = {
    "Product": "read_products", "ProductVariant": "read_products", "InventoryItem": "read_inventory",
    "Order": "read_orders", "Customer": "read_customers", "Location": "read_locations",
}  # fmt: skip


_SHOWN = timedelta(days=60)
"""Older orders are for apps with the scope read_all_orders."""


def _by_change(node: Node) -> tuple[str, int]:
    return str(node["updatedAt"]), number_of(node["id"])


def _by_id(node: Node) -> tuple[int]:
    return (number_of(node["id"]),)


class Reading:
    """Root fields of queries; `root` maps their names to functions of the arguments."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self.root: dict[str, Callable[..., Any]] = {
            "shop": self._shop,
            "currentAppInstallation": self._installation,
            "locations": self._locations,
            "location": self._location,
            "products": self._products,
            "product": self._product,
            "productByIdentifier": self._product_by,
            "productVariants": self._variants,
            "orders": self._orders,
            "order": self._order,
            "fulfillment": self._fulfilment,
            "fulfillmentOrder": self._fulfilment_order,
            "customers": self._customers,
            "customerByIdentifier": self._customer_by,
            "nodes": self._nodes,
        }

    def need(self, scope: str, what: str) -> None:
        """Raise ACCESS_DENIED unless the app has the scope, or the writing one that holds it."""
        if not {scope, scope.replace("read_", "write_", 1)} & self.shop.scopes:
            raise GraphProblem(
                f"Access denied for {what} field. Required access: `{scope}` access scope.",
                "ACCESS_DENIED",
                documentation="https://shopify.dev/api/usage/access-scopes",
                requiredAccess=f"`{scope}` access scope.",
            )

    # ------------------------------------------------------------ account

    def _shop(self) -> Node:
        return {
            "__typename": "Shop",
            "id": gid("Shop", 1),
            "name": "つなぎ見本店",
            "myshopifyDomain": self.shop.domain,
            "currencyCode": "JPY",
            "taxesIncluded": True,
            "ianaTimezone": "Asia/Tokyo",
        }

    def _installation(self) -> Node:
        scopes = [{"__typename": "AccessScope", "handle": scope} for scope in sorted(self.shop.scopes)]
        return {"__typename": "AppInstallation", "accessScopes": scopes}

    def _locations(self, **_paging: Any) -> Connection:
        self.need("read_locations", "locations")
        return Connection(sorted(self.shop.places.values(), key=_by_id), _by_id)

    def _location(self, id: str) -> Node | None:  # noqa: A002  (the argument's name)
        self.need("read_locations", "location")
        self.need("read_inventory", "inventoryLevels")
        place = self.shop.places.get(id)
        if place is None:
            return None

        def levels(query: str | None = None, **_paging: Any) -> Connection:
            rows = [self.level(item, where) for item, where in self.shop.levels if where == id]
            found = matching(rows, query, {"updated_at": lambda row: row["updatedAt"]})
            return Connection(sorted(found, key=_by_id), _by_id)

        return {**place, "inventoryLevels": levels}

    # ------------------------------------------------------------ goods

    def product(self, product: Node) -> Node:
        """A product as the API shows it."""

        def metafields(keys: list[str] | None = None, **_paging: Any) -> list[Node]:
            return _metafields(product, keys)

        variants = [self.variant(one) for one in self.shop.variants_of(product)]
        return {**product, "variants": variants, "metafields": metafields}

    def variant(self, variant: Node) -> Node:
        """A variant as the API shows it."""
        levels = [
            one for (item, _), one in self.shop.levels.items() if item == variant["inventoryItem"]["id"]
        ]
        total = sum(level.available for level in levels)
        shown = {**variant, "inventoryQuantity": total, "availableForSale": total > 0}
        shown["inventoryItem"] = self._item(variant)
        return shown

    def _item(self, variant: Node) -> Node:
        item = variant["inventoryItem"]

        def level_at(locationId: str, **_more: Any) -> Node | None:  # noqa: N803  (the argument's name)
            place = (item["id"], locationId)
            return self.level(*place) if place in self.shop.levels else None

        mine = [self.level(owner, place) for owner, place in self.shop.levels if owner == item["id"]]
        return {**item, "inventoryLevels": mine, "inventoryLevel": level_at}

    def level(self, item: str, place: str) -> Node:
        level = self.shop.levels[item, place]
        owner = next(one for one in self.shop.variants.values() if one["inventoryItem"]["id"] == item)

        def quantities(names: list[str]) -> list[Node]:
            return [
                {
                    "__typename": "InventoryQuantity",
                    "name": name,
                    "quantity": _quantity(level, name),
                    "updatedAt": level.updated,
                }
                for name in names
            ]

        return {
            "__typename": "InventoryLevel",
            "id": f"{gid('InventoryLevel', level.number)}?inventory_item_id={number_of(item)}",
            "isActive": True,
            "updatedAt": level.updated,
            "quantities": quantities,
            "location": self.shop.places[place],
            "item": owner["inventoryItem"],
        }

    def _products(self, sortKey: str = "ID", query: str | None = None, **_paging: Any) -> Connection:  # noqa: N803
        self.need("read_products", "products")
        fields = {"updated_at": lambda row: row["updatedAt"], "handle": lambda row: row["handle"]}
        found = [self.product(one) for one in matching(self.shop.products.values(), query, fields)]
        key = _by_change if sortKey == "UPDATED_AT" else _by_id
        return Connection(sorted(found, key=key), key)

    def _product(self, id: str) -> Node | None:  # noqa: A002
        self.need("read_products", "product")
        found = self.shop.products.get(id)
        return self.product(found) if found else None

    def _product_by(self, identifier: Mapping[str, str]) -> Node | None:
        self.need("read_products", "productByIdentifier")
        ((name, value),) = identifier.items()
        found = next((one for one in self.shop.products.values() if one[name] == value), None)
        return self.product(found) if found else None

    def _variants(self, query: str | None = None, **_paging: Any) -> Connection:
        self.need("read_products", "productVariants")
        fields = {
            "updated_at": lambda row: max(row["updatedAt"], row["product"]["updatedAt"]),
            "sku": lambda row: row["sku"],
        }
        found = [self.variant(one) for one in matching(self.shop.variants.values(), query, fields)]
        return Connection(sorted(found, key=_by_id), _by_id)

    # ------------------------------------------------------------ orders

    def order(self, order: Node) -> Node:
        """An order as the API shows it."""
        held = [{**one, "lineItems": one["_lines"]} for one in order["_fulfilment_orders"]]
        count = {"__typename": "Count", "count": len(order["fulfillments"]), "precision": "EXACT"}
        return {
            **order,
            "fulfillmentOrders": held,
            "fulfillmentsCount": count,
            "lineItems": [self._line(line) for line in order["lineItems"]],
        }

    def _fulfilment(self, id: str) -> Node | None:  # noqa: A002
        self.need("read_orders", "fulfillment")
        made = (one for order in self.shop.orders.values() for one in order["fulfillments"])
        return next((one for one in made if one["id"] == id), None)

    def _fulfilment_order(self, id: str) -> Node | None:  # noqa: A002
        self.need("read_orders", "fulfillmentOrder")
        held = (one for order in self.shop.orders.values() for one in order["_fulfilment_orders"])
        return next(({**one, "lineItems": one["_lines"]} for one in held if one["id"] == id), None)

    def _line(self, line: Node) -> Node:
        return {**line, "variant": line["variant"] and self.variant(line["variant"])}

    def _orders(self, sortKey: str = "PROCESSED_AT", query: str | None = None, **_paging: Any) -> Connection:  # noqa: N803
        self.need("read_orders", "orders")
        fields = {"updated_at": lambda row: row["updatedAt"], "name": lambda row: row["name"]}
        found = [self.order(one) for one in matching(self._visible_orders(), query, fields)]
        key = _by_change if sortKey == "UPDATED_AT" else _by_id
        return Connection(sorted(found, key=key), key)

    def _visible_orders(self) -> Iterable[Node]:
        if "read_all_orders" in self.shop.scopes:
            return self.shop.orders.values()
        oldest = wire_time(self.shop.clock() - _SHOWN)
        return [one for one in self.shop.orders.values() if one["createdAt"] >= oldest]

    def _order(self, id: str) -> Node | None:  # noqa: A002
        self.need("read_orders", "order")
        found = next((one for one in self._visible_orders() if one["id"] == id), None)
        return self.order(found) if found else None

    # ------------------------------------------------------------ customers

    def customer(self, customer: Node) -> Node:
        """A customer as the API shows it."""

        def metafields(keys: list[str] | None = None, **_paging: Any) -> list[Node]:
            return _metafields(customer, keys)

        return {**customer, "metafields": metafields}

    def _customers(self, sortKey: str = "ID", query: str | None = None, **_paging: Any) -> Connection:  # noqa: N803
        self.need("read_customers", "customers")
        found = matching(self.shop.customers.values(), query, {"updated_at": lambda row: row["updatedAt"]})
        key = _by_change if sortKey == "UPDATED_AT" else _by_id
        return Connection(sorted(map(self.customer, found), key=key), key)

    def _customer_by(self, identifier: Mapping[str, str]) -> Node | None:
        self.need("read_customers", "customerByIdentifier")
        ((name, value),) = identifier.items()
        for one in self.shop.customers.values():
            email = (one["defaultEmailAddress"] or {}).get("emailAddress")
            phone = (one["defaultPhoneNumber"] or {}).get("phoneNumber")
            told = {"id": one["id"], "emailAddress": email, "phoneNumber": phone}[name]
            if told is not None and told.lower() == value.lower():
                return self.customer(one)
        return None

    # ------------------------------------------------------------ anything by its id

    def _nodes(self, ids: list[str]) -> list[Node | None]:
        if len(ids) > 250:
            raise GraphProblem(
                "The input array size of more than 250 is not allowed", "MAX_INPUT_SIZE_EXCEEDED"
            )
        return [self._node(one) for one in ids]

    def _node(self, one: str) -> Node | None:
        kind = one.removeprefix("gid://shopify/").partition("/")[0]
        if kind not in _KINDS:
            raise GraphProblem(f"Invalid global id '{one}'", "RESOURCE_NOT_FOUND")
        self.need(_KINDS[kind], "nodes")
        if kind == "Product":
            return self._product(one)
        if kind == "Order":
            return self._order(one)
        if kind == "Location":
            return self.shop.places.get(one)
        if kind == "Customer":
            return self.customer(self.shop.customers[one]) if one in self.shop.customers else None
        if kind == "ProductVariant":
            return self.variant(self.shop.variants[one]) if one in self.shop.variants else None
        owner = next((v for v in self.shop.variants.values() if v["inventoryItem"]["id"] == one), None)
        return self._item(owner) if owner else None


def _quantity(level: Level, name: str) -> int:
    known = {"available": level.available, "on_hand": level.on_hand, "committed": level.committed}
    others = ("incoming", "reserved", "damaged", "safety_stock", "quality_control")
    if name not in known and name not in others:
        raise GraphProblem(f"The quantity name {name} is invalid", "BAD_REQUEST")
    return known.get(name, 0)


def _metafields(owner: Node, keys: list[str] | None) -> list[Node]:
    found: list[Node] = []
    for name, (kind, value) in owner["_metafields"].items():
        if keys and name not in keys:
            continue
        namespace, _, key = name.partition(".")
        found.append(
            {"__typename": "Metafield", "id": gid("Metafield", 1), "namespace": namespace, "key": key, "type": kind,
             "value": value}
        )  # fmt: skip
    return found
