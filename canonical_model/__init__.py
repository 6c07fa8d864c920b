"""The shared language of the hub: value types, code lists and entities. Imports nothing of the house."""

from canonical_model.cart import Cart, OrderHistory
from canonical_model.catalog import Category, Language, MediaAsset, ProductType
from canonical_model.customer import Customer, PointMovement
from canonical_model.entity import ENTITIES, Entity, ExternalRef, entity_model
from canonical_model.journal import Document, JournalEntry
from canonical_model.location import Channel, Location
from canonical_model.order import Order
from canonical_model.payment import Payment, Settlement
from canonical_model.product import Listing, Price, PriceList, Product
from canonical_model.promotion import Coupon, Promotion
from canonical_model.purchase import PurchaseOrder, Receipt
from canonical_model.returns import Refund, Return
from canonical_model.shipment import Shipment, ShippingMethod
from canonical_model.stock import Reservation, Sellable, StockMovement, StockPosition
from canonical_model.subscription import Subscription
from canonical_model.values import Address, Money, PersonName

__all__ = [
    "ENTITIES",
    "Address",
    "Cart",
    "Category",
    "Channel",
    "Coupon",
    "Customer",
    "Document",
    "Entity",
    "ExternalRef",
    "JournalEntry",
    "Language",
    "Listing",
    "Location",
    "MediaAsset",
    "Money",
    "Order",
    "OrderHistory",
    "Payment",
    "PersonName",
    "PointMovement",
    "Price",
    "PriceList",
    "Product",
    "ProductType",
    "Promotion",
    "PurchaseOrder",
    "Receipt",
    "Refund",
    "Reservation",
    "Return",
    "Sellable",
    "Settlement",
    "Shipment",
    "ShippingMethod",
    "StockMovement",
    "StockPosition",
    "Subscription",
    "entity_model",
]
