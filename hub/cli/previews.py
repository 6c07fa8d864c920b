"""`tsunagi preview`: records beside what a mapping makes of them."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hub.cli.output import Reveal, cell, json_line, progress, say, show_table, source_of, wrong
from hub.words import Words

if TYPE_CHECKING:
    from hub.preview import Preview, PreviewedRecord

__all__ = ["preview"]


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
                source_of(row.column, row.how, None if row.line == record.line else row.line),
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
