"""The fixtures other tests stand on."""

from __future__ import annotations

import psycopg


def test_each_test_has_an_empty_database_of_its_own(database_url: str, postgres_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute("create table mine (id int)")
    with psycopg.connect(postgres_url) as connection:
        assert connection.execute("select to_regclass('mine')").fetchone() == (None,)


def test_the_next_test_does_not_see_the_table(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        assert connection.execute("select to_regclass('mine')").fetchone() == (None,)
        assert connection.execute("show server_version_num").fetchone() >= ("180000",)
