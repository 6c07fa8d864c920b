"""The table of entities, and the way in and out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

from canonical_model.cart import Cart, OrderHistory
from canonical_model.catalog import Category, Language, MediaAsset, ProductType
from canonical_model.content import from_content, to_content
from canonical_model.customer import Customer
from canonical_model.entity import Entity
from canonical_model.location import Channel, Location
from canonical_model.mach import (
    assets,
    carts,
    orders,
    payments,
    people,
    places,
    pricing,
    products,
    promotions,
    sending,
    taxonomy,
)
from canonical_model.mach.dialect import Dialect, dialect_of, from_dialect, to_dialect
from canonical_model.mach.leftovers import difference, restore
from canonical_model.mach.words import SYSTEM, Context, MachError, drop_empty
from canonical_model.order import Order
from canonical_model.payment import Payment
from canonical_model.product import Price, PriceList, Product
from canonical_model.promotion import Coupon, Promotion
from canonical_model.shipment import Shipment, ShippingMethod
from canonical_model.stock import StockPosition

__all__ = ["MACH_ENTITIES", "from_mach", "kind_of", "to_mach"]


@dataclass(frozen=True, slots=True)
class _Bridge:
    """needs  members without which an object is no whole one"""

    read: Callable[[Mapping[str, Any], Context], Entity]
    needs: tuple[str, ...] = ("id",)


_IN: dict[str, _Bridge] = {
    "cart": _Bridge(carts.read_cart),
    "category": _Bridge(taxonomy.read_category),
    "coupon_instance": _Bridge(promotions.read_coupon, ("id", "code", "promotion_id")),
    "customer": _Bridge(people.read_customer),
    "fulfillment": _Bridge(sending.read_fulfillment),
    "inventory": _Bridge(places.read_inventory, ()),
    "language": _Bridge(assets.read_language, ("code", "locale")),
    "media": _Bridge(assets.read_media, ()),
    "order": _Bridge(orders.read_order),
    "order_history": _Bridge(carts.read_history),
    "payment": _Bridge(payments.read_payment),
    "pricing": _Bridge(pricing.read_pricing, ()),
    "product": _Bridge(products.read_product),
    "product_type": _Bridge(taxonomy.read_product_type),
    "promotion": _Bridge(promotions.read_promotion),
    "shipping_method": _Bridge(sending.read_shipping_method),
    "store": _Bridge(places.read_store),
}

MACH_ENTITIES: tuple[str, ...] = tuple(_IN)
"""The entities of the standard, by their names there. Its utility objects (address, money, timestamp) are values:
see `piece_from_mach`; its channels are codes: `canonical_model.codes.ChannelType`. Catalog, campaign, contact and
identifier are announced in the standard and not defined yet."""

_Write = Callable[[Any, Context], dict[str, Any]]
_OUT: dict[type[Entity], tuple[str, _Write]] = {
    Cart: ("cart", carts.write_cart),
    Category: ("category", taxonomy.write_category),
    Channel: ("store", places.write_channel),
    Coupon: ("coupon_instance", promotions.write_coupon),
    Customer: ("customer", people.write_customer),
    Language: ("language", assets.write_language),
    Location: ("store", places.write_store),
    MediaAsset: ("media", assets.write_media),
    Order: ("order", orders.write_order),
    OrderHistory: ("order_history", carts.write_history),
    Payment: ("payment", payments.write_payment),
    Price: ("pricing", pricing.write_pricing),
    PriceList: ("pricing", pricing.write_price_list),
    Product: ("product", products.write_product),
    ProductType: ("product_type", taxonomy.write_product_type),
    Promotion: ("promotion", promotions.write_promotion),
    Shipment: ("fulfillment", sending.write_fulfillment),
    ShippingMethod: ("shipping_method", sending.write_shipping_method),
    StockPosition: ("inventory", places.write_inventory),
}
_NO_CONTEXT = datetime(1970, 1, 1, tzinfo=UTC)


def from_mach(
    name: str, obj: Mapping[str, Any], *, channel: str = SYSTEM, received_at: datetime | None = None
) -> Entity:
    """The canonical entity of an object of the standard.

    name         one of MACH_ENTITIES
    channel      canonical channel; first part of the keys of orders, customers, carts and of links to them
    received_at  stands in for the time of an order that tells none; now, if not given

    Raises KeyError for an unknown name, MachError where the object lacks what makes it whole, and pydantic's
    ValidationError (both are ValueErrors) where its values cannot be.
    """
    bridge = _IN[name] if name in _IN else _unknown(name)
    told = dict(obj)
    given = cast("dict[str, Any]", from_dialect(told))
    lacking = [
        member for member in bridge.needs if not isinstance(given.get(member), str) or not given[member]
    ]
    if lacking:
        raise MachError(f"a MACH {name} needs {', '.join(lacking)}")
    dialect = dialect_of(told)
    entity = bridge.read(given, Context(channel, received_at or datetime.now(UTC), dialect))
    # what is stored is what goes out again, so the stored form is what the object is compared with
    entity = from_content(entity.kind, to_content(entity))
    carried = difference(told, _written(entity, dialect))
    if dialect is Dialect.CAMEL:
        carried["dialect"] = dialect.value
    if carried:
        entity.traits = {SYSTEM: carried}
    return entity


def to_mach(entity: Entity) -> dict[str, Any]:
    """The object of the standard; for an entity made by `from_mach` and not changed since, the very object.

    Raises TypeError for a kind the standard has no entity for (see `kind_of`).
    """
    carried = entity.traits.get(SYSTEM, {})
    return restore(_written(entity, Dialect(carried.get("dialect", Dialect.SNAKE))), carried)


def kind_of(entity: Entity) -> str | None:
    """The standard's name for this kind of entity; None where it has none."""
    found = _OUT.get(type(entity))
    return found[0] if found else None


def _written(entity: Entity, dialect: Dialect) -> dict[str, Any]:
    if type(entity) not in _OUT:
        raise TypeError(f"the MACH Open Data Model has no entity for {entity.kind}")
    write = _OUT[type(entity)][1]
    made = drop_empty(write(entity, Context(SYSTEM, _NO_CONTEXT, dialect)))
    return cast("dict[str, Any]", to_dialect(made, dialect))


def _unknown(name: str) -> _Bridge:
    raise KeyError(f"no MACH entity {name!r}; known: {', '.join(MACH_ENTITIES)}")
