"""The hub as an Airflow provider: a connection type for every installed connector, drawn from its declarations."""

from __future__ import annotations

from typing import Any

from connectors.contract import Connector
from connectors.describe import connection_form
from connectors.registry import load_connectors

__all__ = ["get_provider_info"]


def get_provider_info() -> dict[str, Any]:
    """What Airflow asks of a provider. `package-name` must be the name of the installed distribution."""
    return {
        "package-name": "tsunagi",
        "name": "Tsunagi つなぎ",
        "description": "Open integration hub for omnichannel commerce in Japan.",
        "connection-types": [_form(connector) for connector in load_connectors().values()],
    }


def _form(connector: Connector[Any]) -> dict[str, Any]:
    """The connector's form, with its defaults told but not filled in.

    Airflow saves what a form is filled with. A saved default would win over the system file ever after.
    """
    form = connection_form(connector, hook_class=f"plugins.hooks.{connector.name}")
    for field in form["conn-fields"].values():
        default = field["schema"].pop("default", None)
        if default is not None:
            told = f"既定値 / default: {default}"
            field["description"] = f"{field['description']} ({told})" if field.get("description") else told
    return form
