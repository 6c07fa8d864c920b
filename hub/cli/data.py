"""`tsunagi preview`, `explain`, `export`: looking at data."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from hub.cli.output import Exit, fail, guarded, json_line, out, say, show_table
from hub.engine import Hub
from hub.explain import explain as explain_entity
from hub.export import export_csv, export_jsonl
from hub.preview import PreviewedRecord, preview_file
from hub.words import Words, language

__all__ = ["register"]


class Format(StrEnum):
    jsonl = "jsonl"
    csv = "csv"


def preview(
    mapping: Annotated[str, typer.Argument(help="例: file_exchange/general_orders.in / mapping name")],
    file: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, help="CSV, 固定長, JSON / file of records")
    ],
    system: Annotated[
        str | None, typer.Option("--system", "-s", help="このシステムの設定で / with its constants")
    ] = None,
    layout: Annotated[str | None, typer.Option(help="ファイルのレイアウト名 / layout of the file")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="先頭から何件 / only the first")] = None,
    json: Annotated[
        bool, typer.Option("--json", help="標準形を1行1件で / one canonical entity a line")
    ] = False,
) -> None:
    """マッピングの結果を送信前に確かめる / see what a mapping makes of real rows; nothing is stored or sent.

    拒否された行は標準エラーに出ます。ファイルが読めれば終了コードは0です。
    Refused rows go to standard error; the exit code is 0 whenever the file could be read.
    """
    with guarded():
        refused = shown = 0
        for record in preview_file(mapping, file, system=system, layout=layout):
            if record.faults:
                refused += 1
                for fault in record.faults:
                    _show_fault(fault, json)
                continue
            shown += 1
            if json:
                json_line(record.entity)
            else:
                _show_record(record)
            if limit is not None and shown >= limit:
                break
        if not json:
            say(f"{shown} 件を変換、{refused} 件を拒否。", f"{shown} mapped, {refused} refused.")


def _show_fault(fault: dict[str, object], json: bool) -> None:
    if json:
        reason = fault["ja"] if language() == "ja" else fault["en"]
        json_line({**{k: v for k, v in fault.items() if k not in ("ja", "en")}, "reason": reason}, error=True)
    else:
        place = " ".join(f"{k}={fault[k]}" for k in ("line", "column", "value") if fault.get(k) is not None)
        typer.echo(f"✗ {place}: {fault['ja'] if language() == 'ja' else fault['en']}", err=True)


def _show_record(record: PreviewedRecord) -> None:
    show_table(
        Words(f"{record.line} 行目", f"line {record.line}"),
        [
            Words("標準形の項目", "field"),
            Words("値", "value"),
            Words("元の項目", "from"),
            Words("元の値", "source value"),
        ],
        record.rows,
    )


def explain(
    entity: Annotated[str, typer.Argument(help="order, customer, stock_position, ...")],
    key: Annotated[str, typer.Argument(help="例: rakuten/502763-20171027-00006701 / entity key")],
    json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """この値はどこから来たか / where each value of an entity came from."""
    with guarded(), Hub.open() as hub:
        found = explain_entity(hub, entity, key)
        if json:
            json_line(
                {
                    "kind": found.kind, "key": found.key, "version": found.version, "references": found.references,
                    "history": found.history, "origins": [_origin(origin) for origin in found.origins],
                }
            )  # fmt: skip
            return
        out.print(f"[bold]{found.kind}[/] ", end="")
        out.print(f"{found.key}  v{found.version}", markup=False)
        show_table(
            None,
            [
                Words("項目", "field"), Words("値", "value"), Words("システム", "system"), Words("元の項目", "from"),
                Words("元データ", "page"), Words("マッピング", "mapping"),
            ],
            [
                (
                    o.field, o.value, o.system, o.source,
                    "" if o.intake_id is None else f"{o.name or f'intake {o.intake_id}'}:{o.line}",
                    "" if o.mapping is None else f"{o.mapping} v{o.mapping_version}",
                )
                for o in found.origins
            ],
        )  # fmt: skip


def _origin(origin: object) -> dict[str, object]:
    from dataclasses import asdict

    return {name: value for name, value in asdict(origin).items() if value is not None}  # type: ignore[call-overload]


def export(
    entity: Annotated[str, typer.Argument(help="order, customer, stock_position, ...")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="省略時は標準出力 / default: standard output")
    ] = None,
    form: Annotated[Format, typer.Option("--format")] = Format.jsonl,
) -> None:
    """標準形のデータを書き出す / write out the entities of a kind."""
    with guarded(), Hub.open() as hub:
        try:
            if form is Format.csv:
                # Excel needs the byte order mark to read Japanese
                with (
                    output.open("w", encoding="utf-8-sig", newline="") if output else _stdout_text() as target
                ):
                    count = export_csv(hub.engine, entity, target)
            elif output is None:
                count = export_jsonl(hub.engine, entity, sys.stdout.buffer)
                sys.stdout.buffer.flush()
            else:
                with output.open("wb") as sink:
                    count = export_jsonl(hub.engine, entity, sink)
        except KeyError as error:
            raise fail(str(error.args[0]), str(error.args[0]), Exit.USAGE) from error
        if output is not None:
            say(f"{count} 件を {output} に書き出しました。", f"{count} written to {output}.")


def _stdout_text() -> typer.FileTextWrite:
    import io

    return io.TextIOWrapper(sys.stdout.buffer, encoding="utf-8", newline="", write_through=True)  # type: ignore[return-value]


def register(app: typer.Typer) -> None:
    for command in (preview, explain, export):
        app.command()(command)
