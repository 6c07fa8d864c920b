"""Where access tokens are kept between calls: in this process, or where the hub keeps them for all.

Apart from `auth.py` so that a process that only speaks files need not load an HTTP client for it.
"""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from pydantic import SecretStr

__all__ = ["MemoryTokens", "SharedTokens", "Token", "TokenStore", "shared_tokens"]


@dataclass(frozen=True, slots=True)
class Token:
    """An access token; `expires_at` is aware, None when the server did not tell."""

    access: SecretStr
    expires_at: datetime | None = None
    refresh: SecretStr | None = None


class TokenStore(Protocol):
    """Keeps tokens between runs. `lock` lets one caller refresh at a time, over all processes that share the
    store.

    That matters where each refresh token works once: two refreshes at the same time would lock the account
    out.
    """

    def load(self, name: str) -> Token | None: ...
    def save(self, name: str, token: Token) -> None: ...
    def lock(self, name: str) -> AbstractContextManager[object]: ...


class MemoryTokens:
    """Tokens of this process, shared by its threads; forgotten when it ends."""

    def __init__(self) -> None:
        self._tokens: dict[str, Token] = {}
        self._locks: dict[str, threading.Lock] = {}
        self._guard = threading.Lock()

    def load(self, name: str) -> Token | None:
        return self._tokens.get(name)

    def save(self, name: str, token: Token) -> None:
        self._tokens[name] = token

    def lock(self, name: str) -> AbstractContextManager[object]:
        with self._guard:
            return self._locks.setdefault(name, threading.Lock())


class SharedTokens:
    """The tokens of this installation: a process's own until the hub says where they are kept (`keep_in`).

    Connectors hand this to `OAuth2`, and need not know about it.
    """

    def __init__(self) -> None:
        self._store: TokenStore = MemoryTokens()

    def keep_in(self, store: TokenStore | None) -> None:
        """Keep tokens there from now on; None: in this process."""
        self._store = store or MemoryTokens()

    def load(self, name: str) -> Token | None:
        return self._store.load(name)

    def save(self, name: str, token: Token) -> None:
        self._store.save(name, token)

    def lock(self, name: str) -> AbstractContextManager[object]:
        return self._store.lock(name)


shared_tokens = SharedTokens()
