"""The tutorial does what it says: its files, in an empty folder, pass; its mistake is found; it is short."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[3]
ENGLISH = REPOSITORY / "docs" / "tutorial-connector.md"
JAPANESE = REPOSITORY / "docs" / "ja" / "tutorial-connector.md"
BLOCK = re.compile(
    r'^```(?P<kind>\w+)(?: title="(?P<title>[^"]+)")?\n(?P<text>.*?)^```$', re.DOTALL | re.MULTILINE
)


def blocks(page: Path) -> list[tuple[str, str | None, str]]:
    """(language, file name, text) of every fenced block."""
    return [
        (found["kind"], found["title"], found["text"]) for found in BLOCK.finditer(page.read_text("utf-8"))
    ]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder after all files of the tutorial were saved."""
    for kind, title, text in blocks(ENGLISH):
        if title is not None and kind in ("python", "yaml"):
            path = tmp_path / title
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, "utf-8")
    return tmp_path


def run_tests(folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "PYTHONPATH": str(REPOSITORY),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def test_the_files_of_the_tutorial_pass_their_tests_offline(folder: Path) -> None:
    result = run_tests(folder)
    assert result.returncode == 0, result.stdout + result.stderr
    passed = re.search(r"(\d+) passed", result.stdout)
    assert passed is not None
    assert int(passed[1]) > 30


def test_the_connector_is_short(folder: Path) -> None:
    assert len((folder / "tiny_shop.py").read_text("utf-8").splitlines()) <= 80


def test_the_mistake_of_the_tutorial_is_found_as_it_says(folder: Path) -> None:
    (change,) = [text for kind, _, text in blocks(ENGLISH) if kind == "diff"]
    (output,) = [text for kind, title, text in blocks(ENGLISH) if title == "output"]
    before, after = (line[1:] for line in change.splitlines())
    connector = folder / "tiny_shop.py"
    text = connector.read_text("utf-8")
    assert text.count(before) == 1
    connector.write_text(text.replace(before, after), "utf-8")
    result = run_tests(folder)
    assert result.returncode == 1
    assert output.strip() in result.stdout


def test_both_languages_show_the_same_code() -> None:
    assert blocks(JAPANESE) == blocks(ENGLISH)
    assert len(blocks(ENGLISH)) == 10
