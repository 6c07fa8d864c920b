"""A connection the server has closed is replaced before it is used, and a live one is not asked."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, text

from hub.store import database
from hub.store.database import open_engine

_PID = text("SELECT pg_backend_pid()")


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    opened = open_engine(database_url)
    yield opened
    opened.dispose()


@pytest.fixture
def asked(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """What the server was asked so far, and whether it answered."""
    answers: list[bool] = []
    real = engine.dialect.do_ping

    def ping(line: object) -> bool:
        answers.append(False)
        answers[-1] = real(line)  # type: ignore[arg-type]
        return answers[-1]

    monkeypatch.setattr(engine.dialect, "do_ping", ping)
    return answers


def pid(engine: Engine) -> int:
    with engine.connect() as connection:
        return int(connection.scalar(_PID) or 0)


def test_a_live_connection_is_not_asked(engine: Engine, asked: list[bool]) -> None:
    assert len({pid(engine) for _ in range(5)}) == 1
    assert asked == []


def test_a_connection_the_server_closed_is_replaced(
    engine: Engine, asked: list[bool], database_url: str
) -> None:
    before = pid(engine)
    other = open_engine(database_url)
    with other.connect() as connection:
        connection.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": before})
    other.dispose()
    assert pid(engine) != before
    assert asked == [False]


def test_a_connection_that_was_silent_for_long_is_asked(
    engine: Engine, asked: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = pid(engine)
    monkeypatch.setattr(database, "SILENCE", 0.0)
    assert pid(engine) == before
    assert asked == [True]


def test_a_notice_that_came_late_ends_no_connection(
    engine: Engine, asked: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = pid(engine)
    monkeypatch.setattr(database, "_spoken", lambda _line: True)
    assert pid(engine) == before
    assert asked == [True]
