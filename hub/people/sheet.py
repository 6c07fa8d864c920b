"""The queue as a sheet for Excel, and the decisions back from it.

One row a pair; the operator fills in the column of the decision, and a reason. The number of the pair is what counts
on the way back: all other columns are for reading only.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine

from hub.people.decisions import CannotDecide, NoSuchPair, accept, reject, undo
from hub.people.persons import Survivors
from hub.people.view import NAMES, Candidate, Side
from hub.words import HubError, Language, Words

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["BadSheet", "Imported", "RowFault", "import_decisions", "write_sheet"]

_FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠", "\t", "\r", "\n")
_COLUMNS: Mapping[str, Words] = {
    "id": Words("番号", "number"),
    "verdict": Words("区分", "kind"),
    "why": Words("一致した規則", "rules that hold"),
    "against": Words("一致しない点", "what speaks against it"),
    "decision": Words("判断(同一・別人)", "decision (same / different)"),
    "survivor": Words("統合先キー(任意)", "surviving key (may stay empty)"),
    "reason": Words("理由", "reason"),
}
_SIDE: Mapping[str, Words] = {
    "key": Words("キー", "key"),
    "name": Words("氏名", "name"),
    "kana": Words("カナ", "kana"),
    "phones": Words("電話", "telephone"),
    "emails": Words("メール", "e-mail"),
    "address": Words("住所", "address"),
    "birth_date": Words("生年月日", "birth date"),
    "others": Words("つながり済み", "linked already"),
}
VERDICTS: Mapping[str, Words] = {
    "same": Words("同一(要確認)", "same, to be confirmed"),
    "likely": Words("同一の可能性", "likely the same"),
    "household": Words("世帯", "household"),
}
_DECISIONS: Mapping[str, str] = {
    **dict.fromkeys(
        ("同一", "同一人物", "○", "〇", "◯", "はい", "same", "accept", "yes", "y", "o"), "accept"
    ),
    **dict.fromkeys(("別人", "×", "✕", "いいえ", "different", "reject", "no", "n", "x"), "reject"),
}


class BadSheet(HubError):
    """The file cannot be read, or lacks a column."""


@dataclass(frozen=True, slots=True)
class RowFault:
    """A row that was not followed; the others were. `line` counts from 1, the header included."""

    line: int
    column: Words
    value: str
    reason: Words

    @property
    def words(self) -> Words:
        column, reason = self.column, self.reason
        return Words(
            f"{self.line}行目 {column.ja}={self.value}: {reason.ja}",
            f"line {self.line}, {column.en}={self.value}: {reason.en}",
        )


@dataclass(slots=True)
class Imported:
    """What came of a sheet: decisions followed, rows without one, and rows that were not followed."""

    accepted: int = 0
    rejected: int = 0
    undone: int = 0
    blank: int = 0
    faults: list[RowFault] = field(default_factory=list)


# ---------------------------------------------------------------- out


def write_sheet(candidates: Sequence[Candidate], path: Path, lang: Language) -> None:
    """Write the pairs to a .xlsx file, or to a .csv one (UTF-8 with a byte order mark, as Excel reads it).

    Values that a spreadsheet would run as a formula get an apostrophe in front. Raises BadSheet.
    """
    import pandas as pd

    kind = _kind(path)
    frame = pd.DataFrame([_row(each, lang) for each in candidates], columns=list(_header(lang)), dtype=str)
    try:
        if kind == ".xlsx":
            frame.to_excel(path, index=False, engine="openpyxl")
        else:
            frame.to_csv(path, index=False, encoding="utf-8-sig", lineterminator="\r\n")
    except OSError as error:
        raise BadSheet(
            f"{path} に書けません: {error.strerror}", f"{path} cannot be written: {error.strerror}"
        ) from None


def _kind(path: Path) -> str:
    suffix = path.suffix.lower()
    if suffix not in (".xlsx", ".csv"):
        raise BadSheet(
            f"{path}: ファイル名の最後は .xlsx か .csv にしてください。",
            f"{path}: the name must end in .xlsx or .csv.",
        )
    return suffix


def _header(lang: Language) -> list[str]:
    front = [
        _COLUMNS[name].say(lang)
        for name in ("id", "decision", "reason", "survivor", "verdict", "why", "against")
    ]
    return front + [
        f"{words.say(lang)}{side}" for words in _SIDE.values() for side in ("1", "2")
    ]  # fmt: skip


def _row(each: Candidate, lang: Language) -> list[str]:
    doubts = "、".join(NAMES[what].say(lang) for what in each.doubts)
    verdict = VERDICTS[each.verdict].say(lang)
    if each.state == "linked":
        verdict = Words(f"自動リンクに疑い: {doubts}", f"linked by rules, in doubt: {doubts}").say(lang)
    rules = " / ".join(words.say(lang) for words in each.rules.values())
    against = "、".join(NAMES[what].say(lang) for what in each.against)
    values = [str(each.id), "", "", "", verdict, rules, against]
    for name in _SIDE:
        values += [_text(side, name) for side in (each.one, each.other)]
    return [f"'{value}" if value.startswith(_FORMULA) else value for value in values]


def _text(side: Side, name: str) -> str:
    value = getattr(side, name)
    return " ".join(value) if isinstance(value, tuple) else str(value)


# ---------------------------------------------------------------- back


def import_decisions(engine: Engine, path: Path, *, by: str, survivors: Survivors) -> Imported:
    """Follow the decisions of a sheet, row by row, each in a transaction of its own; bad rows stop no other.

    "Same" accepts a pair, and confirms a link made by rules; "different" rejects it, and undoes a link; an empty
    decision leaves it. Raises BadSheet when the file cannot be read or has no columns for number and decision.
    """
    result = Imported()
    for line, row in _rows(path):
        number, said = row["id"], unicodedata.normalize("NFKC", row["decision"]).strip().lower()
        if not said:
            result.blank += 1
            continue
        decision = _DECISIONS.get(said)
        if decision is None:
            reason = Words("「同一」か「別人」を書いてください。", 'Write "same" or "different".')
            result.faults.append(RowFault(line, _COLUMNS["decision"], row["decision"], reason))
        elif not number.isdecimal():
            reason = Words("番号が読めません。", "This is no number of a pair.")
            result.faults.append(RowFault(line, _COLUMNS["id"], number, reason))
        else:
            try:
                _follow(engine, int(number), decision, row, by, survivors, result)
            except (NoSuchPair, CannotDecide) as error:
                result.faults.append(RowFault(line, _COLUMNS["id"], number, error.words))
    return result


def _follow(
    engine: Engine,
    number: int,
    decision: str,
    row: Mapping[str, str],
    by: str,
    survivors: Survivors,
    result: Imported,
) -> None:
    reason = row["reason"]
    with engine.begin() as connection:
        if decision == "accept":
            accept(
                connection,
                number,
                by=by,
                survivors=survivors,
                reason=reason,
                survivor=row["survivor"] or None,
            )
            result.accepted += 1
        elif _is_linked(engine, number):
            undo(connection, number, by=by, reason=reason, survivors=survivors)
            result.undone += 1
        else:
            reject(connection, number, by=by, reason=reason)
            result.rejected += 1


def _is_linked(engine: Engine, number: int) -> bool:
    from sqlalchemy import text

    query = text("SELECT EXISTS (SELECT FROM people_pair WHERE id = :id AND state = 'linked')")
    with engine.connect() as connection:
        return bool(connection.scalar(query, {"id": number}))


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """(line, values by our names) of every row; the header may be in either language."""
    frame = _frame(path)
    ours = {
        str(words.say(lang)): name for name, words in _COLUMNS.items() for lang in ("ja", "en")
    }  # fmt: skip
    found = {ours[str(column)]: column for column in frame.columns if str(column) in ours}
    for needed in ("id", "decision"):
        if needed not in found:
            name = _COLUMNS[needed]
            raise BadSheet(
                f"{path}: 「{name.ja}」の列がありません。書き出したファイルの1行目は変えないでください。",
                f"{path}: there is no column {name.en!r}. Leave the first line as it was written.",
            )
    for at, values in enumerate(frame.to_dict(orient="records"), start=2):
        row: dict[Any, Any] = values
        said = {name: str(row[found[name]]).strip().lstrip("'") if name in found else "" for name in _COLUMNS}
        yield at, {**said, "id": said["id"].removesuffix(".0")}


def _frame(path: Path) -> pd.DataFrame:
    import pandas as pd

    kind = _kind(path)
    try:
        if kind == ".xlsx":
            return pd.read_excel(path, dtype=str, keep_default_na=False, engine="openpyxl").fillna("")
        raw = path.read_bytes()
        coding = "utf-8-sig" if _is_utf8(raw) else "cp932"  # Excel saves plain CSV so in Japan
        return pd.read_csv(path, dtype=str, keep_default_na=False, encoding=coding, skip_blank_lines=False)
    except OSError as error:
        reason = error.strerror or str(error)
        raise BadSheet(f"{path} が読めません: {reason}", f"{path} cannot be read: {reason}") from None
    except Exception as error:  # noqa: BLE001  a damaged workbook may raise anything
        detail = type(error).__name__
        raise BadSheet(
            f"{path} は表として読めません({detail})。書き出したファイルを編集して使ってください。",
            f"{path} cannot be read as a table ({detail}). Edit the file that was exported.",
        ) from None


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
