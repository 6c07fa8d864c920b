"""Three places to try the file transport on: a folder, asyncssh's server, and OpenSSH's where it is installed."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import asyncssh
import pytest
from pydantic import SecretStr

from connectors.transport.files import FileStore
from connectors.transport.local import LocalFolder
from connectors.transport.sftp import Sftp, SftpSettings
from sandbox.sftp_server import sftp_server


@dataclass(frozen=True)
class OpenSsh:
    port: int
    host_key: str
    private_key: str


def _sshd() -> str:
    found = (
        os.environ.get("TSUNAGI_TEST_SSHD") or shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin")
    )
    if found is None:
        pytest.skip(
            "no OpenSSH server on this machine (apt-get install openssh-server, or TSUNAGI_TEST_SSHD=path)"
        )
    return found


@contextmanager
def openssh(folder: Path, home: Path, *, kind: str = "ssh-ed25519", more: str = "") -> Iterator[OpenSsh]:
    """A real sshd for the current user over `folder`, with a key of its own and one client key, both of `kind`.

    `more` are lines for its configuration.
    """
    program = _sshd()
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    server_key = asyncssh.generate_private_key(kind)
    client_key = asyncssh.generate_private_key(kind)
    (home / "host_key").touch(0o600)
    (home / "host_key").write_bytes(server_key.export_private_key())
    (home / "authorized_keys").write_bytes(client_key.export_public_key())
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (home / "sshd_config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {home}/host_key\nPidFile none\nUsePAM no\n"
        f"AuthorizedKeysFile {home}/authorized_keys\nStrictModes no\nPermitRootLogin yes\n"
        f"PasswordAuthentication no\nSubsystem sftp internal-sftp\nForceCommand internal-sftp -d {folder}\n{more}"
    )
    log = (home / "sshd.log").open("wb")
    server = subprocess.Popen([program, "-D", "-e", "-f", str(home / "sshd_config")], stderr=log)
    try:
        deadline = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                if server.poll() is not None or time.monotonic() > deadline:
                    pytest.skip(f"sshd does not start here: {(home / 'sshd.log').read_text()[-300:]}")
                time.sleep(0.05)
        public = " ".join(server_key.export_public_key().decode().split()[:2])
        yield OpenSsh(port, public, client_key.export_private_key("pkcs8-pem").decode())
    finally:
        server.terminate()
        server.wait(10)
        log.close()


@pytest.fixture(params=["local", "asyncssh", "openssh"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[FileStore, Path]]:
    """A store and the folder behind it."""
    root = tmp_path / "root"
    root.mkdir()
    if request.param == "local":
        with LocalFolder(root) as store:
            yield store, root
    elif request.param == "asyncssh":
        with sftp_server(root) as server, Sftp(settings_for(server.port, server.host_key)) as store:
            yield store, root
    else:
        home = tmp_path / "sshd"
        home.mkdir()
        with openssh(root, home) as real:
            settings = SftpSettings(
                host="127.0.0.1", port=real.port, user=getpass.getuser(), host_keys=(real.host_key,),
                private_key=SecretStr(real.private_key), root=str(root),
            )  # fmt: skip
            with Sftp(settings) as store:
                yield store, root


def settings_for(port: int, *host_keys: str, password: str = "demo-password") -> SftpSettings:
    return SftpSettings(
        host="127.0.0.1", port=port, user="core", host_keys=host_keys, password=SecretStr(password), attempts=2,
        connect_timeout=timedelta(seconds=10),
    )  # fmt: skip
