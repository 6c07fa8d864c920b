"""Shopify's global ids: gid://shopify/Order/1234."""

from __future__ import annotations

import re

from connectors.contract import Refused

__all__ = ["gid", "kind_of", "number_of", "search_text"]

_GID = re.compile(r"gid://shopify/([A-Za-z]+)/(\d+)(\?[\w=&-]*)?")


def gid(kind: str, given: object) -> str:
    """The global id of a number or of an id. Raises `Refused` for anything else: it becomes part of a query."""
    text = str(given)
    if text.isascii() and text.isdigit():
        return f"gid://shopify/{kind}/{text}"
    if _GID.fullmatch(text):
        return text
    raise Refused(f"{text!r} is no id of Shopify (a number, or gid://shopify/{kind}/number)", code="bad_id")


def kind_of(text: str) -> str | None:
    """ "Order" of gid://shopify/Order/1; None where it is no such id."""
    found = _GID.fullmatch(text)
    return found[1] if found else None


def number_of(text: str) -> int:
    """The number in an id, by which ids are ordered; 0 where there is none."""
    found = _GID.fullmatch(text)
    return int(found[2]) if found else 0


def search_text(value: str) -> str:
    """A value within Shopify's search syntax, so that nothing in it is read as syntax."""
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
