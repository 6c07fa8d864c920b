"""`tsunagi people`: from the queue to a decision and back, with nobody's data shown unasked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pandas as pd
import pytest
from register import Register, customer
from typer.testing import CliRunner

from hub.cli import app, output

Run = Callable[..., "Ran"]


@dataclass(frozen=True)
class Ran:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def rows(self) -> list[Any]:
        return [orjson.loads(line) for line in self.out.splitlines()]


@pytest.fixture
def run(
    register: Register, database_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Run]:
    """`tsunagi people ARGS` on two customers that may be one, and two that are."""
    (tmp_path / "systems").mkdir()
    monkeypatch.setenv("TSUNAGI_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TSUNAGI_SYSTEMS", str(tmp_path / "systems"))
    monkeypatch.setenv("TSUNAGI_DATABASE_URL", database_url)
    register.say(
        customer("core/1", phone="09012345678", email="taro@example.jp", address=("1000001", "千代田1-2-3")),
        customer("core/2", phone="09012345678"),
        customer("shop/5", "斎藤 一", "サイトウ ハジメ", phone="0312345679"),
        customer("mall/6", "齋藤 一", "ｻｲﾄｳ ﾊｼﾞﾒ", phone="0312345679"),
    )

    def call(*args: object, lang: str = "en") -> Ran:
        output.out.cache_clear()
        output.err.cache_clear()
        env = {"TSUNAGI_LANG": lang, "COLUMNS": "200"}
        result = CliRunner().invoke(app, ["people", *map(str, args)], env=env)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Ran(result.exit_code, result.stdout, result.stderr)

    yield call
    output.out.cache_clear()
    output.err.cache_clear()


def test_status_tells_how_many_pairs_wait(run: Run) -> None:
    run("match")
    waiting = len(run("queue", "--json").rows)
    assert waiting
    env = {"TSUNAGI_LANG": "en", "COLUMNS": "200"}
    told = CliRunner().invoke(app, ["status"], env=env)
    assert f"{waiting} pairs of customers that may be one person wait." in told.output
    told = CliRunner().invoke(app, ["status", "--json"], env=env)
    assert {"people_queue": waiting} in [orjson.loads(line) for line in told.stdout.splitlines()]


def test_from_match_to_accept_to_undo(run: Run, register: Register) -> None:
    found = run("match", "--json").rows[0]
    assert (found["linked"], found["opened"], found["compared"]) == (1, 1, 4)
    assert "4 compared" not in run("match").out
    (pair,) = run("queue", "--json").rows
    assert pair["against"] == ["same_system"]
    assert run("accept", pair["id"], "--by", "hanako", "--reason", "phoned").code == 0
    assert register.person("core/2") == "core/1"
    shown = run("show", "core/2", "--json").rows[0]
    assert shown["survivor"] == "core/1"
    assert shown["links"][0]["decisions"][0]["by"] == "hanako"
    assert run("undo", pair["id"], "--reason", "wrong").code == 0
    assert register.person("core/2") == "core/2"
    assert "Nothing waits" in run("queue").out


def test_personal_data_is_masked_until_asked_for(run: Run) -> None:
    run("match")
    for args in (("queue",), ("queue", "--json"), ("show", "core/1"), ("show", "core/1", "--json"),
                 ("show", "shop/5"), ("show", "shop/5", "--json")):  # fmt: skip
        said = run(*args).out
        for secret in ("太郎", "タロウ", "09012345678", "taro@", "千代田1-2-3", "斎藤", "0312345679"):
            assert secret not in said, (args, secret)
    assert "09012345678" in run("queue", "--reveal").out
    assert "斎藤 一" in run("show", "shop/5", "--reveal").out


def test_the_reasons_are_told_in_both_languages(run: Run) -> None:
    run("match")
    assert "name, kana and telephone agree" in run("queue").out
    japanese = run("queue", lang="ja").out
    assert "氏名・カナ・電話が一致" in japanese
    assert "異なる点: 同じシステムの別番号" in japanese
    assert "自動 rules" in run("show", "shop/5", lang="ja").out


def test_excel_goes_out_and_comes_back(run: Run, register: Register, tmp_path: Path) -> None:
    run("match")
    path = tmp_path / "queue.xlsx"
    assert "1 pairs written" in run("export", path).out
    frame = pd.read_excel(path, dtype=str, keep_default_na=False)
    assert "09012345678" not in frame.to_csv()
    frame.loc[0, frame.columns[1]] = "same"
    frame = pd.concat([frame, frame.assign(number="4711")])
    frame.to_excel(path, index=False)
    ran = run("import", path, "--by", "hanako")
    assert ran.code == 1
    assert "1 the same" in ran.out
    assert "line 3, number=4711: There is no pair 4711" in ran.err
    assert register.person("core/2") == "core/1"
    assert run("import", path, "--json").rows[0]["accepted"] == 0


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        (("accept", 999), 1, "no pair 999"),
        (("reject", 999, "--reason", "x"), 1, "no pair 999"),
        (("undo", 999), 2, "Give the reason"),
        (("show", "core/99"), 1, "no customer 'core/99'"),
        (("export", "queue.ods"), 1, "must end in .xlsx or .csv"),
    ],
)
def test_what_cannot_be_done_is_said(run: Run, args: tuple[object, ...], code: int, says: str) -> None:
    ran = run(*args)
    assert (ran.code, says in ran.err) == (code, True)


def test_wrong_rules_are_told_before_anything_is_done(run: Run, tmp_path: Path) -> None:
    (tmp_path / "home" / "people").mkdir(parents=True)
    (tmp_path / "home" / "people" / "rules.yaml").write_text("rules: {}\n")
    ran = run("match")
    assert ran.code == 1
    assert "rules.yaml:1: rules" in ran.err
