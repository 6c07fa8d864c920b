"""Twins in memory of what a connector is handed: a file store and the hub's memory of files."""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from connectors.contract import Page
from connectors.transport.files import FileInfo, Files, Troubles, each, join, safe_path, wanted

__all__ = ["MemoryFiles", "MemoryHistory", "Seen"]


class MemoryFiles:
    """`FileStore` in memory. `content` maps each path to its bytes; `folders` are those that exist."""

    def __init__(self, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.content: dict[str, bytes] = {}
        self.folders: set[str] = {""}
        self._modified: dict[str, datetime] = {}
        self._now = now

    @classmethod
    def of_folder(cls, root: Path, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> Self:
        """A store that begins as a copy of a folder; a missing folder gives an empty store."""
        store = cls(now=now)
        for path in sorted(root.rglob("*")):
            name = path.relative_to(root).as_posix()
            if path.is_dir():
                store.make_folder(name)
            elif path.name != ".gitkeep":
                store.make_folder(posixpath.dirname(name))
                store.write(name, path.read_bytes())
        return store

    def list(self, folder: str, pattern: str = "*") -> Files:
        inside = self._folder(folder)
        names = (
            posixpath.basename(path) for path in sorted(self.content) if posixpath.dirname(path) == inside
        )
        return [self.stat(join(folder, name)) for name in wanted(names, pattern)]

    @contextmanager
    def open_read(self, path: str) -> Iterator[BinaryIO]:
        with BytesIO(self.content[self._file(path)]) as stream:
            yield stream

    def fetch(self, paths: Sequence[str]) -> Iterator[AbstractContextManager[BinaryIO]]:
        return map(self.open_read, paths)

    def write(self, path: str, source: BinaryIO | bytes, *, overwrite: bool = False) -> FileInfo:
        place = self._place(path)
        if place in self.content and not overwrite:
            raise FileExistsError(f"{path} is there already")
        self.content[place] = source if isinstance(source, bytes) else source.read()
        self._modified[place] = self._now()
        return self.stat(path)

    def rename(self, old: str, new: str, *, overwrite: bool = False) -> None:
        source, target = self._file(old), self._place(new)
        if target in self.content and not overwrite:
            raise FileExistsError(f"{new} is there already")
        self.content[target] = self.content.pop(source)
        self._modified[target] = self._modified.pop(source)

    def rename_each(self, moves: Sequence[tuple[str, str]]) -> Troubles:
        return each(self.rename, moves)

    def delete(self, path: str) -> None:
        place = self._file(path)
        del self.content[place], self._modified[place]

    def delete_each(self, paths: Sequence[str]) -> Troubles:
        return each(self.delete, ((path,) for path in paths))

    def stat(self, path: str) -> FileInfo:
        place = self._file(path)
        return FileInfo(posixpath.basename(place), path, len(self.content[place]), self._modified[place])

    def exists(self, path: str) -> bool:
        return "/".join(safe_path(path)) in self.content

    def make_folder(self, folder: str) -> None:
        parts = safe_path(folder)
        self.folders.update("/".join(parts[:depth]) for depth in range(len(parts) + 1))

    def describe(self) -> str:
        return "memory"

    def close(self) -> None:
        """There is nothing to close."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _folder(self, folder: str) -> str:
        inside = "/".join(safe_path(folder))
        if inside not in self.folders:
            raise FileNotFoundError(f"there is no folder {folder}")
        return inside

    def _place(self, path: str) -> str:
        parts = safe_path(path)
        if not parts:
            raise ValueError(f"not a file's path: {path!r}")
        self._folder("/".join(parts[:-1]))
        return "/".join(parts)

    def _file(self, path: str) -> str:
        place = self._place(path)
        if place not in self.content:
            raise FileNotFoundError(f"there is no file {path}")
        return place


@dataclass(slots=True)
class Seen:
    """What the hub remembers of a file."""

    name: str
    sha256: str
    received_at: datetime
    sequence: int | None = None


class MemoryHistory:
    """`FileHistory` in memory; `add` what was stored."""

    def __init__(self) -> None:
        self.files: list[Seen] = []

    def add(self, page: Page, at: datetime) -> None:
        """Remember a page that is a file (it has bytes and a name)."""
        if isinstance(page.raw, bytes) and page.name is not None:
            digest = hashlib.sha256(page.raw).hexdigest()
            self.files.append(Seen(page.name, digest, at, page.sequence))

    def by_name(self, name: str) -> Seen | None:
        return next((file for file in reversed(self.files) if file.name == name), None)

    def by_sha256(self, digest: str) -> Seen | None:
        return next((file for file in reversed(self.files) if file.sha256 == digest), None)

    def last_sequence(self, name_prefix: str) -> int | None:
        numbers = [
            f.sequence for f in self.files if f.name.startswith(name_prefix) and f.sequence is not None
        ]
        return max(numbers, default=None)
