"""`make bench`: run the measurements, one after the other; ours, the limit and the ways one writes by hand.

    make bench                  all of them, less than 15 minutes
    make bench ONLY=W1,W4       some of them
    make bench PEERS=1          dlt, Singer and PyAirbyte too, each in an environment of its own
    make bench ROUNDS=5         more rounds, steadier figures

Only a run of all works writes `bench/results/latest.json` and the pictures; others write beside it.
"""

from __future__ import annotations

import argparse
import time
from importlib import import_module
from pathlib import Path

from rich.console import Console

from bench.page import refresh
from bench.pictures import draw
from bench.result import Plan, Result, show, write

HERE = Path(__file__).parent
WORKS = {
    "W1": "bench.w1.work",  # W2 is the third file of the same run
    "W3": "bench.w3.work",
    "W4": "bench.w4.work",
    "W5": "bench.w5.work",
    "W6": "bench.w6.work",
    "W7": "bench.w7.work",
    "W8": "bench.w8.work",
    "W9": "bench.w9.work",
    "Airflow": "bench.airflow.work",
}
"""Each module has `run(plan) -> list[Result]`, and can be run by itself."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default="", help="works, separated by commas")
    parser.add_argument("--peers", action="store_true")
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    wanted = [name.strip() for name in asked.only.split(",") if name.strip()] or list(WORKS)
    if unknown := [name for name in wanted if name not in WORKS]:
        raise SystemExit(f"no measurement {', '.join(unknown)}; there are: {', '.join(WORKS)}")
    plan = Plan(rounds=asked.rounds, peers=asked.peers)
    console = Console(width=150)
    results: list[Result] = []
    failed: list[str] = []
    for name in wanted:
        console.rule(name)
        begun = time.monotonic()
        try:
            results += import_module(WORKS[name]).run(plan)
        except (Exception, SystemExit):  # noqa: BLE001  (the others are measured all the same)
            console.print_exception()
            failed.append(name)
        console.print(f"{name}: {time.monotonic() - begun:.0f} s")
        show(results, console)
        write(results, HERE / "results" / "so_far.json")  # a long run that is stopped has told something
    whole = wanted == list(WORKS) and not failed
    path = HERE / "results" / ("latest.json" if whole else f"{'-'.join(wanted)}.json")
    write(results, path)
    written = [path, *((*draw(path, path.parent), *refresh(path)) if whole else ())]
    console.print(f"written: {', '.join(map(str, written))}")
    if failed:
        raise SystemExit(f"not measured: {', '.join(failed)}")


if __name__ == "__main__":
    main()
