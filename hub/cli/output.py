"""How the commands speak: tables for people, JSON for machines, a bar while something takes long.

rich is imported where something is shown to a person: `--json` and the shell's completion do without it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any
from zoneinfo import ZoneInfo

import orjson
import typer

from hub.words import Words

if TYPE_CHECKING:
    from rich.console import Console

    from hub.progress import Progress, Watch

__all__ = [
    "Json",
    "Reveal",
    "as_json",
    "cell",
    "counts_line",
    "err",
    "good",
    "json_line",
    "out",
    "progress",
    "say",
    "show_table",
    "source_of",
    "waiting",
    "wrong",
]

Json = Annotated[bool, typer.Option("--json", help="1行1件のJSONで出力 / one JSON document a line")]
Reveal = Annotated[bool, typer.Option("--reveal", help="個人情報を隠さない / do not mask personal data")]

_JST = ZoneInfo("Asia/Tokyo")


@cache
def out() -> Console:
    """Standard output, for people."""
    from rich.console import Console

    return Console(highlight=False)


@cache
def err() -> Console:
    """Standard error, for people."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)


# ---------------------------------------------------------------- sentences


def say(ja: str, en: str) -> None:
    """One sentence to standard output, in the operator's language."""
    out().print(Words(ja, en).say(), markup=False, soft_wrap=True)


def good(text: str) -> None:
    """A line with a green tick on standard output."""
    _marked(out(), "[green]✓[/] ", text)


def wrong(text: str, *, error: bool = False) -> None:
    """A line with a red cross on standard output, or on standard error."""
    _marked(err() if error else out(), "[bold red]✗[/] ", text)


def _marked(console: Console, mark: str, text: str) -> None:
    console.print(mark, end="")
    console.print(text, markup=False, soft_wrap=True)


# ---------------------------------------------------------------- JSON


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    return str(value)


def as_json(value: Any) -> bytes:
    """Compact UTF-8 JSON without a line end; what JSON has no form for becomes text."""
    return orjson.dumps(value, default=_plain, option=orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS)


def json_line(value: Any, *, error: bool = False) -> None:
    """One JSON document on one line of standard output (or standard error)."""
    stream = sys.stderr if error else sys.stdout
    stream.flush()  # what was said as text comes before
    stream.buffer.write(as_json(value) + b"\n")
    if error:
        stream.buffer.flush()


# ---------------------------------------------------------------- tables


def cell(value: Any) -> str:
    """A value in a table: times in Japan's, objects as JSON, nothing as nothing."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.astimezone(_JST).strftime("%m-%d %H:%M")
    if isinstance(value, bool | dict | list):
        return as_json(value).decode()
    return str(value)


def show_table(
    columns: Sequence[Words],
    rows: Iterable[Sequence[Any]],
    *,
    title: str | None = None,
    wide: Mapping[int, int] | None = None,
    right: Sequence[int] = (),
) -> None:
    """A table for people. Long cells fold, nothing is cut off. A row of one cell is a heading above the rows after it.

    wide   column -> its share of what is left of the terminal's width; the others stay in one line
    right  columns of numbers
    """
    from rich.box import SIMPLE_HEAD
    from rich.markup import escape
    from rich.table import Table

    table = Table(
        title=None if title is None else escape(title), title_justify="left", title_style="bold", header_style="bold",
        box=SIMPLE_HEAD, pad_edge=False, expand=bool(wide),
    )  # fmt: skip
    for number, column in enumerate(columns):
        share = (wide or {}).get(number)
        table.add_column(
            column.say(), overflow="fold", no_wrap=bool(wide) and not share, ratio=share,
            justify="right" if number in right else "left",
        )  # fmt: skip
    for row in rows:
        table.add_row(*(escape(cell(value)) for value in row), style="bold" if len(row) == 1 else None)
    out().print(table)


def source_of(column: str, how: str, line: int | None) -> str:
    """Where a value came from: `受注名カナ (kana)`, with the row where a record has several."""
    place = "" if line is None else f"{line}: "
    return f"{place}{column} ({how})" if how else f"{place}{column}"


def counts_line(counts: Mapping[str, Any], names: Mapping[str, Words]) -> str:
    """The counts that are not nought, by their names: `受信 12 · 新規 10`."""
    return " · ".join(f"{words.say()} {counts[name]}" for name, words in names.items() if counts.get(name))


# ---------------------------------------------------------------- waiting


@contextmanager
def waiting(words: Words) -> Iterator[None]:
    """Show on a terminal that something is under way that has no measure."""
    if not sys.stderr.isatty():
        yield
        return
    with err().status(words.say()):
        yield


@contextmanager
def progress(words: Words, *, quiet: bool = False) -> Iterator[Watch | None]:
    """A bar on standard error; what it yields is handed to the engine as `watch`.

    None where standard error is no terminal, or with `quiet`: the engine then does not count at all.
    """
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress as Bar,
        SpinnerColumn,
        TextColumn,
        TimeElapsedColumn,
    )

    columns = (
        SpinnerColumn(), TextColumn("{task.description}"), BarColumn(bar_width=20), MofNCompleteColumn(),
        TimeElapsedColumn(), TextColumn("{task.fields[what]}", style="dim", markup=False),
    )  # fmt: skip
    with Bar(*columns, console=err(), transient=True) as bar:
        task = bar.add_task(words.say(), total=None, what="")
        yield _teller(lambda now: bar.update(task, completed=now.done, total=now.total, what=now.what))


def _teller(update: Callable[[Progress], None]) -> Watch:
    return update
