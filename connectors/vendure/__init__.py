"""Vendure 3.x, an open-source shop, through its Admin API (GraphQL)."""

from connectors.vendure.config import CustomFields, VendureConfig
from connectors.vendure.connector import connector

__all__ = ["CustomFields", "VendureConfig", "connector"]
