"""Airflow's Connections as a place of secrets: what an operator typed into the form reaches the hub."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow.sdk import Connection
from airflow.sdk.exceptions import AirflowNotFoundException, AirflowRuntimeError, ErrorType

from hub.secrets import register_provider

__all__ = ["airflow_connection", "connection_parts", "use_airflow_connections"]


def use_airflow_connections() -> None:
    """Let the hub look for secrets in Airflow's Connections too, after environment and files."""
    register_provider("airflow", airflow_connection)


def airflow_connection(system: str) -> Mapping[str, Any] | None:
    """The Connection whose id is the system's, or None where Airflow has none.

    Keys: conn_type, host, port, schema, login, password, extra (an object). Works in a task's process, which may
    ask the API server only, and in the web server, which reads Airflow's own tables.
    """
    try:
        found = Connection.get(system)
    except AirflowNotFoundException:
        return None
    except AirflowRuntimeError as error:
        if error.error.error is ErrorType.CONNECTION_NOT_FOUND:
            return None
        raise
    return connection_parts(found)


def connection_parts(found: Connection) -> dict[str, Any]:
    """A Connection as the hub reads one."""
    return {
        "conn_type": found.conn_type,
        "host": found.host,
        "port": found.port,
        "schema": found.schema,
        "login": found.login,
        "password": found.password,
        "extra": found.extra_dejson,
    }
