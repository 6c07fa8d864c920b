"""API keys: `tsk_<id>_<secret>`, of which the store keeps the id and a hash.

A secret is 256 random bits, so one round of SHA-256 is as good as a slow hash: there is nothing to guess.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pydantic import SecretStr
from sqlalchemy import Connection, Row, text
from sqlalchemy.exc import IntegrityError

from hub.api.scopes import checked
from hub.words import HubError

__all__ = [
    "ApiKey",
    "KeyNameTaken",
    "UnknownKey",
    "create_key",
    "hash_of",
    "list_keys",
    "note_use",
    "revoke_key",
]

_ALPHABET = "23456789abcdefghjkmnpqrstuvwxyz"  # nothing that looks like something else
_COLUMNS = "id, name, hash, scopes, created_at, expires_at, last_used_at, revoked_at"


class KeyNameTaken(HubError):
    """A living key has this name."""


class UnknownKey(HubError):
    """No living key has this name or id."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key without its secret. `state`: valid, expired or revoked."""

    id: str
    name: str
    hash: bytes = field(repr=False)
    scopes: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None = None
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None

    def state(self, now: datetime) -> str:
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= now else "valid"


_CREATE = text(f"""
    INSERT INTO api_key (id, name, hash, scopes, expires_at) VALUES (:id, :name, :hash, :scopes, :expires_at)
    RETURNING {_COLUMNS}
""")  # noqa: S608  (the columns are ours)
_LIST = text(f"SELECT {_COLUMNS} FROM api_key ORDER BY created_at, id")  # noqa: S608
_REVOKE = text(f"""
    UPDATE api_key SET revoked_at = now() WHERE id = (
        SELECT id FROM api_key WHERE :named IN (id, name) AND revoked_at IS NULL ORDER BY id = :named DESC LIMIT 1)
    RETURNING {_COLUMNS}
""")  # noqa: S608
_USED = text("""
    UPDATE api_key AS k SET last_used_at = greatest(k.last_used_at, u.at)
    FROM unnest(CAST(:ids AS text[]), CAST(:times AS timestamptz[])) AS u(id, at) WHERE k.id = u.id
""")


def hash_of(key: str) -> bytes:
    """What is kept of a key."""
    return hashlib.sha256(key.encode()).digest()


def create_key(
    connection: Connection, name: str, scopes: Iterable[str], *, expires_at: datetime | None = None
) -> tuple[ApiKey, SecretStr]:
    """A new key, and its secret, which is told nowhere else and never again. Raises ScopeError or KeyNameTaken."""
    wanted = checked(scopes)
    key_id = "".join(secrets.choice(_ALPHABET) for _ in range(10))
    secret = f"tsk_{key_id}_{secrets.token_urlsafe(32)}"
    values = {
        "id": key_id,
        "name": name,
        "hash": hash_of(secret),
        "scopes": list(wanted),
        "expires_at": expires_at,
    }
    try:
        row = connection.execute(_CREATE, values).one()
    except IntegrityError:
        raise KeyNameTaken(
            f"「{name}」という名前の鍵がすでにあります。失効させるか、別の名前にしてください。",
            f"There is a key named {name!r}. Revoke it, or choose another name.",
        ) from None
    return _key(row), SecretStr(secret)


def list_keys(connection: Connection) -> list[ApiKey]:
    """All keys, oldest first, revoked ones too."""
    return [_key(row) for row in connection.execute(_LIST)]


def revoke_key(connection: Connection, named: str) -> ApiKey:
    """End a key, by its name or id. Raises UnknownKey."""
    row = connection.execute(_REVOKE, {"named": named}).one_or_none()
    if row is None:
        raise UnknownKey(
            f"「{named}」という有効な鍵はありません。一覧: tsunagi key list",
            f"No living key is named {named!r}. See tsunagi key list.",
        )
    return _key(row)


def note_use(connection: Connection, used: Mapping[str, datetime]) -> None:
    """Write down when keys were last used: id -> moment."""
    connection.execute(_USED, {"ids": list(used), "times": list(used.values())})


def _key(row: Row[Any]) -> ApiKey:
    return ApiKey(**{**row._mapping, "hash": bytes(row.hash), "scopes": tuple(row.scopes)})
