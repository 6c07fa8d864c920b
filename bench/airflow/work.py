"""Airflow: a flow with nothing new, from the call that starts it to the run's success, beside a DAG that does nothing.

    python -m bench.airflow.work [--rounds 8]

Airflow runs as `tsunagi demo` starts it (hub/airflow_home.py), with the flow's DAG as the factory makes it and one DAG
of a single empty Python task. Both are started in turn through the REST API. Time counts from before the call to the
end the run itself tells; what is above the empty DAG is the hub's own: its imports, the database, a look at the source.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from unittest.mock import patch

from rich.console import Console

from bench.result import Plan, Result, ratio, show
from hub.airflow_api import AirflowApi
from hub.airflow_home import start_airflow, stop_airflow
from hub.engine import Hub
from hub.home import Home, Settings
from hub.postgres import EmbeddedPostgres

__all__ = ["run"]

GOAL = 1.5
FLOW, EMPTY = "core__orders", "nothing"
SEEN_WITHIN = 120.0
SYSTEM = """
system: core
connector: file_exchange
title: {{ja: 基幹, en: Core}}
settings:
  protocol: local
  root: "{root}"
  interfaces:
    - {{name: orders, folder: orders, pattern: "JUCHU_{{date:%Y%m%d}}_{{seq:03d}}.csv", layout: general_orders}}
constants: {{channel: mailorder}}
flows:
  orders: {{pull: files, mappings: [file_exchange/general_orders.in, file_exchange/general_customers.in]}}
"""
DAGS = {
    "flows.py": "from airflow.sdk import get_parsing_context\nfrom dags.factory import build\n"
    "from hub.home import Settings\n"
    "globals().update(build(Settings.from_env(), only=get_parsing_context().dag_id).dags)\n",
    "nothing.py": "from airflow.sdk import dag, task\n\n@dag(schedule=None)\ndef nothing():\n"
    "    @task\n    def rest():\n        pass\n\n    rest()\n\nnothing()\n",
}


@contextmanager
def _airflow() -> Iterator[AirflowApi]:
    """An Airflow of its own with both DAGs let go."""
    base = Path(tempfile.mkdtemp(prefix="tsunagi-bench-"))
    for folder in ("systems", "dags", "core/orders"):
        (base / folder).mkdir(parents=True)
    (base / "systems" / "core.yaml").write_text(SYSTEM.format(root=base / "core"), "utf-8")
    for name, text in DAGS.items():
        (base / "dags" / name).write_text(text, "utf-8")
    settings = Settings(home=Home(base / "home"), systems=(base / "systems",), lang="en", log_format="json")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    # an installed Airflow has its bytecode on the disk
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    try:
        Hub.open(settings).close()  # the database is there, with its tables
        with patch.dict(os.environ, kept | {"AIRFLOW__CORE__DAGS_FOLDER": str(base / "dags")}, clear=True):
            address = start_airflow(settings, port=port)
        with AirflowApi(address) as api:
            until = time.monotonic() + SEEN_WITHIN
            while not {FLOW, EMPTY} <= api.dags().keys():
                if time.monotonic() > until:
                    raise SystemExit(f"Airflow does not see the DAGs: {api.import_errors()}")
                time.sleep(0.5)
            for dag in (FLOW, EMPTY):
                api.pause(dag, paused=False)
            yield api
    finally:
        stop_airflow(settings)
        EmbeddedPostgres(settings.home).remove()
        shutil.rmtree(base, ignore_errors=True)


def _seconds(api: AirflowApi, dag: str) -> float:
    """One run. Raises SystemExit when it does not succeed."""
    begun = time.time()
    ended = api.wait(api.trigger(dag), timeout=120)
    if ended.state != "success" or ended.ended is None:
        raise SystemExit(f"{dag} ended as {ended.state}")
    return ended.ended.timestamp() - begun


def run(plan: Plan, times: int = 8) -> list[Result]:
    """The one line of the table; `plan.rounds` does not count, a run takes a second."""
    del plan
    with _airflow() as api:
        for dag in (FLOW, EMPTY):  # the first of each loads everything
            _seconds(api, dag)
        took: dict[str, list[float]] = {FLOW: [], EMPTY: []}
        for _ in range(times):
            for dag, seconds in took.items():
                seconds.append(_seconds(api, dag))
    ours = median(took[FLOW])
    return [
        Result(
            "Airflow", "a flow with nothing new, trigger to success", "s", ours, None, ours, GOAL,
            details={
                "empty_dag_s": round(median(took[EMPTY]), 2), "to_empty_dag": round(ratio(took[FLOW], took[EMPTY]), 2),
                "slowest_s": round(max(took[FLOW]), 2),
            },
        )
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=8)
    asked = parser.parse_args()
    show(run(Plan(), asked.rounds), Console(width=150))


if __name__ == "__main__":
    main()
