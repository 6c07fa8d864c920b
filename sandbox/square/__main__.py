"""`python -m sandbox.square`: the stand-in as a process of its own.

Access token and signature key are made for this seller and stand in `--help`. With `--notify` events are sent while
it runs; `POST /_sandbox/sales {"location", "lines": [{"sku", "quantity"}]}` sells something.
"""

from __future__ import annotations

import argparse
import signal
import sys
from contextlib import ExitStack

from sandbox.square.postman import Habits, Postman, Subscription
from sandbox.square.register import sell
from sandbox.square.seller import Limits, Seller
from sandbox.square.server import Server

__all__ = ["main"]


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sandbox.square", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8802, help="0 takes a free one")
    parser.add_argument(
        "--print-port", action="store_true", help="write the port on the first line of output"
    )
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--stock", type=int, default=20, help="units of each SKU in each store at the start")
    parser.add_argument("--sales", type=int, default=5, help="receipts written at the start")
    parser.add_argument("--rate", type=float, default=10.0, help="requests a second")
    parser.add_argument("--access-token", default=Seller.access_token)
    parser.add_argument("--notify", metavar="URL", help="send events to this URL")
    parser.add_argument("--signature-key", default=Subscription.signature_key)
    for habit in ("duplicate", "reorder", "lose"):
        parser.add_argument(
            f"--{habit}", type=float, default=0.0, metavar="SHARE", help="share of events, 0 to 1"
        )
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    asked = _arguments(argv)
    seller = Seller(seed=asked.seed, access_token=asked.access_token, limits=Limits(per_second=asked.rate))
    stores = [row["name"] for row in seller.locations.values() if row["status"] == "ACTIVE"]
    for store in stores:
        for row in list(seller.catalog.values()):
            data = row.get("item_variation_data") or {}
            if data.get("track_inventory"):
                seller.receive(data["sku"], store, asked.stock)
    for number in range(asked.sales):
        sell(seller, stores[number % len(stores)], [("TEA-100", 1 + number % 2), ("TEE-AI-M", 1)])
    server = Server(seller, port=asked.port, host=asked.host)

    def stop(*_: object) -> None:
        raise SystemExit(0)

    signal.signal(signal.SIGTERM, stop)
    with ExitStack() as stack:
        if asked.notify:
            habits = Habits(duplicate=asked.duplicate, reorder=asked.reorder, lose=asked.lose)
            subscription = Subscription(asked.notify, asked.signature_key)
            seller.postman = Postman(subscription, habits, seed=asked.seed)
            stack.enter_context(seller.postman.working())
        stack.enter_context(server)
        line = server.url.rsplit(":", 1)[1] if asked.print_port else f"{server.url}  {', '.join(stores)}"
        print(line, flush=True)
        try:
            server.wait()
        except KeyboardInterrupt:
            return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
