"""`python -m tests.chaos --seconds 60 --seed 7`: everything at once, and the balance afterwards. See docs/chaos.md."""

from __future__ import annotations

import argparse
import secrets
import sys

from rich.console import Console

from tests.chaos.launch import BUGS
from tests.chaos.run import Plan, chaos


def _arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long people and trouble go on")
    parser.add_argument(
        "--seed", default="", help="of people, trouble, faults and fates; drawn when left out"
    )
    parser.add_argument("--rate", type=float, default=2.0, help="things people do in a second")
    parser.add_argument(
        "--patience", type=float, help="seconds it may take to become quiet (120; with Airflow 300)"
    )
    parser.add_argument("--bug", choices=sorted(BUGS), help="plant a bug: the run must fail")
    parser.add_argument("--airflow", action="store_true", help="run the flows in a real Airflow")
    parser.add_argument(
        "--calm", action="store_true", help="people only, nothing breaks: what to compare times with"
    )
    parser.add_argument("--keep", action="store_true", help="keep the folder of the run, also of a good one")
    return parser.parse_args(argv)


def main(argv: list[str]) -> int:
    """0: everything agrees. 1: it does not."""
    asked = _arguments(argv)
    plan = Plan(
        seconds=asked.seconds, seed=asked.seed or str(secrets.randbelow(10**6)), rate=asked.rate,
        patience=asked.patience or (300.0 if asked.airflow else 120.0), bug=asked.bug, airflow=asked.airflow,
        keep=asked.keep, calm=asked.calm,
    )  # fmt: skip
    return 0 if chaos(plan, Console(highlight=False, width=None if sys.stdout.isatty() else 140)) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
