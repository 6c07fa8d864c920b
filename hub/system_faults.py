"""What is wrong with a system file, told to the person who wrote it: file, line, field, and what to do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields as fields_of, is_dataclass
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from hub.words import Words
from mappings.marks import At, Marks, dotted
from mappings.problems import suggestion

__all__ = ["SystemFault", "faults_of", "refuse"]


@dataclass(frozen=True, slots=True)
class SystemFault:
    """One thing that is wrong with one system file. `line` is 1-based, 0 where there is none."""

    system: str | None
    file: Path
    line: int
    field: str
    reason: Words

    @property
    def words(self) -> Words:
        """The whole sentence, with its place."""
        if self.file == Path():  # the reason names its place itself
            return self.reason
        where = f"{self.file}:{self.line}" if self.line else str(self.file)
        where = f"{where}: {self.field}" if self.field else where
        return Words(f"{where}: {self.reason.ja}", f"{where}: {self.reason.en}")

    def __str__(self) -> str:
        return self.words.say()


def refuse(ja: str, en: str) -> PydanticCustomError:
    """An error for a validator of our own models to raise, in both languages."""
    return PydanticCustomError("tsunagi", "{en}", {"ja": ja, "en": en})


_REASONS: Mapping[str, Words] = {
    "missing": Words("「{name}」がありません。", "{name!r} is missing."),
    "string_type": Words(
        "文字列を書いてください({input!r} があります)。", "Write a text here (found {input!r})."
    ),
    "int_type": Words(
        "整数を書いてください({input!r} があります)。", "Write a whole number here (found {input!r})."
    ),
    "list_type": Words("一覧 [a, b] で書いてください。", "Write a list [a, b] here."),
    "dict_type": Words("キーと値を書いてください。", "Write keys and values here."),
    "model_type": Words("キーと値を書いてください。", "Write keys and values here."),
    "dataclass_type": Words(
        "{{ja: ..., en: ...}} の形で書いてください。", "Write {{ja: ..., en: ...}} here."
    ),
    "string_pattern_mismatch": Words(
        "「{input}」は使えません。形: {pattern}", "{input!r} is not allowed here; the form is {pattern}"
    ),
    "greater_than_equal": Words(
        "{ge} 以上にしてください({input})。", "Must be {ge} or more (found {input})."
    ),
    "less_than_equal": Words("{le} 以下にしてください({input})。", "Must be {le} or less (found {input})."),
    "too_short": Words("少なくとも1つ書いてください。", "Write at least one."),
    "literal_error": Words(
        "{expected} のどれかにしてください({input!r})。", "Must be {expected} (found {input!r})."
    ),
}
# an int given as text and the like: one sentence for the whole family
_FAMILIES = {"int_parsing": "int_type", "int_from_float": "int_type", "mapping_type": "dict_type"}


def faults_of(
    error: ValidationError,
    model: type[BaseModel],
    *,
    system: str | None,
    file: Path,
    marks: Marks,
    at: At = (),
) -> list[SystemFault]:
    """Every finding of pydantic as a fault with the line of the file it stands in."""
    found = []
    for detail in error.errors(include_url=False):
        place = _place(at, detail["loc"], marks)
        if detail["type"] == "missing":
            place = place[:-1]
        found.append(SystemFault(system, file, marks.line(place), dotted(place), _reason(detail, model)))
    return found


def _place(at: At, loc: Iterable[str | int], marks: Marks) -> At:
    """The steps that stand in the file; pydantic's also name members of unions, which do not."""
    steps = [step for step in loc if not str(step).startswith("<")]
    place = at
    for n, step in enumerate(steps):
        if (*place, step) in marks.lines or n == len(steps) - 1:
            place = (*place, step)
    return place


def _reason(detail: ErrorDetails, model: type[BaseModel]) -> Words:
    kind, context = detail["type"], detail.get("ctx", {})
    name = str(detail["loc"][-1]) if detail["loc"] else ""
    if kind == "tsunagi":
        return Words(context["ja"], context["en"])
    if kind in ("extra_forbidden", "unexpected_keyword_argument"):
        ja, en = suggestion(name, _keys(model, detail["loc"][:-1]))
        return Words(f"「{name}」というキーはありません。{ja}", f"There is no key {name!r} here.{en}")
    if words := _REASONS.get(_FAMILIES.get(kind, kind)):
        values = {**context, "name": name, "input": detail["input"]}
        return Words(words.ja.format_map(values), words.en.format_map(values))
    return Words(f"値が正しくありません({detail['msg']})。", f"This is not valid: {detail['msg']}")


def _keys(model: type[BaseModel], loc: Iterable[str | int]) -> list[str]:
    """The keys known at a place: followed as far as the models go."""
    fields: Mapping[str, Any] = model.model_fields
    for step in loc:
        if step in fields:
            fields = _fields_in(fields[str(step)].annotation)
    return list(fields)


def _fields_in(annotation: Any) -> Mapping[str, Any]:
    """The fields of the model, or dataclass, that an annotation holds somewhere (`dict[str, Flow]`)."""
    if isinstance(annotation, type):
        if issubclass(annotation, BaseModel):
            return annotation.model_fields
        if is_dataclass(annotation):
            return {item.name: item for item in fields_of(annotation)}
    for part in get_args(annotation):
        if found := _fields_in(part):
            return found
    return {}
