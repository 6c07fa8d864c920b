"""`tsunagi new`, `tsunagi schema`: for people who add connectors and mappings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hub.cli.failures import Exit, fail
from hub.cli.output import say

__all__ = ["new", "schema"]

new = typer.Typer(help="ひな形を作る / write a starting point", no_args_is_help=True)
schema = typer.Typer(help="エディタ用の JSON Schema / JSON Schemas for editors", no_args_is_help=True)


@new.command("connector")
def new_connector(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME", help="相手システムの種類。例 tiny_shop / kind of system, such as tiny_shop"
        ),
    ],
    folder: Annotated[
        Path, typer.Option("--in", metavar="FOLDER", help="作る場所 / where to put it")
    ] = Path(),
) -> None:
    """新しいコネクタのフォルダを作る / write the folder of a new connector, with tests that run offline

    コネクタ、マッピング、記録済みの応答、テストが入ります。既にあるものは上書きしません。 /
    It holds connector, mappings, recorded answers and tests. Nothing that is there is overwritten.
    """  # fmt: skip
    from connectors.scaffold import write_connector

    try:
        written = write_connector(name, folder)
    except (ValueError, FileExistsError) as error:
        raise fail(f"作成できません: {error}", f"It cannot be written: {error}", Exit.USAGE) from error
    except OSError as error:
        raise fail(
            f"{folder} に書けません: {error.strerror}", f"{folder} cannot be written to: {error.strerror}"
        ) from error
    for path in written:
        typer.echo(path)
    readme = folder / name / "README.md"
    say(f"{readme} の手順で始めてください。", f"Start with {readme}.")


@schema.command("export")
def export_schemas(
    folder: Annotated[
        Path, typer.Argument(metavar="[FOLDER]", help="書き出す場所 / folder to write to")
    ] = Path("schemas"),
) -> None:
    """標準モデル・マッピング・システム定義の JSON Schema を書き出す / write the JSON Schemas of the canonical model, mappings and system files"""  # noqa: E501
    import orjson

    from canonical_model.schema import current_schemas
    from hub.system_file import system_schema
    from mappings.schema.build import build_schema

    schemas = {f"{kind}.schema.json": value for kind, value in current_schemas().items()}
    schemas["mapping.schema.json"] = build_schema()
    schemas["system.schema.json"] = system_schema()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, value in sorted(schemas.items()):
            (folder / name).write_bytes(
                orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
            )
    except OSError as error:
        raise fail(
            f"{folder} に書けません: {error.strerror}", f"{folder} cannot be written to: {error.strerror}"
        ) from error
    say(f"{len(schemas)} 個を {folder} に書き出しました。", f"{len(schemas)} schemas written to {folder}.")
