"""Addresses that somebody else chose: which are called, and which never are."""

from __future__ import annotations

import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from connectors.contract import Misconfigured
from connectors.transport import guarded
from connectors.transport.guarded import Forbidden, Guard, GuardedTransport, rule_against

HERE = ipaddress.ip_network("127.0.0.0/8")
ANSWER = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok"


@pytest.mark.parametrize(
    ("address", "rule"),
    [
        ("127.0.0.1", "loopback"), ("127.9.9.9", "loopback"), ("::1", "loopback"), ("::ffff:127.0.0.1", "loopback"),
        ("10.0.0.1", "private"), ("172.16.5.4", "private"), ("192.168.1.1", "private"), ("100.64.0.1", "reserved"),
        ("::ffff:10.0.0.1", "private"), ("fd00::1", "private"), ("fec0::1", "private"),
        ("64:ff9b::10.0.0.1", "private"), ("64:ff9b::a9fe:a9fe", "link_local"), ("::10.0.0.1", "private"),
        ("169.254.169.254", "link_local"), ("fe80::1", "link_local"), ("fd00:ec2::254", "private"),
        ("224.0.0.1", "multicast"), ("ff02::1", "multicast"), ("0.0.0.0", "unspecified"), ("::", "unspecified"),
        ("255.255.255.255", "reserved"), ("240.0.0.1", "reserved"), ("192.0.2.1", "private"),
        ("2002:7f00:1::", "tunnel"), ("2001:0:1::1", "tunnel"),
        ("8.8.8.8", None), ("2606:4700::1111", None), ("64:ff9b::8.8.8.8", None), ("::ffff:8.8.8.8", None),
    ],
)  # fmt: skip
def test_the_rules(address: str, rule: str | None) -> None:
    assert rule_against(ipaddress.ip_address(address)) == rule


def guard(*addresses: str, networks: Sequence[str] = ()) -> Guard:
    """A guard over a resolver that always gives these addresses."""
    return Guard(tuple(map(ipaddress.ip_network, networks)), resolve=lambda host, port: list(addresses))


def test_public_addresses_may_be_called_by_tls_only() -> None:
    assert guard("8.8.8.8").addresses("hooks.example", 443, plain=False) == ["8.8.8.8"]
    with pytest.raises(Forbidden, match="plain_http"):
        guard("8.8.8.8").addresses("hooks.example", 80, plain=True)
    # a public network that is allowed by mistake does not open the plain way
    with pytest.raises(Forbidden, match="plain_http"):
        guard("8.8.8.8", networks=["8.0.0.0/8"]).addresses("hooks.example", 80, plain=True)


def test_one_forbidden_address_among_good_ones_forbids_the_name() -> None:
    with pytest.raises(Forbidden, match=r"hooks.example \(10.0.0.5\).*private") as raised:
        guard("8.8.8.8", "10.0.0.5").addresses("hooks.example", 443, plain=False)
    assert raised.value.rule == "private"
    assert isinstance(raised.value, Misconfigured)


def test_only_networks_that_are_named_are_open() -> None:
    allowed = guard("10.20.1.1", networks=["10.20.0.0/16"])
    assert allowed.addresses("erp.internal", 443, plain=False) == ["10.20.1.1"]
    assert allowed.addresses("erp.internal", 80, plain=True) == ["10.20.1.1"]
    mapped = guard("::ffff:10.20.1.1", networks=["10.20.0.0/16"])
    assert mapped.addresses("erp.internal", 443, plain=False) == ["::ffff:10.20.1.1"]
    with pytest.raises(Forbidden, match="private"):
        guard("10.21.1.1", networks=["10.20.0.0/16"]).addresses("erp.internal", 443, plain=False)
    # 0.0.0.0/0 names no IPv6 address
    with pytest.raises(Forbidden, match="loopback"):
        guard("::1", networks=["0.0.0.0/0"]).addresses("erp.internal", 443, plain=False)


# ---------------------------------------------------------------- over real sockets


@contextmanager
def serving(
    answer: bytes = ANSWER, *, pause: float = 0.0, tls: ssl.SSLContext | None = None
) -> Iterator[tuple[int, list[bytes]]]:
    """A server on 127.0.0.1 that answers each connection once; gives its port and what it was sent."""
    came: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))
    ended = threading.Event()

    def one(plain: socket.socket) -> None:
        with suppress(OSError), plain:
            connection = tls.wrap_socket(plain, server_side=True) if tls else plain
            with connection:
                came.append(connection.recv(65536))
                for letter in answer if pause else ():
                    connection.sendall(bytes([letter]))
                    if ended.wait(pause):
                        return
                if not pause:
                    connection.sendall(answer)

    def serve() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=one, args=(connection,), daemon=True).start()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield int(listener.getsockname()[1]), came
    finally:
        ended.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


def client(allowed: Guard, total: float = 5.0) -> httpx.Client:
    return httpx.Client(transport=GuardedTransport(allowed, total=total), trust_env=False, timeout=2.0)


def test_a_name_is_resolved_once_and_the_connection_goes_where_was_looked() -> None:
    """DNS rebinding: a public address for the look, a private one for the connection."""
    asked: list[str] = []

    def resolve(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"]

    with serving() as (port, came), client(Guard((HERE,), resolve)) as calls:
        assert calls.post(f"http://rebinding.example:{port}/x", content=b"hello").text == "ok"
    assert asked == ["rebinding.example"]
    assert f"host: rebinding.example:{port}".encode() in came[0].lower()


def test_what_turns_out_to_be_private_is_not_even_connected_to() -> None:
    answers = iter([["127.0.0.1"], ["10.255.255.1"]])
    with serving() as (port, came), client(Guard((HERE,), lambda host, _: next(answers))) as calls:
        assert calls.get(f"http://hooks.example:{port}/").status_code == 200
        with pytest.raises(Forbidden, match="private"):
            calls.get(f"http://hooks.example:{port}/")
    assert len(came) == 1


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "[::1]", "[::ffff:127.0.0.1]"]
)
def test_every_spelling_of_this_machine_is_refused(host: str) -> None:
    with serving() as (port, came), client(Guard()) as calls, pytest.raises(Forbidden):
        calls.get(f"https://{host}:{port}/")
    assert came == []


def test_redirects_lead_nowhere() -> None:
    moved = b"HTTP/1.1 307 Temporary Redirect\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n"
    with serving(moved) as (port, came), client(guard("127.0.0.1", networks=["127.0.0.0/8"])) as calls:
        assert calls.post(f"http://hooks.example:{port}/").status_code == 307
    assert len(came) == 1


def test_a_name_without_an_address_and_a_place_without_a_listener() -> None:
    def unknown(host: str, port: int) -> list[str]:
        raise socket.gaierror(-2, "Name or service not known")

    with client(Guard(resolve=unknown)) as calls, pytest.raises(httpx.ConnectError, match="no address"):
        calls.get("https://nowhere.example/")
    with client(guard("127.0.0.1", networks=["127.0.0.0/8"])) as calls, pytest.raises(httpx.ConnectError):
        calls.get("http://hooks.example:1/")


def test_the_next_address_is_tried_when_the_first_does_not_answer() -> None:
    with serving() as (port, _), client(guard("127.0.0.9", "127.0.0.1", networks=["127.0.0.0/8"])) as calls:
        assert calls.get(f"http://hooks.example:{port}/").text == "ok"


@pytest.mark.parametrize(
    "answer",
    [b"HTTP/1.1 200 OK\r\nx: " + b"a" * 500, b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n" + b"a" * 500],
    ids=["head", "body"],
)
def test_a_server_that_drips_is_left_when_the_time_is_over(answer: bytes) -> None:
    started = time.monotonic()
    with (
        serving(answer, pause=0.05) as (port, _),
        client(guard("127.0.0.1", networks=["127.0.0.0/8"]), 0.6) as calls,
    ):
        with pytest.raises(httpx.ReadTimeout):
            calls.get(f"http://hooks.example:{port}/")
        assert time.monotonic() - started < 3


def certificate(folder: Path, name: str) -> tuple[ssl.SSLContext, Path]:
    """A server's TLS for `name`, and the file of the authority that vouches for it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    file, secret = folder / "server.pem", folder / "server.key"
    file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file, secret)
    return context, file


def test_tls_is_checked_against_the_name_though_the_address_is_dialled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, authority = certificate(tmp_path, "hooks.example")
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    guarded._trusted.cache_clear()
    try:
        with serving(tls=server) as (port, _), client(guard("127.0.0.1", networks=["127.0.0.0/8"])) as calls:
            assert calls.get(f"https://hooks.example:{port}/").text == "ok"
            with pytest.raises(httpx.ConnectError, match="certificate verify failed"):
                calls.get(f"https://other.example:{port}/")
    finally:
        guarded._trusted.cache_clear()
