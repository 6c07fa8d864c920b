"""The embedded PostgreSQL: a real server from a wheel under our own small supervisor.

The first process that needs the database starts the server; it is a daemon of its own session on 127.0.0.1
and a port remembered in `TSUNAGI_HOME/postgres/server.json`, and outlives its starter. Later processes
attach. It stops by `stop()` (`make stop`). `TSUNAGI_DATABASE_URL` points at another server instead; then
nothing is started.

Two locks make this safe against `kill -9` of anything. `start.lock` is held by the process that starts or
stops. `running.lock` is inherited by the server and all its children: the kernel frees it when the last of
them is gone, so a stale pid file, a zombie or a reused process number can neither fake a server nor hide one.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from hub.home import Home, Settings, write_private
from hub.postgres_place import (
    OUTSIDE,
    Place,
    PostgresError,
    choose_place,
    initialise,
    run_as,
)
from hub.postgres_process import (
    free_port,
    is_free,
    open_lock,
    postmaster,
    send_signal,
    server_processes,
    ticks,
)

__all__ = ["SERVER_SETTINGS", "EmbeddedPostgres", "PostgresError", "database_url"]

ADMIN = "tsunagi_admin"

#: What differs from PostgreSQL's own defaults, and why. Written to `tsunagi.conf` in the data directory at
#: each start; `ALTER SYSTEM` overrides it.
SERVER_SETTINGS: Mapping[str, str] = {
    "max_connections": "120",  # Airflow's four processes and their tasks, the gateway, workers, a person
    "shared_buffers": "256MB",
    "wal_compression": "off",  # pglz takes longer to pack a page than a disk to write it: 90 us against 20
    "max_wal_size": "2GB",  # fewer checkpoints while a large file is taken in
    "checkpoint_completion_target": "0.9",
    "random_page_cost": "1.1",  # solid-state disks
    "effective_io_concurrency": "16",
    "default_toast_compression": "pglz",
    "max_parallel_workers_per_gather": "0",  # a container's /dev/shm of 64 MB is too small for parallel joins
    "idle_in_transaction_session_timeout": "10min",  # a forgotten transaction would hold the change feed back
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_duration_statement": "5s",
    "log_line_prefix": "%m [%p] %q%a@%d ",
    "log_parameter_max_length": "0",  # parameters are customers' data
    "log_parameter_max_length_on_error": "0",
}

_START_SECONDS = 300.0  # crash recovery of a large write-ahead log takes minutes, and must not be cut short
_ORPHAN_SECONDS = 5.0
_UNSEEN_SECONDS = 10.0
_LOG_BYTES = 20_000_000
_TRIES = 5
_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")


def database_url(name: str = "tsunagi", settings: Settings | None = None) -> str:
    """The URL of database `name`, as `postgresql://user:password@host:port/name`.

    Starts the embedded server and creates the database when they are not there. With `TSUNAGI_DATABASE_URL`
    set that URL is returned as it is, whatever `name` says.
    """
    settings = settings or Settings.from_env()
    if settings.database_url is not None:
        return settings.database_url
    return EmbeddedPostgres(settings.home).database_url(name)


def _turns_away(port: int) -> bool:
    """Whether a server is there that takes no connections at this moment: it starts, recovers or stops."""
    return psycopg.pq.PGconn.ping(f"host=127.0.0.1 port={port}".encode()) == psycopg.pq.Ping.REJECT


@dataclass(slots=True)
class _State:
    """`server.json`: the port of the last start and where the data lies."""

    port: int | None = None
    data: Path | None = None


class EmbeddedPostgres:
    """The server of one `Home`. Any number of processes may hold one; none of them owns the server.

    `settings` are added to SERVER_SETTINGS; `outside` is where data goes when root cannot keep it at home.
    """

    def __init__(
        self, home: Home, *, settings: Mapping[str, str] | None = None, outside: Path = OUTSIDE
    ) -> None:
        self.home = home
        self._settings = {**SERVER_SETTINGS, **(settings or {})}
        self._outside = outside
        self._log = home.logs / "postgres.log"

    # -------------------------------------------------------------- doors

    def start(self) -> int:
        """Make sure the server runs and answers; returns its port. Else PostgresError, with the log's end."""
        self.home.create()
        with self._starting() as lock:
            state = self._read_state()
            port = self._attach(self._data(state)) if self._alive() else None
            return port or self._start(state, lock)

    def stop(self, *, seconds: float = 60.0) -> bool:
        """Stop the server fast (open transactions are rolled back). False if it was not running.

        A server that has not gone after `seconds` is stopped the hard way; its next start recovers.
        """
        if not self.home.postgres.is_dir():
            return False
        with self._starting():
            if not self._alive():
                return False
            data = self._data(self._read_state())
            self._end(data, seconds)
            return True

    def running(self) -> bool:
        """Whether a server of this home runs now."""
        if not self.home.postgres.is_dir():
            return False
        with self._starting():
            return self._alive()

    def remove(self) -> None:
        """Stop the server and delete its data, also where it lies outside the home."""
        self.stop()
        data = self._read_state().data
        if data is not None and self._outside in data.parents:
            shutil.rmtree(data.parent, ignore_errors=True)
        shutil.rmtree(self.home.postgres, ignore_errors=True)

    def admin_url(self, database: str = "postgres") -> str:
        """URL of the server's superuser; starts the server if need be."""
        return self._url(self.start(), ADMIN, "postgres-admin", database)

    def database_url(self, name: str) -> str:
        """URL of database `name`, owned by a role of that name; both are created when they are missing."""
        if not _NAME.fullmatch(name):
            raise PostgresError(
                f"データベース名 {name!r} は使えません。小文字の英数字と _ だけを使ってください。",
                f"{name!r} cannot be a database name; use lower-case letters, digits and _.",
            )
        for tries_left in reversed(range(_TRIES)):
            port = self.start()
            url = self._url(port, name, f"postgres-{name}", name)
            with contextlib.suppress(psycopg.OperationalError), psycopg.connect(url):
                return url
            try:
                self._create_database(self._url(port, ADMIN, "postgres-admin", "postgres"), name)
                return url
            except psycopg.OperationalError as error:
                if not tries_left:
                    raise self._locked_out(error) from error
                time.sleep(0.2)  # it may have crashed just now, and have to notice it first
        raise AssertionError("the loop above always ends by itself")

    def _locked_out(self, error: psycopg.OperationalError) -> PostgresError:
        password = self.home.secrets / "postgres-admin.txt"
        return PostgresError(
            f"組み込みPostgreSQLに管理者として接続できません。{password} がこのデータのものか"
            f"確認してください: {error}",
            f"Cannot connect to the embedded PostgreSQL as its superuser. Does {password} belong to this "
            f"data? {error}",
        )

    # -------------------------------------------------------------- locks

    @contextlib.contextmanager
    def _starting(self) -> Iterator[int]:
        """One process at a time starts, stops or looks. Yields the lock's descriptor."""
        with open_lock(self.home.postgres / "start.lock") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield lock.fileno()

    def _alive(self) -> bool:
        with open_lock(self.home.postgres / "running.lock") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
            return False

    # -------------------------------------------------------------- starting

    def _attach(self, data: Path) -> int | None:
        """Wait until the running server takes connections: its port. None when it went away instead."""
        headless_since: float | None = None
        for _ in ticks(_START_SECONDS):
            if not self._alive():
                return None
            processes, head = server_processes(data), postmaster(data)
            if head and head.pid in processes:
                # its file says ready also while it recovers from the death of one of its processes
                if head.ready and not _turns_away(head.port):
                    return head.port
                headless_since = None
                continue
            headless_since = headless_since or time.monotonic()
            headless = time.monotonic() - headless_since
            if processes and headless > _ORPHAN_SECONDS:
                # its head was killed; children leave by themselves unless they are deep in a query
                send_signal(processes, signal.SIGKILL)
            if not processes and headless > _UNSEEN_SECONDS:
                raise PostgresError(
                    f"{self.home.postgres} のPostgreSQLは別のコンテナで動いています。そちらを停止するか、"
                    "TSUNAGI_HOMEに別のフォルダを指定してください。",
                    f"The PostgreSQL of {self.home.postgres} runs in another container. Stop it there, or point "
                    "TSUNAGI_HOME at another folder.",
                )
        raise self._failed()

    def _start(self, state: _State, lock: int) -> int:
        place = choose_place(self.home.postgres, state.data, self._outside)
        self._refuse_foreign_server(place.data)
        self._write_state(_State(state.port, place.data))
        password = self.home.secret("postgres-admin")
        if not (place.data / "PG_VERSION").exists():
            # it holds our lock: should we be killed, the next starter waits until it is gone
            initialise(place, ADMIN, password, pass_fds=(lock,))
        (place.data / "postmaster.pid").unlink(missing_ok=True)  # nobody holds running.lock: it is stale
        self._configure(place)
        port = state.port
        for _ in range(10):
            if port is None or not is_free(port):
                port = free_port()
            self._write_state(_State(port, place.data))
            if self._launch(place, port):
                return port
            if "could not create any TCP/IP sockets" not in self._log_tail():
                break
            port = None
        raise self._failed()

    def _configure(self, place: Place) -> None:
        lines = [f"{name} = '{value}'" for name, value in self._settings.items()]
        settings = place.data / "tsunagi.conf"
        settings.write_text(
            "# written by the hub at each start; use ALTER SYSTEM to override\n" + "\n".join(lines) + "\n"
        )
        settings.chmod(0o644)  # the folder around it is closed
        main = place.data / "postgresql.conf"
        if "tsunagi.conf" not in main.read_text():
            with main.open("a") as file:
                file.write("include 'tsunagi.conf'\n")

    def _launch(self, place: Place, port: int) -> bool:
        """Start the server and wait for it. False when it ended instead; its log says why."""
        if self._log.exists() and self._log.stat().st_size > _LOG_BYTES:
            self._log.replace(self._log.with_suffix(".log.1"))
        command: list[str | Path] = [
            place.binaries / "postgres", "-D", place.data, "-p", str(port),
            "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=",
        ]  # fmt: skip
        with open_lock(self.home.postgres / "running.lock") as running, self._log.open("ab") as log:
            fcntl.flock(running, fcntl.LOCK_EX)
            # The shell leaves at once, so that the server belongs to init and never to its starter.
            run_as(
                place.uid, ["/bin/sh", "-c", '"$@" &', "sh", *command],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                pass_fds=(running.fileno(),),
            )  # fmt: skip
        # Closing is not unlocking: the server still holds the lock through its own copy.
        return self._attach(place.data) is not None

    def _refuse_foreign_server(self, data: Path) -> None:
        """Someone may have started a server on our data by hand, without our lock."""
        if processes := server_processes(data):
            raise PostgresError(
                f"{data} では別に起動したPostgreSQL(プロセス {processes[0]})が動いています。"
                "先に停止してください。",
                f"A PostgreSQL not started by us (process {processes[0]}) works on {data}. Stop it first.",
            )

    def _failed(self) -> PostgresError:
        tail = self._log_tail()
        return PostgresError(
            f"組み込みPostgreSQLが起動しません。ログ {self._log} の末尾:\n{tail}",
            f"The embedded PostgreSQL does not start. The end of its log {self._log}:\n{tail}",
        )

    def _log_tail(self) -> str:
        try:
            with self._log.open("rb") as log:
                log.seek(max(0, self._log.stat().st_size - 2000))
                return log.read().decode("utf-8", "replace")
        except FileNotFoundError:
            return ""

    # -------------------------------------------------------------- stopping

    def _end(self, data: Path, seconds: float) -> None:
        """Fast shutdown, then immediate, then kill; returns when the last process is gone."""
        for signum, patience in ((signal.SIGINT, seconds), (signal.SIGQUIT, 10.0), (signal.SIGKILL, 10.0)):
            head = postmaster(data)
            processes = server_processes(data)
            polite = head is not None and head.pid in processes and signum != signal.SIGKILL
            send_signal([head.pid] if head and polite else processes, signum)
            for _ in ticks(patience):
                if not self._alive():
                    return
        raise PostgresError(
            f"組み込みPostgreSQL({data})を停止できません。別のコンテナで動いていないか確認してください。",
            f"Cannot stop the embedded PostgreSQL of {data}. Does it run in another container?",
        )

    # -------------------------------------------------------------- databases

    def _create_database(self, admin_url: str, name: str) -> None:
        password = self.home.secret(f"postgres-{name}")
        with psycopg.connect(admin_url, autocommit=True) as connection:
            connection.execute("select pg_advisory_lock(hashtext('tsunagi create database'))")
            # hashed here, so that the password is in no log whatever happens
            verifier = connection.pgconn.encrypt_password(
                password.encode(), name.encode(), b"scram-sha-256"
            ).decode()
            known = connection.execute("select 1 from pg_roles where rolname = %s", [name]).fetchone()
            verb = sql.SQL("alter" if known else "create")
            connection.execute(
                sql.SQL("{} role {} login password {}").format(
                    verb, sql.Identifier(name), sql.Literal(verifier)
                )
            )
            if not connection.execute("select 1 from pg_database where datname = %s", [name]).fetchone():
                database = sql.Identifier(name)
                connection.execute(sql.SQL("create database {} owner {}").format(database, database))
            connection.execute(
                sql.SQL("revoke connect on database {} from public").format(sql.Identifier(name))
            )

    def _url(self, port: int, user: str, secret: str, database: str) -> str:
        return f"postgresql://{user}:{self.home.secret(secret)}@127.0.0.1:{port}/{database}"

    # -------------------------------------------------------------- server.json

    def _read_state(self) -> _State:
        try:
            found: dict[str, Any] = json.loads((self.home.postgres / "server.json").read_text("utf-8"))
        except FileNotFoundError:
            return _State()
        data = found.get("data")
        return _State(found.get("port"), self.home.postgres / data if data else None)

    def _write_state(self, state: _State) -> None:
        assert state.data is not None
        inside = state.data == self.home.postgres / "data"
        found = {
            "port": state.port,
            "data": "data" if inside else str(state.data),
        }  # a moved home stays whole
        write_private(self.home.postgres / "server.json", json.dumps(found) + "\n")

    def _data(self, state: _State) -> Path:
        return state.data or self.home.postgres / "data"
