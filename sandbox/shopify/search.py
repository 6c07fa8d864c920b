"""The vendor's search syntax, as far as the stand-in's lists know it: `updated_at:>='...'`, `sku:'A' OR sku:'B'`.

The search knows no case, and a field whose value has no quotes matches the beginning of a word; a list that does not
know a field answers an error here, where the vendor would silently ignore it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from sandbox.shopify.graph import GraphProblem

__all__ = ["matching"]

_TERM = re.compile(r"""(?P<field>\w+):(?P<op>>=|<=|>|<)?(?P<value>'(?:[^'\\]|\\.)*'|"[^"]*"|[^\s]+)""")

Fields = Mapping[str, Callable[[Mapping[str, Any]], Any]]


def matching(rows: Iterable[Mapping[str, Any]], query: str | None, fields: Fields) -> list[Mapping[str, Any]]:
    """The rows a search finds; all of them without one."""
    if not query:
        return list(rows)
    any_of = [_all_of(part, fields) for part in re.split(r"\s+OR\s+", query)]
    return [row for row in rows if any(all(test(row) for test in tests) for tests in any_of)]


def _all_of(text: str, fields: Fields) -> list[Callable[[Mapping[str, Any]], bool]]:
    tests = []
    rest = _TERM.sub("", text).replace("AND", "").strip()
    if rest:
        raise GraphProblem(f"the stand-in does not understand the search {rest!r}", "BAD_REQUEST")
    for term in _TERM.finditer(text):
        if term["field"] not in fields:
            raise GraphProblem(f"the stand-in's list knows no filter {term['field']!r}", "BAD_REQUEST")
        tests.append(_test(fields[term["field"]], term["op"] or ":", term["value"]))
    return tests


def _test(
    read: Callable[[Mapping[str, Any]], Any], operator: str, value: str
) -> Callable[[Mapping[str, Any]], bool]:
    quoted = value[:1] in "'\""
    text = re.sub(r"\\(.)", r"\1", value[1:-1]) if quoted else value
    if operator == ":":
        wanted = text.lower()
        return lambda row: _same(str(read(row) or "").lower(), wanted, quoted)
    bound = datetime.fromisoformat(text)
    compare: dict[str, Callable[[datetime], bool]] = {
        ">=": lambda at: at >= bound,
        "<=": lambda at: at <= bound,
        ">": lambda at: at > bound,
        "<": lambda at: at < bound,
    }
    return lambda row: compare[operator](datetime.fromisoformat(str(read(row))))


def _same(have: str, wanted: str, quoted: bool) -> bool:
    # quoted text matches whole words somewhere in the value, as the vendor's index does
    return have == wanted or (wanted in have.split("-") if quoted else have.startswith(wanted))
