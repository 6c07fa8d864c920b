"""Access tokens of accounts, shared by all processes on all machines: kept in PostgreSQL, encrypted.

Where each refresh token works once, two refreshes at the same moment would lock the account out. So one caller
refreshes at a time, under one lock for each account; the others find the new token when they get the lock.

The key is `TSUNAGI_TOKEN_KEY`, any long random text, the same on every machine; without it a generated one in the home
folder. Tokens under another key count as not there: then a new one is asked for.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING

import orjson
from pydantic import SecretStr
from sqlalchemy import Engine, text

from connectors.transport.tokens import Token
from hub.home import Home

if TYPE_CHECKING:
    from cryptography.fernet import Fernet

__all__ = ["PostgresTokens", "token_key"]

_LOAD = text("SELECT sealed FROM account_token WHERE name = :name")
_SAVE = text("""
    INSERT INTO account_token (name, sealed) VALUES (:name, :sealed)
    ON CONFLICT (name) DO UPDATE SET sealed = excluded.sealed, saved_at = now()
""")
_LOCK = text("SELECT pg_advisory_lock(hashtextextended(:name, 0))")
_UNLOCK = text("SELECT pg_advisory_unlock(hashtextextended(:name, 0))")


def token_key(home: Home, env: Mapping[str, str] = os.environ) -> SecretStr:
    """The key tokens are encrypted with; one is generated on first use where none is set."""
    return SecretStr(env.get("TSUNAGI_TOKEN_KEY", "").strip() or home.secret("token-key"))


class PostgresTokens:
    """A `TokenStore` over the hub's database. The key is asked for when the first token comes."""

    def __init__(self, engine: Engine, key: Callable[[], SecretStr]) -> None:
        self._engine = engine
        self._key = key

    def load(self, name: str) -> Token | None:
        """The token kept for an account, or None."""
        with self._engine.connect() as connection:
            sealed = connection.scalar(_LOAD, {"name": name})
        if sealed is None:
            return None
        from cryptography.fernet import InvalidToken

        try:
            kept = orjson.loads(self._fernet().decrypt(bytes(sealed)))
        except InvalidToken:
            return None
        return Token(
            SecretStr(kept["access"]),
            None if kept["expires_at"] is None else datetime.fromisoformat(kept["expires_at"]),
            None if kept["refresh"] is None else SecretStr(kept["refresh"]),
        )

    def save(self, name: str, token: Token) -> None:
        """Keep the token; the newest counts."""
        plain = {
            "access": token.access.get_secret_value(),
            "expires_at": token.expires_at,
            "refresh": None if token.refresh is None else token.refresh.get_secret_value(),
        }
        with self._engine.begin() as connection:
            connection.execute(_SAVE, {"name": name, "sealed": self._fernet().encrypt(orjson.dumps(plain))})

    @contextmanager
    def lock(self, name: str) -> Iterator[None]:
        """Only one caller on all machines refreshes the token; the lock ends with its process, if not before."""
        values = {"name": f"token:{name}"}
        with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(_LOCK, values)
            try:
                yield
            finally:
                connection.execute(_UNLOCK, values)

    def _fernet(self) -> Fernet:
        from cryptography.fernet import Fernet  # only where there are tokens

        secret = self._key().get_secret_value().encode()
        digest = hashlib.blake2b(secret, digest_size=32, person=b"tsunagi-token").digest()
        return Fernet(base64.urlsafe_b64encode(digest))
