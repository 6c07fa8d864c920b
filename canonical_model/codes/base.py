"""What a code list is: codes with a Japanese and an English label, under a title in both."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from pydantic import GetJsonSchemaHandler
    from pydantic_core import CoreSchema

__all__ = ["CODE_LISTS", "CodeList"]

CODE_LISTS: dict[str, type[CodeList]] = {}
"""Name of a code list ("PaymentMethod") -> the list. Filled by the class statements."""


class CodeList(enum.StrEnum):
    """A code with its labels: `CARD = "card", "クレジットカード", "Credit card"`.

    The list itself is named in the class statement: `class Carrier(CodeList, ja="運送会社", en="Carrier")`.
    """

    label_ja: str
    label_en: str

    def __new__(cls, code: str, ja: str, en: str) -> Self:
        member = str.__new__(cls, code)
        member._value_ = code
        member.label_ja = ja
        member.label_en = en
        return member

    def __init_subclass__(cls, *, ja: str, en: str, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.__titles__ = (ja, en)
        CODE_LISTS[cls.__name__] = cls

    __titles__: tuple[str, str]

    @classmethod
    def titles(cls) -> tuple[str, str]:
        """The name of the list for people: (Japanese, English)."""
        return cls.__titles__

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        ja, en = cls.titles()
        schema = handler.resolve_ref_schema(handler(core))
        schema.update(
            {
                "title": en,
                "x-title-ja": ja,
                "x-labels": {code.value: {"ja": code.label_ja, "en": code.label_en} for code in cls},
            }
        )
        return schema
