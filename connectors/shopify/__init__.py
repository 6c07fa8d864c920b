"""Shopify, through its Admin GraphQL API and its webhooks."""

from connectors.shopify.config import ShopifyConfig
from connectors.shopify.connector import connector

__all__ = ["ShopifyConfig", "connector"]
