"""Transforms written out in place of a call, where the usual value needs no more than an expression.

Each gives the lines that turn `{v}` (not null) into the result (perhaps null); `{f}` is the transform itself. What
the shortcut does not know goes through the transform's own functions, so both ways mean the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mappings.nodes import Step
from mappings.transforms.numbers import amount_reader, to_rate

__all__ = ["inlined"]

Lines = list[str]
Bind = Callable[[str, Any], str]
Computed = Mapping[str, str]


def _integer(v: str, f: str) -> Lines:
    return [f"if {v}.__class__ is not int: {v} = {f}({v})"]


def _offset(step: Step, v: str, f: str) -> Lines:
    return [f"{v} = {v} + {int(step.parameters['by'])} if {v}.__class__ is int else {f}({v})"]


def _money(step: Step, v: str, bind: Bind, computed: Computed) -> Lines | None:
    given = step.parameters
    if not given.keys() <= {"tax_included", "tax_rate", "unset", "sign"} or "currency" in computed:
        return None
    amount = amount_reader(unset=given.get("unset", ()), sign=given.get("sign", "keep"))
    read = bind("amount_", amount)
    plain = not given.keys() & {"unset", "sign"}
    lines = [f"if {v}.__class__ is not int: {v} = {read}({v})" if plain else f"{v} = {read}({v})"]
    members = f"'amount': {v}"
    if given.get("tax_included") is not None and "tax_included" not in computed:
        members += f", 'tax_included': {bool(given['tax_included'])}"
    if given.get("tax_rate") is not None and "tax_rate" not in computed:
        members += f", 'tax_rate': {to_rate(given['tax_rate'])!r}"
    lines += [f"if {v} is not None:", f"    {v} = {{{members}}}"]
    for name, expression in computed.items():
        value = f"{bind('rate_', to_rate)}({expression})" if name == "tax_rate" else expression
        lines.append(f"    if {expression} is not None: {v}[{name!r}] = {value}")
    return lines


def inlined(step: Step, v: str, f: str, bind: Bind, computed: Computed) -> Lines:
    """Lines of code for one step on the variable `v`; `bind` names an object, `computed` holds its parameters."""
    lines: Lines | None = None
    if step.name == "money":
        lines = _money(step, v, bind, computed)
    elif step.name == "integer" or (step.name == "money_minor" and not step.parameters):
        lines = _integer(v, f)
    elif step.name == "offset":
        lines = _offset(step, v, f)
    if lines is None:
        given = "".join(f", {name}={expression}" for name, expression in computed.items())
        lines = [f"{v} = {f}({v}{given})"]
    return lines
