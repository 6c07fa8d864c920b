"""The kit on connectors that speak files: the recording is a folder, the network a store in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import IO, Any

import pytest
from pydantic import BaseModel

from connectors.contract import Batch, Call, Connector, Cursor, Fault, Outcome, Page, Record, Title
from connectors.testing import MemoryFiles, MemoryHistory
from connectors.transport.files import FileStore
from connectors.transport.local import LocalFolder

Judge = Callable[..., dict[str, str]]


class Config(BaseModel):
    inbox: str = "in"


class LastFile(Cursor):
    name: str


def files(call: Call[Config], cursor: LastFile | None) -> Iterator[Page]:
    for file in call.files.list(call.config.inbox, "*.csv"):
        with call.files.open_read(file.path) as stream:
            raw = stream.read()
        assert call.files_seen is not None
        if call.files_seen.by_sha256(hashlib.sha256(raw).hexdigest()) is None:
            yield Page(LastFile(name=file.name), raw=BytesIO(raw), name=file.name, media_type="text/csv")
        call.files.rename(file.path, f"done/{file.name}")


def decode(stream: IO[bytes], config: Config, params: Any) -> Iterator[Record | Fault]:
    for number, line in enumerate(stream, 1):
        yield Record({"id": line.decode().strip()}, number)


def write(call: Call[Config], batch: Batch) -> Iterable[Outcome]:
    body = "\n".join(change.key for change in batch).encode()
    call.files.write(f"out/{batch.idempotency_key}.csv", body, overwrite=True)
    return [Outcome.done(change.key) for change in batch]


def write_under_a_new_name(call: Call[Config], batch: Batch) -> Iterable[Outcome]:
    call.files.write(f"out/{batch.idempotency_key}-{batch.attempt}.csv", b"")
    return [Outcome.done(change.key) for change in batch]


def acknowledge(call: Call[Config], name: str, refused: Sequence[Mapping[str, Any]]) -> None:
    call.files.write(f"done/{name}.ack", f"{len(refused)} refused".encode(), overwrite=True)


def acknowledge_once_more(call: Call[Config], name: str, refused: Sequence[Mapping[str, Any]]) -> None:
    call.files.write(f"done/{name}.{len(call.files.list('done'))}.ack", b"")


def put_away_too_early(call: Call[Config], cursor: LastFile | None) -> Iterator[Page]:
    for file in call.files.list(call.config.inbox, "*.csv"):
        call.files.rename(file.path, f"done/{file.name}")
        with call.files.open_read(f"done/{file.name}") as stream:
            yield Page(LastFile(name=file.name), raw=stream.read(), name=file.name, media_type="text/csv")


def never_put_away(call: Call[Config], cursor: LastFile | None) -> Iterator[Page]:
    for file in call.files.list(call.config.inbox, "*.csv"):
        with call.files.open_read(file.path) as stream:
            yield Page(LastFile(name=file.name), raw=stream.read(), name=file.name, media_type="text/csv")


def exchange(sink: Any = write, acknowledge: Any = acknowledge, source: Any = files) -> Connector[Config]:
    connector = Connector(
        "tiny_files",
        config=Config,
        title=Title("ファイル", "Files"),
        files=lambda config: LocalFolder(Path("/nowhere")),
    )
    connector.source("orders", key="id", cursor=LastFile, decode=decode, acknowledge=acknowledge)(source)
    connector.sink("instructions", key="id", whole=True, batch_size=1)(sink)
    connector.check(lambda call: f"{len(call.files.list('in'))} files")
    return connector


FILES = {
    "recordings/check/in/a.csv": b"",
    "recordings/orders/in/1.csv": b"A1\nA2\n",
    "recordings/orders/in/2.csv": b"A3\n",
    "recordings/orders/done/.gitkeep": b"",
    "recordings/instructions/out/.gitkeep": b"",
    "cases/orders.yaml": "expect: {keys: [A1, A2, A3], cursor: {name: 2.csv}}",
    "cases/instructions.yaml": "changes: [{key: A1, record: {}}, {key: A2, record: {}}]",
}


def test_a_connector_of_files_passes(judge: Judge) -> None:
    assert judge(exchange(), FILES, Config()) == {}


def test_a_source_and_a_sink_of_one_name_have_their_own_files(judge: Judge) -> None:
    connector = exchange()
    connector.sink("orders", key="id", whole=True, batch_size=1)(write)
    own = {
        name.replace("/orders/", "/orders.source/").replace("/orders.yaml", "/orders.source.yaml"): content
        for name, content in FILES.items()
    }
    sink = {
        "recordings/orders.sink/out/.gitkeep": b"",
        "cases/orders.sink.yaml": FILES["cases/instructions.yaml"],
    }
    assert judge(connector, own | sink, Config()) == {}


def test_a_second_file_at_the_second_attempt_is_found(judge: Judge) -> None:
    findings = judge(exchange(write_under_a_new_name), FILES, Config())
    assert findings == {
        "sink:instructions:again": "instructions: the second attempt of a batch changes files: ['out/contract-1-2.csv']"
    }


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (put_away_too_early, "killed before page 1 was stored, the next read loses ['A1', 'A2']"),
        (never_put_away, "a second read hands over again ['A1', 'A2', 'A3']"),
    ],
)
def test_files_put_away_at_the_wrong_time_are_found(judge: Judge, source: Any, text: str) -> None:
    assert text in judge(exchange(source=source), FILES, Config())["source:orders:restart"]


def test_a_second_acknowledgement_is_found(judge: Judge) -> None:
    findings = judge(exchange(acknowledge=acknowledge_once_more), FILES, Config())
    text = "orders: acknowledging '1.csv' twice gives another answer the second time"
    assert findings == {"source:orders:acknowledge": text}


@pytest.fixture(params=["memory", "folder"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> FileStore:
    """The twin and the real thing, for the same tests."""
    return MemoryFiles() if request.param == "memory" else LocalFolder(tmp_path)


def test_the_twin_behaves_like_a_folder(store: FileStore) -> None:
    assert isinstance(store, FileStore)
    with pytest.raises(FileNotFoundError):
        store.list("in")
    with pytest.raises(FileNotFoundError):
        store.write("in/a.csv", b"1")
    store.make_folder("in/deep")
    store.make_folder("in")
    assert store.write("in/a.csv", b"one").size == 3
    assert store.write("in/b.csv", BytesIO(b"two!")).name == "b.csv"
    for name in (".hidden.csv", "_begun.csv", "late.csv.tmp"):
        store.write(f"in/{name}", b"")
    assert [(f.name, f.path, f.size) for f in store.list("in", "*.csv")] == [
        ("a.csv", "in/a.csv", 3),
        ("b.csv", "in/b.csv", 4),
    ]
    with pytest.raises(FileExistsError):
        store.write("in/a.csv", b"other")
    store.write("in/a.csv", b"other", overwrite=True)
    with store.open_read("in/a.csv") as stream:
        assert stream.read() == b"other"
        stream.seek(0)
        assert stream.read(2) == b"ot"
    with pytest.raises(FileExistsError):
        store.rename("in/a.csv", "in/b.csv")
    store.rename("in/a.csv", "in/b.csv", overwrite=True)
    assert not store.exists("in/a.csv")
    assert store.exists("in/b.csv")
    assert not store.exists("in")
    store.delete("in/b.csv")
    for missing in (
        lambda: store.delete("in/b.csv"),
        lambda: store.stat("in/b.csv"),
        lambda: store.rename("in/b.csv", "in/c"),
    ):
        with pytest.raises(FileNotFoundError):
            missing()
    for outside in ("../a", "in/../../a", "in/a\x00b"):
        with pytest.raises(ValueError, match="not a path inside the store"):
            store.exists(outside)
    with pytest.raises(FileNotFoundError), store.open_read("in/none.csv"):
        pass
    assert store.describe()
    with store as same:
        assert same is store


def test_a_store_can_begin_as_a_copy_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.csv").write_bytes(b"1")
    (tmp_path / "done").mkdir()
    (tmp_path / "done" / ".gitkeep").write_bytes(b"")
    store = MemoryFiles.of_folder(tmp_path, now=lambda: datetime(2026, 1, 15, tzinfo=UTC))
    assert store.content == {"in/a.csv": b"1"}
    assert store.folders == {"", "in", "done"}
    assert store.stat("in/a.csv").modified == datetime(2026, 1, 15, tzinfo=UTC)
    assert (tmp_path / "in" / "a.csv").exists()


def test_the_history_remembers_files_and_nothing_else() -> None:
    history = MemoryHistory()
    at = datetime(2026, 1, 15, tzinfo=UTC)
    history.add(Page(None, raw=b"1", name="J_003.csv", sequence=3), at)
    history.add(Page(None, raw=b"2", name="J_002.csv", sequence=2), at)
    history.add(Page(None, raw=b"3", name="J_003.csv", sequence=3), at + timedelta(days=1))
    history.add(Page(None, records=[{"id": 1}], name="page 1"), at)
    assert len(history.files) == 3
    newest = history.by_name("J_003.csv")
    assert newest is not None
    assert newest.received_at == at + timedelta(days=1)
    assert history.by_sha256(hashlib.sha256(b"1").hexdigest()) == history.files[0]
    assert history.by_name("other") is None
    assert history.by_sha256("00") is None
    assert history.last_sequence("J_") == 3
    assert history.last_sequence("K_") is None
