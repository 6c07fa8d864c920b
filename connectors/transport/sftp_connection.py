"""One login and one SFTP channel, by asyncssh, for callers that wait.

asyncssh works in an event loop. Each connection has one of its own, in a thread that starts with it and ends with it:
many requests are under way at once while the caller waits for one answer. Nothing outside of this module and of the
coroutines in `sftp` knows of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
import threading
import time
import weakref
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, ParamSpec, TypeVar

import asyncssh
from pydantic import SecretStr

from connectors.contract import Misconfigured, Retry
from connectors.transport.ssh_keys import HOST_KEY_ALGORITHMS, PinnedHostKeys, load_private_key

__all__ = ["LOST", "Connection", "SftpSettings", "words"]

LOST = (
    asyncssh.DisconnectError, asyncssh.SFTPConnectionLost, asyncssh.SFTPNoConnection, asyncssh.ChannelOpenError,
    ConnectionError, EOFError, TimeoutError,
)  # fmt: skip
"""Errors after which nothing more can be asked on a connection."""

_BLOCK = 32 * 1024
_LARGEST_BLOCK = 128 * 1024
_FAREWELL = 5.0
"""Seconds a thread may take to end."""

# asyncssh's own, with the ones first that processors have instructions for: they take a third of the time. The last
# ones are off by default there; partners whose server was never renewed have nothing else.
_CIPHERS = [
    "aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "chacha20-poly1305@openssh.com",
    "aes256-ctr", "aes192-ctr", "aes128-ctr", "aes256-cbc", "aes192-cbc", "aes128-cbc", "3des-cbc",
]  # fmt: skip
_OLD_MACS = "+hmac-sha1-96,hmac-md5,hmac-md5-96"
_RSA_SIGNATURE = b"rsa-sha2-512"

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class SftpSettings:
    """How to reach one account.

    host_keys        "ssh-ed25519 AAAA..." lines; two during an announced change of the key
    root             folder the store's paths start at
    connect_timeout  for each of: the line, the handshake, the login, the opening of SFTP
    timeout          how long the server may answer nothing at all
    replace          what to do where the server lacks posix-rename: delete the old file and rename (a short gap
                     without either), or refuse
    confirm          compare the size after writing; off for servers that take the file away at once
    prefetch         how many requests may be under way; 0 for servers that bear only one after the other
    spool            folder where files wait that were fetched; the machine's own for such files when left out
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


class Connection:
    """Logged in and ready. Not for several threads at once.

    The methods without `async` are for the caller, the others for coroutines in the connection's own loop. Errors are
    asyncssh's; those in `LOST` mean that the connection is gone.
    """

    def __init__(self, settings: SftpSettings, where: str) -> None:
        """Log in. Raises Retry and Misconfigured, with `where` in their words."""
        login = _Login(settings, where)
        self.at_once = max(settings.prefetch, 1)
        self._patience = settings.timeout.total_seconds()
        self._room = asyncio.Semaphore(self.at_once)
        runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)
        self.loop, over = runner.get_loop(), asyncio.Event()
        thread = threading.Thread(target=_live, args=(runner, login, over), name="sftp", daemon=True)
        thread.start()
        self.close = weakref.finalize(self, _end, self.loop, over, thread)
        """Also called when nobody knows this connection any more, and at the end of the process."""
        try:
            self.sftp = self.begin(login.connect()).result()
        except BaseException as error:
            self.close()
            if isinstance(error, Exception):
                login.explain(error)
            raise
        # servers that do not tell take 32 KiB; of more than that they would send a part, and the rest only when asked
        limits = self.sftp.limits
        self.read_block = min(max(limits.max_read_len, _BLOCK), _LARGEST_BLOCK)
        self.write_block = min(max(limits.max_write_len, _BLOCK), _LARGEST_BLOCK)

    # ------------------------------------------------------------ for the caller

    def do(self, request: Callable[P, Awaitable[T]], *args: P.args, **options: P.kwargs) -> T:
        """One request and its answer."""
        return self.run(self.ask(request, *args, **options))

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """A piece of work of several requests."""
        return self.end(self.begin(work))

    def begin(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Start it; `end` gives its result."""
        return asyncio.run_coroutine_threadsafe(work, self.loop)

    def tell(self, act: Callable[..., object], *args: object) -> None:
        """Call something in the loop, or here when that has ended."""
        try:
            self.loop.call_soon_threadsafe(act, *args)
        except RuntimeError:
            act(*args)

    def end(self, future: Future[T]) -> T:
        """Wait, as long as the server answers anything within `timeout`. Raises TimeoutError when it does not."""
        self.hear()
        left = self._patience
        while True:
            try:
                return future.result(left)
            except TimeoutError:
                if future.done():
                    return future.result()
                left = self._heard + self._patience - time.monotonic()
                if left <= 0:
                    future.cancel()
                    raise TimeoutError(f"no answer for {self._patience:g} s") from None

    # ------------------------------------------------------------ in the loop

    async def ask(self, request: Callable[P, Awaitable[T]], *args: P.args, **options: P.kwargs) -> T:
        """One request and its answer, as soon as there is room for it."""
        async with self._room:
            try:
                return await request(*args, **options)
            finally:
                self.hear()

    def hear(self) -> None:
        """Note that the server has answered something."""
        self._heard = time.monotonic()

    async def all(self, jobs: Sequence[Callable[[], Awaitable[None]]]) -> None:
        """Many jobs, as many at once as there may be requests. The first that fails ends the others."""
        todo = iter(jobs)

        async def work() -> None:
            for job in todo:
                await job()

        if len(jobs) == 1:
            await work()
            return
        workers = [asyncio.create_task(work()) for _ in range(min(self.at_once, len(jobs)))]
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()


def _live(runner: asyncio.Runner, login: _Login, over: asyncio.Event) -> None:
    async def live() -> None:
        await over.wait()
        await login.leave()

    with runner:
        runner.run(live())


def _end(loop: asyncio.AbstractEventLoop, over: asyncio.Event, thread: threading.Thread) -> None:
    with contextlib.suppress(RuntimeError):  # the loop is closed already
        loop.call_soon_threadsafe(over.set)
    if thread is not threading.current_thread():  # there the garbage collector may call this, too
        thread.join(_FAREWELL)


class _Login(asyncssh.SSHClient):
    """One attempt to be let in: what asyncssh asks for on the way, and what happened."""

    def __init__(self, settings: SftpSettings, where: str) -> None:
        self._settings = settings
        self._where = where
        self._pinned = PinnedHostKeys.of(settings.host_keys, where)
        self._key = (
            load_private_key(settings.private_key, settings.passphrase, where)
            if settings.private_key
            else None
        )
        self._password = settings.password
        if self._key is None and self._password is None:
            raise Misconfigured(f"{where}: neither a password nor a private key is set")
        self._seconds = settings.connect_timeout.total_seconds()
        self._limit: asyncio.Timeout | None = None
        self._connection: asyncssh.SSHClientConnection | None = None
        self._met: asyncssh.SSHClientConnection | None = None
        self._pair: asyncssh.SSHKeyPair | None = None
        self._shown: asyncssh.SSHKey | None = None
        self._looking = False
        self._asked = False

    async def connect(self) -> asyncssh.SFTPClient:
        """Raises asyncssh's errors, OSError and TimeoutError; `explain` says what they mean."""
        try:
            return await self._enter()
        except (asyncssh.KeyExchangeFailed, asyncssh.ConnectionLost):
            if self._shown is not None or not self._has_spoken():
                raise
            # it found nothing in common with us, or hung up for that. Perhaps it has other host keys: which?
            self._looking = True
            try:
                await self._enter()
            except asyncssh.KeyExchangeFailed:
                raise
            except (asyncssh.Error, OSError):
                pass
            raise

    async def leave(self) -> None:
        if self._connection is not None:
            self._connection.close()
            await self._connection.wait_closed()

    async def _enter(self) -> asyncssh.SFTPClient:
        async with asyncio.timeout(None) as self._limit:
            self._connection = await self._open()
            self._more_time()
            # names are bytes: what a server calls its files need not be UTF-8
            sftp = await self._connection.start_sftp_client(path_encoding=None)
        self._limit = None
        return sftp

    async def _open(self) -> asyncssh.SSHClientConnection:
        s = self._settings
        every = [name for names in HOST_KEY_ALGORITHMS.values() for name in names]
        connected = await asyncio.to_thread(socket.create_connection, (s.host, s.port), self._seconds)
        self._more_time()
        try:
            return await asyncssh.run_client(
                connected, client_factory=lambda: self, username=s.user,
                # nothing of what lies on this machine: a lost key must not be made up for by somebody else's
                config=None, known_hosts=([], [], []), x509_trusted_certs=None, x509_trusted_cert_paths=[],
                client_keys=None, agent_path=None, pkcs11_provider=None, gss_host=None, gss_kex=False, gss_auth=False,
                preferred_auth=("publickey", "password", "keyboard-interactive"),
                server_host_key_algs=every if self._looking else self._pinned.algorithms(),
                encryption_algs=_CIPHERS, mac_algs=_OLD_MACS, compression_algs=None,
                connect_timeout=None, login_timeout=0,
                # a server that never answers them is not dropped for that: `timeout` judges its silence
                keepalive_interval=s.keepalive.total_seconds(), keepalive_count_max=sys.maxsize,
            )  # fmt: skip
        except BaseException:
            connected.close()
            raise

    def _more_time(self) -> None:
        if self._limit is not None:
            self._limit.reschedule(asyncio.get_running_loop().time() + self._seconds)

    def _has_spoken(self) -> bool:
        return self._met is not None and self._met.get_extra_info("server_version") is not None

    # ------------------------------------------------------------ what asyncssh asks for

    def connection_made(self, conn: asyncssh.SSHClientConnection) -> None:
        """Called before anything is said."""
        self._met = conn

    def validate_host_public_key(self, _host: str, _addr: str, _port: int, key: asyncssh.SSHKey) -> bool:
        """Called at each exchange of keys, because asyncssh was told of no host it may trust."""
        self._shown = key
        self._more_time()
        return not self._looking and self._pinned.accepts(key.public_data)

    def public_key_auth_requested(self) -> list[asyncssh.SSHKeyPair] | None:
        """The private key. An RSA key is tried with SHA-1 where the server does not say that it knows better."""
        if self._key is None:
            return None
        self._asked = True
        pair = asyncssh.load_keypairs([self._key])[0]
        if self._pair is None:
            if pair.algorithm == b"ssh-rsa":
                pair.set_sig_algorithm(_RSA_SIGNATURE)
            self._pair = pair
            return [pair]
        # refused. Where the server said what it takes, asyncssh has chosen of that, and the key is the wrong one
        self._key = None
        return [pair] if self._pair.algorithm == _RSA_SIGNATURE else None

    def password_auth_requested(self) -> str | None:
        """The password, once: accounts are locked after a few wrong ones."""
        if self._password is None:
            return None
        self._asked = True
        password, self._password = self._password, None
        return password.get_secret_value()

    def kbdint_auth_requested(self) -> str | None:
        """For servers that ask for the password in a dialogue only."""
        return None if self._password is None else ""

    def kbdint_challenge_received(
        self, _name: str, _instructions: str, _lang: str, prompts: Sequence[tuple[str, bool]]
    ) -> list[str] | None:
        """A single question is the one for the password."""
        if not prompts:
            return []
        password = self.password_auth_requested() if len(prompts) == 1 else None
        return None if password is None else [password]

    def auth_completed(self) -> None:
        """What goes wrong from now on is no refusal."""
        self._asked = False

    # ------------------------------------------------------------ what went wrong

    def explain(self, error: Exception) -> None:
        """Raise what the contract calls this error; return for errors that are none of the network."""
        where, shown = self._where, self._shown
        if shown is not None and not self._pinned.accepts(shown.public_data):
            raise Misconfigured(self._pinned.explain(where, shown)) from error
        if isinstance(error, asyncssh.HostKeyNotVerifiable):
            raise Misconfigured(f"{where}: the server's host key cannot be checked ({error})") from error
        if isinstance(error, asyncssh.KeyExchangeFailed) and "No matching" in str(error):
            raise Misconfigured(
                f"{where}: no common algorithm with this server ({error}). What it knows is not safe any more: "
                "ask for an upgrade"
            ) from error
        if isinstance(error, asyncssh.Error) and self._asked:
            raise Misconfigured(
                f"{where}: login refused ({words(error)}); check user, password and key. "
                "Not tried again, so that the account is not locked"
            ) from error
        if isinstance(error, (asyncssh.Error, OSError, EOFError)):
            silent = isinstance(error, TimeoutError)
            said = f"no answer within {self._seconds:g} s" if silent else words(error)
            raise Retry(f"{where}: cannot connect: {said}") from error


def words(error: BaseException) -> str:
    """What an error says, or its name when it says nothing."""
    return str(error) or type(error).__name__
