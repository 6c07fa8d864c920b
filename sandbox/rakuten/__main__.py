"""`python -m sandbox.rakuten`: the stand-in as a process of its own.

Keys: service secret and license key are made for this shop and stand in `--help`; the state can be kept in a
file, so that a stand-in started again goes on where it stood.
"""

from __future__ import annotations

import argparse
import signal
import sys
from datetime import datetime, timedelta
from pathlib import Path

from sandbox.rakuten.clock import JST
from sandbox.rakuten.server import Server
from sandbox.rakuten.shop import Limits, Shop

__all__ = ["main"]


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sandbox.rakuten", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8801, help="0 takes a free one")
    parser.add_argument(
        "--print-port", action="store_true", help="write the port on the first line of output"
    )
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--orders", type=int, default=40, help="orders in the book at the first start")
    parser.add_argument(
        "--until", metavar="TIME", help="when the last of them was made (ISO 8601, default now)"
    )
    parser.add_argument("--state", type=Path, metavar="FILE", help="keep the state in this SQLite file")
    parser.add_argument("--pace", type=float, default=1.0, help="request rates count this much faster")
    parser.add_argument(
        "--screening", type=float, default=0.0, metavar="SECONDS", help="time an order stays at 200"
    )
    parser.add_argument("--service-secret", default=Shop.service_secret)
    parser.add_argument("--license-key", default=Shop.license_key)
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    asked = _arguments(argv)
    shop = Shop(
        seed=asked.seed,
        service_secret=asked.service_secret,
        license_key=asked.license_key,
        screening=timedelta(seconds=asked.screening),
        limits=Limits(pace=asked.pace),
        file=asked.state,
    )
    if not shop.orders:
        until = datetime.fromisoformat(asked.until) if asked.until else None
        if until is not None and until.tzinfo is None:
            until = until.replace(tzinfo=JST)
        shop.take_orders(asked.orders, until=until)
    server = Server(shop, port=asked.port, host=asked.host)

    def stop(*_: object) -> None:
        raise SystemExit(0)

    signal.signal(signal.SIGTERM, stop)
    with server:
        if asked.print_port:
            print(server.url.rsplit(":", 1)[1], flush=True)
        else:
            print(f"{server.url}  {len(shop.orders)} orders", flush=True)
        try:
            server.wait()
        except KeyboardInterrupt:
            return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
