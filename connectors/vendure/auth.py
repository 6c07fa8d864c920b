"""Logging in: Vendure hands out a session token in a header of the answer to the `login` mutation."""

from __future__ import annotations

import hashlib
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from pydantic import SecretStr

from connectors.contract import Misconfigured, Retry
from connectors.transport.retrying import retry_after
from connectors.transport.tokens import Token, TokenStore, shared_tokens
from connectors.vendure.config import CustomFields
from connectors.vendure.documents import document

__all__ = ["TOKEN_HEADER", "VendureLogin", "error_codes"]

TOKEN_HEADER = "vendure-auth-token"  # noqa: S105  (the header's name)
"""`authOptions.authTokenHeaderKey` of the server; the default of Vendure 3."""

_LONGEST_WAIT = timedelta(hours=6)


def error_codes(body: Any) -> list[str | None]:
    """`extensions.code` of each entry of `errors`; None where the server gave no code."""
    errors = body.get("errors") if isinstance(body, dict) else None
    if not isinstance(errors, list):
        return []
    return [
        (error.get("extensions") or {}).get("code") if isinstance(error, dict) else None for error in errors
    ]


class VendureLogin(httpx.Auth):
    """Bearer token got by the `login` mutation, kept for all processes of the hub (`shared_tokens`): a login costs the
    shop a tenth of a second of bcrypt, which an order that was just placed must not wait for.

    Vendure answers HTTP 200 also when the token is no longer good: `FORBIDDEN` stands in the body. Then this logs in
    once more and repeats the request (it had no effect); a second `FORBIDDEN` means a missing permission and is left
    to the classification. Raises `Misconfigured` when user name or password are wrong.
    """

    requires_response_body = True

    def __init__(
        self, username: str, password: SecretStr, *, name: str, store: TokenStore = shared_tokens
    ) -> None:
        """`name`: the account, under which the token is kept."""
        self._username = username
        self._password = password
        self._name = name
        self._store = store
        # kept beside the token: one got with another password does not count
        self._mark = hashlib.sha256(password.get_secret_value().encode()).hexdigest()
        self._token: SecretStr | None = None

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        token = self._token or self._kept()
        fresh = token is None
        if token is None:
            token = yield from self._login(request, None)
        self._token = token
        self._sign(request, token)
        response = yield request
        if not fresh and _refused(response):
            self._token = yield from self._login(request, token)
            self._sign(request, self._token)
            yield request

    def _kept(self) -> SecretStr | None:
        kept = self._store.load(self._name)
        if kept is None or kept.refresh is None or kept.refresh.get_secret_value() != self._mark:
            return None
        return kept.access

    def _login(
        self, request: httpx.Request, stale: SecretStr | None
    ) -> Generator[httpx.Request, httpx.Response, SecretStr]:
        with self._store.lock(self._name):
            current = self._kept()
            if current is not None and current != stale:
                return current  # another caller logged in while this one waited
            response = yield self._login_request(request)
            token = self._token_of(response)
            self._store.save(self._name, Token(token, refresh=SecretStr(self._mark)))
            return token

    def _login_request(self, request: httpx.Request) -> httpx.Request:
        channel = {name: value for name, value in request.headers.items() if name == "vendure-token"}
        return httpx.Request(
            "POST",
            request.url,
            json={
                "operationName": "Login",
                "query": document("Login", CustomFields()),
                "variables": {"username": self._username, "password": self._password.get_secret_value()},
            },
            headers={"Accept": "application/json", **channel},
            # The timeout only: this request has an intent of its own, whatever the call it serves does.
            extensions={name: value for name, value in request.extensions.items() if name == "timeout"},
        )

    def _token_of(self, response: httpx.Response) -> SecretStr:
        status = response.status_code
        try:
            body = response.json()
        except ValueError:
            body = None
        if status in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
            raise Misconfigured(
                f"the login was answered by HTTP {status}: is a proxy in front of the Admin API?"
            )
        if not isinstance(body, dict) or status == httpx.codes.TOO_MANY_REQUESTS or status >= 500:
            after = retry_after(response, datetime.now(UTC), _LONGEST_WAIT)
            raise Retry(f"the login was answered by HTTP {status} without a GraphQL answer", after=after)
        login = (body.get("data") or {}).get("login") or {}
        kind = login.get("__typename")
        if kind == "InvalidCredentialsError":
            raise Misconfigured(f"Vendure does not accept user name {self._username!r} with this password")
        if kind != "CurrentUser":
            reason = (
                login.get("message") or ", ".join(str(code) for code in error_codes(body)) or f"HTTP {status}"
            )
            raise Misconfigured(f"Vendure did not let {self._username!r} in: {reason}")
        token = response.headers.get(TOKEN_HEADER)
        if not token:
            raise Misconfigured(
                f"the login worked but the answer has no header {TOKEN_HEADER}: "
                "add 'bearer' to authOptions.tokenMethod of the Vendure server"
            )
        return SecretStr(token)

    @staticmethod
    def _sign(request: httpx.Request, token: SecretStr) -> None:
        request.headers["Authorization"] = f"Bearer {token.get_secret_value()}"


def _refused(response: httpx.Response) -> bool:
    if response.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        return True
    try:
        codes = error_codes(response.json())
    except ValueError:
        return False
    return "FORBIDDEN" in codes or "UNAUTHORIZED" in codes
