"""Recognising an erased person who comes again, without keeping who it was: keyed hashes.

The key is `TSUNAGI_ERASURE_KEY`, any long random text, the same on every machine; without it a generated one in the
home folder. A hash of an e-mail address without a key could be found by trying addresses; with it nobody can who does
not hold the key. Lose it and nobody is recognised any more, so a wrong one stops taking in instead.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, text

from connectors.contract import Misconfigured
from hub.erasure.values import Person, fold
from hub.home import Home, Settings

__all__ = ["Marks", "erasure_key", "marks_of_customer", "marks_of_order", "marks_of_person", "subject_of"]

# all are made with one key: whoever adds some has looked at one of those that are there
_USED = text("SELECT key_id FROM erasure_mark LIMIT 1")
_PUT = text("""
    INSERT INTO erasure_mark (mark, key_id, erasure_id, erased_at)
    SELECT u.mark, :key_id, :erasure, now() FROM unnest(CAST(:marks AS bytea[])) AS u(mark)
    ON CONFLICT (mark) DO UPDATE SET erasure_id = excluded.erasure_id, erased_at = excluded.erased_at,
                                     returned_at = NULL
""")


def erasure_key(home: Home | None = None, env: Mapping[str, str] = os.environ) -> bytes:
    """The key of the hashes; one is generated on first use where none is set."""
    given = env.get("TSUNAGI_ERASURE_KEY", "").strip()
    secret = given or (home or Settings.from_env().home).secret("erasure-key")
    return hashlib.blake2b(secret.encode(), digest_size=32, person=b"tsunagi-erase").digest()


class Marks:
    """Makes the hashes. Open with the key of this machine."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self.key_id = self.of("key", "check")

    @classmethod
    def open(cls, connection: Connection) -> Marks | None:
        """None when nobody was ever erased. Raises Misconfigured when the marks were made with another key."""
        used = connection.scalar(_USED)
        if used is None:
            return None
        marks = cls(erasure_key())
        if bytes(used) != marks.key_id:
            raise Misconfigured(
                "erased persons cannot be recognised: the key in this machine's home (secrets/erasure-key.txt, or "
                "TSUNAGI_ERASURE_KEY) is not the one they were erased with. Put that key there, from the machine "
                "that erased or from a backup"
            )
        return marks

    def of(self, what: str, *parts: str) -> bytes:
        """The hash of one thing a person is known by."""
        body = "\0".join((what, *parts)).encode()
        return hashlib.blake2b(body, digest_size=20, key=self._key).digest()

    def put(self, connection: Connection, erasure: int, marks: Sequence[bytes]) -> None:
        """Remember them, in the caller's transaction."""
        connection.execute(_PUT, {"marks": list(marks), "key_id": self.key_id, "erasure": erasure})


def subject_of(marks: Marks, key: str) -> bytes:
    """What an erasure is found by, given the key again."""
    return marks.of("subject", key)


def marks_of_person(marks: Marks, person: Person, references: Sequence[tuple[str, str]]) -> list[bytes]:
    """All an erased person is recognised by. `references`: the system and external id of each customer record."""
    found = {marks.of("key", key) for key in person.keys}
    found |= {marks.of("id", system, external) for system, external in references}
    found |= {marks.of("email", email) for email in person.emails}
    found |= {marks.of("phone", phone, name) for phone in person.phones for name in person.names}
    return sorted(found)


def marks_of_customer(marks: Marks, system: str, external: str | None, key: str) -> set[bytes]:
    """What a customer record is recognised by: its key and its id. Two persons may share an e-mail address."""
    found = {marks.of("key", key)}
    if external:
        found.add(marks.of("id", system, external))
    return found


def marks_of_order(marks: Marks, content: Mapping[str, Any]) -> set[bytes]:
    """What an order is recognised by: its customer, or the buyer where it names no customer."""
    customer = content.get("customer_key")
    if customer:
        return {marks.of("key", customer)}
    buyer = content.get("buyer") or {}
    found: set[bytes] = set()
    if buyer.get("email"):
        found.add(marks.of("email", fold(buyer["email"])))
    name = (buyer.get("name") or {}).get("full")
    if buyer.get("phone") and name:
        found.add(marks.of("phone", fold(buyer["phone"]), fold(name)))
    return found
