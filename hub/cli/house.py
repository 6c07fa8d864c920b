"""`tsunagi init`, `check`, `status`, `demo`, `stop`: the house itself."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from hub.cli.failures import Exit
from hub.cli.opening import open_hub, ready
from hub.cli.output import Json, cell, good, json_line, say, show_table, waiting, wrong
from hub.cli.people import tell_people
from hub.cli.reconcile import tell_reconciled
from hub.cli.serve import tell_now
from hub.cli.stock import tell_oversold
from hub.cli.subscribers import tell_subscribers
from hub.words import Words

if TYPE_CHECKING:
    from hub.reports import FlowStatus
    from hub.systems import Systems

__all__ = ["register"]

_WHAT = {
    "database": Words("データベース", "database"),
    "system_file": Words("システム定義", "system file"),
    "connector": Words("コネクタ", "connector"),
    "mapping": Words("マッピング", "mapping"),
    "schedule": Words("スケジュール", "schedule"),
    "account": Words("接続", "account"),
}
_OUTCOMES = {
    None: Words("未実行", "never ran"),
    "ok": Words("✓ 成功", "✓ ok"),
    "running": Words("実行中", "running"),
    "retry": Words("✗ 再試行待ち", "✗ retry"),
    "refused": Words("✗ 拒否", "✗ refused"),
    "misconfigured": Words("✗ 要設定", "✗ settings"),
    "crashed": Words("✗ 異常終了", "✗ crashed"),
}


def init() -> None:
    """データベースを作る・最新の版にする / create the database, or bring it to the newest schema

    何度実行しても安全です。組み込みPostgreSQLを使う場合は起動もします。 /
    Safe to run again. Starts the embedded PostgreSQL where that is used.
    """
    from sqlalchemy import text

    from hub.postgres import database_url
    from hub.store.database import migrate, open_engine

    settings = ready()
    settings.home.create()
    with waiting(Words("データベースを準備しています", "preparing the database")):
        engine = open_engine(database_url(settings=settings))
        try:
            migrate(engine)
            with engine.connect() as connection:
                version = connection.scalar(text("SHOW server_version"))
        finally:
            engine.dispose()
    good(
        Words(
            f"準備ができました。PostgreSQL {version}、データの場所 {settings.home.root}",
            f"Ready: PostgreSQL {version}, home {settings.home.root}",
        ).say()
    )


def check(
    system: Annotated[
        str | None,
        typer.Argument(metavar="[SYSTEM]", help="システム名。省略時はすべて / system id; all when left out"),
    ] = None,
    json: Json = False,
) -> None:
    """設定・マッピング・スケジュール・接続を確かめる / prove that settings, mappings, schedules and accounts work

    1行に1件。どれかが不合格なら終了コードは 1 です。 /
    One line each. The exit code is 1 when anything failed.
    """
    from hub.cli.checkup import check_all

    findings = check_all(ready(), system)
    failed = 0
    while True:
        with waiting(Words("確認中", "checking")):
            finding = next(findings, None)
        if finding is None:
            break
        failed += not finding.ok
        if json:
            json_line(finding.as_dict())
        else:
            tell = good if finding.ok else wrong
            tell(f"{_WHAT[finding.what].say()} {finding.name}: {finding.seen.say()}")
    if failed and not json:
        say(f"{failed} 件が不合格です。", f"{failed} failed.")
    if failed:
        raise typer.Exit(Exit.PROBLEM)


def status(
    system: Annotated[
        str | None, typer.Option("--system", "-s", help="このシステムだけ / only this system")
    ] = None,
    json: Json = False,
) -> None:
    """フローの様子: 最終実行、遅れ、隔離、未送信 / every flow: last run, lateness, what was refused or waits"""
    with open_hub() as hub:
        if system is not None:
            hub.systems.get(system)
        rows = [row for row in hub.status() if system in (None, row.system)]
        if json:
            for row in rows:
                json_line(row.as_dict())
        else:
            _show_status(rows, hub.systems)
        tell_now(hub, system, json=json)
        if system is None:
            tell_subscribers(hub, json=json)
            tell_people(hub, json=json)
        tell_reconciled(hub, system, json=json)
        tell_oversold(hub)
        for fault in hub.systems.faults:
            wrong(str(fault), error=True)


def _show_status(rows: list[FlowStatus], systems: Systems) -> None:
    columns = (
        Words("連携", "flow"), Words("最終実行", "last run"), Words("結果", "outcome"), Words("隔離", "refused"),
        Words("未送信", "unsent"),
    )  # fmt: skip
    lines: list[tuple[object, ...]] = []
    for name in dict.fromkeys(row.system for row in rows):
        title = systems.get(name).title
        lines.append((f"{name}  {Words(title.ja, title.en).say()}",))
        lines += [_status_row(row) for row in rows if row.system == name]
    show_table(columns, lines, wide={0: 1}, right=(3, 4))
    from hub.logs import mask

    for row in rows:
        if row.error:
            wrong(f"{row.system}/{row.flow}: {mask('error', row.error)}")


def _status_row(row: FlowStatus) -> tuple[object, ...]:
    title = Words(row.title_ja, row.title_en).say()
    name = f" {'←' if row.direction == 'pull' else '→'} {row.flow}"
    if title != row.flow:
        name += f"  {title}"
    outcome = _OUTCOMES.get(row.outcome, Words(str(row.outcome), str(row.outcome))).say()
    if row.late:
        outcome += Words(" 遅れ", " late").say()
    return name, cell(row.last_run_at), outcome, row.open_quarantine or None, row.open_deliveries or None


def demo(
    day: Annotated[
        datetime | None,
        typer.Option(
            "--day",
            formats=["%Y-%m-%d"],
            metavar="YYYY-MM-DD",
            help="営業日。省略時は今日 / business day; today when left out",
        ),
    ] = None,
) -> None:
    """デモの一日を動かす / run the demo day: files, a marketplace and a warehouse, on Airflow

    終わった後も動き続けます。止めるには tsunagi stop を使います。もう一度実行すると続きから始まります。 /
    Everything keeps running afterwards; stop it with tsunagi stop. Run again, it goes on from where it stands.
    """
    ready()
    from hub.demo import run_demo

    run_demo(day=day.date() if day else None)


def stop() -> None:
    """このハブが起動したものをすべて止める / stop everything this hub started"""
    settings = ready()
    from hub.demo import stop_everything

    with waiting(Words("停止しています", "stopping")):
        stopped = stop_everything(settings.home)
    if stopped:
        good(Words(f"止めました: {'、'.join(stopped)}", f"stopped: {', '.join(stopped)}").say())
    else:
        say("動いているものはありません。", "Nothing was running.")


def register(app: typer.Typer, daily: str, setting_up: str) -> None:
    """Put the commands of this file into the application."""
    app.command(rich_help_panel=daily)(status)
    app.command(rich_help_panel=daily)(check)
    for command in (init, demo, stop):
        app.command(rich_help_panel=setting_up)(command)
