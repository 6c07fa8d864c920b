"""What an operator reads when a file or a row of it is refused, in Japanese and English."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from connectors.contract import Fault

__all__ = ["FILE_LEVEL", "REASONS", "cut_tail", "fault", "trailer_tail"]

REASONS: dict[str, tuple[str, str]] = {
    "column_count": (
        "列数が違います: {found}列（正しくは{expected}列）。{hint_ja}送信元に正しい行の再送を依頼してください。",
        "wrong number of columns: {found}, should be {expected}. {hint_en}Ask the sender for the corrected row.",
    ),
    "undecodable": (
        (
            "列「{column}」に{encoding}でない文字があります（行の{offset}バイト目、0x{byte:02X}）。"
            "送信元に文字コードを確認し、正しい行の再送を依頼してください。"
        ),
        (
            "column {column} has 0x{byte:02X} at byte {offset} of the row, which is not {encoding}. "
            "Check the character set with the sender and ask for the corrected row."
        ),
    ),
    "nul": (
        "列「{column}」にNUL文字(0x00)があります。ファイルが壊れている可能性があります。送信元に再送を依頼してください。",
        "column {column} holds a NUL byte (0x00). The file may be damaged: ask the sender to send it again.",
    ),
    "quote": (
        '引用符(")の対応が取れておらず、この行を読めません（{detail}）。送信元に正しい行の再送を依頼してください。',
        'the quotes (") of this row do not match, it cannot be read ({detail}). Ask the sender for the corrected row.',
    ),
    "cut_file": (
        (
            "ファイルが行の途中で終わっています（{detail_ja}）。転送が中断した可能性があります。"
            "送信元に再送を依頼してください。{tail_ja}"
        ),
        (
            "the file ends in the middle of a row ({detail_en}). The transfer may have been cut: "
            "ask the sender to send it again. {tail_en}"
        ),
    ),
    "empty_file": (
        "ファイルが空です。このインターフェースでは空ファイルはエラーです。送信元のジョブを確認してください。",
        "the file is empty, which is an error for this interface. Check the sender's job.",
    ),
    "header": (
        (
            "見出し行がレイアウト「{layout}」と一致しません: {detail_ja}。このファイルは1行も取り込んでいません。"
            "送信元に確認するか、レイアウトを直してから再処理してください。"
        ),
        (
            "the header does not match layout {layout}: {detail_en}. No row of this file was taken in. "
            "Ask the sender, or mend the layout and replay the file."
        ),
    ),
    "encoding": (
        (
            "文字コードがレイアウトと違います: {detail_ja}。このファイルは1行も取り込んでいません。"
            "送信元に確認するか、レイアウトの encoding を直してから再処理してください。"
        ),
        (
            "the character set is not the layout's: {detail_en}. No row of this file was taken in. "
            "Ask the sender, or mend the layout's encoding and replay the file."
        ),
    ),
    "excel_damage": (
        (
            "列「{column}」の値「{value}」はExcelで保存し直されて壊れたようです（{detail_ja}）。"
            "Excelで開かずに出力し直したファイルを依頼してください。"
        ),
        (
            "column {column}: {value!r} looks damaged by saving in Excel ({detail_en}). "
            "Ask for the file as it was exported, not opened in Excel."
        ),
    ),
    "gaiji": (
        "列「{column}」に外字 {characters} があります。外字表（設定 gaiji）に追加してから再処理してください。",
        "column {column} holds a private character {characters}. Add it to the table (setting gaiji) and replay.",
    ),
    "trailer_count": (
        "トレーラの件数が違います: トレーラ{expected}件、実際{found}件。{tail_ja}",
        "wrong trailer count: the trailer says {expected} rows, the file has {found}. {tail_en}",
    ),
    "trailer_sum": (
        "トレーラの合計「{column}」が違います: トレーラ{expected}、実際{found}。{tail_ja}",
        "wrong trailer total {column}: the trailer says {expected}, the rows sum to {found}. {tail_en}",
    ),
    "no_trailer": (
        "トレーラ（終了）レコードがありません。ファイルが途中で切れている可能性があります。{tail_ja}",
        "there is no trailer (end) record: the file may have been cut. {tail_en}",
    ),
    "record_kind": (
        (
            "レコード区分「{value}」はレイアウトにありません（使えるのは {known}）。"
            "送信元に確認するか、レイアウトに区分を足してから再処理してください。"
        ),
        (
            "record kind {value!r} is not in the layout (it knows {known}). "
            "Ask the sender, or add the kind to the layout and replay."
        ),
    ),
    "record_order": (
        "レコードの順序が違います: {detail_ja}。送信元に確認してください。",
        "records are out of order: {detail_en}. Ask the sender.",
    ),
    "number": (
        "項目「{column}」の値「{value}」は数値ではありません。送信元に正しい行の再送を依頼してください。",
        "field {column}: {value!r} is not a number. Ask the sender for the corrected row.",
    ),
    "date": (
        (
            "項目「{column}」の値「{value}」は日付ではありません（形式 {format}）。"
            "送信元に正しい行の再送を依頼してください。"
        ),
        "field {column}: {value!r} is not a date (format {format}). Ask the sender for the corrected row.",
    ),
}
"""code -> (Japanese, English); the words in braces are filled in by `fault`."""

FILE_LEVEL = frozenset(
    {"empty_file", "header", "encoding", "no_trailer", "trailer_count", "trailer_sum", "cut_file"}
)
"""Codes that say something about the whole file and not about one row."""
_WHOLE = frozenset({"header", "encoding"})


def trailer_tail(*, strict: bool) -> dict[str, Any]:
    """What became of the rows of a file whose end does not agree with them, as words for `fault`."""
    if strict:
        return {
            "tail_ja": "このファイルは1行も取り込んでいません。送信元に正しいファイルの再送を依頼してください。",
            "tail_en": "No row of this file was taken in: ask the sender for the right one.",
        }
    return {
        "tail_ja": "読めた行は取り込みました。送信元に件数を確認してください。",
        "tail_en": "The rows that could be read were taken in. Check the count with the sender.",
    }


def cut_tail(*, strict: bool) -> dict[str, Any]:
    """The same for a file that ends in the middle of a row."""
    if strict:
        return {
            "tail_ja": "このファイルは1行も取り込んでいません。",
            "tail_en": "No row of this file was taken in.",
        }
    return {
        "tail_ja": "これより前の行は、途中で切れた伝票を除いて取り込みました。",
        "tail_en": "What stands before it was taken in, save what the cut row belongs to.",
    }


def fault(
    code: str,
    position: int,
    raw: bytes,
    *,
    column: str | None = None,
    value: str | None = None,
    hint: Mapping[str, Any] | None = None,
    **words: Any,
) -> Fault:
    """A `Fault` with both reasons; `words` fill the places of the text of `code`."""
    japanese, english = REASONS[code]
    filled = {**words, "column": column, "value": value}
    return Fault(
        position=position,
        code=code,
        reason=f"line {position}: {english.format(**filled)}",
        reason_ja=f"{position}行目: {japanese.format(**filled)}",
        raw=raw,
        column=column,
        value=value,
        hint=hint or None,
        whole=code in _WHOLE,
    )
