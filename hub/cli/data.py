"""`tsunagi preview`, `explain`, `export`: looking at data."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hub.cli.failures import Exit, fail
from hub.cli.opening import open_hub
from hub.cli.output import Json, Reveal, cell, json_line, out, progress, say, show_table, wrong
from hub.words import Words

if TYPE_CHECKING:
    from hub.explain import Explanation, Origin
    from hub.preview import Preview, PreviewedRecord

__all__ = ["register"]

Kind = Annotated[
    str,
    typer.Argument(metavar="ENTITY", help="種類。order、customer、stock_position など / kind, such as order"),
]


class Format(StrEnum):
    """Forms of an export."""

    jsonl = "jsonl"
    csv = "csv"


# ---------------------------------------------------------------- preview


def preview(
    mapping: Annotated[
        str,
        typer.Argument(
            metavar="MAPPING", help="マッピング名。例 file_exchange/general_orders.in / mapping name"
        ),
    ],
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="CSV・固定長・JSON(.json, .jsonl) / file of records or entities"),
    ],
    system: Annotated[
        str | None,
        typer.Option(
            "--system", "-s", help="定数とレイアウトをこのシステムから / with its constants and layout"
        ),
    ] = None,
    layout: Annotated[
        str | None, typer.Option("--layout", "-l", help="ファイルのレイアウト名 / layout of the file")
    ] = None,
    related: Annotated[
        list[str] | None,
        typer.Option(
            "--related",
            "-r",
            metavar="NAME=FILE",
            help=".out が参照するエンティティの JSONL / entities an .out mapping refers to, as JSON lines",
        ),
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", "-n", min=1, help="先頭から何件まで / only the first so many")
    ] = None,
    reveal: Reveal = False,
    json: Annotated[
        bool, typer.Option("--json", help="結果を1行1件のJSONで / one entity (or record) a line")
    ] = False,
) -> None:
    """マッピングの結果を保存も送信もせずに見る / see what a mapping makes of real rows; nothing is stored or sent

    データベースも秘密情報も不要です。拒否された行は標準エラーに出ます。ファイルが読めれば終了コードは 0 です。 /
    Needs neither database nor secrets. Refused rows go to standard error; the exit code is 0 whenever the file could be
    read.

    表では個人情報を伏せます(--reveal で表示)。--json はそのままの値です。 /
    The table masks personal data unless --reveal is given; --json gives the values as they are.
    """  # fmt: skip
    from hub.preview import open_preview

    opened = open_preview(
        mapping, file, system=system, layout=layout, related=_files(related), origins=not json
    )
    show = _AsJson() if json else _AsTable(opened, reveal=reveal)
    # where the records themselves scroll by, they are the progress
    with progress(Words(f"{file.name} を変換中", f"mapping {file.name}"), quiet=sys.stdout.isatty()) as watch:
        for record in opened.records(watch):
            show.record(record)
            if limit is not None and show.mapped >= limit:
                break
    show.end()


def _files(given: list[str] | None) -> dict[str, Path]:
    files = {}
    for item in given or []:
        name, sign, path = item.partition("=")
        if not sign or not path:
            raise typer.BadParameter(f"NAME=FILE: {item}", param_hint="--related")
        files[name] = Path(path)
    return files


class _AsJson:
    """What could be mapped on standard output, what could not on standard error; one JSON document a line each."""

    mapped = 0

    def record(self, record: PreviewedRecord) -> None:
        for fault in record.faults:
            told = {name: part for name, part in fault.items() if name not in ("ja", "en")}
            json_line({**told, "reason": Words(fault["ja"], fault["en"]).say()}, error=True)
        told_too = [("skipped", _SKIPPED.say())] if record.skipped else []
        for code, reason in [*told_too, *(("note", note) for note in record.notes)]:
            json_line({"code": code, "id": record.name, "line": record.line, "column": None, "value": None,
                       "field": None, "reason": reason}, error=True)  # fmt: skip
        if record.result is not None:
            self.mapped += 1
            json_line(record.result)

    def end(self) -> None:
        sys.stdout.flush()


_SKIPPED = Words(
    "マッピングの when により対象外です(エラーではありません)。",
    "the mapping's `when` is not meant for it; this is no fault",
)


class _AsTable:
    """Each record beside what became of it."""

    def __init__(self, opened: Preview, *, reveal: bool) -> None:
        self.mapped = self._refused = self._skipped = 0
        self._reveal = reveal
        self._absent: tuple[str, ...] = ()
        name, title = opened.mapping.name, opened.mapping.title
        say(
            f"{name} 版{opened.mapping.version} {title.ja}",
            f"{name} version {opened.mapping.version}: {title.en}",
        )
        if opened.system is None:
            say("使っているシステムがないため、定数は仮の値です(channel=preview)。",
                "No system uses it: constants are made up (channel=preview).")  # fmt: skip
        else:
            path = opened.system.path
            say(
                f"定数は {opened.system.system} のもの ({path})",
                f"Constants of {opened.system.system} ({path})",
            )

    def record(self, record: PreviewedRecord) -> None:
        """Show one record."""
        if record.faults:
            self._refused += 1
            for fault in record.faults:
                self._fault(fault)
            return
        if record.skipped:
            self._skipped += 1
            return
        self.mapped += 1
        line = "" if record.line is None else f"{Words(f'{record.line} 行目', f'line {record.line}').say()}  "
        columns = [Words("元の項目", "from"), Words("元の値", "source value"), Words("→ 項目", "→ field"),
                   Words("値", "value")]  # fmt: skip
        rows = [
            (
                _source(row.column, row.how, None if row.line == record.line else row.line),
                self._shown(row.column, row.source), row.field, self._shown(row.field, row.value),
            )
            for row in record.rows
        ]  # fmt: skip
        show_table(
            columns, rows, title=f"{line}{self._shown('', record.name)}", wide={0: 9, 1: 8, 2: 12, 3: 8}
        )
        for note in record.notes:
            say(f"※ {note}", f"Note: {note}")
        absent = tuple(record.absent)
        if absent != self._absent:
            self._absent = absent
            names = ", ".join(absent)
            say(f"マッピングが読む列のうち、このファイルにないもの: {names or 'なし'}",
                f"Columns the mapping reads and this file does not have: {names or 'none'}")  # fmt: skip

    def _shown(self, name: str, value: Any) -> str:
        if self._reveal or value is None:
            return cell(value)
        from hub.logs import mask_record

        return cell(mask_record(_jsonable(value), name))

    def _fault(self, fault: Mapping[str, Any]) -> None:
        if not self._reveal:
            from hub.quarantine import masked_fault

            fault = masked_fault(fault)
        reason = Words(fault["ja"], fault["en"]).say()
        place = (
            "" if fault["line"] is None else Words(f"{fault['line']} 行目 ", f"line {fault['line']} ").say()
        )
        # messages about rows of a file name their line themselves
        wrong(reason if str(fault["line"]) in reason[:12] else f"{place}{fault['id']}: {reason}", error=True)

    def end(self) -> None:
        """Say what it came to."""
        say(
            f"変換 {self.mapped} 件、拒否 {self._refused} 件、対象外 {self._skipped} 件",
            f"{self.mapped} mapped, {self._refused} refused, {self._skipped} not meant for the mapping",
        )


def _jsonable(value: Any) -> Any:
    return value if isinstance(value, str | int | float | bool | dict | list) else str(value)


def _source(column: str, how: str, line: int | None) -> str:
    """Where a value came from: `受注名カナ (kana)`, with the row where a record has several."""
    place = "" if line is None else f"{line}: "
    return f"{place}{column} ({how})" if how else f"{place}{column}"


# ---------------------------------------------------------------- explain


def explain(
    entity: Kind,
    key: Annotated[str, typer.Argument(metavar="KEY", help="キー。例 mailorder/A-1001 / the entity's key")],
    reveal: Reveal = False,
    json: Json = False,
) -> None:
    """それぞれの値がどこから来たか / where each value came from: system, file, row, column, mapping

    版の履歴と、各システムでの番号も示します。個人情報は --reveal を付けるまで伏せます。 /
    Also shows the versions so far and how other systems name it. Personal data is masked unless --reveal is given.
    """
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
            source = f"{mark}{line} {_source(origin.source or '?', origin.how or '', None)}"
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


def register(app: typer.Typer, daily: str, authors: str) -> None:
    """Put the commands of this file into the application."""
    for command in (explain, export):
        app.command(rich_help_panel=daily)(command)
    app.command(rich_help_panel=authors)(preview)
