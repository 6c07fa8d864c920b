"""Decisions and writers at the same moment: whoever waits sees what the other one wrote."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from register import Register, customer
from sqlalchemy import text

from hub.entities import Draft, content_of, write_drafts

PHONE = "09012345678"


def waits(register: Register, blocked_by: int) -> bool:
    query = text("SELECT count(*) FROM pg_stat_activity WHERE :pid = ANY(pg_blocking_pids(pid))")
    with register.engine.connect() as connection:
        return bool(connection.scalar(query, {"pid": blocked_by}))


def test_an_undo_that_waited_for_a_writer_keeps_what_was_written(register: Register) -> None:
    register.say(customer("core/1", phone=PHONE), customer("shop/5", phone=PHONE))
    register.match()
    link = register.pair("core/1", "shop/5").id
    said: dict[str, Any] = customer(
        "shop/5", phone=PHONE, consents=[{"channel": "mail", "granted": True}], note="new"
    )
    _, body = content_of("customer", said)
    with ThreadPoolExecutor(1) as pool:
        with register.engine.begin() as connection:
            pid = connection.scalar(text("SELECT pg_backend_pid()"))
            assert isinstance(pid, int)
            write_drafts(
                connection, system="shop", kind="customer", mapping="customers.in", mapping_version=1, intake_id=1,
                drafts=[Draft("shop/5", b"x", None, 1, "shop/5", body)], authority={},
            )  # fmt: skip
            undone = pool.submit(register.undo, link)
            while not waits(register, pid):
                assert not undone.done()
        undone.result()
    assert register.content("shop/5") == said
    assert register.person("shop/5") == "shop/5"


def test_two_persons_deciding_at_once_make_no_circle(register: Register) -> None:
    register.say(*(customer(f"core/{n}", phone=PHONE) for n in range(1, 4)))
    register.match()
    pairs = [pair.id for pair in register.pairs()]
    with ThreadPoolExecutor(3) as pool:
        errors = [future.exception() for future in [pool.submit(register.accept, pair) for pair in pairs]]
    assert [type(error).__name__ for error in errors if error is not None] == ["CannotDecide"]
    assert len({register.person(f"core/{n}") for n in range(1, 4)}) == 1


def test_turns_wait_for_each_other(register: Register) -> None:
    for scope in ("core", "shop"):
        register.say(
            *(customer(f"{scope}/{n}", f"山田 {n}", f"ヤマダ {n}", phone=f"0901234567{n}") for n in range(9))
        )
    with ThreadPoolExecutor(3) as pool:
        turns = [future.result() for future in [pool.submit(register.match) for _ in range(3)]]
    assert sum(turn.linked for turn in turns) == 9
    assert register.rows("SELECT count(*) FROM people_decision")[0][0] == 9
