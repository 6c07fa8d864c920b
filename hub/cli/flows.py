"""`tsunagi pull` and `tsunagi push`: run a flow by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from hub.cli.opening import flow_named, open_hub
from hub.cli.output import Json, counts_line, good, json_line, progress, say
from hub.words import Words

if TYPE_CHECKING:
    from hub.reports import PullReport, PushReport

__all__ = ["COUNTS", "register"]

SystemName = Annotated[
    str,
    typer.Argument(
        metavar="SYSTEM", help="システム名(systems/ のファイル名) / system id, the file in systems/"
    ),
]
Param = Annotated[
    list[str] | None,
    typer.Option(
        "--param", "-p", metavar="NAME=VALUE",
        help="この実行だけの指定。何度でも / a parameter of this run only; may be repeated",
    ),
]  # fmt: skip

COUNTS = {
    "records": Words("受信", "received"),
    "read": Words("確認", "looked at"),
    "created": Words("新規", "new"),
    "updated": Words("更新", "changed"),
    "deleted": Words("削除", "deleted"),
    "unchanged": Words("変更なし", "unchanged"),
    "skipped": Words("対象外", "not meant for the mapping"),
    "superseded": Words("後の行が優先", "followed by a newer one"),
    "recovered": Words("中断分の再開", "pages of an interrupted run"),
    "echoes": Words("相手発のため送信不要", "told by itself"),
    "not_for_us": Words("対象外", "not meant for it"),
    "done": Words("受理", "accepted"),
    "retry": Words("再送待ち", "to be sent again"),
    "refused": Words("拒否", "refused"),
    "resumed": Words("中断分の再開", "deliveries of an interrupted run"),
    "quarantined": Words("隔離", "quarantined"),
}
"""The counts of a run an operator reads, in the order they are shown."""

_NOTES = 20


def _params(given: list[str] | None) -> dict[str, Any]:
    params: dict[str, Any] = {}
    for item in given or []:
        name, sign, value = item.partition("=")
        if not sign or not name:
            raise typer.BadParameter(f"NAME=VALUE: {item}", param_hint="--param")
        params[name] = value
    return params


def pull(
    system: SystemName,
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="フロー名。使うフローが1つならソース名でも可 / flow, or source if only one flow has it",
        ),
    ],
    param: Param = None,
    json: Json = False,
) -> None:
    """新しいデータを今すぐ取り込む / take in what is new in a system, now

    同じものをもう一度取り込んでも何も書かれません。読めない行は隔離され、残りは取り込まれます。 /
    Taking in the same again writes nothing. Rows that cannot be used go to quarantine, the rest goes on.
    """
    params = _params(param)
    with open_hub() as hub:
        flow = flow_named(hub.systems.get(system), source, "pull")
        with progress(Words(f"{system}/{flow} を取込中", f"pulling {system}/{flow}")) as watch:
            report = hub.pull(system, flow, params, watch=watch)
    _show(report, report.quarantined, json)


def push(
    system: SystemName,
    sink: Annotated[
        str,
        typer.Argument(
            metavar="SINK",
            help="フロー名。使うフローが1つならシンク名でも可 / flow, or sink if only one flow has it",
        ),
    ],
    key: Annotated[
        list[str] | None,
        typer.Option(
            "--key",
            "-k",
            metavar="KEY",
            help="このキーだけ。何度でも / only the entity of this key; may be repeated",
        ),
    ] = None,
    everything: Annotated[
        bool,
        typer.Option(
            "--all",
            help="全件を見直す。変わらないものは送らない / look at every entity; what is equal is not sent",
        ),
    ] = False,
    param: Param = None,
    json: Json = False,
) -> None:
    """変わったデータを今すぐ送る / send what changed to a system, now

    送り残しがあれば先に送ります。相手が受理済みの内容は二度送りません。 /
    What an earlier run left unsent goes first. What the other side has accepted is never sent again.
    """
    params = _params(param)
    if key:
        params["keys"] = key
    if everything:
        params["all"] = True
    with open_hub() as hub:
        flow = flow_named(hub.systems.get(system), sink, "push")
        with progress(Words(f"{system}/{flow} へ送信中", f"pushing {system}/{flow}")) as watch:
            report = hub.push(system, flow, params, watch=watch)
    _show(report, report.quarantined + report.refused, json)


def _show(report: PullReport | PushReport, refused: int, json: bool) -> None:
    if json:
        json_line(report.as_dict())
        return
    from hub.logs import mask

    counts = counts_line(report.as_dict(), COUNTS) or Words("変化なし", "nothing new").say()
    good(f"{report.system}/{report.flow}  {counts}  ({report.seconds:.1f} s)")
    for note in report.notes[:_NOTES]:
        shown = mask("said", note)
        say(f"  ・{shown}", f"  - {shown}")
    if len(report.notes) > _NOTES:
        more = len(report.notes) - _NOTES
        say(f"  ・ほか {more} 件。--json ですべて表示", f"  - and {more} more; --json shows all")
    if refused:
        where = f"--system {report.system} --flow {report.flow}"
        say(
            f"{refused} 件を隔離しました。理由: `tsunagi quarantine list {where}`",
            f"{refused} went to quarantine; see why: `tsunagi quarantine list {where}`",
        )


def register(app: typer.Typer, panel: str) -> None:
    """Put the commands of this file into the application."""
    for command in (pull, push):
        app.command(rich_help_panel=panel)(command)
