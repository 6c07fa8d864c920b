"""How the CLI speaks: tables for people, JSON for machines, and what the exit codes mean."""

from __future__ import annotations

import enum
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import orjson
import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table

from connectors.contract import Misconfigured, Refused, Retry
from hub.words import HubError, Words

__all__ = ["Exit", "fail", "guarded", "json_line", "progress", "say", "show_table"]

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


class Exit(enum.IntEnum):
    """Exit codes; 75 and 78 are those of sysexits.h."""

    OK = 0
    PROBLEM = 1
    USAGE = 2
    RETRY = 75
    MISCONFIGURED = 78


def say(ja: str, en: str) -> None:
    """One sentence to standard output, in the operator's language."""
    out.print(Words(ja, en).say(), markup=False)


def fail(ja: str, en: str, code: Exit = Exit.PROBLEM) -> typer.Exit:
    """Say on standard error what is wrong; raise what is returned."""
    err.print(f"[bold red]✗[/] {_escape(Words(ja, en).say())}")
    return typer.Exit(code)


def _escape(sentence: str) -> str:
    return sentence.replace("[", r"\[")


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("cp932", "replace")
    return str(value)


def json_line(value: Any, *, error: bool = False) -> None:
    """One JSON document on one line, UTF-8, to standard output (or standard error)."""
    stream = sys.stderr.buffer if error else sys.stdout.buffer
    stream.write(orjson.dumps(value, default=_plain, option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_UTC_Z))
    stream.flush()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.astimezone().strftime("%m-%d %H:%M:%S")
    return str(value)


def show_table(title: Words | None, columns: Sequence[Words], rows: Iterable[Sequence[Any]]) -> None:
    """A table for people; long cells fold, nothing is cut off."""
    table = Table(title=None if title is None else title.say(), title_justify="left", header_style="bold")
    for column in columns:
        table.add_column(column.say(), overflow="fold")
    for row in rows:
        table.add_row(*(_escape(_cell(value)) for value in row))
    out.print(table)


@contextmanager
def progress(label: Words) -> Iterator[Callable[[int, str], None]]:
    """A progress line on a terminal, nothing elsewhere. Yields `advance(count, what)`."""
    bar = Progress(
        SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(show_speed=True),
        TimeElapsedColumn(), TextColumn("{task.fields[what]}"), console=err, transient=True,
        disable=not err.is_terminal,
    )  # fmt: skip
    with bar:
        task = bar.add_task(label.say(), total=None, what="")
        yield lambda count, what: bar.update(task, completed=count, what=what)


@contextmanager
def guarded() -> Iterator[None]:
    """Turn what the hub and the connectors raise into one sentence and an exit code."""
    try:
        yield
    except Retry as error:
        wait = "" if error.after is None else f" ({int(error.after.total_seconds())} s)"
        raise fail(
            f"今は処理できません。しばらくして再実行してください{wait}: {error}",
            f"not possible right now, try again later{wait}: {error}",
            Exit.RETRY,
        ) from error
    except Misconfigured as error:
        raise fail(
            f"設定を直してください: {error}", f"a setting must be mended: {error}", Exit.MISCONFIGURED
        ) from error
    except Refused as error:
        raise fail(f"相手システムに拒否されました: {error}", f"the other system refused: {error}") from error
    except HubError as error:
        raise fail(error.ja, error.en) from error
    except LookupError as error:
        sentence = str(error.args[0]) if error.args else str(error)
        raise fail(sentence, sentence, Exit.USAGE) from error


def counts_line(counts: Mapping[str, Any]) -> str:
    """Counts that are not zero, as `name=value` words."""
    return "  ".join(
        f"{name}={value}" for name, value in counts.items() if value not in (0, 0.0, "", [], {}, None)
    )
