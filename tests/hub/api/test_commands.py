"""tsunagi key: made, listed, revoked."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from typer.testing import CliRunner

from hub.api.keys import hash_of, list_keys
from hub.cli import app, output
from hub.store.database import open_engine


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, database_url: str) -> Callable[..., Any]:
    monkeypatch.setenv("TSUNAGI_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TSUNAGI_DATABASE_URL", database_url)

    def call(*args: str, lang: str = "en") -> Any:
        output.out.cache_clear()
        output.err.cache_clear()
        return CliRunner().invoke(app, ["key", *args], env={"TSUNAGI_LANG": lang, "COLUMNS": "160"})

    return call


def kept(url: str) -> dict[str, Any]:
    engine = open_engine(url)
    with engine.connect() as connection:
        keys = {key.name: key for key in list_keys(connection)}
    engine.dispose()
    return keys


def test_a_key_is_made_and_shown_once(run: Callable[..., Any], database_url: str) -> None:
    made = run("create", "shop-web", "--scope", "read:product", "--scope", "reserve", "--channel", "shop",
               "--channel", "app", "--expires", "90d")  # fmt: skip
    assert made.exit_code == 0, made.output
    secret = made.stdout.splitlines()[-1]
    key = kept(database_url)["shop-web"]
    assert key.hash == hash_of(secret)
    assert key.scopes == ("read:product", "reserve:app", "reserve:shop")
    assert abs(key.expires_at - datetime.now(UTC) - timedelta(days=90)) < timedelta(minutes=1)
    listed = run("list")
    assert "shop-web" in listed.stdout
    assert "valid" in listed.stdout
    assert secret.split("_", 2)[2] not in listed.output + run("list", "--json").output


def test_a_key_is_revoked_by_name_or_id(run: Callable[..., Any], database_url: str) -> None:
    for name in ("one", "two"):
        run("create", name, "--scope", "changes")
    assert run("revoke", "one").exit_code == 0
    assert run("revoke", kept(database_url)["two"].id, "--json").exit_code == 0
    rows = [orjson.loads(line) for line in run("list", "--json").stdout.splitlines()]
    assert [row["state"] for row in rows] == ["revoked", "revoked"]
    again = run("revoke", "one", lang="ja")
    assert again.exit_code == 2
    assert "有効な鍵はありません" in again.stderr
    # the name is free again
    assert run("create", "one", "--scope", "changes").exit_code == 0


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["x", "--scope", "read:everything"], "no scope 'read:everything'"),
        (["x", "--scope", "read:order", "--channel", "shop"], "--channel goes with --scope reserve"),
        (["x", "--scope", "changes", "--expires", "soon"], "Write a duration as 90d"),
        (["x", "--scope", "changes", "--expires", "0d"], "Write a duration as 90d"),
        (["", "--scope", "changes"], "A name has 1 to 80"),
        (["a\x07b", "--scope", "changes"], "A name has 1 to 80"),
    ],
)
def test_what_cannot_be_made_is_told(
    run: Callable[..., Any], database_url: str, args: list[str], said: str
) -> None:
    refused = run("create", *args)
    assert refused.exit_code in (1, 2)
    assert said in refused.stderr
    assert kept(database_url) == {}


def test_two_living_keys_have_two_names(run: Callable[..., Any]) -> None:
    assert run("create", "same", "--scope", "changes").exit_code == 0
    again = run("create", "same", "--scope", "changes")
    assert again.exit_code == 1
    assert "There is a key named 'same'" in again.stderr
