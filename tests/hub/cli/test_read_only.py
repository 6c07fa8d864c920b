"""Commands that only tell write nothing: they may be pointed at a read replica (docs/scale.md)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.hub.cli.support import Run


@pytest.fixture
def replica(run: Run, base: Path, database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on the database refuses to be written to; it holds two positions and a refused record."""
    told = [{"sku": sku, "location": "W1", "on_hand": n} for sku, n in (("A", 5), ("B", "lots"))]
    (base / "north" / "stock" / "0001.json").write_text(json.dumps(told), "utf-8")
    assert run("pull", "north", "stock").code == 0
    monkeypatch.setenv(
        "TSUNAGI_DATABASE_URL", f"{database_url}?options=-c%20default_transaction_read_only%3Don"
    )


@pytest.mark.parametrize(
    "command",
    [
        ("status",),
        ("quarantine", "list"),
        ("quarantine", "show", "1"),
        ("export", "stock_position"),
        ("explain", "stock_position", "A@W1"),
        ("reconcile", "list"),
        ("people", "queue"),
        ("subscriber", "list"),
        ("key", "list"),
    ],
    ids=" ".join,
)
def test_it_only_reads(run: Run, replica: None, command: tuple[str, ...]) -> None:
    ran = run(*command)
    assert (ran.code, ran.error) == (0, None), ran.err


def test_what_writes_says_so(run: Run, replica: None) -> None:
    ran = run("pull", "north", "stock")
    assert ran.code != 0
    assert "read-only" in ran.err
