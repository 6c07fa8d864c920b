"""The hub as an Airflow provider: a connection type for every installed connector, drawn from its declarations."""

from __future__ import annotations

from typing import Any

from connectors.describe import connection_form
from connectors.registry import load_connectors

__all__ = ["get_provider_info"]


def get_provider_info() -> dict[str, Any]:
    """What Airflow asks of a provider. `package-name` must be the name of the installed distribution."""
    return {
        "package-name": "tsunagi",
        "name": "Tsunagi つなぎ",
        "description": "Open integration hub for omnichannel commerce in Japan.",
        "connection-types": [
            connection_form(connector, hook_class=f"plugins.hooks.{connector.name}")
            for connector in load_connectors().values()
        ],
    }
