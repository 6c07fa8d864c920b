"""A connector for W4: signed stock events in, and a sink that writes down when it took what.

python -m bench.w4.shop URL FOLDER VARIANT PORT_FILE      the gateway, or what it is compared with
python -m bench.w4.shop URL FOLDER worker
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import uvicorn
from pydantic import BaseModel, SecretStr

from connectors.contract import Batch, Call, Connector, Event, Outcome, Page, Title
from connectors.registry import Connectors
from connectors.webhooks import hmac_header
from hub.engine import Hub
from hub.gateway import arrivals
from hub.gateway.app import Gateway
from hub.gateway.server import bind, server
from hub.jobs.worker import Worker, quiet_library
from hub.store.database import migrate, open_engine
from hub.systems import load_systems

SECRET = "bench"
HEADER = "x-bench-signature"
MAPPINGS = {
    "stock.in": "version: 1\ndirection: in\nentity: stock_position\ntitle: {ja: 在庫, en: Stock}\nexternal_id: sku\n"
    'fields: {key: {join: [sku, location], with: "@"}, sku: sku, location: location,'
    " on_hand: {from: on_hand, as: integer}}\n",
    "stock.out": "version: 1\ndirection: out\nentity: stock_position\ntitle: {ja: 在庫, en: Stock}\nkey: sku\n"
    "fields: {sku: sku, quantity: on_hand}\n",
}
SYSTEM = """
system: {name}
connector: bench
title: {name}
constants: {{channel: {name}}}
settings: {{root: "{root}"}}
flows:
  stock: {{pull: stock, mapping: bench/stock.in}}
  stock_out: {{push: stock, mapping: bench/stock.out}}
"""


class Config(BaseModel):
    root: Path
    secret: SecretStr = SecretStr(SECRET)


shop = Connector("bench", config=Config, title=Title("計測", "Bench"))


@shop.webhook
def events(headers: Mapping[str, str], body: bytes, config: Config) -> Sequence[Event]:
    hmac_header(headers, body, [config.secret], header=HEADER, encoding="hex")
    said = json.loads(body)
    return [Event("stock", said["id"], records=[said["stock"]])]


@shop.source("stock", key="sku")
def stock(_call: Call[Config], _cursor: None) -> Iterator[Page]:
    yield from ()


@shop.sink("stock", key="sku")
def take(call: Call[Config], batch: Batch) -> Iterable[Outcome]:
    with (call.config.root / "took").open("a") as file:
        file.writelines(f"{c.key} {c.record['quantity']} {time.time()}\n" for c in batch)
    return [Outcome.done(c.key) for c in batch]


def build(url: str, base: Path) -> Hub:
    """A hub with the channels `north` and `south`."""
    for folder in ("systems", "mappings/bench", "north", "south"):
        (base / folder).mkdir(parents=True, exist_ok=True)
    for name, content in MAPPINGS.items():
        (base / "mappings" / "bench" / f"{name}.yaml").write_text(content)
    for name in ("north", "south"):
        (base / "systems" / f"{name}.yaml").write_text(SYSTEM.format(name=name, root=base / name))
    engine = open_engine(url, threads=8)
    migrate(engine)
    loaded = load_systems([base / "systems"])
    if loaded.faults:
        raise SystemExit(str(loaded.faults[0]))
    return Hub(engine, loaded, Connectors(bench=shop), mapping_roots=[base / "mappings"])


class _Nothing(arrivals.Arrivals):
    """Stores nothing: what HTTP, the signature and the event cost."""

    async def store(self, found: Sequence[arrivals.Arrival]) -> list[bool]:
        return [True] * len(found)


async def _work(hub: Hub) -> None:
    quiet_library()
    await Worker(hub).run()


def _serve(hub: Hub, variant: str, port_file: Path) -> None:
    application: Any = Gateway(hub)
    if variant == "verify":
        application._arrivals = _Nothing("")
    elif variant == "single":
        arrivals.TOGETHER = 1
    elif variant.startswith("bare"):
        from bench.w4.bare import application as bare

        application = bare(
            variant, hub.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
        )
    listener = bind("127.0.0.1", 0)
    port_file.write_text(str(listener.getsockname()[1]))
    running: uvicorn.Server = server(hub, application=application)
    running.run(sockets=[listener])


if __name__ == "__main__":
    import logging

    import structlog

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with build(sys.argv[1], Path(sys.argv[2])) as opened:
        if sys.argv[3] == "worker":
            asyncio.run(_work(opened))
        else:
            _serve(opened, sys.argv[3], Path(sys.argv[4]))
        os._exit(0)
