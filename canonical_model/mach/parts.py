"""Parts several catalogue objects share: whether they are in use, and pictures."""

from __future__ import annotations

from typing import Any

from canonical_model.codes import MediaType
from canonical_model.mach.dialect import Dialect
from canonical_model.mach.words import (
    array,
    drop_empty,
    obj,
    plain,
    text,
)
from canonical_model.product import Media

__all__ = [
    "active",
    "active_out",
    "picture",
    "picture_out",
    "pictures",
]

_GONE = frozenset({"inactive", "archived", "draft", "discontinued", "deprecated", "deleted", "experimental"})


def active(status: Any) -> bool:
    """Whether a status word is one of a thing in use; of one word per market any will do."""
    words = list(status.values()) if isinstance(status, dict) else [status]
    return any(word not in _GONE for word in words)


def active_out(active: bool) -> str | None:
    return None if active else "inactive"


def picture(given: Any) -> Media | None:
    """A picture inside another object: {"url", "description" or "alt_text"}, or {"file", "title"}."""
    part = obj(given)
    url = text(part.get("url")) or text(part.get("file"))
    if url is None:
        return None
    alt = plain(part.get("alt_text")) or plain(part.get("description")) or plain(part.get("title"))
    return Media(url=url, alt=alt, type=text(part.get("type")) or MediaType.IMAGE.value)


def pictures(given: Any) -> tuple[Media, ...]:
    parts = [picture(part) for part in array(given)]
    return tuple(part for part in parts if part is not None)


def picture_out(media: Media | None, dialect: Dialect) -> dict[str, Any] | None:
    if media is None:
        return None
    alt = "description" if dialect is Dialect.CAMEL else "alt_text"
    kind = None if media.type == MediaType.IMAGE.value else media.type
    return drop_empty({"url": media.url, alt: media.alt, "type": kind})
