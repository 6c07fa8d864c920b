"""The page an operator opens at night: every code that can reach quarantine stands in it, in both languages."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.files.messages import REASONS as READING
from mappings.faults import REASONS as MAPPING

REPOSITORY = Path(__file__).parents[2]
PAGES = {
    "en": REPOSITORY / "docs" / "troubleshooting.md",
    "ja": REPOSITORY / "docs" / "ja" / "troubleshooting.md",
}
ROW = re.compile(r"^\| `([a-z_]+)` \| (.+) \| (.+) \|$", re.MULTILINE)


def calls(*folders: str) -> Iterator[tuple[str, ast.Call]]:
    """Every call in the sources of these rooms, with the name of what is called."""
    for folder in folders:
        for path in (REPOSITORY / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.Call):
                    yield getattr(node.func, "attr", getattr(node.func, "id", "")), node


def literals(node: ast.AST) -> set[str]:
    return {
        part.value
        for part in ast.walk(node)
        if isinstance(part, ast.Constant) and isinstance(part.value, str)
    }


def codes_in_the_sources() -> set[str]:
    """The codes of the two lists of reasons, and those that stand in calls of the hub and of the file exchange."""
    found = set(READING) | set(MAPPING)
    for name, call in calls("hub", "connectors/file_exchange"):
        if name in ("refused", "Refused", "of_change", "Refusal"):
            for keyword in call.keywords:
                found |= literals(keyword.value) if keyword.arg == "code" else set()
    for name, call in calls("mappings"):
        if name == "TransformFault" and call.args and isinstance(call.args[0], ast.Constant):
            found |= literals(call.args[0])
    for name, call in calls("connectors/files", "connectors/file_exchange"):
        if name == "fault" and call.args and isinstance(call.args[0], ast.Constant):
            found |= literals(call.args[0])
    return found


def test_the_sources_are_read_as_they_are_written() -> None:
    assert {"refused", "attempts", "key_clash", "ack", "layout", "jan_check_digit"} <= codes_in_the_sources()


@pytest.mark.parametrize("language", PAGES)
def test_every_code_stands_in_the_page_once_and_says_what_to_do(language: str) -> None:
    rows = ROW.findall(PAGES[language].read_text("utf-8"))
    codes = [code for code, _, _ in rows]
    assert sorted(codes) == sorted(codes_in_the_sources())
    assert all(happened.strip() and todo.strip() for _, happened, todo in rows)


def test_both_pages_tell_the_same_codes_in_the_same_order() -> None:
    english, japanese = (
        [code for code, _, _ in ROW.findall(PAGES[language].read_text("utf-8"))] for language in ("en", "ja")
    )
    assert english == japanese


@pytest.mark.parametrize("page", PAGES.values(), ids=list(PAGES))
def test_the_pages_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)\)", page.read_text("utf-8"))
    assert links
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize(
    "option",
    [
        "trailing_comma",
        "short_rows",
        "on_wrong_trailer",
        "aliases",
        "optional",
        "together",
        "encoding",
        "format",
    ],
)
def test_what_the_page_tells_to_set_in_a_layout_can_be_set(option: str) -> None:
    schema = (REPOSITORY / "connectors" / "files" / "schema" / "layout.schema.json").read_text("utf-8")
    assert f'"{option}"' in schema
    assert all(option in page.read_text("utf-8") for page in PAGES.values())


@pytest.mark.parametrize("reasons", [READING, MAPPING], ids=["files", "records"])
def test_every_reason_is_there_in_both_languages(reasons: dict[str, tuple[str, str]]) -> None:
    for code, (japanese, english) in reasons.items():
        assert re.search(r"[ぁ-ん]", japanese), code
        assert not re.search(r"[ぁ-ん]", english), code
