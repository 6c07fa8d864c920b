"""A way to addresses that somebody else chose: webhook URLs of subscribers, links that stand in an answer.

Whoever may name an address could name one of ours: the database's, the cloud's metadata service, a printer. So the
name is resolved once, every address it has is looked at, and the connection goes to one of those looked at: a name
that answers otherwise the next moment (DNS rebinding) gains nothing. TLS is still checked against the name. No proxy
is used, because then the proxy would resolve the name and nobody would look.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import httpcore
import httpx

from connectors.contract import Misconfigured

__all__ = ["Address", "Forbidden", "Guard", "GuardedTransport", "Network", "rule_against"]

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolve = Callable[[str, int], Sequence[str]]
"""Host and port -> every address the name has, as text. Raises OSError when it has none."""

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_TUNNELS = (ipaddress.IPv6Network("2002::/16"), ipaddress.IPv6Network("2001::/32"))
_OLD_EMBEDDING = ipaddress.IPv6Network("::/96")
_SHORTEST = 0.001


class Forbidden(Misconfigured):
    """The address may not be called. `rule` names why: plain_http, loopback, private, link_local, multicast, ..."""

    def __init__(self, rule: str, where: str) -> None:
        super().__init__(f"{where} may not be called (rule: {rule})")
        self.rule = rule


def _resolve(host: str, port: int) -> list[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(row[4][0]) for row in found))


def _carried(address: Address) -> Address:
    """The IPv4 address that an IPv6 one leads to, where it does."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _NAT64 or (address in _OLD_EMBEDDING and int(address) > 1):
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def rule_against(address: Address) -> str | None:
    """The rule that forbids an address, or None for one of the public internet."""
    address = _carried(address)
    if isinstance(address, ipaddress.IPv6Address) and any(address in network for network in _TUNNELS):
        return "tunnel"
    if address.is_unspecified:
        return "unspecified"
    if address.is_loopback:
        return "loopback"
    if address.is_link_local:  # 169.254.169.254 is where clouds keep the machine's keys
        return "link_local"
    if address.is_multicast:
        return "multicast"
    if isinstance(address, ipaddress.IPv6Address) and address.is_site_local:
        return "private"
    if not address.is_global:
        return "private" if address.is_private and not address.is_reserved else "reserved"
    return None


@dataclass(frozen=True, slots=True)
class Guard:
    """Decides which addresses may be called.

    networks  networks that are not public and may be called all the same; only there is http:// allowed
    resolve   replaces the resolver (tests)
    """

    networks: tuple[Network, ...] = ()
    resolve: Resolve = _resolve

    def addresses(self, host: str, port: int, *, plain: bool) -> list[str]:
        """The addresses of a host, all of which may be called; `plain`: without TLS.

        Raises Forbidden when only one of them may not, OSError when the name has none.
        """
        found = list(self.resolve(host, port))
        for text in found:
            address = ipaddress.ip_address(text)
            allowed = self._allowed(address)
            rule = None if allowed else rule_against(address)
            if rule is None and plain and (not allowed or rule_against(address) is None):
                rule = "plain_http"
            if rule is not None:
                raise Forbidden(rule, host if text == host else f"{host} ({text})")
        return found

    def _allowed(self, address: Address) -> bool:
        # a mapped address reaches the IPv4 one, so it is that one's network that counts
        address = _carried(address)
        return any(address.version == network.version and address in network for network in self.networks)


class _Moment(threading.local):
    """What the request at hand may: httpcore hands neither on to the stream it reads from."""

    until: float = float("inf")
    plain: bool = False

    def left(self, timeout: float | None) -> float:
        left = self.until - time.monotonic()
        return max(left if timeout is None else min(left, timeout), _SHORTEST)

    @property
    def over(self) -> bool:
        return time.monotonic() >= self.until


class _Stream(httpcore.NetworkStream):
    """A connection whose reads and writes also end with the time of the whole request."""

    def __init__(self, inner: httpcore.NetworkStream, moment: _Moment) -> None:
        self._inner = inner
        self._moment = moment

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if self._moment.over:
            raise httpcore.ReadTimeout("the whole answer took too long")
        return self._inner.read(max_bytes, self._moment.left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if self._moment.over:
            raise httpcore.WriteTimeout("the whole answer took too long")
        self._inner.write(buffer, self._moment.left(timeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        inner = self._inner.start_tls(ssl_context, server_hostname, self._moment.left(timeout))
        return _Stream(inner, self._moment)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class _Backend(httpcore.NetworkBackend):
    """Connects to the addresses the guard has looked at, one after the other."""

    def __init__(self, guard: Guard, moment: _Moment) -> None:
        self._guard = guard
        self._moment = moment
        self._inner = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        try:
            addresses = self._guard.addresses(host, port, plain=self._moment.plain)
        except OSError as error:
            raise httpcore.ConnectError(f"{host}: no address is known: {error}") from error
        failed: Exception = httpcore.ConnectError(f"{host}: no address is known")
        for address in addresses:
            try:
                stream = self._inner.connect_tcp(
                    address, port, self._moment.left(timeout), local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failed = error
                continue
            return _Stream(stream, self._moment)
        raise failed


class _Body(httpx.SyncByteStream):
    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __iter__(self) -> Iterator[bytes]:
        with _as_httpx():
            yield from self._inner

    def close(self) -> None:
        self._inner.close()


class GuardedTransport(httpx.BaseTransport):
    """The network for one host that somebody else chose. Threads may share it.

    guard        which addresses may be called
    total        seconds for one request with its answer, against servers that drip
    connections  most connections at once

    Raises Forbidden, and httpx's errors. Redirects are the client's: tell it not to follow.
    """

    def __init__(self, guard: Guard, *, total: float = 15.0, connections: int = 10) -> None:
        self._total = total
        self._moment = _Moment()
        self._pool = httpcore.ConnectionPool(
            ssl_context=_trusted(),
            max_connections=connections,
            max_keepalive_connections=connections,
            keepalive_expiry=2.0,  # many servers hang up after 5 s, some at the moment we would write
            network_backend=_Backend(guard, self._moment),
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        stream = request.stream
        assert isinstance(stream, httpx.SyncByteStream)
        url = request.url
        self._moment.until = time.monotonic() + self._total
        self._moment.plain = url.scheme != "https"
        with _as_httpx():
            answer = self._pool.handle_request(
                httpcore.Request(
                    method=request.method,
                    url=httpcore.URL(
                        scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
                    ),
                    headers=request.headers.raw,
                    content=stream,
                    extensions=request.extensions,
                )
            )
        return httpx.Response(
            answer.status, headers=answer.headers, stream=_Body(answer.stream), extensions=answer.extensions
        )

    def close(self) -> None:
        self._pool.close()


@contextmanager
def _as_httpx() -> Iterator[None]:
    """httpx calls the errors of its engine by the same names."""
    try:
        yield
    except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError) as error:
        kind = getattr(httpx, type(error).__name__, httpx.TransportError)
        raise kind(str(error)) from error
    except httpcore.UnsupportedProtocol as error:
        raise httpx.UnsupportedProtocol(str(error)) from error


@lru_cache(maxsize=1)
def _trusted() -> ssl.SSLContext:
    """Loading the CA store takes tens of milliseconds: once a process is enough."""
    return httpx.create_ssl_context()
