"""What the hub says to people, in Japanese and English."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Literal, NamedTuple

__all__ = ["HubError", "Language", "Words", "language"]

Language = Literal["ja", "en"]


class Words(NamedTuple):
    """One sentence in both languages."""

    ja: str
    en: str

    def say(self, lang: Language | None = None) -> str:
        """The sentence in `lang`, by default in the language of this process."""
        return self.ja if (lang or language()) == "ja" else self.en


def language(env: Mapping[str, str] | None = None) -> Language:
    """The operator's language: `TSUNAGI_LANG`, else Japanese where the locale is Japanese, else English."""
    env = os.environ if env is None else env
    chosen = env.get("TSUNAGI_LANG", "").strip().lower()
    if chosen in ("ja", "en"):
        return "ja" if chosen == "ja" else "en"
    locale = next((env[name] for name in ("LC_ALL", "LC_MESSAGES", "LANG") if env.get(name)), "")
    return "ja" if locale.lower().startswith("ja") else "en"


class HubError(Exception):
    """An error a person must read. `str()` is in the language of the process; both are kept."""

    def __init__(self, ja: str, en: str) -> None:
        super().__init__(ja, en)
        self.words = Words(ja, en)

    @property
    def ja(self) -> str:
        return self.words.ja

    @property
    def en(self) -> str:
        return self.words.en

    def __str__(self) -> str:
        return self.words.say()
