"""What a measurement came to, and how it is shown: a table, pictures, and one JSON file."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

__all__ = ["Plan", "Result", "machine", "ratio", "show", "write"]


@dataclass(frozen=True, slots=True)
class Plan:
    """How to measure: `rounds` of interleaved contestants, and whether the general tools take part."""

    rounds: int = 3
    peers: bool = False
    folder: Path = Path("bench/results")


@dataclass(frozen=True, slots=True)
class Result:
    """One line of the table: ours beside the limit, both from the same run.

    work      the issue's name: `W1`, `W1 again`, `W4 at 64`, ...
    unit      of `ours`, `limit` and `peers`: `s`, `ms`, `us` (the less the better) or `/s` (the more the better)
    ratio     ours / limit, the median of the rounds' ratios; a goal that is not a ratio stands in `unit`
    goal      the most `ratio` may be, or the least where `floor` is set
    peers     what others took, by name; only contestants that left the same store or bytes
    memory_mb most megabytes of our own processes, where it was measured
    details   further figures, free in form
    """

    work: str
    title: str
    unit: str
    ours: float
    limit: float | None
    ratio: float
    goal: float
    floor: bool = False
    peers: Mapping[str, float] = field(default_factory=dict)
    memory_mb: float | None = None
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def met(self) -> bool:
        return self.ratio >= self.goal if self.floor else self.ratio <= self.goal

    def as_dict(self) -> dict[str, Any]:
        return {
            "title": self.title, "unit": self.unit, "ours": _short(self.ours), "limit": _short(self.limit),
            "ratio_to_limit": _short(self.ratio), "goal": self.goal, "goal_is": "least" if self.floor else "most",
            "met": self.met, "peers": {name: _short(value) for name, value in self.peers.items()},
            "memory_mb": None if self.memory_mb is None else round(self.memory_mb), **self.details,
        }  # fmt: skip


def ratio(ours: Iterable[float], limit: Iterable[float]) -> float:
    """The median of the rounds' ratios: what else the machine did in a round hit both alike."""
    return median(a / b for a, b in zip(ours, limit, strict=True))


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")


def machine() -> dict[str, Any]:
    """What it ran on, without names."""
    told = next(
        (line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
         if line.startswith("model name")), platform.machine(),
    )  # fmt: skip
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"), "processor": told, "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30), "system": platform.system(),
        "kernel": platform.release().split("-")[0], "python": platform.python_version(),
    }  # fmt: skip


def show(results: Iterable[Result], console: Console) -> None:
    """The table a person reads."""
    table = Table("work", "ours", "limit", "ratio", "goal", "", "others", "memory", title="make bench")
    for one in results:
        sign = "≥" if one.floor else "≤"
        table.add_row(
            f"{one.work}  {one.title}", _with_unit(one.ours, one.unit), _with_unit(one.limit, one.unit),
            f"{one.ratio:.2f}", f"{sign} {one.goal:g}", "[green]met[/]" if one.met else "[red]missed[/]",
            ", ".join(f"{name} {_with_unit(value, one.unit)}" for name, value in one.peers.items()),
            "" if one.memory_mb is None else f"{one.memory_mb:.0f} MB",
        )  # fmt: skip
    console.print(table)


def _with_unit(value: float | None, unit: str) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}{unit}" if unit == "/s" else f"{value:.3g} {unit}"


def write(results: Iterable[Result], path: Path) -> None:
    """`latest.json`: the machine, and each work; works that were not measured this time keep no old figures."""
    path.parent.mkdir(parents=True, exist_ok=True)
    found = {"machine": machine(), **{one.work: one.as_dict() for one in results}}
    path.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", "utf-8")
