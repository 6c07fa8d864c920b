"""The migrations build exactly the tables the engine was written for, and can be taken back."""

from __future__ import annotations

import warnings

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect

from hub.store.database import _config, migrate, open_engine, schema_is_current
from hub.store.tables import metadata


def test_migrations_and_tables_agree(database_url: str) -> None:
    engine = open_engine(database_url)
    assert schema_is_current(engine)
    with engine.connect() as connection, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    engine.dispose()


def test_the_newest_migration_is_the_one_alembic_means(database_url: str) -> None:
    engine = open_engine(database_url)
    with engine.begin() as connection:
        assert schema_is_current(engine)
        head = ScriptDirectory.from_config(_config(connection)).get_current_head()
        assert list(connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalars()) == [head]
    engine.dispose()


def test_a_database_without_tables_or_of_another_version_is_not_current(database_url: str) -> None:
    engine = open_engine(database_url)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0001'")
    assert not schema_is_current(engine)
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE alembic_version")
    assert not schema_is_current(engine)
    engine.dispose()


def test_down_and_up_again(database_url: str) -> None:
    engine = open_engine(database_url)
    with engine.begin() as connection:
        command.downgrade(_config(connection), "base")
        assert inspect(connection).get_table_names() == ["alembic_version"]
    assert not schema_is_current(engine)
    migrate(engine)
    assert schema_is_current(engine)
    engine.dispose()
