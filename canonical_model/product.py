"""Products, their variants and prices."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from canonical_model.codes import TemperatureZone
from canonical_model.entity import Entity
from canonical_model.values import Instant, Money, Quantity, TaxRate, Value

__all__ = ["Gtin", "KitPart", "Listing", "Media", "OptionValue", "Price", "Product", "Variant", "gtin_check_digit"]


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


Gtin = Annotated[str, AfterValidator(_gtin)]
"""JAN-8, JAN-13, UPC-12 or GTIN-14 with a right check digit."""


class OptionValue(Value):
    """What makes a variant: ("色", "赤")."""

    name: str
    value: str


class KitPart(Value):
    """A part of a kit (セット品): so many units of another SKU."""

    sku: str
    quantity: Annotated[int, Field(gt=0)]


class Media(Value):
    url: str
    alt: str | None = None
    type: str = "image"


class Variant(Value):
    """What is sold and stocked: one SKU."""

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


class Product(Entity, kind="product"):
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

    @model_validator(mode="after")
    def _skus_differ(self) -> Product:
        if len({variant.sku for variant in self.variants}) != len(self.variants):
            raise ValueError("two variants have the same SKU")
        return self


class Price(Entity, kind="price"):
    """A price of a SKU on a channel for a time. Key: "{sku}@{channel}" (plus the start for campaigns)."""

    sku: str
    channel: str | None = None
    price: Money
    kind_of_price: str = "sale"
    valid_from: Instant | None = None
    valid_until: Instant | None = None


class Listing(Entity, kind="listing"):
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
