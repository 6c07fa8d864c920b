"""Category and product type."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from canonical_model.catalog import (
    AttributeDefinition,
    AttributeOption,
    Category,
    ProductType,
)
from canonical_model.mach.dialect import Dialect, Verbatim
from canonical_model.mach.parts import active, active_out, picture, picture_out, pictures
from canonical_model.mach.words import (
    Context,
    array,
    boolean,
    drop_empty,
    instant,
    instant_out,
    local,
    local_out,
    mach_id,
    obj,
    references,
    references_out,
    text,
    texts,
    whole,
)
from canonical_model.values import Json

__all__ = [
    "read_category",
    "read_product_type",
    "write_category",
    "write_product_type",
]


def read_category(given: Mapping[str, Any], _context: Context) -> Category:
    translations: dict[str, dict[str, str]] = {}
    listed = given.get("children")
    children = texts(listed) or tuple(item["id"] for item in array(listed) if text(item.get("id")))
    image = picture(given.get("primary_image")) or picture(given.get("media"))
    return Category(
        key=given["id"],
        refs=references(given),
        name=local(given, "name", translations) or given["id"],
        slug=local(given, "slug", translations),
        description=local(given, "description", translations),
        parent=text(given.get("parent_id")),
        children=children,
        position=whole(given.get("position")),
        path=text(given.get("path")),
        tags=texts(given.get("tags")),
        media=((image,) if image else ()) + pictures(given.get("media")),
        attributes=obj(given.get("attributes")),
        active=active(given.get("status")),
        created_at=instant(given.get("created_at")),
        translations=translations,
    )


def write_category(category: Category, context: Context) -> dict[str, Any]:
    media: dict[str, Any] = {}
    if category.media and context.dialect is Dialect.CAMEL:
        first = category.media[0]
        media = {"media": drop_empty({"file": first.url, "title": first.alt})}
    elif category.media:
        parts = [picture_out(one, context.dialect) for one in category.media]
        media = {"primary_image": parts[0], "media": parts[1:]}
    return {
        "id": mach_id(category),
        "external_references": references_out(category),
        "name": local_out(category.name, "name", category.translations),
        "slug": local_out(category.slug, "slug", category.translations),
        "description": local_out(category.description, "description", category.translations),
        "parent_id": category.parent,
        "children": [{"id": child} for child in category.children],
        "position": category.position,
        "path": category.path,
        "tags": list(category.tags),
        **media,
        "attributes": Verbatim(category.attributes),
        "status": active_out(category.active),
        "created_at": instant_out(category.created_at),
    }


def _labels(given: Any) -> dict[str, str]:
    labels = obj(given)
    return labels if all(isinstance(label, str) for label in labels.values()) else {}


def _attribute(name: str, given: Mapping[str, Any]) -> AttributeDefinition:
    options = [
        AttributeOption(
            value=item["value"], label=local(item, "label", {}), labels=_labels(item.get("label"))
        )
        for item in array(given.get("options"))
        if text(item.get("value"))
    ]
    default: Json = given.get("default_value")
    return AttributeDefinition(
        name=name,
        type=text(given.get("type")) or "text",
        label=local(given, "label", {}),
        labels=_labels(given.get("label")),
        description=text(given.get("description")),
        required=boolean(given.get("is_required"), False),
        unique=boolean(given.get("is_unique"), False),
        searchable=given["is_searchable"] if isinstance(given.get("is_searchable"), bool) else None,
        makes_variants=boolean(given.get("is_variant_defining"), False),
        unit=text(given.get("unit")),
        options=tuple(options),
        default=default,
    )


def _attribute_out(attribute: AttributeDefinition) -> dict[str, Any]:
    options = [
        drop_empty({"value": option.value, "label": option.labels or option.label})
        for option in attribute.options
    ]
    made = {
        "type": attribute.type,
        "label": attribute.labels or attribute.label,
        "description": attribute.description,
        "is_required": attribute.required or None,
        "is_unique": attribute.unique or None,
        "is_searchable": attribute.searchable,
        "is_variant_defining": attribute.makes_variants or None,
        "unit": attribute.unit,
        "options": options,
        "default_value": attribute.default,
    }
    return drop_empty(made)


def read_product_type(given: Mapping[str, Any], _context: Context) -> ProductType:
    translations: dict[str, dict[str, str]] = {}
    definitions = obj(given.get("attribute_definitions"))
    return ProductType(
        key=given["id"],
        refs=references(given),
        name=local(given, "name", translations) or given["id"],
        description=local(given, "description", translations),
        parent=text(given.get("parent_type_id")),
        attributes=tuple(_attribute(name, obj(item)) for name, item in definitions.items()),
        category_path=texts(given.get("category_path")),
        tags=texts(given.get("tags")),
        channels=texts(given.get("applicable_channels")),
        regions=texts(given.get("applicable_regions")),
        version=text(given.get("version")),
        active=active(given.get("status")),
        created_at=instant(given.get("created_at")),
        translations=translations,
    )


def write_product_type(kind: ProductType, _context: Context) -> dict[str, Any]:
    return {
        "id": mach_id(kind),
        "external_references": references_out(kind),
        "name": local_out(kind.name, "name", kind.translations),
        "description": local_out(kind.description, "description", kind.translations),
        "parent_type_id": kind.parent,
        "attribute_definitions": Verbatim({item.name: _attribute_out(item) for item in kind.attributes}),
        "category_path": list(kind.category_path),
        "tags": list(kind.tags),
        "applicable_channels": list(kind.channels),
        "applicable_regions": list(kind.regions),
        "version": kind.version,
        "status": active_out(kind.active),
        "created_at": instant_out(kind.created_at),
    }
