"""Pictures of a run, from its results: SVG, the same bytes for the same figures.

    python -m bench.pictures [bench/results/latest.json] [FOLDER]

- `ratios.svg`   every work's ratio to its goal's measure, and the goal
- `w1.svg`       the bulk load, the same again, and 1 % changed: ours beside the limit, the way by hand, general tools
- `growth.svg`   what a changed file costs in a store of 1, 10 and 30 times the size

A picture whose figures are not in the results is left out.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

__all__ = ["draw"]

OURS, MISSED, OTHER, LIMIT, INK = "#1f6f8b", "#c8553d", "#b8b8b0", "#6b6b66", "#2b2b2b"
STEPS = {"W1": "load", "W1 again": "the same again", "W2": "1 % changed"}
STYLE = {
    "svg.hashsalt": "tsunagi", "svg.fonttype": "path", "font.family": "DejaVu Sans", "font.size": 9,
    "axes.spines.top": False, "axes.spines.right": False, "axes.edgecolor": LIMIT, "text.color": INK,
    "axes.labelcolor": INK, "xtick.color": INK, "ytick.color": INK, "axes.titlesize": 11,
    "axes.titlelocation": "left", "legend.frameon": False,
}  # fmt: skip
Works = dict[str, dict[str, Any]]


def draw(results_json: Path, folder: Path) -> list[Path]:
    """Write the pictures of a results file (the shape of `bench.result.write`) into a folder; returns their paths."""
    found = json.loads(results_json.read_text("utf-8"))
    works = {name: one for name, one in found.items() if name != "machine"}
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    with mpl.rc_context(STYLE):
        for name, picture in (("ratios", _ratios), ("w1", _bulk), ("growth", _growth)):
            figure = picture(works)
            path = folder / f"{name}.svg"
            if figure is None:
                path.unlink(missing_ok=True)  # an older run's picture would be taken for this one's
                continue
            # without a date the same figures give the same bytes
            figure.savefig(path, metadata={"Date": None, "Creator": None}, bbox_inches="tight")
            made.append(path)
    return made


def _ratios(works: Works) -> Figure | None:
    rows = [(name, one) for name, one in works.items() if one.get("ratio_to_limit") and one.get("goal")]
    if not rows:
        return None
    figure = Figure(figsize=(8.5, 0.9 + 0.36 * len(rows)))
    axes = figure.subplots()
    values = [value for _, one in rows for value in (one["ratio_to_limit"], one["goal"])]
    least = min(0.5, min(values) / 1.5)
    for at, (_, one) in enumerate(rows):
        ratio, goal, met = one["ratio_to_limit"], one["goal"], one["met"]
        axes.barh(at, ratio - least, 0.58, least, facecolor=OURS if met else "white",
                  edgecolor=OURS if met else MISSED, linewidth=1.5)  # fmt: skip
        axes.plot([goal, goal], [at - 0.42, at + 0.42], color=INK, linewidth=2, solid_capstyle="butt")
        # beside whichever is farther out, so that the mark does not run through it
        axes.annotate(
            f"{ratio:.3g}  {'✓ met' if met else '✗ missed'}, goal {'≥' if one['goal_is'] == 'least' else '≤'} {goal:g}",
            (max(ratio, goal), at), xytext=(6, 0), textcoords="offset points", va="center", fontsize=8,
        )  # fmt: skip
    axes.set_yticks(range(len(rows)), [f"{name}  {one['title']}" for name, one in rows])
    axes.invert_yaxis()
    axes.set_xlim(least, max(values) * 6)
    _logarithmic(axes, "x")
    axes.axvline(1, color=LIMIT, linewidth=0.8, linestyle=":", zorder=0)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("ours / limit; the upright stroke is the goal, hollow bars miss it")
    axes.set_title("How far from the limit")
    return figure


def _bulk(works: Works) -> Figure | None:
    steps = {name: works[name] for name in STEPS if name in works}
    ways: dict[str, dict[str, float]] = {}
    for step, one in steps.items():
        for way, seconds in {
            "ours": one.get("ours"),
            "limit": one.get("limit"),
            **one.get("peers", {}),
        }.items():
            if seconds:
                ways.setdefault(way, {})[step] = seconds
    if not ways:
        return None
    names = [way for way in ("limit", "ours") if way in ways] + [
        way for way in ways if way not in ("limit", "ours")
    ]
    values = [seconds for of_way in ways.values() for seconds in of_way.values()]
    least = min(values) / 2
    figure = Figure(figsize=(8.5, 4.2))
    axes = figure.subplots()
    width = 0.84 / len(names)
    colours = {"ours": OURS, "limit": LIMIT}
    for at, step in enumerate(steps):
        here = [way for way in names if step in ways[way]]
        for index, way in enumerate(here):
            x, seconds = at + (index - (len(here) - 1) / 2) * width, ways[way][step]
            axes.bar(x, seconds - least, width * 0.88, least, color=colours.get(way, OTHER))
            axes.annotate(
                f"{way}  {seconds:.3g}", (x, seconds), xytext=(0, 4), textcoords="offset points", rotation=90,
                ha="center", va="bottom", fontsize=8, weight="bold" if way == "ours" else "normal",
            )  # fmt: skip
    axes.set_xticks(range(len(steps)), [STEPS[step] for step in steps])
    axes.tick_params(axis="x", length=0)
    axes.set_ylim(least, max(values) * 10)  # room for the words above the bars
    _logarithmic(axes, "y")
    axes.set_ylabel("seconds")
    axes.set_title("W1: 200,000 lines of a CSV to 100,000 orders, less is better")
    return figure


def _growth(works: Works) -> Figure | None:
    points = _sizes(works)
    if len(points) < 2:
        return None
    figure = Figure(figsize=(5.5, 3.2))
    axes = figure.subplots()
    sizes, seconds = zip(*sorted(points.items()), strict=True)
    axes.plot(sizes, seconds, color=OURS, marker="o", linewidth=2)
    for size, took in zip(sizes, seconds, strict=True):
        told = f"{took:.3g} s" if size == 1 else f"{took:.3g} s, {took / seconds[0]:.2f}×"
        axes.annotate(told, (size, took), xytext=(0, 8), textcoords="offset points", ha="center", fontsize=8)
    axes.set_ylim(0, max(seconds) * 1.3)
    axes.set_xlim(sizes[0] / 1.5, sizes[-1] * 1.8)
    axes.set_xscale("log")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(sizes, [f"{size:g}×" for size in sizes])
    axes.set_ylabel("seconds")
    axes.set_xlabel("orders in the store")
    axes.set_title("W9: the same changed file, a larger store")
    return figure


def _sizes(works: Works) -> dict[float, float]:
    """Size of the store: seconds, from whatever member of W9 names sizes: `1x`, `x10`, `store x30`."""
    for name, one in works.items():
        if name != "W9" and not name.startswith("W9 "):
            continue
        for held in (one, *(value for value in one.values() if isinstance(value, dict))):
            found = dict(_named_sizes(held))
            if len(found) > 1:
                return found
    return {}


def _named_sizes(held: dict[str, Any]) -> Iterable[tuple[float, float]]:
    for name, value in held.items():
        size = re.fullmatch(r"(?:.* )?x?(\d+)x?", name)
        seconds = value.get("wall") if isinstance(value, dict) else value
        if size and isinstance(seconds, int | float):
            yield float(size[1]), float(seconds)


def _logarithmic(axes: Axes, which: str) -> None:
    (axes.set_xscale if which == "x" else axes.set_yscale)("log")
    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())
    axes.grid(axis="x" if which == "x" else "y", color="#e4e4de", linewidth=0.8)
    axes.set_axisbelow(True)


if __name__ == "__main__":
    results = Path(sys.argv[1]) if len(sys.argv) > 1 else Path("bench/results/latest.json")
    for picture in draw(results, Path(sys.argv[2]) if len(sys.argv) > 2 else results.parent):
        print(picture)
