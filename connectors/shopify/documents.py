"""The GraphQL documents, read from `graphql/*.graphql` beside this file."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

__all__ = ["document", "operations"]

_HEAD = re.compile(r"^(query|mutation|fragment) (\w+)", re.MULTILINE)
_SPREAD = re.compile(r"\.\.\.(\w+)")


@cache
def _definitions() -> dict[str, tuple[str, str]]:
    """Name -> (query | mutation | fragment, text). Every definition starts at the beginning of a line."""
    found: dict[str, tuple[str, str]] = {}
    folder = files("connectors.shopify") / "graphql"
    for file in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if not file.name.endswith(".graphql"):
            continue
        lines = file.read_text(encoding="utf-8").splitlines()
        text = "\n".join(line for line in lines if not line.startswith("#"))
        heads = list(_HEAD.finditer(text))
        for head, following in zip(heads, [*heads[1:], None], strict=True):
            if head[2] in found:
                raise ValueError(f"{file.name}: {head[2]!r} is defined twice")
            found[head[2]] = (
                head[1],
                text[head.start() : following.start() if following else len(text)].rstrip(),
            )
    return found


def operations() -> dict[str, str]:
    """Every operation's name -> `query` or `mutation`."""
    return {name: kind for name, (kind, _) in _definitions().items() if kind != "fragment"}


@cache
def document(name: str) -> str:
    """The text of an operation with the fragments it needs."""
    definitions = _definitions()
    wanted = {name: None}
    while missing := {s for each in wanted for s in _SPREAD.findall(definitions[each][1])} - wanted.keys():
        wanted |= dict.fromkeys(sorted(missing))
    return "\n".join(definitions[each][1] for each in wanted)
