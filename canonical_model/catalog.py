"""What surrounds products: categories, types with their attributes, media, languages."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from canonical_model.codes import MediaType
from canonical_model.entity import Entity
from canonical_model.product import Media
from canonical_model.values import Instant, Json, JsonObject, Quantity, Translations, Value

__all__ = [
    "AttributeDefinition",
    "AttributeOption",
    "Category",
    "FocalPoint",
    "Language",
    "MediaAsset",
    "MediaFile",
    "ProductType",
]


class Category(Entity, kind="category", ja="カテゴリ", en="Category"):
    """A node of a category tree. Key: the category's id.

    parent    key of the node above; None at the top
    children  keys of the nodes below, where the system lists them
    """

    name: str
    slug: str | None = None
    description: str | None = None
    parent: str | None = None
    children: tuple[str, ...] = ()
    position: int | None = None
    path: str | None = None
    tags: tuple[str, ...] = ()
    media: tuple[Media, ...] = ()
    attributes: JsonObject = Field(default_factory=dict)
    active: bool = True
    created_at: Instant | None = None
    translations: Translations = Field(default_factory=dict)


class AttributeOption(Value):
    """One value an attribute may take."""

    value: str
    label: str | None = None
    labels: dict[str, str] = Field(default_factory=dict)


class AttributeDefinition(Value):
    """One attribute of a product type. `type`: text, number, boolean, date, select, multiselect, json, ..."""

    name: str
    type: str
    label: str | None = None
    labels: dict[str, str] = Field(default_factory=dict)
    description: str | None = None
    required: bool = False
    unique: bool = False
    searchable: bool | None = None
    makes_variants: bool = False
    unit: str | None = None
    options: tuple[AttributeOption, ...] = ()
    default: Json = None


class ProductType(Entity, kind="product_type", ja="商品種別", en="Product type"):
    """What products of a kind have in common: which attributes they carry. Key: the type's id."""

    name: str
    description: str | None = None
    parent: str | None = None
    attributes: tuple[AttributeDefinition, ...] = ()
    category_path: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    version: str | None = None
    active: bool = True
    created_at: Instant | None = None
    translations: Translations = Field(default_factory=dict)


class MediaFile(Value):
    """A file of a media asset. Sizes in bytes, pixels and seconds."""

    url: str
    format: str | None = None
    size_bytes: Quantity | None = None
    width: Quantity | None = None
    height: Quantity | None = None
    duration_s: Annotated[float, Field(ge=0)] | None = None


class FocalPoint(Value):
    """The point a crop must keep; 0..1 from the left and from the top."""

    x: Annotated[float, Field(ge=0, le=1)]
    y: Annotated[float, Field(ge=0, le=1)]


class MediaAsset(Entity, kind="media", ja="メディア", en="Media"):
    """A picture, film or document as the asset store keeps it. Key: the asset's id."""

    type: MediaType = MediaType.IMAGE
    title: str | None = None
    description: str | None = None
    file: MediaFile | None = None
    thumbnail: MediaFile | None = None
    alt: str | None = None
    long_description: str | None = None
    decorative: bool = False
    focal_point: FocalPoint | None = None
    tags: tuple[str, ...] = ()
    product_keys: tuple[str, ...] = ()
    copyright: str | None = None
    active: bool = True
    created_at: Instant | None = None
    translations: Translations = Field(default_factory=dict)


class Language(Entity, kind="language", ja="言語", en="Language"):
    """A language a channel speaks. Key: the locale ("ja-JP")."""

    code: Annotated[str, Field(pattern=r"^[a-z]{2,3}$")]
    name: str
    region: str | None = None
    script: str | None = None
    right_to_left: bool = False
    fallbacks: tuple[str, ...] = ()
    active: bool = True
    created_at: Instant | None = None
    translations: Translations = Field(default_factory=dict)
