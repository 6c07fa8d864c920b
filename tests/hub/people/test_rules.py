"""The operator's own rules and variants: taken where they are, told by line where they are wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from hub.people.columns import Folder
from hub.people.rules import BadRules, load_rules

GOOD = """\
rules:
  by_phone:
    title: {ja: 電話, en: telephone}
    verdict: likely
    agree: [name, phone]
"""


def own(home: Path, name: str, text: str | bytes) -> Path:
    (home / "people").mkdir(exist_ok=True)
    path = home / "people" / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return home


def test_an_operators_rules_replace_the_shipped_ones(tmp_path: Path) -> None:
    rules = load_rules(own(tmp_path, "rules.yaml", GOOD))
    assert list(rules.rules) == ["by_phone"]
    assert rules.digest != load_rules().digest
    assert rules.variants == load_rules().variants


def test_an_operators_variants_replace_the_shipped_ones_and_chains_end(tmp_path: Path) -> None:
    rules = load_rules(own(tmp_path, "variants.csv", "from,to\n邊,邉\n邉,辺\n"))
    fold = Folder(rules).name
    assert fold("渡邊") == fold("渡邉") == "渡辺"
    assert fold("髙") != fold("高")


def test_variants_that_run_in_a_circle_end_all_the_same(tmp_path: Path) -> None:
    rules = load_rules(own(tmp_path, "variants.csv", "from,to\n甲,乙\n乙,甲\n"))
    assert set(rules.variants) == {ord("甲"), ord("乙")}


@pytest.mark.parametrize(
    ("text", "place", "says"),
    [
        (GOOD.replace("[name, phone]", "[name, fone]"), "rules.yaml:5: rules.by_phone.agree", "fone"),
        (GOOD.replace("likely", "same"), "rules.yaml:2: rules.by_phone", "needs name, kana and one of phone"),
        (
            GOOD.replace("[name, phone]", "[birth_date]"),
            "rules.yaml:2: rules.by_phone",
            "birth_date alone is too weak",
        ),
        (
            GOOD.replace("[name, phone]", "[name, room]"),
            "rules.yaml:2: rules.by_phone",
            "room cannot stand in agree",
        ),
        (GOOD + "    nevr: [sex]\n", "rules.yaml:6: rules.by_phone.nevr", "Did you mean 'never'?"),
        (GOOD.replace("by_phone", "By Phone"), "rules.yaml:2", "By Phone"),
        ("too_many: 1\n" + GOOD, "rules.yaml:1: too_many", "Must be 2 or more"),
        ("rules: {}\n", "rules.yaml:1: rules", "at least one"),
        ("rules: [\n", "rules.yaml:2", ""),
        (GOOD.encode("cp932"), "rules.yaml", "not UTF-8"),
    ],
)
def test_wrong_rules_are_told_by_line(tmp_path: Path, text: str | bytes, place: str, says: str) -> None:
    with pytest.raises(BadRules) as error:
        load_rules(own(tmp_path, "rules.yaml", text))
    assert place in error.value.en
    assert place in error.value.ja
    assert says in error.value.en


@pytest.mark.parametrize(
    ("text", "says"),
    [("from,to\n斎,斉\n高い,高\n", "variants.csv:3: from and to are one letter each"), ("a,b\n", "variants.csv:1"),
     ("from,to\n斎,斉\n斎,齊\n", "variants.csv:3"), ("from,to\n斎,\n", "variants.csv:2")],
)  # fmt: skip
def test_wrong_variants_are_told_by_line(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(BadRules) as error:
        load_rules(own(tmp_path, "variants.csv", text))
    assert says in error.value.en
