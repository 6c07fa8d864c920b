"""The general tools as contestants of W1, and what each of them left.

    for name, tool in tools(plan).items():
        measured(tool.words(url, file, folder), server, str(tool.python))
        tool.rows(url)      must be the entities the others left

`url` is a database of the tool's own, `folder` a folder of its own; both are kept over load, again and changed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from bench.result import Plan
from bench.w1.peers.entities import SCHEMA, TABLE
from bench.w1.peers.environments import NotInstalled, environment
from bench.w1.store import CHANNEL

__all__ = ["TOOLS", "Tool", "tools"]

TOOLS = {
    "dlt": ("dlt", "dlt_pipeline", "text"),
    "dlt, objects": ("dlt", "dlt_pipeline", "objects"),
    "Singer": ("singer", "singer_pipe", "text"),
    "Singer, objects": ("singer", "singer_pipe", "objects"),
    "PyAirbyte": ("airbyte", "airbyte_cache"),
}
"""Name: environment, module, and further words."""


@dataclass(frozen=True, slots=True)
class Tool:
    """One tool, installed."""

    python: Path
    module: str
    more: tuple[str, ...] = ()

    def words(self, url: str, file: Path, folder: Path) -> list[str]:
        """What stands behind `python -m`, to be run in the root of the repository."""
        return [f"bench.w1.peers.{self.module}", url, str(file), str(folder), CHANNEL, *self.more]

    def rows(self, url: str) -> Iterator[tuple[str, str, Any]]:
        """Kind, key and content of the rows it left, without what it adds for itself."""
        with psycopg.connect(url) as connection:
            yield from connection.execute(f"SELECT kind, key, content::jsonb FROM {SCHEMA}.{TABLE}")


def tools(plan: Plan) -> dict[str, Tool]:
    """The tools by name, where the plan wants them; one that cannot be installed is named and left out."""
    found = {}
    for name, (installed, module, *more) in TOOLS.items() if plan.peers else ():
        try:
            found[name] = Tool(environment(installed), module, tuple(more))
        except NotInstalled as why:
            print(f"  {name} is left out, it cannot be installed: {why}", flush=True)
    return found
