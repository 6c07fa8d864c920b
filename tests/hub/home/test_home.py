"""TSUNAGI_HOME and the settings from the environment."""

from __future__ import annotations

import stat
import threading
from pathlib import Path

import pytest

from hub.home import Home, Settings, SettingsError, write_private
from hub.words import HubError, Words, language


def test_folders_are_made_for_the_owner_alone_and_again_without_harm(tmp_path: Path) -> None:
    home = Home(tmp_path / "deep" / "var").create()
    folders = [home.root, home.postgres, home.airflow, home.archive, home.spool, home.secrets, home.logs]
    assert [stat.S_IMODE(folder.stat().st_mode) for folder in folders] == [0o700] * 7
    home.root.chmod(0o750)
    assert stat.S_IMODE(home.create().root.stat().st_mode) == 0o750


def test_a_file_in_the_place_of_the_home_is_explained(tmp_path: Path) -> None:
    (tmp_path / "var").write_text("")
    with pytest.raises(SettingsError) as caught:
        Home(tmp_path / "var").create()
    assert "is not a folder" in caught.value.en
    with pytest.raises(SettingsError) as caught:
        Home(tmp_path / "var" / "inside").create()
    assert "Cannot create" in caught.value.en


def test_a_secret_is_made_once_and_kept_private(tmp_path: Path) -> None:
    home = Home(tmp_path).create()
    first = home.secret("fernet")
    assert home.secret("fernet") == first != home.secret("other")
    assert len(first) == 43
    assert stat.S_IMODE((home.secrets / "fernet.txt").stat().st_mode) == 0o600


def test_many_asking_at_once_get_the_same_secret(tmp_path: Path) -> None:
    home, seen, gate = Home(tmp_path).create(), set(), threading.Barrier(8)

    def ask() -> None:
        gate.wait()
        seen.add(home.secret("shared"))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 1
    assert [path.name for path in home.secrets.iterdir()] == ["shared.txt"]


def test_a_private_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"
    write_private(path, "one")
    write_private(path, "two")
    assert path.read_text() == "two"
    write_private(path, "three", replace=False)
    assert path.read_text() == "two"
    assert [p.name for p in path.parent.iterdir()] == ["file"]


def test_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = Settings.from_env({})
    assert settings.home.root == tmp_path / "var"
    assert settings.database_url is None
    assert settings.systems[0].name == "systems"
    assert settings.systems[0] != tmp_path / "systems"
    (tmp_path / "systems").mkdir()
    assert Settings.from_env({}).systems == (tmp_path / "systems",)
    assert (settings.lang, settings.log_format) == ("en", "json")


def test_everything_can_be_set(tmp_path: Path) -> None:
    settings = Settings.from_env(
        {
            "TSUNAGI_HOME": "/srv/hub", "TSUNAGI_DATABASE_URL": "postgres://u:pw@h/db", "TSUNAGI_SYSTEMS": "/a:/b",
            "TSUNAGI_LANG": "JA", "TSUNAGI_LOG_FORMAT": "console",
        }
    )  # fmt: skip
    assert settings.home == Home(Path("/srv/hub"))
    assert settings.database_url == "postgresql://u:pw@h/db"
    assert settings.systems == (Path("/a"), Path("/b"))
    assert (settings.lang, settings.log_format) == ("ja", "console")
    assert "pw" not in repr(settings)


@pytest.mark.parametrize(
    ("name", "value"),
    [("TSUNAGI_LANG", "fr"), ("TSUNAGI_LOG_FORMAT", "xml"), ("TSUNAGI_DATABASE_URL", "mysql://root:pw@h/db")],
)
def test_what_cannot_be_used_is_named_without_showing_passwords(name: str, value: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_env({name: value})
    assert name in caught.value.ja
    assert name in caught.value.en
    assert "pw" not in caught.value.en + caught.value.ja


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ({"LANG": "ja_JP.UTF-8"}, "ja"), ({"LANG": "C.UTF-8"}, "en"), ({}, "en"),
        ({"LC_ALL": "en_US", "LANG": "ja_JP"}, "en"), ({"TSUNAGI_LANG": "ja", "LC_ALL": "C"}, "ja"),
        ({"TSUNAGI_LANG": "en", "LANG": "ja_JP"}, "en"),
    ],
)  # fmt: skip
def test_the_language_of_the_operator(env: dict[str, str], expected: str) -> None:
    assert language(env) == expected


def test_errors_speak_the_language_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    error = HubError("止まりました。", "It stopped.")
    monkeypatch.setenv("TSUNAGI_LANG", "ja")
    assert str(error) == "止まりました。"
    monkeypatch.setenv("TSUNAGI_LANG", "en")
    assert str(error) == "It stopped."
    assert Words("あ", "a").say("ja") == "あ"
