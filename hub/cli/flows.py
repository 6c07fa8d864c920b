"""`tsunagi pull` and `tsunagi push`: run a flow by hand."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from hub.cli.output import Exit, counts_line, guarded, json_line, out, show_table
from hub.engine import Hub
from hub.reports import PullReport, PushReport
from hub.words import Words

__all__ = ["register"]

Json = Annotated[bool, typer.Option("--json", help="結果をJSONで出力 / the report as JSON")]
Param = Annotated[
    list[str] | None,
    typer.Option(
        "--param", "-p", metavar="NAME=VALUE", help="この実行だけの指定 / a parameter of this run only"
    ),
]


def _params(given: list[str] | None) -> dict[str, Any]:
    params: dict[str, Any] = {}
    for item in given or []:
        name, sign, value = item.partition("=")
        if not sign:
            raise typer.BadParameter(f"NAME=VALUE: {item!r}", param_hint="--param")
        params[name] = value
    return params


def pull(
    system: Annotated[str, typer.Argument(help="システム名 / system id")],
    flow: Annotated[str, typer.Argument(metavar="SOURCE", help="フロー名 / flow of the system")],
    param: Param = None,
    json: Json = False,
) -> None:
    """新しいデータを取り込む / take in what is new in a system."""
    with guarded(), Hub.open() as hub:
        _show(hub.pull(system, flow, _params(param)), json)


def push(
    system: Annotated[str, typer.Argument(help="システム名 / system id")],
    flow: Annotated[str, typer.Argument(metavar="SINK", help="フロー名 / flow of the system")],
    key: Annotated[
        list[str] | None, typer.Option("--key", "-k", help="このキーだけ / only these entity keys")
    ] = None,
    everything: Annotated[
        bool,
        typer.Option("--all", help="全件を見直す（変わらないものは送らない） / look at every entity again"),
    ] = False,
    param: Param = None,
    json: Json = False,
) -> None:
    """変わったデータを送る / send what changed to a system."""
    params = _params(param)
    if key:
        params["keys"] = key
    if everything:
        params["all"] = True
    with guarded(), Hub.open() as hub:
        _show(hub.push(system, flow, params), json)


def _show(report: PullReport | PushReport, json: bool) -> None:
    if json:
        json_line(report.as_dict())
    else:
        counts = {k: v for k, v in report.as_dict().items() if isinstance(v, int | float)}
        out.print(
            f"[green]✓[/] {report.system}/{report.flow}  {counts_line(counts) or Words('変化なし', 'no change').say()}"
        )
        if report.notes:
            show_table(
                Words("お知らせ", "notes"), [Words("内容", "note")], [(note,) for note in report.notes[:50]]
            )
    refused = report.quarantined if isinstance(report, PullReport) else report.quarantined + report.refused
    if refused and not json:
        out.print(
            Words(
                f"{refused} 件を隔離しました。`tsunagi quarantine list --system {report.system}` で理由を見られます。",
                f"{refused} went to quarantine; see why: `tsunagi quarantine list --system {report.system}`.",
            ).say(),
            markup=False,
        )
    raise typer.Exit(Exit.OK)


def register(app: typer.Typer) -> None:
    app.command()(pull)
    app.command()(push)
