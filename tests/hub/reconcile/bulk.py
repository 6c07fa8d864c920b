"""A warehouse with very many SKUs, as a program whose memory can be measured: `bulk.py <url> <folder> pull|compare`."""

from __future__ import annotations

import json
import logging
import resource
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import structlog
from pydantic import BaseModel
from sqlalchemy import text

from connectors.contract import Batch, Call, Connector, Deletes, Listed, Outcome, Page, Standing, Title
from connectors.registry import Connectors
from hub.engine import Hub
from hub.reconcile import reconcile
from hub.store.database import migrate, open_engine
from hub.systems import load_systems

HERE = Path(__file__).parent
SYSTEM = """
system: {name}
connector: bulk
title: {{ja: 倉庫, en: Warehouse}}
settings: {{rows: {rows}}}
constants: {{channel: {name}}}
flows:
  levels: {{pull: levels, mapping: bulk/levels.in}}
  levels_out: {{push: levels, mapping: bulk/levels.out}}
"""


class BulkConfig(BaseModel):
    rows: int
    first: str = "S"


bulk = Connector("bulk", config=BulkConfig, title=Title("倉庫", "Warehouse"))


def _row(call: Call[BulkConfig], number: int) -> dict[str, Any]:
    """Every 500th SKU lost a unit since it was taken in, if the run says so."""
    sold = call.params.get("sold") and number % 500 == 0
    sku = f"{call.system}-{number:07d}"
    return {
        "id": sku, "sku": sku, "units": 99 if sold else 100, "name": f"商品 {number} " * 4, "place": f"棚{number % 97}",
    }  # fmt: skip


@bulk.source("levels", key="id", deletes=Deletes.ABSENCE)
def levels(call: Call[BulkConfig], cursor: None) -> Iterator[Page]:
    for start in range(0, call.config.rows, 1000):
        end = min(start + 1000, call.config.rows)
        yield Page(None, [_row(call, n) for n in range(start, end)], complete=end == call.config.rows)


def _standing(record: Any) -> list[Standing]:
    return [Standing(str(record["sku"]), {"units": record["units"]})]


@bulk.sink("levels", key="sku", listed=Listed("levels", lambda _call: (_standing, _standing)))
def take(call: Call[BulkConfig], batch: Batch) -> Iterable[Outcome]:
    return [Outcome.done(change.key) for change in batch]


def build(url: str, base: Path, rows: int) -> Hub:
    engine = open_engine(url)
    migrate(engine)
    systems = base / "systems"
    systems.mkdir(exist_ok=True)
    for name, count in (("few", 2000), ("many", rows)):
        (systems / f"{name}.yaml").write_text(SYSTEM.format(name=name, rows=count), "utf-8")
    loaded = load_systems([systems])
    return Hub(engine, loaded, Connectors(bulk=bulk), mapping_roots=[HERE / "mappings"])


def _peak() -> float:
    """Most memory this process ever held, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _compare(hub: Hub, base: Path, name: str) -> dict[str, Any]:
    began = time.monotonic()
    result = reconcile(hub, name, "stock_position", reports=base / "reports", lang="en")
    return {"counts": result.counts, "seconds": round(time.monotonic() - began, 1), "peak": _peak()}


def main(url: str, base: Path, verb: str, rows: int) -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with build(url, base, rows) as hub:
        if verb == "pull":
            for name in ("few", "many"):
                hub.pull(name, "levels")
            return
        with hub.engine.begin() as connection:  # nothing waits for its push
            connection.execute(text("UPDATE change_feed SET at = now() - interval '2 hours'"))
        for system in hub.systems.systems.values():
            system.flows["levels"].params["sold"] = True
            system.flows["levels_out"].params["sold"] = True
        print(json.dumps([_compare(hub, base, "few"), _compare(hub, base, "many")]))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
