"""Square: registers, catalogue, stock counts, orders, payments and customers of one seller."""

from connectors.square.config import SquareConfig
from connectors.square.connector import connector

__all__ = ["SquareConfig", "connector"]
