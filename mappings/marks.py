"""YAML with the line of every key and value.

Two differences from plain PyYAML, both because column names are data: only `true` and `false` are booleans
(a column may be called `No`), and dates and numbers with leading zeros stay text (as YAML 1.2 has it).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import yaml

__all__ = ["At", "BadYaml", "Marks", "dotted", "read_yaml"]

At = tuple[str | int, ...]
"""A place in the file: ("fields", "lines", "each")."""


class BadYaml(ValueError):
    """The text is no YAML, or has a key twice. `code` and `words` name the sentence in `problems.TEXTS`."""

    def __init__(self, line: int, code: str, **words: object) -> None:
        super().__init__(code)
        self.line, self.code, self.words = line, code, words


@dataclass
class Marks:
    """Line (1-based) of every place; of a mapping's member the line of its key."""

    lines: dict[At, int] = field(default_factory=dict)

    def line(self, at: At) -> int:
        """Line of a place, or of the nearest place around it; 0 when nothing is known."""
        while at and at not in self.lines:
            at = at[:-1]
        return self.lines.get(at, 0)


def dotted(at: At) -> str:
    """("fields", "lines", "each", 0) -> "fields.lines.each[0]"."""
    text = ""
    for step in at:
        text += f"[{step}]" if isinstance(step, int) else (f".{step}" if text else step)
    return text


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012  (PyYAML's own class attribute)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(?:true|false|True|False)$"), list("tfTF")
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:null", re.compile(r"^(?:~|null|Null|)$"), ["~", "n", "N", ""]
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:int", re.compile(r"^[-+]?(?:0|[1-9][0-9]*)$"), list("-+0123456789")
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?(?:0|[1-9][0-9]*)\.[0-9]+$"), list("-+0123456789")
)


def read_yaml(text: str) -> tuple[Any, Marks]:
    """The data of a YAML text and where each part of it stands. Raises `BadYaml`."""
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        marks = Marks()
        if node is None:
            return None, marks
        return _build(loader, node, (), marks, ()), marks
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise BadYaml(mark.line + 1 if mark else 0, "yaml", detail=error.problem or str(error)) from None
    except yaml.YAMLError as error:
        raise BadYaml(0, "yaml", detail=str(error)) from None
    finally:
        loader.dispose()


def _build(loader: _Loader, node: yaml.Node, at: At, marks: Marks, above: tuple[yaml.Node, ...]) -> Any:
    line = node.start_mark.line + 1
    marks.lines.setdefault(at, line)
    if any(node is n for n in above):
        raise BadYaml(line, "yaml", detail="an anchor contains itself")
    above = (*above, node)
    if isinstance(node, yaml.MappingNode):
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key_line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                raise BadYaml(key_line, "yaml", detail="a key must be a plain word")
            key = str(key_node.value)
            if key in result:
                raise BadYaml(key_line, "duplicate_key", key=key, first=marks.line((*at, key)))
            marks.lines[(*at, key)] = key_line
            result[key] = _build(loader, value_node, (*at, key), marks, above)
        return result
    if isinstance(node, yaml.SequenceNode):
        return [_build(loader, item, (*at, i), marks, above) for i, item in enumerate(node.value)]
    return loader.construct_object(node)
