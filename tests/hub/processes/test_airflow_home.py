"""Airflow's home: what is written for it, what is remembered, and one real start and stop."""

from __future__ import annotations

import configparser
import json
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import httpx
import psycopg
import pytest

from hub.airflow_api import AirflowApi
from hub.airflow_home import AirflowError, airflow_env, metadata_url, start_airflow, stop_airflow
from hub.home import Home, Settings
from hub.processes import NotReadyError, Processes

pytestmark = pytest.mark.xdist_group("road")  # Airflow of two homes at once would race for ports


@pytest.fixture(autouse=True)
def no_settings_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("AIRFLOW_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> Settings:
    return Settings(Home(tmp_path / "var"), database_url, (tmp_path / "systems",), "ja")


def stand_in(settings: Settings, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """A command that is started in Airflow's place."""
    command = settings.home.root.parent / "airflow"
    command.write_text(f"#!/bin/sh\n{script}\n")
    command.chmod(0o755)
    monkeypatch.setattr("hub.airflow_home._command", lambda: str(command))


def config(settings: Settings) -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(settings.home.airflow / "airflow.cfg", "utf-8")
    return parser


def start_broken(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything is written; then the first component ends at once."""
    stand_in(settings, monkeypatch, '[ "$1" = db ]')
    with pytest.raises(NotReadyError, match="airflow-api-server"):
        start_airflow(settings)


def test_the_metadata_lies_beside_the_hubs_own_database(settings: Settings, database_url: str) -> None:
    url = metadata_url(settings)
    assert url == database_url + "_airflow"
    with psycopg.connect(url) as connection:
        assert connection.execute("select 1").fetchone() == (1,)
    assert metadata_url(settings) == url


def test_another_database_may_be_named_for_it(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TSUNAGI_AIRFLOW_DATABASE_URL", "postgresql://somewhere/else")
    assert metadata_url(settings) == "postgresql://somewhere/else"


def test_a_role_that_may_not_create_it_is_told_what_to_do(settings: Settings, database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("create role poor login password 'poor'")
    try:
        host = database_url.partition("@")[2]
        poor = Settings(settings.home, f"postgresql://poor:poor@{host}")
        with pytest.raises(AirflowError) as caught:
            metadata_url(poor)
        assert "TSUNAGI_AIRFLOW_DATABASE_URL" in caught.value.ja
        assert "may not create" in caught.value.en
    finally:
        with psycopg.connect(database_url, autocommit=True) as connection:
            connection.execute("drop role poor")


def test_secrets_are_made_once_and_only_the_owner_reads_them(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    start_broken(settings, monkeypatch)
    first = config(settings)
    password = json.loads((settings.home.airflow / "passwords.json").read_text())["admin"]
    start_broken(settings, monkeypatch)
    again = config(settings)
    for section, key in (("core", "fernet_key"), ("api", "secret_key"), ("api_auth", "jwt_secret")):
        assert first[section][key] == again[section][key]
    assert json.loads((settings.home.airflow / "passwords.json").read_text())["admin"] == password
    for name in ("airflow.cfg", "passwords.json"):
        assert stat.S_IMODE((settings.home.airflow / name).stat().st_mode) == 0o600


def test_the_ui_answers_on_this_machine_only_and_examples_stay_away(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    start_broken(settings, monkeypatch)
    written = config(settings)
    assert written["api"]["host"] == "127.0.0.1"
    assert written["core"]["load_examples"] == "False"
    assert written["database"]["sql_alchemy_conn"].startswith("postgresql+psycopg2://")
    assert Path(written["core"]["dags_folder"], "tsunagi_flows.py").exists()


def test_a_taken_port_is_left_alone_and_the_chosen_one_is_remembered(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(settings, monkeypatch, '[ "$1" = db ]')
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(NotReadyError):
            start_airflow(settings, port=port)
        chosen = int(config(settings)["api"]["port"])
        assert chosen > port
    with pytest.raises(NotReadyError):
        start_airflow(settings)
    assert int(config(settings)["api"]["port"]) == chosen


def test_a_migration_that_fails_shows_the_end_of_its_log(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(settings, monkeypatch, "echo the disk is full; exit 1")
    with pytest.raises(AirflowError, match="the disk is full"):
        start_airflow(settings)


def test_without_airflow_the_message_says_how_to_get_it(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.executable", str(settings.home.root / "bin" / "python"))
    monkeypatch.setenv("PATH", "")
    with pytest.raises(AirflowError) as caught:
        start_airflow(settings)
    assert "pip install" in caught.value.en


def test_the_processes_learn_where_the_hub_is(settings: Settings) -> None:
    env = airflow_env(settings)
    assert env["TSUNAGI_HOME"] == str(settings.home.root)
    assert env["TSUNAGI_DATABASE_URL"] == settings.database_url
    assert env["TSUNAGI_LANG"] == "ja"
    assert env["AIRFLOW_HOME"] == str(settings.home.airflow)


@pytest.fixture
def running(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    empty = settings.home.root.parent / "dags"
    empty.mkdir()
    monkeypatch.setenv("AIRFLOW__CORE__DAGS_FOLDER", str(empty))
    yield settings
    stop_airflow(settings, grace=2)


@pytest.mark.airflow
@pytest.mark.slow
def test_airflow_starts_answers_and_is_gone_after_stop(running: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    steps: list[str] = []
    address = start_airflow(running, port=port, parallelism=1, say=steps.append)
    assert steps == ["migrate", "api-server", "scheduler", "dag-processor", "triggerer"]
    with AirflowApi(address) as api:
        assert api.dags() == {}
        assert api.import_errors() == {}
    before = [Processes(running.home).find(name) for name in Processes(running.home).names()]
    assert start_airflow(running) == address
    assert [Processes(running.home).find(name) for name in Processes(running.home).names()] == before
    assert sorted(stop_airflow(running)) == ["api-server", "dag-processor", "scheduler", "triggerer"]
    with pytest.raises(httpx.ConnectError):
        httpx.get(address.url)
    assert stop_airflow(running) == []
