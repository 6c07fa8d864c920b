"""The general tools as contestants of W1, and what each of them left.

    for name, tool in tools(plan).items():
        measured_command(tool.command(url, file, folder), server, log)
        assert left_by_tool(url) == left_by_hand(other_url)

`url` is a database of the tool's own, `folder` a folder of its own; both are kept over load, again and changed.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import psycopg

from bench.result import Plan
from bench.w1.peers.entities import SCHEMA, TABLE
from bench.w1.peers.environments import NotInstalled, environment
from bench.w1.store import CHANNEL

__all__ = ["TOOLS", "Tool", "left_by_hand", "left_by_tool", "tools"]

TOOLS = {
    "dlt": ("dlt", "dlt_pipeline", "text"),
    "dlt, objects": ("dlt", "dlt_pipeline", "objects"),
    "Singer": ("singer", "singer_pipe", "text"),
    "Singer, objects": ("singer", "singer_pipe", "objects"),
    "PyAirbyte": ("airbyte", "airbyte_cache"),
}
"""Name: environment, module, and further words."""

_LEFT = """
    SELECT coalesce(md5(string_agg(md5(kind || ' ' || key || ' ' || jsonb_strip_nulls(content::jsonb)), ''
                                   ORDER BY kind, key)), '') || ' ' || count(*)
    FROM {}
"""


@dataclass(frozen=True, slots=True)
class Tool:
    """One tool, installed."""

    python: Path
    module: str
    words: tuple[str, ...] = ()

    def command(self, url: str, file: Path, folder: Path) -> list[str]:
        """What takes a file in, to be run in the root of the repository."""
        return [
            str(self.python), "-W", "ignore", "-m", f"bench.w1.peers.{self.module}", url, str(file), str(folder),
            CHANNEL, *self.words,
        ]  # fmt: skip


def tools(plan: Plan) -> dict[str, Tool]:
    """The tools by name, where the plan wants them; one that cannot be installed is named and left out."""
    found = {}
    for name, (installed, module, *words) in TOOLS.items() if plan.peers else ():
        try:
            found[name] = Tool(environment(installed), module, tuple(words))
        except NotInstalled as why:
            print(f"  {name} is left out, it cannot be installed: {why}", flush=True)
    return found


def left_by_tool(url: str) -> str:
    """Digest and number of the rows (kind, key, content) a tool left, without what it adds for itself."""
    return _digest(url, f"{SCHEMA}.{TABLE}")


def left_by_hand(url: str) -> str:
    """The same of the hub's own table, which every other contestant fills."""
    return _digest(url, "public.entity")


def _digest(url: str, table: str) -> str:
    with psycopg.connect(url) as connection:
        row = connection.execute(_LEFT.format(table)).fetchone()
        assert row is not None
        return str(row[0])
