"""Transforms of what is written in a Japanese way: kana, telephone numbers, addresses, time windows, JAN codes.

What looks numbers up in large tables (`phonenumbers`, `stdnum`) is imported by the transforms that ask it.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Any, Literal

from mappings.faults import TransformFault
from mappings.transforms.registry import Step, as_text, transform
from mappings.transforms.text import compose_kana

_HALF_KANA = re.compile("[\uff61-\uff9f]+")
_NOT_PLAIN_KANA = re.compile("[\uff61-\uff9f\u3099\u309a]")
_HIRAGANA = {code: code + 0x60 for code in (*range(0x3041, 0x3097), 0x309D, 0x309E)}


def _widen(run: re.Match[str]) -> str:
    # NFKC of half-width kana alone is safe: it gives the full-width letter and joins the marks that follow it
    wide = unicodedata.normalize("NFKC", run.group())
    return wide.replace("\u3099", "\u309b").replace("\u309a", "\u309c")


def to_kana(value: Any) -> str | None:
    """Half-width kana to full-width, marks composed (ｶﾞ -> ガ)."""
    body = as_text(value)
    if _NOT_PLAIN_KANA.search(body) is not None:
        body = compose_kana(_HALF_KANA.sub(_widen, body)).strip()
    return body or None


@transform(
    "kana",
    gives="text",
    ja="半角カナを全角カタカナにし、濁点を合成します。",
    en="Half-width kana to full-width katakana, voice marks composed.",
    examples=[({}, "ﾔﾏﾀﾞ ﾀﾛｳ", "ヤマダ タロウ"), ({}, "ﾊﾟﾋﾟ", "パピ")],
)
def kana() -> Step:
    return to_kana


@transform(
    "katakana",
    gives="text",
    ja="半角カナとひらがなを全角カタカナにします。",
    en="Half-width kana and hiragana to full-width katakana.",
    examples=[({}, "やまだ ﾀﾛｳ", "ヤマダ タロウ"), ({}, "ゔ", "ヴ")],
)
def katakana() -> Step:
    def step(value: Any) -> str | None:
        body = to_kana(value)
        return None if body is None else body.translate(_HIRAGANA)

    return step


def _half_kana_table() -> dict[int, str]:
    table: dict[int, str] = {}
    for code in range(0xFF61, 0xFFA0):
        full = unicodedata.normalize("NFKC", chr(code))
        table[ord(full)] = chr(code)
        for mark in "ﾞﾟ":
            voiced = unicodedata.normalize("NFKC", chr(code) + mark)
            if len(voiced) == 1:
                table[ord(voiced)] = chr(code) + mark
    return table | {0x309B: "ﾞ", 0x309C: "ﾟ", 0x30FC: "ｰ", 0x3000: " "}


_HALF = _half_kana_table()
_BANK = str.maketrans("ｧｨｩｪｫｬｭｮｯｰ", "ｱｲｳｴｵﾔﾕﾖﾂ-")


@transform(
    "halfwidth_kana",
    gives="text",
    ja="仮名を半角カナにします(送り状など)。bank: true で全銀の字(小さい字を大きく、ー を - に、英字は大文字)。",
    en="Kana to half-width katakana (labels). bank: true for 全銀 files: small kana made large, ー made -, capitals.",
    examples=[({}, "ヤマダ　たろう", "ﾔﾏﾀﾞ ﾀﾛｳ"), ({"bank": True}, "ショップ", "ｼﾖﾂﾌﾟ")],
)
def halfwidth_kana(*, bank: bool = False) -> Step:
    def step(value: Any) -> str | None:
        body = compose_kana(as_text(value)).translate(_HIRAGANA).translate(_HALF)
        if bank:
            body = body.translate(_BANK).upper()
        return body.strip() or None

    return step


# ---------------------------------------------------------------- telephone, postal code, e-mail

_PHONE_SIGNS = str.maketrans("", "", "-() .")


def to_phone(value: Any) -> str | None:
    """Digits as dialled in Japan, or + and the country code; 3 to 15 digits."""
    if value.__class__ is str:
        digits = value.replace("-", "")
        if digits.isdecimal() and digits.isascii() and 3 <= len(digits) <= 15:
            return digits
    body = as_text(value)
    if not body:
        return None
    if not body.isascii():
        body = unicodedata.normalize("NFKC", body)
        for dash in "‐‑–—−ー":
            body = body.replace(dash, "-")
    digits = body.translate(_PHONE_SIGNS)
    if digits.startswith("+81"):
        digits = "0" + digits[3:].removeprefix("0")
    bare = digits.removeprefix("+")
    if not bare.isdecimal() or not 3 <= len(bare) <= 15:
        raise TransformFault("not_a_phone")
    return digits


@lru_cache(maxsize=10_000)
def _is_possible(number: str) -> bool:
    import phonenumbers

    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(number, "JP"))
    except phonenumbers.NumberParseException:
        return False


@transform(
    "phone",
    gives="text",
    ja="電話番号を数字だけにします(+81 は 0 に)。strict: true で実在しうる番号か確かめます。",
    en="A telephone number in digits (+81 becomes 0). strict: true checks that such a number can exist.",
    examples=[
        ({}, "03-1234-5678", "0312345678"),
        ({}, "＋８１ ９０（1234）5678", "09012345678"),
        ({}, "+1 212 555 0100", "+12125550100"),
    ],
)
def phone(*, strict: bool = False) -> Step:
    if not strict:
        return to_phone

    def step(value: Any) -> str | None:
        digits = to_phone(value)
        if digits is not None and not _is_possible(digits):
            raise TransformFault("not_a_phone")
        return digits

    return step


@lru_cache(maxsize=10_000)
def _hyphens(digits: str) -> str:
    import phonenumbers

    try:
        number = phonenumbers.parse(digits, "JP")
    except phonenumbers.NumberParseException:
        return digits
    national = number.country_code == 81
    form = (
        phonenumbers.PhoneNumberFormat.NATIONAL if national else phonenumbers.PhoneNumberFormat.INTERNATIONAL
    )
    return phonenumbers.format_number(number, form)


@transform(
    "format_phone",
    gives="text",
    ja="電話番号にハイフンを入れます(市外局番に従います)。",
    en="A telephone number with hyphens where Japan's area codes put them.",
    examples=[({}, "0312345678", "03-1234-5678"), ({}, "09012345678", "090-1234-5678")],
)
def format_phone() -> Step:
    def step(value: Any) -> str | None:
        digits = to_phone(value)
        return None if digits is None else _hyphens(digits)

    return step


def to_postal_code(value: Any) -> str | None:
    """Seven digits; 〒, hyphens and full-width digits are read."""
    if value.__class__ is str:
        if len(value) == 7 and value.isdecimal() and value.isascii():
            return value
        if len(value) == 8 and value[3] == "-" and value.isascii() and (value[:3] + value[4:]).isdecimal():
            return value[:3] + value[4:]
    body = as_text(value)
    if not body:
        return None
    folded = unicodedata.normalize("NFKC", body).replace("〒", "")
    digits = re.sub(r"[\s‐‑–—−ー-]", "", folded)
    if len(digits) != 7 or not digits.isdecimal():
        raise TransformFault("not_a_postal_code")
    return digits


@transform(
    "postal_code",
    gives="text",
    ja="郵便番号を7桁の数字にします。",
    en="A Japanese postal code: seven digits.",
    examples=[({}, "100-0001", "1000001"), ({}, "〒１００－０００１", "1000001")],
)
def postal_code() -> Step:
    return to_postal_code


@transform(
    "format_postal_code",
    gives="text",
    ja="郵便番号にハイフンを入れます(100-0001)。外国の番号はそのまま。",
    en="A postal code with its hyphen (100-0001); foreign ones stay.",
    examples=[({}, "1000001", "100-0001")],
)
def format_postal_code() -> Step:
    def step(value: Any) -> str | None:
        body = as_text(value)
        if len(body) == 7 and body.isdecimal():
            return f"{body[:3]}-{body[3:]}"
        return body or None

    return step


_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]+")


@transform(
    "email",
    gives="text",
    ja="メールアドレスにします(全角英数字は半角に、ドメインは小文字に)。",
    en="An e-mail address; full-width letters to half-width, the domain in lower case.",
    examples=[
        ({}, " Taro@Example.CO.JP ", "Taro@example.co.jp"),
        ({}, "ｔａｒｏ＠example.jp", "taro@example.jp"),
    ],
)
def email() -> Step:
    def step(value: Any) -> str | None:
        body = as_text(value)
        if not body:
            return None
        if not body.isascii():
            body = unicodedata.normalize("NFKC", body)
        if _EMAIL.fullmatch(body) is None:
            raise TransformFault("not_an_email")
        name, _, domain = body.rpartition("@")
        return f"{name}@{domain.lower()}"

    return step


# ---------------------------------------------------------------- addresses

_PREFECTURES = (
    "北海道 青森県 岩手県 宮城県 秋田県 山形県 福島県 茨城県 栃木県 群馬県 埼玉県 千葉県 東京都 神奈川県 新潟県 "
    "富山県 石川県 福井県 山梨県 長野県 岐阜県 静岡県 愛知県 三重県 滋賀県 京都府 大阪府 兵庫県 奈良県 和歌山県 "
    "鳥取県 島根県 岡山県 広島県 山口県 徳島県 香川県 愛媛県 高知県 福岡県 佐賀県 長崎県 熊本県 大分県 宮崎県 "
    "鹿児島県 沖縄県"
)
_STARTS = {name[:3]: name for name in _PREFECTURES.split()}


def _prefecture(address: str) -> str | None:
    name = _STARTS.get(address[:3])
    return name if name is not None and address.startswith(name) else None


@transform(
    "prefecture",
    gives="text",
    ja="一行の住所から都道府県名を取ります。なければ null、missing: fault で不備。",
    en="The prefecture a one-line address begins with; null, or a fault with missing: fault, when there is none.",
    examples=[({}, "東京都千代田区千代田1-1", "東京都"), ({}, "千代田区千代田", None)],
)
def prefecture(*, missing: Literal["null", "fault"] = "null") -> Step:
    def step(value: Any) -> str | None:
        body = as_text(value)
        name = _prefecture(body)
        if name is None and body and missing == "fault":
            raise TransformFault("no_prefecture")
        return name

    return step


@transform(
    "without_prefecture",
    gives="text",
    ja="一行の住所から都道府県名を除いた残りを取ります。",
    en="A one-line address without the prefecture it begins with.",
    examples=[({}, "神奈川県横浜市中区", "横浜市中区"), ({}, "千代田区千代田", "千代田区千代田")],
)
def without_prefecture() -> Step:
    def step(value: Any) -> str | None:
        body = as_text(value)
        return body.removeprefix(_prefecture(body) or "").strip() or None

    return step


# ---------------------------------------------------------------- time windows

_SLOT_WORDS = {
    "午前中": "morning", "午前": "morning", "am": "morning", "morning": "morning",
    "午後": "afternoon", "pm": "afternoon", "afternoon": "afternoon",
    "指定なし": None, "指定無し": None, "希望なし": None, "なし": None, "0": None, "00": None, "0000": None,
}  # fmt: skip
_SLOT = re.compile(
    r"(?P<a>\d{1,2})(?:(?::|時)(?P<am>\d{2})分?|時)?[-~](?P<b>\d{1,2})(?:(?::|時)(?P<bm>\d{2})分?|時)?"
    r"|(?P<a2>\d{1,2})(?P<b2>\d{2})|(?P<a4>\d{2})(?P<am4>\d{2})-?(?P<b4>\d{2})(?P<bm4>\d{2})"
)
_CANONICAL_SLOT = re.compile(r"[0-9]{4}-[0-9]{4}")
_TILDES = str.maketrans("～〜−ー–—‐", "~~-----")


@lru_cache(maxsize=1_000)
def _slot(body: str) -> str | None:
    text = unicodedata.normalize("NFKC", body).translate(_TILDES).lower()
    text = re.sub(r"\s|頃|の間|指定$", "", text)
    if text in _SLOT_WORDS:
        return _SLOT_WORDS[text]
    match = _SLOT.fullmatch(text.replace("から", "-").removesuffix("まで"))
    if match is None:
        raise TransformFault("not_a_slot")
    part = match.groupdict()
    start = int(part["a"] or part["a2"] or part["a4"]), int(part["am"] or part["am4"] or 0)
    end = int(part["b"] or part["b2"] or part["b4"]), int(part["bm"] or part["bm4"] or 0)
    if not (start < end <= (24, 0)) or start[1] > 59 or end[1] > 59:
        raise TransformFault("not_a_slot")
    return f"{start[0]:02d}{start[1]:02d}-{end[0]:02d}{end[1]:02d}"


@transform(
    "slot",
    gives="text",
    ja="配達時間帯にします: 午前中 → morning、14-16・1416・14時～16時・14:00～16:00 → 1400-1600、指定なし → null。",
    en="A delivery window: 午前中 gives morning; 14-16, 1416, 14時～16時, 14:00～16:00 give 1400-1600; 指定なし null.",
    examples=[
        ({}, "午前中", "morning"),
        ({}, "14-16", "1400-1600"),
        ({}, 1416, "1400-1600"),
        ({}, "14時～16時", "1400-1600"),
        ({}, "14:00〜16:00", "1400-1600"),
        ({}, "指定なし", None),
    ],
)
def slot() -> Step:
    def step(value: Any) -> str | None:
        body = as_text(value)
        return _slot(body) if body else None

    return step


@transform(
    "format_slot",
    gives="text",
    ja="配達時間帯を文字にします。style: short は 1416、japanese は 14時～16時・午前中。",
    en="A delivery window as text; style short: 1416, morning; japanese: 14時～16時, 午前中.",
    examples=[
        ({}, "1400-1600", "1416"),
        ({"style": "japanese"}, "1400-1600", "14時～16時"),
        ({"style": "japanese"}, "morning", "午前中"),
    ],
)
def format_slot(*, style: Literal["short", "japanese"] = "short") -> Step:
    japanese = style == "japanese"
    words = {"morning": "午前中" if japanese else "morning", "afternoon": "午後" if japanese else "afternoon"}

    def step(value: Any) -> str | None:
        body = as_text(value)
        if body in words or not body:
            return words.get(body)
        if _CANONICAL_SLOT.fullmatch(body) is None:
            raise TransformFault("not_a_slot")
        start, _, end = body.partition("-")
        if style == "short":
            return start[:2] + end[:2]
        return "～".join(f"{int(t[:2])}時" + (f"{t[2:]}分" if t[2:] != "00" else "") for t in (start, end))

    return step


# ---------------------------------------------------------------- JAN


@transform(
    "jan",
    gives="text",
    ja="JAN/GTIN(8、12、13、14桁)にし、チェックデジットを確かめます。",
    en="A JAN/GTIN of 8, 12, 13 or 14 digits, its check digit verified.",
    examples=[({}, "4901234567894", "4901234567894"), ({}, "４９０１２３４５６７８９４", "4901234567894")],
)
def jan() -> Step:
    from stdnum import ean

    def step(value: Any) -> str | None:
        body = unicodedata.normalize("NFKC", as_text(value)).replace("-", "").strip()
        if not body:
            return None
        if not body.isdecimal() or len(body) not in (8, 12, 13, 14):
            raise TransformFault("not_a_jan")
        expected = ean.calc_check_digit(body[:-1])
        if body[-1] != expected:
            raise TransformFault("jan_check_digit", expected=expected)
        return body

    return step
