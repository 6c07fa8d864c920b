"""The rules of customer matching: `rules.yaml` and `variants.csv`, the shipped ones or an operator's own."""

from __future__ import annotations

import hashlib
import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from hub.system_faults import SystemFault, faults_of, refuse
from hub.words import HubError, Words
from mappings.marks import BadYaml, read_yaml
from mappings.problems import TEXTS
from mappings.tables import BadTable, read_table

__all__ = ["MULTIPLE", "BadRules", "PeopleRules", "Rule", "Verdict", "load_rules"]

_HERE = Path(__file__).parent

ColumnName = Literal[
    "name", "kana", "given", "given_kana", "phone", "email", "address", "room", "birth_date", "sex"
]
FactName = Literal["same_system", "blocked", "deceased", "company"]
MULTIPLE = frozenset({"phone", "email", "address"})
"""Columns of which a customer may have several values."""


class Verdict(StrEnum):
    """What a rule says of two customers; the strongest first."""

    SAME = "same"
    LIKELY = "likely"
    HOUSEHOLD = "household"


class BadRules(HubError):
    """The rules cannot be used; the words name file, line and what to do."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Title(_Part):
    ja: str
    en: str

    @property
    def words(self) -> Words:
        return Words(self.ja, self.en)


class Rule(_Part):
    """One rule; the keys are explained in the head of `rules.yaml`."""

    title: _Title
    verdict: Verdict
    agree: Annotated[tuple[ColumnName, ...], Field(min_length=1)]
    differ: tuple[ColumnName, ...] = ()
    never: tuple[ColumnName | FactName, ...] = ()
    ask: tuple[ColumnName | FactName, ...] = ()

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        for column in ("room", "sex"):
            if column in self.agree:
                raise refuse(f"agree に {column} は使えません。", f"{column} cannot stand in agree.")
        if self.agree in (("birth_date",), ("given",), ("given_kana",)):
            raise refuse(
                f"agree が {self.agree[0]} だけでは弱すぎます。列を足してください。",
                f"{self.agree[0]} alone is too weak for agree; add columns.",
            )
        if self.verdict is Verdict.SAME and not (
            {"name", "kana"} <= set(self.agree) and MULTIPLE.intersection(self.agree)
        ):
            raise refuse(
                "same の agree には name、kana と、phone・email・address のどれかが必要です。",
                "A rule of the verdict same needs name, kana and one of phone, email, address in agree.",
            )
        return self


class _Ignore(_Part):
    phones: tuple[str, ...] = ()
    emails: tuple[str, ...] = ()
    email_domains: tuple[str, ...] = ()


class _File(_Part):
    too_many: Annotated[int, Field(ge=2, le=200)] = 20
    survivors: tuple[str, ...] = ()
    corporate_marks: tuple[str, ...] = ()
    deceased: tuple[str, ...] = ()
    ignore: _Ignore = _Ignore()
    rules: Annotated[dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")], Rule], Field(min_length=1)]


@dataclass(frozen=True)
class PeopleRules:
    """Rules and variants as they are used.

    variants  letter -> the letter it is compared as
    digest    changes when anything of it changes
    """

    file: _File
    variants: dict[int, str]
    digest: str

    @property
    def rules(self) -> dict[str, Rule]:
        return self.file.rules

    @property
    def too_many(self) -> int:
        return self.file.too_many

    def named(self, verdict: Verdict) -> list[str]:
        """The names of the rules of a verdict."""
        return [name for name, rule in self.rules.items() if rule.verdict is verdict]


def load_rules(home: Path | None = None) -> PeopleRules:
    """The rules of `home`/people/, file by file, else the shipped ones. Raises BadRules."""
    rules, variants = _found(home, "rules.yaml"), _found(home, "variants.csv")
    file, raw = _read_rules(rules)
    try:
        table = read_table(variants, variants.stem, str(variants))
    except BadTable as error:
        where = f"{variants}:{error.line}"
        raise BadRules(f"{where}: {error.ja}", f"{where}: {error.en}") from None
    letters: dict[int, str] = {}
    for one, other in table.values.items():
        letter = _bare(one)
        if len(letter) != 1 or len(_bare(other)) != 1:
            where = f"{variants}:{table.lines[one]}"
            raise BadRules(
                f"{where}: from と to は1文字ずつ書いてください(「{one}」「{other}」)。",
                f"{where}: from and to are one letter each (found {one!r}, {other!r}).",
            )
        letters[ord(letter)] = _bare(other)
    settled = {code: _end(code, letters) for code in letters}
    digest = hashlib.sha256(raw + table.digest.encode()).hexdigest()[:32]
    return PeopleRules(file, settled, digest)


def _found(home: Path | None, name: str) -> Path:
    own = None if home is None else home / "people" / name
    return own if own is not None and own.is_file() else _HERE / name


def _bare(letter: str) -> str:
    """Without the variation selectors that pick a glyph."""
    folded = unicodedata.normalize("NFKC", letter)
    return "".join(c for c in folded if not 0xFE00 <= ord(c) <= 0xFE0F and not 0xE0100 <= ord(c) <= 0xE01EF)


def _end(code: int, letters: dict[int, str]) -> str:
    """Where a chain of variants ends: 邊 -> 邉 -> 辺 is 辺."""
    seen = {code}
    letter = letters[code]
    while (following := letters.get(ord(letter))) is not None and ord(letter) not in seen:
        seen.add(ord(letter))
        letter = following
    return letter


def _read_rules(path: Path) -> tuple[_File, bytes]:
    try:
        raw = path.read_bytes()
        data, marks = read_yaml(raw.decode("utf-8-sig"))
        return _File.model_validate(data), raw
    except BadYaml as error:
        ja, en = TEXTS[error.code]
        faults = [
            SystemFault(None, path, error.line, "", Words(ja.format(**error.words), en.format(**error.words)))
        ]
    except UnicodeDecodeError:
        faults = [
            SystemFault(
                None, path, 0, "", Words("UTF-8で保存し直してください。", "This is not UTF-8; save it so.")
            )
        ]
    except OSError as error:
        reason = Words(f"読めません: {error.strerror}", f"Cannot be read: {error.strerror}")
        faults = [SystemFault(None, path, 0, "", reason)]
    except ValidationError as error:
        faults = faults_of(error, _File, system=None, file=path, marks=marks)
    raise BadRules(
        "\n".join(fault.words.ja for fault in faults), "\n".join(fault.words.en for fault in faults)
    )
