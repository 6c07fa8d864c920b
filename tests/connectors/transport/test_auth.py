"""Auth schemes, driven through the HTTP door."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest
from pydantic import SecretStr

from connectors.contract import Misconfigured, Retry
from connectors.transport.auth import Bearer, HeaderKey, MemoryTokens, OAuth2, Token, basic
from connectors.transport.http import Http, HttpSettings
from connectors.transport.trace import Exchange, Pause

NOW = datetime(2026, 1, 15, tzinfo=UTC)


class Provider:
    """A token server and an API in one: hands out tokens t1, t2, ... and accepts the newest."""

    def __init__(self) -> None:
        self.forms: list[dict[str, list[str]]] = []
        self.token_headers: list[httpx.Headers] = []
        self.seen: list[str] = []
        self.valid = ""
        self.refuse: Callable[[dict[str, list[str]]], httpx.Response | None] = lambda form: None

    def answer(self, request: httpx.Request) -> httpx.Response:
        if request.url.host == "accounts.example":
            form = parse_qs(request.content.decode())
            self.forms.append(form)
            self.token_headers.append(request.headers)
            if (refusal := self.refuse(form)) is not None:
                return refusal
            self.valid = f"access-t{len(self.forms)}"
            return httpx.Response(
                200,
                json={
                    "access_token": self.valid,
                    "expires_in": 3600,
                    "refresh_token": f"refresh-t{len(self.forms)}",
                },
            )
        token = request.headers["authorization"].removeprefix("Bearer ")
        self.seen.append(token)
        return httpx.Response(200 if token == self.valid else 401, json={})


def account(provider: Provider, store: MemoryTokens, **options: Any) -> tuple[Http, list[Exchange | Pause]]:
    steps: list[Exchange | Pause] = []
    auth = OAuth2(
        "https://accounts.example/token", "client-1", SecretStr("client-secret"), "shop-1", store,
        now=lambda: NOW, **options,
    )  # fmt: skip
    http = Http(
        HttpSettings("https://shop.example", auth=auth),
        system="shop-1",
        transport=httpx.MockTransport(provider.answer),
        trace=steps.append,
        sleep=lambda seconds: None,
    )
    return http, steps


def test_one_token_serves_many_calls() -> None:
    provider = Provider()
    http, steps = account(provider, MemoryTokens(), scope="orders")
    http.get("/a")
    http.get("/b")
    assert provider.seen == ["access-t1", "access-t1"]
    assert provider.forms == [{"grant_type": ["client_credentials"], "scope": ["orders"]}]
    assert provider.token_headers[0]["authorization"].startswith("Basic ")
    assert steps[0].url == "https://accounts.example/token"
    assert "access-t1" not in repr(steps)


def test_id_and_secret_may_go_into_the_form() -> None:
    provider = Provider()
    http, _ = account(provider, MemoryTokens(), in_body=True)
    http.get("/a")
    assert provider.forms[0]["client_secret"] == ["client-secret"]
    assert "authorization" not in provider.token_headers[0]


def test_a_token_is_renewed_shortly_before_it_ends_with_the_newest_refresh_token() -> None:
    provider, store = Provider(), MemoryTokens()
    store.save("shop-1", Token(SecretStr("old"), NOW + timedelta(seconds=59), SecretStr("refresh-kept")))
    http, _ = account(provider, store)
    http.get("/a")
    assert provider.forms == [{"grant_type": ["refresh_token"], "refresh_token": ["refresh-kept"]}]
    kept = store.load("shop-1")
    assert kept is not None
    assert kept.refresh == SecretStr("refresh-t1")
    assert kept.expires_at == NOW + timedelta(hours=1)


def test_a_token_that_was_revoked_early_is_renewed_once() -> None:
    provider, store = Provider(), MemoryTokens()
    store.save("shop-1", Token(SecretStr("revoked"), NOW + timedelta(hours=1)))
    http, _ = account(provider, store)
    assert http.get("/a").status_code == 200
    assert provider.seen == ["revoked", "access-t1"]


def test_a_new_token_that_is_refused_too_needs_a_person() -> None:
    provider = Provider()
    http, _ = account(provider, MemoryTokens())
    real = provider.answer

    def never(request: httpx.Request) -> httpx.Response:
        return real(request) if request.url.host == "accounts.example" else httpx.Response(401)

    http._client._transport._inner = httpx.MockTransport(never)  # type: ignore[attr-defined]
    with pytest.raises(Misconfigured):
        http.get("/a")
    assert len(provider.forms) == 2


def test_a_refresh_token_typed_in_anew_is_tried_when_the_kept_one_is_dead() -> None:
    provider, store = Provider(), MemoryTokens()
    store.save("shop-1", Token(SecretStr("old"), NOW, SecretStr("dead")))
    provider.refuse = lambda form: (
        httpx.Response(400, json={"error": "invalid_grant"}) if form["refresh_token"] == ["dead"] else None
    )
    http, _ = account(provider, store, refresh=SecretStr("typed-in"))
    http.get("/a")
    assert [form["refresh_token"] for form in provider.forms] == [["dead"], ["typed-in"]]


def test_a_token_server_that_refuses_needs_a_person_and_tells_no_secret() -> None:
    provider = Provider()
    provider.refuse = lambda form: httpx.Response(
        401, json={"error": "invalid_client", "error_description": "bad secret client-secret"}
    )
    http, _ = account(provider, MemoryTokens())
    with pytest.raises(
        Misconfigured, match=r"shop-1: the token server accounts\.example.*invalid_client"
    ) as error:
        http.get("/a")
    assert "client-secret" not in str(error.value)


@pytest.mark.parametrize(
    "answer", [httpx.Response(503), httpx.Response(429), httpx.Response(200, text="<html>")]
)
def test_a_token_server_that_cannot_answer_is_tried_again_even_for_a_write(answer: httpx.Response) -> None:
    provider = Provider()
    provider.refuse = lambda form: answer if len(provider.forms) == 1 else None
    http, _ = account(provider, MemoryTokens())
    assert http.post("/orders", json={}).status_code == 200
    provider.refuse = lambda form: answer
    other, _ = account(provider, MemoryTokens())
    with pytest.raises(Retry):
        other.post("/orders", json={})


def test_many_threads_refresh_once() -> None:
    provider, store = Provider(), MemoryTokens()
    http, _ = account(provider, store)
    barrier = threading.Barrier(8)

    def work() -> None:
        barrier.wait()
        http.get("/a")

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(provider.forms) == 1
    assert provider.seen == ["access-t1"] * 8


def test_the_lock_is_given_back_when_the_token_server_is_down() -> None:
    provider, store = Provider(), MemoryTokens()
    http, _ = account(provider, store)

    def down(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("down")

    http._client._transport._inner = httpx.MockTransport(down)  # type: ignore[attr-defined]
    with pytest.raises(Retry):
        http.get("/a")
    lock = store.lock("shop-1")
    assert isinstance(lock, type(threading.Lock()))
    assert lock.acquire(blocking=False)


@pytest.mark.parametrize(
    ("auth", "header", "value"),
    [
        (basic("shop", SecretStr("pw")), "authorization", "Basic c2hvcDpwdw=="),
        (Bearer(SecretStr("abc")), "authorization", "Bearer abc"),
        (HeaderKey("X-Api-Key", SecretStr("abc")), "x-api-key", "abc"),
    ],
)
def test_plain_schemes(auth: httpx.Auth, header: str, value: str) -> None:
    sent: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(200)

    with Http(HttpSettings("https://shop.example", auth=auth), transport=httpx.MockTransport(answer)) as http:
        http.get("/")
    assert sent[0].headers[header] == value
