"""The HTTP door against a real socket: timeouts, cut bodies, slow reads, keys that cannot be sent."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from pydantic import SecretStr

from connectors.contract import Misconfigured, Refused, Retry
from connectors.transport.auth import HeaderKey
from connectors.transport.http import Http, HttpSettings, Intent, Patience

Respond = Callable[[BaseHTTPRequestHandler], None]


class Server:
    """Answers every request by `respond`; counts them."""

    def __init__(self) -> None:
        self.respond: Respond = lambda handler: None
        self.count = 0
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                server.count += 1
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                server.respond(self)

            do_POST = do_GET  # noqa: N815

            def log_message(self, *args: Any) -> None:
                """Quiet."""

        self.httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.httpd.daemon_threads = True
        self.thread = threading.Thread(target=lambda: self.httpd.serve_forever(poll_interval=0.01))
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.httpd.server_address[1]}"

    def close(self) -> None:
        self.httpd.shutdown()
        self.httpd.server_close()
        self.thread.join()


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@pytest.fixture
def http(server: Server) -> Iterator[Http]:
    settings = HttpSettings(
        server.url, read_timeout=0.3, connect_timeout=1, total_timeout=0.6, patience=Patience(attempts=2)
    )
    with Http(settings, system="shop-1", sleep=lambda seconds: None) as http:
        yield http


def whole(handler: BaseHTTPRequestHandler, body: bytes = b'{"ok": true}') -> None:
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def cut(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "100")
    handler.end_headers()
    handler.wfile.write(b'{"orders": [')
    handler.wfile.flush()
    handler.connection.shutdown(socket.SHUT_RDWR)


def drip(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    try:
        for _ in range(30):
            handler.wfile.write(b"x")
            handler.wfile.flush()
            time.sleep(0.05)
    except OSError:
        return  # the client has gone, which is what the test wants


def test_connections_are_used_again(server: Server, http: Http) -> None:
    server.respond = whole
    assert [http.get("/orders").json() for _ in range(3)] == [{"ok": True}] * 3


def test_a_server_that_never_answers_a_write_is_not_asked_twice(server: Server, http: Http) -> None:
    release = threading.Event()
    server.respond = lambda handler: (release.wait(5) and None) or None
    with pytest.raises(Retry, match="whether it had an effect is not known"):
        http.post("/orders", json={"sku": "A"})
    release.set()
    assert server.count == 1


def test_a_server_that_never_answers_a_read_is_asked_again(server: Server, http: Http) -> None:
    release = threading.Event()

    def answer_the_second(handler: BaseHTTPRequestHandler) -> None:
        if server.count == 2:
            whole(handler)
        else:
            release.wait(5)

    server.respond = answer_the_second
    assert http.get("/orders").json() == {"ok": True}
    release.set()
    assert server.count == 2


def test_a_body_cut_in_the_middle_is_no_answer(server: Server, http: Http) -> None:
    server.respond = lambda handler: whole(handler) if server.count == 2 else cut(handler)
    assert http.get("/orders").json() == {"ok": True}
    server.respond = cut
    with pytest.raises(Retry, match="no whole answer"):
        http.post("/orders", json={})


def test_a_server_that_drips_is_given_up(server: Server, http: Http) -> None:
    server.respond = drip
    started = time.monotonic()
    with pytest.raises(Retry, match=r"not complete after 0\.6 s"):
        http.post("/orders", json={})
    assert time.monotonic() - started < 1.3


def test_a_port_nobody_listens_on_is_retried_even_for_writes() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    waits: list[float] = []
    with (
        Http(HttpSettings(url, patience=Patience(attempts=3)), system="shop-1", sleep=waits.append) as http,
        pytest.raises(Retry, match="no connection"),
    ):
        http.post("/orders", json={}, intent=Intent.ONCE)
    assert len(waits) == 2


def test_a_key_with_a_line_break_is_a_misconfiguration_that_does_not_show_it(server: Server) -> None:
    server.respond = whole
    settings = HttpSettings(server.url, auth=HeaderKey("X-Api-Key", SecretStr("abc-secret\r\nX-Evil: 1")))
    with Http(settings, system="shop-1") as http, pytest.raises(Misconfigured, match="line break") as error:
        http.get("/orders")
    assert "abc-secret" not in str(error.value)
    assert server.count == 0


def test_an_untrusted_certificate_needs_a_person(server: Server) -> None:
    """A TLS server with a certificate nobody signed."""
    import ssl
    from pathlib import Path
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder:
        certificate = Path(folder) / "self-signed.pem"
        certificate.write_bytes(self_signed("127.0.0.1"))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.httpd.socket = context.wrap_socket(server.httpd.socket, server_side=True)
        server.respond = whole
        url = server.url.replace("http://", "https://")
        with (
            Http(HttpSettings(url), system="shop-1") as http,
            pytest.raises(Misconfigured, match="certificate"),
        ):
            http.get("/orders")
        with Http(HttpSettings(url, verify=certificate), system="shop-1") as trusting:
            assert trusting.get("/orders").json() == {"ok": True}


def self_signed(host: str) -> bytes:
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(host))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private + certificate.public_bytes(serialization.Encoding.PEM)


def test_a_proxy_of_the_environment_is_used_unless_the_host_is_excepted(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths: list[str] = []

    def note(handler: BaseHTTPRequestHandler) -> None:
        paths.append(handler.path)
        whole(handler)

    server.respond = note
    for name in (
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "NO_PROXY",
        "http_proxy",
        "https_proxy",
        "no_proxy",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", server.url)
    with Http(HttpSettings("http://shop.example", plain_http=True)) as http:
        http.get("/through-the-proxy")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Http(HttpSettings(server.url)) as http:
        http.get("/straight")
    assert paths == ["http://shop.example/through-the-proxy", "/straight"]


def test_an_answer_is_not_read_past_the_limit(server: Server) -> None:
    sent = 0

    def endless(handler: BaseHTTPRequestHandler) -> None:
        nonlocal sent
        handler.send_response(200)
        handler.send_header("Content-Length", str(10**9))
        handler.end_headers()
        try:
            while sent < 10**9:
                sent += handler.wfile.write(b"x" * 65536)
        except OSError:
            return

    server.respond = endless
    with (
        Http(HttpSettings(server.url, max_response_bytes=100_000), system="shop-1") as http,
        pytest.raises(Refused, match="larger than 100000"),
    ):
        http.get("/export")
    assert sent < 50_000_000
