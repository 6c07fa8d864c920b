"""A hub in the environment, as an operator has one: system files, a home, a database of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.hub.cli.support import ROW, Ran, Run, csv_of

ENGINE_TESTS = Path(__file__).parents[1] / "engine"
sys.path.insert(0, str(ENGINE_TESTS))

from house import SYSTEM  # noqa: E402
from shop import shop  # noqa: E402

from connectors.registry import Connectors, load_connectors  # noqa: E402
from hub.cli import app, output  # noqa: E402

FOLDERS = ("stock", "listing", "told", "orders", "lines", "shipments")


@pytest.fixture(scope="session")
def database_template(migrated_template: str) -> str:
    return migrated_template


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """`tsunagi ARGS` in this process; the environment is the test's own, English unless the test says `lang`."""
    monkeypatch.setenv("TSUNAGI_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TSUNAGI_SYSTEMS", str(tmp_path / "systems"))
    (tmp_path / "systems").mkdir(exist_ok=True)

    def call(*args: object, lang: str = "en", stdin: str | None = None, columns: int = 80) -> Ran:
        env = {"TSUNAGI_LANG": lang, "COLUMNS": str(columns)}
        output.out.cache_clear()  # a console knows its width from the beginning
        output.err.cache_clear()
        result = CliRunner().invoke(app, [str(arg) for arg in args], env=env, input=stdin)
        known = None if isinstance(result.exception, SystemExit) else result.exception
        return Ran(result.exit_code, result.stdout, result.stderr, known)

    return call


@pytest.fixture
def base(run: Run, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two test shops, `north` and `south`, each in a folder below this one; `run` then speaks to them."""
    monkeypatch.setenv("TSUNAGI_DATABASE_URL", database_url)
    for name in ("north", "south"):
        for folder in FOLDERS:
            (tmp_path / name / folder).mkdir(parents=True)
        text = SYSTEM.format(name=name, root=tmp_path / name, channel=name, more="")
        (tmp_path / "systems" / f"{name}.yaml").write_text(text, "utf-8")
    shutil.copytree(ENGINE_TESTS / "mappings", tmp_path / "home" / "mappings")
    known = Connectors({**load_connectors(), "test_shop": shop})
    monkeypatch.setattr("hub.engine.load_connectors", lambda: known)
    monkeypatch.setattr("hub.cli.checkup.load_connectors", lambda: known)
    return tmp_path


@pytest.fixture
def spawn(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[bytes]]:
    """`tsunagi ARGS` as a process of its own, with nothing of this one's environment but the path."""

    def call(*args: object, **env: str) -> subprocess.CompletedProcess[bytes]:
        kept = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "TSUNAGI_HOME": str(tmp_path / "home")}
        command = [sys.executable, "-c", "from hub.cli import main; main()", *map(str, args)]
        return subprocess.run(command, capture_output=True, env={**kept, **env}, timeout=60, check=False)

    return call


@pytest.fixture
def order_file(tmp_path: Path) -> Callable[..., Path]:
    """A general order CSV: the good order A-1001, changed as each argument says, one row each."""

    def write(*changes: Mapping[str, str], name: str = "JUCHU_20261121_001.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(csv_of([{**ROW, **change} for change in changes or ({},)]))
        return path

    return write
