"""`tsunagi explain`, `export`: looking at what the hub holds."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hub.cli.failures import Exit, fail
from hub.cli.opening import open_hub
from hub.cli.output import Json, Reveal, cell, json_line, out, progress, say, show_table, source_of
from hub.cli.stock import Channel, show_stock
from hub.words import Words

if TYPE_CHECKING:
    from hub.explain import Explanation, Origin

__all__ = ["register"]

Kind = Annotated[
    str,
    typer.Argument(metavar="ENTITY", help="種類。order、customer、stock_position など / kind, such as order"),
]


class Format(StrEnum):
    """Forms of an export."""

    jsonl = "jsonl"
    csv = "csv"


# ---------------------------------------------------------------- explain


def explain(
    entity: Kind,
    key: Annotated[str, typer.Argument(metavar="KEY", help="キー。例 mailorder/A-1001 / the entity's key")],
    channel: Channel = None,
    reveal: Reveal = False,
    json: Json = False,
) -> None:
    """それぞれの値がどこから来たか / where each value came from: system, file, row, column, mapping

    版の履歴と、各システムでの番号も示します。個人情報は --reveal を付けるまで伏せます。 /
    Also shows the versions so far and how other systems name it. Personal data is masked unless --reveal is given.

    「stock SKU」は、なぜその在庫数を表示しているかを示します(--channel でチャネルを絞る)。 /
    "stock SKU" tells why channels show so many of a SKU; --channel names one of them.
    """
    if entity == "stock":
        show_stock(key, channel, json=json)
        return
    _known(entity)
    with open_hub() as hub:
        from hub.explain import explain as explain_entity

        found = explain_entity(hub, entity, key)
    if not reveal:
        found = _masked(found)
    if json:
        json_line(
            {
                "kind": found.kind, "key": found.key, "version": found.version, "deleted_at": found.deleted_at,
                "origins": [_told(origin) for origin in found.origins], "history": found.history,
                "references": found.references, "notes": [note.say() for note in found.notes],
            }
        )  # fmt: skip
        return
    _show_explanation(found)


def _masked(found: Explanation) -> Explanation:
    from dataclasses import replace

    from hub.logs import mask, mask_record

    origins = [replace(one, value=mask_record(one.value, one.field)) for one in found.origins]
    references = [{**one, "external_id": mask("id", one["external_id"])} for one in found.references]
    return replace(found, origins=origins, references=references)


def _told(origin: Origin) -> dict[str, Any]:
    told = {name: value for name, value in asdict(origin).items() if value is not None and name != "record"}
    return {**told, "value": origin.value, "derived": origin.derived}


def _show_explanation(found: Explanation) -> None:
    gone = "" if found.deleted_at is None else Words(" 削除済み", " deleted").say()
    title = f"{found.kind} {found.key}  {Words(f'版{found.version}', f'version {found.version}').say()}{gone}"
    rows = []
    for origin in found.origins:
        mark = "" if origin.record is None else f"[{origin.record}]"
        if origin.derived:
            source = Words("ハブが算出", "derived by the hub").say()
        else:
            line = "" if origin.line is None else f" {Words(f'{origin.line}行', f'line {origin.line}').say()}"
            source = f"{mark}{line} {source_of(origin.source or '?', origin.how or '', None)}"
        rows.append((origin.field, origin.value, source))
    show_table(
        [Words("項目", "field"), Words("値", "value"), Words("どこから", "from")],
        rows,
        title=title,
        wide={0: 4, 1: 3, 2: 4},
    )
    for number, record in enumerate(found.records, start=1):
        version = Words(f"版{record.mapping_version}", f"version {record.mapping_version}").say()
        page = record.name or f"#{record.intake_id}"
        out().print(
            f"[{number}] {record.system}  {page}  {cell(record.received_at)}  {record.mapping} {version}",
            markup=False, soft_wrap=True,
        )  # fmt: skip
    deleted = Words(" 削除", " deleted").say()
    history = [
        f"{row['version']}: {cell(row['at'])} {row['system']}{deleted if row['deleted'] else ''}"
        for row in found.history
    ]
    references = [f"{row['system']}={row['external_id']}" for row in found.references]
    for words, parts in (
        (Words("履歴", "history"), history),
        (Words("各システムでの番号", "references"), references),
    ):
        if parts:
            out().print(f"{words.say()}: {' · '.join(parts)}", markup=False, soft_wrap=True)
    for note in found.notes:
        say(f"※ {note.ja}", f"Note: {note.en}")


# ---------------------------------------------------------------- export


def export(
    entity: Kind,
    form: Annotated[
        Format,
        typer.Option(
            "--format", "-f", metavar="jsonl|csv", help="jsonl は機械用、csv は表計算用 / jsonl or csv"
        ),
    ] = Format.jsonl,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="書き出すファイル。省略時は標準出力 / file to write"
        ),
    ] = None,
) -> None:
    """標準形のデータをキー順に書き出す / write out the entities of a kind, in key order

    個人情報もそのまま出ます。CSV では数式として動く値の前に ' を付け、ファイルには Excel 用の BOM を付けます。 /
    Personal data is written as it is. In CSV, values a spreadsheet would run as a formula get a ' in front, and a file
    gets the byte order mark Excel wants.
    """  # fmt: skip
    _known(entity)
    quiet = output is None and sys.stdout.isatty()
    with (
        open_hub() as hub,
        progress(Words(f"{entity} を書き出し中", f"exporting {entity}"), quiet=quiet) as watch,
    ):
        from hub.export import export_csv, export_jsonl

        if output is None:
            sys.stdout.flush()
            if form is Format.jsonl:
                export_jsonl(hub.engine, entity, sys.stdout.buffer, watch=watch)
            else:
                sys.stdout.reconfigure(encoding="utf-8", newline="")  # type: ignore[union-attr]
                export_csv(hub.engine, entity, sys.stdout, watch=watch)
            sys.stdout.flush()
            return
        with _whole(output) as draft:
            if form is Format.jsonl:
                with draft.open("wb") as target:
                    count = export_jsonl(hub.engine, entity, target, watch=watch)
            else:
                with draft.open("w", encoding="utf-8-sig", newline="") as sheet:
                    count = export_csv(hub.engine, entity, sheet, watch=watch)
    say(f"{count} 件を {output} に書き出しました。", f"{count} written to {output}.")


@contextmanager
def _whole(output: Path) -> Iterator[Path]:
    """A draft that takes the file's place when all of it is written."""
    draft = output.with_name(f".{output.name}.part")
    try:
        yield draft
        draft.replace(output)
    except OSError as error:
        raise fail(
            f"{output} に書けません: {error.strerror}", f"{output} cannot be written: {error.strerror}"
        ) from error
    finally:
        draft.unlink(missing_ok=True)


def _known(kind: str) -> None:
    """Say which kinds there are, before anything is opened."""
    from canonical_model.entity import ENTITIES
    from mappings.problems import suggestion

    if kind not in ENTITIES:
        ja, en = suggestion(kind, ENTITIES)
        raise fail(
            f"「{kind}」という種類はありません。{ja}", f"There is no entity kind {kind!r}.{en}", Exit.USAGE
        )


def register(app: typer.Typer, panel: str) -> None:
    """Put the commands of this file into the application."""
    app.command(rich_help_panel=panel)(explain)
    app.command(rich_help_panel=panel)(export)
