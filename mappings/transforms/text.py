"""Transforms of text.

Names keep their characters: nothing here normalises whole texts by NFC or NFKC. NFC alone turns 22 kanji that
CP932 can carry into others (files/01, section 6); only kana and their marks are composed.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Annotated, Any, Literal

import orjson
from pydantic import Field

from mappings.faults import TransformFault
from mappings.transforms.registry import UNSET, BadParameter, Step, as_text, transform

_LOOSE_MARK = re.compile("[\u3040-\u30ff][\u3099\u309a]")
_BLANKS = re.compile(r"\s+")
_TO_HALF = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | {0x3000: 0x20}
_TO_FULL = {half: full for full, half in _TO_HALF.items()}
_DIGITS = {code: code - 0xFEE0 for code in range(0xFF10, 0xFF1A)}


def compose_kana(text: str) -> str:
    """か + U+3099 -> が (Mac file names, some phones); everything else stays as it is."""
    if "\u3099" in text or "\u309a" in text:
        return _LOOSE_MARK.sub(lambda pair: unicodedata.normalize("NFC", pair.group()), text)
    return text


@transform(
    "text",
    gives="text",
    ja="文字にして前後の空白(全角も)を取り、仮名の濁点を合成します。"
    "fold: true で連続する空白を1つに、max で文字数を確かめます。",
    en="Text, trimmed (full-width blanks too), loose kana marks composed. fold: true makes runs of blanks one; "
    "max refuses longer text.",
    examples=[
        ({}, " 山田　太郎　", "山田　太郎"),
        ({"fold": True}, "a  \n b", "a b"),
        ({}, 120, "120"),
        ({}, "　", None),
    ],
)
def text(*, fold: bool = False, max: Annotated[int, Field(gt=0)] | None = None) -> Step:  # noqa: A002
    if not fold and max is None:
        return lambda value: compose_kana(as_text(value)) or None

    def step(value: Any) -> str | None:
        result = compose_kana(as_text(value))
        if fold:
            result = _BLANKS.sub(" ", result)
        if max is not None and len(result) > max:
            raise TransformFault("too_long", limit=f"{len(result)} > {max}")
        return result or None

    return step


@transform(
    "verbatim",
    gives="any",
    ja="値をそのまま使います(前後の空白も残します)。最初に書きます。",
    en="The value as it stands, blanks at its ends kept. Stands first.",
    examples=[({}, " a ", " a ")],
)
def verbatim() -> Step:
    return lambda value: value


@transform(
    "upper",
    gives="text",
    ja="英字を大文字にします。",
    en="Upper-case letters.",
    examples=[({}, "ab-1", "AB-1")],
)
def upper() -> Step:
    return lambda value: as_text(value).upper() or None


@transform(
    "lower",
    gives="text",
    ja="英字を小文字にします。",
    en="Lower-case letters.",
    examples=[({}, "AB-1", "ab-1")],
)
def lower() -> Step:
    return lambda value: as_text(value).lower() or None


@transform(
    "halfwidth",
    gives="text",
    ja="全角の英数字・記号を半角にします。only: digits で数字だけ。仮名は変えません。",
    en="Full-width letters, digits and signs to half-width; only: digits leaves the rest. Kana stay.",
    examples=[({}, "ＡＢ－１２", "AB-12"), ({"only": "digits"}, "Ａ１２", "Ａ12")],
)
def halfwidth(*, only: Literal["all", "digits"] = "all") -> Step:
    table = _DIGITS if only == "digits" else _TO_HALF
    return lambda value: as_text(value).translate(table).strip() or None


@transform(
    "fullwidth",
    gives="text",
    ja="半角の英数字・記号・空白を全角にします(半角カナは kana を使います)。",
    en="Half-width letters, digits, signs and blanks to full-width (half-width kana: use kana).",
    examples=[({}, "AB-12", "ＡＢ－１２")],
)
def fullwidth() -> Step:
    return lambda value: as_text(value).translate(_TO_FULL) or None


@transform(
    "prefix",
    gives="text",
    ja="前に文字を付けます。",
    en="Puts text in front.",
    examples=[({"text": "A-"}, "1", "A-1")],
)
def prefix(*, text: str) -> Step:
    def step(value: Any) -> str | None:
        body = as_text(value)
        return text + body if body else None

    return step


@transform(
    "suffix",
    gives="text",
    ja="後ろに文字を付けます。",
    en="Puts text behind.",
    examples=[({"text": "様"}, "山田", "山田様")],
)
def suffix(*, text: str) -> Step:
    def step(value: Any) -> str | None:
        body = as_text(value)
        return body + text if body else None

    return step


@transform(
    "replace",
    gives="text",
    ja="文字列 old を new に置き換えます(new を省くと消します)。",
    en="Replaces old by new (removes it when new is left out).",
    examples=[({"old": "-"}, "1-2-3", "123"), ({"old": ",", "new": "，"}, "a,b", "a，b")],
)
def replace(*, old: Annotated[str, Field(min_length=1)], new: str = "") -> Step:
    return lambda value: as_text(value).replace(old, new).strip() or None


@transform(
    "split",
    gives="text",
    ja="by で分けた index 番目(0から、-1は最後)を取ります。なければ missing: fault で不備、既定は null。",
    en="The part number `index` (from 0; -1 the last) of the text divided at `by`; null when it is not there, "
    "or a fault with missing: fault.",
    examples=[
        ({"by": " ", "index": 0}, "山田 太郎", "山田"),
        ({"by": "/", "index": -1}, "a/b/c", "c"),
        ({"by": "/", "index": 5}, "a/b", None),
    ],
)
def split(
    *, by: Annotated[str, Field(min_length=1)], index: int = 0, missing: Literal["null", "fault"] = "null"
) -> Step:
    def step(value: Any) -> str | None:
        parts = as_text(value).split(by)
        if -len(parts) <= index < len(parts):
            return parts[index].strip() or None
        if missing == "fault":
            raise TransformFault("no_part", by=by, index=index)
        return None

    return step


_LONGEST_MATCHED = 300


def _safe(pattern: str) -> re.Pattern[str]:
    """Compile a pattern that cannot take exponential time: no repeated groups, look-arounds or back references."""
    bare = re.sub(r"\\.", "__", pattern)
    bare = re.sub(r"\[[^\]]*\]", "_", bare)
    if (
        re.search(r"\)\s*[*+{]", bare)
        or re.search(r"\(\?(?!:|P<)", bare)
        or re.search(r"\\[1-9]|\(\?P=", pattern)
    ):
        raise BadParameter("pattern", "repeated groups, look-arounds and back references are not allowed")
    if len(re.findall(r"[*+]|\{\d*,\}", bare)) > 3:
        raise BadParameter("pattern", "at most three open repetitions (* + {n,}) are allowed")
    try:
        return re.compile(pattern)
    except re.error as error:
        raise BadParameter("pattern", str(error)) from None


@transform(
    "extract",
    gives="text",
    ja="値全体に合う正規表現 pattern の、最初の括弧(なければ全体)を取ります。"
    "合わなければ null、missing: fault で不備。",
    en="What the first group of `pattern` (else all of it) holds; the pattern must match the whole value. Null, or a "
    "fault with missing: fault, when it does not. Repeated groups are refused, so that no value can make it slow.",
    examples=[({"pattern": r"(\d+)個"}, "12個", "12"), ({"pattern": r"(\d+)個"}, "十個", None)],
)
def extract(*, pattern: str, missing: Literal["null", "fault"] = "null") -> Step:
    compiled = _safe(pattern)

    def step(value: Any) -> str | None:
        body = as_text(value)
        if len(body) > _LONGEST_MATCHED:
            raise TransformFault("too_long", limit=f"{len(body)} > {_LONGEST_MATCHED}")
        match = compiled.fullmatch(body)
        if match is None:
            if missing == "fault" and body:
                raise TransformFault("no_match", pattern=pattern)
            return None
        found = match[1] if compiled.groups else match[0]
        return (found or "").strip() or None

    return step


@transform(
    "pad",
    gives="text",
    ja="width 文字になるまで文字 with を左(side: right で右)に詰めます。",
    en="Fills up to `width` characters with `fill` at the left (side: right at the right).",
    examples=[({"width": 8}, 123, "00000123"), ({"width": 5, "fill": " ", "side": "right"}, "ab", "ab   ")],
)
def pad(
    *,
    width: Annotated[int, Field(gt=0, le=1000)],
    fill: Annotated[str, Field(min_length=1, max_length=1)] = "0",
    side: Literal["left", "right"] = "left",
) -> Step:
    def step(value: Any) -> str | None:
        body = as_text(value)
        if not body:
            return None
        return body.rjust(width, fill) if side == "left" else body.ljust(width, fill)

    return step


@transform(
    "truncate",
    gives="text",
    ja="bytes バイト(encoding、既定 cp932)または chars 文字に切ります。文字の途中では切りません。",
    en="Cuts to `bytes` bytes of `encoding` (cp932), or to `chars` characters; never inside a character.",
    examples=[({"bytes": 5}, "山田太郎", "山田"), ({"chars": 3}, "abcdef", "abc")],
)
def truncate(
    *,
    bytes: Annotated[int, Field(gt=0)] | None = None,  # noqa: A002
    chars: Annotated[int, Field(gt=0)] | None = None,
    encoding: Literal["cp932", "utf-8", "euc_jp"] = "cp932",
) -> Step:
    if (bytes is None) == (chars is None):
        raise BadParameter("bytes", "give either bytes or chars")

    def step(value: Any) -> str | None:
        body = as_text(value)[:chars]
        if bytes is not None:
            try:
                coded = body.encode(encoding)
            except UnicodeEncodeError:
                body = _cut(body, bytes, encoding)
            else:
                if len(coded) > bytes:
                    body = coded[:bytes].decode(encoding, "ignore")
        return body.rstrip() or None

    return step


def _cut(body: str, limit: int, encoding: str) -> str:
    """Cut by whole characters; one that the encoding lacks counts as the two bytes of its substitute 〓."""
    used = 0
    for at, character in enumerate(body):
        try:
            used += len(character.encode(encoding))
        except UnicodeEncodeError:
            used += 2
        if used > limit:
            return body[:at]
    return body


@transform(
    "json",
    gives="any",
    ja="文字列の中のJSONを読みます。",
    en="Reads JSON that stands in a text.",
    examples=[({}, '{"a": [1]}', {"a": [1]})],
)
def json() -> Step:
    def step(value: Any) -> Any:
        body = as_text(value)
        if not body:
            return None
        try:
            result = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise TransformFault("not_json", detail=str(error)) from None
        return result if result or result == 0 else None

    return step


@transform(
    "lookup",
    gives="any",
    ja="小さな対応表 values をその場に書きます。"
    "ない値は不備、unknown があればその値、keep_unknown: true ならそのまま。",
    en="A small table written in place. A value it lacks is a fault, or `unknown`, or kept with keep_unknown: true.",
    examples=[
        ({"values": {"1": "morning"}}, 1, "morning"),
        ({"values": {"1": "morning"}, "keep_unknown": True}, "1416", "1416"),
        ({"values": {"1": "morning"}, "unknown": None}, "9", None),
    ],
)
def lookup(*, values: dict[str, Any], unknown: Any = UNSET, keep_unknown: bool = False) -> Step:
    known = ", ".join(values)

    def step(value: Any) -> Any:
        key = as_text(value)
        if not key:
            return None
        if key in values:
            result = values[key]
        elif keep_unknown:
            result = key
        elif unknown is UNSET:
            raise TransformFault("unknown_value", known=known)
        else:
            result = unknown
        return result if result or result == 0 else None

    return step
