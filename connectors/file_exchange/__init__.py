"""Exchange of CSV and fixed-length files with a partner, over a local folder or SFTP. Layouts are data."""

from connectors.file_exchange.config import FileExchangeConfig
from connectors.file_exchange.exchange import connector
from connectors.file_exchange.formats import read_records

__all__ = ["FileExchangeConfig", "connector", "read_records"]
