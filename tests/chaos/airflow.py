"""The scheduled road in a real Airflow of the run's own: its DAGs are made from the run's system files.

Airflow counts in minutes, so a run with it takes some: it is for `make chaos AIRFLOW=1`, not for every change. The
scheduler and the tasks below it are killed like everything else; whatever of Airflow ends (its scheduler does when its
database goes away) is started again.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import suppress

import psycopg

from hub.airflow_api import AirflowApi
from hub.airflow_home import COMPONENTS, AirflowAddress, start_airflow, stop_airflow
from hub.processes import Processes
from hub.words import HubError
from tests.chaos.house import FLOWS, House, free_port

__all__ = ["Airflow"]

SCHEDULER = "airflow-scheduler"
_SEEN_WITHIN = 180.0


class Airflow:
    """Started with all its flows switched on."""

    def __init__(self, house: House) -> None:
        self._settings = house.settings
        self._processes = Processes(house.home)
        self._port = free_port()
        address = self._start()
        wanted = {f"{system}__{flow}" for system, flow in FLOWS}
        with AirflowApi(address) as api:
            until = time.monotonic() + _SEEN_WITHIN
            while wanted - api.dags().keys():
                assert time.monotonic() < until, f"Airflow does not see the flows: {api.import_errors()}"
                time.sleep(0.5)
            for dag in wanted:
                api.pause(dag, paused=False)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="airflow", daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        names = [f"airflow-{each}" for each in COMPONENTS]
        while not self._stop.wait(1.0):
            if any(self._processes.find(name) is None for name in names):
                with suppress(HubError, psycopg.Error, OSError):
                    self._start()  # ends what is left of a dead one's tasks first

    def _start(self) -> AirflowAddress:
        return start_airflow(self._settings, port=self._port, parallelism=3)

    def kill(self) -> None:
        """kill -9 of the scheduler; its tasks go when it is started again."""
        running = self._processes.find(SCHEDULER)
        if running is not None:
            with suppress(ProcessLookupError):
                os.killpg(running.pid, signal.SIGKILL)

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(150)
        stop_airflow(self._settings)
