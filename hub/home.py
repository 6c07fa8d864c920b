"""Where the hub lives: `TSUNAGI_HOME` with all its state, and the settings read from the environment.

Everything the hub creates on a machine lies below one folder (default `./var`), so that moving, backing up
and deleting a hub is moving, backing up and deleting that folder. The one exception is told in
`hub/postgres_place.py`.
"""

from __future__ import annotations

import os
import secrets as random_secrets
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from hub.words import HubError, Language, language

__all__ = ["Home", "LogFormat", "Settings", "SettingsError"]

LogFormat = Literal["console", "json"]

_FOLDERS = ("postgres", "airflow", "archive", "spool", "secrets", "logs")


class SettingsError(HubError):
    """An environment variable holds something the hub cannot use."""


@dataclass(frozen=True, slots=True)
class Home:
    """The folder that holds the state of one hub.

    postgres  the embedded server's data, lock files and port
    airflow   `AIRFLOW_HOME`
    archive   files as received, after they were taken in
    spool     files being written or fetched
    secrets   generated passwords and `<system>.json` connection files, readable by the owner only
    logs      log files of the processes
    """

    root: Path

    @property
    def postgres(self) -> Path:
        return self.root / "postgres"

    @property
    def airflow(self) -> Path:
        return self.root / "airflow"

    @property
    def archive(self) -> Path:
        return self.root / "archive"

    @property
    def spool(self) -> Path:
        return self.root / "spool"

    @property
    def secrets(self) -> Path:
        return self.root / "secrets"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    def create(self) -> Home:
        """Create the folders that are missing, mode 0700; existing ones keep their mode. Returns itself."""
        if self.root.exists() and not self.root.is_dir():
            raise SettingsError(
                f"TSUNAGI_HOME={self.root} はフォルダではありません。フォルダのパスを指定してください。",
                f"TSUNAGI_HOME={self.root} is not a folder. Give the path of a folder.",
            )
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            for name in _FOLDERS:
                (self.root / name).mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise SettingsError(
                f"TSUNAGI_HOME={self.root} にフォルダを作成できません: {error.strerror}。"
                "書き込めるフォルダを指定してください。",
                f"Cannot create folders in TSUNAGI_HOME={self.root}: {error.strerror}. "
                "Point it at a folder you can write to.",
            ) from error
        return self

    def secret(self, name: str) -> str:
        """The generated secret `name` (43 URL-safe characters); made on first use, in a file of mode 0600.

        Two processes asking at the same moment get the same secret.
        """
        path = self.secrets / f"{name}.txt"
        if not path.exists():
            write_private(path, random_secrets.token_urlsafe(32) + "\n", replace=False)
        return path.read_text("ascii").strip()


def write_private(path: Path, text: str, *, replace: bool = True) -> None:
    """Write `text` to `path` as a whole or not at all, readable by the owner only.

    With `replace=False` an existing file wins, also one that another process writes at the same moment.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.{random_secrets.token_hex(4)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if replace:
            draft.replace(path)
        else:
            try:
                path.hardlink_to(draft)
            except FileExistsError:
                return
    finally:
        draft.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class Settings:
    """What the environment says. Read once at the start of a process with `Settings.from_env()`.

    TSUNAGI_HOME          folder of all state, default `./var`
    TSUNAGI_DATABASE_URL  a PostgreSQL server to use; nothing is started then
    TSUNAGI_SYSTEMS       folders of system files, separated by `:`; default `./systems`, else those shipped
    TSUNAGI_LANG          ja or en; default by the locale
    TSUNAGI_LOG_FORMAT    console or json; default console on a terminal, else json
    """

    home: Home
    database_url: str | None = field(default=None, repr=False)
    systems: tuple[Path, ...] = ()
    lang: Language = "en"
    log_format: LogFormat = "json"

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None) -> Settings:
        """Raises SettingsError, naming the variable, its value and what it may be."""
        env = os.environ if env is None else env
        return cls(
            home=Home(Path(env.get("TSUNAGI_HOME") or "var").expanduser().absolute()),
            database_url=_database_url(env),
            systems=_system_folders(env),
            lang=_lang(env),
            log_format=_log_format(env),
        )


def _database_url(env: Mapping[str, str]) -> str | None:
    url = env.get("TSUNAGI_DATABASE_URL", "").strip()
    if not url:
        return None
    if not url.startswith(("postgresql://", "postgresql+psycopg://", "postgres://")):
        raise SettingsError(  # the value is not shown: it may hold a password
            "TSUNAGI_DATABASE_URL は postgresql://利用者:パスワード@ホスト:5432/データベース の形で"
            "指定してください。",
            "TSUNAGI_DATABASE_URL must look like postgresql://user:password@host:5432/database.",
        )
    scheme, _, rest = url.partition("://")
    return url if scheme == "postgresql" else f"postgresql://{rest}"


def _system_folders(env: Mapping[str, str]) -> tuple[Path, ...]:
    named = env.get("TSUNAGI_SYSTEMS", "")
    if named.strip():
        return tuple(Path(part).expanduser().absolute() for part in named.split(os.pathsep) if part.strip())
    here = Path("systems").absolute()
    return (here if here.is_dir() else Path(__file__).resolve().parent.parent / "systems",)


def _lang(env: Mapping[str, str]) -> Language:
    value = env.get("TSUNAGI_LANG", "").strip().lower()
    if value not in ("", "ja", "en"):
        raise SettingsError(
            f"TSUNAGI_LANG={value} は使えません。ja または en を指定してください。",
            f"TSUNAGI_LANG={value} is unknown. Use ja or en.",
        )
    return language(env)


def _log_format(env: Mapping[str, str]) -> LogFormat:
    value = env.get("TSUNAGI_LOG_FORMAT", "").strip().lower()
    if value == "console":
        return "console"
    if value == "json":
        return "json"
    if value:
        raise SettingsError(
            f"TSUNAGI_LOG_FORMAT={value} は使えません。console または json を指定してください。",
            f"TSUNAGI_LOG_FORMAT={value} is unknown. Use console or json.",
        )
    return "console" if sys.stderr.isatty() else "json"
