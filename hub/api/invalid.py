"""What is wrong with the values of a call, field by field, in both languages and without the values themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi.exceptions import RequestValidationError

from hub.api.problems import Problem
from hub.words import Language, Words

__all__ = ["problem_of"]

_SAID: dict[str, Words] = {
    "missing": Words("必須です", "is required"),
    "extra_forbidden": Words("知らない項目です", "is not known here"),
    "string_type": Words("文字列にしてください", "must be a text"),
    "string_too_short": Words("{min_length} 文字以上にしてください", "has {min_length} characters at least"),
    "string_too_long": Words("{max_length} 文字以下にしてください", "has {max_length} characters at most"),
    "string_pattern_mismatch": Words("使えない文字があります", "has characters that are not allowed"),
    "string_unicode": Words("正しいUnicodeではありません", "is no valid Unicode"),
    "int_type": Words("整数にしてください", "must be a whole number"),
    "int_parsing": Words("整数にしてください", "must be a whole number"),
    "int_from_float": Words("整数にしてください", "must be a whole number"),
    "int_parsing_size": Words("大きすぎます", "is too large"),
    "greater_than_equal": Words("{ge} 以上にしてください", "must be {ge} or more"),
    "less_than_equal": Words("{le} 以下にしてください", "must be {le} or less"),
    "bool_parsing": Words("true か false にしてください", "must be true or false"),
    "enum": Words("次のどれかにしてください: {expected}", "must be one of: {expected}"),
    "timezone_aware": Words("時差を付けてください(例 +09:00)", "needs an offset (+09:00, say)"),
    "datetime_parsing": Words("日時ではありません", "is no date and time"),
    "datetime_from_date_parsing": Words("日時ではありません", "is no date and time"),
    "model_attributes_type": Words("JSONのオブジェクトにしてください", "must be a JSON object"),
}
_OTHER = Words("正しくありません", "is not valid")


def problem_of(error: RequestValidationError, lang: Language) -> Problem:
    """The problem body of what the framework found: 400 for a body that is no JSON, 422 for the rest."""
    found = error.errors()
    if any(one["type"] == "json_invalid" for one in found):
        return Problem("bad_json")
    if any(one["loc"] == ("body",) and one["type"] == "missing" for one in found):
        return Problem("bad_json", Words("本文がありません。", "There is no body."))
    return Problem("invalid", _summary(found), errors=[_one(one, lang) for one in found])


def _summary(found: Any) -> Words:
    names = ", ".join(dict.fromkeys(_field(one) or str(one["loc"][0]) for one in found))
    return Words(f"正しくない項目: {names}", f"Not valid: {names}")


def _field(one: Mapping[str, Any]) -> str:
    # a name the caller made up may be anything, a text of his own too
    return ".".join(str(step)[:60] for step in one["loc"][1:])


def _one(one: Mapping[str, Any], lang: Language) -> dict[str, str]:
    said = _SAID.get(one["type"], _OTHER).say(lang)
    try:
        said = said.format_map(one.get("ctx") or {})
    except (KeyError, ValueError):
        said = _OTHER.say(lang)
    return {"in": str(one["loc"][0]), "field": _field(one), "code": str(one["type"]), "message": said}
