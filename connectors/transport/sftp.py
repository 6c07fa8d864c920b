"""SFTP as a file store, by paramiko.

The server must show a host key that was pinned in the settings; there is no way to switch that off. Facts behind the
rules: `Transport` alone checks nothing, so `SSHClient` is used; `rename` onto an existing file fails on OpenSSH where
`posix-rename` succeeds; a prefetch without a limit makes some servers stop answering; a download that fails leaves an
empty file; agents and found keys end in "Too many authentication failures".
"""

from __future__ import annotations

import contextlib
import io
import posixpath
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Literal, Self, cast

import paramiko
import tenacity
from pydantic import SecretStr

from connectors.contract import Misconfigured, Retry
from connectors.transport.files import FileInfo, Files, join, safe_path, temporary_name, wanted
from connectors.transport.ssh_keys import HostKeyRejected, PinnedHostKeys, load_private_key, offered_host_key

__all__ = ["Sftp", "SftpSettings"]

_OFFLINE = (paramiko.SSHException, EOFError, ConnectionError, TimeoutError, paramiko.SFTPError)


@dataclass(frozen=True, slots=True)
class SftpSettings:
    """How to reach one account.

    host_keys   "ssh-ed25519 AAAA..." lines; two during an announced change of the key
    root        folder the store's paths start at
    replace     what to do where the server lacks posix-rename: delete the old file and rename (a short gap without
                either), or refuse
    confirm     compare the size after writing; off for servers that take the file away at once
    prefetch    how many read requests may be under way; 0 for servers that cannot bear any
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


class Sftp:
    """`FileStore` over one SFTP account. Not for several threads at once."""

    def __init__(self, settings: SftpSettings) -> None:
        self._settings = settings
        self._ssh: paramiko.SSHClient | None = None
        self._sftp: paramiko.SFTPClient | None = None

    # ------------------------------------------------------------ files

    def list(self, folder: str, pattern: str = "*") -> Files:
        with self._speaking(f"list {folder}") as sftp:
            try:
                found = {entry.filename: entry for entry in sftp.listdir_attr(self._remote(folder))}
            except UnicodeDecodeError:
                raise Misconfigured(
                    f"{self.describe()}: {folder} holds a file whose name is not UTF-8; "
                    "agree on ASCII names with the sender"
                ) from None
        names = wanted(iter(sorted(found)), pattern)
        return [
            _info(join(folder, name), found[name]) for name in names if stat.S_ISREG(found[name].st_mode or 0)
        ]

    @contextmanager
    def open_read(self, path: str) -> Iterator[BinaryIO]:
        with tempfile.NamedTemporaryFile(dir=self._settings.spool, prefix="sftp-", suffix=".part") as spool:
            with self._speaking(f"read {path}") as sftp:
                remote = self._remote(path)
                size = sftp.stat(remote).st_size
                sftp.getfo(
                    remote,
                    spool,
                    prefetch=self._settings.prefetch > 0,
                    max_concurrent_prefetch_requests=self._settings.prefetch or None,
                )
                after = sftp.stat(remote).st_size
            if not spool.tell() == size == after:
                raise Retry(
                    f"{path}: got {spool.tell()} bytes of {size}, now {after}: it is still being written"
                )
            spool.seek(0)
            yield cast("BinaryIO", spool.file)

    def write(self, path: str, source: BinaryIO | bytes, *, overwrite: bool = False) -> FileInfo:
        temporary = temporary_name(path)
        stream = io.BytesIO(source) if isinstance(source, bytes) else source
        with self._speaking(f"write {path}") as sftp:
            if not overwrite and _there(sftp, self._remote(path)):
                raise FileExistsError(f"{path} is there already")
            # some servers append to a file that is there instead of emptying it
            with contextlib.suppress(FileNotFoundError):
                sftp.remove(self._remote(temporary))
            sent = 0

            def count(done: int, _total: int) -> None:
                nonlocal sent
                sent = done

            sftp.putfo(stream, self._remote(temporary), callback=count, confirm=False)
            if self._settings.confirm:
                size = sftp.stat(self._remote(temporary)).st_size
                if size != sent:
                    raise Retry(f"{path}: sent {sent} bytes, the server has {size} (disk full or quota?)")
        self.rename(temporary, path, overwrite=overwrite)
        if not self._settings.confirm:
            return FileInfo(posixpath.basename(path), path, sent, datetime.now(UTC))
        return self.stat(path)

    def rename(self, old: str, new: str, *, overwrite: bool = False) -> None:
        source, target = self._remote(old), self._remote(new)
        with self._speaking(f"rename {old} to {new}") as sftp:
            if not overwrite:
                if _there(sftp, target):
                    sftp.stat(source)  # a missing source is told first: it means that this was done before
                    raise FileExistsError(f"{new} is there already")
                sftp.rename(source, target)
                return
            try:
                sftp.posix_rename(source, target)
            except (FileNotFoundError, PermissionError):
                raise
            except OSError as error:
                self._replace_by_hand(sftp, source, target, error)

    def _replace_by_hand(self, sftp: paramiko.SFTPClient, source: str, target: str, error: OSError) -> None:
        if _there(sftp, target):
            if self._settings.replace == "refuse":
                raise Misconfigured(
                    f"{self.describe()}: the server cannot replace {posixpath.basename(target)} ({error}); "
                    "set replace: delete_first if a short gap without the file is acceptable"
                ) from error
            sftp.remove(target)
        sftp.rename(source, target)

    def delete(self, path: str) -> None:
        with self._speaking(f"delete {path}") as sftp:
            sftp.remove(self._remote(path))

    def stat(self, path: str) -> FileInfo:
        with self._speaking(f"stat {path}") as sftp:
            found = sftp.stat(self._remote(path))
        if not stat.S_ISREG(found.st_mode or 0):
            raise FileNotFoundError(f"{path} is not a file")
        return _info(path, found)

    def exists(self, path: str) -> bool:
        try:
            self.stat(path)
        except FileNotFoundError:
            return False
        return True

    def make_folder(self, folder: str) -> None:
        made = ""
        with self._speaking(f"make folder {folder}") as sftp:
            for part in safe_path(folder):
                made = posixpath.join(made, part)
                if not _there(sftp, self._remote(made)):
                    sftp.mkdir(self._remote(made))

    def describe(self) -> str:
        s = self._settings
        return f"sftp://{s.user}@{s.host}:{s.port}/{'' if s.root == '.' else s.root.lstrip('/')}"

    # ------------------------------------------------------------ the connection

    def close(self) -> None:
        sftp, ssh, self._sftp, self._ssh = self._sftp, self._ssh, None, None
        if sftp is not None:
            sftp.close()
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
    def _speaking(self, doing: str) -> Iterator[paramiko.SFTPClient]:
        """The open connection; what goes wrong on it in the words of the contract."""
        sftp = self._connected()
        try:
            yield sftp
        except (FileNotFoundError, FileExistsError):
            raise
        except PermissionError:
            raise Misconfigured(f"{self.describe()}: no permission to {doing}") from None
        except _OFFLINE as error:
            self.close()
            raise Retry(
                f"{self.describe()}: connection lost while trying to {doing}: {_words(error)}"
            ) from error
        except OSError as error:
            transport = self._ssh.get_transport() if self._ssh is not None else None
            if transport is None or not transport.is_active():
                self.close()
                raise Retry(
                    f"{self.describe()}: connection lost while trying to {doing}: {_words(error)}"
                ) from error
            # all other SFTP status codes arrive without an errno: "Failure" is also disk full and quota
            raise Retry(f"{self.describe()}: could not {doing}: {_words(error)}") from error

    def _connected(self) -> paramiko.SFTPClient:
        if self._sftp is None:
            again = tenacity.Retrying(
                retry=tenacity.retry_if_exception_type(Retry),
                stop=tenacity.stop_after_attempt(self._settings.attempts),
                wait=tenacity.wait_random_exponential(multiplier=0.3, max=10),
                reraise=True,
            )
            self._sftp = again(self._connect)
        return self._sftp

    def _connect(self) -> paramiko.SFTPClient:
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
                disabled_algorithms={"keys": pinned.other_algorithms()},
            )  # fmt: skip
            transport = ssh.get_transport()
            assert transport is not None
            transport.set_keepalive(int(s.keepalive.total_seconds()))
            sftp = ssh.open_sftp()
            channel = sftp.get_channel()
            assert channel is not None
            channel.settimeout(s.timeout.total_seconds())
        except BaseException as error:
            ssh.close()
            if isinstance(error, Exception):
                self._explain(error, pinned)
            raise
        self._ssh = ssh
        return sftp

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


def _there(sftp: paramiko.SFTPClient, path: str) -> bool:
    try:
        sftp.stat(path)
    except FileNotFoundError:
        return False
    return True


def _words(error: BaseException) -> str:
    return str(error) or type(error).__name__


def _info(path: str, found: paramiko.SFTPAttributes) -> FileInfo:
    return FileInfo(
        path.rsplit("/", 1)[-1], path, found.st_size or 0, datetime.fromtimestamp(found.st_mtime or 0, UTC)
    )
