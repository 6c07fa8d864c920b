"""An address as it is compared: postal code and the numbers of 丁目, 番地 and 号; the room is kept apart.

Towns are written in too many ways to compare, and the postal code stands for them. Where it is doubtful whether a
number belongs to the house or to the room it stays with the house: two spellings may then not meet, but two houses
never look like one.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

__all__ = ["address_key"]

_DASHES = str.maketrans(dict.fromkeys("‐‑‒–—―−ｰー─━~〜", "-"))
_DIGIT = {"〇": 0, "零": 0, "一": 1, "二": 2, "三": 3, "四": 4, "五": 5, "六": 6, "七": 7, "八": 8, "九": 9}
_TENS = {"十": 10, "百": 100, "千": 1000}
# kanji that are numbers here: before a unit or a dash, or behind one at the end; 三田 and 六本木 are names
_KANJI_NUMBER = re.compile(
    r"[〇零一二三四五六七八九十百千]+(?=丁目|番|号|条|線|地割|[-のノ之][〇零一二三四五六七八九十百千\d])"
    r"|(?<=[-のノ之])[〇零一二三四五六七八九十百千]+(?![^\s\W])"
)
_UNIT = r"(?:丁目|番地の|番地|番町|番丁|番|号|条[東西南北]*|線[東西南北]*|地割|[-のノ之])*"
_RUN = re.compile(rf"(\d+)({_UNIT})")
_ENDS_HOUSE = re.compile(r"番地?$|号$")
_ROOM = re.compile(r"(\d+)(?![\d階]|F\b)(?!.*\d)")
_FLOOR = re.compile(r"\d+(?:階|F(?![A-Z]))", re.IGNORECASE)


def kanji_number(text: str) -> int:
    """二十三 and 二三 are 23."""
    if not any(letter in _TENS for letter in text):
        return int("".join(str(_DIGIT[letter]) for letter in text))
    total, digit = 0, 0
    for letter in text:
        if letter in _TENS:
            total += (digit or 1) * _TENS[letter]
            digit = 0
        else:
            digit = digit * 10 + _DIGIT[letter]
    return total + digit


@lru_cache(maxsize=4096)
def house_and_room(street: str, building: str) -> tuple[str | None, str | None]:
    """("南四条西1丁目2番3号", "メゾン405号室") -> ("4-1-2-3", "405")."""
    text = unicodedata.normalize("NFKC", street).upper().translate(_DASHES)
    text = _KANJI_NUMBER.sub(lambda found: str(kanji_number(found.group())), text)
    numbers, rest = _house(text)
    if not numbers:
        return None, None
    room = _room(unicodedata.normalize("NFKC", building)) or _room(rest)
    if room is None and len(numbers) > 3 and "条" not in text:
        *numbers, room = numbers  # 1-2-3-405: 丁目, 番, 号 and the room
    return "-".join(numbers), room


def _house(text: str) -> tuple[list[str], str]:
    """The numbers of the house, and the text behind them."""
    numbers: list[str] = []
    at = 0
    while (found := _RUN.search(text, at)) is not None:
        numbers.append(found[1].lstrip("0") or "0")
        at = found.end()
        following = text[at : at + 1]
        if following.isdigit():
            continue
        street_only = found[2].endswith(("条", "線", "東", "西", "南", "北", "地割", "丁目", "番町", "番丁"))
        if _ENDS_HOUSE.search(found[2]) or (not street_only and (len(numbers) > 1 or following in ("", " "))):
            break
    return numbers, text[at:]


def _room(text: str) -> str | None:
    found = _ROOM.search(_FLOOR.sub(" ", text.upper()))
    return None if found is None else (found[1].lstrip("0") or "0")


def address_key(address: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """(key, room) of an address of the canonical model; (None, None) without a postal code, a number, or abroad."""
    postal = address.get("postal_code")
    if not postal or address.get("country", "JP") != "JP":
        return None, None
    lines = address.get("lines") or ()
    street = " ".join(part for part in (address.get("town"), address.get("street")) if part)
    if not re.search(r"\d", unicodedata.normalize("NFKC", street)) and lines:
        street = " ".join(lines)
    house, room = house_and_room(_without_blanks_inside(street), address.get("building") or "")
    return (None, None) if house is None else (f"{postal}:{house}", room)


def _without_blanks_inside(street: str) -> str:
    """A blank between a unit and the next number, or beside a dash, divides nothing."""
    text = unicodedata.normalize("NFKC", street)
    return re.sub(r"(?<=[目番地号条線東西南北-])\s+(?=\d)|\s+(?=-)", "", text)
