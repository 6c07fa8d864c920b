"""Opening the hub for a command, and finding what the command line names in it."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

from hub.cli.output import waiting
from hub.words import Words

if TYPE_CHECKING:
    from hub.engine import Hub
    from hub.home import Settings
    from hub.systems import System

__all__ = ["flow_named", "open_hub", "ready", "speak_up"]

Way = Literal["pull", "push"]

_level = logging.WARNING


class _Now:
    """Standard error as it is at the moment of writing: a progress bar replaces it for as long as it is shown."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()

    def isatty(self) -> bool:
        return sys.stderr.isatty()


def speak_up() -> None:
    """Also show what is done step by step (`--verbose`)."""
    global _level  # noqa: PLW0603  one command a process
    _level = logging.INFO


def ready() -> Settings:
    """The settings of the environment, with logging set up. Raises SettingsError."""
    from hub.home import Settings
    from hub.logs import configure_logging

    settings = Settings.from_env()
    configure_logging(settings, level=_level, stream=_Now())  # type: ignore[arg-type]
    return settings


@contextmanager
def open_hub(*, threads: int = 1) -> Iterator[Hub]:
    """The hub the environment describes; starts the embedded PostgreSQL where that is used. `threads` as `Hub.open`."""
    from hub.engine import Hub
    from hub.memory import keep_what_is_loaded

    settings = ready()
    with waiting(Words("データベースを開いています", "opening the database")):
        hub = Hub.open(settings, threads=threads)
    keep_what_is_loaded()
    with hub:
        yield hub


def flow_named(system: System, asked: str, way: Way) -> str:
    """The flow an operator means: by its name, or by that of the source or sink only one flow has.

    Raises UnknownName with what there is.
    """
    from hub.system_file import UnknownName
    from mappings.problems import suggestion

    mine = {name: flow for name, flow in system.flows.items() if getattr(flow, way) is not None}
    if asked in mine:
        return asked
    by_end = [name for name, flow in mine.items() if getattr(flow, way) == asked]
    if len(by_end) == 1:
        return by_end[0]
    if by_end:
        names = ", ".join(by_end)
        raise UnknownName(
            f"{system.system} では {asked} を使うフローが複数あります。どれかを指定してください: {names}",
            f"Several flows of {system.system} use {asked}; name one of them: {names}",
        )
    if asked in system.flows:
        other = "push" if way == "pull" else "pull"
        right = f"`tsunagi {other} {system.system} {asked}`"
        raise UnknownName(
            f"{system.system}/{asked} は {other} のフローです。{right} を使ってください。",
            f"{system.system}/{asked} is a {other} flow: use {right}.",
        )
    ja, en = suggestion(asked, {*mine, *(str(getattr(flow, way)) for flow in mine.values())})
    raise UnknownName(
        f"{system.system} に「{asked}」という {way} のフローはありません。{ja}",
        f"{system.system} has no {way} flow {asked!r}.{en}",
    )
