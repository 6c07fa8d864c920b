"""Airflow for one hub home: its settings file, its database, its processes.

Airflow is run, never imported, from here: the hub works without it. Everything of it lives below
`TSUNAGI_HOME/airflow`. `airflow.cfg` is written anew at each start; `AIRFLOW__SECTION__KEY` in the
environment wins over it, as everywhere in Airflow. Why the values are as they are: `docs/airflow.md`.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psycopg
from psycopg import sql
from sqlalchemy import make_url

from hub.home import Settings, write_private
from hub.postgres import EmbeddedPostgres
from hub.processes import Processes
from hub.words import HubError

__all__ = [
    "AirflowAddress",
    "AirflowError",
    "airflow_address",
    "airflow_env",
    "metadata_url",
    "start_airflow",
    "stop_airflow",
]

COMPONENTS = ("api-server", "scheduler", "dag-processor", "triggerer")
"""No flow defers, but without a triggerer (300 MB) the UI's first page shows one part of Airflow in red."""
USER = "admin"
API_PORT = 8080
LOG_PORTS = {"scheduler": 8793, "triggerer": 8794}
PREFIX = "airflow-"


class AirflowError(HubError):
    """Airflow is not installed, or one of its own commands failed."""


@dataclass(frozen=True, slots=True)
class AirflowAddress:
    """Where a running Airflow answers, and as whom to sign in."""

    url: str
    user: str
    password: str = field(repr=False)


def start_airflow(
    settings: Settings,
    *,
    port: int | None = None,
    parallelism: int = 4,
    say: Callable[[str], None] = lambda _: None,
) -> AirflowAddress:
    """Start what is not running yet and wait until all of it is healthy.

    port         where the UI should answer (default: the one remembered, else 8080, else the next free one)
    parallelism  most tasks at once
    say          told the name of each step as it begins: "migrate", then each component

    Raises AirflowError (not installed, migration failed) and NotReadyError (with the end of the log).
    """
    processes = Processes(settings.home)
    settings.home.create()
    say("migrate")
    running = {name for name in COMPONENTS if processes.find(PREFIX + name)}
    ports = _ports(settings, port, keep=bool(running))
    _write_config(settings, ports, parallelism)
    env = airflow_env(settings)
    if "api-server" not in running:
        _migrate(settings, env)
    for name in COMPONENTS:
        say(name)
        processes.start(PREFIX + name, [_command(), name], env=env, cwd=settings.home.airflow)
    address = airflow_address(settings)
    for name in COMPONENTS:
        processes.wait_ready(PREFIX + name, lambda name=name: _healthy(address, name), timeout=120)  # type: ignore[misc]
    return address


def stop_airflow(settings: Settings, grace: float = 10) -> list[str]:
    """Stop Airflow's processes of this home. Returns the names of those that were running."""
    processes = Processes(settings.home)
    names = [PREFIX + name for name in reversed(COMPONENTS)]
    return [name.removeprefix(PREFIX) for name in processes.stop_all(names, grace)]


def airflow_address(settings: Settings) -> AirflowAddress:
    """Where the Airflow of this home answers once it runs."""
    ports = json.loads(_ports_file(settings).read_text("utf-8"))
    passwords = json.loads(_passwords_file(settings).read_text("utf-8"))
    return AirflowAddress(f"http://127.0.0.1:{ports['api']}", USER, passwords[USER])


def airflow_env(settings: Settings) -> dict[str, str]:
    """The environment Airflow's commands and processes of this home run in."""
    env = dict(os.environ)
    env["AIRFLOW_HOME"] = str(settings.home.airflow)
    env["TSUNAGI_HOME"] = str(settings.home.root)
    env["TSUNAGI_SYSTEMS"] = os.pathsep.join(map(str, settings.systems))
    env["TSUNAGI_LANG"] = settings.lang
    if settings.database_url:
        env["TSUNAGI_DATABASE_URL"] = settings.database_url
    env["PATH"] = os.pathsep.join([str(Path(_command()).parent), env.get("PATH", os.defpath)])
    env["PYTHONUNBUFFERED"] = "1"
    return env


def _command() -> str:
    """The `airflow` of the Python that runs this."""
    beside = Path(sys.executable).parent / "airflow"
    found = str(beside) if beside.exists() else shutil.which("airflow")
    if found is None:
        raise AirflowError(
            "Airflow がインストールされていません。`pip install 'tsunagi[airflow]'` を実行してください。",
            "Airflow is not installed. Run `pip install 'tsunagi[airflow]'`.",
        )
    return found


# ---------------------------------------------------------------- what is remembered


def _ports_file(settings: Settings) -> Path:
    return settings.home.airflow / "ports.json"


def _passwords_file(settings: Settings) -> Path:
    return settings.home.airflow / "passwords.json"


def _ports(settings: Settings, wanted: int | None, *, keep: bool) -> dict[str, int]:
    """The ports to use: those remembered while Airflow runs on them or they are free, else the next free."""
    remembered: dict[str, int] = {}
    with suppress(FileNotFoundError, ValueError):
        remembered = json.loads(_ports_file(settings).read_text("utf-8"))
    if keep and remembered.keys() >= {"api", *LOG_PORTS}:
        return remembered
    firsts = {"api": wanted or API_PORT, **LOG_PORTS}
    ports: dict[str, int] = {}
    for name, first in firsts.items():
        begin = first if name == "api" and wanted else remembered.get(name, first)
        ports[name] = next(port for port in range(begin, 65536) if port not in ports.values() and _free(port))
    write_private(_ports_file(settings), json.dumps(ports))
    return ports


def _free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True


# ---------------------------------------------------------------- its database


def metadata_url(settings: Settings) -> str:
    """The database of Airflow's own tables, made where it is missing.

    `TSUNAGI_AIRFLOW_DATABASE_URL` if set; else database `airflow` of the embedded server; else, beside the
    hub's database on the server of `TSUNAGI_DATABASE_URL`, the one with `_airflow` after its name.
    """
    if url := os.environ.get("TSUNAGI_AIRFLOW_DATABASE_URL", "").strip():
        return url
    if settings.database_url is None:
        return EmbeddedPostgres(settings.home).database_url("airflow")
    hub = make_url(settings.database_url)
    name = f"{hub.database}_airflow"
    try:
        with psycopg.connect(settings.database_url, autocommit=True) as connection:
            if not connection.execute("select 1 from pg_database where datname = %s", [name]).fetchone():
                connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
    except psycopg.errors.InsufficientPrivilege as error:
        raise AirflowError(
            f"データベース {name} を作成する権限がありません。管理者に作成を依頼するか、"
            "TSUNAGI_AIRFLOW_DATABASE_URL で別のデータベースを指定してください。",
            f"The role may not create database {name}. Have it created, or point "
            "TSUNAGI_AIRFLOW_DATABASE_URL at another one.",
        ) from error
    return hub.set(database=name).render_as_string(hide_password=False)


def _driver(url: str) -> str:
    """The URL with the driver Airflow reaches its tables by."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg2")
    return parsed.render_as_string(hide_password=False)


# ---------------------------------------------------------------- airflow.cfg


def _write_config(settings: Settings, ports: Mapping[str, int], parallelism: int) -> None:
    passwords = json.dumps({USER: secrets.token_urlsafe(12)})
    write_private(_passwords_file(settings), passwords, replace=False)
    lines = ["# Written by tsunagi at each start; AIRFLOW__SECTION__KEY in the environment wins over it."]
    for section, options in _config(settings, ports, parallelism).items():
        lines += ["", f"[{section}]"]
        lines += [f"{key} = {str(value).replace('%', '%%')}" for key, value in options.items()]
    write_private(settings.home.airflow / "airflow.cfg", "\n".join(lines) + "\n")


def _config(settings: Settings, ports: Mapping[str, int], parallelism: int) -> dict[str, dict[str, object]]:
    """Section -> key -> value."""
    home = settings.home
    api = f"http://127.0.0.1:{ports['api']}"
    return {
        "core": {
            "dags_folder": Path(__file__).resolve().parent.parent / "dags",
            "plugins_folder": home.airflow / "plugins",
            "executor": "LocalExecutor",
            "parallelism": parallelism,
            "load_examples": False,
            "default_timezone": "Asia/Tokyo",
            "fernet_key": home.secret("airflow-fernet") + "=",
            "execution_api_server_url": f"{api}/execution/",
            "simple_auth_manager_users": f"{USER}:admin",
            "simple_auth_manager_passwords_file": _passwords_file(settings),
            "sensitive_var_conn_names": "license_key,licence_key,service_secret,host_key",
            "test_connection": "Enabled",
            "dagbag_import_error_traceback_depth": 1,
        },
        "database": {"sql_alchemy_conn": _driver(metadata_url(settings)), "load_default_connections": False},
        "api": {
            "host": "127.0.0.1",
            "port": ports["api"],
            "workers": 1,
            "secret_key": home.secret("airflow-api"),
            "instance_name": "Tsunagi つなぎ",
        },
        "api_auth": {"jwt_secret": home.secret("airflow-jwt")},
        "logging": {
            "base_log_folder": home.airflow / "logs",
            "worker_log_server_port": ports["scheduler"],
            "trigger_log_server_port": ports["triggerer"],
            "colored_console_log": False,
        },
        "dag_processor": {
            "refresh_interval": 5,
            "bundle_refresh_check_interval": 5,
            "min_file_process_interval": 30,
        },
        "scheduler": {"scheduler_idle_sleep_time": 0.2, "max_tis_per_query": 64},
        "workers": {"min_heartbeat_interval": 1},
    }


# ---------------------------------------------------------------- its commands and its health


def _migrate(settings: Settings, env: Mapping[str, str]) -> None:
    log = settings.home.logs / "airflow-migrate.log"
    with log.open("wb") as output:
        done = subprocess.run(  # noqa: S603  the command is Airflow's own
            [_command(), "db", "migrate"], env=dict(env), stdin=subprocess.DEVNULL, stdout=output,
            stderr=output, cwd=settings.home.airflow, check=False,
        )  # fmt: skip
    if done.returncode:
        tail = "\n".join(log.read_text("utf-8", errors="replace").splitlines()[-15:])
        raise AirflowError(
            f"`airflow db migrate` が失敗しました。ログ {log} の末尾:\n{tail}",
            f"`airflow db migrate` failed. The end of its log {log}:\n{tail}",
        )


def _healthy(address: AirflowAddress, component: str) -> bool:
    try:
        answer = httpx.get(f"{address.url}/api/v2/monitor/health", timeout=5)
        health = answer.json()
    except (httpx.HTTPError, ValueError):
        time.sleep(0.2)
        return False
    part = "metadatabase" if component == "api-server" else component.replace("-", "_")
    return bool((health.get(part) or {}).get("status") == "healthy")
