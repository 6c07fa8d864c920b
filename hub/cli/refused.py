"""`tsunagi quarantine`: what was refused, why, and another try."""

from __future__ import annotations

import sys
from base64 import b64encode
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hub.cli.failures import Exit, fail
from hub.cli.opening import open_hub
from hub.cli.output import Json, Reveal, cell, json_line, out, progress, say, show_table, wrong
from hub.words import Words

if TYPE_CHECKING:
    from hub.engine import Hub
    from hub.reports import QuarantineRow

__all__ = ["app"]

app = typer.Typer(
    help="隔離されたデータと再実行 / records that were refused, and another try", no_args_is_help=True
)

System = Annotated[str | None, typer.Option("--system", "-s", help="このシステムだけ / only this system")]
FlowName = Annotated[str | None, typer.Option("--flow", "-f", help="このフローだけ / only this flow")]
ROW = "隔離番号 / number of the row"


class State(StrEnum):
    """What may have become of a row."""

    open = "open"
    replayed = "replayed"
    resolved = "resolved"
    discarded = "discarded"
    all = "all"


@app.command("list")
def list_rows(
    system: System = None,
    flow: FlowName = None,
    state: Annotated[
        State, typer.Option("--state", metavar="|".join(State), help="状態 / what became of it")
    ] = State.open,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="何件まで / at most so many")] = 200,
    json: Json = False,
) -> None:
    """隔離の一覧と理由 / what was refused, and why

    個人情報は伏せて表示します。 /
    Personal data is masked.
    """
    with open_hub() as hub:
        _known(hub, system, flow)
        rows = hub.quarantine_list(system, flow, None if state is State.all else state.value, limit + 1)
    if json:
        for row in rows[:limit]:
            json_line(row.as_dict())
    elif rows:
        show_table(
            [
                Words("番号", "no."),
                Words("連携・対象", "flow, record"),
                Words("場所", "where"),
                Words("理由", "why"),
            ],
            [_line(row) for row in rows[:limit]],
            wide={1: 3, 2: 3, 3: 5},
            right=(0,),
        )
        next_steps = Words(
            "対処のしかた: docs/ja/troubleshooting.md  直したら: tsunagi quarantine replay 番号",
            "What to do: docs/troubleshooting.md  Then: tsunagi quarantine replay NUMBER",
        )
        typer.echo(next_steps.say(), err=True)
    else:
        say("隔離されたデータはありません。", "Nothing is in quarantine.")
    if len(rows) > limit:
        more = Words(
            f"{limit} 件まで表示しました。続きは --limit", f"Only {limit} are shown; more with --limit"
        ).say()
        typer.echo(more, err=True)


def _line(row: QuarantineRow) -> tuple[Any, ...]:
    from hub.logs import mask

    line = "" if row.position is None else Words(f"{row.position} 行目", f"line {row.position}").say()
    where = "\n".join(part for part in (row.name or "", line) if part)
    subject = "" if row.subject.startswith("intake:") else mask("id", row.subject)
    flow = f"{row.system}/{row.flow}\n{subject}".strip()
    why = Words(row.reason_ja, row.reason_en).say()
    if row.more:
        why += (
            "\n"
            + Words(
                f"（ほか {row.more} 件。show {row.id} で表示）", f"({row.more} more: show {row.id})"
            ).say()
        )
    return row.id, flow, where, why


@app.command()
def show(
    number: Annotated[int, typer.Argument(metavar="NUMBER", help=ROW)],
    reveal: Reveal = False,
    json: Json = False,
) -> None:
    """1件の詳細: すべての理由と元データ / one row: all its faults, and the data as received

    個人情報と元のバイト列は --reveal を付けるまで伏せます。 /
    Personal data and the bytes as received are hidden unless --reveal is given.
    """
    with open_hub() as hub:
        row = _row(hub, number)
    if not reveal:
        _hide(row)
    if json:
        raw = row.pop("raw")
        json_line({**row, "raw_base64": None if raw is None else b64encode(raw).decode()})
        return
    for name, words in _PARTS.items():
        if row[name] not in (None, "", []):
            out().print(f"[bold]{words.say()}[/]: ", end="")
            out().print(cell(row[name]), markup=False, soft_wrap=True)
    for sentence in dict.fromkeys(_sentence(row, fault) for fault in row["faults"]):
        wrong(sentence)
    if row["record"] is not None:
        out().print_json(data=row["record"], ensure_ascii=False)
    if row["raw"] is not None:
        out().print(_readable(row["raw"]), markup=False, soft_wrap=True)
    elif row["hidden_bytes"]:
        count = row["hidden_bytes"]
        say(f"元データ {count} バイト(--reveal で表示)", f"{count} bytes as received (--reveal shows them)")


def _sentence(row: dict[str, Any], fault: dict[str, Any]) -> str:
    """One fault; those of the mapping do not say their line themselves."""
    said, line = Words(fault["ja"], fault["en"]), fault.get("line")
    if line is None or row["stage"] != "map" or fault["code"].startswith("group_"):
        return said.say()
    return Words(f"{line}行目: {said.ja}", f"line {line}: {said.en}").say()


_PARTS = {
    "id": Words("番号", "number"),
    "system": Words("システム", "system"),
    "flow": Words("フロー", "flow"),
    "mapping": Words("マッピング", "mapping"),
    "subject": Words("対象", "record"),
    "name": Words("ファイル", "page"),
    "positions": Words("行", "rows"),
    "state": Words("状態", "state"),
    "resolution": Words("破棄の理由", "discarded because"),
    "replays": Words("再実行の回数", "tries"),
    "created_at": Words("隔離日時", "since"),
}


def _row(hub: Hub, number: int) -> dict[str, Any]:
    try:
        row = hub.quarantine_show(number)
    except LookupError as error:
        raise _no_such_row([number]) from error
    raw = row.get("raw")
    return {**row, "raw": None if raw is None else bytes(raw), "hidden_bytes": 0}


def _no_such_row(numbers: list[int]) -> typer.Exit:
    listed = ", ".join(map(str, numbers))
    return fail(f"未処理の隔離番号 {listed} はありません。", f"There is no open row {listed}.", Exit.USAGE)


def _hide(row: dict[str, Any]) -> None:
    from hub.logs import mask, mask_record
    from hub.quarantine import masked_fault

    row["subject"] = mask("id", row["subject"])
    row["record"] = mask_record(row["record"])
    row["faults"] = [masked_fault(fault) for fault in row["faults"]]
    row["hidden_bytes"] = 0 if row["raw"] is None else len(row["raw"])
    row["raw"] = None


def _readable(raw: bytes) -> str:
    """Bytes as text: UTF-8 if they are, else CP932, what is neither as `\\x..`."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("cp932", "backslashreplace")


@app.command()
def replay(
    numbers: Annotated[list[int] | None, typer.Argument(metavar="[NUMBER]...", help=ROW)] = None,
    everything: Annotated[bool, typer.Option("--all", help="未処理のものすべて / every open row")] = False,
    system: System = None,
    flow: FlowName = None,
    json: Json = False,
) -> None:
    """直したあと、もう一度取り込む・送る / try again after a mapping, a code table or the data was mended

    元のバイト列から今のマッピングと変換表でやり直します。 /
    Starts from the bytes as received, with today's mappings and tables.
    """
    with open_hub() as hub:
        chosen = _chosen(hub, numbers, everything, system, flow)
        with progress(Words("再実行中", "trying again")) as watch:
            report = hub.quarantine_replay(chosen, watch=watch)
    if numbers and not report.tried:
        raise _no_such_row(numbers)
    if json:
        json_line(report.as_dict())
        return
    say(
        f"{report.tried} 件中 {report.through} 件が通りました。残り {report.still_refused} 件。",
        f"{report.through} of {report.tried} went through; {report.still_refused} are still refused.",
    )
    if report.superseded:
        say(f"{report.superseded} 件は新しいファイルで取込済みのため閉じました。",
            f"{report.superseded} had come in a newer file meanwhile and were closed.")  # fmt: skip
    if report.superseded:
        say(f"{report.superseded} 件は新しいデータが届いているため閉じました。",
            f"{report.superseded} were closed: newer data of the same has come since.")  # fmt: skip
    if report.missing:
        say(f"{report.missing} 件は元データの保存期間が過ぎています。",
            f"The bytes of {report.missing} are no longer kept.")  # fmt: skip


def _chosen(
    hub: Hub, numbers: list[int] | None, everything: bool, system: str | None, flow: str | None
) -> list[int]:
    if numbers:
        return numbers
    if everything or system or flow:
        _known(hub, system, flow)
        return [row.id for row in hub.quarantine_list(system, flow, "open", sys.maxsize)]
    raise fail("番号、--system、--flow、--all のどれかを指定してください。",
               "Give numbers, --system, --flow or --all.", Exit.USAGE)  # fmt: skip


def _known(hub: Hub, system: str | None, flow: str | None) -> None:
    """A misspelt name must not look like an empty quarantine; rows of a system that was removed stay reachable."""
    from hub.system_file import UnknownName

    if system is None or hub.quarantine_list(system, flow, None, 1):
        return
    found = hub.systems.get(system)
    if flow is not None and flow not in found.flows:
        known = ", ".join(found.flows)
        raise UnknownName(
            f"{system} に「{flow}」というフローはありません。あるもの: {known}",
            f"{system} has no flow {flow!r}; it has: {known}",
        )


@app.command()
def discard(
    numbers: Annotated[list[int], typer.Argument(metavar="NUMBER...", help=ROW)],
    reason: Annotated[
        str | None,
        typer.Option("--reason", "-r", help="理由。省略すると尋ねる / why; asked for when left out"),
    ] = None,
) -> None:
    """取り込まないと決める / close rows for good

    理由は記録され、元のバイト列は残ります。 /
    The reason is kept, and so are the bytes.
    """
    if reason is None and sys.stdin.isatty():
        reason = str(typer.prompt(Words("理由", "reason").say()))
    if not (reason or "").strip():
        raise fail("--reason で理由を指定してください。", "Give the reason: --reason.", Exit.USAGE)
    with open_hub() as hub:
        count = hub.quarantine_discard(numbers, str(reason).strip())
    if not count:
        raise _no_such_row(numbers)
    say(f"{count} 件を破棄しました。", f"{count} rows discarded.")
    if count < len(set(numbers)):
        rest = len(set(numbers)) - count
        say(f"{rest} 件は未処理ではありませんでした。", f"{rest} were not open.")
