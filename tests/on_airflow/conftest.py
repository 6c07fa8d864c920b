"""Ground for the tests that run Airflow itself: a home of its own, made before Airflow is first imported."""

from __future__ import annotations

import atexit
import importlib
import os
import shutil
import tempfile
import warnings
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HOME = Path(tempfile.mkdtemp(prefix="tsunagi-airflow-"))
atexit.register(shutil.rmtree, HOME, ignore_errors=True)

# Airflow reads these once, at its first import in the process.
os.environ.update(
    AIRFLOW_HOME=str(HOME),
    AIRFLOW__CORE__UNIT_TEST_MODE="True",
    AIRFLOW__CORE__LOAD_EXAMPLES="False",
    AIRFLOW__CORE__DAGS_FOLDER=str(ROOT / "dags"),
    AIRFLOW__CORE__PLUGINS_FOLDER=str(HOME / "plugins"),
    AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=f"sqlite:///{HOME}/airflow.db",
    AIRFLOW__DATABASE__LOAD_DEFAULT_CONNECTIONS="False",
)

with warnings.catch_warnings():
    # Airflow's own imports are not ours to mend; everything our code warns about stays an error
    warnings.simplefilter("ignore")
    for module in ("airflow.sdk", "airflow.api_fastapi.app"):
        importlib.import_module(module)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.airflow)
            # raised inside Airflow's modules, by code of theirs or of what they use
            item.add_marker(pytest.mark.filterwarnings(r"ignore:::airflow\."))
