"""A small hub over the test connector: builds the systems, and runs one flow as a program that may be killed."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from sqlalchemy import text

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from shop import shop  # noqa: E402

from connectors.registry import Connectors  # noqa: E402
from hub.engine import Hub  # noqa: E402
from hub.store.database import migrate, open_engine  # noqa: E402
from hub.systems import load_systems  # noqa: E402

SYSTEM = """
system: {name}
connector: test_shop
title: {{ja: テスト店, en: Test shop}}
settings: {{root: "{root}"}}
constants: {{channel: {channel}}}
flows:
  stock: {{pull: stock, mappings: [test_shop/stock.in]}}
  listing: {{pull: listing, mappings: [test_shop/stock.in]}}
  told: {{pull: told, mappings: [test_shop/stock.in]}}
  orders: {{pull: orders, mappings: [test_shop/orders.in]}}
  lines: {{pull: lines, mappings: [test_shop/lines.in]}}
  shipments: {{pull: shipments, mappings: [test_shop/shipments.in]}}
  stock_out: {{push: stock, mapping: test_shop/stock.out}}
  answers_out: {{push: answers, mapping: test_shop/stock.out}}
  shipments_out: {{push: shipments, mapping: test_shop/shipments.out}}
{more}
"""


def build(url: str, base: Path, *, mappings: Path | None = None, more: dict[str, str] | None = None) -> Hub:
    """A hub with the systems `north` and `south`, each in a folder of its own below `base`."""
    engine = open_engine(url)
    migrate(engine)
    systems = base / "systems"
    systems.mkdir(exist_ok=True)
    for name in ("north", "south"):
        root = base / name
        for folder in ("stock", "listing", "told", "orders", "lines", "shipments"):
            (root / folder).mkdir(parents=True, exist_ok=True)
        file = SYSTEM.format(name=name, root=root, channel=name, more=(more or {}).get(name, ""))
        (systems / f"{name}.yaml").write_text(file, "utf-8")
    loaded = load_systems([systems])
    assert loaded.faults == [], [str(fault) for fault in loaded.faults]
    return Hub(engine, loaded, Connectors(test_shop=shop), mapping_roots=[mappings or HERE / "mappings"])


def put(base: Path, system: str, folder: str, number: int, records: list[dict[str, Any]]) -> None:
    """A page for a source to find."""
    path = base / system / folder / f"{number:04d}.json"
    path.write_text(json.dumps(records, ensure_ascii=False), "utf-8")


STORE = {
    "entity": "SELECT kind, key, version, content, system FROM entity ORDER BY kind, key",
    "feed": "SELECT e.kind, e.key, f.version, f.system FROM change_feed f JOIN entity e ON e.id = f.entity_id "
    "ORDER BY 1, 2, 3",
    "record": "SELECT system, mapping, record_id, hash FROM record ORDER BY 1, 2, 3",
    "reference": "SELECT x.system, x.kind, x.external_id, e.key "
    "FROM cross_reference x JOIN entity e ON e.id = x.entity_id "
    "ORDER BY 1, 2, 3",
    "quarantine": "SELECT system, flow, mapping, code, state, record FROM quarantine ORDER BY 1, 2, 3, subject",
    "ledger": "SELECT system, flow, key, record FROM ledger ORDER BY 1, 2, 3",
}


def store_of(hub: Hub) -> dict[str, list[tuple[Any, ...]]]:
    """What the store holds, without the numbers and times that may differ between two histories."""
    with hub.engine.connect() as connection:
        return {name: [tuple(row) for row in connection.execute(text(sql))] for name, sql in STORE.items()}


if __name__ == "__main__":
    _, url, base, verb, system, flow = sys.argv
    with build(url, Path(base)) as opened:
        getattr(opened, verb)(system, flow)
