"""`tsunagi pull` and `push`: names, reports, exit codes, progress."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from hub.cli import output
from hub.engine import Hub
from hub.progress import Progress
from tests.hub.cli.support import Run


def stock(sku: str, on_hand: object) -> dict[str, Any]:
    return {"sku": sku, "location": "W1", "on_hand": on_hand}


def put(base: Path, system: str, folder: str, number: int, records: list[dict[str, Any]]) -> None:
    (base / system / folder / f"{number:04d}.json").write_text(
        json.dumps(records, ensure_ascii=False), "utf-8"
    )


def sink_will(base: Path, *what: str) -> None:
    faults = [{"when": "before", "do": do} for do in what]
    (base / "south" / "sink_stock.faults").write_text(json.dumps(faults))


def test_a_pull_takes_in_and_says_what_it_came_to(run: Run, base: Path) -> None:
    put(base, "north", "stock", 1, [stock("A", 5), stock("B", "many")])
    seen = run("pull", "north", "stock", lang="ja")
    assert seen.code == 0
    first, second = seen.out.splitlines()
    assert first.startswith("✓ north/stock  受信 2 · 新規 1 · 隔離 1  (")
    assert second == "1 件を隔離しました。理由: `tsunagi quarantine list --system north --flow stock`"
    again = run("pull", "north", "stock")
    assert again.out.startswith("✓ north/stock  nothing new  (")


def test_json_is_the_whole_report(run: Run, base: Path) -> None:
    put(base, "north", "stock", 1, [stock("A", 5)])
    (report,) = run("pull", "north", "stock", "--json").rows
    assert (report["system"], report["flow"], report["created"], report["kinds"]) == (
        "north", "stock", 1, {"stock_position": 1},
    )  # fmt: skip
    (report,) = run("push", "south", "stock_out", "--json").rows
    assert (report["sent"], report["done"], report["deliveries"]) == (1, 1, 1)


def test_a_push_sends_once_and_looks_again_when_told(run: Run, base: Path) -> None:
    put(base, "north", "stock", 1, [stock("A", 5)])
    run("pull", "north", "stock")
    assert "accepted 1" in run("push", "south", "stock_out").out
    assert "nothing new" in run("push", "south", "stock_out").out
    again = run("push", "south", "stock_out", "--key", "A@W1")
    assert "looked at 1 · unchanged 1" in again.out
    assert "unchanged 1" in run("push", "south", "stock_out", "--all").out


def test_notes_of_a_run_are_shown(run: Run, base: Path) -> None:
    # the listing ends without what was there: the brake holds the deletions back and says so
    put(base, "north", "listing", 1, [stock(f"S{n}", 1) for n in range(30)])
    run("pull", "north", "listing")
    put(base, "north", "listing", 1, [stock("S0", 1)])
    seen = run("pull", "north", "listing")
    assert seen.code == 0
    assert "nothing was deleted" in seen.out


# ---------------------------------------------------------------- names


def test_the_name_of_the_source_or_sink_will_do_where_one_flow_has_it(run: Run, base: Path) -> None:
    put(base, "north", "stock", 1, [stock("A", 5)])
    assert run("pull", "north", "stock").code == 0
    (report,) = run("push", "south", "stock", "--json").rows  # the flow is called stock_out
    assert (report["flow"], report["done"]) == ("stock_out", 1)


def test_a_source_that_several_flows_use_must_be_told_apart(run: Run, base: Path) -> None:
    (base / "systems" / "files.yaml").write_text(
        "system: files\nconnector: file_exchange\ntitle: files\nsettings:\n  interfaces:\n"
        "    - {name: a, folder: a, pattern: '*', layout: stock}\n"
        "    - {name: b, folder: b, pattern: '*', layout: stock}\n"
        "flows:\n  one: {pull: files, params: {interface: a}, mapping: file_exchange/stock.in}\n"
        "  two: {pull: files, params: {interface: b}, mapping: file_exchange/stock.in}\n",
        "utf-8",
    )
    seen = run("pull", "files", "files")
    assert (seen.code, seen.out) == (2, "")
    assert "one, two" in seen.err


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (("pull", "nroth", "stock"), "north"),
        (("pull", "north", "stok"), "'stock'"),
        (("pull", "north", "stock_out"), "use `tsunagi push north stock_out`"),
        (("push", "north", "orders"), "use `tsunagi pull north orders`"),
        (("push", "north", "stock", "--param", "nonsense"), "NAME=VALUE"),
        (("pull", "north"), "SOURCE is missing"),
        (("pull", "north", "stock", "--jsn"), "--json"),
        (("pul", "north", "stock"), "pull"),
    ],
)
def test_wrong_names_are_wrong_usage_and_the_right_ones_are_named(
    run: Run, base: Path, args: tuple[str, ...], told: str
) -> None:
    seen = run(*args)
    assert (seen.code, seen.out, seen.error) == (2, "", None)
    assert seen.err.startswith("✗ ")
    assert told in seen.err


# ---------------------------------------------------------------- what a flow may raise


@pytest.mark.parametrize(
    ("what", "code", "ja", "en"),
    [
        ("retry", 75, "再実行してください: come back later", "try again later: come back later"),
        ("misconfigured", 78, "設定を直してください: the key expired", "must be mended: the key expired"),
    ],
)
def test_the_errors_of_a_sink_have_their_exit_codes(
    run: Run, base: Path, what: str, code: int, ja: str, en: str
) -> None:
    put(base, "north", "stock", 1, [stock("A", 5)])
    run("pull", "north", "stock")
    for lang, told in (("ja", ja), ("en", en)):
        sink_will(base, what)
        seen = run("push", "south", "stock_out", lang=lang)
        assert (seen.code, seen.out, seen.error) == (code, "", None)
        assert told in seen.err
        assert seen.err.count("\n") == 1


def test_what_a_sink_refused_is_counted_and_no_error_of_the_run(run: Run, base: Path) -> None:
    put(base, "north", "stock", 1, [stock("A", 5), stock("BAD-1", 5)])
    run("pull", "north", "stock")
    seen = run("push", "south", "stock_out")
    assert seen.code == 0
    assert "accepted 1 · refused 1" in seen.out
    assert "tsunagi quarantine list --system south --flow stock_out" in seen.out


def test_a_bug_shows_where_it_is_but_no_values(run: Run, base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: Hub, *_: Any, **__: Any) -> None:
        buyer = "髙﨑 美咲"
        raise RuntimeError(f"no way to write to misaki@example.jp ({len(buyer)})")

    monkeypatch.setattr(Hub, "pull", broken)
    seen = run("pull", "north", "stock")
    assert (seen.code, seen.out, seen.error) == (70, "", None)
    assert "RuntimeError: no way to write to ***" in seen.err
    assert "test_flows.py" in seen.err
    assert "髙﨑 美咲" not in seen.err.replace('buyer = "髙﨑 美咲"', "")
    assert "bug" in seen.err.splitlines()[-1]


def test_ctrl_c_says_that_nothing_is_lost(run: Run, base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(self: Hub, *_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Hub, "pull", stopped)
    seen = run("pull", "north", "stock", lang="ja")
    assert seen.code == 130
    assert "続きから" in seen.err


# ---------------------------------------------------------------- progress


def test_pull_push_and_replay_tell_a_watcher(run: Run, base: Path) -> None:
    put(base, "north", "stock", 1, [stock(f"S{n}", n) for n in range(12)])
    put(base, "north", "stock", 2, [stock("B", "many"), stock("C", "few")])
    seen: list[Progress] = []
    with Hub.open() as hub:
        hub.pull("north", "stock", watch=seen.append)
        assert [(now.done, now.what) for now in seen] == [
            (0, "0001.json"), (12, "0001.json"), (12, "0002.json"), (14, "0002.json"),
        ]  # fmt: skip
        seen.clear()
        hub.push("south", "stock_out", watch=seen.append)
        assert [(now.done, now.total) for now in seen if now.done] == [(10, 12), (12, 12)]
        seen.clear()
        hub.quarantine_replay([row.id for row in hub.quarantine_list()], watch=seen.append)
        assert [(now.done, now.total) for now in seen] == [(0, 2), (2, 2)]


def test_progress_is_shown_on_a_terminal_only(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    words = output.Words("取込中", "pulling")
    with output.progress(words) as nobody:
        assert nobody is None
    monkeypatch.setattr("sys.stderr", _Terminal())
    monkeypatch.setattr(output, "err", lambda: Console(file=screen, force_terminal=True, width=100))
    with output.progress(words, quiet=True) as nobody:
        assert nobody is None
    with output.progress(words) as watch:
        assert watch is not None
        watch(Progress(3, 12, "0001.json"))
    assert "3/12" in screen.getvalue()
    assert "0001.json" in screen.getvalue()


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_command_hands_the_bar_to_the_engine(run: Run, base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(base, "north", "stock", 1, [stock("A", 5)])
    seen: list[Progress] = []

    @contextmanager
    def bar(*_: Any, **__: Any) -> Iterator[Any]:
        yield seen.append

    monkeypatch.setattr("hub.cli.flows.progress", bar)
    run("pull", "north", "stock")
    run("push", "south", "stock_out")
    assert seen[-1] == Progress(1, 1, "")
    assert Progress(1, None, "0001.json") in seen
