"""A folder on this machine as a file store.

Every step of a path is opened below the one before it without following symbolic links, so that no name, however
made and whenever swapped, leads out of the root.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from connectors.contract import Misconfigured
from connectors.transport.files import (
    FileInfo,
    Files,
    Troubles,
    each,
    join,
    safe_path,
    temporary_name,
    wanted,
)

__all__ = ["LocalFolder"]

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class LocalFolder:
    """`FileStore` over `root`. Raises `Misconfigured` at the first use when there is no such folder.

    The root itself may be reached over symbolic links; nothing below it may be one.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def list(self, folder: str, pattern: str = "*") -> Files:
        with self._folder(folder) as at, os.scandir(at) as entries:
            found = {entry.name: entry.stat(follow_symlinks=False) for entry in entries}
        names = wanted(iter(sorted(found)), pattern)
        return [_info(join(folder, name), found[name]) for name in names if stat.S_ISREG(found[name].st_mode)]

    @contextmanager
    def open_read(self, path: str) -> Iterator[BinaryIO]:
        with self._parent(path) as (at, name):
            file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=at)
        with os.fdopen(file, "rb") as stream:
            if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                raise FileNotFoundError(f"{path} is not a file")
            yield stream

    def fetch(self, paths: Sequence[str]) -> Iterator[AbstractContextManager[BinaryIO]]:
        return map(self.open_read, paths)

    def write(self, path: str, source: BinaryIO | bytes, *, overwrite: bool = False) -> FileInfo:
        temporary = temporary_name(path)
        with self._parent(path) as (at, name), self._parent(temporary) as (_, temporary_part):
            if not overwrite and _there(name, at):
                raise FileExistsError(f"{path} is there already")
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary_part, dir_fd=at)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            with os.fdopen(os.open(temporary_part, flags, 0o644, dir_fd=at), "wb") as target:
                shutil.copyfileobj(BytesIO(source) if isinstance(source, bytes) else source, target, 1 << 20)
                target.flush()
                os.fsync(target.fileno())
            _move(temporary_part, name, at, at, overwrite=overwrite)
            os.fsync(at)
        return self.stat(path)

    def rename(self, old: str, new: str, *, overwrite: bool = False) -> None:
        with self._parent(old) as (source, name), self._parent(new) as (target, new_name):
            os.stat(name, dir_fd=source, follow_symlinks=False)
            _move(name, new_name, source, target, overwrite=overwrite)
            os.fsync(target)
            os.fsync(source)

    def rename_each(self, moves: Sequence[tuple[str, str]]) -> Troubles:
        return each(self.rename, moves)

    def delete(self, path: str) -> None:
        with self._parent(path) as (at, name):
            os.unlink(name, dir_fd=at)

    def delete_each(self, paths: Sequence[str]) -> Troubles:
        return each(self.delete, ((path,) for path in paths))

    def stat(self, path: str) -> FileInfo:
        with self._parent(path) as (at, name):
            found = os.stat(name, dir_fd=at, follow_symlinks=False)
        if not stat.S_ISREG(found.st_mode):
            raise FileNotFoundError(f"{path} is not a file")
        return _info(path, found)

    def exists(self, path: str) -> bool:
        try:
            self.stat(path)
        except FileNotFoundError:
            return False
        return True

    def make_folder(self, folder: str) -> None:
        made: list[str] = []
        for part in safe_path(folder):
            with self._folder("/".join(made)) as at, contextlib.suppress(FileExistsError):
                os.mkdir(part, 0o755, dir_fd=at)
            made.append(part)
        with self._folder(folder):
            pass

    def describe(self) -> str:
        return str(self._root)

    def close(self) -> None:
        """Nothing is kept open between calls."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def _folder(self, folder: str) -> Iterator[int]:
        """A descriptor of the folder, reached step by step. FileNotFoundError when it is not there."""
        try:
            at = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            raise Misconfigured(f"the folder {self._root} does not exist; create it or mend `root`") from None
        except PermissionError:
            raise Misconfigured(f"no permission to open the folder {self._root}") from None
        try:
            for part in safe_path(folder):
                try:
                    below = os.open(part, _FOLDER, dir_fd=at)
                except NotADirectoryError:
                    # ENOTDIR is also what a symbolic link gives: it may lead out of the root
                    raise FileNotFoundError(f"{folder} is not a folder of {self._root}") from None
                os.close(at)
                at = below
            yield at
        finally:
            os.close(at)

    @contextmanager
    def _parent(self, path: str) -> Iterator[tuple[int, str]]:
        *folders, name = safe_path(path) or ("",)
        if not name:
            raise ValueError(f"not a file's path: {path!r}")
        with self._folder("/".join(folders)) as at:
            yield at, name


def _there(name: str, at: int) -> bool:
    try:
        os.stat(name, dir_fd=at, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _same(name: str, source: int, new: str, target: int) -> bool:
    mine = os.stat(name, dir_fd=source, follow_symlinks=False)
    theirs = os.stat(new, dir_fd=target, follow_symlinks=False)
    return (mine.st_dev, mine.st_ino) == (theirs.st_dev, theirs.st_ino)


def _move(name: str, new: str, source: int, target: int, *, overwrite: bool) -> None:
    if overwrite:
        os.replace(name, new, src_dir_fd=source, dst_dir_fd=target)
        return
    try:
        # link fails when the name is taken, rename would overwrite it without a word
        os.link(name, new, src_dir_fd=source, dst_dir_fd=target, follow_symlinks=False)
    except FileExistsError:
        # a crash between link and unlink leaves one file under both names: finish what was begun
        if not _same(name, source, new, target):
            raise FileExistsError(f"{new} is there already") from None
        os.unlink(name, dir_fd=source)
    except PermissionError:
        # file systems without hard links (some network shares): look first, then rename
        if _there(new, target):
            raise FileExistsError(f"{new} is there already") from None
        os.rename(name, new, src_dir_fd=source, dst_dir_fd=target)
    else:
        os.unlink(name, dir_fd=source)


def _info(path: str, found: os.stat_result) -> FileInfo:
    return FileInfo(path.rsplit("/", 1)[-1], path, found.st_size, datetime.fromtimestamp(found.st_mtime, UTC))
