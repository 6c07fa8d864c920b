"""Where secrets are looked for, what is refused, and that nothing of them is ever shown."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from hub import secrets
from hub.home import Home, Settings
from hub.secrets import Connection, SecretError, connection, register_provider

SECRET = "s3cr3t-of-the-shop"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=Home(tmp_path / "var").create())


@pytest.fixture(autouse=True)
def no_providers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "_providers", {})
    monkeypatch.setenv("TSUNAGI_LANG", "en")


def put(settings: Settings, name: str, text: str, mode: int = 0o600) -> Path:
    path = settings.home.secrets / f"{name}.json"
    path.write_text(text, "utf-8")
    path.chmod(mode)
    return path


def test_json_in_the_environment(settings: Settings) -> None:
    env = {
        "AIRFLOW_CONN_RAKUTEN_MAIN": json.dumps(
            {"conn_type": "rakuten_rms", "login": "SP", "password": SECRET, "extra": {"license_key": "SL"}}
        )
    }
    found = connection("rakuten-main", settings=settings, env=env)
    assert found == {
        "conn_type": "rakuten_rms", "login": "SP", "password": SECRET, "extra": {"license_key": "SL"},
    }  # fmt: skip


def test_the_name_airflow_itself_asks_for_works_too(settings: Settings) -> None:
    assert connection("a-b", settings=settings, env={"AIRFLOW_CONN_A-B": '{"login": "x"}'}) == {"login": "x"}


def test_a_uri_in_the_environment_is_decoded(settings: Settings) -> None:
    env = {"AIRFLOW_CONN_CORE": "sftp://tsu%40nagi:p%2Fw%3A1@files.example:2222/in%20box?key_file=%2Fk&x="}
    assert connection("core", settings=settings, env=env) == {
        "conn_type": "sftp", "login": "tsu@nagi", "password": "p/w:1", "host": "files.example", "port": 2222,
        "schema": "in box", "extra": {"key_file": "/k", "x": ""},
    }  # fmt: skip


def test_a_uri_carries_nested_extra_as_airflow_writes_it(settings: Settings) -> None:
    env = {"AIRFLOW_CONN_CORE": "http://h/?__extra__=%7B%22a%22%3A+%5B1%5D%7D"}
    assert connection("core", settings=settings, env=env)["extra"] == {"a": [1]}


def test_the_environment_wins_over_the_file_and_the_file_over_providers(settings: Settings) -> None:
    register_provider("airflow", lambda system: {"login": "provider"} if system == "core" else None)
    assert connection("core", settings=settings, env={}) == {"login": "provider"}
    put(settings, "core", '{"login": "file"}')
    assert connection("core", settings=settings, env={}) == {"login": "file"}
    assert connection("core", settings=settings, env={"AIRFLOW_CONN_CORE": '{"login": "env"}'}) == {
        "login": "env"
    }
    assert connection("other", settings=settings, env={}) == {}


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o601])
def test_a_file_others_can_read_is_refused_with_what_to_do(settings: Settings, mode: int) -> None:
    path = put(settings, "core", json.dumps({"password": SECRET}), mode)
    with pytest.raises(SecretError, match="chmod 600") as caught:
        connection("core", settings=settings, env={})
    assert str(path) in caught.value.ja
    assert f"{mode:04o}" in caught.value.en


def test_a_link_is_refused(settings: Settings, tmp_path: Path) -> None:
    real = tmp_path / "elsewhere.json"
    real.write_text("{}")
    (settings.home.secrets / "core.json").symlink_to(real)
    with pytest.raises(SecretError, match="is a link"):
        connection("core", settings=settings, env={})


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_a_file_of_another_user_is_refused(settings: Settings) -> None:
    os.chown(put(settings, "core", "{}"), 65533, 65533)
    with pytest.raises(SecretError, match="belongs to another user"):
        connection("core", settings=settings, env={})


@pytest.mark.parametrize("name", ["../core", "/etc/core", "a/../../core"])
def test_no_name_reaches_outside_the_folder(settings: Settings, name: str) -> None:
    (settings.home.root / "core.json").write_text('{"login": "outside"}')
    (settings.home.root / "core.json").chmod(0o600)
    assert connection(name, settings=settings, env={}) == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f'{{"password": "{SECRET}"', "is no JSON (near line:column 1:"),
        (f'{{"pasword": "{SECRET}"}}', "unknown keys: pasword"),
        (f'{{"extra": "{SECRET}"}}', "extra of AIRFLOW_CONN_CORE is no JSON"),
        (f'{{"extra": ["{SECRET}"]}}', "extra of AIRFLOW_CONN_CORE must be an object"),
        (SECRET, "must be JSON such as"),
        (f"sftp://u:{SECRET}@h:99999/", "is no URI"),
    ],
)
def test_errors_never_show_the_secret(settings: Settings, text: str, said: str) -> None:
    with pytest.raises(SecretError) as caught:
        connection("core", settings=settings, env={"AIRFLOW_CONN_CORE": text})
    assert said in caught.value.en
    assert SECRET not in repr(caught.value) + caught.value.ja
    seen = [caught.value.__cause__, caught.value.__context__]
    assert caught.value.__suppress_context__ or seen == [None, None]


def test_a_connection_shows_only_the_names_of_its_parts() -> None:
    found = Connection(
        login="shop",
        password=SECRET,
        extra={"license_key": SECRET, "plan": "gold", "refresh_token": [SECRET]},
    )
    for text in (repr(found), str(found), f"{found}", "%s" % found):  # noqa: UP031
        assert text == "<connection with login, password, extra: license_key, plan, refresh_token>"
    assert list(found.secret_values()) == [SECRET] * 3
    assert repr(Connection()) == "<connection with nothing>"
