"""The file transport: one small protocol over a local folder and SFTP.

Paths are relative to the store's root, with `/` between the parts. Names that come from outside are never followed
when they hold a separator, `..` or a control character.
"""

from __future__ import annotations

import fnmatch
import posixpath
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import BinaryIO, Protocol, Self, runtime_checkable

from connectors.contract import ConnectorError

__all__ = [
    "AHEAD",
    "Capabilities",
    "FileInfo",
    "FileStore",
    "Files",
    "Trouble",
    "Troubles",
    "each",
    "is_safe_name",
    "join",
    "probe",
    "safe_path",
    "temporary_name",
    "wanted",
]


@dataclass(frozen=True, slots=True)
class FileInfo:
    """A file in a store. `modified` is the other side's clock: good for "unchanged since", not for order."""

    name: str
    path: str
    size: int
    modified: datetime


Files = list[FileInfo]
Trouble = FileNotFoundError | FileExistsError | ConnectorError
"""Why something could not be done with one file of many."""

Troubles = list[Trouble | None]

AHEAD = 32 * 1024 * 1024
"""Bytes of files that may wait on disk behind the one at hand."""


@runtime_checkable
class FileStore(Protocol):
    """A place with folders and files. It connects at the first use; close it when done.

    Errors: FileNotFoundError and FileExistsError speak of one file; `Retry` when the place cannot be reached now,
    `Misconfigured` when it never will until a person acts (login, host key, rights).
    """

    def list(self, folder: str, pattern: str = "*") -> Files:
        """Regular files directly in `folder` whose name fits the glob, by name. FileNotFoundError without the folder.

        Files still being written (`.x`, `_x`, `*.tmp`, `*.part`, `*.filepart`) and unsafe names are left out.
        """
        ...

    def open_read(self, path: str) -> AbstractContextManager[BinaryIO]:
        """The file's bytes as a seekable stream, complete: its size was checked against what the place says."""
        ...

    def fetch(self, paths: Sequence[str]) -> Iterator[AbstractContextManager[BinaryIO]]:
        """`open_read` of each path, in this order; meanwhile the next ones are brought here.

        What waits lies on disk, about `AHEAD` bytes. The error of a file is raised when that one is entered, and keeps
        no other back; what ends the connection is raised by the iterator. Enter each before the next is asked for.
        """
        ...

    def write(self, path: str, source: BinaryIO | bytes, *, overwrite: bool = False) -> FileInfo:
        """Write under a temporary name in the same folder, check the size, then rename.

        FileExistsError when the name is taken and `overwrite` is false.
        """
        ...

    def rename(self, old: str, new: str, *, overwrite: bool = False) -> None:
        """Move within the store, atomically. FileExistsError if `new` is there and `overwrite` is false.

        FileNotFoundError when `old` is missing, also where `new` is there.
        """
        ...

    def rename_each(self, moves: Sequence[tuple[str, str]]) -> Troubles:
        """`rename` of each pair (old, new), in no order; what each came to, instead of raising it.

        Only a lost connection is raised, as Retry: which were moved is not known then.
        """
        ...

    def delete(self, path: str) -> None: ...

    def delete_each(self, paths: Sequence[str]) -> Troubles:
        """`delete` of each path, as `rename_each`."""
        ...

    def stat(self, path: str) -> FileInfo:
        """FileNotFoundError when it is not there."""
        ...

    def exists(self, path: str) -> bool: ...

    def make_folder(self, folder: str) -> None:
        """Create the folder and those above it, as far as they are missing."""
        ...

    def describe(self) -> str:
        """Where this is, for people; no secrets."""
        ...

    def close(self) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def each(act: Callable[..., object], arguments: Iterable[Sequence[str]]) -> Troubles:
    """`rename_each` and `delete_each` for stores where one after the other is as fast."""
    came: Troubles = []
    for words in arguments:
        try:
            act(*words)
        except (FileNotFoundError, FileExistsError, ConnectorError) as trouble:
            came.append(trouble)
        else:
            came.append(None)
    return came


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an account may do in a folder, as tried out. chroot accounts often lack some of it."""

    list: bool = False
    write: bool = False
    rename: bool = False
    replace: bool = False
    delete: bool = False

    def missing(self) -> tuple[str, ...]:
        """The names of what did not work."""
        return tuple(
            name for name in ("list", "write", "rename", "replace", "delete") if not getattr(self, name)
        )


def probe(store: FileStore, folder: str, token: str) -> Capabilities:
    """Try out what the account may do in `folder` with two files `.tsunagi-probe-<token>`, and remove them.

    `replace` is a rename onto an existing file (SFTP: the extension posix-rename).
    """
    first, second = join(folder, f".tsunagi-probe-{token}"), join(folder, f".tsunagi-probe-{token}-2")
    done: dict[str, bool] = {}
    try:
        store.list(folder)
        done["list"] = True
        store.write(first, b"probe", overwrite=True)
        done["write"] = True
        store.rename(first, second)
        done["rename"] = True
        store.write(first, b"probe", overwrite=True)
        store.rename(first, second, overwrite=True)
        done["replace"] = True
    except OSError:
        pass
    for path in (first, second):
        try:
            store.delete(path)
            done["delete"] = True
        except OSError:
            continue
    return Capabilities(**done)


# ---------------------------------------------------------------- names


_UNFINISHED = (".tmp", ".part", ".filepart", ".writing")


def is_safe_name(name: str) -> bool:
    """Whether a name given by another machine is one plain file name."""
    return (
        bool(name)
        and name not in (".", "..")
        and "/" not in name
        and "\\" not in name
        and all(c.isprintable() for c in name)
        and len(name.encode("utf-8", "surrogatepass")) <= 255
    )


def safe_path(path: str) -> tuple[str, ...]:
    """The parts of a path within a store. Raises ValueError for anything that leads elsewhere."""
    parts = tuple(part for part in path.split("/") if part not in ("", "."))
    for part in parts:
        if not is_safe_name(part):
            raise ValueError(f"not a path inside the store: {path!r}")
    return parts


def join(folder: str, name: str) -> str:
    """`folder/name`; `name` must be one plain file name, else ValueError."""
    if not is_safe_name(name):
        raise ValueError(f"not a file name: {name!r}")
    return posixpath.join(folder, name) if folder not in ("", ".") else name


def temporary_name(path: str) -> str:
    """The name a file has while it is written: hidden, in the same folder, ignored by the usual globs."""
    folder, name = posixpath.split("/".join(safe_path(path)))
    return join(folder, f".{name}.tmp")


def wanted(names: Iterator[str], pattern: str) -> Iterator[str]:
    """The names `FileStore.list` shows: safe, finished, and fitting the glob."""
    for name in names:
        if not is_safe_name(name) or name[0] in "._" or name.lower().endswith(_UNFINISHED):
            continue
        if fnmatch.fnmatchcase(name, pattern):
            yield name
