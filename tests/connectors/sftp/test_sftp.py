"""Who is let in, who is not, and what an operator reads then."""

from __future__ import annotations

import dataclasses
import logging
import socket
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from connectors.contract import Misconfigured, Retry
from connectors.transport.sftp import Sftp
from sandbox.sftp_server import SftpServer, host_key, sftp_server
from tests.connectors.sftp.conftest import settings_for

asyncssh = pytest.importorskip("asyncssh")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[SftpServer]:
    (tmp_path / "root").mkdir()
    with sftp_server(tmp_path / "root") as running:
        yield running


def _other_key() -> str:
    return " ".join(asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode().split()[:2])


def test_a_host_key_that_is_not_pinned_is_refused_without_a_second_try(server: SftpServer) -> None:
    with pytest.raises(Misconfigured) as caught:
        Sftp(settings_for(server.port, _other_key())).list("")
    message = str(caught.value)
    assert "the server shows host key ssh-ed25519 SHA256:" in message
    assert f"add `{server.host_key}` to host_keys" in message
    assert "Ask the partner by telephone" in message


def test_no_pinned_key_means_no_connection(server: SftpServer) -> None:
    with pytest.raises(Misconfigured, match="no host key is pinned"):
        Sftp(settings_for(server.port)).list("")


def test_during_a_change_of_the_key_either_of_two_is_taken(server: SftpServer) -> None:
    with Sftp(settings_for(server.port, _other_key(), server.host_key)) as store:
        assert store.list("") == []
    with Sftp(settings_for(server.port, f"[127.0.0.1]:{server.port} {server.host_key} comment")) as store:
        assert store.list("") == []


def test_only_a_key_of_another_type_is_pinned(server: SftpServer) -> None:
    rsa = " ".join(asyncssh.generate_private_key("ssh-rsa").export_public_key().decode().split()[:2])
    with pytest.raises(Misconfigured, match="the server shows host key ssh-ed25519"):
        Sftp(settings_for(server.port, rsa)).list("")


def test_a_host_key_that_is_none_is_named(server: SftpServer) -> None:
    with pytest.raises(Misconfigured, match=r"not a host key: 'SHA256:abc'; write it as `ssh-ed25519 AAAA"):
        Sftp(settings_for(server.port, "SHA256:abc")).list("")


def test_a_wrong_password_is_tried_once_so_that_the_account_is_not_locked(
    server: SftpServer, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    original = asyncssh.SSHServer.validate_password
    from sandbox import sftp_server as module

    def count(self: Any, username: str, password: str) -> bool:
        asked.append(username)
        return False

    monkeypatch.setattr(module._Account, "validate_password", count)
    assert original is not count
    caplog.set_level(logging.DEBUG)
    with pytest.raises(Misconfigured, match="login refused") as caught:
        Sftp(settings_for(server.port, server.host_key, password="hunter2-secret")).list("")
    assert asked == ["core"]
    assert "hunter2-secret" not in str(caught.value) + caplog.text + repr(
        settings_for(1, password="hunter2-secret")
    )


@pytest.mark.parametrize("form", ["openssh", "pkcs1-pem", "pkcs8-pem"])
def test_a_private_key_is_read_in_every_usual_form(tmp_path: Path, form: str) -> None:
    key = asyncssh.generate_private_key("ssh-rsa")
    with sftp_server(tmp_path, client_key=key.export_public_key().decode()) as server:
        settings = dataclasses.replace(
            settings_for(server.port, server.host_key),
            password=None,
            private_key=SecretStr(key.export_private_key(form).decode()),
        )
        with Sftp(settings) as store:
            assert store.list("") == []


def test_a_private_key_with_a_passphrase(tmp_path: Path) -> None:
    key = asyncssh.generate_private_key("ssh-ed25519")
    text = key.export_private_key("openssh", passphrase="open").decode()
    with sftp_server(tmp_path, client_key=key.export_public_key().decode()) as server:
        settings = dataclasses.replace(
            settings_for(server.port, server.host_key), password=None, private_key=SecretStr(text)
        )
        with Sftp(dataclasses.replace(settings, passphrase=SecretStr("open"))) as store:
            assert store.list("") == []
        with pytest.raises(Misconfigured, match=r"wrong passphrase.*ssh-keygen -p -m PEM") as caught:
            Sftp(dataclasses.replace(settings, passphrase=SecretStr("shut"))).list("")
    assert "BEGIN" not in str(caught.value)


def test_a_putty_key_says_how_to_convert_it(server: SftpServer) -> None:
    settings = dataclasses.replace(
        settings_for(server.port, server.host_key), private_key=SecretStr("PuTTY-User-Key-File-3: ssh-rsa\n")
    )
    with pytest.raises(Misconfigured, match="PuTTYgen"):
        Sftp(settings).list("")


def test_neither_password_nor_key(server: SftpServer) -> None:
    settings = dataclasses.replace(settings_for(server.port, server.host_key), password=None)
    with pytest.raises(Misconfigured, match="neither a password nor a private key"):
        Sftp(settings).list("")


def test_nobody_listening_is_tried_again_and_then_left_for_later() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    with pytest.raises(Retry, match="cannot connect"):
        Sftp(settings_for(port, _other_key())).list("")


def test_a_server_that_comes_back_is_reached_by_the_second_try(tmp_path: Path) -> None:
    """The first connection is dropped before the banner, the second one reaches the server."""
    with sftp_server(tmp_path) as server, socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        door.listen()

        def serve() -> None:
            door.accept()[0].close()
            client, _ = door.accept()
            upstream = socket.create_connection(("127.0.0.1", server.port))
            pumps = [
                threading.Thread(target=_pump, args=pair) for pair in ((client, upstream), (upstream, client))
            ]
            for pump in pumps:
                pump.start()
            for pump in pumps:
                pump.join(20)
            client.close()
            upstream.close()

        thread = threading.Thread(target=serve)
        thread.start()
        with Sftp(settings_for(door.getsockname()[1], server.host_key)) as store:
            assert store.list("") == []
        thread.join(20)


def _pump(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        return


def test_a_lost_connection_is_a_retry_and_the_next_use_connects_anew(tmp_path: Path) -> None:
    key = asyncssh.generate_private_key("ssh-ed25519")
    with sftp_server(tmp_path, key=key) as server:
        store = Sftp(settings_for(server.port, server.host_key))
        store.write("A.csv", b"a")
    with sftp_server(tmp_path, key=key, port=server.port):
        with pytest.raises(Retry, match=r"connection lost while trying to stat A.csv.*set prefetch: 0"):
            store.exists("A.csv")
        assert store.exists("A.csv")
        store.close()


def test_a_server_without_posix_rename_is_replaced_by_policy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unsupported(self: Any, oldpath: bytes, newpath: bytes) -> None:
        raise asyncssh.SFTPOpUnsupported("Operation unsupported")

    monkeypatch.setattr(asyncssh.SFTPServer, "posix_rename", unsupported)
    with sftp_server(tmp_path) as server:
        settings = settings_for(server.port, server.host_key)
        (tmp_path / "A.csv").write_bytes(b"old")
        with Sftp(settings) as store, pytest.raises(Misconfigured, match="set replace: delete_first"):
            store.write("A.csv", b"new", overwrite=True)
        assert (tmp_path / "A.csv").read_bytes() == b"old"
        with Sftp(dataclasses.replace(settings, replace="delete_first")) as store:
            store.write("A.csv", b"new", overwrite=True)
        assert (tmp_path / "A.csv").read_bytes() == b"new"


def test_a_full_disk_is_found_by_the_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = asyncssh.SFTPServer.write

    def lose(self: Any, file_obj: object, offset: int, data: bytes) -> int:
        original(self, file_obj, offset, data[:3])
        return len(data)

    monkeypatch.setattr(asyncssh.SFTPServer, "write", lose)
    with sftp_server(tmp_path) as server, Sftp(settings_for(server.port, server.host_key)) as store:
        with pytest.raises(Retry, match=r"sent 10 bytes, the server has 3 \(disk full or quota\?\)"):
            store.write("A.csv", b"0123456789")
        assert not (tmp_path / "A.csv").exists()


def test_no_rights_are_the_operators_business(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(self: Any, path: bytes, attrs: object) -> None:
        raise asyncssh.SFTPPermissionDenied("Permission denied")

    monkeypatch.setattr(asyncssh.SFTPServer, "mkdir", denied)
    with (
        sftp_server(tmp_path) as server,
        Sftp(settings_for(server.port, server.host_key)) as store,
        pytest.raises(Misconfigured, match="no permission to make folder in/done"),
    ):
        store.make_folder("in/done")


def test_the_sandbox_server_keeps_its_key_over_restarts(tmp_path: Path) -> None:
    first, second = (host_key(tmp_path / "keys" / "host").export_public_key() for _ in range(2))
    assert first == second
    assert (tmp_path / "keys" / "host").stat().st_mode & 0o077 == 0


def test_settings_do_not_print_secrets() -> None:
    shown = repr(settings_for(22, "ssh-ed25519 AAAA", password="hunter2"))
    assert "hunter2" not in shown
    assert settings_for(22).timeout == timedelta(seconds=60)
