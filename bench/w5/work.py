"""W5: what a mapping costs beside hand-written dict code, for one order of about 3 kB with five lines.

    python -m bench.w5.work [--rounds 3]

JSON to entity and entity to JSON, parsing and writing included, as in the issue. Contestants: the code the compiler
generates, and the same thing written by hand (`by_hand.py`). Both call
the same library functions for kana, telephone, postal code, time windows and truncation; the rest is theirs. They must
give equal results, and the interpreter (the reference that explains values and faults) the same again, before anything
is measured. One process, turns of some milliseconds each, so that a slow moment of the machine hits all alike.
"""

from __future__ import annotations

import argparse
import gc
import json
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import orjson
from rich.console import Console

from bench.result import Plan, Result, ratio, show
from bench.w5.by_hand import order, order_by_hand, rows_by_hand
from canonical_model import Order
from mappings import load_mapping
from mappings.interpreter import Walk

__all__ = ["CONTEXT", "HERE", "Desk", "run"]

HERE = Path(__file__).parent
CONTEXT = {"system": {"id": "shop-main", "channel": "shop"}}
TURNS = 20
"""Turns of each contestant in one round."""
CALLS = 100
"""Calls in one turn."""

Way = Callable[[], Any]


class Desk:
    """The order, its entity, and the two ways in and out. Raises SystemExit when they disagree."""

    def __init__(self) -> None:
        self.incoming = load_mapping("shop/orders.in", roots=[HERE])
        self.outgoing = load_mapping("shop/instructions.out", roots=[HERE])
        self.raw = json.dumps(order(), ensure_ascii=False).encode()
        self.record: dict[str, Any] = orjson.loads(self.raw)
        made = self.made_in()
        if not made == self.hand_in() == Walk(self.incoming.tree, self.record, CONTEXT).fields():
            raise SystemExit("the contestants disagree (in)")
        self.entity = Order.model_validate(made).model_dump(mode="json")
        sent = self.made_out()
        if (sent.key, sent.record) != self.hand_out():
            raise SystemExit("the contestants disagree (out)")
        if sent.record != {"rows": Walk(self.outgoing.tree, self.entity, CONTEXT).rows()}:
            raise SystemExit("the interpreter disagrees (out)")

    def made_in(self) -> Any:
        return self.incoming.to_entity(orjson.loads(self.raw), CONTEXT)

    def hand_in(self) -> Any:
        return order_by_hand(orjson.loads(self.raw), CONTEXT)

    def made_out(self) -> Any:
        return self.outgoing.from_entity(self.entity, CONTEXT)

    def hand_out(self) -> Any:
        return rows_by_hand(self.entity, CONTEXT)

    def ways(self) -> dict[str, Way]:
        """What is measured, by name."""
        return {
            "made in": self.made_in, "hand in": self.hand_in,
            "made out": lambda: orjson.dumps(self.made_out().record),
            "hand out": lambda: orjson.dumps(self.hand_out()[1]),
            "validated in": lambda: Order.model_validate(self.made_in()),
        }  # fmt: skip


def one_round(ways: dict[str, Way], first: int, turns: int = TURNS, calls: int = CALLS) -> dict[str, float]:
    """Median microseconds of a call of each way; each turn begins with another one."""
    found: dict[str, list[float]] = {name: [] for name in ways}
    names = list(ways)
    gc.disable()
    try:
        for turn in range(turns):
            start = (first + turn) % len(names)
            for name in names[start:] + names[:start]:
                way = ways[name]
                way()
                begun = time.perf_counter()
                for _ in range(calls):
                    way()
                found[name].append((time.perf_counter() - begun) / calls * 1e6)
            gc.collect()
    finally:
        gc.enable()
    return {name: median(values) for name, values in found.items()}


def run(plan: Plan) -> list[Result]:
    desk = Desk()
    ways = desk.ways()
    one_round(ways, 0, turns=2)  # warm
    rounds = [one_round(ways, number) for number in range(plan.rounds)]

    def figures(*names: str) -> list[float]:
        return [sum(one[name] for name in names) for one in rounds]

    made, hand = figures("made in", "made out"), figures("hand in", "hand out")
    validated = figures("validated in", "made out")
    each = {name.replace(" ", "_") + "_us": median(figures(name)) for name in ways}
    return [
        Result(
            "W5", "one order in and out", "us", median(made), median(hand), ratio(made, hand), goal=1.3,
            details={"order_bytes": len(desk.raw), "ratio_in": ratio(figures("made in"), figures("hand in")),
                     "ratio_out": ratio(figures("made out"), figures("hand out")), **each},
        ),
        Result(
            "W5 validated", "the same, validated; by hand without", "us", median(validated), median(hand),
            ratio(validated, hand), goal=1.8,
        ),
    ]  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    show(run(Plan(rounds=parser.parse_args().rounds)), Console(width=150))
