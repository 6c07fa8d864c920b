"""What is wrong with a mapping file, told to the integrator: file, line, field, and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from mappings.marks import At, Marks, dotted

__all__ = ["MappingError", "Problem", "Problems", "suggestion"]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong in a mapping file or one of its tables. `line` is 1-based; 0 where there is none."""

    file: str
    line: int
    field: str
    reason_ja: str
    reason_en: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        place = f" {self.field}:" if self.field else ""
        return f"{where}:{place} {self.reason_en}\n  {self.reason_ja}"


class MappingError(Exception):
    """A mapping that cannot be loaded, with everything that is wrong in it."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = list(problems)
        super().__init__("\n".join(map(str, self.problems)))


def suggestion(word: str, known: Iterable[str]) -> tuple[str, str]:
    """(" もしかして: x", " Did you mean x?") for a near miss, else the known words if they are few, else nothing."""
    names = list(known)
    near = difflib.get_close_matches(word, names, n=2, cutoff=0.7)
    if not near and len(word) > 3:
        near = [name for name in names if word in name or (len(name) > 3 and name in word)][:2]
    if near:
        ja, en = "、".join(f"「{n}」" for n in near), " or ".join(repr(n) for n in near)
        return f" もしかして: {ja}", f" Did you mean {en}?"
    if 0 < len(names) <= 16:
        listed = ", ".join(sorted(names))
        return f" 使えるもの: {listed}", f" Known: {listed}"
    return "", ""


TEXTS: dict[str, tuple[str, str]] = {
    "unknown_key": ("「{key}」というキーはありません。{near_ja}", "There is no key {key!r} here.{near_en}"),
    "value_is_form": (
        (
            "「{form}」があるので値の書き方として読まれ、「{key}」はその中で使えません。"
            "「{form}」が項目名なら、全体を fields: の下に書いてください。{near_ja}"
        ),
        (
            "Because of {form!r} this is read as a way to give a value, and {key!r} is no option of it. If {form!r} is "
            "a field's name, put the object under fields:.{near_en}"
        ),
    ),
    "missing_key": ("「{key}」がありません。", "{key!r} is missing."),
    "two_forms": ("「{a}」と「{b}」は一緒に使えません。", "{a!r} and {b!r} exclude each other."),
    "wrong_type": ("{want_ja}を書いてください({got} があります)。", "Write {want_en} here (found {got})."),
    "bare_constant": (
        "定数は {{value: {got}}} と書いてください。",
        "A constant is written as {{value: {got}}}.",
    ),
    "bad_path": ("パス「{path}」が読めません: {detail_ja}", "The path {path!r} cannot be read: {detail_en}"),
    "unknown_root": (
        "パスの「{root}」はここでは使えません。{near_ja}",
        "{root!r} cannot be used here.{near_en}",
    ),
    "unknown_entity": (
        "「{name}」というエンティティはありません。{near_ja}",
        "There is no entity {name!r}.{near_en}",
    ),
    "unknown_field": (
        "{owner} に「{name}」という項目はありません。{near_ja}",
        "{owner} has no field {name!r}.{near_en}",
    ),
    "missing_field": (
        "{owner} には「{name}」が必要ですが、マッピングにありません。",
        "{owner} needs {name!r}, and the mapping does not give it.",
    ),
    "no_such_source": (
        "パス「{path}」: {owner} に「{name}」という項目はありません。{near_ja}",
        "The path {path!r}: {owner} has no field {name!r}.{near_en}",
    ),
    "wants_list": (
        "「{name}」は一覧の項目です。each: か [ ... ] で書いてください。",
        "{name!r} is a list: write it with each: or as [ ... ].",
    ),
    "no_list": ("「{name}」は一覧ではありません。", "{name!r} is no list."),
    "wants_object": (
        "「{name}」は {owner} です。中の項目を書くか、as: money などで作ってください。",
        "{name!r} is a {owner}: write its fields, or make it with a transform such as money.",
    ),
    "no_object": ("「{name}」には中の項目がありません。", "{name!r} has no fields of its own."),
    "money_as_scalar": (
        "money は金額オブジェクトを作ります。「{name}」は数値の項目なので money_minor を使ってください。",
        "money makes an object, but {name!r} is a plain value: use money_minor.",
    ),
    "bad_constant": (
        "「{value}」は「{name}」に入れられません: {detail}{near_ja}",
        "{value!r} does not fit {name!r}: {detail}{near_en}",
    ),
    "unknown_transform": (
        "「{name}」という変換はありません。{near_ja}",
        "There is no transform {name!r}.{near_en}",
    ),
    "bad_parameter": (
        "変換 {name} のパラメータ「{parameter}」: {detail_ja}{near_ja}",
        "Transform {name}, parameter {parameter!r}: {detail}{near_en}",
    ),
    "no_table": (
        "変換表 {name} がありません({file})。{near_ja}",
        "There is no table {name!r} ({file}).{near_en}",
    ),
    "table": ("{detail_ja}", "{detail_en}"),
    "bad_call": ("call「{target}」: {detail_ja}", "call {target!r}: {detail_en}"),
    "yaml": ("YAMLとして読めません: {detail}", "This is no YAML: {detail}"),
    "duplicate_key": (
        "「{key}」が二度あります(前は {first} 行目)。",
        "{key!r} stands here twice (first in line {first}).",
    ),
    "direction": (
        "ファイル名は .{ending}.yaml ですが direction は {direction} です。",
        "The file is named .{ending}.yaml but its direction is {direction!r}.",
    ),
    "only_outgoing": ("「{key}」は出力マッピングでだけ使えます。", "{key!r} belongs to outgoing mappings."),
    "only_incoming": ("「{key}」は入力マッピングでだけ使えます。", "{key!r} belongs to incoming mappings."),
    "schema": ("形が正しくありません: {detail}", "The shape is wrong: {detail}"),
    "no_file": ("マッピング {name} が見つかりません。{near_ja}", "There is no mapping {name!r}.{near_en}"),
    "bad_name": (
        "マッピングの名前は <コネクタ>/<名前>.in か .out です: {name}",
        "A mapping is named <connector>/<name>.in or .out, not {name!r}.",
    ),
}


@dataclass
class Problems:
    """Collects what is wrong while a file is read, so that all of it is told at once."""

    file: str
    marks: Marks = field(default_factory=Marks)
    found: list[Problem] = field(default_factory=list)

    def add(
        self, code: str, at: At = (), *, near: tuple[str, Iterable[str]] | None = None, **words: object
    ) -> None:
        """Note a problem at a place of the file; `near=(word, known words)` adds a suggestion."""
        near_ja, near_en = suggestion(*near) if near else ("", "")
        self.note(
            code,
            {**words, "near_ja": near_ja, "near_en": near_en},
            self.file,
            self.marks.line(at),
            dotted(at),
        )

    def note(self, code: str, words: Mapping[str, object], file: str, line: int, place: str) -> None:
        """Note a problem at a given file and line."""
        ja, en = TEXTS[code]
        words = {"near_ja": "", "near_en": "", **words}
        self.found.append(Problem(file, line, place, ja.format_map(words), en.format_map(words)))

    def raise_if_any(self) -> None:
        if self.found:
            raise MappingError(sorted(self.found, key=lambda p: (p.file, p.line)))
