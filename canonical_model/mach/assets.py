"""Media and language."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from canonical_model.catalog import (
    FocalPoint,
    Language,
    MediaAsset,
    MediaFile,
)
from canonical_model.codes import CodeList, MediaType
from canonical_model.mach.parts import active, active_out
from canonical_model.mach.words import (
    Context,
    MachError,
    boolean,
    code,
    drop_empty,
    instant,
    instant_out,
    local,
    local_out,
    mach_id,
    number,
    obj,
    references,
    references_out,
    text,
    texts,
    whole,
)

__all__ = [
    "read_language",
    "read_media",
    "write_language",
    "write_media",
]

_MEDIA_TYPES: dict[str, CodeList] = {kind.value: kind for kind in MediaType}


def _file(given: Any) -> MediaFile | None:
    file = obj(given)
    url = text(file.get("url"))
    if url is None:
        return None
    duration = number(file.get("duration_seconds"))
    return MediaFile(
        url=url,
        format=text(file.get("format")),
        size_bytes=whole(file.get("size_bytes")),
        width=whole(file.get("width")),
        height=whole(file.get("height")),
        duration_s=None if duration is None or duration < 0 else float(duration),
    )


def _file_out(file: MediaFile | None) -> dict[str, Any] | None:
    if file is None:
        return None
    return drop_empty(
        {
            "url": file.url,
            "format": file.format,
            "size_bytes": file.size_bytes,
            "width": file.width,
            "height": file.height,
            "duration_seconds": file.duration_s,
        }
    )


def _focal_point(given: Any) -> FocalPoint | None:
    x, y = number(obj(given).get("x")), number(obj(given).get("y"))
    if x is None or y is None or not (0 <= x <= 1 and 0 <= y <= 1):
        return None
    return FocalPoint(x=float(x), y=float(y))


def read_media(given: Mapping[str, Any], _context: Context) -> MediaAsset:
    translations: dict[str, dict[str, str]] = {}
    access = obj(given.get("accessibility"))
    extensions = obj(given.get("extensions"))
    file = _file(given.get("file"))
    key = text(given.get("id")) or (file.url if file else None)
    if key is None:
        raise MachError("a media needs an id, or a file with a url to be known by")
    return MediaAsset(
        key=key,
        refs=references(given),
        type=code(given.get("type"), _MEDIA_TYPES) or MediaType.DOCUMENT,
        title=local(given, "title", translations),
        description=local(given, "description", translations),
        file=file,
        thumbnail=_file(given.get("thumbnail")),
        alt=local(access, "alt_text", translations),
        long_description=local(access, "long_description", translations),
        decorative=boolean(access.get("decorative"), False),
        focal_point=_focal_point(given.get("focal_point")),
        tags=texts(given.get("tags")),
        product_keys=texts(obj(extensions.get("associations")).get("product_ids")),
        copyright=text(obj(extensions.get("rights")).get("copyright")),
        active=active(given.get("status")),
        created_at=instant(given.get("created_at")),
        translations=translations,
    )


def write_media(media: MediaAsset, _context: Context) -> dict[str, Any]:
    point = media.focal_point
    access = {
        "alt_text": local_out(media.alt, "alt_text", media.translations),
        "long_description": local_out(media.long_description, "long_description", media.translations),
        "decorative": media.decorative or None,
    }
    extensions = {
        "rights": drop_empty({"copyright": media.copyright}),
        "associations": drop_empty({"product_ids": list(media.product_keys)}),
    }
    return {
        "id": mach_id(media),
        "type": media.type.value,
        "external_references": references_out(media),
        "title": local_out(media.title, "title", media.translations),
        "description": local_out(media.description, "description", media.translations),
        "file": _file_out(media.file),
        "thumbnail": _file_out(media.thumbnail),
        "focal_point": None if point is None else {"x": point.x, "y": point.y},
        "accessibility": drop_empty(access),
        "tags": list(media.tags),
        "status": active_out(media.active),
        "created_at": instant_out(media.created_at),
        "extensions": drop_empty(extensions),
    }


def read_language(given: Mapping[str, Any], _context: Context) -> Language:
    """A language has no id of its own: its locale names it."""
    translations: dict[str, dict[str, str]] = {}
    return Language(
        key=given["locale"],
        refs=references({**given, "id": given["locale"]}),
        code=given["code"],
        name=local(given, "name", translations) or given["locale"],
        region=text(given.get("region")),
        script=text(given.get("script")),
        right_to_left=given.get("direction") == "rtl",
        fallbacks=texts(given.get("fallback_locales")),
        active=active(given.get("status")),
        created_at=instant(given.get("created_at")),
        translations=translations,
    )


def write_language(language: Language, _context: Context) -> dict[str, Any]:
    return {
        "code": language.code,
        "locale": language.key,
        "name": local_out(language.name, "name", language.translations),
        "external_references": references_out(language),
        "region": language.region,
        "script": language.script,
        "direction": "rtl" if language.right_to_left else None,
        "fallback_locales": list(language.fallbacks),
        "status": active_out(language.active),
        "created_at": instant_out(language.created_at),
    }
