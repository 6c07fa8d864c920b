"""Many requests under way at once: never more than allowed, nothing lost, nothing left open, memory flat."""

from __future__ import annotations

import dataclasses
import gc
import io
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from connectors.contract import Misconfigured, Retry
from connectors.transport import sftp
from connectors.transport.sftp import Sftp
from sandbox.sftp_server import SftpServer, sftp_server
from tests.connectors.sftp.conftest import settings_for

Count = Callable[[], int]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[SftpServer]:
    (tmp_path / "root").mkdir()
    with sftp_server(tmp_path / "root") as running:
        yield running


@pytest.fixture
def handles(monkeypatch: pytest.MonkeyPatch) -> Count:
    """How many files the server holds open."""
    count = 0
    opened, closed = asyncssh.SFTPServer.open, asyncssh.SFTPServer.close

    def open_(self: Any, *words: Any) -> Any:
        nonlocal count
        file = opened(self, *words)
        count += 1
        return file

    def close(self: Any, file: Any) -> Any:
        nonlocal count
        count -= 1
        return closed(self, file)

    monkeypatch.setattr(asyncssh.SFTPServer, "open", open_)
    monkeypatch.setattr(asyncssh.SFTPServer, "close", close)
    return lambda: count


@pytest.fixture
def most(monkeypatch: pytest.MonkeyPatch) -> Count:
    """The most requests that were under way at once."""
    highest = 0
    original = asyncssh.sftp.SFTPClientHandler._send_request

    def send(self: Any, *words: Any) -> None:
        nonlocal highest
        original(self, *words)
        highest = max(highest, len(self._requests))

    monkeypatch.setattr(asyncssh.sftp.SFTPClientHandler, "_send_request", send)
    return lambda: highest


def _store(server: SftpServer, **options: Any) -> Sftp:
    return Sftp(dataclasses.replace(settings_for(server.port, server.host_key), **options))


def _files(server: SftpServer, count: int, size: int = 100_000) -> list[str]:
    for number in range(count):
        (server.root / f"F_{number:03d}.csv").write_bytes(bytes([number % 256]) * size)
    return [f"F_{number:03d}.csv" for number in range(count)]


@pytest.mark.parametrize(("prefetch", "allowed"), [(0, 1), (1, 1), (5, 5), (64, 64)])
def test_never_more_requests_are_under_way_than_the_settings_allow(
    server: SftpServer, most: Count, prefetch: int, allowed: int
) -> None:
    names = _files(server, 100, 10_000)
    with _store(server, prefetch=prefetch) as store:
        assert [info.name for info in store.list("")] == names
        for number, coming in enumerate(store.fetch(names)):
            with coming as stream:
                assert stream.read() == bytes([number]) * 10_000
        store.write("big.csv", io.BytesIO(b"b" * 10_000_000))
        with store.open_read("big.csv") as stream:
            assert stream.read() == b"b" * 10_000_000
        store.make_folder("done")
        assert store.rename_each([(name, f"done/{name}") for name in names]) == [None] * 100
    assert most() == allowed


def test_no_file_stays_open_at_the_server(server: SftpServer, handles: Count) -> None:
    names = _files(server, 50)
    with _store(server) as store:
        for coming in store.fetch(names):
            with coming:
                pass
        store.write("B.csv", b"b")
        assert handles() == 0
        with next(store.fetch([*names, "missing.csv"])):
            pass
        deadline = time.monotonic() + 10
        while handles() and time.monotonic() < deadline:
            store.list("")  # the rest was given up, and is given back meanwhile
        assert handles() == 0


def test_what_waits_lies_on_disk_and_is_bounded(server: SftpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sftp, "AHEAD", 250_000)
    spools: list[Any] = []
    original = Sftp._spool

    def spool(self: Any) -> Any:
        spools.append(original(self))
        return spools[-1]

    monkeypatch.setattr(Sftp, "_spool", spool)
    names = _files(server, 30)
    waited = 0
    with _store(server) as store:
        for number, coming in enumerate(store.fetch(names)):
            with coming as stream:
                time.sleep(0.02)  # time for those behind it
                waiting = sum(
                    Path(f"/proc/self/fd/{one.fileno()}").stat().st_size for one in spools if not one.closed
                )
                assert waiting <= 100_000 + 250_000  # the one at hand, and those behind it
                waited = max(waited, waiting)
                assert stream.read() == bytes([number]) * 100_000
        assert waited >= 300_000
        assert all(one.closed for one in spools)


def test_a_file_larger_than_what_may_wait_comes_whole(
    server: SftpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sftp, "AHEAD", 300_000)
    names = _files(server, 5, 2_000_000)
    with _store(server) as store:
        for number, coming in enumerate(store.fetch(names)):
            with coming as stream:
                assert stream.read() == bytes([number]) * 2_000_000


def test_a_server_that_gives_less_than_was_asked_for_is_asked_again(
    server: SftpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = asyncssh.SFTPServer.read

    def less(self: Any, file: Any, offset: int, size: int) -> Any:
        return original(self, file, offset, min(size, 10_000))

    monkeypatch.setattr(asyncssh.SFTPServer, "read", less)
    data = bytes(range(256)) * 1000
    (server.root / "A.bin").write_bytes(data)
    with _store(server) as store, store.open_read("A.bin") as stream:
        assert stream.read() == data


def test_servers_that_do_not_tell_their_limits_are_asked_for_what_all_take(
    server: SftpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    read, write = asyncssh.SFTPServer.read, asyncssh.SFTPServer.write

    def read_(self: Any, file: Any, offset: int, size: int) -> Any:
        sizes.append(size)
        return read(self, file, offset, size)

    def write_(self: Any, file: Any, offset: int, data: bytes) -> Any:
        sizes.append(len(data))
        return write(self, file, offset, data)

    monkeypatch.setattr(asyncssh.SFTPServer, "read", read_)
    monkeypatch.setattr(asyncssh.SFTPServer, "write", write_)
    extensions = asyncssh.sftp.SFTPServerHandler._extensions
    monkeypatch.setattr(
        asyncssh.sftp.SFTPServerHandler,
        "_extensions",
        [one for one in extensions if one[0] != b"limits@openssh.com"],
    )
    data = bytes(range(256)) * 1000
    with _store(server) as store:
        store.write("A.bin", data)
        with store.open_read("A.bin") as stream:
            assert stream.read() == data
    assert max(sizes) == 32 * 1024


@pytest.mark.parametrize("change", ["grows", "shrinks"])
def test_a_file_that_changes_while_it_is_read_is_left_for_later_and_the_others_come(
    server: SftpServer, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    names = _files(server, 3, 300_000)
    original = asyncssh.SFTPServer.read

    def change_it(self: Any, file: Any, offset: int, size: int) -> Any:
        changing = server.root / names[1]
        if offset and file.name.endswith(names[1].encode()) and changing.stat().st_size == 300_000:
            changing.write_bytes(b"\x01" * (300_001 if change == "grows" else 140_000))
        return original(self, file, offset, size)

    monkeypatch.setattr(asyncssh.SFTPServer, "read", change_it)
    with _store(server, prefetch=1) as store:
        for number, coming in enumerate(store.fetch(names)):
            if number == 1:
                with pytest.raises(Retry, match="it is still being written"), coming:
                    pytest.fail("it is not whole")
            else:
                with coming as stream:
                    assert len(stream.read()) == 300_000


def test_a_file_that_cannot_be_read_keeps_no_other_back(
    server: SftpServer, monkeypatch: pytest.MonkeyPatch, handles: Count
) -> None:
    names = _files(server, 5, 300_000)
    original = asyncssh.SFTPServer.read

    def fail(self: Any, file: Any, offset: int, size: int) -> Any:
        if file.name.endswith(b"F_002.csv") and offset:
            raise asyncssh.SFTPFailure("Failure")
        return original(self, file, offset, size)

    monkeypatch.setattr(asyncssh.SFTPServer, "read", fail)
    with _store(server) as store:
        for number, coming in enumerate(store.fetch(names)):
            if number == 2:
                with pytest.raises(Retry, match=r"could not read F_002\.csv: Failure"), coming:
                    pytest.fail("it is not whole")
            else:
                with coming as stream:
                    assert stream.read() == bytes([number]) * 300_000
        assert handles() == 0


def test_a_write_that_fails_in_the_middle_leaves_no_file_open(
    server: SftpServer, monkeypatch: pytest.MonkeyPatch, handles: Count
) -> None:
    def full(self: Any, file: Any, offset: int, data: bytes) -> Any:
        raise asyncssh.SFTPFailure("Failure")

    monkeypatch.setattr(asyncssh.SFTPServer, "write", full)
    with _store(server) as store:
        with pytest.raises(Retry, match=r"could not write A\.csv: Failure"):
            store.write("A.csv", b"x" * 3_000_000)
        assert not store.exists("A.csv")
        assert handles() == 0


def test_a_connection_that_is_lost_between_two_files_is_a_retry_and_the_next_use_connects_anew(
    tmp_path: Path,
) -> None:
    key = asyncssh.generate_private_key("ssh-ed25519")
    with sftp_server(tmp_path, key=key) as server:
        names = _files(server, 100, 200_000)
        store = _store(server)
        coming = store.fetch(names)
        with next(coming) as stream:
            assert len(stream.read()) == 200_000
    with sftp_server(tmp_path, key=key, port=server.port):
        with (
            pytest.raises(Retry, match=r"connection lost while trying to read F_0\d\d\.csv"),
            ExitStack() as stack,
        ):
            list(map(stack.enter_context, coming))
        assert store.exists(names[0])
        store.close()


def test_a_store_that_is_closed_in_the_middle_ends_what_was_coming(server: SftpServer) -> None:
    names = _files(server, 100)
    with _store(server) as store:
        coming = store.fetch(names)
        with next(coming):
            store.close()
        with pytest.raises(Retry, match=r"connection lost while trying to read F_001\.csv: it was closed"):
            next(coming)
        assert store.exists(names[0])


def test_a_server_that_stops_answering_is_told_of_with_what_may_help(
    server: SftpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wait(self: Any, file: Any, offset: int, size: int) -> bytes:
        time.sleep(1.5)
        return b""

    monkeypatch.setattr(asyncssh.SFTPServer, "read", wait)
    _files(server, 1)
    with (
        _store(server, timeout=timedelta(seconds=0.5)) as store,
        pytest.raises(Retry, match=r"connection lost .* no answer for 0\.5 s.* set prefetch: 0"),
        store.open_read("F_000.csv"),
    ):
        pytest.fail("nothing came")


def test_work_that_takes_longer_than_the_timeout_goes_on_while_the_server_answers(
    server: SftpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = asyncssh.SFTPServer.read

    def slowly(self: Any, file: Any, offset: int, size: int) -> Any:
        time.sleep(0.2)
        return original(self, file, offset, size)

    monkeypatch.setattr(asyncssh.SFTPServer, "read", slowly)
    _files(server, 1, 2_000_000)
    with (
        _store(server, timeout=timedelta(seconds=1)) as store,
        store.open_read("F_000.csv") as stream,
    ):
        assert len(stream.read()) == 2_000_000


def test_a_name_that_is_not_utf8_is_the_operators_business(server: SftpServer) -> None:
    (server.root / b"\x8e\xf3.csv".decode("utf-8", "surrogateescape")).write_bytes(b"x")
    with _store(server) as store, pytest.raises(Misconfigured, match="agree on ASCII names"):
        store.list("")


def test_a_right_that_lacks_for_one_of_many_is_told_for_that_one(
    server: SftpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = asyncssh.SFTPServer.rename

    def denied(self: Any, old: bytes, new: bytes) -> Any:
        if old.endswith(b"F_001.csv"):
            raise asyncssh.SFTPPermissionDenied("Permission denied")
        if old.endswith(b"F_002.csv"):
            raise asyncssh.SFTPFailure("Failure")
        return original(self, old, new)

    monkeypatch.setattr(asyncssh.SFTPServer, "rename", denied)
    names = _files(server, 4, 10)
    with _store(server) as store:
        came = store.rename_each([(name, f"G_{name}") for name in names])
    assert [type(trouble) for trouble in came] == [type(None), Misconfigured, Retry, type(None)]
    assert "no permission to rename F_001.csv" in str(came[1])
    assert "could not rename F_002.csv to G_F_002.csv: Failure" in str(came[2])


def test_no_place_for_what_is_fetched_is_not_taken_for_a_missing_file(
    server: SftpServer, tmp_path: Path
) -> None:
    _files(server, 1)
    with (
        _store(server, spool=tmp_path / "nowhere") as store,
        pytest.raises(Misconfigured, match="mend `spool`"),
        store.open_read("F_000.csv"),
    ):
        pytest.fail("there is no such folder")


def test_a_store_that_is_forgotten_ends_its_connection(server: SftpServer) -> None:
    before = set(threading.enumerate())
    store = _store(server)
    store.list("")
    threads = set(threading.enumerate()) - before
    gone = weakref.ref(store)
    del store
    gc.collect()
    assert gone() is None
    assert threads
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()


def test_a_connection_that_fails_leaves_no_thread(server: SftpServer) -> None:
    before = set(threading.enumerate())
    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
    with pytest.raises(Misconfigured, match="the server shows host key"):
        Sftp(settings_for(server.port, other)).list("")
    assert set(threading.enumerate()) - before == set()
