"""The programs of W8, as processes of their own.

python -m bench.w8.shop serve URL FOLDER                  the gateway with the API; tells its port
python -m bench.w8.shop reserve URL SKU CLIENTS EACH      as many threads; tells the seconds, and how many were given
"""

from __future__ import annotations

import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

from connectors.registry import Connectors
from hub.cli.serve import API_THREADS
from hub.engine import Hub
from hub.gateway.server import bind, server
from hub.home import Settings
from hub.logs import configure_logging
from hub.stock import NotEnough, reserve
from hub.store.database import open_engine
from hub.systems import load_systems


def serve(url: str, folder: Path) -> None:
    # a line in the log for each call, as it is
    configure_logging(Settings.from_env({"TSUNAGI_HOME": str(folder / "home"), "TSUNAGI_LOG_FORMAT": "json"}))
    with Hub(open_engine(url, threads=API_THREADS), load_systems([folder / "systems"]), Connectors()) as hub:
        listener = bind("127.0.0.1", 0)
        print(listener.getsockname()[1], flush=True)
        server(hub, alone=True).run(sockets=[listener])
    os._exit(0)


def by_function(url: str, sku: str, clients: int, each: int) -> None:
    engine = open_engine(url, threads=(clients + 2) // 3)

    def client(_: int) -> int:
        given = 0
        for _ in range(each):
            try:
                reserve(engine, sku=sku, quantity=1, channel="shop", key=uuid4().hex)
                given += 1
            except NotEnough:
                pass
        return given

    with engine.connect():
        begun = time.perf_counter()
    with ThreadPoolExecutor(clients) as threads:
        given = sum(threads.map(client, range(clients)))
    print(time.perf_counter() - begun, given)
    engine.dispose()


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(sys.argv[2], Path(sys.argv[3]))
    else:
        by_function(sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
