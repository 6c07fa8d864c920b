"""SFTP as a file store, by asyncssh.

The server must show a host key that was pinned in the settings; there is no way to switch that off. Facts behind the
rules: `rename` onto an existing file fails on OpenSSH where `posix-rename` succeeds; many requests at once make some
servers stop answering; a server may take fewer bytes at once than it says; agents and found keys end in "Too many
authentication failures".
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import io
import posixpath
import stat
import tempfile
from collections import deque
from collections.abc import Awaitable, Callable, Generator, Iterator, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, closing, contextmanager
from datetime import UTC, datetime
from functools import partial
from types import TracebackType
from typing import BinaryIO, NamedTuple, Self

import asyncssh
import tenacity
from asyncssh.packet import PacketDecodeError

from connectors.contract import ConnectorError, Misconfigured, Retry
from connectors.transport.files import (
    AHEAD,
    FileInfo,
    Files,
    Trouble,
    Troubles,
    join,
    safe_path,
    temporary_name,
    wanted,
)
from connectors.transport.sftp_connection import LOST, Connection, SftpSettings, words

__all__ = ["Sftp", "SftpSettings"]

_TOGETHER = 64
"""Most files open at once."""

_MISSING = (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath)

_ERRORS = (asyncssh.Error, PacketDecodeError, OSError, EOFError)


class Sftp:
    """`FileStore` over one SFTP account. Not for several threads at once.

    One login and one channel, with many requests under way on it: partners allow few logins at once.
    """

    def __init__(self, settings: SftpSettings) -> None:
        self._settings = settings
        self._connection: Connection | None = None

    # ------------------------------------------------------------ files

    def list(self, folder: str, pattern: str = "*") -> Files:
        with self._speaking(f"list {folder}") as connection:
            entries = connection.do(_entries, connection, self._remote(folder))
        try:
            found = {name.decode(): attributes for name, attributes in entries}
        except UnicodeDecodeError:
            raise Misconfigured(
                f"{self.describe()}: {folder} holds a file whose name is not UTF-8; "
                "agree on ASCII names with the sender"
            ) from None
        names = wanted(iter(sorted(found)), pattern)
        return [_info(join(folder, name), found[name]) for name in names if _is_file(found[name])]

    @contextmanager
    def open_read(self, path: str) -> Iterator[BinaryIO]:
        with closing(self._fetched([path])) as only, next(only) as stream:
            yield stream

    def fetch(self, paths: Sequence[str]) -> Iterator[AbstractContextManager[BinaryIO]]:
        return self._fetched(paths)

    def _fetched(self, paths: Sequence[str]) -> Generator[AbstractContextManager[BinaryIO], None, None]:
        todo = deque(enumerate(self._remote(path) for path in paths))
        coming: deque[_Download] = deque()
        ahead = _Ahead()
        connection: Connection | None = None
        try:
            for number, path in enumerate(paths):
                with self._speaking(f"read {path}") as now:
                    if now is not (connection := connection or now):
                        raise ConnectionError("it was closed meanwhile")
                    while todo and len(coming) < min(_TOGETHER, now.at_once):
                        coming.append(_Download(now, *todo.popleft(), self._spool(), ahead))
                    now.tell(ahead.reach, number)
                came = self._outcome(path, coming[0])
                yield self._opened(path, coming.popleft(), came)
        finally:
            for download in coming:
                download.close()

    def _outcome(self, path: str, download: _Download) -> _Sizes | Trouble:
        """What came of it. Only what ends the connection is raised."""
        try:
            with self._speaking(f"read {path}") as connection:
                return connection.end(download.sizes)
        except (FileNotFoundError, FileExistsError, ConnectorError) as trouble:
            if self._connection is None:
                raise
            return trouble

    @contextmanager
    def _opened(self, path: str, download: _Download, came: _Sizes | Trouble) -> Iterator[BinaryIO]:
        with closing(download):
            if isinstance(came, Exception):
                raise came
            if not came.before == came.read == came.after:
                raise Retry(
                    f"{path}: got {came.read} bytes of {came.before}, now {came.after}: it is still being written"
                )
            download.spool.seek(0)
            yield download.spool

    def _spool(self) -> BinaryIO:
        try:
            # without a name: a killed process leaves nothing behind
            return tempfile.TemporaryFile(dir=self._settings.spool)
        except OSError as error:
            raise Misconfigured(
                f"{self.describe()}: no file can be made for what is fetched ({words(error)}); mend `spool`"
            ) from error

    def write(self, path: str, source: BinaryIO | bytes, *, overwrite: bool = False) -> FileInfo:
        temporary, target = self._remote(temporary_name(path)), self._remote(path)
        stream = io.BytesIO(source) if isinstance(source, bytes) else source
        with self._speaking(f"write {path}") as connection:
            if not overwrite and connection.run(_exists(connection, target)):
                raise FileExistsError(f"{path} is there already")
            # some servers append to a file that is there instead of emptying it
            with contextlib.suppress(*_MISSING):
                connection.do(connection.sftp.remove, temporary)
            sent = _send(connection, temporary, stream)
            written = None
            if self._settings.confirm:
                written = connection.do(connection.sftp.stat, temporary)
                if written.size != sent:
                    raise Retry(
                        f"{path}: sent {sent} bytes, the server has {written.size} (disk full or quota?)"
                    )
        self.rename(temporary_name(path), path, overwrite=overwrite)
        if written is None:
            return FileInfo(posixpath.basename(path), path, sent, datetime.now(UTC))
        return _info(path, written)

    def rename(self, old: str, new: str, *, overwrite: bool = False) -> None:
        source, target = self._remote(old), self._remote(new)
        with self._speaking(f"rename {old} to {new}") as connection:
            if not overwrite:
                connection.run(_rename(connection, source, target))
                return
            try:
                connection.do(connection.sftp.posix_rename, source, target)
            except (*LOST, *_MISSING, asyncssh.SFTPPermissionDenied):
                raise
            except asyncssh.SFTPError as error:
                self._replace_by_hand(connection, source, target, error)

    def rename_each(self, moves: Sequence[tuple[str, str]]) -> Troubles:
        pairs = [(self._remote(old), self._remote(new)) for old, new in moves]
        return self._each(
            [f"rename {old} to {new}" for old, new in moves],
            lambda connection: [partial(_rename, connection, *pair) for pair in pairs],
        )

    def _replace_by_hand(
        self, connection: Connection, source: bytes, target: bytes, error: asyncssh.SFTPError
    ) -> None:
        if connection.run(_exists(connection, target)):
            if self._settings.replace == "refuse":
                raise Misconfigured(
                    f"{self.describe()}: the server cannot replace {posixpath.basename(target).decode()} "
                    f"({words(error)}); set replace: delete_first if a short gap without the file is acceptable"
                ) from error
            connection.do(connection.sftp.remove, target)
        connection.do(connection.sftp.rename, source, target)

    def delete(self, path: str) -> None:
        with self._speaking(f"delete {path}") as connection:
            connection.do(connection.sftp.remove, self._remote(path))

    def delete_each(self, paths: Sequence[str]) -> Troubles:
        remotes = [self._remote(path) for path in paths]
        return self._each(
            [f"delete {path}" for path in paths],
            lambda connection: [
                partial(connection.ask, connection.sftp.remove, remote) for remote in remotes
            ],
        )

    def _each(
        self, doings: Sequence[str], works: Callable[[Connection], Sequence[Callable[[], Awaitable[None]]]]
    ) -> Troubles:
        """Many small pieces of work at once; what each came to."""
        if not doings:
            return []
        came: Troubles = [None] * len(doings)

        async def attempt(number: int, work: Callable[[], Awaitable[None]]) -> None:
            try:
                await work()
            except LOST:
                raise
            except _ERRORS as error:
                came[number] = self._trouble(doings[number], error)

        with self._speaking(doings[0]) as connection:
            jobs = [partial(attempt, number, work) for number, work in enumerate(works(connection))]
            connection.run(connection.all(jobs))
        return came

    def stat(self, path: str) -> FileInfo:
        with self._speaking(f"stat {path}") as connection:
            found = connection.do(connection.sftp.stat, self._remote(path))
        if not _is_file(found):
            raise FileNotFoundError(f"{path} is not a file")
        return _info(path, found)

    def exists(self, path: str) -> bool:
        try:
            self.stat(path)
        except FileNotFoundError:
            return False
        return True

    def make_folder(self, folder: str) -> None:
        parts = safe_path(folder)
        with self._speaking(f"make folder {folder}") as connection:
            if connection.run(_exists(connection, self._remote(folder))):
                return
            for depth in range(1, len(parts) + 1):
                made = self._remote("/".join(parts[:depth]))
                if not connection.run(_exists(connection, made)):
                    connection.do(connection.sftp.mkdir, made)

    def describe(self) -> str:
        s = self._settings
        return f"sftp://{s.user}@{s.host}:{s.port}/{'' if s.root == '.' else s.root.lstrip('/')}"

    # ------------------------------------------------------------ the connection

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _remote(self, path: str) -> bytes:
        return posixpath.join(self._settings.root, *safe_path(path)).encode()

    @contextmanager
    def _speaking(self, doing: str) -> Iterator[Connection]:
        """The open connection; what goes wrong on it in the words of the contract."""
        connection = self._connected()
        try:
            yield connection
        except _ERRORS as error:
            if isinstance(error, LOST):
                self.close()
            raise self._trouble(doing, error) from error

    def _trouble(self, doing: str, error: Exception) -> Trouble:
        where, said = self.describe(), words(error)
        if isinstance(error, FileNotFoundError | FileExistsError):
            return error
        if isinstance(error, _MISSING):
            return FileNotFoundError(errno.ENOENT, f"could not {doing}: {said}")
        if isinstance(error, asyncssh.SFTPPermissionDenied):
            return Misconfigured(f"{where}: no permission to {doing}")
        if isinstance(error, LOST):
            hint = (
                ". If this comes again and again, the server may not bear several requests at once: set prefetch: 0"
                if self._settings.prefetch > 1
                else ""
            )
            return Retry(f"{where}: connection lost while trying to {doing}: {said}{hint}")
        # "Failure" is also disk full and quota
        return Retry(f"{where}: could not {doing}: {said}")

    def _connected(self) -> Connection:
        if self._connection is None:
            again = tenacity.Retrying(
                retry=tenacity.retry_if_exception_type(Retry),
                stop=tenacity.stop_after_attempt(self._settings.attempts),
                wait=tenacity.wait_random_exponential(multiplier=0.3, max=10),
                reraise=True,
            )
            self._connection = again(Connection, self._settings, self.describe())
        return self._connection


# ---------------------------------------------------------------- pieces of work, in the connection's loop


async def _entries(connection: Connection, folder: bytes) -> list[tuple[bytes, asyncssh.SFTPAttrs]]:
    found: list[tuple[bytes, asyncssh.SFTPAttrs]] = []
    async for entry in connection.sftp.scandir(folder):
        assert isinstance(entry.filename, bytes)
        found.append((entry.filename, entry.attrs))
        connection.hear()
    return found


async def _exists(connection: Connection, path: bytes) -> bool:
    try:
        await connection.ask(connection.sftp.stat, path)
    except _MISSING:
        return False
    return True


async def _rename(connection: Connection, source: bytes, target: bytes) -> None:
    """Move where nothing is. A missing source is told of before a target that is there."""
    # some servers overwrite, others answer a bare "Failure": so it is looked first
    if await _exists(connection, target):
        await connection.ask(connection.sftp.stat, source)
        raise FileExistsError(errno.EEXIST, "there is a file of that name already", target.decode())
    await connection.ask(connection.sftp.rename, source, target)


class _Sizes(NamedTuple):
    """How large a file was before it was read, how much was read, and how large it was after that."""

    before: int | None
    read: int
    after: int | None


class _Ahead:
    """The bytes of files that wait on disk, or are on their way there: about `AHEAD` at most."""

    def __init__(self) -> None:
        self._turn = 0
        self._waiting: dict[int, int] = {}
        self._moved = asyncio.Event()

    def reach(self, number: int) -> None:
        """File `number` is needed now: it may be as large as it is, and counts no more."""
        self._turn = number
        self._waiting.pop(number, None)
        self._moved.set()

    async def take(self, number: int, count: int) -> None:
        """Wait until `count` more bytes of file `number` may be asked for."""
        while number > self._turn:
            if sum(self._waiting.values()) + count <= AHEAD:
                self._waiting[number] = self._waiting.get(number, 0) + count
                return
            self._moved.clear()
            await self._moved.wait()


class _Download:
    """A file on its way into its spool."""

    def __init__(
        self, connection: Connection, number: int, path: bytes, spool: BinaryIO, ahead: _Ahead
    ) -> None:
        self.spool = spool
        self._connection = connection
        self.sizes: Future[_Sizes] = connection.begin(
            _bring(connection, path, spool, partial(ahead.take, number))
        )

    def close(self) -> None:
        """Give it up, or away what it brought."""
        if self.sizes.cancel():
            self._connection.tell(self.spool.close)  # there it may be written to just now
        else:
            self.spool.close()


async def _bring(
    connection: Connection, path: bytes, spool: BinaryIO, may_ask: Callable[[int], Awaitable[None]]
) -> _Sizes:
    """The whole file; before so many bytes more are asked for, `may_ask` is awaited."""
    sftp, block = connection.sftp, connection.read_block
    before = (await connection.ask(sftp.stat, path)).size
    file = await connection.ask(sftp.open, path, "rb", block_size=block, max_requests=1)
    read = 0

    async def part(at: int, count: int) -> None:
        nonlocal read
        await may_ask(count)
        data: bytes = await connection.ask(file.read, count, at)
        spool.seek(at)
        spool.write(data)
        read += len(data)

    size = before or 0
    try:
        await connection.all([partial(part, at, min(block, size - at)) for at in range(0, size, block)])
        after = (await connection.ask(sftp.stat, path)).size
    finally:
        await connection.ask(file.close)
    spool.flush()
    return _Sizes(before, read, after)


def _send(connection: Connection, path: bytes, source: BinaryIO) -> int:
    """All of `source` into a file that is made or emptied; how many bytes that were."""
    block = connection.write_block
    file = connection.do(connection.sftp.open, path, "wb", block_size=block, max_requests=1)
    sent = 0
    under_way: deque[Future[int]] = deque()
    try:
        while data := source.read(block):
            under_way.append(connection.begin(connection.ask(file.write, data, sent)))
            sent += len(data)
            if len(under_way) >= connection.at_once:
                connection.end(under_way.popleft())
        while under_way:
            connection.end(under_way.popleft())
    except LOST:
        raise
    except Exception:
        for writing in under_way:
            writing.cancel()
        connection.do(file.close)
        raise
    connection.do(file.close)
    return sent


def _is_file(found: asyncssh.SFTPAttrs) -> bool:
    return stat.S_ISREG(found.permissions or 0)


def _info(path: str, found: asyncssh.SFTPAttrs) -> FileInfo:
    return FileInfo(
        path.rsplit("/", 1)[-1], path, found.size or 0, datetime.fromtimestamp(found.mtime or 0, UTC)
    )
