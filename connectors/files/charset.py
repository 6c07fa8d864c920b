"""Characters of a partner's file: CP932 as Windows writes it, substitutions by rule, corruption found.

Facts behind the rules (tried with CPython, glibc iconv and OpenJDK):

* For 373 characters CP932 has two codes. CPython's encoder picks the NEC one (ED/EE), Windows, Java and iconv the
  IBM one (FA/FB/FC); hosts that check code ranges refuse the first. `Charset.encode` gives the second.
* The bytes 80, A0, FD, FE, FF decode without an error, to U+0080 and U+F8F0..F8F3. They are corruption.
* F040..F9FC is the user area (外字): it decodes to U+E000..U+E757 and means something inside one company only.
"""

from __future__ import annotations

import csv
import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

__all__ = [
    "CORRUPT",
    "Charset",
    "Finding",
    "Replacements",
    "codec_name",
    "corrupt_characters",
    "default_replacements",
    "detect_encoding",
    "first_bad_byte",
    "load_replacements",
    "private_characters",
]

CORRUPT = "\x80\uf8f0\uf8f1\uf8f2\uf8f3"
"""What CP932 gives for the single bytes 80, A0, FD, FE, FF, which no host means."""

_CODECS = {
    **dict.fromkeys(
        ("cp932", "ms932", "windows31j", "windows932", "mskanji", "shiftjis", "sjis", "csshiftjis"), "cp932"
    ),
    **dict.fromkeys(("shiftjisstrict", "jisx0208"), "shift_jis"),
    **dict.fromkeys(("utf8", "utf8sig", "utf8bom"), "utf-8"),
    **dict.fromkeys(("eucjp", "ujis"), "euc_jp"),
    **dict.fromkeys(("ascii", "usascii"), "ascii"),
}


def codec_name(name: str) -> str:
    """Python's codec for what a partner calls its encoding: "Shift_JIS" and "Windows-31J" are `cp932`.

    The codec that refuses ①㈱髙 is asked for as "shift_jis_strict". Raises ValueError for what is not known.
    """
    folded = re.sub(r"[^a-z0-9]", "", name.lower())
    try:
        return _CODECS[folded]
    except KeyError:
        raise ValueError(
            f"unknown encoding {name!r}; known: cp932 (Shift_JIS), shift_jis_strict, utf-8, euc_jp, ascii"
        ) from None


# ---------------------------------------------------------------- what was changed on the way out


@dataclass(frozen=True, slots=True)
class Finding:
    """One character (or value) that left in another form than it had.

    kind   `fold` same sign under another code point, `table` the partner's table, `compatible` a Unicode
           equivalent, `substitute` nothing fitted, `forbidden` a character the layout bans, `cut` a value too long
    row    1-based row of the written file, column its name in the layout; filled in by the writer
    """

    kind: str
    original: str
    substitute: str
    row: int | None = None
    column: str | None = None

    @property
    def code_points(self) -> str:
        """The original as "U+20BB7", several joined by blanks."""
        return " ".join(f"U+{ord(c):04X}" for c in self.original)

    @property
    def grave(self) -> bool:
        """Whether a reader sees another text than was meant (a fold looks the same)."""
        return self.kind != "fold"

    def describe(self, language: str = "en") -> str:
        """One line for the operator."""
        if language == "ja":
            where = f"{self.row}行目 " if self.row else ""
            if self.kind == "cut":
                return f"{where}列「{self.column}」: 長すぎるため「{self.substitute}」に切詰め（元: {self.original}）"
            return f"{where}列「{self.column}」: {self.original} ({self.code_points}) を「{self.substitute}」に置換"
        where = f"row {self.row}, " if self.row else ""
        if self.kind == "cut":
            return (
                f"{where}column {self.column}: too long, cut to {self.substitute!r} (was {self.original!r})"
            )
        return f"{where}column {self.column}: {self.original} ({self.code_points}) became {self.substitute!r}"


# ---------------------------------------------------------------- replacement tables


@dataclass(frozen=True, slots=True)
class Replacements:
    """A partner's table: `always` is applied first, `fallback` only to what cannot be encoded."""

    always: Mapping[str, str] = field(default_factory=dict)
    fallback: Mapping[str, str] = field(default_factory=dict)

    def over(self, base: Replacements) -> Replacements:
        """This table with `base` where it says nothing."""
        return Replacements({**base.always, **self.always}, {**base.fallback, **self.fallback})


def load_replacements(path: Path) -> Replacements:
    """Read a table `from,to,when,note` in UTF-8; `when` is `always` or `unencodable` (also when left out).

    Raises ValueError naming file and line when a row is not of that form.
    """
    always: dict[str, str] = {}
    fallback: dict[str, str] = {}
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        if not {"from", "to"} <= set(reader.fieldnames or ()):
            raise ValueError(f"{path}: the first line must name the columns from,to[,when,note]")
        for row in reader:
            when = (row.get("when") or "unencodable").strip()
            source = row["from"] or ""
            if len(source) != 1 or when not in ("always", "unencodable"):
                raise ValueError(
                    f"{path}:{reader.line_num}: `from` is one character, `when` always or unencodable"
                )
            (always if when == "always" else fallback)[source] = row["to"] or ""
    return Replacements(always, fallback)


@cache
def default_replacements() -> Replacements:
    """Fallbacks people use for names (𠮷 to 吉); shipped beside this module, an own table goes over it."""
    return load_replacements(Path(__file__).parent / "tables" / "replacements.csv")


# ---------------------------------------------------------------- encoding


@cache
def _ibm_codes() -> Mapping[str, bytes]:
    """The 373 characters for which CPython picks ED/EE, with the FA/FB/FC code Windows, Java and iconv write."""
    codes: dict[str, bytes] = {}
    for lead in (0xFA, 0xFB, 0xFC):
        for trail in (*range(0x40, 0x7F), *range(0x80, 0xFD)):
            pair = bytes((lead, trail))
            try:
                character = pair.decode("cp932")
            except UnicodeDecodeError:
                continue
            if character.encode("cp932")[0] in (0xED, 0xEE):
                codes[character] = pair
    return codes


@cache
def _special() -> re.Pattern[str]:
    """Characters CP932 encodes, but not as it should: the 373, and the five that are corruption."""
    return re.compile(f"[{''.join(_ibm_codes())}{CORRUPT}]")


def _as_cp932(text: str) -> bytes:
    """`text` in the bytes Windows writes. Raises UnicodeEncodeError, also for the five corrupt characters."""
    plain = text.encode("cp932")
    found = _special().search(text)
    if found is None:
        return plain
    codes = _ibm_codes()
    parts: list[bytes] = []
    start = 0
    for match in _special().finditer(text):
        character = match.group()
        if character not in codes:
            raise UnicodeEncodeError("cp932", text, match.start(), match.end(), "corrupt character")
        parts += (text[start : match.start()].encode("cp932"), codes[character])
        start = match.end()
    parts.append(text[start:].encode("cp932"))
    return b"".join(parts)


_FOLDS = {
    "\u2014": "\u2015",  # em dash: Java's and the Mac's reading of 815C
    "\u00a5": "\uffe5",
    "\u00a0": " ",
    "\u203e": "\uffe3",
    "\u00a6": "\uffe4",
    "\u22ef": "\u2026",
    "\u2022": "\u30fb",
    "\u3094": "\u30f4",
    **dict.fromkeys(("\u200b", "\u200c", "\u200d", "\ufeff", "\ufe0e", "\ufe0f"), ""),
    **{chr(c): "" for c in range(0xE0100, 0xE01F0)},  # variation selectors: the plain kanji stays
}
_HYPHENS = ("\u2011", "\u2012", "\u2013")
_CODE_HYPHENS = frozenset((*_HYPHENS, "\u2010", "\u2212", "\uff0d"))
_TO_STRICT = {"\uff5e": "\u301c", "\u2225": "\u2016", "\uff0d": "\u2212", "\uffe0": "\u00a2", "\uffe1": "\u00a3",
              "\uffe2": "\u00ac", "\u2014": "\u2015"}  # fmt: skip
_KANA_MARK = re.compile("[\u3040-\u30ff][\u3099\u309a]")


def compose_kana(text: str) -> str:
    """か + U+3099 to が, and nothing else: NFC over everything would destroy 22 kanji of CP932."""
    return _KANA_MARK.sub(lambda found: unicodedata.normalize("NFC", found.group()), text)


def _compatible(character: str) -> str:
    """The Unicode compatibility form without accents: ㍿ to 株式会社, é to e; "" when there is none."""
    parts = unicodedata.normalize("NFKD", character)
    bare = "".join(c for c in parts if unicodedata.category(c) != "Mn")
    return "" if bare == character else unicodedata.normalize("NFC", bare)


@dataclass(frozen=True)
class Charset:
    """How text becomes bytes for one partner. Encoding never fails for a character; it reports.

    encoding    see `codec_name`
    substitute  what stands where nothing else fits: 〓, ＊ or ?
    """

    encoding: str = "cp932"
    substitute: str = "〓"
    replacements: Replacements = field(default_factory=default_replacements)

    def __post_init__(self) -> None:
        object.__setattr__(self, "encoding", codec_name(self.encoding))
        if self.encoding == "ascii" and self.substitute == "〓":
            object.__setattr__(self, "substitute", "?")
        if not self._fits(self.substitute):
            raise ValueError(f"the substitute {self.substitute!r} cannot be written in {self.encoding}")

    def _strict(self, text: str) -> bytes:
        return _as_cp932(text) if self.encoding == "cp932" else text.encode(self.encoding)

    def clean(self, text: str, *, ascii_hyphen: bool = False) -> tuple[str, tuple[Finding, ...]]:
        """`text` in characters the partner can take, and every one that had to be changed.

        `ascii_hyphen`: the field holds codes or telephone numbers, every hyphen becomes "-".
        """
        hyphens = ascii_hyphen and not _CODE_HYPHENS.isdisjoint(text)
        if not self.replacements.always and not hyphens:
            try:
                self._strict(text)
            except UnicodeEncodeError:
                pass
            else:
                return text, ()
        findings: list[Finding] = []
        parts: list[str] = []
        for character in compose_kana(text):
            replaced, kind = self._one(character, ascii_hyphen)
            parts.append(replaced)
            if kind is not None:
                findings.append(Finding(kind, character, replaced))
        return "".join(parts), tuple(findings)

    def encode(self, text: str, *, ascii_hyphen: bool = False) -> tuple[bytes, tuple[Finding, ...]]:
        """`clean` and then the bytes."""
        cleaned, findings = self.clean(text, ascii_hyphen=ascii_hyphen)
        return self._strict(cleaned), findings

    def strict(self, text: str) -> bytes:
        """The bytes of text that is clean already. Raises UnicodeEncodeError for any other."""
        return self._strict(text)

    def _fits(self, text: str) -> bool:
        try:
            self._strict(text)
        except UnicodeEncodeError:
            return False
        return True

    def _one(self, character: str, ascii_hyphen: bool) -> tuple[str, str | None]:
        """What stands for one character, and why; None when it stays as it is."""
        replaced = self.replacements.always.get(character)
        if replaced is not None:
            return (replaced, "table") if self._fits(replaced) else (self.substitute, "substitute")
        if ascii_hyphen and character in _CODE_HYPHENS:
            return "-", "fold"
        if self._fits(character):
            return character, None
        for kind, candidate in self._candidates(character):
            if self._fits(candidate):
                return candidate, kind
        return self.substitute, "substitute"

    def _candidates(self, character: str) -> Iterable[tuple[str, str]]:
        if character in _HYPHENS:
            yield "fold", "\uff0d" if self.encoding == "cp932" else "\u2212"
            yield "fold", "-"
        folds = _TO_STRICT if self.encoding in ("shift_jis", "euc_jp") and character in _TO_STRICT else _FOLDS
        if character in folds:
            yield "fold", folds[character]
        if character in self.replacements.fallback:
            yield "table", self.replacements.fallback[character]
        compatible = _compatible(character)
        if compatible:
            yield "compatible", compatible

    def cut(self, encoded: bytes, length: int) -> bytes:
        """At most `length` bytes of `encoded`, never half a character (a lone lead byte would eat its neighbour)."""
        if len(encoded) <= length:
            return encoded
        kept = encoded[:length].decode(self.encoding, "ignore")
        return self._strict(kept)


# ---------------------------------------------------------------- decoding


_NOT_PRIVATE_HIGH = bytes(b for b in range(256) if not (0xE0 <= b <= 0xE7 or b == 0xF8))
_PRIVATE = re.compile("[\ue000-\ue757]")
_CORRUPT = re.compile(f"[\x00\ufffd{CORRUPT}]")


def may_hold_trouble(text: str) -> bool:
    """Whether `text` may hold private or corrupt characters; fast, and wrong only on the side of yes.

    Looks at the high bytes of UTF-16, at about one nanosecond a character: a regular expression takes three times
    that, which is felt on files of a hundred megabytes.
    """
    if text.isascii():
        return "\x00" in text
    high = text.encode("utf-16-le", "surrogatepass")[1::2]
    return (
        bool(high.translate(None, _NOT_PRIVATE_HIGH)) or "\x80" in text or "\x00" in text or "\ufffd" in text
    )


def corrupt_characters(text: str) -> list[str]:
    """Characters of decoded text that no host means: NUL, the five of `CORRUPT`, U+FFFD."""
    return _CORRUPT.findall(text)


def private_characters(text: str) -> list[str]:
    """Private characters (外字) of decoded text, U+E000..U+E757."""
    return _PRIVATE.findall(text)


def first_bad_byte(raw: bytes, encoding: str) -> tuple[int, int] | None:
    """Offset and value of the first byte of `raw` that is not in `encoding`, or None.

    A byte that CP932 decodes to one of `CORRUPT` counts as bad.
    """
    codec = codec_name(encoding)
    try:
        text, undecodable = raw.decode(codec), None
    except UnicodeDecodeError as error:
        text, undecodable = raw[: error.start].decode(codec), (error.start, raw[error.start])
    if codec == "cp932":
        found = re.search(f"[{CORRUPT}]", text)
        if found is not None:
            offset = len(text[: found.start()].encode("cp932"))
            return offset, raw[offset]
    return undecodable


def detect_encoding(head: bytes, expected: Collection[str] = ()) -> str:
    """The encoding of a file by its head: strict UTF-8 first, then CP932, confirmed by words of its header.

    UTF-8 first, because Japanese text in UTF-8 often decodes as CP932 without an error (東京都 as 譚ｱ莠ｬ驛ｽ).
    Raises ValueError when neither fits or none of the expected words is found.
    """
    complete = head[: head.rfind(b"\n") + 1] or head
    wanted = {unicodedata.normalize("NFKC", word).strip() for word in expected}
    fitting: list[str] = []
    for codec in ("utf-8-sig", "cp932"):
        try:
            text = complete.decode(codec)
        except UnicodeDecodeError:
            continue
        fitting.append(codec)
        folded = unicodedata.normalize("NFKC", text)
        if not wanted or any(word in folded for word in wanted):
            return (
                "cp932" if text.isascii() and not complete.startswith(b"\xef\xbb\xbf") else codec_name(codec)
            )
    if not fitting:
        raise ValueError("the file is neither UTF-8 nor CP932 (Shift_JIS)")
    raise ValueError("none of the expected column names is in the file's first lines")
