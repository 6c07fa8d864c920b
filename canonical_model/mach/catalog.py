"""Product, product type, category, media and language."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from canonical_model.catalog import (
    AttributeDefinition,
    AttributeOption,
    Category,
    FocalPoint,
    Language,
    MediaAsset,
    MediaFile,
    ProductType,
)
from canonical_model.codes import CodeList, MediaType
from canonical_model.mach.dialect import Dialect, Verbatim
from canonical_model.mach.measures import grams, kilograms_out
from canonical_model.mach.words import (
    Context,
    array,
    boolean,
    code,
    drop_empty,
    gtin,
    instant,
    instant_out,
    local,
    local_out,
    mach_id,
    money,
    money_out,
    number,
    obj,
    references,
    references_out,
    text,
    texts,
    whole,
)
from canonical_model.product import Attribute, KitPart, Media, Product, Variant
from canonical_model.values import Json, OptionValue

__all__ = [
    "read_category",
    "read_language",
    "read_media",
    "read_product",
    "read_product_type",
    "write_category",
    "write_language",
    "write_media",
    "write_product",
    "write_product_type",
]

_GONE = frozenset({"inactive", "archived", "draft", "discontinued", "deprecated", "deleted", "experimental"})


def _active(status: Any) -> bool:
    """Whether a status word is one of a thing in use; of one word per market any will do."""
    words = list(status.values()) if isinstance(status, dict) else [status]
    return any(word not in _GONE for word in words)


def _active_out(active: bool) -> str | None:
    return None if active else "inactive"


def _media_part(given: Any) -> Media | None:
    """A picture inside another object: {"url", "description" or "alt_text"}, or {"file", "title"}."""
    part = obj(given)
    url = text(part.get("url")) or text(part.get("file"))
    if url is None:
        return None
    alt = text(part.get("alt_text")) or text(part.get("description")) or text(part.get("title"))
    return Media(url=url, alt=alt, type=text(part.get("type")) or MediaType.IMAGE.value)


def _media_parts(given: Any) -> tuple[Media, ...]:
    parts = [_media_part(part) for part in array(given)]
    return tuple(part for part in parts if part is not None)


def _media_part_out(media: Media | None, dialect: Dialect) -> dict[str, Any] | None:
    if media is None:
        return None
    alt = "description" if dialect is Dialect.CAMEL else "alt_text"
    kind = None if media.type == MediaType.IMAGE.value else media.type
    return drop_empty({"url": media.url, alt: media.alt, "type": kind})


def _options(given: Mapping[str, Any], names: Mapping[str, str]) -> tuple[OptionValue, ...]:
    found = []
    for item in array(given.get("option_values")) or array(given.get("attributes")):
        name = text(item.get("label")) or text(item.get("option_id"))
        value = text(item.get("value"))
        if name and value:
            found.append(OptionValue(name=names.get(name, name), value=value))
    return tuple(found)


def _option_names(given: Mapping[str, Any]) -> dict[str, str]:
    """Id of an option -> its name, of the product's option definitions."""
    found: dict[str, str] = {}
    for item in array(given.get("options")):
        option_id, name = text(item.get("id")), local(item, "name", {})
        if option_id and name:
            found[option_id] = name
    return found


def _variant(given: Mapping[str, Any], names: Mapping[str, str]) -> Variant | None:
    sku = text(given.get("sku"))
    if sku is None:
        return None
    return Variant(
        sku=sku,
        ref=text(given.get("id")),
        name=text(given.get("name")),
        gtin=gtin(given.get("barcode")),
        options=_options(given, names),
        price=money(given.get("price")),
        list_price=money(given.get("compare_at_price")),
        cost=money(given.get("cost")),
        weight_g=grams(given.get("weight")),
        media=_media_parts(given.get("media")),
        active=_active(given.get("status")),
    )


def _variant_out(variant: Variant, dialect: Dialect) -> dict[str, Any]:
    if dialect is Dialect.CAMEL:
        options = {"attributes": [{"label": o.name, "value": o.value} for o in variant.options]}
    else:
        options = {"option_values": [{"option_id": o.name, "value": o.value} for o in variant.options]}
    return drop_empty(
        {
            "id": variant.ref,
            "sku": variant.sku,
            "name": variant.name,
            **options,
            **_sold_out(variant, dialect),
        }
    )


def _sold_out(variant: Variant, dialect: Dialect) -> dict[str, Any]:
    """What product and variant objects say alike of one thing that is sold."""
    return {
        "barcode": variant.gtin,
        "price": money_out(variant.price),
        "compare_at_price": money_out(variant.list_price),
        "cost": money_out(variant.cost),
        "weight": kilograms_out(variant.weight_g),
        "media": [_media_part_out(media, dialect) for media in variant.media],
        "status": _active_out(variant.active),
    }


def _price(given: Mapping[str, Any]) -> Any:
    """The price object; of one price per locale the first that can be read, Japanese or English ones first."""
    price = obj(given.get("price"))
    if "amount" in price:
        return price
    preferred = sorted(
        price, key=lambda locale: (not locale.startswith("ja"), not locale.startswith("en"), locale)
    )
    return next((price[locale] for locale in preferred if money(price[locale])), None)


def _kit(given: Mapping[str, Any]) -> tuple[KitPart, ...]:
    bundle = obj(obj(given.get("extensions")).get("bundle"))
    parts = [
        (text(item.get("product_id")), whole(item.get("quantity"))) for item in array(bundle.get("items"))
    ]
    return tuple(KitPart(sku=sku, quantity=quantity) for sku, quantity in parts if sku and quantity)


def read_product(given: Mapping[str, Any], _context: Context) -> Product:
    """Without variants of its own a product is one variant: its SKU, or its id where it has none."""
    translations: dict[str, dict[str, str]] = {}
    names = _option_names(given)
    variants = [_variant(item, names) for item in array(given.get("variants"))]
    known = {variant.sku: variant for variant in variants if variant is not None}
    if not known:
        single = {**given, "price": _price(given), "id": None, "name": None, "media": None, "status": None}
        variant = _variant({**single, "attributes": None, "sku": given.get("sku") or given["id"]}, {})
        assert variant is not None
        known = {variant.sku: variant.model_copy(update={"kit": _kit(given)})}
    attributes = [
        Attribute(name=item["label"], value=item["value"])
        for item in array(given.get("attributes"))
        if text(item.get("label")) and "value" in item
    ]
    category = text(given.get("category"))
    return Product(
        key=given["id"],
        refs=references(given),
        code=given["id"],
        name=local(given, "name", translations) or text(given.get("sku")) or given["id"],
        description=local(given, "description", translations),
        slug=local(given, "slug", translations),
        brand=text(given.get("brand")),
        categories=texts(given.get("categories"))
        or texts(given.get("category"))
        or ((category,) if category else ()),
        tags=texts(given.get("tags")),
        type_key=text(given.get("type")) or text(given.get("product_type_id")),
        variants=tuple(known.values()),
        attributes=tuple(attributes),
        image=_media_part(given.get("primary_image")),
        media=_media_parts(given.get("media")),
        related=texts(given.get("related_products")),
        active=_active(given.get("status")),
        translations=translations,
    )


def write_product(product: Product, context: Context) -> dict[str, Any]:
    dialect = context.dialect
    first = product.variants[0]
    is_single = len(product.variants) == 1 and first.ref is None and first.name is None and not first.options
    sold: dict[str, Any] = {}
    if is_single:
        sold = {**_sold_out(first, dialect), "sku": first.sku if first.sku != mach_id(product) else None}
        if first.kit:
            items = [{"product_id": part.sku, "quantity": part.quantity} for part in first.kit]
            sold["extensions"] = {"bundle": {"items": items}}
    else:
        sold = {"variants": [_variant_out(variant, dialect) for variant in product.variants]}
    return {
        "id": mach_id(product),
        "external_references": references_out(product),
        "name": local_out(product.name, "name", product.translations),
        "description": local_out(product.description, "description", product.translations),
        "slug": local_out(product.slug, "slug", product.translations),
        "brand": product.brand,
        "categories": list(product.categories),
        "tags": list(product.tags),
        "type": product.type_key,
        **sold,
        "attributes": [{"label": item.name, "value": item.value} for item in product.attributes],
        "primary_image": _media_part_out(product.image, dialect),
        "media": [_media_part_out(media, dialect) for media in product.media],
        "related_products": list(product.related),
        "status": _active_out(product.active),
    }


def read_category(given: Mapping[str, Any], _context: Context) -> Category:
    translations: dict[str, dict[str, str]] = {}
    listed = given.get("children")
    children = texts(listed) or tuple(item["id"] for item in array(listed) if text(item.get("id")))
    image = _media_part(given.get("primary_image")) or _media_part(given.get("media"))
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
        media=((image,) if image else ()) + _media_parts(given.get("media")),
        attributes=obj(given.get("attributes")),
        active=_active(given.get("status")),
        created_at=instant(given.get("created_at")),
        translations=translations,
    )


def write_category(category: Category, context: Context) -> dict[str, Any]:
    media: dict[str, Any] = {}
    if category.media and context.dialect is Dialect.CAMEL:
        first = category.media[0]
        media = {"media": drop_empty({"file": first.url, "title": first.alt})}
    elif category.media:
        parts = [_media_part_out(one, context.dialect) for one in category.media]
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
        "status": _active_out(category.active),
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
        active=_active(given.get("status")),
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
        "status": _active_out(kind.active),
        "created_at": instant_out(kind.created_at),
    }


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
    return MediaAsset(
        key=given["id"],
        refs=references(given),
        type=code(given.get("type"), _MEDIA_TYPES) or MediaType.DOCUMENT,
        title=local(given, "title", translations),
        description=local(given, "description", translations),
        file=_file(given.get("file")),
        thumbnail=_file(given.get("thumbnail")),
        alt=local(access, "alt_text", translations),
        long_description=local(access, "long_description", translations),
        decorative=boolean(access.get("decorative"), False),
        focal_point=_focal_point(given.get("focal_point")),
        tags=texts(given.get("tags")),
        product_keys=texts(obj(extensions.get("associations")).get("product_ids")),
        copyright=text(obj(extensions.get("rights")).get("copyright")),
        active=_active(given.get("status")),
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
        "status": _active_out(media.active),
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
        active=_active(given.get("status")),
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
        "status": _active_out(language.active),
        "created_at": instant_out(language.created_at),
    }
