"""`tsunagi new`, `tsunagi schema`: for people who add connectors and mappings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import orjson
import typer

from canonical_model.schema import current_schemas
from connectors.scaffold import write_connector
from hub.cli.output import Exit, fail, guarded, say
from hub.systems import system_schema
from mappings.schema.build import build_schema

__all__ = ["new", "register", "schema"]

new = typer.Typer(help="ひな形を作る / write a starting point", no_args_is_help=True)
schema = typer.Typer(help="JSON Schema", no_args_is_help=True)


@new.command("connector")
def new_connector(
    name: Annotated[str, typer.Argument(help="例: tiny_shop / name of the kind of system")],
    folder: Annotated[Path, typer.Option("--in", help="作る場所 / where to put it")] = Path(),
) -> None:
    """新しいコネクタのフォルダを作る / write the folder of a new connector, with tests that run offline."""
    with guarded():
        try:
            written = write_connector(name, folder)
        except (ValueError, FileExistsError) as error:
            raise fail(str(error), str(error), Exit.USAGE) from error
        for path in written:
            typer.echo(path)
        say("README.md の手順で始めてください。", "Start with its README.md.")


@schema.command("export")
def export_schemas(
    folder: Annotated[Path, typer.Argument(help="書き出す場所 / folder to write to")] = Path("schemas"),
) -> None:
    """標準モデル・マッピング・システム定義のJSON Schemaを書き出す / write all JSON Schemas."""
    folder.mkdir(parents=True, exist_ok=True)
    schemas = {f"{kind}.schema.json": value for kind, value in current_schemas().items()}
    schemas["mapping.schema.json"] = build_schema()
    schemas["system.schema.json"] = system_schema()
    for name, value in sorted(schemas.items()):
        (folder / name).write_bytes(
            orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
        )
    say(f"{len(schemas)} 個を {folder} に書き出しました。", f"{len(schemas)} schemas written to {folder}.")


def register(app: typer.Typer) -> None:
    """Nothing at the top level: both groups are sub-commands."""
