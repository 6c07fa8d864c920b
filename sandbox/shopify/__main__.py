"""`python -m sandbox.shopify`: the stand-in as a process of its own."""

from __future__ import annotations

import argparse
import signal
import sys
from datetime import datetime

from sandbox.shopify.cost import Bucket
from sandbox.shopify.courier import Courier, Subscription
from sandbox.shopify.server import Server
from sandbox.shopify.shop import Shop

__all__ = ["main"]


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sandbox.shopify", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8802, help="0 takes a free one")
    parser.add_argument(
        "--print-port", action="store_true", help="write the port on the first line of output"
    )
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--orders", type=int, default=40, help="orders in the book at the start")
    parser.add_argument(
        "--until", metavar="TIME", help="when the last of them was made (ISO 8601 with offset)"
    )
    parser.add_argument("--pace", type=float, default=1.0, help="cost points come back this much faster")
    parser.add_argument("--events-url", action="append", default=[], help="send signed webhooks there")
    parser.add_argument("--duplicates", type=float, default=0.0, help="share of events that come twice")
    parser.add_argument("--losses", type=float, default=0.0, help="share of events that never come")
    parser.add_argument("--reorder", type=float, default=0.0, help="share of events that others overtake")
    parser.add_argument("--access-token", default=Shop.access_token)
    parser.add_argument("--webhook-secret", default=Shop.webhook_secret)
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    asked = _arguments(argv)
    courier = Courier(
        duplicates=asked.duplicates, losses=asked.losses, reorder=asked.reorder, seed=asked.seed
    )
    shop = Shop(
        seed=asked.seed,
        access_token=asked.access_token,
        webhook_secret=asked.webhook_secret,
        bucket=Bucket(pace=asked.pace),
    )
    shop.take_orders(asked.orders, until=datetime.fromisoformat(asked.until) if asked.until else None)
    courier.subscriptions += [Subscription(url, asked.webhook_secret) for url in asked.events_url]
    shop.tell = courier

    def stop(*_: object) -> None:
        raise SystemExit(0)

    signal.signal(signal.SIGTERM, stop)
    with courier, Server(shop, port=asked.port, host=asked.host) as server:
        if asked.print_port:
            print(server.url.rsplit(":", 1)[1], flush=True)
        else:
            print(f"{server.url}  {len(shop.orders)} orders, shop {shop.domain}", flush=True)
        try:
            server.wait()
        except KeyboardInterrupt:
            return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
