"""The scheduled road without Airflow: what the tasks of the DAGs call, in a process of its own, over and over.

A task of `dags/operators.py` opens the hub and calls `hub.pull` or `hub.push`, and Airflow tries it again when it
fails. So does this, with its own short timetable; two at once, so that flows meet each other and the workers.
"""

from __future__ import annotations

import random
import sys
import threading
import time

import structlog

from connectors.contract import Retry
from hub.engine import Hub
from hub.home import Settings
from hub.logs import configure_logging
from tests.chaos.house import FLOWS

__all__ = ["run"]

log = structlog.get_logger("tsunagi.chaos.flows")


class _Timetable:
    def __init__(self, seed: str) -> None:
        self._dice = random.Random(seed)
        self._lock = threading.Lock()
        self._due = {flow: time.monotonic() + self._dice.uniform(0, every) for flow, every in FLOWS.items()}

    def next(self) -> tuple[str, str]:
        """The flow that is due; not the same one twice at once."""
        while True:
            with self._lock:
                flow, due = min(self._due.items(), key=lambda item: item[1])
                if due <= time.monotonic():
                    self._due[flow] = float("inf")
                    return flow
            time.sleep(0.05)

    def done(self, flow: tuple[str, str]) -> None:
        with self._lock:
            self._due[flow] = time.monotonic() + FLOWS[flow] * self._dice.uniform(0.7, 1.3)


def _work(timetable: _Timetable, settings: Settings) -> None:
    while True:
        system, flow = timetable.next()
        try:
            with Hub.open(settings) as hub:
                verb = hub.pull if hub.systems.get(system).flows[flow].pull else hub.push
                verb(system, flow)
        except Retry as error:
            log.info("again later", flow=f"{system}/{flow}", reason=str(error))
        except Exception as error:  # noqa: BLE001  (a failed task; Airflow tries again, and so does this)
            log.warning("failed", flow=f"{system}/{flow}", error=f"{type(error).__name__}: {error}"[:400])
        finally:
            timetable.done((system, flow))


def run(seed: str) -> None:
    """Run the flows until killed."""
    settings = Settings.from_env()
    configure_logging(settings)
    timetable = _Timetable(seed)
    threads = [threading.Thread(target=_work, args=(timetable, settings)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    run(sys.argv[1])
