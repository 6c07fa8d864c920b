"""The shared language of the hub: value types, code lists and entities. Imports nothing of the house."""

from canonical_model.customer import Customer
from canonical_model.entity import ENTITIES, Entity, ExternalRef, entity_model
from canonical_model.order import Order
from canonical_model.product import Listing, Price, Product
from canonical_model.shipment import Shipment
from canonical_model.stock import Reservation, StockMovement, StockPosition
from canonical_model.values import Address, Money, PersonName

__all__ = [
    "ENTITIES",
    "Address",
    "Customer",
    "Entity",
    "ExternalRef",
    "Listing",
    "Money",
    "Order",
    "PersonName",
    "Price",
    "Product",
    "Reservation",
    "Shipment",
    "StockMovement",
    "StockPosition",
    "entity_model",
]
