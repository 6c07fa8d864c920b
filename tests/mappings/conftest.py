"""Fixtures of the translator's tests."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from mappings import Mapping, load_mapping
from tests.mappings.support import MakeMapping


@pytest.fixture
def make_mapping(tmp_path: Path) -> MakeMapping:
    """Write a mapping (and tables: name -> CSV text) into a folder of its own and load it."""

    def make(text: str, *, name: str = "test/sample.in", tables: dict[str, str] | None = None) -> Mapping:
        folder = tmp_path / name.partition("/")[0]
        (folder / "tables").mkdir(parents=True, exist_ok=True)
        (tmp_path / f"{name}.yaml").write_text(dedent(text), encoding="utf-8")
        for table, content in (tables or {}).items():
            (folder / "tables" / f"{table}.csv").write_text(content, encoding="utf-8")
        return load_mapping(name, roots=[tmp_path])

    return make
