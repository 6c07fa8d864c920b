"""Install Vendure once, seed it once, then start copies of it in seconds.

What npm installs and the seeded database are kept in a cache folder outside the repository, named by the content of
the files they are made from: a change of the lock or of the seed makes a new one, everything else is reused.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import queue
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

__all__ = ["PASSWORD", "USER", "Shop", "Unavailable", "cache_folder", "prepare", "start"]

APP = Path(__file__).parent / "app"
USER = "superadmin"
PASSWORD = "superadmin"  # noqa: S105  (of a shop that listens on this machine only and lives for minutes)
_OLDEST_NODE = 20
_INSTALL_SECONDS = 900
_SEED_SECONDS = 120
_BOOT_SECONDS = 60


class Unavailable(RuntimeError):
    """The shop cannot run here (no Node.js, no network to install from, ...). The text says why."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """An installed and seeded shop: `modules` is its node_modules folder, `database` the seeded SQLite file."""

    node: str
    modules: Path
    database: Path


def cache_folder() -> Path:
    """Where installations are kept when no other folder is named: `tsunagi/vendure` in the user's cache folder."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tsunagi" / "vendure"


def prepare(cache: Path | None = None) -> Prepared:
    """Install and seed, where that was not done before. The first time takes about two minutes.

    Raises `Unavailable` where Node.js or npm are missing, or the packages cannot be had.
    """
    node, npm = _tools()
    folder = cache or cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    # A native module is built for one version of Node.
    installed = (
        folder / f"install-{_digest([APP / 'package.json', APP / 'package-lock.json'], _version(node))}"
    )
    sources = [*sorted(APP.rglob("*.js")), APP / "seed.json"]
    database = folder / f"seed-{_digest(sources, installed.name)}.sqlite"
    with _locked(folder / "lock"):
        if not (installed / "complete").exists():
            _install(npm, installed)
        if not database.exists():
            _seed(node, installed / "node_modules", database)
    return Prepared(node, installed / "node_modules", database)


def _tools() -> tuple[str, str]:
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        raise Unavailable(f"Node.js {_OLDEST_NODE} or newer with npm is not on the PATH")
    major = int(_version(node).lstrip("v").split(".")[0])
    if major < _OLDEST_NODE:
        raise Unavailable(f"Node.js {_OLDEST_NODE} or newer is needed, this is {major}")
    return node, npm


def _version(node: str) -> str:
    return subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603


def _digest(files: Sequence[Path], more: str) -> str:
    digest = hashlib.sha256(more.encode())
    for file in files:
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:16]


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One process at a time: test workers start together."""
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _install(npm: str, target: Path) -> None:
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    for name in ("package.json", "package-lock.json"):
        shutil.copy(APP / name, target / name)
    command = [npm, "ci", "--prefer-offline", "--no-audit", "--no-fund", "--loglevel=error"]
    _run(command, target, dict(os.environ), _INSTALL_SECONDS, "npm could not install Vendure")
    (target / "complete").touch()


def _seed(node: str, modules: Path, database: Path) -> None:
    with tempfile.TemporaryDirectory(dir=database.parent) as folder:
        half = Path(folder) / "seed.sqlite"
        environment = _environment(modules, half)
        _run(
            [node, str(APP / "seed.js")],
            Path(folder),
            environment,
            _SEED_SECONDS,
            "Vendure could not be seeded",
        )
        half.replace(database)


def _run(
    command: Sequence[str], folder: Path, environment: dict[str, str], seconds: int, failure: str
) -> None:
    try:
        done = subprocess.run(  # noqa: S603
            command,
            cwd=folder,
            env=environment,
            timeout=seconds,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Unavailable(f"{failure}: not done after {seconds} s") from None
    if done.returncode:
        raise Unavailable(f"{failure}:\n{done.stderr.strip()[-2000:]}")


def _environment(modules: Path, database: Path) -> dict[str, str]:
    return {
        **os.environ,
        "NODE_PATH": str(modules),
        "SHOP_USER": USER,
        "SHOP_PASSWORD": PASSWORD,
        "SHOP_DATABASE": str(database),
        "VENDURE_DISABLE_TELEMETRY": "true",
    }


class Shop:
    """A running shop. A context manager; `stop` ends it.

    url        "http://127.0.0.1:PORT"; the APIs are below /admin-api and /shop-api
    log        what the server wrote on standard error
    """

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self._process = process
        self._said: queue.Queue[dict[str, Any]] = queue.Queue()
        self.url = ""
        self.log = log
        self.username = USER
        self.password = PASSWORD
        self._reader = threading.Thread(target=self._listen, args=(process.stdout,), daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def wait(self) -> int:
        """Until it ends by itself."""
        return self._process.wait()

    def send_events(self, url: str | None, secret: str | None = None) -> None:
        """Where signed events go from now on; None: nowhere, and none are kept for later."""
        if url and not secret:
            raise ValueError("events are signed: give secret")
        if self._process.stdin is None:
            raise Unavailable("the server cannot be told anything")
        self._process.stdin.write(json.dumps({"url": url, "secret": secret} if url else None) + "\n")
        self._process.stdin.flush()
        self._hear("events", 10)

    def wait_until_up(self) -> None:
        """Raises `Unavailable` when it does not answer in time."""
        self.url = f"http://127.0.0.1:{self._hear('port', _BOOT_SECONDS)}"

    def _listen(self, stdout: IO[str] | None) -> None:
        for line in stdout or ():
            if line.startswith("{"):
                self._said.put(json.loads(line))

    def _hear(self, what: str, seconds: float) -> Any:
        """What the server says of it in its lines of JSON."""
        try:
            while what not in (said := self._said.get(timeout=seconds)):
                pass
        except queue.Empty:
            raise Unavailable(
                f"Vendure said nothing of its {what} within {seconds} s:\n{self.log.read_text()[-2000:]}"
            ) from None
        return said[what]

    def stop(self) -> None:
        """End it, politely first."""
        if self._process.stdin:
            self._process.stdin.close()
        self._process.terminate()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(timeout=5)
        if self._process.stdout:
            self._process.stdout.close()


def start(
    folder: Path,
    *,
    port: int = 0,
    cache: Path | None = None,
    events_url: str | None = None,
    events_secret: str | None = None,
) -> Shop:
    """Start a shop whose database lies in `folder` (made from the seed when it is not there yet).

    port           0 takes a free one
    events_url     where signed events are POSTed, with `events_secret`; none are sent without

    Ends with this process. Raises `Unavailable` where it cannot run.
    """
    if events_url and not events_secret:
        raise ValueError("events are signed: give events_secret")
    prepared = prepare(cache)
    folder.mkdir(parents=True, exist_ok=True)
    database = folder / "vendure.sqlite"
    if not database.exists():
        shutil.copy(prepared.database, database)
    environment = _environment(prepared.modules, database)
    environment |= {"SHOP_PORT": str(port), "SHOP_STOP_WITH_STDIN": "1"}
    if events_url and events_secret:
        environment |= {"SHOP_EVENTS_URL": events_url, "SHOP_EVENTS_SECRET": events_secret}
    log = folder / "vendure.log"
    with log.open("a") as errors:
        process = subprocess.Popen(  # noqa: S603
            [prepared.node, str(APP / "serve.js")],
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    shop = Shop(process, log)
    try:
        shop.wait_until_up()
    except BaseException:
        shop.stop()
        raise
    return shop
