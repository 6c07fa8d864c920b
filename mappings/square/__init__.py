"""Mappings of Square: what its API says, and what its sinks take."""
