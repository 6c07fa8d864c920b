"""The "test connection" button: one hook for every kind of system, made from its connector.

`plugins.hooks.rakuten_rms` is the hook of connections of type `rakuten_rms`. Flows do not use hooks.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import BaseHook

from connectors.calls import open_call
from connectors.contract import ConnectorError
from connectors.registry import load_connectors
from connectors.settings import settings_from_connection
from hub.home import Settings
from hub.systems import load_systems
from hub.words import Words
from plugins.connections import connection_parts

__all__ = ["SystemHook"]

_NO_CHECK = Words("このコネクタには確認機能がありません。", "This connector has no check.")


class SystemHook(BaseHook):
    """A connection to an outside system; proves that it works by the connector's own check."""

    conn_name_attr = "system"
    default_conn_name = "system"
    conn_type = ""
    hook_name = ""

    def __init__(self, system: str = "system", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.system = system

    def test_connection(self) -> tuple[bool, str]:
        """Whether the account works, and what was seen or why not."""
        connection = self.get_connection(self.system)
        kind = connection.conn_type or ""
        connector = load_connectors().named(kind)
        if connector.check_function is None:
            return True, _NO_CHECK.say()
        try:
            config = settings_from_connection(
                connector.config, _shared_settings(kind), connection_parts(connection)
            )
            with open_call(connector, self.system, config) as call:
                return True, connector.check_function(call)
        except ConnectorError as error:
            return False, str(error)


def _shared_settings(conn_type: str) -> dict[str, Any]:
    """Settings of the system file. Airflow tests under a passing id, so they are known only where one system
    of this kind exists."""
    of_kind = [
        s for s in load_systems(Settings.from_env().systems).systems.values() if s.connector == conn_type
    ]
    return dict(of_kind[0].settings) if len(of_kind) == 1 else {}


def __getattr__(name: str) -> type[SystemHook]:
    connectors = load_connectors()
    if name not in connectors:
        raise AttributeError(name)
    hook = type(name, (SystemHook,), {"conn_type": name, "hook_name": connectors[name].title.en})
    globals()[name] = hook
    return hook
