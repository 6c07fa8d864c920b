"""SFTP, version 3, over one SSH channel, with many requests under way at once.

Why not paramiko's own SFTP client: it works at one file at a time, a round trip for each step, and moves the rest of
its buffer at every packet it reads (`docs/decisions/sftp-requests.md` has the figures). Only that layer is replaced;
keys, ciphers, login and the channel stay paramiko's.

Work is written as tasks: generators that send requests with `ask` and yield. `yield True` says that something was
sent, `yield False` that an answer is waited for. One thread drives them all; nothing here waits in another one.

Source: draft-ietf-secsh-filexfer-02. Numbers of packets are paramiko's names for them.
"""

from __future__ import annotations

import errno
import struct
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, Generic, NamedTuple, TypeVar, cast

import paramiko
from paramiko import sftp

__all__ = ["LARGE_CHUNK", "Attributes", "ConnectionLost", "Requests", "Sizes", "Steps", "Task"]

_CHUNK = 32 * 1024
"""Bytes asked for or sent in one request: every server takes that many."""

LARGE_CHUNK = 64 * 1024
"""The same, for reading from servers that say that they give more."""

_UNDER_WAY = 2 * 1024 * 1024
"""Bytes of one file asked for and not yet here."""

TOGETHER = 64
"""Most tasks worked at, and so most files open, however many requests may be under way."""

_LARGEST = 1 << 24
_STATUS_ERRORS = {sftp.SFTP_NO_SUCH_FILE: errno.ENOENT, sftp.SFTP_PERMISSION_DENIED: errno.EACCES}
_NO_ATTRIBUTES = struct.pack(">I", 0)
_LIMITS = b"limits@openssh.com"
_RENAME_OVER = b"posix-rename@openssh.com"

ResultT = TypeVar("ResultT")
Steps = Generator[bool, None, ResultT]


class ConnectionLost(paramiko.SSHException):
    """Nothing more can be asked on this channel."""


class Attributes(NamedTuple):
    """What a server says of a file, as far as it says it. `modified` is in seconds since 1970."""

    size: int | None
    mode: int | None
    modified: int | None


class Sizes(NamedTuple):
    """How large a file was before it was read, how much was read, and how large it was after that."""

    before: int | None
    read: int
    after: int | None

    @property
    def agree(self) -> bool:
        return self.before == self.read == self.after


class _Reply:
    """The answer to one request; `here` once it has come. Its readers raise OSError for what the server refused."""

    __slots__ = ("_handle", "given_up", "kind", "message")

    def __init__(self) -> None:
        self.kind: int | None = None
        self.message = paramiko.Message()
        self.given_up = False
        self._handle: bytes | None = None

    @property
    def here(self) -> bool:
        return self.kind is not None

    def status(self) -> None:
        """For requests that are answered by "done"."""
        self._expect(sftp.CMD_STATUS)

    def handle(self) -> bytes:
        if self._handle is None:
            self._expect(sftp.CMD_HANDLE)
            self._handle = self.message.get_binary()
        return self._handle

    def attributes(self) -> Attributes:
        self._expect(sftp.CMD_ATTRS)
        return _attributes(self.message)

    def exists(self) -> bool:
        """For STAT: whether there is something of that name."""
        try:
            self.attributes()
        except FileNotFoundError:
            return False
        return True

    def largest_read(self) -> int:
        """For "limits": longest packet, longest read, longest write, most handles."""
        if not self._expect(sftp.CMD_EXTENDED_REPLY):
            return 0
        self.message.get_int64()
        return self.message.get_int64()

    def data(self) -> bytes:
        """Bytes of a file; none at its end."""
        return self.message.get_binary() if self._expect(sftp.CMD_DATA) else b""

    def names(self) -> list[tuple[bytes, Attributes]]:
        """Entries of a folder; none at its end."""
        if not self._expect(sftp.CMD_NAME):
            return []
        found: list[tuple[bytes, Attributes]] = []
        for _ in range(self.message.get_int()):
            name, _long = self.message.get_binary(), self.message.get_binary()
            found.append((name, _attributes(self.message)))
        return found

    def _expect(self, kind: int) -> bool:
        """Whether the answer is of this kind; false at the end of a file or folder. Raises OSError."""
        if self.kind == sftp.CMD_STATUS:
            code, words = self.message.get_int(), self.message.get_text()
            if code == sftp.SFTP_EOF:
                return False
            if code in _STATUS_ERRORS:
                raise OSError(_STATUS_ERRORS[code], words)
            if code != sftp.SFTP_OK:
                raise OSError(words or f"status {code}")
        if self.kind != kind:
            raise OSError(f"the server answered with a packet of kind {self.kind} where {kind} was expected")
        return True


def _attributes(message: paramiko.Message) -> Attributes:
    flags = message.get_int()
    size = message.get_int64() if flags & paramiko.SFTPAttributes.FLAG_SIZE else None
    if flags & paramiko.SFTPAttributes.FLAG_UIDGID:
        message.get_bytes(8)
    mode = message.get_int() if flags & paramiko.SFTPAttributes.FLAG_PERMISSIONS else None
    modified = None
    if flags & paramiko.SFTPAttributes.FLAG_AMTIME:
        message.get_int()
        modified = message.get_int()
    if flags & paramiko.SFTPAttributes.FLAG_EXTENDED:
        for _ in range(2 * message.get_int()):
            message.get_binary()
    return Attributes(size, mode, modified)


class Task(Generic[ResultT]):
    """A piece of work of several requests: its result, or the OSError that ended it. `first`: others wait for it."""

    def __init__(self, steps: Steps[ResultT]) -> None:
        self._steps = steps
        self._result: ResultT | None = None
        self.error: OSError | None = None
        self.done = False
        self.first = False

    def result(self) -> ResultT:
        """Once it is done. Raises what ended it."""
        if self.error is not None:
            raise self.error
        return cast("ResultT", self._result)

    def advance(self, requests: Requests) -> None:
        """Send what can be sent now. Raises ConnectionLost."""
        try:
            while requests.room and next(self._steps):
                pass
        except StopIteration as end:
            self._result, self.done = end.value, True
        except OSError as error:
            self.error, self.done = error, True

    def close(self) -> None:
        """Give it up."""
        self._steps.close()


TaskT = TypeVar("TaskT", bound="Task[Any]")


class Requests:
    """The requests of one channel. Not for several threads at once; raises ConnectionLost when it is gone.

    at_once  how many may be under way; 1 (or 0) for servers that bear only one after the other
    """

    def __init__(self, channel: paramiko.Channel, at_once: int) -> None:
        self._channel = channel
        self._most = max(at_once, 1)
        self._under_way: dict[int, _Reply] = {}
        self._number = 0
        self._unwanted: list[bytes] = []
        self._rest = memoryview(b"")
        self._send(sftp.CMD_INIT, struct.pack(">I", 3))
        kind, message = self._packet()
        if kind != sftp.CMD_VERSION:
            raise ConnectionLost("this is no SFTP server")
        self._part = _CHUNK
        if _LIMITS in message.get_remainder():
            self._part = max(_CHUNK, min(self.do(self._largest_read()), LARGE_CHUNK))

    # ------------------------------------------------------------ packets

    @property
    def room(self) -> bool:
        """Whether one more request may be sent now."""
        return len(self._under_way) < self._most

    def ask(self, kind: int, *parts: bytes) -> _Reply:
        """Send a request. Where there is no room, an answer is waited for first."""
        while not self.room:
            self.receive()
        self._number = (self._number + 1) & 0xFFFFFFFF
        reply = self._under_way[self._number] = _Reply()
        self._send(kind, struct.pack(">I", self._number), *parts)
        return reply

    def receive(self) -> None:
        """Wait for one answer, to whichever request."""
        kind, message = self._packet()
        reply = self._under_way.pop(message.get_int(), None)
        if reply is None:
            raise ConnectionLost("the server answered a request that was never made")
        reply.kind, reply.message = kind, message
        if reply.given_up:
            self._give_up(reply)
        while self._unwanted and self.room:
            self.ask(sftp.CMD_CLOSE, self._unwanted.pop())

    def _send(self, kind: int, *parts: bytes) -> None:
        body = b"".join(parts)
        try:
            self._channel.sendall(struct.pack(">IB", len(body) + 1, kind) + body)
        except (OSError, EOFError) as error:
            raise ConnectionLost(str(error) or type(error).__name__) from error

    def _packet(self) -> tuple[int, paramiko.Message]:
        size, kind = struct.unpack(">IB", self._read(5))
        if not 0 < size < _LARGEST:
            raise ConnectionLost("the server sent something that is no SFTP")
        return kind, paramiko.Message(self._read(size - 1))

    def _read(self, count: int) -> bytes:
        parts: list[memoryview] = []
        while count:
            if not self._rest:
                try:
                    # all that has come: paramiko moves what is left over in its buffer, at each call
                    self._rest = memoryview(self._channel.recv(1 << 22))
                except (OSError, EOFError) as error:
                    raise ConnectionLost(str(error) or type(error).__name__) from error
                if not self._rest:
                    raise ConnectionLost("the server ended the connection")
            part = self._rest[:count]
            self._rest = self._rest[count:]
            parts.append(part)
            count -= len(part)
        return b"".join(parts)

    # ------------------------------------------------------------ many tasks at once, or one

    def in_order(self, tasks: Iterable[TaskT]) -> Generator[TaskT, None, None]:
        """Work at many tasks at once; gives each when it is done, in their order."""
        todo, active = iter(tasks), deque[TaskT]()
        try:
            while True:
                while not active and not self.room:
                    self.receive()
                self._advance(active, todo)
                if not active:
                    return
                active[0].first = True
                while not active[0].done:
                    active[0].advance(self)
                    if active[0].done:
                        break
                    self.receive()
                    self._advance(active, todo)
                yield active.popleft()
        finally:
            for task in active:
                task.close()

    def _advance(self, active: deque[TaskT], todo: Iterator[TaskT]) -> None:
        for task in active:
            if not self.room:
                return
            if not task.done:
                task.advance(self)
        while self.room and len(active) < TOGETHER:
            task_or_end = next(todo, None)
            if task_or_end is None:
                return
            active.append(task_or_end)
            task_or_end.advance(self)

    def do(self, steps: Steps[ResultT]) -> ResultT:
        """One task, to its end. Raises its OSError."""
        return next(self.in_order([Task(steps)])).result()

    # ------------------------------------------------------------ the tasks

    def _largest_read(self) -> Steps[int]:
        """Bytes the server gives in one answer, as it says itself; 0 when it does not say."""
        reply = yield from self._one(sftp.CMD_EXTENDED, _text(_LIMITS))
        return reply.largest_read()

    def stat(self, path: str) -> Steps[Attributes]:
        """Raises FileNotFoundError, as the others do."""
        return (yield from self._one(sftp.CMD_STAT, _text(path))).attributes()

    def exists(self, path: str) -> Steps[bool]:
        return (yield from self._one(sftp.CMD_STAT, _text(path))).exists()

    def remove(self, path: str) -> Steps[None]:
        (yield from self._one(sftp.CMD_REMOVE, _text(path))).status()

    def make_folder(self, path: str) -> Steps[None]:
        (yield from self._one(sftp.CMD_MKDIR, _text(path), _NO_ATTRIBUTES)).status()

    def rename(self, source: str, target: str) -> Steps[None]:
        """Move where nothing is. Raises FileNotFoundError before FileExistsError."""
        # some servers overwrite, others answer a bare "Failure": so it is looked first
        if (yield from self._one(sftp.CMD_STAT, _text(target))).exists():
            (yield from self._one(sftp.CMD_STAT, _text(source))).attributes()
            raise FileExistsError(errno.EEXIST, "there is a file of that name already", target)
        (yield from self._one(sftp.CMD_RENAME, _text(source), _text(target))).status()

    def rename_over(self, source: str, target: str) -> Steps[None]:
        """Move, atomically in the place of what is there: OpenSSH's extension, which not all servers have."""
        asked = self._one(sftp.CMD_EXTENDED, _text(_RENAME_OVER), _text(source), _text(target))
        (yield from asked).status()

    def entries(self, folder: str) -> Steps[list[tuple[bytes, Attributes]]]:
        """All entries of a folder, in no order, with `.` and `..`."""
        opened = self.ask(sftp.CMD_OPENDIR, _text(folder))
        yield True
        found: list[tuple[bytes, Attributes]] = []
        with self._handle_of(opened):
            yield from _here(opened)
            handle = _text(opened.handle())
            under_way: deque[_Reply] = deque()
            ended = False
            # twice as many as the last time: small folders cost little, large ones few round trips
            wanted = 1
            while not ended:
                for _ in range(wanted):
                    under_way.append(self.ask(sftp.CMD_READDIR, handle))
                    yield True
                while under_way:
                    reply = under_way.popleft()
                    yield from _here(reply)
                    some = reply.names()
                    found += some
                    ended = ended or not some
                wanted = min(2 * wanted, 16)
            closed = self._close(opened)
            yield True
        yield from _here(closed)
        return found

    def read(self, path: str, target: BinaryIO, may_ask: Callable[[int], bool]) -> Steps[Sizes]:
        """The whole file into `target`, in order; before so many bytes more are asked for, `may_ask` is asked."""
        before = self.ask(sftp.CMD_STAT, _text(path))
        yield True
        opened = self.ask(sftp.CMD_OPEN, _text(path), struct.pack(">I", sftp.SFTP_FLAG_READ), _NO_ATTRIBUTES)
        yield True
        with self._handle_of(opened):
            yield from _here(before)
            size = before.attributes().size
            yield from _here(opened)
            read = yield from self._read_all(_text(opened.handle()), size or 0, target, may_ask)
            after = self.ask(sftp.CMD_STAT, _text(path))
            yield True
            closed = self._close(opened)
            yield True
        yield from _here(after)
        yield from _here(closed)
        return Sizes(size, read, after.attributes().size)

    def _read_all(
        self, handle: bytes, size: int, target: BinaryIO, may_ask: Callable[[int], bool]
    ) -> Steps[int]:
        under_way: deque[tuple[int, int, _Reply]] = deque()
        asked = read = 0
        while read < size:
            wanted = min(self._part, size - asked)
            if wanted and asked - read < _UNDER_WAY and may_ask(wanted):
                under_way.append((asked, wanted, self._ask_part(handle, asked, wanted)))
                asked += wanted
                yield True
            else:
                yield False
            while under_way and under_way[0][2].here:
                at, wanted, reply = under_way.popleft()
                data = reply.data()
                if not data:
                    return read  # it has become shorter
                target.write(data)
                read += len(data)
                if len(data) < wanted:
                    at, wanted = at + len(data), wanted - len(data)
                    under_way.appendleft((at, wanted, self._ask_part(handle, at, wanted)))
        return read

    def _ask_part(self, handle: bytes, at: int, count: int) -> _Reply:
        return self.ask(sftp.CMD_READ, handle, struct.pack(">QI", at, count))

    def write(self, path: str, source: BinaryIO) -> Steps[int]:
        """All of `source` into a file that is made or emptied; returns how many bytes were sent."""
        flags = sftp.SFTP_FLAG_WRITE | sftp.SFTP_FLAG_CREATE | sftp.SFTP_FLAG_TRUNC
        opened = self.ask(sftp.CMD_OPEN, _text(path), struct.pack(">I", flags), _NO_ATTRIBUTES)
        yield True
        sent = 0
        under_way: deque[_Reply] = deque()
        with self._handle_of(opened):
            yield from _here(opened)
            handle = _text(opened.handle())
            while data := source.read(_CHUNK):
                under_way.append(self.ask(sftp.CMD_WRITE, handle, struct.pack(">Q", sent), _text(data)))
                sent += len(data)
                yield True
                while under_way and under_way[0].here:
                    under_way.popleft().status()
            for reply in under_way:
                yield from _here(reply)
                reply.status()
            closed = self._close(opened)
            yield True
        yield from _here(closed)
        closed.status()
        return sent

    def _one(self, kind: int, *parts: bytes) -> Steps[_Reply]:
        reply = self.ask(kind, *parts)
        yield True
        yield from _here(reply)
        return reply

    def _close(self, opened: _Reply) -> _Reply:
        reply = self.ask(sftp.CMD_CLOSE, _text(opened.handle()))
        opened.given_up = True
        return reply

    @contextmanager
    def _handle_of(self, opened: _Reply) -> Iterator[None]:
        """Close what was opened when the work fails or is given up, even if its handle comes only after that."""
        try:
            yield
        finally:
            if not opened.given_up:
                self._give_up(opened)

    def _give_up(self, opened: _Reply) -> None:
        opened.given_up = True
        if opened.kind == sftp.CMD_HANDLE:
            # sent when there is room: a task that is given up must not wait for anything
            self._unwanted.append(_text(opened.handle()))


def _here(reply: _Reply) -> Steps[None]:
    while not reply.here:
        yield False


def _text(value: str | bytes) -> bytes:
    coded = value.encode() if isinstance(value, str) else value
    return struct.pack(">I", len(coded)) + coded
