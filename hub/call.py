"""Opening a call: settings and secrets put together, the doors to the network opened and closed again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from connectors.describe import settings_from_connection

from connectors.contract import Call, Connector, FileHistory
from connectors.transport.http import Http
from hub.secrets import connection
from hub.systems import System

__all__ = ["open_call"]


@contextmanager
def open_call(
    system: System, connector: Connector[Any], history: FileHistory | None, *, params: Mapping[str, Any]
) -> Iterator[Call[Any]]:
    """A call of a connector function for this system. Raises Misconfigured when a setting is missing or wrong."""
    config = settings_from_connection(connector.config, system.settings, connection(system.system))
    http = None if connector.http is None else Http(connector.http(config), system=system.system)
    files = None if connector.files is None else connector.files(config)
    try:
        yield Call(system.system, config, http, files, params=params, files_seen=history)
    finally:
        for door in (http, files):
            if door is not None:
                door.close()
