"""Products, their variants, prices and listings."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from canonical_model.codes import MediaType, TemperatureZone
from canonical_model.entity import Entity
from canonical_model.values import (
    Instant,
    Json,
    Money,
    OptionValue,
    Quantity,
    TaxRate,
    Translations,
    Value,
)

__all__ = [
    "Attribute",
    "Gtin",
    "KitPart",
    "Listing",
    "LocalPrice",
    "Media",
    "OptionValue",
    "Price",
    "PriceEntry",
    "PriceList",
    "PriceTier",
    "Product",
    "Variant",
    "gtin_check_digit",
]


def gtin_check_digit(body: str) -> int:
    """GS1 check digit of the digits before it (JAN-8, JAN-13, GTIN-14): weights 3 and 1 from the right."""
    return -sum(int(d) * (3 if i % 2 == 0 else 1) for i, d in enumerate(reversed(body))) % 10


def _gtin(value: str) -> str:
    if not value.isascii() or not value.isdigit() or len(value) not in (8, 12, 13, 14):
        raise ValueError(f"a JAN/GTIN has 8, 12, 13 or 14 digits: {value!r}")
    expected = gtin_check_digit(value[:-1])
    if int(value[-1]) != expected:
        raise ValueError(f"wrong check digit: {value!r} should end in {expected}")
    return value


Gtin = Annotated[str, AfterValidator(_gtin), Field(json_schema_extra={"pattern": r"^(\d{8}|\d{12,14})$"})]
"""JAN-8, JAN-13, UPC-12 or GTIN-14 with a right check digit."""


class KitPart(Value):
    """A part of a kit (セット品): so many units of another SKU."""

    sku: str
    quantity: Annotated[int, Field(gt=0)]


class Media(Value):
    """A picture or film as a product shows it; the asset itself is a `MediaAsset`."""

    url: str
    alt: str | None = None
    type: str = MediaType.IMAGE.value


class Attribute(Value):
    """A further property of a product, in the order it is shown: ("素材", "綿100%")."""

    name: str
    value: Json


class LocalPrice(Value):
    """The price in one market ("da-DK")."""

    locale: str
    price: Money


class Variant(Value):
    """What is sold and stocked: one SKU. `ref` is the id other systems give it beside the SKU."""

    sku: Annotated[str, Field(min_length=1)]
    name: str | None = None
    gtin: Gtin | None = None
    options: tuple[OptionValue, ...] = ()
    price: Money | None = None
    list_price: Money | None = None
    cost: Money | None = None
    weight_g: Quantity | None = None
    kit: tuple[KitPart, ...] = ()
    active: bool = True
    ref: str | None = None
    media: tuple[Media, ...] = ()
    local_prices: tuple[LocalPrice, ...] = ()
    """Prices in several markets, where the shop keeps them with the product; `price` is the home market's."""


class Product(Entity, kind="product", ja="商品", en="Product"):
    """A product with one or more variants. Key: product code, or the SKU where there is no code."""

    code: str
    name: str
    name_kana: str | None = None
    description: str | None = None
    brand: str | None = None
    categories: tuple[str, ...] = ()
    tax_rate: TaxRate | None = None
    zone: TemperatureZone = TemperatureZone.AMBIENT
    variants: Annotated[tuple[Variant, ...], Field(min_length=1)]
    media: tuple[Media, ...] = ()
    active: bool = True
    type_key: str | None = None
    slug: str | None = None
    tags: tuple[str, ...] = ()
    attributes: tuple[Attribute, ...] = ()
    image: Media | None = None
    """The main picture; `media` are the further ones."""
    related: tuple[str, ...] = ()
    """Keys of products shown beside this one."""
    translations: Translations = Field(default_factory=dict)

    @model_validator(mode="after")
    def _skus_differ(self) -> Product:
        if len({variant.sku for variant in self.variants}) != len(self.variants):
            raise ValueError("two variants have the same SKU")
        return self


class PriceTier(Value):
    """A price from so many units on, for some customers if `segments` names them."""

    price: Money
    from_quantity: Annotated[int, Field(ge=1)] = 1
    to_quantity: Annotated[int, Field(ge=1)] | None = None
    name: str | None = None
    segments: tuple[str, ...] = ()


class Price(Entity, kind="price", ja="価格", en="Price"):
    """A price of a SKU on a channel for a time. Key: "{sku}@{channel}" (plus the start for campaigns).

    price       what is asked
    list_price  the maker's or the former price it stands beside (メーカー希望小売価格)
    """

    sku: str
    channel: str | None = None
    price: Money
    kind_of_price: str = "sale"
    valid_from: Instant | None = None
    valid_until: Instant | None = None
    list_price: Money | None = None
    cost: Money | None = None
    tiers: tuple[PriceTier, ...] = ()
    price_list: str | None = None
    campaign: str | None = None
    catalog: str | None = None
    segment: str | None = None
    active: bool = True


class PriceEntry(Value):
    """One row of a price list."""

    sku: str
    product_key: str | None = None
    price: Money
    list_price: Money | None = None
    from_quantity: Annotated[int, Field(ge=1)] = 1
    unit: str | None = None
    tier: str | None = None


class PriceList(Entity, kind="price_list", ja="価格表", en="Price list"):
    """Prices of many SKUs for one group of customers (卸価格表). Key: the list's id."""

    name: str | None = None
    segment: str | None = None
    category: str | None = None
    valid_from: Instant | None = None
    valid_until: Instant | None = None
    entries: tuple[PriceEntry, ...] = ()
    active: bool = True


class Listing(Entity, kind="listing", ja="出品", en="Listing"):
    """A SKU offered on a channel, and what the channel calls it. Key: "{channel}/{sku}".

    external_id   the channel's name of the variant; parts it is made of go into `ids`
    """

    channel: str
    sku: Annotated[str, Field(min_length=1)]
    external_id: str
    ids: dict[str, str] = Field(default_factory=dict)
    product_key: str | None = None
    title: str | None = None
    price: Money | None = None
    active: bool = True
