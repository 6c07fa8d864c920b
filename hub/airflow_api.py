"""A small client of Airflow's REST API: start runs, wait for them, read what they say."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Any, Self

import httpx

from hub.airflow_home import AirflowAddress, AirflowError

__all__ = ["AirflowApi", "Run"]

ENDED = ("success", "failed")


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a DAG. `state`: queued, running, success or failed."""

    dag_id: str
    id: str
    state: str
    kind: str
    """What started it: manual, scheduled, asset_triggered, backfill."""
    started: datetime | None = None
    ended: datetime | None = None

    @property
    def over(self) -> bool:
        return self.state in ENDED


class AirflowApi:
    """Signed in at one Airflow. Use as a context manager. Raises AirflowError with Airflow's own words."""

    def __init__(self, address: AirflowAddress, *, timeout: float = 30) -> None:
        self._http = httpx.Client(base_url=address.url, timeout=timeout)
        token = self._ask("POST", "/auth/token", {"username": address.user, "password": address.password})
        self._http.headers["Authorization"] = f"Bearer {token['access_token']}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._http.close()

    def dags(self) -> dict[str, dict[str, Any]]:
        """DAG id -> what Airflow says of it, for every DAG it knows."""
        found: dict[str, dict[str, Any]] = {}
        while True:
            page = self._ask("GET", "/api/v2/dags", params={"limit": 100, "offset": len(found)})
            found.update({dag["dag_id"]: dag for dag in page["dags"]})
            if len(found) >= page["total_entries"] or not page["dags"]:
                return found

    def import_errors(self) -> dict[str, str]:
        """File -> why it could not be read."""
        errors = self._ask("GET", "/api/v2/importErrors", params={"limit": 100})["import_errors"]
        return {error["filename"]: error["stack_trace"] for error in errors}

    def pause(self, dag_id: str, *, paused: bool) -> None:
        """Stop or let go a DAG's schedule."""
        self._ask("PATCH", f"/api/v2/dags/{dag_id}", {"is_paused": paused})

    def trigger(self, dag_id: str, params: Mapping[str, Any] | None = None) -> Run:
        """Start a run by hand, with `params` as typed into its form."""
        body = {"logical_date": None, "conf": dict(params or {})}
        return _run(self._ask("POST", f"/api/v2/dags/{dag_id}/dagRuns", body))

    def run(self, run: Run) -> Run:
        """The run as it stands now."""
        return _run(self._ask("GET", f"/api/v2/dags/{run.dag_id}/dagRuns/{run.id}"))

    def runs(self, dag_id: str, limit: int = 20) -> list[Run]:
        """Runs of a DAG, newest first."""
        page = self._ask(
            "GET", f"/api/v2/dags/{dag_id}/dagRuns", params={"limit": limit, "order_by": "-run_after"}
        )
        return [_run(run) for run in page["dag_runs"]]

    def wait(self, run: Run, *, timeout: float = 300, see: Callable[[Run], None] = lambda _: None) -> Run:
        """Wait for the end of a run; `see` is told each state. Raises AirflowError after `timeout` seconds."""
        until = time.monotonic() + timeout
        while True:
            now = self.run(run)
            see(now)
            if now.over:
                return now
            if time.monotonic() > until:
                raise AirflowError(
                    f"{run.dag_id} の実行 {run.id} が {timeout:.0f} 秒たっても終わりません({now.state})。",
                    f"{run.dag_id}, run {run.id}, is not over after {timeout:.0f} s (it is {now.state}).",
                )
            time.sleep(0.3)

    def result(self, run: Run, task_id: str) -> Any:
        """What a task returned, or None where it returned nothing."""
        path = f"/api/v2/dags/{run.dag_id}/dagRuns/{run.id}/taskInstances/{task_id}/xcomEntries/return_value"
        answer = self._http.get(path)
        return None if answer.status_code == httpx.codes.NOT_FOUND else _json(answer)["value"]

    def log(self, run: Run, task_id: str, attempt: int = 1) -> str:
        """The log of one attempt, as text."""
        path = f"/api/v2/dags/{run.dag_id}/dagRuns/{run.id}/taskInstances/{task_id}/logs/{attempt}"
        lines = _json(self._http.get(path, headers={"Accept": "application/json"}))["content"]
        return "\n".join(line["event"] if isinstance(line, dict) else str(line) for line in lines)

    def _ask(
        self, method: str, path: str, body: Any = None, *, params: Mapping[str, Any] | None = None
    ) -> Any:
        return _json(self._http.request(method, path, json=body, params=params))


def _json(answer: httpx.Response) -> Any:
    if answer.is_error:
        request = f"{answer.request.method} {answer.request.url.path}"
        raise AirflowError(
            f"Airflow が {request} に {answer.status_code} を返しました: {answer.text[:500]}",
            f"Airflow answered {answer.status_code} to {request}: {answer.text[:500]}",
        )
    return answer.json()


def _run(data: Mapping[str, Any]) -> Run:
    return Run(
        data["dag_id"], data["dag_run_id"], data["state"], data["run_type"],
        _moment(data.get("start_date")), _moment(data.get("end_date")),
    )  # fmt: skip


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
