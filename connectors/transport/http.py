"""The HTTP door: `call.http`.

Trace, redaction, retry by intent, the rate budget, auth, size and time limits are stacked here once, around
a single `httpx.Client`. Connectors give paths; a URL on another host is refused unless the settings allow
it, so an answer from outside cannot send us (and our keys) elsewhere.
"""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from ssl import SSLContext
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote, urljoin

import httpx

from connectors.contract import Budget, ConnectorError, Misconfigured, Refused, Retry
from connectors.transport.budget import Limiter, LocalLimiter, Unlimited
from connectors.transport.redaction import Redactor
from connectors.transport.retrying import (
    Effect,
    Failure,
    Intent,
    Patience,
    effect_of_status,
    intent_of,
    judge_failed,
    judge_network_error,
    repeat,
    retry_after,
    used_up_for,
)
from connectors.transport.trace import Pause, Trace, usual_trace
from connectors.transport.wire import Wire

__all__ = ["Answer", "Classify", "Http", "HttpSettings", "Intent", "Patience"]

_REDIRECTS = 5
_USER_AGENT = "tsunagi/0.1"


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """How to reach one account of a system. Times are seconds.

    base_url            scheme, host and the path all calls start with
    auth                how we prove who we are; never sent to any other host
    headers             sent with every call to the base host
    connect_timeout     until the connection stands
    read_timeout        between two pieces of the answer
    total_timeout       for the whole answer of one try, against servers that drip
    budget              requests this account may make; the connector's own budget is used when None
    classify            runs on every answer, also on 2xx (success is not the HTTP status), except on
                        statuses that the call itself expects
    proxy               address of a proxy; None takes the environment's HTTPS_PROXY / NO_PROXY
    verify              True, a CA file, or an SSL context (which may carry a client certificate)
    plain_http          allow http:// to a host other than this machine
    allow_hosts         other hosts ("cdn.example.jp", "host:8443") that absolute URLs may name
    follow_redirects    follow 3xx of reading calls, within the base host and allow_hosts
    max_response_bytes  most bytes of an answer, as sent and after decompression
    patience            how often and how long a call is tried
    """

    base_url: str
    auth: httpx.Auth | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    connect_timeout: float = 10.0
    read_timeout: float = 60.0
    total_timeout: float = 300.0
    budget: Budget | None = None
    classify: Classify | None = None
    proxy: str | None = None
    verify: bool | Path | SSLContext = True
    plain_http: bool = False
    allow_hosts: Collection[str] = ()
    follow_redirects: bool = False
    max_response_bytes: int = 64 * 1024 * 1024
    patience: Patience = field(default_factory=Patience)


class Answer(httpx.Response):
    """An answer whose body is read. `json()` raises `Retry` where the body is no JSON: a maintenance page,
    say.
    """

    redactor: Redactor

    @property
    def excerpt(self) -> str:
        """The beginning of the body, masked, for error texts."""
        return self.redactor.excerpt(self.content) if _is_text(self) else f"({len(self.content)} bytes)"

    def json(self, **kwargs: Any) -> Any:
        try:
            return super().json(**kwargs)
        except ValueError as error:
            raise Retry(
                f"{self.request.method} {self.request.url.path}: HTTP {self.status_code} with a body "
                f"that is no JSON: {self.excerpt or '(empty)'}"
            ) from error


Classify = Callable[[Answer], ConnectorError | None]
"""A connector's own reading of an answer: the error it means, or None for "the usual rules"."""


class Http:
    """Calls to one account. Closable; threads may share it.

    system     the account's id, for messages
    limiter    the rate budget; made from `settings.budget` when None
    trace      what is told of each exchange; log and spans when None
    redactor   knows the account's secrets
    transport  replaces the network (tests, recordings)
    """

    def __init__(
        self,
        settings: HttpSettings,
        *,
        system: str = "",
        limiter: Limiter | None = None,
        trace: Trace | None = None,
        redactor: Redactor | None = None,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.settings = settings
        self.system = system
        self.redactor = redactor if redactor is not None else Redactor()
        self._limiter = limiter or (
            LocalLimiter(settings.budget, sleep=sleep) if settings.budget else Unlimited()
        )
        self._trace = trace if trace is not None else usual_trace()
        self._sleep = sleep
        self._now = now
        self._base = self._checked_base(settings)
        wire = Wire(
            system=system,
            limiter=self._limiter,
            trace=self._trace,
            redactor=self.redactor,
            inner=transport,
            verify=settings.verify,
            proxy=settings.proxy,
            max_bytes=settings.max_response_bytes,
        )
        self._client = httpx.Client(
            transport=wire,
            headers={"User-Agent": _USER_AGENT},
            timeout=httpx.Timeout(settings.read_timeout, connect=settings.connect_timeout),
            follow_redirects=False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def get(self, path: str, **options: Any) -> Answer:
        """`request("GET", ...)`; intent READ."""
        return self.request("GET", path, **options)

    def post(self, path: str, **options: Any) -> Answer:
        """`request("POST", ...)`; intent ONCE unless told otherwise."""
        return self.request("POST", path, **options)

    def put(self, path: str, **options: Any) -> Answer:
        """`request("PUT", ...)`; intent REPEATABLE."""
        return self.request("PUT", path, **options)

    def patch(self, path: str, **options: Any) -> Answer:
        """`request("PATCH", ...)`; intent ONCE unless told otherwise."""
        return self.request("PATCH", path, **options)

    def delete(self, path: str, **options: Any) -> Answer:
        """`request("DELETE", ...)`; intent REPEATABLE."""
        return self.request("DELETE", path, **options)

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        json: Any = None,
        content: str | bytes | None = None,
        data: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        intent: Intent | None = None,
        expect: Collection[int] = (),
        cost: float = 1,
    ) -> Answer:
        """One call, tried as often as its intent allows. Returns a successful answer, fully read.

        path    under the base URL, or an absolute URL on an allowed host (a `next` link)
        params  added to the query; None values are left out
        expect  further statuses that are answers here, such as 404; `classify` does not see them
        cost    requests this call counts for in the budget

        Raises `Retry` when the tries end, `Refused` (code = status) on 4xx, `Misconfigured` on 401, 403,
        unexpected redirects, untrusted certificates.
        """
        method = method.upper()
        intent = intent or intent_of(method)
        url = self._resolve(path, params)
        what = f"{self.system}: {method} {self.redactor.url(url)}"

        def build(target: httpx.URL, attempt: int) -> httpx.Request:
            own = dict(self.settings.headers) if self._at_home(target) else {}
            return self._client.build_request(
                method, target, json=json, content=content, data=data, headers=own | dict(headers or {}),
                extensions={"tsunagi": {"attempt": attempt, "intent": intent, "cost": cost}},
            )  # fmt: skip

        def attempt(number: int) -> Answer:
            try:
                answer = self._exchange(build, url, number, follow=intent is Intent.READ)
            except Retry as error:  # no token or no budget: the call itself was never made
                raise Failure(error, Effect.NONE) from error
            except httpx.HTTPError as error:
                raise judge_network_error(error, what, self.redactor.text(str(error))) from error
            except UnicodeEncodeError:
                raise Misconfigured(
                    f"{what}: a header holds letters outside ASCII; are there full-width letters in the keys?"
                ) from None
            verdict = self._judge(answer, what, expect)
            if verdict is not None:
                raise verdict
            return answer

        def pause(number: int, seconds: float, error: Retry) -> None:
            shown = self.redactor.url(url)
            self._trace(Pause(self.system, method, shown, number, round(seconds, 3), str(error)))

        return repeat(attempt, intent, self.settings.patience, sleep=self._sleep, before_pause=pause)

    def _exchange(
        self, build: Callable[[httpx.URL, int], httpx.Request], url: httpx.URL, attempt: int, *, follow: bool
    ) -> Answer:
        for _ in range(_REDIRECTS):
            answer = self._send(build(url, attempt))
            location = answer.headers.get("location")
            if not (self.settings.follow_redirects and follow and answer.is_redirect and location):
                return answer
            url = self._resolve(urljoin(str(url), location), None)
        raise Misconfigured(f"{self.system}: {self.redactor.url(url)} redirects in circles")

    def _send(self, request: httpx.Request) -> Answer:
        auth = self.settings.auth if self._at_home(request.url) else None
        started = time.monotonic()
        response = self._client.send(request, auth=auth, stream=True)
        try:
            body = b"".join(self._pieces(response, started))
        finally:
            response.close()
        # The body is decoded already; the lengths and encodings of the wire no longer describe it.
        headers = [
            (name, value)
            for name, value in response.headers.multi_items()
            if name not in ("content-encoding", "content-length", "transfer-encoding")
        ]
        answer = Answer(response.status_code, headers=headers, content=body, request=response.request)
        answer.elapsed = timedelta(seconds=time.monotonic() - started)
        answer.redactor = self.redactor
        return answer

    def _pieces(self, response: httpx.Response, started: float) -> Iterator[bytes]:
        size = 0
        for piece in response.iter_bytes():
            size += len(piece)
            if size > self.settings.max_response_bytes:
                raise Refused(
                    f"{self.system}: {self.redactor.url(response.request.url)}: the answer is larger than "
                    f"{self.settings.max_response_bytes} bytes",
                    code="too_large",
                )
            if time.monotonic() - started > self.settings.total_timeout:
                raise httpx.ReadTimeout(f"not complete after {self.settings.total_timeout:g} s")
            yield piece

    def _judge(self, answer: Answer, what: str, expect: Collection[int]) -> ConnectorError | Failure | None:
        longest = self.settings.patience.longest
        if (pause := used_up_for(answer, self._now(), longest)) is not None:
            self._limiter.penalise(self._now() + pause)
        if answer.status_code in expect:
            return None
        after = retry_after(answer, self._now(), longest)
        own = self._classified(answer)
        verdict: ConnectorError | Failure | None
        if isinstance(own, Retry):
            after = own.after if own.after is not None else after
            own.after = after
            verdict = Failure(own, effect_of_status(answer.status_code, told_to_wait=after is not None))
        elif own is not None or answer.is_success:
            verdict = own
        else:
            verdict = judge_failed(answer.status_code, what, answer.excerpt, after)
        if isinstance(verdict, Failure) and after is not None:
            self._limiter.penalise(self._now() + after)
        return verdict

    def _classified(self, answer: Answer) -> ConnectorError | None:
        if self.settings.classify is None:
            return None
        try:
            error = self.settings.classify(answer)
        except Retry as unreadable:
            # Answer.json() on an error page: the status says more than the body.
            return unreadable if answer.is_success else None
        if error is not None:
            error.args = (self.redactor.text(str(error)),)  # it may quote the body
        return error

    def _resolve(self, path: str, params: Mapping[str, Any] | None) -> httpx.URL:
        try:
            given = httpx.URL(path)
        except httpx.InvalidURL as error:
            raise Refused(f"{self.system}: {path!r} is no path: {error}", code="bad_path") from error
        if given.is_absolute_url:
            url = self._checked_absolute(given)
        elif given.host or given.scheme or ".." in unquote(given.path).replace("\\", "/").split("/"):
            # An id from outside, put into a path, must not lead to another part of the API.
            raise Refused(f"{self.system}: the path {path!r} leads out of the base URL", code="bad_path")
        else:
            below = self._base.raw_path.rstrip(b"/") + b"/" + given.raw_path.lstrip(b"/")
            url = self._base.copy_with(raw_path=below) if path else self._base
        wanted = {key: value for key, value in (params or {}).items() if value is not None}
        return url.copy_merge_params(wanted) if wanted else url

    def _checked_absolute(self, url: httpx.URL) -> httpx.URL:
        if url.userinfo:
            raise Refused(f"{self.system}: {self.redactor.url(url)} carries a login", code="bad_path")
        if self._at_home(url):
            return url
        named = {url.host, f"{url.host}:{url.port}" if url.port else url.host}
        if url.scheme == self._base.scheme and named & set(self.settings.allow_hosts):
            return url
        raise Refused(
            f"{self.system}: {self.redactor.url(url)} is not on {self._base.host}; "
            "if calls may go there, the connector must name the host in allow_hosts",
            code="foreign_host",
        )

    def _at_home(self, url: httpx.URL) -> bool:
        return (url.scheme, url.host, _port(url)) == (self._base.scheme, self._base.host, _port(self._base))

    def _checked_base(self, settings: HttpSettings) -> httpx.URL:
        place = f"{self.system}: the base URL {self.redactor.url(settings.base_url)!r}"
        try:
            url = httpx.URL(settings.base_url)
        except httpx.InvalidURL as error:
            raise Misconfigured(f"{place} is no URL: {error}") from error
        if url.scheme not in ("http", "https") or not url.host:
            raise Misconfigured(f"{place} must begin with https:// and name a host")
        if url.userinfo:
            raise Misconfigured(f"{place} carries a login; keep it in the connection")
        if url.query or url.fragment:
            raise Misconfigured(f"{place} must end before '?' or '#'")
        if url.scheme == "http" and not settings.plain_http and not _is_this_machine(url.host):
            raise Misconfigured(
                f"{place} would send keys and personal data unencrypted; use https://, "
                "or let the connector set plain_http for this account"
            )
        return url


def _port(url: httpx.URL) -> int | None:
    return url.port or {"http": 80, "https": 443}.get(url.scheme)


def _is_text(answer: httpx.Response) -> bool:
    kind = answer.headers.get("content-type", "text/plain").lower()
    return kind.startswith("text/") or any(word in kind for word in ("json", "xml", "form-urlencoded"))


def _is_this_machine(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
