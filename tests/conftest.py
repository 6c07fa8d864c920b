"""What every test may use: a real PostgreSQL for the session, and a fresh database for one test.

One server serves all pytest-xdist workers of a run. It lives in a temporary home that ends with the run; a
run that was killed is tidied up by the next one. `TSUNAGI_TEST_DATABASE_URL` names a server to use instead
(its user must be allowed to create databases).
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
import structlog
from psycopg import sql

from hub.home import Home
from hub.postgres import EmbeddedPostgres
from hub.store.database import migrate, open_engine

_HOME = "TSUNAGI_TEST_HOME"
_URL = "TSUNAGI_TEST_DATABASE_URL"
_MARK = "started-by"

# A test's data need not outlive a power failure; everything else is as in production.
FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "shared_buffers": "64MB"}


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "chaos: kills processes; TSUNAGI_TEST_CHAOS_ROUNDS says how many times"
    )
    # Tests must not see the settings of the person who runs them.
    for name in [name for name in os.environ if name.startswith(("TSUNAGI_", "AIRFLOW_CONN_"))]:
        if not name.startswith("TSUNAGI_TEST_") and name != "TSUNAGI_SHARED":
            del os.environ[name]
    if not hasattr(config, "workerinput"):
        _tidy_up_killed_runs()
        home = Path(tempfile.mkdtemp(prefix="tsunagi-test-"))
        (home / _MARK).write_text(str(os.getpid()))
        os.environ[_HOME] = str(home)


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        _remove(Path(os.environ.pop(_HOME)))


def _tidy_up_killed_runs() -> None:
    for mark in Path(tempfile.gettempdir()).glob(f"tsunagi-test-*/{_MARK}"):
        try:
            os.kill(int(mark.read_text()), 0)
        except ProcessLookupError:
            _remove(mark.parent)
        except (PermissionError, ValueError, FileNotFoundError):  # another user's, or just begun or ended
            continue


def _remove(home: Path) -> None:
    EmbeddedPostgres(Home(home)).remove()
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(autouse=True)
def _fresh_consoles() -> None:
    """A console keeps the width it was made with; tests set their own."""
    if output := sys.modules.get("hub.cli.output"):
        output.out.cache_clear()
        output.err.cache_clear()


@pytest.fixture(autouse=True)
def _own_accounts() -> Iterator[None]:
    """An account that a test puts into the environment is gone with it, and what it took away is back."""
    before = _accounts()
    yield
    for name in _accounts().keys() - before.keys():
        del os.environ[name]
    os.environ.update(before)


def _accounts() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith("AIRFLOW_CONN_")}


def in_database(url: str, name: str) -> str:
    """The same server and user, another database."""
    head, _, tail = url.partition("://")
    address, _, database = tail.partition("/")
    _, mark, options = database.partition("?")
    return f"{head}://{address}/{name}{mark}{options}"


@pytest.fixture(scope="session")
def chaos_rounds() -> Callable[[int], int]:
    """How often a test of the mark `chaos` kills something: as usual, or what `make kill` asks for."""
    return lambda usual: int(os.environ.get("TSUNAGI_TEST_CHAOS_ROUNDS", usual))


@pytest.fixture(scope="session")
def postgres_url() -> str:
    """URL of a superuser of the server of this test run, in the database `postgres`."""
    if given := os.environ.get(_URL):
        return given
    home = Home(Path(os.environ[_HOME]))
    return EmbeddedPostgres(home, settings=FAST).admin_url()


@pytest.fixture(scope="session")
def database_template() -> str:
    """The database that `database_url` copies; a folder of tests may override this with `migrated_template`."""
    return "template0"


@pytest.fixture(scope="session")
def migrated_template(postgres_url: str) -> Iterator[str]:
    """A database of the newest schema, to be copied."""
    name = f"template_{uuid4().hex[:16]}"
    create_database(postgres_url, name)
    engine = open_engine(in_database(postgres_url, name))
    migrate(engine)
    engine.dispose()
    yield name
    drop_database(postgres_url, name)


@pytest.fixture
def database_url(postgres_url: str, database_template: str) -> Iterator[str]:
    """URL of a fresh database of this test alone, copied from `database_template`, dropped afterwards."""
    name = f"test_{uuid4().hex[:16]}"
    create_database(postgres_url, name, template=database_template)
    yield in_database(postgres_url, name)
    drop_database(postgres_url, name)


def create_database(postgres_url: str, name: str, *, template: str = "template0") -> None:
    """Create a database; nobody may be connected to `template` meanwhile."""
    statement = sql.SQL("create database {} template {}")
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(statement.format(sql.Identifier(name), sql.Identifier(template)))


def drop_database(postgres_url: str, name: str) -> None:
    """Drop a database, also under connections that a test left open."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))


@pytest.fixture(autouse=True)
def _own_logging() -> Iterator[None]:
    """A test that configures logging must not decide what the next one logs."""
    yield
    structlog.reset_defaults()
