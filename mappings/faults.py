"""What is wrong with a record, in words an operator can act on.

Every fault has a stable `code`, the place in the entity (or in the outgoing record) it concerns, the column it
came from, the row it stood in, the value, and one sentence each in Japanese and English that says what is wrong
and what to do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["REASONS", "FieldFault", "RecordFaults", "TransformFault", "clip", "make_fault"]

LONGEST_VALUE = 200


@dataclass(frozen=True, slots=True)
class FieldFault:
    """One thing that is wrong with one record.

    code      stable word, e.g. "unknown_code"
    field     place in what was to be made, e.g. "lines[2].quantity.ordered"
    column    where the value came from in the record, if it came from one place
    position  line of the row in the file, or index in the page, if known
    value     the value as text, cut at 200 characters
    """

    code: str
    field: str
    column: str | None
    position: int | None
    value: str | None
    reason_ja: str
    reason_en: str

    def __str__(self) -> str:
        where = "" if self.position is None else f"{self.position}: "
        return f"{where}{self.field}: {self.reason_en}"


class RecordFaults(Exception):
    """A record that cannot be mapped, with all its faults.

    Raised by `to_entity` and `from_entity`; yielded by `units` for a group that is no unit. `positions` are the
    rows concerned, `external_id` and `data` what is known of the thing (group faults only).
    """

    def __init__(
        self,
        faults: Sequence[FieldFault],
        *,
        positions: Sequence[int] = (),
        external_id: str | None = None,
        data: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(faults)
        self.faults = list(faults)
        self.positions = tuple(positions)
        self.external_id = external_id
        self.data = data

    def __str__(self) -> str:
        return "; ".join(map(str, self.faults))

    def bare(self) -> RecordFaults:
        """The same, without where it was raised. On that hang frames, and on them all that was worked on just then."""
        self.__traceback__ = self.__cause__ = self.__context__ = None
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return _again, (self.faults, self.positions, self.external_id, self.data)


def _again(faults: Any, positions: Any, external_id: Any, data: Any) -> RecordFaults:
    return RecordFaults(faults, positions=positions, external_id=external_id, data=data)


class TransformFault(ValueError):
    """Raised by a transform (or a function named by `call`) that cannot take a value.

    `code` is a key of `REASONS`, or a new word together with `ja` and `en` sentences among the details.
    """

    def __init__(self, code: str, **details: object) -> None:
        super().__init__(code)
        self.code = code
        self.details = details


def clip(value: object) -> str | None:
    """A value as the text shown in a fault; None stays None."""
    if value is None:
        return None
    text = value if isinstance(value, str) else str(value)
    return text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 1] + "…"


# Placeholders: {c} the column in its quotes (or a neutral word), {v} the value, and the details of the fault.
REASONS: dict[str, tuple[str, str]] = {
    "required": (
        "{c}が空です。値を入れてください。",
        "{c} is empty. Give it a value.",
    ),
    "not_text": (
        "{c}の値「{v}」は文字ではありません({kind})。マッピングで文字になる列を指定してください。",
        "The value {v!r} of {c} is no text ({kind}). Let the mapping name a column that holds text.",
    ),
    "unknown_code": (
        "{c}の値「{v}」は変換表 {table} にありません。{file} に行を足すか、値を直してください。{near_ja}",
        "The value {v!r} of {c} is not in the table {table}. Add a row to {file} or mend the value.{near_en}",
    ),
    "unknown_value": (
        "{c}の値「{v}」は決められた値({known})のどれでもありません。値を直してください。",
        "The value {v!r} of {c} is none of the known ones ({known}). Mend the value.",
    ),
    "not_an_integer": (
        "{c}の値「{v}」は整数ではありません。数字だけを入れてください。",
        "The value {v!r} of {c} is not a whole number. Write digits only.",
    ),
    "not_a_number": (
        "{c}の値「{v}」は数値ではありません。数字で入れてください。",
        "The value {v!r} of {c} is not a number. Write it in digits.",
    ),
    "not_boolean": (
        "{c}の値「{v}」は「はい/いいえ」として読めません。使える値: {known}",
        "The value {v!r} of {c} cannot be read as yes or no. Known values: {known}",
    ),
    "not_an_amount": (
        "{c}の値「{v}」は金額ではありません。数字で入れてください。",
        "The value {v!r} of {c} is not an amount of money. Write it in digits.",
    ),
    "money_not_whole": (
        "{c}の金額「{v}」に {currency} にない端数があります。端数のない金額にしてください。",
        "The amount {v!r} of {c} has decimals that {currency} does not have. Give a whole amount.",
    ),
    "not_a_tax_rate": (
        "{c}の税率「{v}」は読めません。10、10%、0.1 のように入れてください。",
        "The tax rate {v!r} of {c} cannot be read. Write it like 10, 10% or 0.1.",
    ),
    "not_a_date": (
        "{c}の日付「{v}」は {format} の形ではありません。この形に直すか、マッピングの形を送信元に合わせてください。",
        "The date {v!r} of {c} is not written as {format}. Write it so, or fit the mapping to its sender.",
    ),
    "impossible_date": (
        "{c}の日付「{v}」は存在しない日時です。正しい日付にしてください。",
        "The date {v!r} of {c} does not exist. Give a real date.",
    ),
    "not_a_wareki": (
        "{c}の値「{v}」は和暦の日付として読めません。R07/07/01、令和7年7月1日、5070701 のように入れてください。",
        "The value {v!r} of {c} is no Japanese era date. Write it like R07/07/01, 令和7年7月1日 or 5070701.",
    ),
    "before_era": (
        "{c}の日付「{v}」は元号 {era} が始まる前の日です。元号と年を確かめてください。",
        "The date {v!r} of {c} lies before the era {era} began. Check its era and year.",
    ),
    "not_a_slot": (
        "{c}の時間帯「{v}」は読めません。「午前中」「14-16」「14時～16時」のように入れるか、変換表を使ってください。",
        "The time window {v!r} of {c} cannot be read. Write it like 午前中, 14-16 or 14時～16時, or use a table.",
    ),
    "not_a_phone": (
        "{c}の値「{v}」は電話番号として読めません。3〜15桁の数字で入れてください。",
        "The value {v!r} of {c} is no telephone number. It has 3 to 15 digits.",
    ),
    "not_a_postal_code": (
        "{c}の値「{v}」は郵便番号ではありません(7桁)。Excelで先頭の0が消えていないか確かめてください。",
        "The value {v!r} of {c} is no Japanese postal code (7 digits). Check that Excel did not drop a leading 0.",
    ),
    "no_prefecture": (
        "{c}の住所「{v}」は都道府県名で始まっていません。都道府県名から書いてください。",
        "The address {v!r} of {c} does not begin with a prefecture. Begin it with one.",
    ),
    "not_an_email": (
        "{c}の値「{v}」はメールアドレスではありません。正しいアドレスに直すか、空にしてください。",
        "The value {v!r} of {c} is no e-mail address. Mend it, or leave it empty.",
    ),
    "not_a_jan": (
        "{c}の値「{v}」はJANコードではありません(8、12、13、14桁の数字)。Excelで「4.9E+12」のように壊れていないか確かめてください。",
        "The value {v!r} of {c} is no JAN code (8, 12, 13 or 14 digits). Check that Excel did not make it 4.9E+12.",
    ),
    "jan_check_digit": (
        (
            "{c}のJANコード「{v}」のチェックデジットが違います。末尾は {expected} のはずです。"
            "商品マスタと照らして直してください。"
        ),
        "The JAN code {v!r} of {c} has a wrong check digit: it should end in {expected}. Check the product master.",
    ),
    "not_json": (
        "{c}の値はJSONとして読めません({detail})。送信元に確認してください。",
        "The value of {c} cannot be read as JSON ({detail}). Ask its sender.",
    ),
    "no_match": (
        "{c}の値「{v}」は形 {pattern} に合いません。値かマッピングを直してください。",
        "The value {v!r} of {c} does not have the form {pattern}. Mend the value or the mapping.",
    ),
    "no_part": (
        "{c}の値「{v}」を「{by}」で分けても {index} 番目がありません。値かマッピングを直してください。",
        "The value {v!r} of {c}, divided at {by!r}, has no part {index}. Mend the value or the mapping.",
    ),
    "too_long": (
        "{c}の値「{v}」は長すぎます({limit})。短くしてください。",
        "The value {v!r} of {c} is too long ({limit}). Shorten it.",
    ),
    "constant_missing": (
        "システムの設定に定数「{name}」がありません。systems/{system}.yaml の constants: に足してください。",
        "The system has no constant {name!r}. Add it under constants: in systems/{system}.yaml.",
    ),
    "call_failed": (
        "関数 {function} が「{v}」を処理できませんでした。値か関数を直してください: {detail}",
        "The function {function} failed on {v!r}. Mend the value or the function: {detail}",
    ),
    "group_conflict": (
        (
            "「{group}」の行で「{name}」が違います: {first_line} 行目は「{first}」、{line} 行目は「{v}」。"
            "同じ値にそろえてください。"
        ),
        (
            "The rows of {group!r} differ in {name!r}: line {first_line} has {first!r}, line {line} has {v!r}. "
            "Make them equal."
        ),
    ),
    "group_split": (
        (
            "「{group}」の行が離れています: {first_line} 行目で終わった後、{line} 行目でまた現れました。"
            "同じ番号の行を続けて並べてください。"
        ),
        (
            "The rows of {group!r} do not stand together: they ended in line {first_line} and come again in line "
            "{line}. Sort the file so that they follow each other."
        ),
    ),
    "group_broken": (
        "「{group}」の {line} 行目が読めないため、この番号の行はまとめて保留しました: {detail_ja}",
        "Line {line} of {group!r} could not be read, so its rows are held back together: {detail}",
    ),
    "model": (
        "{c}の値「{v}」は項目 {field} に入れられません: {detail_ja}",
        "The value {v!r} of {c} does not fit the field {field}: {detail}",
    ),
    "model_whole": (
        "{field} は正しい形になりません: {detail_ja}",
        "{field} does not come out right: {detail}",
    ),
    "model_missing": (
        "項目 {field} に値がありません。{c}に値を入れてください。",
        "The field {field} has no value. Give {c} one.",
    ),
}


MODEL_REASONS_JA: dict[str, str] = {
    "bool_parsing": "はい/いいえではありません。",
    "date_from_datetime_parsing": "日付ではありません。",
    "date_parsing": "日付ではありません。",
    "datetime_parsing": "日時ではありません。",
    "datetime_from_date_parsing": "日時ではありません。",
    "enum": "使える値は {expected} です。",
    "extra_forbidden": "そのような項目はありません。",
    "greater_than": "{gt} より大きい値が必要です。",
    "greater_than_equal": "{ge} 以上の値が必要です。",
    "int_parsing": "整数ではありません。",
    "int_type": "整数ではありません。",
    "less_than": "{lt} より小さい値が必要です。",
    "less_than_equal": "{le} 以下の値が必要です。",
    "string_pattern_mismatch": "形 {pattern} に合いません。",
    "string_too_long": "{max_length} 文字以下にしてください。",
    "string_too_short": "{min_length} 文字以上が必要です。",
    "string_type": "文字ではありません。",
    "timezone_aware": "時差のある日時が必要です。",
    "too_short": "{min_length} 件以上が必要です。",
}
"""What pydantic says in English only, by its error type; other errors are told in its own words."""


class _Words(dict[str, object]):
    """A detail that a fault does not give must not hide the fault itself."""

    def __missing__(self, key: str) -> str:
        return ""

    def __or__(self, other: dict[str, object]) -> _Words:  # type: ignore[override]
        return _Words({**self, **other})


def make_fault(
    code: str,
    field: str,
    column: str | None,
    position: int | None,
    value: object,
    details: Mapping[str, object],
) -> FieldFault:
    """Build a fault, filling the sentences of its code."""
    shown = clip(value)
    if "ja" in details and "en" in details:
        return FieldFault(code, field, column, position, shown, str(details["ja"]), str(details["en"]))
    ja, en = REASONS.get(code, (code, code))
    words = _Words({**details, "v": shown or "", "field": field})
    ja = ja.format_map(words | {"c": f"「{column or field}」"})
    en = en.format_map(words | {"c": repr(column or field)})
    return FieldFault(code, field, column, position, shown, ja, en)
