"""The real Vendure from npm, started for tests and demos."""

from sandbox.vendure.server import Shop, Unavailable, prepare, start

__all__ = ["Shop", "Unavailable", "prepare", "start"]
