"""Files come in once, in order, and a crash at any moment changes nothing of that."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from connectors.contract import Misconfigured, Refused, Retry
from connectors.file_exchange import connector
from connectors.transport.files import Troubles, each
from connectors.transport.local import LocalFolder
from tests.connectors.file_exchange import conftest
from tests.connectors.file_exchange.conftest import Desk, incoming

FIRST, SECOND, THIRD = ("A_20261121_001.csv", "A_20261121_002.csv", "A_20261121_003.csv")
DONE = "in/done/20261121"


def body(*numbers: int) -> str:
    return "番号,名前\r\n" + "".join(f"{n},山田\r\n" for n in numbers)


def test_files_are_stored_in_order_and_archived_as_they_came(desk: Desk) -> None:
    desk.drop(f"in/{SECOND}", body(2))
    desk.drop(f"in/{FIRST}", body(1))
    desk.drop("in/readme.txt", "not ours")
    assert [(s.name, s.sequence, s.note) for s in desk.pull()] == [(FIRST, 1, None), (SECOND, 2, None)]
    assert desk.tree() == [f"{DONE}/{FIRST}", f"{DONE}/{SECOND}", "in/readme.txt"]
    assert (desk.root / DONE / FIRST).read_bytes() == desk.stored[0].content == body(1).encode("cp932")
    assert desk.pull() == []


def test_decode_reads_what_was_stored_by_the_interfaces_layout(desk: Desk) -> None:
    desk.drop(f"in/{FIRST}", body(1) + "2,b,c\r\n3,c\r\n")
    rows, faults = desk.rows(desk.pull()[0], interface="orders")
    assert (rows, faults) == ([{"番号": "1", "名前": "山田"}, {"番号": "3", "名前": "c"}], ["column_count"])


def test_the_day_of_the_archive_is_the_day_in_japan(desk: Desk) -> None:
    desk.now = desk.now.replace(hour=15)  # midnight in Japan
    desk.drop(f"in/{FIRST}")
    desk.pull()
    assert desk.tree() == [f"in/done/20261122/{FIRST}"]


# ---------------------------------------------------------------- the same again, and changed


def test_the_same_file_twice_is_skipped_with_a_note(desk: Desk) -> None:
    desk.drop(f"in/{FIRST}", body(1))
    desk.pull()
    desk.drop(f"in/{FIRST}", body(1))
    (page,) = desk.pull()
    assert page.content is None
    assert page.note == (
        f"{FIRST}: skipped, its content was taken in as {FIRST} on 2026-11-21 12:00 / "
        f"{FIRST}: 2026-11-21 12:00 に {FIRST} として取込済みの内容のため読み飛ばしました"
    )
    assert desk.tree() == [f"{DONE}/{FIRST}", f"{DONE}/A_20261121_001~2.csv"]
    assert len(desk.stored) == 1


def test_the_same_content_under_another_name_is_skipped_too(desk: Desk) -> None:
    desk.drop(f"in/{FIRST}", body(1))
    desk.drop(f"in/{SECOND}", body(1))
    first, second = desk.pull()
    assert (first.content is not None, second.content) == (True, None)
    assert second.note is not None
    assert f"taken in as {FIRST}" in second.note


def test_a_changed_file_under_the_same_name_is_held_until_a_person_decides(desk: Desk) -> None:
    desk.drop(f"in/{FIRST}", body(1))
    desk.pull()
    desk.drop(f"in/{FIRST}", body(1, 2))
    desk.drop(f"in/{SECOND}", body(5))
    held, other = desk.pull()
    assert held.content is None
    assert held.note == (
        f"{FIRST}: a file of this name was taken in before with other content; this one is held in in/held. "
        f"Run the flow with release={FIRST} to take it in / "
        f"{FIRST}: 同名で内容の異なるファイルが取込済みのため保留しました（in/held）。"
        f"取り込むには release={FIRST} を指定してフローを実行してください"
    )
    assert other.name == SECOND
    assert (desk.root / "in/held" / f"{FIRST}.reason.txt").read_text("utf-8") == held.note + "\n"
    assert (desk.root / "in/held" / FIRST).read_bytes() == body(1, 2).encode("cp932")
    (released,) = desk.pull(release=FIRST)
    assert released.content == body(1, 2).encode("cp932")
    assert released.note is not None
    assert "replaces the file of this name" in released.note
    assert [p for p in desk.tree() if "held" in p] == []


def test_a_release_of_something_that_is_not_held_says_what_is(desk: Desk) -> None:
    with pytest.raises(Refused, match="held are: none"):
        desk.pull(release=FIRST)
    desk.drop(f"in/held/{SECOND}")
    with pytest.raises(Refused, match=f"{FIRST} is not held; held are: {SECOND}"):
        desk.pull(release=FIRST)


def test_a_changed_file_may_be_rejected_or_replace_as_agreed(desk: Desk) -> None:
    for policy, place in (("reject", f"in/error/{FIRST}"), ("replace", f"{DONE}/A_20261121_001~2.csv")):
        desk.interfaces = [incoming(changed=policy)]
        desk.history.files.clear()
        desk.drop(f"in/{FIRST}", body(1))
        desk.pull()
        desk.drop(f"in/{FIRST}", body(2))
        (page,) = desk.pull()
        assert (page.content is None) is (policy == "reject")
        assert place in desk.tree()
        for path in desk.tree():
            (desk.root / path).unlink()


# ---------------------------------------------------------------- empty


def test_an_empty_file_means_no_data_and_each_day_may_have_one(desk: Desk) -> None:
    for name in (FIRST, SECOND):
        desk.drop(f"in/{name}", b"")
    pages = desk.pull()
    assert [p.content for p in pages] == [b"", b""]
    assert pages[0].note == f"{FIRST}: empty file, no data today / {FIRST}: 空ファイル（本日データなし）"
    assert desk.rows(pages[0]) == ([], [])


def test_an_empty_file_may_be_an_error(desk: Desk) -> None:
    desk.interfaces = [incoming(empty="error")]
    desk.drop(f"in/{FIRST}", b"\r\n")
    (page,) = desk.pull()
    assert (page.note, desk.rows(page)) == (None, ([], ["empty_file"]))


# ---------------------------------------------------------------- numbers


def test_a_missing_number_is_told(desk: Desk) -> None:
    desk.interfaces = [incoming(sequence="daily")]
    desk.drop(f"in/{FIRST}", body(1))
    desk.drop(f"in/{THIRD}", body(3))
    first, third = desk.pull()
    assert first.note is None
    assert third.note == f"{THIRD}: number 2 is missing before it / {THIRD}: 連番 2 が届いていません"
    desk.drop(f"in/{SECOND}", body(2))
    assert [(p.name, p.note) for p in desk.pull()] == [(SECOND, None)]


def test_a_missing_number_is_waited_for_where_the_order_matters(desk: Desk) -> None:
    desk.interfaces = [incoming(sequence="daily", gap="wait")]
    desk.drop(f"in/{FIRST}", body(1))
    desk.drop(f"in/{THIRD}", body(3))
    with pytest.raises(Retry, match=f"{THIRD} waits because 2 has not come"):
        desk.pull()
    assert [s.name for s in desk.stored] == [FIRST]
    assert f"in/{THIRD}" in desk.tree()
    desk.drop(f"in/{SECOND}", body(2))
    assert [p.name for p in desk.pull()] == [SECOND, THIRD]


def test_a_person_may_go_on_without_the_missing_file(desk: Desk) -> None:
    desk.interfaces = [incoming(sequence="daily", gap="wait")]
    desk.drop(f"in/{THIRD}", body(3))
    with pytest.raises(Retry, match=r"because 1\.\.2 has not come"):
        desk.pull()
    assert [p.name for p in desk.pull(accept_gap=True)] == [THIRD]


def test_a_number_that_was_skipped_as_a_repetition_is_not_missing(desk: Desk) -> None:
    desk.interfaces = [incoming(sequence="daily", gap="wait")]
    desk.drop(f"in/{FIRST}", body(1))
    desk.drop(f"in/{SECOND}", body(1))
    desk.drop(f"in/{THIRD}", body(3))
    assert [p.name for p in desk.pull() if p.content is not None] == [FIRST, THIRD]


def test_running_numbers_go_on_over_days_and_start_again_at_the_top(desk: Desk) -> None:
    desk.interfaces = [incoming(sequence="running", gap="wait")]
    for name in ("A_20261120_998.csv", "A_20261121_999.csv", "A_20261122_001.csv"):
        desk.drop(f"in/{name}", body(int(name[-7:-4])))
    assert [p.sequence for p in desk.pull()] == [998, 999, 1]
    desk.interfaces = [incoming(sequence="running", gap="ignore")]
    desk.history.files.clear()
    desk.drop("in/A_20261123_005.csv", body(50))
    desk.drop("in/A_20261124_009.csv", body(90))
    assert [p.note for p in desk.pull()] == [None, None]


def test_a_guard_without_a_number_in_the_pattern_is_refused(desk: Desk) -> None:
    desk.interfaces = [incoming(sequence="daily", pattern="A_*.csv")]
    with pytest.raises(ValueError, match=r"needs \{seq:03d\}"):
        desk.pull()


# ---------------------------------------------------------------- ready


def test_a_trigger_file_is_waited_for_and_removed(desk: Desk) -> None:
    for replaces, trigger in ((False, f"{FIRST}.end"), (True, "A_20261121_001.end")):
        desk.interfaces = [incoming(ready={"rule": "trigger", "replaces_extension": replaces})]
        desk.history.files.clear()
        desk.drop(f"in/{FIRST}")
        assert desk.pull() == []
        desk.drop(f"in/{trigger}", b"")
        assert [p.name for p in desk.pull()] == [FIRST]
        assert desk.tree() == [f"{DONE}/{FIRST}"]
        (desk.root / DONE / FIRST).unlink()


def test_a_file_that_still_grows_is_left_alone(desk: Desk) -> None:
    desk.interfaces = [incoming(ready={"rule": "stable", "every": 0.05})]
    desk.drop(f"in/{FIRST}", body(1))
    desk.drop(f"in/{SECOND}", body(2))
    stop = threading.Event()

    def grow() -> None:
        with (desk.root / "in" / SECOND).open("ab") as file:
            while not stop.is_set():
                file.write(b"x")
                file.flush()
                time.sleep(0.005)

    thread = threading.Thread(target=grow)
    thread.start()
    try:
        assert [p.name for p in desk.pull()] == [FIRST]
    finally:
        stop.set()
        thread.join()
    assert [p.name for p in desk.pull()] == [SECOND]


def test_a_trailer_that_is_not_there_yet_means_not_ready(desk: Desk) -> None:
    text = (desk.layouts / "small.yaml").read_text("utf-8") + "trailer: {marker: T, count: 2}\n"
    (desk.layouts / "small.yaml").write_text(text, encoding="utf-8")
    desk.interfaces = [incoming(ready={"rule": "trailer"})]
    desk.drop(f"in/{FIRST}", body(1))
    assert desk.pull() == []
    desk.drop(f"in/{FIRST}", body(1) + "T,1\r\n")
    assert [p.name for p in desk.pull()] == [FIRST]


@pytest.mark.parametrize("name", [f".{FIRST}.tmp", f"{FIRST}.part", f"{FIRST}.filepart", f"_{FIRST}"])
def test_files_being_written_are_not_seen(desk: Desk, name: str) -> None:
    desk.interfaces = [incoming(pattern="*")]
    desk.drop(f"in/{name}")
    assert desk.pull() == []


# ---------------------------------------------------------------- crashes


@pytest.mark.parametrize("page", [0, 1])
def test_killed_before_the_page_is_stored_loses_nothing(desk: Desk, page: int) -> None:
    desk.drop(f"in/{FIRST}", body(1))
    desk.drop(f"in/{SECOND}", body(2))
    desk.pull(die_before_storing=page)
    assert f"in/processing/{(FIRST, SECOND)[page]}" in desk.tree()
    desk.pull()
    assert [s.name for s in desk.stored] == [FIRST, SECOND]
    assert desk.tree() == [f"{DONE}/{FIRST}", f"{DONE}/{SECOND}"]


@pytest.mark.parametrize("page", [0, 1])
def test_killed_after_the_page_is_stored_doubles_nothing(desk: Desk, page: int) -> None:
    desk.drop(f"in/{FIRST}", body(1))
    desk.drop(f"in/{SECOND}", body(2))
    desk.pull(die_after_storing=page)
    assert f"in/processing/{(FIRST, SECOND)[page]}" in desk.tree()
    rest = desk.pull()
    assert [s.name for s in desk.stored] == [FIRST, SECOND]
    assert [p.note for p in rest] == [None] * len(rest)
    assert desk.tree() == [f"{DONE}/{FIRST}", f"{DONE}/{SECOND}"]


@pytest.mark.parametrize("moment", ["die_before_storing", "die_after_storing"])
def test_killed_over_an_empty_file(desk: Desk, moment: str) -> None:
    desk.drop(f"in/{FIRST}", b"")
    desk.pull(**{moment: 0})
    desk.pull()
    assert [s.name for s in desk.stored] == [FIRST]
    assert desk.tree() == [f"{DONE}/{FIRST}"]


@pytest.mark.parametrize("moment", ["die_before_storing", "die_after_storing"])
def test_killed_with_a_trigger_still_there(desk: Desk, moment: str) -> None:
    desk.interfaces = [incoming(ready={"rule": "trigger"})]
    desk.drop(f"in/{FIRST}", body(1))
    desk.drop(f"in/{FIRST}.end", b"")
    desk.pull(**{moment: 0})
    desk.pull()
    assert [s.name for s in desk.stored] == [FIRST]
    assert desk.tree() == [f"{DONE}/{FIRST}"]


def test_a_held_file_whose_release_was_killed_is_taken_up_again(desk: Desk) -> None:
    desk.drop(f"in/{FIRST}", body(1))
    desk.pull()
    desk.drop(f"in/{FIRST}", body(2))
    desk.pull()
    desk.pull(release=FIRST, die_before_storing=0)
    desk.pull()
    assert f"in/held/{FIRST}" in desk.tree()
    (page,) = desk.pull(release=FIRST)
    assert page.content == body(2).encode("cp932")


def test_the_next_file_of_a_name_waits_while_the_first_is_still_in_processing(desk: Desk) -> None:
    desk.drop(f"in/processing/{FIRST}", body(1))
    desk.drop(f"in/{FIRST}", body(2))
    first, second = desk.pull()
    assert first.content == body(1).encode("cp932")
    assert second.note is not None
    assert "held" in second.note


# ---------------------------------------------------------------- many files


def many(desk: Desk, count: int, folder: str = "in") -> list[str]:
    names = [f"A_20261121_{number:03d}.csv" for number in range(1, count + 1)]
    for number, name in enumerate(names):
        desk.drop(f"{folder}/{name}", body(number))
    return names


def test_more_files_than_are_claimed_together_come_in_their_order(desk: Desk) -> None:
    names = many(desk, 250)
    assert [s.name for s in desk.pull()] == names
    assert desk.tree() == [f"{DONE}/{name}" for name in names]


def test_only_so_many_files_are_claimed_before_the_first_are_put_away(desk: Desk) -> None:
    many(desk, 250)
    desk.pull(die_before_storing=120)
    assert len([path for path in desk.tree() if path.startswith(DONE)]) == 100
    assert len([path for path in desk.tree() if path.startswith("in/processing/")]) == 100


def test_large_files_are_claimed_one_by_one(desk: Desk) -> None:
    for name in (FIRST, SECOND):
        desk.drop(f"in/{name}", b"x" * 9_000_000 + name.encode())
    desk.pull(die_before_storing=0)
    assert desk.tree() == [f"in/{SECOND}", f"in/processing/{FIRST}"]


@pytest.mark.parametrize("moment", ["die_before_storing", "die_after_storing"])
def test_killed_among_many_files_loses_and_doubles_nothing(desk: Desk, moment: str) -> None:
    names = many(desk, 130)
    told = [page.note for page in (40, 30, 20) for page in desk.pull(**{moment: page})]
    assert [*told, *(page.note for page in desk.pull())] == [None] * len(names)
    assert [s.name for s in desk.stored] == names
    assert desk.tree() == [f"{DONE}/{name}" for name in names]


def test_a_file_that_was_claimed_before_a_crash_keeps_its_place_in_the_order(desk: Desk) -> None:
    desk.drop(f"in/processing/{SECOND}", body(2))
    desk.drop(f"in/{FIRST}", body(1))
    desk.drop(f"in/{THIRD}", body(3))
    assert [s.name for s in desk.pull()] == [FIRST, SECOND, THIRD]


def test_a_claimed_file_waits_for_a_missing_number_too_and_tells_of_one_that_is_not_waited_for(
    desk: Desk,
) -> None:
    desk.interfaces = [incoming(sequence="daily", gap="wait")]
    desk.drop(f"in/{FIRST}", body(1))
    desk.drop(f"in/processing/{THIRD}", body(3))
    with pytest.raises(Retry, match=f"{THIRD} waits because 2 has not come"):
        desk.pull()
    assert desk.tree() == [f"{DONE}/{FIRST}", f"in/processing/{THIRD}"]
    desk.interfaces = [incoming(sequence="daily")]
    (third,) = desk.pull()
    assert third.note is not None
    assert "number 2 is missing before it" in third.note


def test_the_same_content_under_another_name_is_told_also_when_it_was_claimed_before_a_crash(
    desk: Desk,
) -> None:
    desk.drop(f"in/{FIRST}", body(1))
    desk.drop(f"in/{SECOND}", body(1))
    desk.pull(die_after_storing=0)
    (second,) = desk.pull()
    assert second.note is not None
    assert f"{SECOND}: skipped, its content was taken in as {FIRST}" in second.note
    assert desk.tree() == [f"{DONE}/{FIRST}", f"{DONE}/{SECOND}"]


class Stubborn(LocalFolder):
    """A folder in which one move fails, and somebody else puts a file in our way."""

    stuck: str | None = None
    in_the_way: Path | None = None

    def rename_each(self, moves: Sequence[tuple[str, str]]) -> Troubles:
        if self.in_the_way is not None and "/done/" in moves[0][1]:
            self.in_the_way.write_bytes(b"theirs")
            self.in_the_way = None
        return each(self._move, moves)

    def _move(self, old: str, new: str) -> None:
        if old == self.stuck:
            raise Retry(f"could not rename {old}")
        self.rename(old, new)


def test_a_file_that_cannot_be_moved_stops_those_behind_it_and_none_before_it(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conftest, "LocalFolder", Stubborn)
    for name in (FIRST, SECOND, THIRD):
        desk.drop(f"in/{name}", body(int(name[-7:-4])))
    monkeypatch.setattr(Stubborn, "stuck", f"in/{SECOND}")
    for _ in range(2):
        with pytest.raises(Retry, match=f"could not rename in/{SECOND}"):
            desk.pull()
        assert [s.name for s in desk.stored] == [FIRST]
        assert f"{DONE}/{FIRST}" in desk.tree()
    monkeypatch.setattr(Stubborn, "stuck", None)
    assert [s.name for s in desk.pull()] == [SECOND, THIRD]
    assert [s.name for s in desk.stored] == [FIRST, SECOND, THIRD]


def test_a_name_that_is_taken_in_the_archive_meanwhile_is_not_overwritten(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conftest, "LocalFolder", Stubborn)
    desk.drop(f"in/{FIRST}", body(1))
    desk.drop(f"in/{SECOND}", body(2))
    monkeypatch.setattr(Stubborn, "in_the_way", desk.root / DONE / SECOND)
    assert [s.name for s in desk.pull()] == [FIRST, SECOND]
    assert desk.tree() == [f"{DONE}/{FIRST}", f"{DONE}/{SECOND}", f"{DONE}/A_20261121_002~2.csv"]
    assert (desk.root / DONE / SECOND).read_bytes() == b"theirs"


def test_triggers_of_many_files_go_with_them(desk: Desk) -> None:
    desk.interfaces = [incoming(ready={"rule": "trigger"})]
    names = many(desk, 120)
    for name in names:
        desk.drop(f"in/{name}.end", b"")
    assert [s.name for s in desk.pull()] == names
    assert desk.tree() == [f"{DONE}/{name}" for name in names]


# ---------------------------------------------------------------- settings


def test_the_flow_says_which_interface(desk: Desk) -> None:
    desk.interfaces = [incoming(), incoming(name="other", folder="in2")]
    desk.drop("in2/A_20261121_001.csv")
    assert [p.name for p in desk.pull(interface="other")] == [FIRST]
    with pytest.raises(
        Misconfigured, match=r"no interface None .* known: orders, other\. .*params: {interface: NAME}"
    ):
        desk.pull()
    with pytest.raises(Misconfigured, match="no interface 'report'"):
        desk.pull(interface="report")


def test_snapshots_are_complete_listings(desk: Desk) -> None:
    desk.interfaces = [incoming(snapshot=True)]
    desk.drop(f"in/{FIRST}")
    assert [p.complete for p in desk.pull()] == [True]


def test_a_missing_folder_is_told(desk: Desk) -> None:
    desk.interfaces = [incoming(folder="nowhere")]
    with pytest.raises(
        Misconfigured, match=r"there is no folder 'nowhere' at .*; create it or mend `folder`"
    ):
        desk.pull()
    assert not (desk.root / "nowhere").exists()
    with pytest.raises(Misconfigured, match="there is no folder 'nowhere' at"):
        connector.check_function(desk.call())  # type: ignore[misc]


def test_an_unknown_layout_is_told(desk: Desk, tmp_path: Path) -> None:
    desk.interfaces = [incoming(layout="nothing")]
    desk.drop(f"in/{FIRST}")
    with pytest.raises(Misconfigured, match=r"no layout 'nothing'; known: .*general_orders.*"):
        desk.pull()


def test_private_characters_are_mapped_by_the_partners_table(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "gaiji.csv").write_text("from,to\n\ue000,吉\n", encoding="utf-8")
    desk.drop(f"in/{FIRST}", "番号,名前\r\n1,".encode("cp932") + b"\xf0\x40\r\n")
    page = desk.pull()[0]
    assert desk.rows(page)[0][0]["名前"] == "\ue000"
    config: Any = desk.config.model_copy(update={"gaiji": tmp_path / "gaiji.csv"})
    from connectors.file_exchange.formats import decode

    with (desk.root / DONE / FIRST).open("rb") as stream:
        assert [item.data["名前"] for item in decode(stream, config, {})] == ["吉"]  # type: ignore[union-attr]
