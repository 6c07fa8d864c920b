"""What a store takes on the disk, indexes included: for an order taken in from a file, and for a SKU on five channels.

    python -m bench.sizes [--orders 20000] [--skus 20000]

Bytes of each table divided by the number of orders, or of SKUs; for sizing (docs/scale.md).
"""

from __future__ import annotations

import argparse

import psycopg

from bench.w1.rows import files_of
from bench.w1.work import WAYS, Contestant, stores
from bench.w3.work import Shop

__all__ = ["sizes"]

CHANNELS = 5
_SIZES = """
    SELECT c.relname, pg_total_relation_size(c.oid) FROM pg_class AS c
    WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace AND c.relname NOT LIKE 'bare%'
    ORDER BY 2 DESC
"""


def sizes(url: str) -> dict[str, int]:
    """Bytes of each table, the largest first."""
    with psycopg.connect(url) as connection:
        return dict(connection.execute(_SIZES).fetchall())


def _told(what: str, url: str, count: int) -> None:
    each = {table: size / count for table, size in sizes(url).items()}
    print(f"bytes for {what}: {sum(each.values()):,.0f}")
    for table, share in each.items():
        if share >= 10:
            print(f"  {table:20} {share:8,.0f}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--orders", type=int, default=20_000)
    parser.add_argument("--skus", type=int, default=20_000)
    asked = parser.parse_args()
    with stores() as (on, base):
        runner = Contestant("ours", WAYS["ours"], on, base)
        runner.take(files_of(asked.orders) / "base.csv")
        _told("an order", runner.url, asked.orders)
        runner.close()
        url = on.create("sizes_of_stock")
        shop = Shop(url, base / "shop", asked.skus, CHANNELS, 0)
        shop.settle()
        _told(f"a SKU on {CHANNELS} channels", url, asked.skus)
        shop.close()


if __name__ == "__main__":
    main()
