"""The command `tsunagi`.

Exit codes: 0 done; 1 a problem a person must look at; 2 wrong usage; 75 try again later; 78 a setting must be mended.
"""

from __future__ import annotations

import typer

from hub.cli import author, data, flows, house, refused

__all__ = ["app", "main"]

app = typer.Typer(
    help="つなぎ: オムニチャネル・コマースの連携ハブ / open integration hub for omnichannel commerce",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,  # locals may hold personal data and secrets
    add_completion=True,
)
for group in (house, flows, data, author):
    group.register(app)
app.add_typer(refused.app, name="quarantine")
app.add_typer(author.new, name="new")
app.add_typer(author.schema, name="schema")


def main() -> None:
    """Entry point of the console script."""
    app()
