"""A delivery makes one file, whenever it is cut off and however often it is repeated."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest

from connectors.contract import Misconfigured, Retry, Verdict
from connectors.file_exchange import connector
from connectors.transport.local import LocalFolder
from tests.connectors.file_exchange.conftest import DAY, Desk, change, outgoing

ROW = {"番号": "1", "名前": "山田"}
FILE = "B_20261121_001.csv"


class Killed(BaseException):
    """The process ends here."""


def out(desk: Desk) -> list[str]:
    return [path for path in desk.tree() if path.startswith("out/") and not path.startswith("out/sent/")]


def test_a_batch_is_one_file_with_header_and_all_rows(desk: Desk) -> None:
    outcomes = desk.push(
        change("a", ROW, {"番号": "2", "名前": "ｱ"}), change("b", {"番号": "3", "名前": "髙"})
    )
    assert {key: outcome.verdict for key, outcome in outcomes.items()} == {
        "a": Verdict.DONE,
        "b": Verdict.DONE,
    }
    assert outcomes["a"].external_version == FILE
    assert out(desk) == [f"out/{FILE}"]
    expected = "番号,名前\r\n1,山田\r\n2,ｱ\r\n3,".encode("cp932") + b"\xfb\xfc\r\n"
    assert (desk.root / "out" / FILE).read_bytes() == expected


def test_a_record_may_be_one_row(desk: Desk) -> None:
    from connectors.contract import Change

    desk.push(Change("a", ROW, version=1))
    assert (desk.root / "out" / FILE).read_bytes() == "番号,名前\r\n1,山田\r\n".encode("cp932")


def test_the_note_of_what_was_sent(desk: Desk) -> None:
    desk.push(change("a", ROW, ROW))
    (note,) = [path for path in desk.tree() if path.endswith(".json")]
    assert note.startswith(f"out/sent/202611/{FILE}.")
    about = json.loads((desk.root / note).read_text("utf-8"))
    assert (about["file"], about["rows"], about["delivery"], about["size"]) == (FILE, 2, "delivery-1", 27)


def test_each_delivery_gets_the_next_number_even_when_the_partner_took_the_file(desk: Desk) -> None:
    desk.push(change("a", ROW), key="one")
    (desk.root / "out" / FILE).unlink()
    desk.push(change("a", {"番号": "2"}), key="two")
    desk.push(change("a", {"番号": "2"}), key="three")
    assert out(desk) == ["out/B_20261121_002.csv", "out/B_20261121_003.csv"]
    desk.push(change("a", ROW), key="four", business_date=date(2026, 11, 22))
    assert out(desk)[-1] == "out/B_20261122_001.csv"


def test_the_same_delivery_again_writes_nothing(desk: Desk) -> None:
    desk.push(change("a", ROW))
    before = {path: (desk.root / path).read_bytes() for path in desk.tree()}
    for key in ("delivery-1", "delivery-1.rest1", "delivery-1.2"):
        assert desk.push(change("a", ROW), key=key)["a"].verdict is Verdict.DONE
    assert {path: (desk.root / path).read_bytes() for path in desk.tree()} == before
    (desk.root / "out" / FILE).unlink()  # the partner has fetched it
    assert desk.push(change("a", ROW))["a"].verdict is Verdict.DONE
    assert out(desk) == []


@pytest.mark.parametrize("fetched", [False, True], ids=["waiting", "fetched"])
@pytest.mark.parametrize("step", range(6))
def test_killed_at_any_step_and_repeated_there_is_one_file(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, step: int, fetched: bool
) -> None:
    """Every change to the store is a step; the kill comes before it, or after the last."""
    desk.interfaces = [outgoing(trigger=".end")]
    count = 0

    def counted(name: str) -> None:
        original: Any = getattr(LocalFolder, name)

        def run(self: LocalFolder, *args: Any, **options: Any) -> Any:
            nonlocal count
            if count == step:
                raise Killed
            count += 1
            return original(self, *args, **options)

        monkeypatch.setattr(LocalFolder, name, run)

    for name in ("write", "rename", "make_folder"):
        counted(name)
    with pytest.raises(Killed):
        desk.push(change("a", ROW))
    monkeypatch.undo()
    seen = [path for path in out(desk) if path.endswith(".csv")]
    assert not [path for path in out(desk) if path.endswith(".end")]
    if fetched:
        for path in seen:
            (desk.root / path).unlink()
    desk.push(change("a", ROW))
    seen += [path for path in out(desk) if path.endswith(".csv") and path not in ([] if fetched else seen)]
    assert seen == [f"out/{FILE}"]
    assert f"out/{FILE}.end" in out(desk)
    assert desk.push(change("a", ROW))["a"].verdict is Verdict.DONE
    assert len([path for path in desk.tree() if path.endswith(".json")]) == 1
    assert [path for path in desk.tree() if path.endswith((".data", ".trigger", ".tmp"))] == []


def test_the_trigger_comes_after_the_file_and_may_replace_its_ending(desk: Desk) -> None:
    desk.interfaces = [outgoing(trigger=".fin", trigger_replaces_extension=True)]
    desk.push(change("a", ROW))
    assert out(desk) == [f"out/{FILE}", "out/B_20261121_001.fin"]
    assert (desk.root / "out/B_20261121_001.fin").read_bytes() == b""


def test_a_row_the_layout_cannot_hold_refuses_only_its_change(desk: Desk) -> None:
    text = (
        (desk.layouts / "small.yaml")
        .read_text("utf-8")
        .replace("kind: code", "kind: code, max_bytes: 3, required: true")
    )
    (desk.layouts / "small.yaml").write_text(text, encoding="utf-8")
    outcomes = desk.push(
        change("long", {"番号": "12345"}), change("good", ROW), change("none", {"名前": "x"})
    )
    assert outcomes["good"].verdict is Verdict.DONE
    assert outcomes["long"].verdict is Verdict.REFUSED
    assert outcomes["long"].reason == (
        "列「番号」の値が5バイトで、上限3バイトを超えています: 12345 / "
        "column 番号 takes 3 bytes, the value has 5: '12345'"
    )
    assert outcomes["none"].code == "layout"
    assert (desk.root / "out" / FILE).read_bytes() == "番号,名前\r\n1,山田\r\n".encode("cp932")


def test_when_every_change_is_refused_no_file_is_made(desk: Desk) -> None:
    outcomes = desk.push(change("a", {"列": "x"}), change("b", ROW, deleted=True))
    assert {outcome.verdict for outcome in outcomes.values()} == {Verdict.REFUSED}
    assert desk.tree() == []
    assert outcomes["b"].reason == "このファイルでは取消を送れません / this file cannot carry a deletion"


def test_substituted_characters_are_the_outcomes_notes(desk: Desk) -> None:
    outcomes = desk.push(change("a", {"番号": "1", "名前": "𠮷田—"}), change("b", ROW))
    assert outcomes["a"].notes == (
        "1行目 列「名前」: 𠮷 (U+20BB7) を「吉」に置換 / row 1, column 名前: 𠮷 (U+20BB7) became '吉'",
    )
    assert outcomes["b"].notes == ()


def test_a_name_without_a_number_waits_until_the_partner_has_fetched_the_last_one(desk: Desk) -> None:
    desk.interfaces = [outgoing(pattern="STOCK.csv")]
    desk.push(change("a", ROW), key="one")
    with pytest.raises(Retry, match=r"STOCK\.csv is still in out: the partner has not fetched"):
        desk.push(change("a", {"番号": "2"}), key="two")
    (desk.root / "out/STOCK.csv").unlink()
    desk.push(change("a", {"番号": "2"}), key="two")
    assert (desk.root / "out/STOCK.csv").read_bytes() == "番号,名前\r\n2,\r\n".encode("cp932")


def test_a_name_someone_else_used_is_passed_over(desk: Desk) -> None:
    desk.drop(f"out/{FILE}", "theirs")
    desk.push(change("a", ROW))
    assert out(desk) == [f"out/{FILE}", "out/B_20261121_002.csv"]
    assert (desk.root / "out" / FILE).read_bytes() == b"theirs"


def test_a_folder_that_goes_missing_between_the_steps_is_not_taken_for_sent(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.interfaces = [outgoing(sent="journal")]
    original = LocalFolder.rename
    monkeypatch.setattr(
        LocalFolder, "rename", lambda *_, **__: (_ for _ in ()).throw(FileNotFoundError("no folder"))
    )
    with pytest.raises(Misconfigured, match="there is no folder 'out'"):
        desk.push(change("a", ROW))
    monkeypatch.setattr(LocalFolder, "rename", original)
    desk.push(change("a", ROW))
    assert out(desk) == [f"out/{FILE}"]


def test_a_missing_folder_is_never_taken_for_a_fetched_file(desk: Desk) -> None:
    for sent in ("journal", None):
        desk.interfaces = [outgoing(sent=sent)]
        (desk.root / "out").rmdir()
        for _ in range(2):
            with pytest.raises(Misconfigured, match="there is no folder 'out'"):
                desk.push(change("a", ROW))
        (desk.root / "out").mkdir()
    desk.push(change("a", ROW))
    assert out(desk) == [f"out/{FILE}"]


# ---------------------------------------------------------------- the partner's answer


OK_NG = {"kind": "ok_ng", "folder": "ack"}
RESULT = {"kind": "result_csv", "folder": "ack"}


@pytest.mark.parametrize("again", [False, True], ids=["once", "repeated"])
def test_outcomes_wait_for_the_answer_and_the_file_is_not_sent_again(desk: Desk, again: bool) -> None:
    desk.interfaces = [outgoing(ack=OK_NG)]
    first = desk.push(change("a", ROW))["a"]
    assert (first.verdict, first.reason) == (
        Verdict.RETRY, f"waiting for the partner's answer to {FILE} ({FILE} の受領応答待ち)",
    )  # fmt: skip
    assert first.after is not None
    assert first.after.total_seconds() == 600
    (desk.root / "out" / FILE).unlink()
    desk.drop(f"ack/{FILE}.ok", b"")
    for _ in range(2 if again else 1):
        assert desk.push(change("a", ROW))["a"].verdict is Verdict.DONE
    assert out(desk) == []
    assert [path for path in desk.tree() if path.startswith("ack/")] == []


def test_a_refusal_carries_the_partners_words(desk: Desk) -> None:
    desk.interfaces = [outgoing(ack=OK_NG)]
    desk.push(change("a", ROW), change("b", ROW))
    desk.drop(f"ack/{FILE}.ng", "受注番号がありません")
    outcomes = desk.push(change("a", ROW), change("b", ROW))
    assert {(o.verdict, o.reason, o.code) for o in outcomes.values()} == {
        (Verdict.REFUSED, f"{FILE}: 受注番号がありません", "ack")
    }


def test_a_result_file_refuses_single_rows_by_key_or_number(desk: Desk) -> None:
    desk.interfaces = [outgoing(ack=RESULT)]
    changes = [change("a", ROW), change("b", ROW, ROW), change("c", ROW)]
    desk.push(*changes)
    desk.drop(
        "ack/B_20261121_001_result.csv",
        "ファイル名,行番号,キー,結果,コード,メッセージ\r\n"
        f"{FILE},1,,OK,,\r\n{FILE},3,,NG,E01,数量が不正\r\n{FILE},,c,NG,E02,受注なし\r\n",
    )
    outcomes = desk.push(*changes)
    assert {key: (o.verdict, o.reason) for key, o in outcomes.items()} == {
        "a": (Verdict.DONE, None),
        "b": (Verdict.REFUSED, f"{FILE}: E01 数量が不正"),
        "c": (Verdict.REFUSED, f"{FILE}: E02 受注なし"),
    }


def test_a_refused_row_beside_waiting_ones_does_not_make_a_second_file(desk: Desk) -> None:
    """The hub repeats only what is open, under a key of its own: `KEY.rest1`."""
    desk.interfaces = [outgoing(ack=OK_NG)]
    first = desk.push(change("bad", {"列": "x"}), change("good", ROW), key="k")
    assert (first["bad"].verdict, first["good"].verdict) == (Verdict.REFUSED, Verdict.RETRY)
    desk.push(change("good", ROW), key="k.rest1")
    assert out(desk) == [f"out/{FILE}"]


# ---------------------------------------------------------------- check


def test_check_tells_what_was_seen_and_tried(desk: Desk) -> None:
    desk.drop("in/A_20261121_001.csv")
    desk.drop("in/other.txt")
    assert connector.check_function is not None
    said = connector.check_function(desk.call())
    assert said == f"{desk.root}: orders: 1 waiting; report: may write"
    assert out(desk) == []


def test_check_names_the_rights_that_are_missing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(self: LocalFolder, old: str, new: str, *, overwrite: bool = False) -> None:
        raise OSError("Failure")

    monkeypatch.setattr(LocalFolder, "rename", denied)
    assert connector.check_function is not None
    with pytest.raises(Misconfigured, match="interface report: the account may not rename in 'out'"):
        connector.check_function(desk.call())
    assert date(2026, 11, 21) == DAY
