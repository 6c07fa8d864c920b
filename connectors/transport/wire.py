"""The one place where HTTP touches the network.

An httpx transport around the real one (or a test's): every request passes here, those of the auth scheme
too. It waits for the budget, learns the keys it sees so that they are masked afterwards, limits the bytes
and tells the trace.
"""

from __future__ import annotations

import ssl
import time
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

import httpx

from connectors.contract import Misconfigured, Refused
from connectors.transport.budget import Limiter
from connectors.transport.redaction import Redactor, is_secret_key
from connectors.transport.trace import Exchange, Trace

__all__ = ["Wire"]


class Wire(httpx.BaseTransport):
    """See the module. `inner` replaces the network."""

    def __init__(
        self,
        *,
        system: str,
        limiter: Limiter,
        trace: Trace,
        redactor: Redactor,
        inner: httpx.BaseTransport | None,
        verify: bool | Path | ssl.SSLContext,
        proxy: str | None,
        max_bytes: int,
    ) -> None:
        self._system = system
        self._limiter = limiter
        self._trace = trace
        self._redactor = redactor
        self._inner = inner
        self._verify = verify
        self._proxy = proxy
        self._max_bytes = max_bytes
        self._opened: dict[str | None, httpx.BaseTransport] = {}

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        about = request.extensions.get("tsunagi", {})
        self._learn(request)
        self._limiter.acquire(about.get("cost", 1))
        started_at, started = datetime.now(UTC), time.perf_counter()
        sent = int(request.headers.get("content-length", 0))

        def tell(status: int | None, error: BaseException | None, received: int) -> None:
            self._trace(
                Exchange(
                    system=self._system,
                    method=request.method,
                    url=self._redactor.url(request.url),
                    attempt=about.get("attempt", 1),
                    status=status,
                    error=None if error is None else self._redactor.text(f"{type(error).__name__}: {error}"),
                    started_at=started_at,
                    elapsed=time.perf_counter() - started,
                    sent=sent,
                    received=received,
                )
            )

        try:
            response = self._transport(request.url).handle_request(request)
        except httpx.TransportError as error:
            tell(None, error, 0)
            raise
        stream = response.stream
        if not isinstance(stream, httpx.SyncByteStream):
            raise TypeError(f"the transport gave a stream that cannot be read synchronously: {stream!r}")
        body = _Body(stream, self._max_bytes, lambda error, size: tell(response.status_code, error, size))
        return httpx.Response(
            response.status_code, headers=response.headers, stream=body, extensions=response.extensions
        )

    def close(self) -> None:
        for transport in self._opened.values():
            transport.close()
        if self._inner is not None:
            self._inner.close()

    def _learn(self, request: httpx.Request) -> None:
        for name, value in request.headers.items():
            if is_secret_key(name):
                if not value.isascii():
                    raise Misconfigured(
                        f"{self._system}: the header {name} holds letters outside ASCII: "
                        "are there full-width letters in the keys?"
                    )
                self._redactor.learn(value, value.partition(" ")[2])

    def _transport(self, url: httpx.URL) -> httpx.BaseTransport:
        if self._inner is not None:
            return self._inner
        proxy = self._proxy or _proxy_of_environment(url)
        if proxy not in self._opened:
            self._opened[proxy] = httpx.HTTPTransport(verify=_context(self._verify), proxy=proxy)
        return self._opened[proxy]


class _Body(httpx.SyncByteStream):
    """Passes the bytes on, counts them, and says once how it ended."""

    def __init__(
        self, stream: httpx.SyncByteStream, most: int, ended: Callable[[BaseException | None, int], None]
    ) -> None:
        self._stream = stream
        self._most = most
        self._ended = ended
        self._size = 0
        self._told = False

    def __iter__(self) -> Iterator[bytes]:
        try:
            for piece in self._stream:
                self._size += len(piece)
                if self._size > self._most:
                    raise Refused(f"the answer is larger than {self._most} bytes", code="too_large")
                yield piece
        except (httpx.TransportError, Refused) as error:
            self._tell(error)
            raise

    def close(self) -> None:
        self._stream.close()
        self._tell(None)

    def _tell(self, error: BaseException | None) -> None:
        if not self._told:
            self._told = True
            self._ended(error, self._size)


def _proxy_of_environment(url: httpx.URL) -> str | None:
    if urllib.request.proxy_bypass(url.host):
        return None
    proxies = urllib.request.getproxies()
    proxy = proxies.get(url.scheme) or proxies.get("all")
    return f"http://{proxy}" if proxy and "://" not in proxy else proxy


@lru_cache(maxsize=16)
def _context(verify: bool | Path | ssl.SSLContext) -> ssl.SSLContext:
    """Loading the CA store takes tens of milliseconds: once a process is enough."""
    if isinstance(verify, Path):
        return ssl.create_default_context(cafile=str(verify))
    if isinstance(verify, ssl.SSLContext):
        return verify
    return httpx.create_ssl_context(verify=verify)
