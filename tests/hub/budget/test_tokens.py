"""Tokens in PostgreSQL: encrypted, and refreshed by one caller at a time."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import Engine, text

from connectors.transport.auth import OAuth2, SharedTokens, Token
from hub.home import Home
from hub.store.database import open_engine
from hub.tokens import PostgresTokens, token_key


def key() -> SecretStr:
    return SecretStr("a key for tests")


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = open_engine(database_url, threads=4)
    yield engine
    engine.dispose()


def token(access: str, refresh: str | None = None) -> Token:
    return Token(SecretStr(access), datetime(2026, 11, 21, 3, tzinfo=UTC), refresh and SecretStr(refresh))


def test_a_token_comes_back_and_is_not_readable_in_the_database(engine: Engine) -> None:
    tokens = PostgresTokens(engine, key)
    assert tokens.load("shop") is None
    tokens.save("shop", token("access-1"))
    tokens.save("shop", token("access-2", "refresh-2"))
    assert tokens.load("shop") == token("access-2", "refresh-2")
    assert tokens.load("other") is None
    with engine.connect() as connection:
        (sealed,) = connection.execute(text("SELECT sealed FROM account_token")).scalars().all()
    assert b"access" not in bytes(sealed)
    assert PostgresTokens(engine, lambda: SecretStr("another key")).load("shop") is None


def test_the_key_is_set_or_generated_once(tmp_path: Path) -> None:
    home = Home(tmp_path).create()
    assert token_key(home, {"TSUNAGI_TOKEN_KEY": "ours"}).get_secret_value() == "ours"
    made = token_key(home, {})
    assert len(made.get_secret_value()) > 40
    assert token_key(home, {}) == made


def test_ten_callers_with_an_old_token_refresh_it_once(engine: Engine) -> None:
    """Each refresh token works once: a second refresh with the same one would be refused."""
    asked: list[str] = []

    def server(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/token":
            form = dict(pair.split("=") for pair in request.content.decode().split("&"))
            asked.append(form["refresh_token"])
            time.sleep(0.05)
            if asked.count(form["refresh_token"]) > 1:
                return httpx.Response(400, json={"error": "invalid_grant"})
            return httpx.Response(
                200, json={"access_token": "new", "expires_in": 3600, "refresh_token": "refresh-2"}
            )
        good = request.headers["authorization"] == "Bearer new"
        return httpx.Response(200 if good else 401)

    PostgresTokens(engine, key).save("shop", token("old", "refresh-1"))
    answers: list[int] = []

    def call() -> None:
        tokens = SharedTokens()
        tokens.keep_in(PostgresTokens(engine, key))
        auth = OAuth2("https://shop.example/token", "id", SecretStr("secret"), "shop", tokens)
        with httpx.Client(transport=httpx.MockTransport(server), auth=auth) as client:
            answers.append(client.get("https://shop.example/orders").status_code)

    threads = [threading.Thread(target=call) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [200] * 10
    assert asked == ["refresh-1"]
    kept = PostgresTokens(engine, key).load("shop")
    assert kept is not None
    assert kept.refresh == SecretStr("refresh-2")
    assert kept.expires_at is not None
    assert kept.expires_at > datetime.now(UTC) + timedelta(minutes=50)
