"""`tsunagi new connector` and `schema export`."""

from __future__ import annotations

import json
from pathlib import Path

from tests.hub.cli.support import Run


def test_new_connector_writes_a_folder_and_never_over_another(run: Run, tmp_path: Path) -> None:
    seen = run("new", "connector", "tiny_shop", "--in", tmp_path, lang="ja")
    assert seen.code == 0
    written = [Path(line) for line in seen.out.splitlines()[:-1]]
    assert len(written) > 5
    assert all(path.is_file() for path in written)
    assert "README.md" in seen.out.splitlines()[-1]
    again = run("new", "connector", "tiny_shop", "--in", tmp_path)
    assert (again.code, again.out) == (2, "")
    assert "tiny_shop" in again.err
    assert run("new", "connector", "Tiny-Shop", "--in", tmp_path).code == 2


def test_schema_export_writes_all_schemas(run: Run, tmp_path: Path) -> None:
    seen = run("schema", "export", tmp_path / "schemas")
    assert seen.code == 0
    names = {path.name for path in (tmp_path / "schemas").iterdir()}
    assert names >= {"order.schema.json", "mapping.schema.json", "system.schema.json"}
    assert f"{len(names)} schemas written" in seen.out
    for path in (tmp_path / "schemas").iterdir():
        assert json.loads(path.read_text("utf-8"))["$schema"].startswith("https://json-schema.org/")
    (tmp_path / "file").write_text("x")
    assert run("schema", "export", tmp_path / "file").code == 1
