"""Mappings of Shopify: files, code tables, sample pairs, and the few functions a mapping cannot say."""
