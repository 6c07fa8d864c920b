"""SFTP as a file store: paramiko's connection, our requests (`connectors.transport.sftp_requests`).

The server must show a host key that was pinned in the settings; there is no way to switch that off. Facts behind the
rules: `Transport` alone checks nothing, so `SSHClient` is used; `rename` onto an existing file fails on OpenSSH where
`posix-rename` succeeds; many requests at once make some servers stop answering; agents and found keys end in "Too many
authentication failures".
"""

from __future__ import annotations

import contextlib
import io
import posixpath
import socket
import stat
import tempfile
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Literal, Self

import paramiko
import tenacity
from pydantic import SecretStr

from connectors.contract import ConnectorError, Misconfigured, Retry
from connectors.transport.files import (
    AHEAD,
    FileInfo,
    Files,
    Troubles,
    join,
    safe_path,
    temporary_name,
    wanted,
)
from connectors.transport.sftp_requests import (
    LARGE_CHUNK,
    Attributes,
    ConnectionLost,
    Requests,
    Sizes,
    Steps,
    Task,
)
from connectors.transport.ssh_keys import HostKeyRejected, PinnedHostKeys, load_private_key, offered_host_key

__all__ = ["Sftp", "SftpSettings"]

_OFFLINE = (paramiko.SSHException, EOFError, ConnectionError, TimeoutError)
_WINDOW = 2 * 1024 * 1024
_PACKET = LARGE_CHUNK + 1024
"""An answer with a part of a file comes in one packet, instead of one and a few bytes in another."""


@dataclass(frozen=True, slots=True)
class SftpSettings:
    """How to reach one account.

    host_keys   "ssh-ed25519 AAAA..." lines; two during an announced change of the key
    root        folder the store's paths start at
    replace     what to do where the server lacks posix-rename: delete the old file and rename (a short gap without
                either), or refuse
    confirm     compare the size after writing; off for servers that take the file away at once
    prefetch    how many requests may be under way; 0 for servers that bear only one after the other
    spool       folder where files wait that were fetched; the machine's own for such files when left out
    """

    host: str
    user: str
    host_keys: tuple[str, ...]
    port: int = 22
    root: str = "."
    password: SecretStr | None = None
    private_key: SecretStr | None = None
    passphrase: SecretStr | None = None
    connect_timeout: timedelta = timedelta(seconds=15)
    timeout: timedelta = timedelta(seconds=60)
    keepalive: timedelta = timedelta(seconds=30)
    attempts: int = 4
    prefetch: int = 64
    confirm: bool = True
    replace: Literal["delete_first", "refuse"] = "refuse"
    spool: Path | None = None


class _Budget:
    """Bytes of files that were asked for and not yet handed out."""

    def __init__(self) -> None:
        self.spent = 0


class _Download(Task[Sizes]):
    """A file on its way into the spool. Behind the first one it waits when much lies there already."""

    def __init__(self, requests: Requests, remote: str, folder: Path | None, budget: _Budget) -> None:
        super().__init__(self._bring(requests, remote, folder))
        self._budget = budget
        self.spent = 0
        self.spool: BinaryIO | None = None

    def _bring(self, requests: Requests, remote: str, folder: Path | None) -> Steps[Sizes]:
        # without a name: a killed process leaves nothing behind
        self.spool = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  (closed by `close`)
        return (yield from requests.read(remote, self.spool, self._may_ask))

    def _may_ask(self, count: int) -> bool:
        if not self.first and self._budget.spent + count > AHEAD:
            return False
        self._budget.spent += count
        self.spent += count
        return True

    def close(self) -> None:
        super().close()
        if self.spool is not None:
            self.spool.close()


class Sftp:
    """`FileStore` over one SFTP account. Not for several threads at once.

    One login and one channel, with many requests under way on it: partners allow few logins at once.
    """

    def __init__(self, settings: SftpSettings) -> None:
        self._settings = settings
        self._ssh: paramiko.SSHClient | None = None
        self._requests: Requests | None = None

    # ------------------------------------------------------------ files

    def list(self, folder: str, pattern: str = "*") -> Files:
        with self._speaking(f"list {folder}") as requests:
            entries = requests.do(requests.entries(self._remote(folder)))
        try:
            found = {name.decode(): entry for name, entry in entries}
        except UnicodeDecodeError:
            raise Misconfigured(
                f"{self.describe()}: {folder} holds a file whose name is not UTF-8; "
                "agree on ASCII names with the sender"
            ) from None
        names = wanted(iter(sorted(found)), pattern)
        return [
            _info(join(folder, name), found[name]) for name in names if stat.S_ISREG(found[name].mode or 0)
        ]

    @contextmanager
    def open_read(self, path: str) -> Iterator[BinaryIO]:
        with closing(self._fetched([path])) as only, next(only) as stream:
            yield stream

    def fetch(self, paths: Sequence[str]) -> Iterator[AbstractContextManager[BinaryIO]]:
        return self._fetched(paths)

    def _fetched(self, paths: Sequence[str]) -> Generator[AbstractContextManager[BinaryIO], None, None]:
        remotes = [self._remote(path) for path in paths]
        if not remotes:
            return
        with self._speaking(f"read {paths[0]}") as requests:
            budget = _Budget()
            coming = requests.in_order(
                _Download(requests, remote, self._settings.spool, budget) for remote in remotes
            )
        with closing(coming):
            for path in paths:
                with self._speaking(f"read {path}"):
                    download = next(coming)
                budget.spent -= download.spent
                yield self._opened(path, download)

    @contextmanager
    def _opened(self, path: str, download: _Download) -> Iterator[BinaryIO]:
        with closing(download):
            with self._speaking(f"read {path}"):
                sizes = download.result()
            if not sizes.agree:
                raise Retry(
                    f"{path}: got {sizes.read} bytes of {sizes.before}, now {sizes.after}: it is still being written"
                )
            assert download.spool is not None
            download.spool.seek(0)
            yield download.spool

    def write(self, path: str, source: BinaryIO | bytes, *, overwrite: bool = False) -> FileInfo:
        temporary, target = self._remote(temporary_name(path)), self._remote(path)
        stream = io.BytesIO(source) if isinstance(source, bytes) else source
        with self._speaking(f"write {path}") as requests:
            if not overwrite and requests.do(requests.exists(target)):
                raise FileExistsError(f"{path} is there already")
            # some servers append to a file that is there instead of emptying it
            with contextlib.suppress(FileNotFoundError):
                requests.do(requests.remove(temporary))
            sent = requests.do(requests.write(temporary, stream))
            written = None
            if self._settings.confirm:
                written = requests.do(requests.stat(temporary))
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
        with self._speaking(f"rename {old} to {new}") as requests:
            if not overwrite:
                requests.do(requests.rename(source, target))
                return
            try:
                requests.do(requests.rename_over(source, target))
            except (FileNotFoundError, PermissionError):
                raise
            except OSError as error:
                self._replace_by_hand(requests, source, target, error)

    def rename_each(self, moves: Sequence[tuple[str, str]]) -> Troubles:
        pairs = [(self._remote(old), self._remote(new)) for old, new in moves]
        return self._each(
            [f"rename {old} to {new}" for old, new in moves],
            lambda requests: [requests.rename(source, target) for source, target in pairs],
        )

    def _replace_by_hand(self, requests: Requests, source: str, target: str, error: OSError) -> None:
        if requests.do(requests.exists(target)):
            if self._settings.replace == "refuse":
                raise Misconfigured(
                    f"{self.describe()}: the server cannot replace {posixpath.basename(target)} ({error}); "
                    "set replace: delete_first if a short gap without the file is acceptable"
                ) from error
            requests.do(requests.remove(target))
        requests.do(requests.rename(source, target))

    def delete(self, path: str) -> None:
        with self._speaking(f"delete {path}") as requests:
            requests.do(requests.remove(self._remote(path)))

    def delete_each(self, paths: Sequence[str]) -> Troubles:
        remotes = [self._remote(path) for path in paths]
        return self._each(
            [f"delete {path}" for path in paths],
            lambda requests: [requests.remove(remote) for remote in remotes],
        )

    def _each(self, doings: Sequence[str], begin: Callable[[Requests], Iterable[Steps[None]]]) -> Troubles:
        """Many small tasks at once; what each came to."""
        if not doings:
            return []
        with self._speaking(doings[0]) as requests:
            ended = [*requests.in_order(Task(steps) for steps in begin(requests))]
        came: Troubles = []
        for doing, task in zip(doings, ended, strict=True):
            try:
                with self._speaking(doing):
                    task.result()
            except (FileNotFoundError, FileExistsError, ConnectorError) as trouble:
                came.append(trouble)
            else:
                came.append(None)
        return came

    def stat(self, path: str) -> FileInfo:
        with self._speaking(f"stat {path}") as requests:
            found = requests.do(requests.stat(self._remote(path)))
        if not stat.S_ISREG(found.mode or 0):
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
        with self._speaking(f"make folder {folder}") as requests:
            if requests.do(requests.exists(self._remote(folder))):
                return
            for depth in range(1, len(parts) + 1):
                made = self._remote("/".join(parts[:depth]))
                if not requests.do(requests.exists(made)):
                    requests.do(requests.make_folder(made))

    def describe(self) -> str:
        s = self._settings
        return f"sftp://{s.user}@{s.host}:{s.port}/{'' if s.root == '.' else s.root.lstrip('/')}"

    # ------------------------------------------------------------ the connection

    def close(self) -> None:
        ssh, self._ssh, self._requests = self._ssh, None, None
        if ssh is not None:
            ssh.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _remote(self, path: str) -> str:
        return posixpath.join(self._settings.root, *safe_path(path))

    @contextmanager
    def _speaking(self, doing: str) -> Iterator[Requests]:
        """The open connection; what goes wrong on it in the words of the contract."""
        requests = self._connected()
        try:
            yield requests
        except (FileNotFoundError, FileExistsError):
            raise
        except PermissionError:
            raise Misconfigured(f"{self.describe()}: no permission to {doing}") from None
        except ConnectionLost as error:
            self.close()
            hint = ""
            if isinstance(error.__cause__, TimeoutError) and self._settings.prefetch > 1:
                hint = (
                    ". If this comes again and again, the server may not bear several requests at once: "
                    "set prefetch: 0"
                )
            raise Retry(
                f"{self.describe()}: connection lost while trying to {doing}: {error}{hint}"
            ) from error
        except OSError as error:
            # all other SFTP status codes arrive without an errno: "Failure" is also disk full and quota
            raise Retry(f"{self.describe()}: could not {doing}: {_words(error)}") from error

    def _connected(self) -> Requests:
        if self._requests is None:
            again = tenacity.Retrying(
                retry=tenacity.retry_if_exception_type(Retry),
                stop=tenacity.stop_after_attempt(self._settings.attempts),
                wait=tenacity.wait_random_exponential(multiplier=0.3, max=10),
                reraise=True,
            )
            self._requests = again(self._connect)
        return self._requests

    def _connect(self) -> Requests:
        s = self._settings
        pinned = PinnedHostKeys.of(s.host_keys, self.describe())
        key = load_private_key(s.private_key, s.passphrase, self.describe()) if s.private_key else None
        if key is None and s.password is None:
            raise Misconfigured(f"{self.describe()}: neither a password nor a private key is set")
        ssh = paramiko.SSHClient()
        ssh.set_missing_host_key_policy(pinned)
        seconds = s.connect_timeout.total_seconds()
        try:
            ssh.connect(
                s.host, port=s.port, username=s.user, pkey=key,
                password=s.password.get_secret_value() if s.password else None,
                timeout=seconds, banner_timeout=seconds, auth_timeout=seconds, channel_timeout=seconds,
                # a lost key must not be made up for by whatever lies on this machine
                allow_agent=False, look_for_keys=False,
                disabled_algorithms={"keys": pinned.other_algorithms()}, transport_factory=_transport,
            )  # fmt: skip
            transport = ssh.get_transport()
            assert transport is not None
            transport.set_keepalive(int(s.keepalive.total_seconds()))
            # all answers under way fit into the window: the server never has to stop sending while we are sending
            window = max(_WINDOW, s.prefetch * LARGE_CHUNK)
            channel = transport.open_session(window_size=window, max_packet_size=_PACKET, timeout=seconds)
            channel.settimeout(s.timeout.total_seconds())
            channel.invoke_subsystem("sftp")
            requests = Requests(channel, s.prefetch)
        except BaseException as error:
            ssh.close()
            if isinstance(error, Exception):
                self._explain(error, pinned)
            raise
        self._ssh = ssh
        return requests

    def _explain(self, error: Exception, pinned: PinnedHostKeys) -> None:
        """Raise what the contract calls this error; return for errors that are none of the network."""
        where = self.describe()
        if isinstance(error, HostKeyRejected):
            raise Misconfigured(pinned.explain(where, error.key)) from error
        if isinstance(error, paramiko.ssh_exception.IncompatiblePeer):
            shown = offered_host_key(self._settings.host, self._settings.port, self._settings.connect_timeout)
            if shown is not None and not pinned.accepts(shown):
                raise Misconfigured(pinned.explain(where, shown)) from error
            raise Misconfigured(
                f"{where}: no common algorithm with this server ({error}). Old servers that only know "
                "SHA-1 key exchange are not supported any more: ask for an upgrade"
            ) from error
        if isinstance(error, paramiko.AuthenticationException) and "timeout" not in str(error).lower():
            raise Misconfigured(
                f"{where}: login refused ({_words(error)}); check user, password and key. "
                "Not tried again, so that the account is not locked"
            ) from error
        if isinstance(error, (*_OFFLINE, OSError)):
            raise Retry(f"{where}: cannot connect: {_words(error)}") from error


def _transport(sock: Any, **options: Any) -> paramiko.Transport:
    """paramiko's, with the ciphers first that processors have instructions for, and requests that leave at once."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    transport = paramiko.Transport(sock, **options)
    security = transport.get_security_options()
    security.ciphers = sorted(security.ciphers, key=lambda name: "gcm" not in name)
    return transport


def _words(error: BaseException) -> str:
    return str(error) or type(error).__name__


def _info(path: str, found: Attributes) -> FileInfo:
    return FileInfo(
        path.rsplit("/", 1)[-1], path, found.size or 0, datetime.fromtimestamp(found.modified or 0, UTC)
    )
