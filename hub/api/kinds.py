"""What of each kind of entity can be searched for: the name in the address, the filters, how each is looked up."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    create_model,
)

from canonical_model import ENTITIES
from canonical_model.codes import AfterSalesStatus, FulfilmentStatus, PaymentStatus
from canonical_model.labels import field_label
from canonical_model.values import Email, Phone
from hub.words import Words

__all__ = ["LIMIT", "PLURALS", "EntityKey", "Filter", "Plain", "Search", "filters_of", "search_model"]

LIMIT = 1000
"""Most entities, or changes, in one answer."""

_IRREGULAR = {
    "media": "media",
    "reservation": "reported_reservations",  # /reservations are the hub's own
}


def _plural(kind: str) -> str:
    if kind in _IRREGULAR:
        return _IRREGULAR[kind]
    return f"{kind[:-1]}ies" if kind.endswith("y") else f"{kind}s"


PLURALS: dict[str, str] = {kind: _plural(kind) for kind in sorted(ENTITIES)}
"""Kind -> its name in the address."""

Plain = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]*$", max_length=300)]
"""A text without control characters, which PostgreSQL or a log could not bear."""
EntityKey = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]

_LOST_PLUS = re.compile(r"(T\d\d:\d\d.*) (\d\d:?\d\d)$")


def _plus_again(value: Any) -> Any:
    # in a query a + means a space, and nobody writes %2B09:00
    return _LOST_PLUS.sub(r"\1+\2", value) if isinstance(value, str) else value


@dataclass(frozen=True, slots=True)
class Filter:
    """One field to search by. `condition` is SQL over `e.content` with the value as `:name`.

    indexed  the condition finds its rows by an index; others look through a window of keys
    """

    name: str
    condition: str
    type: Any
    words: Words
    indexed: bool = False


class Search(BaseModel):
    """What every search takes."""

    model_config = ConfigDict(extra="forbid")

    key: EntityKey | None = Field(None, description="このキーのもの / the one with this key")
    key_prefix: EntityKey | None = Field(
        None, description="キーがこれで始まるもの / keys that begin with this"
    )
    updated_since: Annotated[AwareDatetime, BeforeValidator(_plus_again)] | None = Field(
        None,
        description="この時刻以降に変わったもの(例 2026-11-21T09:00:00+09:00)。変更を追うなら /changes / "
        "changed at or after this moment; to follow changes use /changes",
    )
    deleted: bool = Field(False, description="削除されたものも含める / deleted ones too")
    limit: int = Field(100, ge=1, le=LIMIT, description="1回の最大件数 / most items in one answer")
    cursor: Annotated[str, Field(max_length=2000)] | None = Field(
        None, description="前の答えの next / `next` of the answer before"
    )

    def wanted(self) -> dict[str, Any]:
        """The filters that were given: name -> value."""
        given = self.model_dump(exclude={"limit", "cursor"}, exclude_none=True)
        return {
            name: value.value if isinstance(value, StrEnum) else value
            for name, value in given.items()
            if value is not False
        }


# a field of these names is searched by in every kind that has it
_COMMON = (
    "channel", "sku", "location", "order_key", "customer_key", "number", "code", "status", "confirmation", "type",
    "supplier", "parent", "promotion_key", "purchase_order_key", "product_key", "collector",
)  # fmt: skip
_INDEXED = {
    *((kind, "sku") for kind, model in ENTITIES.items() if "sku" in model.model_fields),
    *((kind, "order_key") for kind in ("shipment", "return", "payment", "refund", "stock_movement")),
    ("order", "number"),
    ("order", "customer_key"),
}
_AXES = {
    "payment": (PaymentStatus, Words("入金状態", "state of payment")),
    "fulfilment": (FulfilmentStatus, Words("出荷状態", "state of fulfilment")),
    "after_sales": (AfterSalesStatus, Words("返品・返金の状態", "state of returns and refunds")),
}
_ESCAPED = re.compile(r"[^a-z_]")


def _scalar(annotation: Any) -> Any:
    """str, or the code list, of a field that holds one text; None for any other field."""
    if get_origin(annotation) is Annotated:
        return _scalar(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        parts = [part for part in get_args(annotation) if part is not type(None)]
        return _scalar(parts[0]) if len(parts) == 1 else None
    return annotation if isinstance(annotation, type) and issubclass(annotation, str) else None


def _common(kind: str) -> list[Filter]:
    model = ENTITIES[kind]
    found = []
    for name in _COMMON:
        field = model.model_fields.get(name)
        kind_of_text = None if field is None else _scalar(field.annotation)
        if field is None or kind_of_text is None:
            continue
        value = f"e.content ->> '{name}'"
        if isinstance(field.default, str) and not _ESCAPED.search(str(field.default)):
            value = f"coalesce({value}, '{field.default}')"  # defaults are not stored
        condition = f"{value} = :{name}"
        if name == "sku":
            condition = f"e.content ? 'sku' AND {condition}"
        words = Words(field_label(model.__name__, name), field_label(model.__name__, name, "en"))
        typed = kind_of_text if issubclass(kind_of_text, StrEnum) else Plain
        found.append(Filter(name, condition, typed, words, (kind, name) in _INDEXED))
    return found


_OWN: dict[str, list[Filter]] = {
    "order": [
        Filter(axis, f"coalesce(e.content #>> '{{status,{axis}}}', '{next(iter(codes))}') = :{axis}", codes, words)
        for axis, (codes, words) in _AXES.items()
    ],
    "customer": [
        Filter("email", "e.content -> 'emails' ? :email", Email, Words("メールアドレス", "e-mail address"), True),
        Filter("phone", "e.content -> 'phones' ? :phone", Phone, Words("電話番号", "phone number"), True),
    ],
    "product": [
        Filter(
            "sku", "jsonb_path_query_array(e.content, '$.\"variants\"[*].\"sku\"') ? :sku", Plain,
            Words("バリエーションのSKU", "SKU of a variant"), True,
        )
    ],
}  # fmt: skip


@cache
def filters_of(kind: str) -> dict[str, Filter]:
    """Name -> filter, of what this kind is searched by beside its key and its time."""
    return {one.name: one for one in (*_common(kind), *_OWN.get(kind, []))}


@cache
def search_model(kind: str) -> type[Search]:
    """The query of `GET /{plural}`."""
    fields: dict[str, Any] = {
        one.name: (one.type | None, Field(None, description=f"{one.words.ja} / {one.words.en}"))
        for one in filters_of(kind).values()
    }
    return create_model(f"{ENTITIES[kind].__name__}Search", __base__=Search, **fields)
