"""The command `tsunagi`. docs/cli.md tells of every command; `hub/cli/failures.py` of the exit codes.

What only some commands need is imported inside them: the help, the shell's completion and `preview` must not wait for
the database's libraries.
"""

from __future__ import annotations

from typing import Annotated

import typer

from hub.cli import (
    author,
    data,
    erase,
    flows,
    house,
    keys,
    people,
    reconcile,
    refused,
    serve,
    stock,
    subscriber_messages,
)
from hub.cli.opening import speak_up
from hub.cli.previews import preview
from hub.cli.root import Root

__all__ = ["app", "main"]

DAILY = "日々の運用 / Day to day"
AUTHORS = "連携を作る / Adding systems"
SETTING_UP = "準備 / Setting up"

app = typer.Typer(
    cls=Root,
    help="つなぎ: オムニチャネル・コマースの連携ハブ / Tsunagi: an open integration hub for omnichannel commerce",
    epilog=(
        "終了コード: 0 完了、1 要確認、2 使い方の誤り、70 不具合、75 後で再実行、78 設定の誤り / "
        "Exit codes: 0 done, 1 a person must look, 2 wrong usage, 70 a bug, 75 try again later, 78 mend a setting"
    ),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=True,
)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"tsunagi {version('tsunagi')}")
        raise typer.Exit


@app.callback()
def _start(
    verbose: Annotated[
        bool,
        typer.Option(
            "--verbose", "-v", help="途中経過も標準エラーに出す / also tell of each step, on standard error"
        ),
    ] = False,
    version: Annotated[  # noqa: ARG001  the callback of the option does it
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="版を表示する / show the version"),
    ] = False,
) -> None:
    if verbose:
        speak_up()


flows.register(app, DAILY)
house.register(app, DAILY, SETTING_UP)
app.add_typer(refused.app, name="quarantine", rich_help_panel=DAILY)
data.register(app, DAILY)
app.add_typer(erase.app, name="erase", rich_help_panel=DAILY)
stock.register(app, DAILY)
app.add_typer(reconcile.app, name="reconcile", rich_help_panel=DAILY)
app.add_typer(people.app, name="people", rich_help_panel=DAILY)
serve.register(app, DAILY)
app.add_typer(subscriber_messages.app, name="subscriber", rich_help_panel=DAILY)
app.add_typer(keys.app, name="key", rich_help_panel=DAILY)
app.command(rich_help_panel=AUTHORS)(preview)
app.add_typer(author.new, name="new", rich_help_panel=AUTHORS)
app.add_typer(author.schema, name="schema", rich_help_panel=AUTHORS)


def main() -> None:
    """Entry point of the console script."""
    app()
