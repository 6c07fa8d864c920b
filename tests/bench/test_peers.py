"""The general tools beside W1: what they are given, and the environments they run in."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from bench.w1 import rows
from bench.w1.peers import environments
from bench.w1.peers.entities import entities
from bench.w1.peers.environments import NotInstalled, environment
from bench.w1.peers.tools import TOOLS

ROOT = Path(__file__).resolve().parents[2]
PEERS = ROOT / "bench" / "w1" / "peers"


def test_the_map_in_front_gives_every_order_but_the_bad_ones(tmp_path: Path) -> None:
    rows.write(tmp_path, 1200, 1)
    found = {
        name: {
            key: orjson.loads(content) for _, key, content in entities(tmp_path / f"{name}.csv", "mailorder")
        }
        for name in ("base", "again", "changed")
    }
    refused = {f"mailorder/M{number:09d}" for number in range(rows.BAD, 1201, rows.BAD)}
    assert found["base"].keys() == {f"mailorder/M{number:09d}" for number in range(1, 1201)} - refused
    assert found["again"] == found["base"]
    assert sum(found["changed"][key] != content for key, content in found["base"].items()) == 12


def test_what_the_tools_import_of_the_bench_is_light() -> None:
    code = "import sys, bench.w1.peers.entities; print(*sys.modules)"
    told = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert not {"psycopg", "polars", "pydantic", "hub", "rich"} & set(told.split())


@pytest.mark.parametrize("name", sorted({installed for installed, *_ in TOOLS.values()}))
def test_a_lock_pins_every_package_of_its_list_and_holds_no_address(name: str) -> None:
    wanted = (PEERS / f"{name}.in").read_text().split()
    lines = (PEERS / f"{name}.lock").read_text().splitlines()
    assert all(re.fullmatch(r"[a-z0-9-]+==[^ ]+( ; .+)?", line) for line in lines)
    assert {package.split("[")[0] for package in wanted} <= {line.split("==")[0] for line in lines}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout whose uv only makes a file where a Python is asked for, and notes what it was asked."""
    monkeypatch.setattr(environments, "ROOT", tmp_path)
    monkeypatch.setattr(environments, "HERE", tmp_path)
    monkeypatch.setattr(environments, "PLACE", tmp_path / "place")
    (tmp_path / "tool.lock").write_text("tool==1\n")
    _uv(tmp_path, 'mkdir -p place/tool/bin; touch place/tool/bin/python; echo "$1" >>asked')
    return tmp_path


def _uv(place: Path, then: str) -> None:
    (place / "bin").mkdir(exist_ok=True)
    (place / "bin" / "uv").write_text(f"#!/bin/sh\n{then}\n")
    (place / "bin" / "uv").chmod(0o755)


def test_an_environment_is_made_once_and_again_for_another_lock(place: Path) -> None:
    assert environment("tool") == environment("tool") == place / "place" / "tool" / "bin" / "python"
    assert (place / "asked").read_text().split() == ["venv", "pip"]
    (place / "tool.lock").write_text("tool==2\n")
    environment("tool")
    assert (place / "asked").read_text().split() == ["venv", "pip"] * 2


def test_what_cannot_be_installed_says_why_and_is_tried_again(place: Path) -> None:
    _uv(place, "echo no network; exit 1")
    for _ in range(2):
        with pytest.raises(NotInstalled, match="no network"):
            environment("tool")
