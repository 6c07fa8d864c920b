"""A connector for W4, and the programs that are compared as processes of their own.

python -m bench.w4.shop URL FOLDER VARIANT PORT_FILE      `gateway`, `bare-asyncpg` or `bare-psycopg`
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
import structlog
import uvicorn
from pydantic import BaseModel, SecretStr

from connectors.contract import Call, Connector, Event, Page, Title
from connectors.registry import Connectors
from connectors.webhooks import hmac_header
from hub.engine import Hub
from hub.gateway.app import Gateway
from hub.gateway.server import bind, server
from hub.store.database import migrate, open_engine
from hub.systems import load_systems

SECRET = "bench"
HEADER = "x-bench-signature"
MAPPING = """
version: 1
direction: in
entity: stock_position
title: {ja: 在庫, en: Stock}
external_id: sku
fields: {key: {join: [sku, location], with: "@"}, sku: sku, location: location, on_hand: {from: on_hand, as: integer}}
"""
SYSTEM = """
system: north
connector: bench
title: north
constants: {channel: north}
flows:
  stock: {pull: stock, mapping: bench/stock.in}
"""


class Config(BaseModel):
    secret: SecretStr = SecretStr(SECRET)


shop = Connector("bench", config=Config, title=Title("計測", "Bench"))


@shop.webhook
def events(headers: Mapping[str, str], body: bytes, config: Config) -> Sequence[Event]:
    hmac_header(headers, body, [config.secret], header=HEADER, encoding="hex")
    said = orjson.loads(body)
    return [Event("stock", said["id"], records=[said["stock"]])]


@shop.source("stock", key="sku")
def stock(_call: Call[Config], _cursor: None) -> Iterator[Page]:
    yield from ()


def build(url: str, base: Path) -> Hub:
    """A hub with the channel `north`."""
    for folder in ("systems", "mappings/bench"):
        (base / folder).mkdir(parents=True, exist_ok=True)
    (base / "mappings" / "bench" / "stock.in.yaml").write_text(MAPPING)
    (base / "systems" / "north.yaml").write_text(SYSTEM)
    engine = open_engine(url, threads=4)
    migrate(engine)
    loaded = load_systems([base / "systems"])
    if loaded.faults:
        raise SystemExit(str(loaded.faults[0]))
    return Hub(engine, loaded, Connectors(bench=shop), mapping_roots=[base / "mappings"])


def _serve(hub: Hub, variant: str, port_file: Path) -> None:
    application: Any = Gateway(hub)
    if variant != "gateway":
        from bench.w4.bare import application as bare

        url = hub.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
        application = bare(variant, url)
    listener = bind("127.0.0.1", 0)
    port_file.write_text(str(listener.getsockname()[1]))
    running: uvicorn.Server = server(hub, application=application, alone=True)
    running.run(sockets=[listener])


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with build(sys.argv[1], Path(sys.argv[2])) as opened:
        _serve(opened, sys.argv[3], Path(sys.argv[4]))
        os._exit(0)
