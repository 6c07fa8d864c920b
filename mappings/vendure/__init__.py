"""Mappings of Vendure: what its Admin API says, and what its sinks take."""
