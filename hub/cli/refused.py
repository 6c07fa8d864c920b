"""`tsunagi quarantine`: what was refused, why, and another try."""

from __future__ import annotations

from typing import Annotated, Any

import orjson
import typer

from hub.cli.output import Exit, fail, guarded, json_line, out, say, show_table
from hub.engine import Hub
from hub.logs import mask, mask_record
from hub.reports import QuarantineRow
from hub.words import Words, language

__all__ = ["app"]

app = typer.Typer(help="隔離されたデータ / records that were refused", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="1行1件のJSONで出力 / one JSON document a line")]
System = Annotated[str | None, typer.Option("--system", "-s", help="システム名 / only this system")]
FlowName = Annotated[str | None, typer.Option("--flow", "-f", help="フロー名 / only this flow")]
Ids = Annotated[list[int] | None, typer.Argument(help="隔離番号 / row ids")]


def _place(row: QuarantineRow) -> str:
    where = row.name or (row.subject if row.direction == "out" else "")
    return f"{where}:{row.position}" if row.position is not None else where


@app.command("list")
def list_rows(
    system: System = None,
    flow: FlowName = None,
    state: Annotated[str, typer.Option(help="open, replayed, resolved, discarded, all")] = "open",
    limit: Annotated[int, typer.Option(min=1)] = 200,
    json: Json = False,
) -> None:
    """隔離の一覧 / what was refused and why (personal data masked)."""
    with guarded(), Hub.open() as hub:
        rows = hub.quarantine_list(system, flow, None if state == "all" else state, limit)
        if json:
            for row in rows:
                json_line(row.as_dict())
            return
        if not rows:
            say("隔離されたデータはありません。", "nothing is in quarantine.")
            return
        show_table(
            None,
            [
                Words("番号", "id"), Words("フロー", "flow"), Words("対象", "subject"), Words("場所", "where"),
                Words("項目", "column"), Words("値", "value"), Words("理由", "reason"),
            ],
            [
                (
                    row.id, f"{row.system}/{row.flow}", row.subject, _place(row), row.column or row.field,
                    row.value_masked, row.reason_ja if language() == "ja" else row.reason_en,
                )
                for row in rows
            ],
        )  # fmt: skip


def _masked(fault: dict[str, Any]) -> dict[str, Any]:
    if fault.get("value") is None:
        return fault
    return {**fault, "value": mask(fault.get("column") or fault.get("field") or "", fault["value"])}


@app.command()
def show(
    row_id: Annotated[int, typer.Argument(help="隔離番号 / row id")],
    reveal: Annotated[
        bool, typer.Option("--reveal", help="個人情報を隠さない / do not mask personal data")
    ] = False,
    json: Json = False,
) -> None:
    """1件の詳細: すべての理由と元データ / one row with all its faults and the data as received."""
    with guarded(), Hub.open() as hub:
        row = hub.quarantine_show(row_id)
        if not reveal:
            row["record"] = mask_record(row["record"])
            row["raw"] = None if row["raw"] is None else "…"
            row["faults"] = [_masked(fault) for fault in row["faults"]]
        if json:
            json_line(row)
            return
        for name in (
            "id",
            "system",
            "flow",
            "stage",
            "mapping",
            "subject",
            "name",
            "positions",
            "state",
            "created_at",
        ):
            out.print(f"[bold]{name}[/]: ", end="")
            out.print(str(row[name]), markup=False)
        for fault in row["faults"]:
            out.print("[bold red]✗[/] ", end="")
            out.print(fault["ja"] if language() == "ja" else fault["en"], markup=False)
        if row["record"] is not None:
            out.print_json(orjson.dumps(row["record"]).decode())
        if isinstance(row["raw"], bytes):
            out.print(row["raw"].decode("cp932", "replace"), markup=False)


def _chosen(
    hub: Hub, ids: list[int] | None, everything: bool, system: str | None, flow: str | None
) -> list[int]:
    if ids:
        return ids
    if everything or system or flow:
        return [row.id for row in hub.quarantine_list(system, flow, "open", 100_000)]
    raise fail("番号、--system、--flow、--all のどれかを指定してください。",
               "Give row ids, --system, --flow or --all.", Exit.USAGE)  # fmt: skip


@app.command()
def replay(
    ids: Ids = None,
    everything: Annotated[bool, typer.Option("--all", help="すべて / every open row")] = False,
    system: System = None,
    flow: FlowName = None,
    json: Json = False,
) -> None:
    """マッピングやコード表を直したあと、もう一度取り込む / try again after mending a mapping or a table."""
    with guarded(), Hub.open() as hub:
        report = hub.quarantine_replay(_chosen(hub, ids, everything, system, flow))
        if json:
            json_line(report.as_dict())
        else:
            say(
                f"{report.tried} 件中 {report.through} 件が通りました。残り {report.still_refused} 件。",
                f"{report.through} of {report.tried} went through; {report.still_refused} are still refused.",
            )
            if report.missing:
                say(f"{report.missing} 件は元データの保存期間が過ぎています。",
                    f"the bytes of {report.missing} are no longer kept.")  # fmt: skip


@app.command()
def discard(
    ids: Annotated[list[int], typer.Argument(help="隔離番号 / row ids")],
    reason: Annotated[str, typer.Option("--reason", "-r", help="理由 / why", prompt="理由 / reason")],
) -> None:
    """取り込まないと決める / close rows for good; the bytes stay in the intake."""
    with guarded(), Hub.open() as hub:
        count = hub.quarantine_discard(ids, reason)
        say(f"{count} 件を破棄しました。", f"{count} rows discarded.")
