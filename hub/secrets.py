"""The secrets of a system: one small interface over three places.

`connection(system_id)` looks, in this order:

1. the environment: `AIRFLOW_CONN_<ID>` (`rakuten-main` -> `AIRFLOW_CONN_RAKUTEN_MAIN`), as JSON or as a URI; Airflow
   itself need not be there
2. the file `TSUNAGI_HOME/secrets/<id>.json`, refused unless it is its owner's alone
3. providers that were registered: where Airflow is installed, its adapter finds what an operator typed into the form

A system that is found nowhere has an empty connection: not every system has secrets, and a connector says itself
which of its settings are missing.
"""

from __future__ import annotations

import errno
import json
import os
import re
import stat
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from connectors.transport.redaction import is_secret_key
from hub.home import Settings
from hub.logs import hide
from hub.words import HubError

__all__ = ["Connection", "Provider", "SecretError", "connection", "environment_name", "register_provider"]

_KEYS = ("conn_type", "host", "port", "schema", "login", "password", "extra")

_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")  # never a path

Provider = Callable[[str], Mapping[str, Any] | None]
"""`system id -> connection`, or None when it does not know the system."""


class SecretError(HubError):
    """A connection that is there but cannot be used. The message never shows what is in it."""


class Connection(dict[str, Any]):
    """conn_type, host, port, schema, login, password and extra (a dict); only those that are set.

    Shown or logged by mistake, it shows the names of its parts and nothing of their values.
    """

    def __repr__(self) -> str:
        extra = f", extra: {', '.join(sorted(self['extra']))}" if self.get("extra") else ""
        return f"<connection with {', '.join(name for name in self if name != 'extra') or 'nothing'}{extra}>"

    __str__ = __repr__

    def secret_values(self) -> Iterator[str]:
        """What must not be shown: the password, and what `extra` holds under names of secrets."""
        yield from _texts(self.get("password"))
        for name, value in self.get("extra", {}).items():
            if is_secret_key(name):
                yield from _texts(value)


_providers: dict[str, Provider] = {}


def register_provider(name: str, provider: Provider) -> None:
    """Add a place to look in, after environment and files. The same name again replaces it."""
    _providers[name] = provider


def environment_name(system_id: str) -> str:
    """`rakuten-main` -> `AIRFLOW_CONN_RAKUTEN_MAIN`."""
    return "AIRFLOW_CONN_" + system_id.upper().replace("-", "_").replace(".", "_")


def connection(
    system_id: str, *, settings: Settings | None = None, env: Mapping[str, str] | None = None
) -> Connection:
    """What is known of the system's account; empty when nothing is. Raises SecretError."""
    env = os.environ if env is None else env
    # Airflow itself asks for the id as it is, which a shell cannot export but a container can set
    for name in (environment_name(system_id), f"AIRFLOW_CONN_{system_id.upper()}"):
        if env.get(name, "").strip():
            return _from_text(env[name].strip(), name)
    settings = settings or Settings.from_env(env)
    path = settings.home.secrets / f"{system_id}.json"
    if _PLAIN.fullmatch(system_id) and os.path.lexists(path):
        return _from_file(path)
    for name, provider in _providers.items():
        found = provider(system_id)
        if found is not None:
            return _checked(found, name)
    return Connection()


def _from_file(path: Path) -> Connection:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise SecretError(
                f"{path} はリンクです。ファイルそのものを置いてください。",
                f"{path} is a link. Put the file itself there.",
            ) from error
        raise SecretError(
            f"{path} を開けません: {error.strerror}。所有者と権限を確認してください。",
            f"{path} cannot be opened: {error.strerror}. Check its owner and mode.",
        ) from error
    with os.fdopen(handle, encoding="utf-8-sig") as file:
        found = os.fstat(file.fileno())
        mode = stat.S_IMODE(found.st_mode)
        if mode & 0o077:
            raise SecretError(
                f"{path} は他の利用者から読める状態です(権限 {mode:04o})。`chmod 600 {path}` を実行してください。",
                f"{path} is open to other users (mode {mode:04o}). Run `chmod 600 {path}`.",
            )
        if found.st_uid not in (os.geteuid(), 0):
            raise SecretError(
                f"{path} は別の利用者(uid {found.st_uid})のものです。`chown` で所有者を変えてください。",
                f"{path} belongs to another user (uid {found.st_uid}). Change its owner with `chown`.",
            )
        return _from_text(file.read().strip(), str(path), uri=False)


def _from_text(text: str, where: str, *, uri: bool = True) -> Connection:
    if text.startswith("{"):
        try:
            return _checked(json.loads(text), where)
        except ValueError as error:
            # only the position is told: the text around it is a secret
            at = f"{error.lineno}:{error.colno}" if isinstance(error, json.JSONDecodeError) else "?"
            raise SecretError(
                f"{where} はJSONとして読めません({at} 文字目付近)。",
                f"{where} is no JSON (near line:column {at}).",
            ) from None
    if uri and "://" in text:
        return _from_uri(text, where)
    raise SecretError(
        f'{where} は {{"login": "...", "password": "..."}} のようなJSONで書いてください。',
        f'{where} must be JSON such as {{"login": "...", "password": "..."}}.',
    )


def _from_uri(text: str, where: str) -> Connection:
    """`type://login:password@host:port/schema?key=value`, as Airflow writes it."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise SecretError(f"{where} はURIとして読めません。", f"{where} is no URI.") from None
    extra = dict(parse_qsl(parts.query, keep_blank_values=True))
    if "__extra__" in extra:  # Airflow's way to carry what is not flat
        return _checked({**_plain(text, port), "extra": extra["__extra__"]}, where)
    return _checked({**_plain(text, port), "extra": extra}, where)


def _plain(text: str, port: int | None) -> dict[str, Any]:
    parts = urlsplit(text)
    login, password = parts.username, parts.password
    return {
        "conn_type": parts.scheme.replace("-", "_"),
        "host": unquote(parts.hostname or ""),
        "port": port,
        "schema": unquote(parts.path.lstrip("/")),
        "login": None if login is None else unquote(login),
        "password": None if password is None else unquote(password),
    }


def _checked(found: Any, where: str) -> Connection:
    if not isinstance(found, Mapping):
        raise SecretError(f"{where} はキーと値のJSONで書いてください。", f"{where} must be a JSON object.")
    if unknown := [name for name in found if name not in (*_KEYS, "description")]:
        raise SecretError(
            f"{where} に不明なキー {', '.join(unknown)} があります。設定固有の値は extra の中に書いてください。",
            f"{where} has unknown keys: {', '.join(unknown)}. Values of the connector's own go into extra.",
        )
    extra = found.get("extra")
    if isinstance(extra, str) and extra.strip():
        try:
            extra = json.loads(extra)
        except ValueError:
            raise SecretError(
                f"{where} の extra がJSONではありません。", f"extra of {where} is no JSON."
            ) from None
    if extra and not isinstance(extra, Mapping):
        raise SecretError(
            f"{where} の extra はキーと値で書いてください。", f"extra of {where} must be an object."
        )
    result = Connection({name: found[name] for name in _KEYS if found.get(name) not in (None, "")})
    result.pop("extra", None)
    if extra:
        result["extra"] = dict(extra)
    hide(result.secret_values())
    return result


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str) and value:
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)
