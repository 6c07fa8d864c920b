"""Keeping secrets and personal data out of logs, error texts, traces and recordings.

Three things are masked: the configured secret values wherever they occur (also percent-encoded, JSON-escaped
or in base64), values under a key that names a secret, and values under a key that names personal data.
"""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Iterable, Mapping, MutableMapping
from functools import lru_cache
from itertools import pairwise
from typing import Any
from urllib.parse import parse_qsl, quote, quote_plus, urlencode, urlsplit, urlunsplit

from pydantic import BaseModel, SecretBytes, SecretStr

__all__ = ["MASK", "Redactor", "is_personal_key", "is_secret_key", "secret_values"]

MASK = "***"


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_SECRET_WORDS = _set(
    "password passwd passphrase secret token authorization bearer signature credential credentials cookie "
    "session apikey jwt hmac sig"
)
_KEYS_OF_DOORS = _set("api access private license licence service shared secret consumer auth signing")
_PERSONAL_WORDS = _set(
    "email emails mail phone phones tel telephone fax mobile zip zipcode postcode postal address addresses street kana "
    "furigana birth birthday birthdate dob gender sex note memo remark remarks inscription"
)
_NAME_OWNERS = _set(
    "family first last given full customer buyer orderer recipient contact sender consignee receiver member "
    "surname person"
)
_PERSONAL_JAPANESE = re.compile(
    r"氏名|お名前|住所|電話|携帯|メール|郵便番号|カナ|かな|フリガナ|ふりがな|生年月日|性別"
    r"|備考|作業者欄|メッセージ|名入れ|ご要望|通信欄|コメント"  # free text: people write names and addresses into it
    r"|(?:受注|購入者|注文者|注文主|依頼主|送付先|届け先|届先|発送先|配送先|送り先|お客様|顧客|会員|受取人)名"
)
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_WORD = re.compile(r"[A-Za-z]+")
_EMAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_PHONE = re.compile(r"(?<![\d-])(?:0\d{1,4}-\d{1,4}-\d{3,4}|0[5789]0\d{8})(?![\d-])")
_PAIR = re.compile(
    r"""(?P<key>["']?[\w.-]+["']?)(?P<sep>\s*[=:]\s*)"""
    r"""(?P<value>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[^\s&,;<>"'}\]]+)"""
)
_ELEMENT = re.compile(r"<(?P<key>[\w:.-]+)(?P<rest>[^<>]*)>(?P<value>[^<]+)<")
_SHORT = 4
"""Shorter secrets are masked only where they stand as a whole word, or half of every text would vanish."""
_MOST_LEARNED = 64
_EXCERPT_SOURCE = 64 * 1024


def _words(key: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(_HUMP.sub("_", key))]


@lru_cache(4096)
def is_secret_key(key: str) -> bool:
    """Whether a header, query or JSON key names a secret (`api_key`, `X-Auth-Token`, `licenseKey`)."""
    words = _words(key)
    if _SECRET_WORDS.intersection(words):
        return True
    return any(word == "key" and before in _KEYS_OF_DOORS for before, word in pairwise(words))


@lru_cache(4096)
def is_personal_key(key: str) -> bool:
    """Whether a key names personal data (`phoneNumber1`, `familyName`, `送付先住所`)."""
    words = _words(key)
    if _PERSONAL_WORDS.intersection(words) or _PERSONAL_JAPANESE.search(key):
        return True
    if "gift" in words and "message" in words:
        return True
    return "name" in words and bool(_NAME_OWNERS.intersection(words))


def secret_values(config: BaseModel) -> list[str]:
    """The plain values of every `SecretStr` and `SecretBytes` of a settings object, nested ones included."""
    found: list[str] = []

    def visit(value: object) -> None:
        if isinstance(value, SecretStr):
            found.append(value.get_secret_value())
        elif isinstance(value, SecretBytes):
            found.append(value.get_secret_value().decode("utf-8", "replace"))
        elif isinstance(value, BaseModel):
            for name in type(value).model_fields:
                visit(getattr(value, name))
        elif isinstance(value, Mapping):
            for item in value.values():
                visit(item)
        elif isinstance(value, (list, tuple, set, frozenset)):
            for item in value:
                visit(item)

    visit(config)
    return [value for value in found if value]


def _forms(secret: str) -> set[str]:
    """A secret as it may be written in URLs, JSON and headers."""
    escaped = json.dumps(secret)[1:-1]
    encoded = base64.b64encode(secret.encode()).decode()
    return {secret, quote(secret, safe=""), quote(secret), quote_plus(secret), escaped, encoded}


def _as_pattern(secret: str) -> str:
    escaped = re.escape(secret)
    return escaped if len(secret) >= _SHORT else rf"(?<!\w){escaped}(?!\w)"


class Redactor:
    """Masks what must not be seen. One per account; `learn` adds values that become known later (tokens).

    Threads may share it.
    """

    def __init__(self, secrets: Iterable[str | SecretStr] = ()) -> None:
        self._configured: set[str] = set()
        for secret in secrets:
            plain = secret.get_secret_value() if isinstance(secret, SecretStr) else secret
            if plain:
                self._configured |= _forms(plain)
        self._learned: dict[str, None] = {}
        self._lock = threading.Lock()
        self._pattern = self._compile()

    def learn(self, *values: str) -> None:
        """Mask these values from now on; only the newest 64 are kept beside the configured ones."""
        new = [value for value in values if len(value) >= _SHORT and value not in self._learned]
        if not new:
            return
        with self._lock:
            self._learned.update(dict.fromkeys(new))
            while len(self._learned) > _MOST_LEARNED:
                self._learned.pop(next(iter(self._learned)))
            self._pattern = self._compile()

    def text(self, text: str) -> str:
        """`text` without secret values, e-mail addresses, phone numbers and values of sensitive keys."""
        text = self._secrets(text)
        text = _EMAIL.sub(MASK, text)
        text = _PHONE.sub(MASK, text)
        text = _ELEMENT.sub(self._element, text)
        return _PAIR.sub(self._pair, text)

    def url(self, url: object) -> str:
        """A URL without user information, and with the values of sensitive query keys masked."""
        parts = urlsplit(str(url))
        host = parts.netloc.rpartition("@")[2]
        query = urlencode(
            [
                (key, MASK if is_secret_key(key) or is_personal_key(key) else self._plain(value))
                for key, value in parse_qsl(parts.query, keep_blank_values=True)
            ],
            safe="*",
        )
        return self._plain(urlunsplit((parts.scheme, host, parts.path, query, "")))

    def headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Headers with sensitive ones masked."""
        return {name: MASK if is_secret_key(name) else self._plain(value) for name, value in headers.items()}

    def data(self, value: Any) -> Any:
        """A copy of JSON-like data, masked by key and by value."""
        if isinstance(value, str):
            return self._plain(value)
        if isinstance(value, Mapping):
            return {key: self._member(str(key), item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.data(item) for item in value]
        if isinstance(value, (SecretStr, SecretBytes)):
            return MASK
        return value

    def excerpt(self, body: bytes, limit: int = 300) -> str:
        """The beginning of a body, fit for an error text: one line, masked, at most `limit` letters."""
        head = body[:_EXCERPT_SOURCE]
        try:
            text = json.dumps(self.data(json.loads(head)), ensure_ascii=False)
        except ValueError:
            text = self.text(head.decode("utf-8", "replace"))
        text = " ".join(text.split())
        return text if len(text) <= limit else text[:limit] + "…"

    def processor(
        self, _logger: Any, _method: str, event: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        """A structlog processor: put it before the renderer."""
        for key in list(event):
            event[key] = self._member(key, event[key])
        return event

    def _member(self, key: str, value: Any) -> Any:
        hide = value is not None and not isinstance(value, bool) and value != ""
        return MASK if hide and (is_secret_key(key) or is_personal_key(key)) else self.data(value)

    def _plain(self, text: str) -> str:
        return _PHONE.sub(MASK, _EMAIL.sub(MASK, self._secrets(text)))

    def _secrets(self, text: str) -> str:
        return self._pattern.sub(MASK, text) if self._pattern else text

    def _pair(self, match: re.Match[str]) -> str:
        key = match["key"].strip("\"'")
        if not (is_secret_key(key) or is_personal_key(key)):
            return match[0]
        quote = match["value"][0] if match["value"][0] in "\"'" else ""
        return f"{match['key']}{match['sep']}{quote}{MASK}{quote}"

    @staticmethod
    def _element(match: re.Match[str]) -> str:
        if not (is_secret_key(match["key"]) or is_personal_key(match["key"])):
            return match[0]
        return f"<{match['key']}{match['rest']}>{MASK}<"

    def _compile(self) -> re.Pattern[str] | None:
        values = sorted({*self._configured, *self._learned}, key=len, reverse=True)
        if not values:
            return None
        return re.compile("|".join(map(_as_pattern, values)))
