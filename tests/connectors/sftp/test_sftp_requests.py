"""Many requests under way at once: never more than allowed, nothing lost, nothing left open, memory flat."""

from __future__ import annotations

import dataclasses
import io
import os
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from connectors.contract import Misconfigured, Retry
from connectors.transport import sftp, sftp_requests
from connectors.transport.sftp import Sftp
from sandbox.sftp_server import SftpServer, sftp_server
from tests.connectors.sftp.conftest import settings_for

asyncssh = pytest.importorskip("asyncssh")

Count = Callable[[], int]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[SftpServer]:
    (tmp_path / "root").mkdir()
    with sftp_server(tmp_path / "root") as running:
        yield running


@pytest.fixture
def handles(monkeypatch: pytest.MonkeyPatch) -> Count:
    """How many files the server holds open."""
    count, lock = 0, threading.Lock()
    opened, closed = asyncssh.SFTPServer.open, asyncssh.SFTPServer.close

    def add(change: int) -> None:
        nonlocal count
        with lock:
            count += change

    def open_(self: Any, *words: Any) -> Any:
        file = opened(self, *words)
        add(1)
        return file

    def close(self: Any, file: Any) -> Any:
        add(-1)
        return closed(self, file)

    monkeypatch.setattr(asyncssh.SFTPServer, "open", open_)
    monkeypatch.setattr(asyncssh.SFTPServer, "close", close)
    return lambda: count


@pytest.fixture
def most(monkeypatch: pytest.MonkeyPatch) -> Count:
    """The most requests that were under way at once."""
    highest = 0
    original = sftp_requests.Requests.ask

    def ask(self: Any, *words: Any) -> Any:
        nonlocal highest
        reply = original(self, *words)
        highest = max(highest, len(self._under_way))
        return reply

    monkeypatch.setattr(sftp_requests.Requests, "ask", ask)
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
    names = _files(server, 12)
    with _store(server, prefetch=prefetch) as store:
        assert [info.name for info in store.list("")] == names
        for number, coming in enumerate(store.fetch(names)):
            with coming as stream:
                assert stream.read() == bytes([number]) * 100_000
        store.write("big.csv", io.BytesIO(b"b" * 3_000_000))
        store.make_folder("done")
        assert store.rename_each([(name, f"done/{name}") for name in names]) == [None] * 12
    assert (server.root / "big.csv").stat().st_size == 3_000_000
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
        store.list("")  # a request behind which the handles of the rest were given back
        store.list("")
        assert handles() == 0


def test_what_waits_lies_on_disk_and_is_bounded(server: SftpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sftp, "AHEAD", 250_000)
    spools: list[Any] = []
    original = sftp._Download._bring

    def bring(self: Any, *words: Any) -> Any:
        spools.append(self)
        return original(self, *words)

    monkeypatch.setattr(sftp._Download, "_bring", bring)
    names = _files(server, 30)
    with _store(server) as store:
        for number, coming in enumerate(store.fetch(names)):
            waiting = sum(
                one.spool.seek(0, 2) for one in spools if one.spool is not None and not one.spool.closed
            )
            assert waiting <= 250_000 + 100_000  # behind the one at hand
            with coming as stream:
                assert stream.read() == bytes([number]) * 100_000
        assert all(one.spool.closed for one in spools)


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


@pytest.mark.parametrize("change", ["grows", "shrinks"])
def test_a_file_that_changes_while_it_is_read_is_left_for_later_and_the_others_come(
    server: SftpServer, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    names = _files(server, 3)
    original = asyncssh.SFTPServer.read

    def change_it(self: Any, file: Any, offset: int, size: int) -> Any:
        changing = server.root / names[1]
        its_own = os.fsencode(file.name).endswith(names[1].encode())
        if its_own and offset and changing.stat().st_size == 100_000:
            changing.write_bytes(b"\x01" * (100_001 if change == "grows" else 40_000))
        return original(self, file, offset, size)

    monkeypatch.setattr(asyncssh.SFTPServer, "read", change_it)
    with _store(server, prefetch=1) as store:
        for number, coming in enumerate(store.fetch(names)):
            if number == 1:
                with pytest.raises(Retry, match="it is still being written"), coming:
                    pytest.fail("it is not whole")
            else:
                with coming as stream:
                    assert len(stream.read()) == 100_000


def test_a_connection_that_is_lost_between_two_files_is_a_retry_and_the_next_use_connects_anew(
    server: SftpServer,
) -> None:
    names = _files(server, 100, 200_000)
    with _store(server) as store:
        coming = store.fetch(names)
        with next(coming) as stream:
            assert len(stream.read()) == 200_000
        assert store._ssh is not None
        transport = store._ssh.get_transport()
        assert transport is not None
        transport.close()
        with pytest.raises(Retry, match=r"connection lost while trying to read F_0\d\d\.csv"):
            _ = [one.__enter__() for one in coming]
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
        pytest.raises(Retry, match=r"connection lost .* set prefetch: 0"),
        store.open_read("F_000.csv"),
    ):
        pytest.fail("nothing came")


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
