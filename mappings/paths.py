"""The path language: the part of JMESPath that mappings need, and `$` roots.

    受注名                    a member           OrdererModel.zipCode1      members of members
    lines[0]  lines[-1]       an item            PackageModelList[].ItemModelList[]   all items, flattened
    "消費税率（%）"            a name with signs or blanks, in double quotes
    $record.x $item $index $parent $parent_index $entity $system.x $related.order.x

Identifiers are wider than JMESPath's: any character outside ASCII except blanks may stand in them. What the two
languages share means the same in both (tests compare with the `jmespath` package).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

__all__ = [
    "FLATTEN",
    "BadPath",
    "Path",
    "Step",
    "flat",
    "follow",
    "index",
    "member",
    "parse_path",
    "spread",
    "walk",
]


class _Flatten:
    def __repr__(self) -> str:
        return "[]"


FLATTEN: Final = _Flatten()
Step = str | int | _Flatten
"""A member's name, an item's index, or FLATTEN."""

_TOKEN = re.compile(
    r"""
    (?P<name>(?:[A-Za-z_]|[^\x00-\x7f\s])(?:\w|[^\x00-\x7f\s])*)
  | (?P<quoted>"(?:[^"\\]|\\.)*")
  | (?P<flatten>\[\s*\])
  | \[(?P<index>-?\d+)\]
  | (?P<dot>\.)
  | (?P<root>\$[a-z_]*)
    """,
    re.VERBOSE,
)


class BadPath(ValueError):
    """The path cannot be read; the two sentences say why."""

    def __init__(self, ja: str, en: str) -> None:
        super().__init__(en)
        self.ja, self.en = ja, en


@dataclass(frozen=True, slots=True)
class Path:
    """A read path. `root` is "" for a bare path (it starts at the item, or at the record outside `each`)."""

    text: str
    root: str
    steps: tuple[Step, ...]

    @property
    def label(self) -> str:
        """How the place is called in faults: the column's bare name where it is one, else the path."""
        if self.root in ("", "record", "item") and len(self.steps) == 1 and isinstance(self.steps[0], str):
            return self.steps[0]
        return self.text

    @property
    def projects(self) -> bool:
        return FLATTEN in self.steps


def parse_path(text: str) -> Path:
    """Read a path. Raises `BadPath`."""
    root, steps, at, after_dot, need_dot = "", list[Step](), 0, False, False
    if not text.strip():
        raise BadPath("空です。", "it is empty.")
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise _unreadable(text, at)
        kind, token = match.lastgroup, match.group()
        if kind == "root":
            if at:
                raise _unreadable(text, at)
            root, need_dot = token[1:], True
        elif kind == "dot":
            if not need_dot or after_dot:
                raise _unreadable(text, at)
            after_dot, need_dot = True, False
        elif kind in ("name", "quoted"):
            if need_dot:
                raise _unreadable(text, at)
            steps.append(_unquoted(token, text) if kind == "quoted" else token)
            after_dot, need_dot = False, True
        else:
            if after_dot:
                raise _unreadable(text, at)
            steps.append(FLATTEN if kind == "flatten" else int(match["index"]))
            need_dot = True
        at = match.end()
    if after_dot:
        raise BadPath("「.」で終わっています。", "it ends in a dot.")
    return Path(text, root, tuple(steps))


def _unquoted(token: str, text: str) -> str:
    try:
        name = json.loads(token)
    except ValueError:
        raise BadPath(
            "引用符の中の \\ が正しくありません。", "the backslash in the quotes is wrong."
        ) from None
    if not name:
        raise BadPath("引用符の中が空です。", "the quotes are empty.")
    assert isinstance(name, str), text
    return name


def _unreadable(text: str, at: int) -> BadPath:
    quoted = json.dumps(text, ensure_ascii=False)
    return BadPath(
        f"{at + 1} 文字目の「{text[at]}」で止まりました。空白や記号を含む列名は二重引用符で囲みます: '{quoted}'",
        f"stopped at {text[at]!r} (character {at + 1}). "
        f"A name with blanks or signs stands in double quotes: '{quoted}'",
    )


# ---------------------------------------------------------------- what a path means


def member(value: Any, name: str) -> Any:
    """A member of an object; null when it is none or has no such member."""
    return value.get(name) if isinstance(value, Mapping) else None


def index(value: Any, at: int) -> Any:
    """An item of a list; null when it is no list or too short."""
    if isinstance(value, list | tuple) and -len(value) <= at < len(value):
        return value[at]
    return None


def flat(value: Any) -> list[Any]:
    """The items of a list, lists among them opened one level, nulls left out; nothing when it is no list."""
    if not isinstance(value, list | tuple):
        return []
    result: list[Any] = []
    for item in value:
        if isinstance(item, list | tuple):
            result.extend(x for x in item if x is not None)
        elif item is not None:
            result.append(item)
    return result


def spread(value: Any) -> list[Any]:
    """What one item gives to a `[]` that follows another `[]`: its items if it is a list, else itself."""
    if value is None:
        return []
    return [x for x in value if x is not None] if isinstance(value, list | tuple) else [value]


def follow(steps: tuple[Step, ...], value: Any) -> Any:
    """The value a path gives, with JMESPath's meaning of projections."""
    many: list[Any] | None = None
    for step in steps:
        if step is FLATTEN:
            if many is None:
                if not isinstance(value, list | tuple):
                    return None
                many = flat(value)
            else:
                many = [x for item in many for x in spread(item)]
        elif many is None:
            value = _step(value, step)
        else:
            many = [x for x in (_step(item, step) for item in many) if x is not None]
    return value if many is None else many


def _step(value: Any, step: Step) -> Any:
    if isinstance(step, str):
        return member(value, step)
    assert isinstance(step, int)
    return index(value, step)


def walk(steps: tuple[Step, ...], value: Any) -> Iterator[tuple[Any, Any, int]]:
    """The items `each` runs over: (item, what it was taken from, index in the first list).

    Parent is None for items of the first list when there is only one.
    """
    if FLATTEN not in steps:
        steps = (*steps, FLATTEN)
    first = steps.index(FLATTEN)
    rest = steps[first + 1 :]
    outer = follow(steps[:first], value)
    if not isinstance(outer, list | tuple):
        return
    for at, item in enumerate(flat(outer)):
        yield from _walk(rest, item, None, at)


def _walk(steps: tuple[Step, ...], item: Any, parent: Any, at: int) -> Iterator[tuple[Any, Any, int]]:
    if not steps:
        yield item, parent, at
        return
    if FLATTEN in steps:
        cut = steps.index(FLATTEN)
        inner = follow(steps[:cut], item)
        for below in spread(inner):
            yield from _walk(steps[cut + 1 :], below, item, at)
    else:
        inner = follow(steps, item)
        if inner is not None:
            yield inner, item, at
