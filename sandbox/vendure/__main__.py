"""`python -m sandbox.vendure --dir DIR --port 0`: start the shop and keep it until interrupted."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
from pathlib import Path

from sandbox.vendure.server import Unavailable, start


def main() -> int:
    """Prints one line of JSON with the URL and the login. Exit code 3 where the shop cannot run."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.vendure", description=__doc__)
    parser.add_argument("--dir", type=Path, required=True, help="where the shop's database and log lie")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument(
        "--events-url", help="POST signed events there; the secret is read from SHOP_EVENTS_SECRET"
    )
    parser.add_argument(
        "--cache", type=Path, help="where the installation is kept; the user's cache folder if not said"
    )
    options = parser.parse_args()
    try:
        shop = start(
            options.dir.resolve(),
            port=options.port,
            cache=options.cache,
            events_url=options.events_url,
            events_secret=os.environ.get("SHOP_EVENTS_SECRET"),
        )
    except (Unavailable, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 3
    with shop, contextlib.suppress(KeyboardInterrupt):
        sys.stdout.write(
            json.dumps({"url": shop.url, "username": shop.username, "password": shop.password}) + "\n"
        )
        sys.stdout.flush()
        shop.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
