"""Who is let in, who is not, and what an operator reads then."""

from __future__ import annotations

import dataclasses
import getpass
import logging
import socket
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from pydantic import SecretStr

from connectors.contract import Misconfigured, Retry
from connectors.transport.sftp import Sftp, SftpSettings
from sandbox import sftp_server as sandbox_server
from sandbox.sftp_server import SftpServer, host_key, sftp_server
from tests.connectors.sftp.conftest import openssh, settings_for


@pytest.fixture
def server(tmp_path: Path) -> Iterator[SftpServer]:
    (tmp_path / "root").mkdir()
    with sftp_server(tmp_path / "root") as running:
        yield running


#: cryptography's word on the key exchange of old servers, which asyncssh does with it
old_exchange = pytest.mark.filterwarnings("ignore:Diffie-Hellman over finite fields")


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

    def count(self: Any, username: str, password: str) -> bool:
        asked.append(username)
        return False

    monkeypatch.setattr(sandbox_server._Account, "validate_password", count)
    caplog.set_level(logging.DEBUG)
    with pytest.raises(Misconfigured, match="login refused") as caught:
        Sftp(settings_for(server.port, server.host_key, password="hunter2-secret")).list("")
    assert asked == ["core"]
    assert "hunter2-secret" not in str(caught.value) + caplog.text + repr(
        settings_for(1, password="hunter2-secret")
    )


def test_a_server_that_hangs_up_at_a_wrong_password_is_not_asked_again(
    server: SftpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def hang_up(self: Any, username: str, password: str) -> bool:
        asked.append(username)
        raise asyncssh.DisconnectError(14, "Too many authentication failures")

    monkeypatch.setattr(sandbox_server._Account, "validate_password", hang_up)
    with pytest.raises(Misconfigured, match=r"login refused \(Too many authentication failures\)"):
        Sftp(settings_for(server.port, server.host_key)).list("")
    assert asked == ["core"]


def test_a_server_that_asks_for_the_password_in_a_dialogue(
    server: SftpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers: list[str] = []

    def answered(self: Any, username: str, responses: list[str]) -> Any:
        answers.extend(responses)
        # it greets first, then asks, then says goodbye
        return [("", "", "", [("暗証番号:", False)]), responses == ["demo-password"]][len(answers)]

    account = sandbox_server._Account
    monkeypatch.setattr(account, "password_auth_supported", lambda self: False)
    monkeypatch.setattr(account, "kbdint_auth_supported", lambda self: True, raising=False)
    monkeypatch.setattr(
        account, "get_kbdint_challenge", lambda *_: ("", "いらっしゃいませ", "", []), raising=False
    )
    monkeypatch.setattr(account, "validate_kbdint_response", answered, raising=False)
    with Sftp(settings_for(server.port, server.host_key)) as store:
        assert store.list("") == []
    answers.clear()
    with pytest.raises(Misconfigured, match="login refused"):
        Sftp(settings_for(server.port, server.host_key, password="another")).list("")
    assert answers == ["another"]


def test_nothing_of_the_user_of_this_machine_is_used(
    server: SftpServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the configuration, nor the keys, nor the known hosts, nor the agent."""
    ssh = tmp_path / "home" / ".ssh"
    ssh.mkdir(parents=True)
    own = asyncssh.generate_private_key("ssh-ed25519")
    own.write_private_key(str(ssh / "id_ed25519"))
    (ssh / "config").write_text("Host *\n  ProxyCommand /bin/false\n  User somebody\n  IdentitiesOnly no\n")
    (ssh / "known_hosts").write_text(f"[127.0.0.1]:{server.port} {server.host_key}\n")
    monkeypatch.setenv("HOME", str(ssh.parent))
    with socket.socket(socket.AF_UNIX) as agent:
        agent.bind(str(tmp_path / "agent"))
        agent.listen()
        agent.setblocking(False)
        monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "agent"))
        with Sftp(settings_for(server.port, server.host_key)) as store:
            assert store.list("") == []
        with pytest.raises(Misconfigured, match="the server shows host key"):
            Sftp(settings_for(server.port, _other_key())).list("")
        with pytest.raises(BlockingIOError):
            agent.accept()
    with sftp_server(tmp_path, client_key=own.export_public_key().decode()) as knows_the_key:
        settings = settings_for(knows_the_key.port, knows_the_key.host_key, password="wrong")
        with pytest.raises(Misconfigured, match="login refused"):
            Sftp(settings).list("")


@pytest.mark.parametrize("kind", ["ssh-rsa", "ecdsa-sha2-nistp256", "ssh-ed25519"])
def test_a_wrong_key_is_shown_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    shown: list[str] = []

    def refuse(self: Any, username: str, key: Any) -> bool:
        shown.append(key.get_algorithm())
        return False

    monkeypatch.setattr(sandbox_server._Account, "validate_public_key", refuse)
    key = asyncssh.generate_private_key(kind)
    with sftp_server(tmp_path, client_key=key.export_public_key().decode()) as server:
        settings = settings_for(server.port, server.host_key)
        private = SecretStr(key.export_private_key().decode())
        with pytest.raises(Misconfigured, match="login refused"):
            Sftp(dataclasses.replace(settings, password=None, private_key=private)).list("")
        assert shown == [kind]
        with Sftp(dataclasses.replace(settings, private_key=private)) as store:
            assert store.list("") == []  # by the password, where both are set


@old_exchange
def test_a_server_that_knows_nothing_newer_than_sha1(tmp_path: Path) -> None:
    """OpenSSH, told to be of the year 2005: key exchange, host key, cipher and MAC."""
    root, home = tmp_path / "root", tmp_path / "sshd"
    root.mkdir()
    home.mkdir()
    old = (
        "KexAlgorithms diffie-hellman-group14-sha1\nHostKeyAlgorithms ssh-rsa\nCiphers aes128-cbc\n"
        "MACs hmac-sha1\n"
    )
    with openssh(root, home, kind="ssh-rsa", more=old) as real:
        settings = SftpSettings(
            host="127.0.0.1", port=real.port, user=getpass.getuser(), host_keys=(real.host_key,),
            private_key=SecretStr(real.private_key), root=str(root), attempts=1,
        )  # fmt: skip
        with Sftp(settings) as store:
            store.write("A.csv", b"a" * 100_000)
            with store.open_read("A.csv") as stream:
                assert stream.read() == b"a" * 100_000


@pytest.mark.parametrize("says", [True, False])
def test_an_rsa_key_where_the_server_does_not_say_which_signatures_it_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: bool
) -> None:
    """Signed with SHA-2 first: there are servers that do not say, and take nothing else any more."""
    algorithms: list[bytes] = []
    original = asyncssh.auth._ClientPublicKeyAuth._start

    async def start(self: Any) -> None:
        await original(self)
        if self._keypair is not None:
            algorithms.append(self._keypair.algorithm)

    monkeypatch.setattr(asyncssh.auth._ClientPublicKeyAuth, "_start", start)
    if not says:
        monkeypatch.setattr(asyncssh.SSHServerConnection, "_send_ext_info", lambda self: None)
    key = asyncssh.generate_private_key("ssh-rsa")
    with sftp_server(tmp_path, client_key=_other_key()) as server:
        settings = dataclasses.replace(
            settings_for(server.port, server.host_key),
            password=None,
            private_key=SecretStr(key.export_private_key().decode()),
        )
        with pytest.raises(Misconfigured, match="login refused"):
            Sftp(settings).list("")
    assert algorithms == ([b"rsa-sha2-256"] if says else [b"rsa-sha2-512", b"ssh-rsa"])


@old_exchange
@pytest.mark.parametrize(
    "options",
    [
        {"encryption_algs": ["3des-cbc"], "mac_algs": ["hmac-md5-96"]},
        {"encryption_algs": ["aes256-cbc"], "mac_algs": ["hmac-sha1-96"]},
        {"encryption_algs": ["aes192-ctr"], "kex_algs": ["diffie-hellman-group-exchange-sha256"]},
    ],
)
def test_old_ciphers_are_the_last_resort(tmp_path: Path, options: dict[str, list[str]]) -> None:
    with (
        sftp_server(tmp_path, **options) as server,
        Sftp(settings_for(server.port, server.host_key)) as store,
    ):
        store.write("A.csv", b"a")
        assert store.exists("A.csv")


def test_a_server_too_old_to_be_safe_is_named(tmp_path: Path) -> None:
    with (
        sftp_server(tmp_path, kex_algs=["diffie-hellman-group1-sha1"]) as server,
        pytest.raises(Misconfigured, match=r"no common algorithm .*group1-sha1.*ask for an upgrade"),
    ):
        Sftp(settings_for(server.port, server.host_key)).list("")


def test_only_a_kind_of_host_key_is_pinned_that_is_not_safe(server: SftpServer) -> None:
    with pytest.raises(Misconfigured, match="no pinned host key is of a kind that is safe: ssh-ed25519, "):
        Sftp(settings_for(server.port, "ssh-dss AAAAB3NzaC1kc3M=")).list("")


def test_a_server_that_says_nothing_is_left_for_later() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        settings = dataclasses.replace(
            settings_for(silent.getsockname()[1], _other_key()),
            connect_timeout=timedelta(seconds=0.3),
            attempts=1,
        )
        with pytest.raises(Retry, match=r"cannot connect: no answer within 0\.3 s"):
            Sftp(settings).list("")


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
