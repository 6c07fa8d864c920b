"""The least a DAG can be: one task that does nothing, in a process of its own as every task has."""

from __future__ import annotations

from airflow.sdk import dag, task


@dag(dag_id="bench_noop", schedule=None)
def noop() -> None:
    @task
    def nothing() -> None:
        """Does nothing."""

    nothing()


noop()
