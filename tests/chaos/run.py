"""One run: open the house, let people and trouble in, make everything quiet, and draw up the balance."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg
from psycopg import sql
from rich.console import Console
from sqlalchemy.exc import DBAPIError

from connectors.contract import Retry
from hub.api.keys import create_key
from hub.engine import Hub
from hub.logs import configure_logging
from tests.chaos.airflow import Airflow
from tests.chaos.balance import Balance, Others, draw_up
from tests.chaos.carts import Carts
from tests.chaos.demand import Channel, Demand
from tests.chaos.goods import CHANNELS, goods
from tests.chaos.house import ROOT, House
from tests.chaos.report import show
from tests.chaos.supervisor import Postgres, Supervisor, Trouble
from tests.chaos.warehouse import Warehouse

__all__ = ["Plan", "chaos"]

TABLES = (
    "entity", "change_feed", "intake", "ledger", "delivery", "delivery_change", "delivery_attempt", "quarantine",
    "record", "flow_state", "flow_run", "stock_free", "stock_demand", "stock_oversold", "stock_reservation",
    "stock_dirty",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Plan:
    """seconds: how long people and trouble go on; patience: how long it may take to become quiet afterwards."""

    seconds: float
    seed: str
    rate: float = 2.0
    gateways: int = 2
    workers: int = 2
    patience: float = 120.0
    bug: str | None = None
    airflow: bool = False
    keep: bool = False
    calm: bool = False


def chaos(plan: Plan, console: Console) -> bool:
    """Whether everything agrees in the end. What is wrong is printed, and the folder with all logs is kept."""
    folder = Path(tempfile.mkdtemp(prefix="tsunagi-chaos-"))
    console.print(f"seed {plan.seed}, {plan.seconds:g} s, logs in {folder}", highlight=False)
    good = False
    try:
        good = _Run(plan, House(folder, plan.seed, plan.gateways), console).go()
    finally:
        if good and not plan.keep:
            shutil.rmtree(folder, ignore_errors=True)
        else:
            more = f" BUG={plan.bug}" if plan.bug else ""
            more += " AIRFLOW=1" if plan.airflow else ""
            console.print(f"logs: {folder / 'home' / 'logs'}", highlight=False, soft_wrap=True)
            console.print(
                f"again: make chaos SECONDS={plan.seconds:g} SEED={plan.seed}{more}", highlight=False
            )
    return good


class _Run:
    def __init__(self, plan: Plan, house: House, console: Console) -> None:
        self.plan = plan
        self.house = house
        self.console = console
        self.skus = goods(plan.seed)
        self.warehouse = Warehouse(house.warehouse, plan.seed, self.skus)
        self.postgres = Postgres(house.home)
        self.airflow: Airflow | None = None

    def go(self) -> bool:
        # the hub in this very process (it plays a till) belongs to the same house
        for name in [name for name in os.environ if name.startswith(("TSUNAGI_", "AIRFLOW_CONN_"))]:
            del os.environ[name]
        os.environ.update(self.house.env)
        began = time.monotonic()
        log = (self.house.home.logs / "till.log").open("w", encoding="utf-8")
        configure_logging(self.house.settings, stream=log)
        try:
            self.postgres.start()
            with self._channels() as channels, self._open(channels) as hub:
                supervisor = Supervisor(self.house.env, self.house.home.logs, ROOT)
                try:
                    self._employ(supervisor)
                    if self.plan.airflow:
                        self.airflow = Airflow(self.house)
                    self.console.print(f"open after {time.monotonic() - began:.1f} s", style="dim")
                    return self._day(hub, channels, supervisor)
                finally:
                    supervisor.stop()
                    if self.airflow is not None:
                        self.airflow.stop()
        finally:
            self.postgres.remove()

    # ------------------------------------------------------------ opening

    @contextmanager
    def _channels(self) -> Iterator[dict[str, Channel]]:
        """The two channels as processes; nobody does them harm, they are the world outside."""
        started: dict[str, subprocess.Popen[str]] = {}
        try:
            for name in CHANNELS:
                with (self.house.home.logs / f"channel-{name}.log").open("wb") as log:
                    started[name] = subprocess.Popen(
                        [sys.executable, "-W", "ignore", "-m", "tests.chaos.channels", name, self.plan.seed,
                         *self.house.doors(name)],
                        stdout=subprocess.PIPE, stderr=log, text=True, env=self.house.env, cwd=ROOT,
                    )  # fmt: skip
            found = {}
            for name, process in started.items():
                assert process.stdout is not None
                found[name] = Channel(name, process.stdout.readline().strip())
            yield found
        finally:
            for process in started.values():
                process.terminate()
            for process in started.values():
                process.wait(10)
                if process.stdout is not None:
                    process.stdout.close()

    @contextmanager
    def _open(self, channels: dict[str, Channel]) -> Iterator[Hub]:
        """The first count is in, and both channels show it."""
        place = channels["tills"].ask("state")["place"]
        self.house.furnish(channels["shop"].url, channels["tills"].url, place)
        self.warehouse.count()
        with Hub.open(self.house.settings, threads=2) as hub:
            assert hub.validate() == [], [fault.words.en for fault in hub.validate()]
            for name in CHANNELS:
                hub.pull(name, "listings")
            hub.pull("wms", "stock")
            for name in CHANNELS:
                hub.push(name, "stock")
            yield hub

    def _employ(self, supervisor: Supervisor) -> None:
        house, bug = self.house, self.plan.bug
        for n, port in enumerate(house.ports, 1):
            supervisor.start(f"gateway-{n}", house.command("-v", "gateway", "--port", str(port), bug=bug))
        for n in range(1, self.plan.workers + 1):
            supervisor.start(f"worker-{n}", house.command("-v", "worker", bug=bug))
        if not self.plan.airflow:
            supervisor.start("flows", house.command("flows", self.plan.seed, bug=bug))
        until = time.monotonic() + 150
        for port in house.ports:
            while not _ready(port):
                assert time.monotonic() < until, "a gateway does not start; see its log"
                time.sleep(0.1)

    # ------------------------------------------------------------ the day, and the evening

    def _day(self, hub: Hub, channels: dict[str, Channel], supervisor: Supervisor) -> bool:
        demand = Demand(channels, self.warehouse, self.skus, self.plan.seed, self.plan.rate,
                        self.house.folder / "people.jsonl")  # fmt: skip
        carts = Carts(hub.engine, self.house.gateway_urls, self._api_key(hub), self.skus, self.plan.seed)
        trouble = Trouble(supervisor, self.postgres, self.plan.seed)
        if self.airflow is not None:
            trouble.more["airflow-scheduler"] = self.airflow.kill
        demand.begin()
        carts.begin()
        if not self.plan.calm:
            for channel in channels.values():
                channel.ask("storm")
            trouble.begin()
        time.sleep(self.plan.seconds)
        demand.people_go_home()
        last = time.monotonic()
        if not self.plan.calm:
            trouble.end()
        for channel in channels.values():
            channel.ask("calm")
        carts.end()

        balance, books = self._quiet(hub, channels, demand, carts)
        settled = time.monotonic() - last
        demand.end()
        if balance.differences:
            self._keep_tables()
        for line in (demand.failed, carts.failed):
            balance.lines[-1].differences += [f"the play itself failed: {what}" for what in line]
        show(
            self.console, balance=balance, harm=trouble.made, ended=supervisor.ended, settled=settled,
            faults={name: each["faults"] for name, each in books.items()},
            events={name: Counter(one["fate"] for one in each["events"]) for name, each in books.items()},
            did=demand.done + carts.done, folder=self.house.folder,
        )  # fmt: skip
        return not balance.differences

    def _api_key(self, hub: Hub) -> str:
        """What the shop of our own signs in with."""
        with hub.engine.begin() as connection:
            return create_key(connection, "chaos", ["reserve"])[1].get_secret_value()

    def _keep_tables(self) -> None:
        """The hub's tables as CSV beside the logs: the database itself does not outlive the run."""
        folder = self.house.folder / "tables"
        folder.mkdir()
        with psycopg.connect(self.postgres.url()) as connection:
            for table in TABLES:
                with (
                    (folder / f"{table}.csv").open("wb") as file,
                    connection.cursor().copy(
                        sql.SQL("COPY {} TO STDOUT (FORMAT CSV, HEADER)").format(sql.Identifier(table))
                    ) as rows,
                ):
                    for part in rows:
                        file.write(part)

    def _quiet(
        self, hub: Hub, channels: dict[str, Channel], demand: Demand, carts: Carts
    ) -> tuple[Balance, dict[str, dict[str, Any]]]:
        """Wait until everything agrees twice in a row, or patience ends. The warehouse goes on working meanwhile."""
        until = time.monotonic() + self.plan.patience
        agreed = 0
        while True:
            time.sleep(1.0)
            books = {name: channel.ask("state") for name, channel in channels.items()}
            with self.warehouse.lock:
                others = Others(books, self.warehouse, carts.known, demand.placed)
                try:
                    balance = draw_up(hub.engine, others)
                except (DBAPIError, Retry):
                    continue
            agreed = agreed + 1 if not balance.differences else 0
            if agreed == 2 or time.monotonic() > until:
                return balance, books


def _ready(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/health/ready", timeout=2).is_success
    except httpx.HTTPError:
        return False
