"""Files: logs and reports in the home, and archives of what file systems on this machine sent and got.

Everything is overwritten in place with blanks of the same length: a process that is writing to the file goes on, and a
crash half-way leaves a file the next run finishes.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from connectors.contract import Misconfigured
from connectors.file_exchange.config import FileExchangeConfig, InInterface
from hub.erasure.pages import blanked, line_ends, overwritten
from hub.erasure.values import Person, fold, patterns
from hub.home import Home

if TYPE_CHECKING:
    from hub.engine import Hub

__all__ = ["Needles", "archives", "clean_file", "holds", "home_files", "remote_archives"]

_LEFT_OUT = frozenset({"postgres", "secrets"})
"""Folders of the home that hold no copies: the database's own files, and keys."""
_MOST = 512 << 20
_TABLES = frozenset({".csv", ".txt", ".tsv", ".data", ".dat"})


def home_files(home: Home) -> Iterator[Path]:
    """Every file below the home that may hold a copy."""
    for folder in sorted(home.root.glob("*")):
        if folder.is_symlink() or folder.name in _LEFT_OUT:
            continue
        yield from _files_below(folder) if folder.is_dir() else (folder,)


def _files_below(folder: Path) -> Iterator[Path]:
    for at, _, names in os.walk(folder):
        for name in sorted(names):
            path = Path(at, name)
            if path.is_file() and not path.is_symlink():
                yield path


def _configs(hub: Hub) -> Iterator[tuple[str, FileExchangeConfig]]:
    for system in hub.systems.systems:
        try:
            config = hub.settings_of(system)
        except Misconfigured:
            continue
        if isinstance(config, FileExchangeConfig):
            yield system, config


def _kept_folders(config: FileExchangeConfig) -> list[str]:
    """Where files lie that were taken in, held or sent, below the root: our side of the exchange."""
    folders: list[str] = []
    for interface in config.interfaces:
        if isinstance(interface, InInterface):
            folders += [interface.place(which) for which in ("processing", "done", "held", "error")]
        else:
            folders.append(interface.sent_folder)
    return folders


def archives(hub: Hub) -> Iterator[Path]:
    """Archived files of file systems on this machine."""
    for _, config in _configs(hub):
        if config.protocol == "local":
            for folder in _kept_folders(config):
                yield from _files_below(Path(config.root, folder))


def remote_archives(hub: Hub) -> list[tuple[str, str]]:
    """System and folder of archives on the other side, which only its people can clean."""
    return [
        (system, f"{config.host}:{config.root.rstrip('/')}/{folder}")
        for system, config in _configs(hub)
        if config.protocol != "local"
        for folder in _kept_folders(config)
    ]


@dataclass(frozen=True, slots=True)
class Needles:
    """A person's values as bytes, in every encoding.

    sure    e-mail addresses and phone numbers
    named   names and kana; others may have the same
    placed  streets; others live there too
    """

    sure: Sequence[bytes]
    named: Sequence[bytes]
    placed: Sequence[bytes]

    @classmethod
    def of(cls, person: Person) -> Self:
        """Of everything that is known of a person."""
        names = {one for one in person.names | person.kana if len(one) >= 3}
        sure = person.sure | {fold(key) for key in person.keys if "@" in key}
        return cls(
            patterns(person.written(sure)), patterns(person.written(names)),
            patterns(person.written(person.addresses)),
        )  # fmt: skip

    @property
    def every(self) -> list[bytes]:
        """All of them, longest first."""
        return sorted((*self.sure, *self.named, *self.placed), key=len, reverse=True)

    def meant(self, line: bytes) -> bool:
        """Whether a row of a table is about the person, and not about somebody of the same name or house."""
        if any(one in line for one in self.sure):
            return True
        return any(one in line for one in self.named) and any(one in line for one in self.placed)


def clean_file(path: Path, needles: Needles, pages: Mapping[bytes, bytes]) -> bool | None:
    """Overwrite what a file holds of the person. Returns whether it held anything; None if it cannot be cleaned.

    Of a table the rows about the person are blanked whole; in any other file the values are, wherever they stand.

    pages  SHA-256 of a file as received -> the same bytes with the person's rows blanked
    """
    every = needles.every
    try:
        if path.stat().st_size > _MOST:
            return None if holds(path, every) else False
        body = path.read_bytes()
    except FileNotFoundError:
        return False  # it was archived or rotated meanwhile
    new = pages.get(hashlib.sha256(body).digest()) if pages else None
    if new is None:
        if not any(needle in body for needle in every):
            return False
        if _is_binary(body):
            return None
        table = path.suffix.lower() in _TABLES
        new = _rows_blanked(body, needles) if table else overwritten(body, every)
    if new == body:
        return False
    with path.open("r+b") as file:
        for at in range(0, len(body), 1 << 16):
            if body[at : at + (1 << 16)] != new[at : at + (1 << 16)]:
                file.seek(at)
                file.write(new[at : at + (1 << 16)])
        file.flush()
        os.fsync(file.fileno())
    return True


def holds(path: Path, needles: Sequence[bytes]) -> bool:
    """Whether a file holds one of these in its bytes."""
    overlap = max(map(len, needles), default=1)
    tail = b""
    with path.open("rb") as file:
        while part := file.read(1 << 24):
            if any(needle in tail + part for needle in needles):
                return True
            tail = part[-overlap:]
    return False


def _is_binary(body: bytes) -> bool:
    """Packed files and databases would break; UTF-16 has zero bytes too, but begins with its mark."""
    return b"\x00" in body and not body.startswith((b"\xff\xfe", b"\xfe\xff"))


def _rows_blanked(body: bytes, needles: Needles) -> bytes:
    """A table without the rows that are about the person: a row says more than its needles."""
    result, begin = bytearray(body), 0
    for end in line_ends(body):
        if needles.meant(body[begin:end]):
            result[begin:end] = blanked(body[begin:end])
        begin = end
    return bytes(result)
