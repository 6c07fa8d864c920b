"""What a pull loads is counted, never timed: every command and every Airflow task pays for it before it begins.

What only some programs need is imported where it is used; connectors when a system names them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.w1 import ours, rows
from bench.w1.store import FLOW, SYSTEM

HEAVY = (
    "airflow", "alembic", "arrow", "asyncssh", "croniter", "cryptography", "email_validator", "fastapi",
    "httpx", "jinja2", "jpholiday", "jsonschema", "numpy", "openpyxl", "opentelemetry", "pandas", "phonenumbers",
    "polars", "procrastinate", "psutil", "starlette", "stdnum", "tenacity", "typer", "uvicorn", "uvloop",
    "connectors.rakuten_rms", "connectors.shopify", "connectors.square", "connectors.vendure",
)  # fmt: skip
PROGRAM = f"""
import json, sys
from hub.engine import Hub
with Hub.open() as hub:
    report = hub.pull("{SYSTEM}", "{FLOW}")
loaded = [name for name in {HEAVY!r} if name in sys.modules]
print(json.dumps([loaded, len(sys.modules), report.records]))
"""
MODULES = 1000
"""Most modules a pull may load; 850 when this was written."""


@pytest.mark.parametrize("file", ["base.csv", "again.csv"])
def test_a_pull_loads_what_it_needs(store_url: str, tmp_path: Path, file: str) -> None:
    folder = tmp_path / "hub"
    ours.prepare(folder)
    rows.write(tmp_path, 20, 1)
    (folder / "in" / "JUCHU_001.csv").write_bytes((tmp_path / file).read_bytes())
    environment = {
        **os.environ,
        "TSUNAGI_DATABASE_URL": store_url, "TSUNAGI_HOME": str(tmp_path / "home"),
        "TSUNAGI_SYSTEMS": str(folder / "systems"),
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=True
    )
    loaded, count, records = json.loads(done.stdout.splitlines()[-1])
    assert records == 20
    assert loaded == []
    assert count < MODULES
