"""Runs the demo day and tells about it. A second day starts from where the first one ended."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from hub.airflow_api import AirflowApi, Run
from hub.airflow_home import AirflowAddress, start_airflow, stop_airflow
from hub.demo.counterparts import Counterparts
from hub.demo.report import newest_run, outcome_line, show_day, totals
from hub.demo.road import ROAD, Step
from hub.engine import Hub
from hub.home import Home, Settings
from hub.postgres import EmbeddedPostgres, database_url
from hub.store.database import migrate, open_engine
from hub.words import HubError, Words

__all__ = ["run_demo", "stop_everything"]

REFUSALS_SHOWN = 2
DAGS_SEEN_SECONDS = 90
"""Airflow reads new DAG files within seconds; a machine under load may take longer."""


def run_demo(
    settings: Settings | None = None, console: Console | None = None, day: date | None = None
) -> None:
    """Set everything up, run the day, show what came of it. Everything keeps running until `stop_everything`.

    `day` is the business day, today when left out.

    Raises HubError when a part does not start or a flow fails. Ctrl-C only ends the watching.
    """
    settings = settings or Settings.from_env()
    tell = _Teller(console or Console(highlight=False))
    try:
        _run(settings, tell, day)
    except KeyboardInterrupt:
        tell.say(
            "\n中断しました。動いているものはそのままです。続きは `make demo`、停止は `make stop`。",
            "\nStopped watching; everything keeps running. `make demo` goes on, `make stop` ends it.",
        )
        raise SystemExit(130) from None


def stop_everything(home: Home) -> list[str]:
    """Stop Airflow, the demo's counterparts and the embedded PostgreSQL of this home; names of what was running."""
    settings = Settings(home)
    stopped = stop_airflow(settings)
    stopped += Counterparts(settings).stop()
    if EmbeddedPostgres(home).stop():
        stopped.append("postgres")
    return stopped


def _run(settings: Settings, tell: _Teller, day: date | None) -> None:
    with tell.step(Words("PostgreSQL とハブの準備", "PostgreSQL and the hub")):
        settings.home.create()
        engine = open_engine(database_url(settings=settings))
        migrate(engine)
        engine.dispose()
        with Hub.open(settings) as hub:
            behind = newest_run(hub)
    counterparts = Counterparts(settings, day)
    with tell.step(Words("通販基幹・倉庫・モールの相手役", "Stand-ins: core, warehouse, marketplace")):
        counterparts.start()
    with tell.step(Words("Airflow の起動", "Airflow")):
        address = start_airflow(settings)
    with AirflowApi(address) as api:
        with tell.step(Words("連携 (DAG) の読み込み", "Flows (DAGs)")):
            _wait_for_dags(api)
        for step in ROAD:
            _take(step, settings, api, counterparts, tell)
    _tell_end(settings, address, behind, tell)


def _wait_for_dags(api: AirflowApi) -> None:
    wanted = {step.dag_id for step in ROAD}
    until = time.monotonic() + DAGS_SEEN_SECONDS
    while missing := wanted - api.dags().keys():
        if errors := api.import_errors():
            told = "\n".join(errors.values())
            raise HubError(f"DAG を読み込めません:\n{told}", f"DAGs cannot be read:\n{told}")
        if time.monotonic() > until:
            names = ", ".join(sorted(missing))
            raise HubError(
                f"DAG が見つかりません: {names}。logs/airflow-dag-processor.log を確認してください。",
                f"DAGs are missing: {names}. See logs/airflow-dag-processor.log.",
            )
        time.sleep(0.5)


def _take(step: Step, settings: Settings, api: AirflowApi, counterparts: Counterparts, tell: _Teller) -> None:
    if step.before is not None and step.scene is not None:
        with tell.step(step.scene, scene=True):
            step.before(counterparts)
        _tell_refusals(counterparts.refusals, tell)
        counterparts.refusals.clear()
    title = str(api.dags()[step.dag_id]["dag_display_name"])
    with tell.step(Words(title, title)) as done, Hub.open(settings) as hub:
        behind = newest_run(hub)
        run = api.trigger(step.dag_id)
        api.pause(step.dag_id, paused=False)
        ended = api.wait(run, timeout=300, see=lambda _: step.during and step.during(counterparts))
        if ended.state != "success":
            raise _failed(api, ended, title)
        # what woke by itself in the meantime counts too
        done.append(outcome_line(totals(hub, behind).get((step.system, step.flow), {})))


def _tell_refusals(refusals: Sequence[str], tell: _Teller) -> None:
    if not refusals:
        return
    tell.say(
        f"  相手は {len(refusals)} 件を受け付けませんでした(相手の画面での表示):",
        f"  the other side refused {len(refusals)} (as its own screen says):",
    )
    for line in refusals[:REFUSALS_SHOWN]:
        tell.say(f"    {line}", f"    {line}")


def _failed(api: AirflowApi, run: Run, title: str) -> HubError:
    for task in ("pull", "push"):
        try:
            log = api.log(run, task)
        except HubError:
            continue
        told = "\n".join(line for line in log.splitlines() if not line.startswith("::"))[-3000:]
        return HubError(
            f"{title} が失敗しました。ログの末尾:\n{told}", f"{title} failed. The end of its log:\n{told}"
        )
    return HubError(f"{title} が失敗しました。", f"{title} failed.")


def _tell_end(settings: Settings, address: AirflowAddress, behind: int, tell: _Teller) -> None:
    with Hub.open(settings) as hub:
        show_day(hub, address, totals(hub, behind), tell.console)


class _Teller:
    """What the terminal shows: the step under way with its clock, and a line for each that is done."""

    def __init__(self, console: Console) -> None:
        self.console = console

    def say(self, ja: str, en: str) -> None:
        self.console.print(Words(ja, en).say(), markup=False)

    @contextmanager
    def step(self, title: Words, *, scene: bool = False) -> Iterator[list[str]]:
        """Show the step until it ends; what the caller puts into the list is shown beside it."""
        said: list[str] = []
        columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        began = time.monotonic()
        watched = self.console.is_terminal
        with Progress(*columns, console=self.console, transient=True, disable=not watched) as progress:
            progress.add_task(title.say())
            yield said
        mark = "[dim]·[/]" if scene else "[green]✓[/]"
        self.console.print(f"{mark} ", end="")
        self.console.print(title.say(), markup=False, style="dim" if scene else "", end="")
        self.console.print(f"  {' '.join(said)}  {time.monotonic() - began:.1f}s", markup=False, style="dim")
