"""Airflow: a flow's run on a source that has nothing new, from the trigger to success, beside a DAG that does nothing.

    python -m bench.airflow.work [--rounds 3]

Airflow is started as `tsunagi` starts it, with the settings it ships; the flow looks into an empty folder. Runs are
triggered by the REST API, in turns; seconds are Airflow's own (trigger to end, as its answers say). What a caller sees
from outside, looking every 20 ms, stands in the details.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from rich.console import Console

from bench.result import Plan, Result, show
from bench.w1.ours import prepare
from bench.w1.store import FLOW, SYSTEM
from hub.airflow_api import AirflowApi
from hub.airflow_home import start_airflow, stop_airflow
from hub.home import Settings
from hub.postgres import EmbeddedPostgres, database_url
from hub.store.database import migrate, open_engine

HERE = Path(__file__).resolve().parent
FLOW_DAG, NOOP = f"{SYSTEM}__{FLOW}", "bench_noop"
_LOCAL = "airflow.dag_processing.bundles.local.LocalDagBundle"
RUNS = 3
"""Runs of each DAG in one round."""
READY_WITHIN = 60.0


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _bundles() -> str:
    """The DAGs of the hub, and ours beside them."""
    return json.dumps([
        {"name": "dags-folder", "classpath": _LOCAL, "kwargs": {}},
        {"name": "bench", "classpath": _LOCAL, "kwargs": {"path": str(HERE / "dags")}},
    ])  # fmt: skip


def _ready(api: AirflowApi) -> None:
    """Return when both DAGs are there, and let go."""
    until = time.monotonic() + READY_WITHIN
    while not {FLOW_DAG, NOOP} <= api.dags().keys():
        if errors := api.import_errors():
            raise SystemExit(f"DAG files cannot be read: {errors}")
        if time.monotonic() > until:
            raise SystemExit(f"the DAGs did not appear: {sorted(api.dags())}")
        time.sleep(0.2)
    for dag in (FLOW_DAG, NOOP):
        api.pause(dag, paused=False)


def one(api: AirflowApi, dag: str) -> tuple[float, float]:
    """Seconds from the trigger to the end of one run: by Airflow's own clock, and from outside."""
    began, begun = time.time(), time.perf_counter()
    run = api.trigger(dag)
    while not (now := api.run(run)).over:
        if time.perf_counter() - begun > 60:
            raise SystemExit(f"a run of {dag} is not over after a minute")
        time.sleep(0.02)
    outside = time.perf_counter() - begun
    if now.state != "success" or now.ended is None:
        raise SystemExit(f"a run of {dag} ended with {now.state}")
    return now.ended.timestamp() - began, outside


def run(plan: Plan) -> list[Result]:
    folder = Path(tempfile.mkdtemp(prefix="tsunagi-bench-"))
    prepare(folder / "partner")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    settings = Settings.from_env({
        "TSUNAGI_HOME": str(folder / "home"), "TSUNAGI_SYSTEMS": str(folder / "partner" / "systems"),
        "TSUNAGI_LANG": "en",
    })  # fmt: skip
    found: dict[str, list[tuple[float, float]]] = {FLOW_DAG: [], NOOP: []}
    begun = time.perf_counter()
    try:
        settings.home.create()
        engine = open_engine(database_url(settings=settings))
        migrate(engine)
        engine.dispose()
        with _environment({"AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": _bundles()}):
            address = start_airflow(settings, port=port)
        with AirflowApi(address) as api:
            _ready(api)
            started = time.perf_counter() - begun
            for dag in found:
                one(api, dag)  # the first run makes what later ones find
            for _ in range(plan.rounds * RUNS):
                for dag, took in found.items():
                    took.append(one(api, dag))
    finally:
        stop_airflow(settings, grace=5)
        EmbeddedPostgres(settings.home).remove()
        shutil.rmtree(folder, ignore_errors=True)
    ours, noop = (median(inside for inside, _ in found[dag]) for dag in (FLOW_DAG, NOOP))
    return [
        Result(
            "Airflow", "a run that finds nothing new; beside it one that does nothing", "s", ours, noop, ours, goal=1.5,
            details={
                "outside_s": median(outside for _, outside in found[FLOW_DAG]),
                "noop_outside_s": median(outside for _, outside in found[NOOP]),
                "slowest_s": max(inside for inside, _ in found[FLOW_DAG]), "started_s": started,
            },
        )
    ]  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    show(run(Plan(rounds=parser.parse_args().rounds)), Console(width=150))
