"""Matching columns: a customer as it is compared. What customers are called is never altered by this.

Names lose blanks, symbols, corporate marks and the difference between variants of a kanji; kana become full-width
katakana, small letters large, a long vowel its vowel (キャー is キヤア); telephone numbers are digits as dialled in
Japan; e-mail addresses keep all before the @ (files/08, section 5).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import date
from functools import lru_cache
from hashlib import blake2b
from itertools import product
from typing import Any

import orjson

from hub.people.addresses import address_key
from hub.people.rules import MULTIPLE, PeopleRules, Rule
from mappings.faults import TransformFault
from mappings.transforms import TRANSFORMS
from mappings.transforms.japan import to_phone

__all__ = ["Columns", "Folder", "blocks_of", "conflicts", "values_of"]

_MOST_KEYS = 64
"""Combinations of values one rule may look a customer up by; a customer with more has a number for everybody."""
_katakana = TRANSFORMS["katakana"].step({})
_SELECTORS = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]")
_SYMBOLS = re.compile(r"[\W_・･]+")
_KANA_ONLY = re.compile(r"[ァ-ヺー]+")
_SMALL = str.maketrans("ァィゥェォヵヶッャュョヮ", "アイウエオカケツヤユヨワ")
_KANA_DASH = re.compile("(?<=[ァ-ヺー])[-‐‑–—―−ｰ]")
_VOWEL_ROWS = {
    "ア": "アカガサザタダナハバパマヤラワ",
    "イ": "イキギシジチヂニヒビピミリヰ",
    "ウ": "ウクグスズツヅヌフブプムユルヴ",
    "エ": "エケゲセゼテデネヘベペメレヱ",
    "オ": "オコゴソゾトドノホボポモヨロヲ",
}
_VOWEL = {kana: vowel for vowel, row in _VOWEL_ROWS.items() for kana in row}


@dataclass(frozen=True, slots=True)
class Columns:
    """One customer as it is compared; None and () stand for what is not known.

    scope  what stands before the "/" of the key: the channel, or the core
    rooms  "address key#room"
    flags  blocked, deceased, company; merged: its own system says into whom
    """

    scope: str
    name: str | None = None
    kana: str | None = None
    given: str | None = None
    given_kana: str | None = None
    phones: tuple[str, ...] = ()
    emails: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    rooms: tuple[str, ...] = ()
    birth_date: date | None = None
    sex: str | None = None
    flags: tuple[str, ...] = ()

    def digest(self, rules: str) -> bytes:
        """16 bytes that change with any column and with the rules."""
        said = [getattr(self, field.name) for field in fields(self)]
        return blake2b(orjson.dumps([rules, *said]), digest_size=16).digest()


# ---------------------------------------------------------------- folding


def fold_kana(text: str | None) -> str | None:
    """ﾀｰﾅｰ and たあなあ are タアナア."""
    wide = _katakana(text) if text else None
    if not wide:
        return None
    return _fold_kana(str(wide))


@lru_cache(maxsize=16_384)
def _fold_kana(text: str) -> str | None:
    folded = _KANA_DASH.sub("ー", unicodedata.normalize("NFKC", text))
    letters: list[str] = []
    for letter in _SYMBOLS.sub("", folded).translate(_SMALL):
        letters.append(_VOWEL.get(letters[-1], letter) if letter == "ー" and letters else letter)
    return "".join(letters).casefold() or None


def _phone(text: str) -> str | None:
    try:
        digits = to_phone(text)
    except TransformFault:
        return None
    return None if digits is None or len(digits) < 9 or len(set(digits.lstrip("0+"))) < 2 else digits


class Folder:
    """Folds customers by one set of rules."""

    def __init__(self, rules: PeopleRules) -> None:
        said = rules.file
        self._variants = rules.variants
        marks = sorted((unicodedata.normalize("NFKC", mark) for mark in said.corporate_marks), key=len)
        self._marks = re.compile("|".join(re.escape(mark) for mark in reversed(marks)) or r"(?!)")
        self._no_phones = frozenset(filter(None, (_phone(number) for number in said.ignore.phones)))
        self._no_emails = frozenset(said.ignore.emails)
        self._no_domains = frozenset(domain.lower().lstrip("@") for domain in said.ignore.email_domains)
        self._deceased = frozenset(said.deceased)
        self.name = lru_cache(maxsize=16_384)(self._name)

    def _name(self, text: str) -> str | None:
        """㈱髙橋 商店 is 高橋商店."""
        folded = _SELECTORS.sub("", unicodedata.normalize("NFKC", text))
        folded = self._marks.sub("", folded) or folded
        return _SYMBOLS.sub("", folded.translate(self._variants)).casefold() or None

    def columns(self, key: str, content: Mapping[str, Any]) -> Columns:
        """The columns of a customer's stored content; `merged_into` must be what its systems say."""
        flags = self._flags(content)
        name = content["name"]
        company = content.get("type") == "company"
        full = (content.get("company") or name["full"]) if company else name["full"]
        folded, kana = self.name(full), fold_kana(name.get("full_kana"))
        if kana is None and folded is not None and _KANA_ONLY.fullmatch(str(_katakana(folded) or "")):
            kana = fold_kana(folded)
        born = content.get("birth_date")
        places = [address_key(each["address"]) for each in self._own(content, folded)]
        given, given_kana = (None, None) if company else (_given(name, ""), _given(name, "_kana"))
        return Columns(
            scope=key.partition("/")[0],
            name=folded,
            kana=kana,
            given=self.name(given) if given else None,
            given_kana=fold_kana(given_kana),
            phones=self._phones(content, folded),
            emails=self._emails(content),
            addresses=tuple(sorted({key for key, _ in places if key})),
            rooms=tuple(sorted({f"{key}#{room}" for key, room in places if key and room})),
            birth_date=date.fromisoformat(born) if born else None,
            sex=content.get("sex"),
            flags=flags,
        )

    def _own(self, content: Mapping[str, Any], name: str | None) -> Iterator[Mapping[str, Any]]:
        """Addresses of the book that are the customer's own, not those of people gifts go to."""
        for each in content.get("addresses", ()):
            whose = each.get("name")
            if whose is None or self.name(whose["full"]) == name:
                yield each

    def _phones(self, content: Mapping[str, Any], name: str | None) -> tuple[str, ...]:
        written = [*content.get("phones", ())]
        written += [each["phone"] for each in self._own(content, name) if each.get("phone")]
        return tuple(sorted({digits for text in written if (digits := _phone(text))} - self._no_phones))

    def _emails(self, content: Mapping[str, Any]) -> tuple[str, ...]:
        # marketplaces forward from addresses they make up for each order
        if content.get("attributes", {}).get("relay_email") is True:
            return ()
        found = set()
        for email in content.get("emails", ()):
            name, _, domain = email.rpartition("@")
            if domain.lower() not in self._no_domains:
                found.add(f"{name}@{domain.lower()}")
        return tuple(sorted(found - self._no_emails))

    def _flags(self, content: Mapping[str, Any]) -> tuple[str, ...]:
        attributes = content.get("attributes", {})
        marked = {*content.get("tags", ()), *content.get("segments", ())}
        marked |= {name for name, value in attributes.items() if value is True}
        said = {
            "blocked": bool(content.get("blocked")) or content.get("status") == "suspended",
            "company": content.get("type") == "company" or bool(content.get("company")),
            "deceased": bool(self._deceased & marked),
            "merged": bool(content.get("merged_into")),
        }
        return tuple(sorted(flag for flag, holds in said.items() if holds))


def _given(name: Mapping[str, Any], suffix: str) -> str | None:
    """The given name, or the second of the two words of a full one."""
    said = name.get(f"given{suffix}")
    words = (name.get(f"full{suffix}") or "").split()
    return said or (words[1] if len(words) == 2 else None)


# ---------------------------------------------------------------- comparing


def values_of(columns: Columns, column: str) -> tuple[Any, ...]:
    """The values of a column by its name in the rules; () where none is known."""
    if column in MULTIPLE:
        many: tuple[str, ...] = getattr(columns, "addresses" if column == "address" else f"{column}s")
        return many
    if column == "room":
        return columns.rooms
    value = getattr(columns, column)
    return () if value is None else (value,)


def conflicts(what: str, one: Columns, other: Columns) -> bool:
    """Whether a column is known of both and different, or a fact holds."""
    if what == "same_system":
        return one.scope == other.scope
    if what in ("blocked", "deceased"):
        return what in one.flags or what in other.flags
    if what == "company":
        return what in one.flags or what in other.flags
    if what == "room":
        return _other_rooms(one, other)
    mine, yours = values_of(one, what), values_of(other, what)
    return bool(mine and yours and not set(mine) & set(yours))


def _other_rooms(one: Columns, other: Columns) -> bool:
    """In one house, and no room in common where both say which."""
    mine, yours = ([room.rpartition("#") for room in side.rooms] for side in (one, other))
    houses = {house for house, _, _ in mine} & {house for house, _, _ in yours}
    return bool(houses) and not any(room in yours for room in mine if room[0] in houses)


def blocks_of(columns: Columns, rules: Mapping[str, Rule]) -> Iterator[tuple[str, int]]:
    """(rule, digest) of every combination of values a rule compares; equal digests mean agreement."""
    if "merged" in columns.flags:
        return
    for name, rule in rules.items():
        values = [values_of(columns, column) for column in rule.agree]
        combinations = 1
        for each in values:
            combinations *= len(each)
        if not 0 < combinations <= _MOST_KEYS:
            continue
        for chosen in product(*values):
            text = "\x1f".join((name, *map(str, chosen)))
            digest = blake2b(text.encode(), digest_size=8).digest()
            yield name, int.from_bytes(digest, "big", signed=True)
