"""What a run tells: its seed, the harm it did, the balance, how long things took, and every difference."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.chaos.balance import Balance

__all__ = ["percentile", "show"]

SHOWN = 12
"""Differences of one kind that are printed; the rest stands in `differences.txt`."""


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` of them lie; 0 of none."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)] if ordered else 0.0


def show(
    console: Console,
    *,
    balance: Balance,
    harm: Mapping[str, int],
    faults: Mapping[str, Mapping[str, int]],
    events: Mapping[str, Counter[str]],
    did: Mapping[str, int],
    ended: Mapping[str, int],
    settled: float,
    folder: Path,
) -> None:
    """Print it all."""
    table = Table("harm", "times", title="What was done to it", title_justify="left")
    rows = [*sorted(harm.items()), *sorted((f"ended by itself: {what}", n) for what, n in ended.items())]
    for channel, made in faults.items():
        rows += [(f"{channel}: call answered {kind}", n) for kind, n in sorted(made.items())]
    for channel, fates in events.items():
        rows += [(f"{channel}: event {fate}", n) for fate, n in sorted(fates.items()) if fate != "plain"]
    for what, n in rows:
        table.add_row(what, str(n))
    if rows:
        console.print(table)
    console.print("people: " + ", ".join(f"{what} {n}" for what, n in sorted(did.items())), style="dim")

    table = Table("", "others", "hub", "differences", title="The balance", title_justify="left")
    for line in balance.lines:
        wrong = len(line.differences)
        table.add_row(line.title, str(line.others), str(line.hub), str(wrong) if wrong else "-",
                      style="bold red" if wrong else None)  # fmt: skip
    for column in table.columns[1:]:
        column.justify = "right"
    console.print(table)
    road, when = balance.road, "in the middle of all this" if rows else "nothing broken"
    console.print(
        f"order placed -> lower number accepted by the other channel ({len(road)} orders): "
        f"p50 {percentile(road, 0.5):.2f} s, p99 {percentile(road, 0.99):.2f} s, {when}; "
        f"all quiet {settled:.1f} s after the last order"
    )
    if not balance.differences:
        return
    (folder / "differences.txt").write_text("\n".join(balance.differences) + "\n", "utf-8")
    for line in balance.lines:
        for one in line.differences[:SHOWN]:
            console.print(f"  {line.title}: {one}", style="red", markup=False)
        if len(line.differences) > SHOWN:
            console.print(f"  {line.title}: ... {len(line.differences) - SHOWN} more", style="red")
