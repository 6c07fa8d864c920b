"""The folder that `tsunagi new connector` writes works as it is, far from this repository."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
import yaml

from connectors.registry import GROUP, gather
from connectors.scaffold import write_connector

REPOSITORY = Path(__file__).parents[3]


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A Python of its own in `folder`, with this repository importable as if it were installed."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(REPOSITORY),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_written_folder_passes_its_own_tests_offline(tmp_path: Path) -> None:
    written = write_connector("acme_store", tmp_path)
    folder = tmp_path / "acme_store"
    assert sorted(written) == sorted(path for path in folder.rglob("*") if path.is_file())
    result = run(folder, "-m", "pytest", "-q", "-p", "no:cacheprovider")
    assert result.returncode == 0, result.stdout + result.stderr
    assert " passed" in result.stdout
    assert "skipped" not in result.stdout


def test_a_mistake_in_the_written_connector_is_found_by_its_tests(tmp_path: Path) -> None:
    write_connector("acme_store", tmp_path)
    source = tmp_path / "acme_store" / "acme_store" / "connector.py"
    text = source.read_text("utf-8")
    assert text.count("(cursor.updated - OVERLAP)") == 1
    source.write_text(text.replace("(cursor.updated - OVERLAP)", "cursor.updated"), "utf-8")
    result = run(
        tmp_path / "acme_store", "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/test_contract.py"
    )
    assert result.returncode == 1
    assert (
        "query.updated_since: recorded '2026-01-14T11:55:00+09:00', sent '2026-01-14T12:00:00+09:00'"
        in result.stdout
    )


def test_its_package_registers_the_connector(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_connector("acme_registered", tmp_path)
    folder = tmp_path / "acme_registered"
    project = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["name"] == "tsunagi-acme-registered"
    monkeypatch.syspath_prepend(folder)
    found = gather([EntryPoint(name, value, GROUP) for name, value in project["entry-points"][GROUP].items()])
    assert found.faults == ()
    assert sorted(found.named("acme_registered").sources) == ["orders"]


def test_nothing_of_the_template_is_left_over(tmp_path: Path) -> None:
    for path in write_connector("acme2", tmp_path):
        text = path.read_text("utf-8")
        assert "@" not in str(path.relative_to(tmp_path))
        assert not any(
            word in text for word in ("@name@", "@NAME@", "@system@", "@Class@", "@title@", "@dist@")
        ), path


def test_its_system_example_fits_the_schema_of_system_files(tmp_path: Path) -> None:
    systems = pytest.importorskip("hub.systems", reason="the hub's system files are not there")
    import jsonschema

    write_connector("acme_store", tmp_path)
    example = yaml.safe_load((tmp_path / "acme_store" / "system.example.yaml").read_text("utf-8"))
    jsonschema.validate(example, systems.system_schema())


@pytest.mark.parametrize(
    "name", ["Tiny", "tiny-shop", "1shop", "", "shop_", "class", "hub", "json", "../evil", "名前"]
)
def test_a_name_that_cannot_be_used_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot be a connector's name"):
        write_connector(name, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "acme_store").mkdir()
    (tmp_path / "acme_store" / "notes.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="not empty"):
        write_connector("acme_store", tmp_path)
    assert [path.name for path in (tmp_path / "acme_store").iterdir()] == ["notes.txt"]
