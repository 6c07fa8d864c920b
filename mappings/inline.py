"""Transforms written out in place of a call, where the usual value needs no more than an expression.

Each gives the lines that turn `{v}` (not null) into the result; `{f}` is the transform itself, which takes every
value the shortcut does not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mappings.nodes import Step
from mappings.transforms.numbers import to_rate

__all__ = ["inlined"]

Lines = list[str]


def _integer(v: str, f: str, _: Mapping[str, Any]) -> Lines:
    return [f"if {v}.__class__ is not int: {v} = {f}({v})"]


def _offset(v: str, f: str, given: Mapping[str, Any]) -> Lines:
    by = given["by"]
    return [f"{v} = {v} + {int(by)} if {v}.__class__ is int else {f}({v})"]


def _money(v: str, f: str, given: Mapping[str, Any]) -> Lines:
    if not given.keys() <= {"tax_included", "tax_rate"}:
        return [f"{v} = {f}({v})"]
    members = f"'amount': {v}"
    if given.get("tax_included") is not None:
        members += f", 'tax_included': {bool(given['tax_included'])}"
    if given.get("tax_rate") is not None:
        members += f", 'tax_rate': {to_rate(given['tax_rate'])!r}"
    return [f"{v} = {{{members}}} if {v}.__class__ is int else {f}({v})"]


def _money_minor(v: str, f: str, given: Mapping[str, Any]) -> Lines:
    return [f"{v} = {f}({v})"] if given else _integer(v, f, given)


_INLINE: dict[str, Callable[[str, str, Mapping[str, Any]], Lines]] = {
    "integer": _integer,
    "money": _money,
    "money_minor": _money_minor,
    "offset": _offset,
}


def inlined(step: Step, name: str, function: str) -> Lines:
    """Lines of code for one step on the variable `name`."""
    write = _INLINE.get(step.name)
    return write(name, function, step.parameters) if write else [f"{name} = {function}({name})"]
