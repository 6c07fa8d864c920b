"""YAML as it is meant in recordings and cases: JSON's values, written with less punctuation.

YAML 1.1 would read `no` as false, `0312345678` as a number and `2026-01-15` as a date; order numbers and
phone numbers do not survive that. Here only JSON's numbers, true, false and null are more than text.
"""

from __future__ import annotations

import copy
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

__all__ = ["BadFile", "dump_yaml", "load_yaml"]


class BadFile(ValueError):
    """A recording or case that cannot be read; the text names file and place."""


class _Loader(yaml.SafeLoader):
    """SafeLoader with the plain values of JSON."""


class _Dumper(yaml.SafeDumper):
    """SafeDumper that quotes what either reader would take for more than text, and keeps long texts readable."""


_Loader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("null", r"(?:null|~|)", ["n", "~", ""]),
    ("bool", r"(?:true|false)", list("tf")),
    ("int", r"-?(?:0|[1-9]\d*)", list("-0123456789")),
    ("float", r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?", list("-0123456789")),
):
    for _side in (_Loader, _Dumper):
        _side.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^{_pattern}$"), _first)


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = "|" if "\n" in value and not re.search(r"[^\S\n]\n|\r", value) else None
    if re.search("[\x85\u2028\u2029]", value):
        style = '"'  # line breaks to YAML: any other style would give them back as blanks
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)


def load_yaml(path: Path) -> Any:
    """The content of a YAML or JSON file. Raises `BadFile` naming file, line and column."""
    return copy.deepcopy(_parsed(path, path.stat().st_mtime_ns))


@lru_cache(maxsize=64)
def _parsed(path: Path, _modified: int) -> Any:
    """Every check reads its recording anew, and parsing is what costs."""
    try:
        return yaml.load(path.read_text("utf-8"), Loader=_Loader)  # noqa: S506  (a SafeLoader with fewer types)
    except yaml.YAMLError as error:
        raise BadFile(f"{path}: {error}") from error


def dump_yaml(value: Any, path: Path) -> None:
    """Write a value of JSON's types, keys in their order."""
    text = yaml.dump(value, Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=110)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
