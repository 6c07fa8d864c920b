"""The queue in Excel and back: decisions followed, bad rows told by line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from register import Register, customer

from hub.people.sheet import BadSheet, Imported, import_decisions, write_sheet
from hub.people.view import queue

PHONE = "09012345678"


@pytest.fixture
def filled(register: Register) -> Register:
    """Four customers of the core, any two of which may be one person."""
    register.say(*(customer(f"core/0000{n}", phone=PHONE, note="x") for n in range(1, 5)))
    register.match()
    return register


def export(register: Register, path: Path, lang: Any = "ja") -> pd.DataFrame:
    with register.engine.connect() as connection:
        write_sheet(queue(connection, register.rules), path, lang)
    read = pd.read_excel if path.suffix == ".xlsx" else pd.read_csv
    return read(path, dtype=str, keep_default_na=False)


def save(frame: pd.DataFrame, path: Path) -> None:
    if path.suffix == ".xlsx":
        frame.to_excel(path, index=False)
    else:
        path.write_bytes(frame.to_csv(index=False).encode("cp932"))  # as Excel saves it in Japan


def back(register: Register, path: Path) -> Imported:
    return import_decisions(register.engine, path, by="hanako", survivors=register.survivors)


@pytest.mark.parametrize(("suffix", "lang"), [(".xlsx", "ja"), (".csv", "ja"), (".xlsx", "en")])
def test_decisions_come_back(filled: Register, tmp_path: Path, suffix: str, lang: Any) -> None:
    path = tmp_path / f"queue{suffix}"
    frame = export(filled, path, lang)
    assert len(frame) == 6
    assert frame.iloc[0].tolist()[7:11] == ["core/00001", "core/00002", "山田 太郎", "山田 太郎"]
    decision, reason, survivor = frame.columns[1:4]
    frame.loc[0, [decision, reason]] = ["○" if lang == "ja" else "Same", "電話で確認"]
    frame.loc[0, survivor] = "core/00002"
    frame.loc[1, decision] = "別人" if lang == "ja" else "different"
    save(frame, path)
    found = back(filled, path)
    assert (found.accepted, found.rejected, found.undone, found.blank, found.faults) == (1, 1, 0, 4, [])
    assert filled.person("core/00001") == "core/00002"
    assert filled.pair("core/00001", "core/00003").state == "rejected"
    rows = filled.rows("SELECT action, decided_by, reason FROM people_decision ORDER BY id")
    assert [tuple(row) for row in rows] == [("accepted", "hanako", "電話で確認"), ("rejected", "hanako", "")]


def test_bad_rows_are_told_by_line_and_stop_no_other(filled: Register, tmp_path: Path) -> None:
    path = tmp_path / "queue.csv"
    frame = export(filled, path)
    decision = frame.columns[1]
    frame[decision] = ["同一", "たぶん", "別人", "同一", "同一", ""]
    frame.loc[3, "番号"] = "九"
    frame.loc[4, "番号"] = "4711"
    save(frame, path)
    found = back(filled, path)
    assert (found.accepted, found.rejected, found.blank) == (1, 1, 1)
    assert [(fault.line, fault.value) for fault in found.faults] == [(3, "たぶん"), (5, "九"), (6, "4711")]
    assert found.faults[0].words.ja == "3行目 判断(同一・別人)=たぶん: 「同一」か「別人」を書いてください。"
    assert "no pair 4711" in found.faults[2].words.en


def test_a_sheet_imported_twice_does_nothing_the_second_time(filled: Register, tmp_path: Path) -> None:
    path = tmp_path / "queue.xlsx"
    frame = export(filled, path)
    frame.loc[0, frame.columns[1]] = "同一"
    save(frame, path)
    back(filled, path)
    before = filled.state()
    assert [fault.line for fault in back(filled, path).faults] == [2]
    assert filled.state() == before


def test_a_link_in_doubt_is_undone_by_different_and_confirmed_by_same(
    register: Register, tmp_path: Path
) -> None:
    path = tmp_path / "queue.xlsx"
    for number, decision in enumerate(("別人", "同一")):
        who: dict[str, Any] = {
            "name": f"山田 {number}",
            "kana": f"ヤマダ {number}",
            "phone": f"0901111000{number}",
        }
        register.say(customer(f"core/{number}", birth="1980-01-01", **who), customer(f"shop/{number}", **who))
        register.match()
        register.say(customer(f"shop/{number}", birth="1990-01-01", **who))
        register.match()
        frame = export(register, path)
        assert frame.iloc[0, 4] == "自動リンクに疑い: 生年月日"
        frame.loc[0, frame.columns[1]] = decision
        save(frame, path)
        found = back(register, path)
        assert (found.undone, found.accepted, found.faults) == (
            (1, 0, []) if decision == "別人" else (0, 1, [])
        )
        assert register.person(f"shop/{number}") == (
            f"shop/{number}" if decision == "別人" else f"core/{number}"
        )


def test_values_a_spreadsheet_would_run_are_defused(register: Register, tmp_path: Path) -> None:
    name = '=HYPERLINK("http://example.jp")'
    register.say(customer("core/1", name, phone=PHONE), customer("core/2", name, phone=PHONE))
    register.match()
    frame = export(register, tmp_path / "queue.csv")
    assert frame["氏名1"].tolist() == [f"'{name}"]


@pytest.mark.parametrize(
    ("name", "body", "says"),
    [("q.csv", b"a,b\r\n1,2\r\n", "no column 'number'"), ("q.xlsx", b"no workbook", "cannot be read as a table"),
     ("q.csv", b"", "cannot be read as a table"), ("q.txt", b"", "must end in .xlsx or .csv")],
)  # fmt: skip
def test_files_that_are_none_of_ours_are_refused(
    register: Register, tmp_path: Path, name: str, body: bytes, says: str
) -> None:
    (tmp_path / name).write_bytes(body)
    with pytest.raises(BadSheet) as error:
        back(register, tmp_path / name)
    assert says in error.value.en
    with pytest.raises(BadSheet):
        back(register, tmp_path / "missing.csv")
