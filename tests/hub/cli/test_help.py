"""Help in two languages, and what it costs to ask for it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import typer.main

from hub.cli import app
from hub.cli.reference import commands
from hub.cli.root import SEPARATOR, half
from tests.hub.cli.support import Run

JAPANESE = re.compile(r"[぀-ヿ一-鿿]")
HEAVY = ("sqlalchemy", "alembic", "asyncssh", "httpx", "psycopg", "fastapi")


def texts(command: Any, path: str = "tsunagi") -> Iterator[tuple[str, str]]:
    for paragraph in (command.help or "").split("\n\n"):
        yield path, paragraph
    for param in command.params:
        yield f"{path} {param.name}", param.help or ""
    for name, below in getattr(command, "commands", {}).items():
        yield from texts(below, f"{path} {name}")


def test_every_help_text_is_there_in_both_languages() -> None:
    found = [
        (place, text)
        for place, text in texts(typer.main.get_command(app))
        if not place.endswith(("install_completion", "show_completion"))
    ]
    assert len(found) > 60
    for place, text in found:
        flat = " ".join(text.split())
        assert flat.count(SEPARATOR) == 1, (place, flat)
        ja, en = half(text, "ja"), half(text, "en")
        assert JAPANESE.search(ja) or "JSON" in ja, (place, ja)
        assert not JAPANESE.search(en), (place, en)


@pytest.mark.parametrize(
    ("lang", "there"), [("ja", "新しいデータを今すぐ取り込む"), ("en", "take in what is new")]
)
def test_help_speaks_the_operators_language(run: Run, lang: str, there: str) -> None:
    said = run("pull", "--help", lang=lang)
    assert said.code == 0
    assert there in said.out
    assert ("引数" in said.out) == (lang == "ja")
    assert SEPARATOR not in said.out


def test_without_arguments_there_is_help(run: Run) -> None:
    said = run()
    assert said.code == 2
    assert "quarantine" in said.out + said.err


def test_every_command_of_the_plan_is_there() -> None:
    wanted = {
        "init", "check", "pull", "push", "status", "preview", "quarantine list", "quarantine show", "quarantine replay",
        "quarantine discard", "explain", "stock", "export", "new connector", "schema export", "demo", "stop",
        "gateway", "worker",
        "subscriber add", "subscriber list", "subscriber show", "subscriber change", "subscriber pause",
        "subscriber resume", "subscriber remove", "subscriber rotate-secret", "subscriber test", "subscriber attempts",
        "subscriber failed", "subscriber replay", "subscriber send",
        "key create", "key list", "key revoke", "reconcile run", "reconcile fix", "reconcile list", "erase customer",
        "erase list", "erase show", "erase verify", "erase lift", "people match", "people queue", "people show",
        "people accept", "people reject", "people undo", "people export", "people import",
    }  # fmt: skip
    assert {path for path, _ in commands("en")} == wanted


def test_the_version_is_told(run: Run) -> None:
    assert re.fullmatch(r"tsunagi \d+\.\d+\.\d+\n", run("--version").out)


def modules_after(*args: str) -> set[str]:
    """What is loaded when `tsunagi ARGS` has run, in a process of its own."""
    code = (
        "import json, sys\nfrom hub.cli import main\n"
        "try:\n    main()\nfinally:\n    print(json.dumps(sorted(sys.modules)), file=sys.stderr)\n"
    )
    ended = subprocess.run([sys.executable, "-c", code, *args], capture_output=True, timeout=60, check=False)
    loaded = set(json.loads(ended.stderr.splitlines()[-1]))
    assert "typer" in loaded
    return loaded


@pytest.mark.parametrize("args", [("--help",), ("pull", "--help"), ("quarantine", "list", "--help")])
def test_help_does_not_wait_for_the_libraries_of_the_work(args: tuple[str, ...]) -> None:
    assert not modules_after(*args).intersection([*HEAVY, "structlog", "mappings", "canonical_model"])


def test_preview_does_without_the_database_and_the_network(order_file: Callable[..., Any]) -> None:
    file = order_file()
    loaded = modules_after("preview", "file_exchange/general_orders.in", str(file), "--json")
    assert "canonical_model" in loaded
    assert not loaded.intersection([*HEAVY, "rich", "hub.engine"])
