"""What a key may do, in small words."""

from __future__ import annotations

import re
from collections.abc import Iterable

from canonical_model import ENTITIES
from hub.words import HubError, Words

__all__ = ["OPEN_KINDS", "SCOPES", "ScopeError", "checked", "covers", "readable_kinds"]

OPEN_KINDS = frozenset({
    "category", "channel", "language", "listing", "location", "media", "price", "price_list", "product",
    "product_type", "promotion", "purchase_order", "receipt", "reservation", "sellable", "shipping_method",
    "stock_movement", "stock_position",
})  # fmt: skip
"""Kinds that speak of no person and no account: `read:*` is these. A new kind is guarded until it is put here."""

SCOPES: dict[str, Words] = {
    "read:<kind>": Words(
        "その種類を読む(例 read:order)。個人情報や会計を含む種類はこの形でだけ許可できる",
        "read this kind (read:order); kinds with personal data or accounts are only allowed so",
    ),
    "read:*": Words(
        "個人情報も会計も含まない種類すべてを読む", "read every kind without personal data and accounts"
    ),
    "changes": Words("読める種類の変更フィード", "the change feed, of the kinds the key may read"),
    "reserve": Words(
        "取り置き。reserve:shop はチャネル shop だけ", "reservations; reserve:shop for the channel shop only"
    ),
    "subscribers": Words("送信Webhookの購読管理", "manage subscribers of outgoing webhooks"),
    "admin": Words(
        "運用状況。上のすべてを含むが、個人情報・会計を含む種類は別途 read:<kind> が要る",
        "how the hub is doing, and all of the above; guarded kinds still need their own read:<kind>",
    ),
}
"""Every word, and what it allows."""

_PLAIN = frozenset({"read:*", "changes", "reserve", "subscribers", "admin"})
_CHANNEL = re.compile(r"reserve:[^\s,:*]{1,100}")


class ScopeError(HubError):
    """There is no such scope."""


def checked(scopes: Iterable[str]) -> tuple[str, ...]:
    """The scopes, sorted, each once. Raises ScopeError for an unknown word, and for none at all."""
    found = sorted({scope.strip() for scope in scopes})
    for scope in found:
        if scope not in _PLAIN and not _CHANNEL.fullmatch(scope) and scope[5:] not in _read(scope):
            raise ScopeError(
                f"「{scope}」という権限はありません。使えるもの: {', '.join(SCOPES)}。"
                f"種類は {', '.join(sorted(ENTITIES))}。",
                f"There is no scope {scope!r}; there are: {', '.join(SCOPES)}. Kinds: {', '.join(sorted(ENTITIES))}.",
            )
    if not found:
        raise ScopeError(
            f"権限を1つ以上指定してください: {', '.join(SCOPES)}",
            f"Name a scope at least: {', '.join(SCOPES)}",
        )
    return tuple(found)


def _read(scope: str) -> Iterable[str]:
    return ENTITIES if scope.startswith("read:") else ()


def covers(scopes: frozenset[str], wanted: str) -> bool:
    """Whether these scopes allow what `wanted` names; `reserve:shop` is allowed by `reserve` and by itself."""
    if wanted in scopes:
        return True
    if wanted.startswith("read:"):
        return wanted[5:] in OPEN_KINDS and not scopes.isdisjoint(("read:*", "admin"))
    if wanted.startswith("reserve:"):
        return not scopes.isdisjoint(("reserve", "admin"))
    return "admin" in scopes


def readable_kinds(scopes: frozenset[str]) -> tuple[str, ...]:
    """The kinds of entity these scopes may read, sorted."""
    return tuple(kind for kind in sorted(ENTITIES) if covers(scopes, f"read:{kind}"))
