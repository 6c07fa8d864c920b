"""What a person is recognised by, and the many ways it may be written.

Texts are compared folded: NFKC (half-width kana become full-width, full-width digits ASCII), lower case, without
blanks, hyphens and brackets. So `ﾔﾏﾀﾞ ﾀﾛｳ` is `ヤマダタロウ`, and 090-1234-5678 is 09012345678.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from connectors.transport.redaction import is_personal_key
from mappings.transforms.japan import halfwidth_kana

__all__ = ["FOLDED", "Person", "clean", "clean_record", "fold", "forms", "leaves", "patterns"]

_DROPPED = " \t\r\n-‐‑–−()"
_DROP = str.maketrans("", "", _DROPPED)
_LONG_ENOUGH = 2
_UNSPACED = re.compile(r"[^\W\da-zA-Z_]{2,12}")
_CODECS = ("utf-8", "cp932", "euc_jp", "utf-16-le", "utf-16-be")
_SPLITS = ((3, 4, 4), (2, 4, 4), (3, 3, 4), (4, 2, 4), (4, 3, 3), (5, 1, 4), (4, 3, 4))

FOLDED = "lower(translate(normalize({0}, NFKC), E'" + " \\t\\r\\n\\-‐‑–−()'".replace("\\-", "-") + ", ''))"
"""The same in SQL, over a text."""


def fold(text: str) -> str:
    """A text as it is compared."""
    return unicodedata.normalize("NFKC", text).translate(_DROP).lower()


def leaves(value: Any) -> Iterator[str]:
    """Every text in JSON-like data, the keys of objects left out."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from leaves(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from leaves(item)


def forms(value: str) -> set[str]:
    """How a value may be written: widths, kana, blanks, hyphens of phone numbers."""
    plain = unicodedata.normalize("NFKC", value).strip()
    closed = re.sub(r"\s+", "", plain)
    found = {value, value.strip(), plain, closed, plain.replace(" ", "\u3000"), value.lower(), value.upper()}
    half = halfwidth_kana()(plain)
    if half:
        found |= {half, half.replace(" ", "")}
    if _UNSPACED.fullmatch(plain):  # a name typed without the blank that stands in it elsewhere
        for at in range(1, len(plain)):
            spaced = f"{plain[:at]} {plain[at:]}"
            found |= {spaced, spaced.replace(" ", "\u3000"), halfwidth_kana()(spaced) or spaced}
    digits = re.sub(r"\D", "", plain)
    if len(digits) >= 9 and not re.search(r"[^\d+() -]", plain):
        found |= _phones(digits, plain.startswith("+"))
    return {form for form in found if len(form) >= _LONG_ENOUGH}


def _phones(digits: str, international: bool) -> set[str]:
    local = f"0{digits[2:]}" if international and digits.startswith("81") else digits
    found = {digits, local}
    if local.startswith("0"):
        found.add(f"+81{local[1:]}")
    for split in _SPLITS:
        if sum(split) == len(local):
            a, b = split[0], split[0] + split[1]
            parts = local[:a], local[a:b], local[b:]
            found |= {"-".join(parts), " ".join(parts), "({}){}-{}".format(*parts), "{}({}){}".format(*parts)}
            if local.startswith("0"):
                found.add("+81-" + "-".join((parts[0][1:], *parts[1:])))
    wide = str.maketrans("0123456789-", "０１２３４５６７８９－")
    return found | {form.translate(wide) for form in found}


def patterns(values: Iterable[str]) -> list[bytes]:
    """The values in all their forms and encodings, as they may stand in bytes; longest first."""
    found: set[bytes] = set()
    for value in values:
        for form in forms(value):
            escaped = json.dumps(form)[1:-1]
            for text in {form, escaped, escaped.upper().replace("\\U", "\\u")}:
                for codec in _CODECS:
                    try:
                        found.add(text.encode(codec))
                    except UnicodeEncodeError:
                        continue
    return sorted((one for one in found if len(one) >= _LONG_ENOUGH), key=len, reverse=True)


@dataclass(slots=True)
class Person:
    """What is known of one person, folded. `texts` has each as it was written, for searching in bytes.

    keys       customer keys, as they are
    addresses  street and house, without prefecture and postal code
    """

    keys: set[str] = field(default_factory=set)
    emails: set[str] = field(default_factory=set)
    phones: set[str] = field(default_factory=set)
    names: set[str] = field(default_factory=set)
    kana: set[str] = field(default_factory=set)
    postal: set[str] = field(default_factory=set)
    addresses: set[str] = field(default_factory=set)
    texts: dict[str, set[str]] = field(default_factory=dict)

    # ------------------------------------------------------------ learning

    def learn_customer(self, content: Mapping[str, Any]) -> None:
        """Take in what a customer entity says."""
        self._key(content.get("key"))
        self._name(content.get("name"))
        for email in content.get("emails", ()):
            self._note(self.emails, email)
        for phone in content.get("phones", ()):
            self._note(self.phones, phone)
        for identity in content.get("identities", ()):
            if "@" in str(identity.get("id")):
                self._note(self.emails, identity["id"])
        for entry in content.get("addresses", ()):
            self._address(entry.get("address"))
            if entry.get("phone") and not entry.get("name"):
                self._note(self.phones, entry["phone"])

    def learn_party(self, party: Mapping[str, Any]) -> None:
        """Take in what an order says of the person."""
        self._name(party.get("name"))
        self._address(party.get("address"))
        for known, value in ((self.phones, party.get("phone")), (self.emails, party.get("email"))):
            if value:
                self._note(known, value)

    def _note(self, known: set[str], value: str, least: int = _LONG_ENOUGH) -> None:
        folded = fold(value)
        if len(folded) >= least:
            known.add(folded)
            self.texts.setdefault(folded, set()).add(value)

    def _key(self, key: str | None) -> None:
        if key:
            self.keys.add(key)
            own = key.partition("/")[2]
            if "@" in own:
                self._note(self.emails, own)

    def _name(self, name: Mapping[str, Any] | None) -> None:
        name = name or {}
        for known, parts in (
            (self.names, ("full", "family", "given")),
            (self.kana, ("full_kana", "family_kana", "given_kana")),
        ):
            whole, family, given = (name.get(part) or "" for part in parts)
            for text in (whole, f"{family} {given}" if family and given else ""):
                if text:
                    self._note(known, text)
                    self._note(known, text.replace(" ", "\u3000"))

    def _address(self, address: Mapping[str, Any] | None) -> None:
        address = address or {}
        if address.get("postal_code"):
            self.postal.add(fold(address["postal_code"]))
        street = "".join(address.get(part) or "" for part in ("town", "street"))
        for text in (street, address.get("street") or "", *address.get("lines", ())):
            self._note(self.addresses, text, 5)
        self._note(self.addresses, address.get("building") or "", 5)

    # ------------------------------------------------------------ recognising

    def is_party(self, party: Mapping[str, Any]) -> bool:
        """Whether somebody named on an order is this person.

        By the e-mail address; by the phone number and the name, or the number where no other name stands beside it;
        by the name and where they live. A name alone is nobody.
        """
        if party.get("email") and fold(party["email"]) in self.emails:
            return True
        name = party.get("name") or {}
        same_name = self._same(name, "", self.names) or self._same(name, "_kana", self.kana)
        if party.get("phone") and fold(party["phone"]) in self.phones:
            return same_name or not name
        address = party.get("address") or {}
        lines = (address.get("street"), *address.get("lines", ()))
        there = any(fold(line) in self.addresses for line in lines if line)
        return same_name and (
            there or (bool(address) and fold(address.get("postal_code") or "-") in self.postal)
        )

    def is_named(self, party: Mapping[str, Any]) -> bool:
        """Whether somebody has the person's name, and an e-mail address or phone number of the person."""
        name = party.get("name") or {}
        return self.is_party(party) and (
            self._same(name, "", self.names) or self._same(name, "_kana", self.kana)
        )

    def _same(self, name: Mapping[str, Any], ending: str, known: set[str]) -> bool:
        family, given = name.get(f"family{ending}"), name.get(f"given{ending}")
        whole = name.get(f"full{ending}") or (f"{family}{given}" if family and given else "")
        return bool(whole) and fold(str(whole)) in known

    @property
    def sure(self) -> set[str]:
        """Folded values that belong to nobody else: e-mail addresses, phone numbers."""
        return self.emails | {phone for phone in self.phones if len(phone) >= 9}

    @property
    def telling(self) -> set[str]:
        """Folded values to be taken out of any text about the person."""
        long = {one for known in (self.names, self.kana, self.addresses) for one in known if len(one) >= 3}
        return self.sure | long | {fold(key) for key in self.keys if "@" in key}

    def written(self, folded: Iterable[str]) -> set[str]:
        """Folded values as they were written."""
        return {text for one in folded for text in self.texts.get(one, {one})}

    def mentioned(self, text: str) -> bool:
        """Whether a text holds anything telling."""
        body = fold(text)
        return any(one in body for one in self.telling)

    def surely(self, text: str) -> bool:
        """Whether a text holds an e-mail address or phone number of the person, or name and address."""
        body = fold(text)
        if any(one in body for one in self.sure):
            return True
        named = any(one in body for one in self.names | self.kana)
        return named and any(one in body for one in self.addresses)


def clean(value: Any, person: Person, renamed: Mapping[str, str], mask: str) -> Any:
    """JSON-like data without what is telling: keys of customers by their new ones, the rest by `mask`."""
    if isinstance(value, Mapping):
        return {name: clean(item, person, renamed, mask) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [clean(item, person, renamed, mask) for item in value]
    if not isinstance(value, str):
        return mask if isinstance(value, int) and fold(str(value)) in person.sure else value
    if value in renamed:
        return renamed[value]
    for old, new in renamed.items():
        if old in value and "@" in old:
            value = value.replace(old, new)
    if not person.mentioned(value):
        return value
    for text in sorted(person.written(person.telling), key=len, reverse=True):
        for form in sorted(forms(text), key=len, reverse=True):
            value = value.replace(form, mask)
    return mask if person.mentioned(value) else value


def clean_record(value: Any, person: Person) -> Any:
    """Somebody else's record in the shape of its system, without this person: where an object inside it surely speaks
    of the person, all that is personal by its key goes; elsewhere what is telling.
    """
    if isinstance(value, list):
        return [clean_record(item, person) for item in value]
    if not isinstance(value, Mapping):
        return clean(value, person, {}, "")
    direct = [item for item in value.values() if isinstance(item, str)]
    if person.surely("".join(direct)) or person.surely("\n".join(direct)):
        flat = {name: item for name, item in value.items() if not isinstance(item, Mapping | list)}
        rest = {name: clean_record(item, person) for name, item in value.items() if name not in flat}
        own = {name: "" if is_personal_key(name) or is_personal_key(f"customer.{name}") else item
               for name, item in flat.items()}  # fmt: skip
        own = clean(own, person, {}, "")
        return {name: own[name] if name in own else rest[name] for name in value}
    return {name: clean_record(item, person) for name, item in value.items()}
