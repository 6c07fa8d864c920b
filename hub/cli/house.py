"""`tsunagi init`, `demo`, `stop`, `check`, `status`: the house itself."""

from __future__ import annotations

from typing import Annotated

import typer
from sqlalchemy import text

from connectors.contract import ConnectorError
from hub.cli.output import Exit, counts_line, fail, guarded, json_line, out, say, show_table
from hub.engine import Hub
from hub.home import Settings
from hub.logs import configure_logging
from hub.postgres import database_url
from hub.store.database import migrate, open_engine
from hub.words import Words

__all__ = ["register"]

Json = Annotated[bool, typer.Option("--json", help="1行1件のJSONで出力 / one JSON document a line")]


def init() -> None:
    """データベースを最新の版にする / bring the database to the newest schema."""
    with guarded():
        settings = Settings.from_env()
        settings.home.create()
        engine = open_engine(database_url(settings=settings))
        migrate(engine)
        with engine.connect() as connection:
            version = connection.scalar(text("SHOW server_version"))
        engine.dispose()
        say(f"準備ができました (PostgreSQL {version})", f"ready (PostgreSQL {version})")


def check(
    system: Annotated[
        str | None, typer.Argument(help="システム名。省略時は全部 / system id; all when left out")
    ] = None,
    json: Json = False,
) -> None:
    """接続と設定を確かめる / prove that accounts, settings and mappings work."""
    with guarded(), Hub.open() as hub:
        names = [system] if system else list(hub.systems.systems)
        seen = [(name, *_look(hub, name)) for name in names]
        seen += [
            (fault.system or fault.file.name, False, str(fault))
            for fault in hub.validate()
            if system in (None, fault.system)
        ]
        for name, good, what in seen:
            if json:
                json_line({"system": name, "ok": good, "seen": what})
            else:
                out.print("[green]✓[/] " if good else "[bold red]✗[/] ", end="")
                out.print(f"{name}: {what}", markup=False)
        if not all(good for _, good, _ in seen):
            raise typer.Exit(Exit.PROBLEM)


def _look(hub: Hub, name: str) -> tuple[bool, str]:
    try:
        return True, hub.check(name)
    except ConnectorError as error:
        return False, f"{type(error).__name__}: {error}"


def status(json: Json = False) -> None:
    """フローの様子: 最終実行、遅れ、隔離件数 / every flow: last run, lateness, what was refused."""
    with guarded(), Hub.open() as hub:
        rows = hub.status()
        if json:
            for row in rows:
                json_line(row.as_dict())
            return
        show_table(
            None,
            [
                Words("システム", "system"), Words("フロー", "flow"), Words("向き", "way"),
                Words("最終実行", "last run"), Words("結果", "outcome"), Words("隔離", "quarantine"),
                Words("未送信", "unsent"), Words("件数", "counts"),
            ],
            [
                (
                    row.system, row.flow, "←" if row.direction == "pull" else "→", row.last_run_at,
                    (row.outcome or "-") + (" ⚠ " + Words("遅れ", "late").say() if row.late else ""),
                    row.open_quarantine or "", row.open_deliveries or "",
                    row.error or counts_line({k: v for k, v in row.counts.items() if isinstance(v, int)}),
                )
                for row in rows
            ],
        )  # fmt: skip
        for fault in hub.systems.faults:
            out.print("[bold red]✗[/] ", end="")
            out.print(str(fault), markup=False)


def demo() -> None:
    """デモの一日を動かす / run the demo day: files, marketplace and warehouse, on Airflow."""
    from hub.demo import run_demo

    with guarded():
        run_demo()


def stop() -> None:
    """ハブが起動したプロセスをすべて止める / stop everything this hub started."""
    from hub.demo import stop_everything

    with guarded():
        stopped = stop_everything(Settings.from_env().home)
        if not stopped:
            raise fail("動いているものはありません", "nothing was running", Exit.OK)
        say(f"止めました: {', '.join(stopped)}", f"stopped: {', '.join(stopped)}")


def register(app: typer.Typer) -> None:
    app.callback()(_start)
    for command in (init, check, status, demo, stop):
        app.command()(command)


def _start() -> None:
    with guarded():
        configure_logging(Settings.from_env())
