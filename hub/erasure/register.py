"""The register of erasures: certificates without personal data, proof that nothing is left, and lifting one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, text

from hub.erasure.files import archives, home_files
from hub.erasure.marks import Marks, subject_of
from hub.erasure.run import user_name
from hub.erasure.scan import Place, search, search_files
from hub.home import Home, Settings
from hub.logs import mask
from hub.words import HubError

if TYPE_CHECKING:
    from hub.engine import Hub

__all__ = ["Certificate", "NoSuchErasure", "certificate", "certificates", "lift", "remains"]


class NoSuchErasure(HubError):
    """There is no erasure of this number or key."""

    def __init__(self, asked: str) -> None:
        shown = mask("key", asked)
        super().__init__(
            f"消去の記録 {shown} はありません。tsunagi erase list で番号を確認してください。",
            f"There is no erasure {shown}. See tsunagi erase list.",
        )


@dataclass(frozen=True, slots=True)
class Certificate:
    """One erasure: who asked, when, why, how much in which place. `seal` is the SHA-256 of the rest, in hex."""

    id: int
    erased_at: datetime
    requested_by: str
    reason: str
    places: dict[str, int]
    systems: list[str]
    seal: str
    lifted_at: datetime | None
    lifted_by: str | None

    def as_dict(self) -> dict[str, Any]:
        """The certificate as JSON-able values."""
        return asdict(self)


_COLUMNS = "id, erased_at, requested_by, reason, places, systems, encode(digest, 'hex') AS seal, lifted_at, lifted_by"
_LIST = text(f"SELECT {_COLUMNS} FROM erasure ORDER BY id")  # noqa: S608
_ONE = text(f"SELECT {_COLUMNS} FROM erasure WHERE id = :id")  # noqa: S608
_OF_SUBJECT = text("SELECT max(id) FROM erasure WHERE subject = :subject")
_LIFT = text("UPDATE erasure SET lifted_at = now(), lifted_by = :by WHERE id = :id AND lifted_at IS NULL")
_UNMARK = text("DELETE FROM erasure_mark WHERE erasure_id = :id")
_UNNOTE = text("""
    DELETE FROM erased_entity AS x USING entity AS e
    WHERE x.erasure_id = :id AND e.id = x.entity_id AND e.kind <> 'customer'
""")


def certificates(connection: Connection) -> list[Certificate]:
    """Every erasure, oldest first."""
    return [Certificate(**row._mapping) for row in connection.execute(_LIST)]


def certificate(connection: Connection, asked: str) -> Certificate:
    """An erasure by its number, or the newest of a customer key. Raises NoSuchErasure."""
    number = int(asked) if asked.isascii() and asked.isdigit() else _of_key(connection, asked)
    row = None if number is None else connection.execute(_ONE, {"id": number}).one_or_none()
    if row is None:
        raise NoSuchErasure(asked)
    return Certificate(**row._mapping)


def _of_key(connection: Connection, key: str) -> int | None:
    marks = Marks.open(connection)
    if marks is None:
        return None
    found: int | None = connection.scalar(_OF_SUBJECT, {"subject": subject_of(marks, key)})
    return found


def remains(hub: Hub, values: Sequence[str], *, home: Home | None = None) -> tuple[list[Place], list[Path]]:
    """Where one of the values still stands: columns of the database, and files of home and archives. Only reads."""
    home = home or Settings.from_env().home
    with hub.engine.connect() as connection:
        places = search(connection, values)
    return places, search_files([*home_files(home), *archives(hub)], values)


def lift(connection: Connection, number: int, *, by: str | None = None) -> bool:
    """Let the person come in again with the next listing; the certificate stays. Whether it was not lifted before.

    What was erased stays erased until a system tells it anew.
    """
    lifted = connection.execute(_LIFT, {"id": number, "by": by or user_name()}).rowcount > 0
    connection.execute(_UNMARK, {"id": number})
    connection.execute(_UNNOTE, {"id": number})
    return lifted
