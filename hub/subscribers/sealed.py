"""Secrets of subscribers: made here, encrypted in the store, several at once while one is being replaced.

The key is the one of the access tokens (`TSUNAGI_TOKEN_KEY`, see hub/tokens.py); a label of their own keeps the two
apart, so that neither can be passed off as the other.
"""

from __future__ import annotations

import base64
import hashlib
import secrets as random_secrets
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING

from pydantic import SecretStr
from sqlalchemy import Connection, text

from hub.home import Settings
from hub.tokens import token_key
from hub.words import HubError

if TYPE_CHECKING:
    from cryptography.fernet import Fernet

__all__ = ["Keys", "SecretUnreadable", "add_secret", "own_key", "replace_secret", "signing_secrets"]

Keys = Callable[[], SecretStr]
"""Gives the key that secrets are encrypted with."""

SECRETS = 3
"""Most secrets that sign at once: a header must not grow with every rotation."""

_ADD = text("INSERT INTO subscriber_secret (subscriber_id, sealed) VALUES (:id, :sealed)")
_EXPIRE = text("""
    UPDATE subscriber_secret SET expires_at = least(coalesce(expires_at, 'infinity'), now() + :overlap)
    WHERE subscriber_id = :id
""")
_DROP = text("""
    DELETE FROM subscriber_secret WHERE subscriber_id = :id AND (expires_at <= now() OR id NOT IN (
        SELECT id FROM subscriber_secret WHERE subscriber_id = :id ORDER BY id DESC LIMIT :keep))
""")
_SIGNING = text("""
    SELECT sealed FROM subscriber_secret WHERE subscriber_id = :id AND (expires_at IS NULL OR expires_at > now())
    ORDER BY id DESC
""")


class SecretUnreadable(HubError):
    """The secret was encrypted under another key."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"購読者「{name}」の秘密鍵を復号できません。TSUNAGI_TOKEN_KEY を元の値に戻すか、"
            f"`tsunagi subscriber rotate-secret {name}` の後に `tsunagi subscriber resume {name}` を実行してください。",
            f"The secret of the subscriber {name!r} cannot be decrypted. Set TSUNAGI_TOKEN_KEY back to what it was, or "
            f"run `tsunagi subscriber rotate-secret {name}` and then `tsunagi subscriber resume {name}`.",
        )


def own_key() -> SecretStr:
    """The key of this installation."""
    return token_key(Settings.from_env().home)


def _fernet(keys: Keys) -> Fernet:
    from cryptography.fernet import Fernet  # only where there are subscribers

    secret = keys().get_secret_value().encode()
    digest = hashlib.blake2b(secret, digest_size=32, person=b"tsunagi-webhook").digest()
    return Fernet(base64.urlsafe_b64encode(digest))


def add_secret(connection: Connection, subscriber_id: int, keys: Keys = own_key) -> SecretStr:
    """Make a secret in Standard Webhooks' form (`whsec_` and base64 of 32 random bytes), and keep it."""
    secret = "whsec_" + base64.b64encode(random_secrets.token_bytes(32)).decode()
    connection.execute(_ADD, {"id": subscriber_id, "sealed": _fernet(keys).encrypt(secret.encode())})
    return SecretStr(secret)


def replace_secret(
    connection: Connection, subscriber_id: int, overlap: timedelta, keys: Keys = own_key
) -> SecretStr:
    """A new secret; those before it sign too for `overlap`, and no longer."""
    connection.execute(_EXPIRE, {"id": subscriber_id, "overlap": overlap})
    made = add_secret(connection, subscriber_id, keys)
    connection.execute(_DROP, {"id": subscriber_id, "keep": SECRETS})
    return made


def signing_secrets(
    connection: Connection, subscriber_id: int, name: str, keys: Keys = own_key
) -> list[SecretStr]:
    """The secrets a message is signed with, newest first. Raises SecretUnreadable when the newest cannot be read."""
    from cryptography.fernet import InvalidToken

    fernet, found = _fernet(keys), []
    for number, sealed in enumerate(connection.scalars(_SIGNING, {"id": subscriber_id})):
        try:
            found.append(SecretStr(fernet.decrypt(bytes(sealed)).decode()))
        except InvalidToken:
            if number == 0:
                raise SecretUnreadable(name) from None
    return found
