"""Product and its variants."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from canonical_model.mach.dialect import Dialect, Verbatim
from canonical_model.mach.measures import grams, kilograms_out
from canonical_model.mach.parts import active, active_out, picture, picture_out, pictures
from canonical_model.mach.words import (
    Context,
    array,
    drop_empty,
    gtin,
    local,
    local_out,
    mach_id,
    money,
    money_out,
    obj,
    references,
    references_out,
    text,
    texts,
    whole,
)
from canonical_model.product import Attribute, KitPart, LocalPrice, Product, Variant
from canonical_model.values import OptionValue

__all__ = [
    "read_product",
    "write_product",
]


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
        media=pictures(given.get("media")),
        active=active(given.get("status")),
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
        "price": _price_out(variant),
        "compare_at_price": money_out(variant.list_price),
        "cost": money_out(variant.cost),
        "weight": kilograms_out(variant.weight_g),
        "media": [picture_out(media, dialect) for media in variant.media],
        "status": active_out(variant.active),
    }


def _local_prices(given: Mapping[str, Any]) -> tuple[LocalPrice, ...]:
    """Of a product with one price per locale."""
    found = {locale: money(price) for locale, price in obj(given.get("price")).items()}
    return tuple(
        LocalPrice(locale=locale, price=price) for locale, price in found.items() if price is not None
    )


def _home_price(prices: tuple[LocalPrice, ...]) -> LocalPrice:
    return min(prices, key=lambda p: (not p.locale.startswith("ja"), not p.locale.startswith("en"), p.locale))


def _price_out(variant: Variant) -> dict[str, Any] | None:
    if not variant.local_prices or variant.price is None:
        return money_out(variant.price)
    home = _home_price(variant.local_prices).locale
    return Verbatim(
        {p.locale: money_out(variant.price if p.locale == home else p.price) for p in variant.local_prices}
    )


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
        single = {**given, "id": None, "name": None, "media": None, "status": None}
        variant = _variant({**single, "attributes": None, "sku": given.get("sku") or given["id"]}, {})
        assert variant is not None
        prices = _local_prices(given)
        home = _home_price(prices).price if prices else variant.price
        known = {
            variant.sku: variant.model_copy(
                update={"kit": _kit(given), "price": home, "local_prices": prices}
            )
        }
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
        image=picture(given.get("primary_image")),
        media=pictures(given.get("media")),
        related=texts(given.get("related_products")),
        active=active(given.get("status")),
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
        "primary_image": picture_out(product.image, dialect),
        "media": [picture_out(media, dialect) for media in product.media],
        "related_products": list(product.related),
        "status": active_out(product.active),
    }
