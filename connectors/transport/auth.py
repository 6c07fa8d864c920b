"""Ways to prove who we are, as httpx auth flows: they yield requests and touch no network themselves.

A scheme that only one kind of system speaks stays in that system's connector; these are the common ones.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import httpx
from pydantic import SecretStr

from connectors.contract import Misconfigured, Retry
from connectors.transport.tokens import MemoryTokens, SharedTokens, Token, TokenStore, shared_tokens

__all__ = [
    "Bearer",
    "HeaderKey",
    "MemoryTokens",
    "OAuth2",
    "SharedTokens",
    "Token",
    "TokenStore",
    "basic",
    "shared_tokens",
]


def basic(login: str, password: SecretStr) -> httpx.Auth:
    """`Authorization: Basic` (RFC 7617)."""
    return httpx.BasicAuth(login, password.get_secret_value())


class HeaderKey(httpx.Auth):
    """A key in a header of its own: `HeaderKey("X-Api-Key", config.api_key)`."""

    def __init__(self, header: str, key: SecretStr, *, prefix: str = "") -> None:
        self._header = header
        self._key = key
        self._prefix = prefix

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers[self._header] = self._prefix + self._key.get_secret_value()
        yield request


class Bearer(HeaderKey):
    """`Authorization: Bearer` with a token that does not change (RFC 6750)."""

    def __init__(self, token: SecretStr) -> None:
        super().__init__("Authorization", token, prefix="Bearer ")


@dataclass
class OAuth2(httpx.Auth):
    """OAuth 2.0 for accounts: client credentials, or a refresh token when one is given (RFC 6749, 4.4 and 6).

    name          under which the token is kept, usually the system's id
    refresh       the first refresh token, from the settings; the one in the store is tried before it
    in_body       send id and secret in the form instead of an Authorization header
    early         renew this long before the token ends

    A 401 renews once and repeats the request. Raises `Misconfigured` when the token server refuses us,
    `Retry` when it cannot answer.
    """

    token_url: str
    client_id: str
    client_secret: SecretStr
    name: str
    store: TokenStore = shared_tokens
    refresh: SecretStr | None = None
    scope: str | None = None
    extra: dict[str, str] = field(default_factory=dict)
    in_body: bool = False
    early: timedelta = timedelta(seconds=60)
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        token = self.store.load(self.name)
        if token is None or self._ends(token):
            token = yield from self._renew(token)
        request.headers["Authorization"] = "Bearer " + token.access.get_secret_value()
        response = yield request
        if response.status_code == httpx.codes.UNAUTHORIZED:
            token = yield from self._renew(token)
            request.headers["Authorization"] = "Bearer " + token.access.get_secret_value()
            yield request

    def _ends(self, token: Token) -> bool:
        return token.expires_at is not None and token.expires_at - self.early <= self.now()

    def _renew(self, stale: Token | None) -> Generator[httpx.Request, httpx.Response, Token]:
        with self.store.lock(self.name):
            current = self.store.load(self.name)
            if current is not None and current != stale and not self._ends(current):
                return current  # another caller renewed it while we waited for the lock
            # The stored refresh token is the newer one, unless an operator has just typed another one in.
            kept = current.refresh if current else None
            refresh = kept or self.refresh
            asked_at = self.now()
            response = yield self._request(refresh)
            if kept and self.refresh and kept != self.refresh and 400 <= response.status_code < 429:
                response.read()
                refresh = self.refresh
                response = yield self._request(refresh)
            response.read()
            token = self._token(response, refresh, asked_at)
            self.store.save(self.name, token)
            return token

    def _request(self, refresh: SecretStr | None) -> httpx.Request:
        form = {"grant_type": "refresh_token" if refresh else "client_credentials", **self.extra}
        if refresh:
            form["refresh_token"] = refresh.get_secret_value()
        if self.scope:
            form["scope"] = self.scope
        secret = self.client_secret.get_secret_value()
        if self.in_body:
            form |= {"client_id": self.client_id, "client_secret": secret}
        request = httpx.Request("POST", self.token_url, data=form, headers={"Accept": "application/json"})
        if not self.in_body:
            request = next(httpx.BasicAuth(self.client_id, secret).auth_flow(request))
        return request

    def _token(self, response: httpx.Response, refresh: SecretStr | None, asked_at: datetime) -> Token:
        where = f"{self.name}: the token server {httpx.URL(self.token_url).host}"
        status = response.status_code
        if status == httpx.codes.TOO_MANY_REQUESTS or status >= 500:
            raise Retry(f"{where} answered HTTP {status}")
        try:
            body = response.json()
        except ValueError:
            body = None
        if not isinstance(body, dict):
            raise Retry(f"{where} answered HTTP {status} with something that is no JSON object")
        if not response.is_success or not isinstance(body.get("access_token"), str):
            # Only the error code of RFC 6749 5.2 is quoted: other parts of the body may carry what we sent.
            raise Misconfigured(
                f"{where} refused us: HTTP {status} {body.get('error', 'no access_token in the answer')}"
            )
        lifetime = body.get("expires_in")
        rotated = body.get("refresh_token")
        return Token(
            access=SecretStr(body["access_token"]),
            expires_at=asked_at + timedelta(seconds=float(lifetime)) if lifetime is not None else None,
            refresh=SecretStr(rotated) if isinstance(rotated, str) else refresh,
        )
