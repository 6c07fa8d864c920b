"""Rakuten Ichiba through RMS WEB SERVICE: orders, items and stock out; stock, shipping reports, confirmations in."""

from connectors.rakuten_rms.config import RakutenConfig
from connectors.rakuten_rms.rms import connector

__all__ = ["RakutenConfig", "connector"]
