"""W1, ours: the hub's own pull of a file in a local folder.

python -m bench.w1.ours URL FOLDER      FOLDER/in holds the file
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import structlog

from bench.w1.store import CHANNEL, FLOW, MAPPING, SYSTEM
from connectors.file_exchange.exchange import connector
from connectors.registry import Connectors
from hub.engine import Hub
from hub.memory import keep_what_is_loaded
from hub.store.database import open_engine
from hub.systems import load_systems

FILE = """
system: {system}
connector: file_exchange
title: {system}
settings:
  root: "{root}"
  interfaces: [{{name: general_orders, folder: in, pattern: "JUCHU_{{seq:03d}}.csv", layout: general_orders}}]
constants: {{channel: {channel}}}
flows:
  {flow}: {{pull: files, params: {{interface: general_orders}}, mappings: [{mapping}]}}
"""


def prepare(folder: Path) -> None:
    """The system's file, and the folder its files come into."""
    (folder / "in").mkdir(parents=True)
    (folder / "systems").mkdir()
    (folder / "systems" / f"{SYSTEM}.yaml").write_text(
        FILE.format(system=SYSTEM, root=folder, channel=CHANNEL, flow=FLOW, mapping=MAPPING), "utf-8"
    )


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    url, folder = sys.argv[1], Path(sys.argv[2])
    systems = load_systems([folder / "systems"])
    if systems.faults:
        raise SystemExit(str(systems.faults[0]))
    with Hub(open_engine(url), systems, Connectors(file_exchange=connector)) as hub:
        keep_what_is_loaded()  # as the hub's own programs do
        hub.pull(SYSTEM, FLOW)
