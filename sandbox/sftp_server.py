"""A legacy side's SFTP server for tests and the demo, by asyncssh: one account, one folder, password or key.

    python -m sandbox.sftp_server --root DIR --port 0 --print-port

It behaves like OpenSSH where that matters: plain rename onto an existing file fails, posix-rename replaces it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import secrets
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncssh

__all__ = ["SftpServer", "host_key", "sftp_server"]


@dataclass(frozen=True, slots=True)
class SftpServer:
    """A running server. `host_key` is its public key as `ssh-ed25519 AAAA...`, to be pinned by clients."""

    host: str
    port: int
    user: str
    password: str
    host_key: str
    root: Path


def host_key(path: Path) -> Any:
    """The server's key from `path`; made there, readable by its owner only, when it is missing."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_bytes(asyncssh.generate_private_key("ssh-ed25519").export_private_key())
    return asyncssh.read_private_key(str(path))


class _Account(asyncssh.SSHServer):
    def __init__(self, user: str, password: str, client_key: str | None, open_connections: list[Any]) -> None:
        self._user = user
        self._password = password
        self._client_key = client_key
        self._open_connections = open_connections

    def connection_made(self, conn: Any) -> None:
        self._open_connections.append(conn)

    def begin_auth(self, username: str) -> bool:  # noqa: ARG002
        return True

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return username == self._user and secrets.compare_digest(password.encode(), self._password.encode())

    def public_key_auth_supported(self) -> bool:
        return self._client_key is not None

    def validate_public_key(self, username: str, key: Any) -> bool:
        shown = key.export_public_key().decode().split()[:2]
        return (
            self._client_key is not None and username == self._user and shown == self._client_key.split()[:2]
        )


async def _listen(
    root: Path, key: Any, account: Callable[[], _Account], port: int, options: Mapping[str, Any]
) -> Any:
    return await asyncssh.create_server(
        account,
        "127.0.0.1",
        port,
        server_host_keys=[key],
        sftp_factory=lambda channel: asyncssh.SFTPServer(channel, chroot=os.fsencode(root)),
        allow_scp=False,
        **options,
    )


@contextmanager
def sftp_server(
    root: Path,
    *,
    user: str = "core",
    password: str = "demo-password",  # noqa: S107  (a sandbox that listens on this machine only)
    port: int = 0,
    key: Any | None = None,
    client_key: str | None = None,
    **options: Any,
) -> Iterator[SftpServer]:
    """A server over `root` on a free port of this machine, in a thread, while the block runs.

    `key` is an asyncssh host key, a fresh one when left out; `client_key` the public key that may log in without a
    password; `options` go to asyncssh (algorithms, say).
    """
    key = key or asyncssh.generate_private_key("ssh-ed25519")
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="sandbox-sftp", daemon=True)
    thread.start()
    try:
        clients: list[Any] = []
        listening = _listen(root, key, lambda: _Account(user, password, client_key, clients), port, options)
        server = asyncio.run_coroutine_threadsafe(listening, loop).result(30)
        try:
            public = " ".join(key.export_public_key().decode().split()[:2])
            yield SftpServer("127.0.0.1", server.get_port(), user, password, public, root)
        finally:
            asyncio.run_coroutine_threadsafe(_stop(server, clients), loop).result(30)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(30)
        loop.close()


async def _stop(server: Any, clients: list[Any]) -> None:
    server.close()
    for client in clients:
        client.close()
        await client.wait_closed()
    await server.wait_closed()


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.sftp_server", description=__doc__)
    parser.add_argument("--root", type=Path, required=True, help="folder the account sees as /")
    parser.add_argument("--port", type=int, default=0, help="0 picks a free one")
    parser.add_argument("--user", default="core")
    parser.add_argument(
        "--password-env", default="TSUNAGI_SANDBOX_SFTP_PASSWORD", help="variable that holds it"
    )
    parser.add_argument(
        "--host-key", type=Path, help="key file, made when missing; a fresh key when left out"
    )
    parser.add_argument("--client-key", type=Path, help="public key that may log in without a password")
    parser.add_argument("--print-port", action="store_true", help="print port and host key as one JSON line")
    options = parser.parse_args(arguments)
    options.root.mkdir(parents=True, exist_ok=True)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with sftp_server(
        options.root,
        user=options.user,
        password=os.environ.get(options.password_env, "demo-password"),
        port=options.port,
        key=host_key(options.host_key) if options.host_key else None,
        client_key=options.client_key.read_text() if options.client_key else None,
    ) as server:
        if options.print_port:
            sys.stdout.write(json.dumps({"port": server.port, "host_key": server.host_key}) + "\n")
            sys.stdout.flush()
        stop.wait()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
