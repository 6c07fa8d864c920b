"""What every file store promises, tried on each of them with the same functions."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from connectors.transport.files import FileStore, is_safe_name, join, probe, safe_path

Place = tuple[FileStore, Path]


def test_a_file_written_is_there_whole_under_its_name_alone(place: Place) -> None:
    store, root = place
    data = "受注".encode("cp932") * 100_000
    store.make_folder("out/sent")
    info = store.write("out/A.csv", io.BytesIO(data))
    assert (info.name, info.path, info.size) == ("A.csv", "out/A.csv", len(data))
    assert (root / "out" / "A.csv").read_bytes() == data
    assert sorted(p.name for p in (root / "out").iterdir()) == ["A.csv", "sent"]


def test_what_was_written_reads_back_as_a_seekable_stream(place: Place) -> None:
    store, _ = place
    data = bytes(range(256)) * 3000
    store.write("A.bin", data)
    with store.open_read("A.bin") as stream:
        assert stream.read(10) == data[:10]
        stream.seek(0)
        assert stream.read() == data


def test_writing_a_name_that_is_taken_is_refused_unless_asked_for(place: Place) -> None:
    store, root = place
    store.write("A.csv", b"first")
    with pytest.raises(FileExistsError):
        store.write("A.csv", b"second")
    assert (root / "A.csv").read_bytes() == b"first"
    store.write("A.csv", b"third", overwrite=True)
    assert (root / "A.csv").read_bytes() == b"third"


def test_a_write_that_was_cut_off_earlier_leaves_no_trace_in_the_next(place: Place) -> None:
    store, root = place
    (root / ".A.csv.tmp").write_bytes(b"half of something much longer than the new content")
    store.write("A.csv", b"whole")
    assert [p.name for p in root.iterdir()] == ["A.csv"]
    assert (root / "A.csv").read_bytes() == b"whole"


def test_an_empty_file_can_be_written_and_read(place: Place) -> None:
    store, _ = place
    assert store.write("trigger.end", b"").size == 0
    with store.open_read("trigger.end") as stream:
        assert stream.read() == b""


def test_list_shows_finished_files_by_name_and_leaves_out_what_is_still_being_written(place: Place) -> None:
    store, root = place
    for name in (
        "B_002.csv",
        "B_001.csv",
        "other.txt",
        ".B_003.csv.tmp",
        "B_004.csv.part",
        "_B_005.csv",
        "B_006.csv.filepart",
    ):
        (root / name).write_bytes(b"12345")
    (root / "B_folder.csv").mkdir()
    assert [info.name for info in store.list("", "B_*.csv")] == ["B_001.csv", "B_002.csv"]
    assert [info.size for info in store.list(".", "*.txt")] == [5]


def test_a_missing_folder_and_a_missing_file_say_so(place: Place) -> None:
    store, _ = place
    with pytest.raises(FileNotFoundError):
        store.list("nowhere")
    with pytest.raises(FileNotFoundError), store.open_read("A.csv"):
        pytest.fail("there is no such file")
    with pytest.raises(FileNotFoundError):
        store.stat("A.csv")
    with pytest.raises(FileNotFoundError):
        store.delete("A.csv")
    with pytest.raises(FileNotFoundError):
        store.rename("A.csv", "B.csv")
    assert not store.exists("A.csv")


def test_rename_moves_and_never_overwrites_by_itself(place: Place) -> None:
    store, root = place
    store.make_folder("done")
    store.write("A.csv", b"a")
    store.write("done/A.csv", b"older")
    with pytest.raises(FileExistsError):
        store.rename("A.csv", "done/A.csv")
    assert (root / "A.csv").read_bytes() == b"a"
    store.rename("A.csv", "done/A.csv", overwrite=True)
    assert (root / "done" / "A.csv").read_bytes() == b"a"
    assert not store.exists("A.csv")
    for overwrite in (False, True):
        with pytest.raises(FileNotFoundError):
            store.rename("A.csv", "done/A.csv", overwrite=overwrite)


def test_make_folder_may_be_repeated(place: Place) -> None:
    store, root = place
    store.make_folder("a/b/c")
    store.make_folder("a/b/c")
    assert (root / "a" / "b" / "c").is_dir()


@pytest.mark.parametrize("path", ["../secret", "a/../../secret", "a\\b", "a/\x00b", "a\nb"])
def test_a_path_that_leads_elsewhere_is_refused(place: Place, path: str) -> None:
    store, _ = place
    with pytest.raises(ValueError, match="not a path inside the store"), store.open_read(path):
        pytest.fail("opened")
    with pytest.raises(ValueError, match="not a path inside the store"):
        store.write(path, b"")


def test_probe_tells_what_the_account_may_do_and_leaves_nothing(place: Place) -> None:
    store, root = place
    assert probe(store, "", "1").missing() == ()
    assert list(root.iterdir()) == []
    assert "list" in probe(store, "nowhere", "1").missing()


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\\b", "a\x07", "x" * 256, "a\u202eb"])
def test_names_that_are_no_plain_file_names(name: str) -> None:
    assert not is_safe_name(name)
    with pytest.raises(ValueError, match="not a file name"):
        join("in", name)


def test_safe_path_drops_empty_steps() -> None:
    assert safe_path("/in//./a.csv") == ("in", "a.csv")


def test_many_files_are_fetched_in_their_order_and_one_that_is_missing_keeps_no_other_back(
    place: Place,
) -> None:
    store, root = place
    content = {f"F_{number:03d}.csv": bytes([number]) * (number * 700) for number in range(150)}
    for name, data in content.items():
        (root / name).write_bytes(data)
    (root / "F_070.csv").unlink()
    got: list[tuple[str, bytes | None]] = []
    for name, coming in zip(content, store.fetch(list(content)), strict=True):
        try:
            with coming as stream:
                got.append((name, stream.read()))
        except FileNotFoundError:
            got.append((name, None))
    assert got == [(name, None if name == "F_070.csv" else data) for name, data in content.items()]
    assert list(store.fetch([])) == []


def test_fetching_may_be_given_up_in_the_middle_and_the_store_goes_on(place: Place) -> None:
    store, root = place
    for number in range(100):
        (root / f"F_{number:03d}.csv").write_bytes(b"x" * 40_000)
    coming = store.fetch([f"F_{number:03d}.csv" for number in range(100)])
    with next(coming) as stream:
        assert len(stream.read()) == 40_000
    del coming
    assert store.stat("F_099.csv").size == 40_000
    store.write("B.csv", b"b")
    with store.open_read("B.csv") as stream:
        assert stream.read() == b"b"


def test_other_work_may_be_done_between_two_fetched_files(place: Place) -> None:
    store, root = place
    for number in range(40):
        (root / f"F_{number:03d}.csv").write_bytes(str(number).encode())
    store.make_folder("done")
    for number, coming in enumerate(store.fetch([f"F_{number:03d}.csv" for number in range(40)])):
        with coming as stream:
            store.write(f"done/{number}.ack", stream.read())
        store.rename(f"F_{number:03d}.csv", f"done/F_{number:03d}.csv")
    assert {path.read_bytes() for path in (root / "done").glob("*.ack")} == {
        str(number).encode() for number in range(40)
    }
    assert len(list((root / "done").glob("*.csv"))) == 40


def test_many_moves_and_deletes_tell_what_each_came_to(place: Place) -> None:
    store, root = place
    store.make_folder("done")
    for name in ("A.csv", "B.csv", "C.csv", "done/B.csv"):
        (root / name).write_bytes(name.encode())
    names = ["A.csv", "B.csv", "missing.csv", "C.csv"]
    came = store.rename_each([(name, f"done/{name}") for name in names])
    assert [type(trouble) for trouble in came] == [
        type(None),
        FileExistsError,
        FileNotFoundError,
        type(None),
    ]
    assert (root / "B.csv").read_bytes() == b"B.csv"
    assert (root / "done" / "B.csv").read_bytes() == b"done/B.csv"
    came = store.delete_each(["done/A.csv", "missing.csv", "B.csv"])
    assert [type(trouble) for trouble in came] == [type(None), FileNotFoundError, type(None)]
    assert sorted(path.name for path in root.rglob("*.csv")) == ["B.csv", "C.csv"]
    assert store.rename_each([]) == store.delete_each([]) == []


def test_a_folder_of_many_files_is_listed_whole(place: Place) -> None:
    store, root = place
    names = [f"F_{number:04d}.csv" for number in range(1234)]
    for name in names:
        (root / name).touch()
    assert [info.name for info in store.list("")] == names
