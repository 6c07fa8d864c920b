"""The GraphQL documents, read from `graphql/*.graphql` beside this file."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

from connectors.vendure.config import CustomFields

__all__ = ["document", "operations"]

_HEAD = re.compile(r"^(query|mutation|fragment) (\w+)", re.MULTILINE)
_SPREAD = re.compile(r"\.\.\.(\w+)")
_CUSTOM = re.compile(r"#custom_fields (\w+)")


@cache
def _definitions() -> dict[str, tuple[str, str]]:
    """Name -> (query | mutation | fragment, text). Every definition starts at the beginning of a line."""
    found: dict[str, tuple[str, str]] = {}
    folder = files("connectors.vendure") / "graphql"
    for file in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if not file.name.endswith(".graphql"):
            continue
        text = file.read_text(encoding="utf-8")
        heads = list(_HEAD.finditer(text))
        for head, following in zip(heads, [*heads[1:], None], strict=True):
            if head[2] in found:
                raise ValueError(f"{file.name}: {head[2]!r} is defined twice")
            found[head[2]] = (head[1], text[head.start() : following.start() if following else len(text)])
    return found


def operations() -> dict[str, str]:
    """Every operation's name -> `query` or `mutation`."""
    return {name: kind for name, (kind, _) in _definitions().items() if kind != "fragment"}


@cache
def document(name: str, custom_fields: CustomFields) -> str:
    """The text of an operation with the fragments it needs and the custom fields the settings name."""
    definitions = _definitions()
    wanted = {name: None}
    while missing := {s for each in wanted for s in _SPREAD.findall(definitions[each][1])} - wanted.keys():
        wanted |= dict.fromkeys(sorted(missing))
    text = "\n".join(definitions[each][1].rstrip() for each in wanted)

    def select(match: re.Match[str]) -> str:
        names = custom_fields.names(match[1])
        return f"customFields {{ {' '.join(names)} }}" if names else ""

    return _CUSTOM.sub(select, text)
