"""A DAG file that fails while a system file is wrong, so that Airflow shows the reason under "Dag import errors".

It stands apart from `tsunagi_flows.py` because an error in a DAG file takes all of its DAGs away.
"""

from __future__ import annotations

from airflow.sdk import DAG, get_parsing_context  # noqa: F401  (Airflow reads only files that speak of DAGs)

from dags.factory import SystemFaults, build
from hub.home import Settings

if get_parsing_context().dag_id is None:
    _settings = Settings.from_env()
    if _faults := build(_settings).faults:
        raise SystemFaults(_faults, _settings.lang)
