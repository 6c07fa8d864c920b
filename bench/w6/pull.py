"""W6, the whole pull: the hub lists, claims, brings, stores, takes in and archives the files of one interface.

python -m bench.w6.pull URL SYSTEMS      the login stands in AIRFLOW_CONN_PARTNER
"""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path

import structlog

from bench.w6.sshd import Account
from connectors.file_exchange.exchange import connector
from connectors.registry import Connectors
from hub.engine import Hub
from hub.store.database import open_engine
from hub.systems import load_systems

__all__ = ["FLOW", "SYSTEM", "login", "prepare"]

SYSTEM, FLOW = "partner", "orders"
FILE = """
system: {system}
connector: file_exchange
title: {system}
settings:
  protocol: sftp
  host: 127.0.0.1
  port: {port}
  host_keys: ["{host_key}"]
  root: "{root}"
  interfaces:
    - name: general_orders
      folder: in
      pattern: "JUCHU_{{seq:04d}}.csv"
      layout: general_orders
      ready: {{rule: stable, every: 0.1}}
      sequence: running
constants: {{channel: mailorder}}
flows:
  {flow}: {{pull: files, params: {{interface: general_orders}}, mappings: [file_exchange/general_orders.in]}}
"""


def prepare(systems: Path, account: Account, root: Path) -> None:
    """The system's file: files in `root`/in, over the account's line."""
    systems.mkdir()
    text = FILE.format(system=SYSTEM, flow=FLOW, port=account.port, host_key=account.host_key, root=root)
    (systems / f"{SYSTEM}.yaml").write_text(text, "utf-8")


def login(account: Account) -> dict[str, str]:
    """The connection, as an environment."""
    extra = {"private_key": account.key.read_text()}
    return {
        "AIRFLOW_CONN_PARTNER": json.dumps(
            {"conn_type": "file_exchange", "login": account.user, "extra": extra}
        )
    }


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    systems = load_systems([Path(sys.argv[2])])
    if systems.faults:
        raise SystemExit(str(systems.faults[0]))
    with Hub(open_engine(sys.argv[1]), systems, Connectors(file_exchange=connector)) as hub:
        report = hub.pull(SYSTEM, FLOW)
    if report.pages == 0 or report.notes:
        raise SystemExit(f"{report.pages} pages; {report.notes[:3]}")
