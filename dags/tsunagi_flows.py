"""The DAG file Airflow reads: every flow of every system file. Its faults are told by `system_faults.py`."""

from __future__ import annotations

from airflow.sdk import get_parsing_context

from dags.factory import build
from hub.home import Settings

globals().update(build(Settings.from_env(), only=get_parsing_context().dag_id).dags)
