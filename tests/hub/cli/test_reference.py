"""docs/cli.md tells of the commands as they are."""

from __future__ import annotations

import re
import shlex

import pytest
import typer
import typer.main

from hub.cli import app
from hub.cli.failures import EXIT_MEANING, Exit
from hub.cli.reference import DOCS, EXAMPLES, commands, docs_text
from hub.words import Language


@pytest.mark.parametrize("lang", ["ja", "en"])
def test_the_pages_are_current(lang: Language) -> None:
    assert DOCS[lang].read_text("utf-8") == docs_text(lang), "run: python -m hub.cli.reference"


def test_every_command_has_examples_and_every_example_a_command() -> None:
    assert set(EXAMPLES) == {path for path, _ in commands("en")}


@pytest.mark.parametrize("line", [line for examples in EXAMPLES.values() for line, _ in examples])
def test_examples_are_understood(line: str) -> None:
    words = shlex.split(re.sub(r"\s2?> \S+", "", line))
    command = typer.main.get_command(app)
    context = typer.Context(command)
    while hasattr(command, "commands"):
        command = command.commands[words.pop(0)]
        context = command.make_context(command.name, [], resilient_parsing=True, parent=context)
    command.make_context(command.name, words)  # raises what the parser does not understand


def test_every_exit_code_has_a_meaning() -> None:
    assert set(EXIT_MEANING) == set(Exit)
