"""No name, address, phone number or e-mail address in logs, or in what commands show unasked."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog
from typer.testing import CliRunner

from connectors.contract import Outcome, Refused, Retry
from hub.cli import app, output
from hub.engine import Hub
from hub.home import Home, Settings
from hub.logs import configure_logging, mask_error
from tests.hub.cli.support import Ran
from tests.hub.erasure.town import HANAKO, MARKERS, TARO, drop, order

Run = Callable[..., Ran]
BAD = order("A-3", HANAKO, "C-77", 受注メールアドレス="hanako.k@example.jp@")
WORSE = order(
    "A-4",
    HANAKO,
    "C-77",
    受注郵便番号="150-000２号",
    発送郵便番号="9",
    受注電話番号="03-0123-4567-8901-234567",
)


@pytest.fixture
def run(hub: Hub, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    drop(tmp_path, 1, [order("A-1", HANAKO, "C-77"), BAD, WORSE, order("A-6", HANAKO), order("A-7", TARO)])
    monkeypatch.setenv("TSUNAGI_DATABASE_URL", database_url)
    monkeypatch.setenv("TSUNAGI_SYSTEMS", str(tmp_path / "systems"))

    def call(*args: object, lang: str = "ja") -> Ran:
        output.out.cache_clear()
        output.err.cache_clear()
        env = {"TSUNAGI_LANG": lang, "COLUMNS": "220"}
        result = CliRunner().invoke(app, [str(arg) for arg in args], env=env)
        known = None if isinstance(result.exception, SystemExit) else result.exception
        return Ran(result.exit_code, result.stdout, result.stderr, known)

    yield call
    output.out.cache_clear()
    output.err.cache_clear()


def leaked(*told: str) -> list[str]:
    body = "\n".join(told)
    plain = body.replace("\n", "").replace(" ", "")
    return [marker for marker in MARKERS if marker in body or marker.replace(" ", "") in plain]


def test_what_commands_show(run: Run, tmp_path: Path) -> None:
    told: dict[str, Ran] = {
        "preview": run("preview", "file_exchange/general_orders.in", tmp_path / "core/orders/JUCHU_20261121_001.csv"),
        "pull": run("-v", "pull", "core", "orders"),
    }  # fmt: skip
    for lang in ("ja", "en"):
        told |= {
            f"list {lang}": run("quarantine", "list", lang=lang),
            f"list json {lang}": run("quarantine", "list", "--json", lang=lang),
            f"show {lang}": run("quarantine", "show", 1, lang=lang),
            f"show 2 {lang}": run("quarantine", "show", 2, lang=lang),
            f"show json {lang}": run("quarantine", "show", 1, "--json", lang=lang),
            f"explain {lang}": run("explain", "order", "mailorder/A-1", lang=lang),
            f"status {lang}": run("status", lang=lang),
        }
    told |= {
        "customer": run("explain", "customer", "mailorder/C-77"),
        "push": run("-v", "push", "wms", "instructions"),
        "replay": run("-v", "quarantine", "replay", 1),
        "plan": run("erase", "customer", "mailorder/C-77", "--dry-run"),
        "plan json": run("erase", "customer", "mailorder/C-77", "--dry-run", "--json"),
        "by mail": run("explain", "customer", "mailorder/unknown"),
    }
    for name, ran in told.items():
        assert ran.error is None, f"{name}: {ran.err}"
        assert leaked(ran.out, ran.err) == [], f"{name}:\n{ran.out}\n{ran.err}"


@pytest.fixture(params=["console", "json"])
def lines(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[io.StringIO]:
    stream = io.StringIO()
    settings = Settings(Home(tmp_path / "home"), log_format=request.param)
    configure_logging(settings, level=logging.DEBUG, stream=stream)
    yield stream
    for handler in [one for one in logging.getLogger().handlers if getattr(one, "stream", None) is stream]:
        logging.getLogger().removeHandler(handler)
    structlog.reset_defaults()


def test_a_bug_with_values_in_its_message_is_logged_without_them(
    run: Run, hub: Hub, lines: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = structlog.get_logger("tsunagi.test")
    name, mail = HANAKO["受注名"], HANAKO["受注メールアドレス"]
    for record in (HANAKO, {"buyer": {"name": {"full": name}, "email": mail}}, {"rows": [HANAKO]}):
        log.warning("refused", record=record)
    try:
        raise ValueError(f"cannot map email={mail} phone {HANAKO['受注電話番号']} 受注名='{name}'")
    except ValueError:
        log.exception("breakdown")
        logging.getLogger("some.library").exception("broke at %s", mail)
    assert leaked(lines.getvalue()) == []


@pytest.mark.parametrize(
    "error",
    [
        Refused("addressee 川嶋 花子 (hanako.k@example.jp) is unknown"),
        Retry("no answer for hanako.k@example.jp, 03-0123-4567"),
    ],
)
def test_what_the_other_side_says_of_a_person(
    run: Run, hub: Hub, lines: io.StringIO, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    run("pull", "core", "orders")

    def refuse(*_: object) -> list[Outcome]:
        raise error

    monkeypatch.setattr(
        type(hub.connectors.named("file_exchange").sinks["files"]), "run", property(lambda _: refuse)
    )
    pushed = run("-v", "push", "wms", "instructions")
    shown = [
        run("quarantine", "list"),
        run("status"),
        run("status", "--json"),
        run("explain", "order", "mailorder/A-1"),
    ]
    told = [pushed.out, pushed.err, *(ran.out + ran.err for ran in shown), lines.getvalue()]
    mails = [marker for marker in leaked(*told) if "@" in marker or marker[0].isdigit()]
    assert mails == [], json.dumps(told, ensure_ascii=False)


def test_what_is_logged_where_nobody_filters_it(run: Run, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """Inside Airflow the hub's own filter of log lines is not there."""
    hub.pull("core", "orders")

    def refuse(*_: object) -> list[Outcome]:
        raise Retry("no answer for hanako.k@example.jp, 03-0123-4567")

    monkeypatch.setattr(
        type(hub.connectors.named("file_exchange").sinks["files"]), "run", property(lambda _: refuse)
    )
    with structlog.testing.capture_logs() as lines, pytest.raises(Retry) as raised:
        hub.push("wms", "instructions")
    assert [line["outcome"] for line in lines if line["event"] == "run"] == ["retry"]
    assert leaked(json.dumps(lines, ensure_ascii=False, default=str)) == []
    cause = ValueError("of 03-0123-4567")
    raised.value.__cause__ = cause
    mask_error(raised.value)
    assert leaked(str(raised.value), str(cause)) == []
    assert "no answer" in str(raised.value)
