"""`tsunagi subscriber`, and what `tsunagi status` tells of subscribers."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from postroom import Desk, Receiver, Reply
from standardwebhooks.webhooks import Webhook
from typer.testing import CliRunner

from hub.cli import app
from hub.subscribers.answers import Manner

AT_ONCE = Manner(
    first=0.01, longest=0.02, longest_all=0.02, timeout=10.0, turn=5.0, limit=timedelta(0), least=1
)


class Said:
    """What a command left behind."""

    def __init__(self, *words: str) -> None:
        found = CliRunner().invoke(app, list(words))
        self.code, self.out, self.err = found.exit_code, found.stdout, found.stderr

    @property
    def rows(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]


@pytest.fixture(autouse=True)
def _environment(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "systems").mkdir()
    monkeypatch.setenv("TSUNAGI_DATABASE_URL", database_url)
    monkeypatch.setenv("TSUNAGI_SYSTEMS", str(tmp_path / "systems"))
    monkeypatch.setenv("TSUNAGI_LOG_FORMAT", "json")
    monkeypatch.setenv("COLUMNS", "160")


def test_from_adding_to_the_first_message(desk: Desk) -> None:
    made = Said("subscriber", "add", "erp", "--url", desk.receiver.url, "--kinds", "order,sellable")
    assert made.code == 0, made.err
    secret = made.out.splitlines()[-1]
    assert secret.startswith("whsec_")
    assert secret not in Said("subscriber", "show", "erp").out
    desk.sell("A", 3)
    sent = Said("subscriber", "send", "--json")
    assert sent.rows == [
        {"subscriber": "erp", "messages": 1, "accepted": 1, "failed": 0, "dead": 0, "next_in": None}
    ]
    (call,) = desk.receiver.calls
    Webhook(secret).verify(call.body, call.headers)
    (attempt,) = Said("subscriber", "attempts", "erp", "--json").rows
    assert (attempt["event_id"], attempt["key"], attempt["status"], attempt["attempt"]) == (
        call.event_id, "rakuten/A", 200, 1,
    )  # fmt: skip
    assert "HTTP 200 ok" in Said("subscriber", "attempts", "erp").out
    shown = Said("subscriber", "list")
    assert "erp" in shown.out
    assert "active" in shown.out


def test_settings_pause_resume_rotate_remove(desk: Desk) -> None:
    desk.subscribe()
    assert Said("subscriber", "change", "erp", "--kinds", "product", "--channels", "").code == 0
    assert Said("subscriber", "pause", "erp", "--reason", "tonight", "--json").rows[0]["state"] == "paused"
    assert Said("subscriber", "show", "erp", "--json").rows[0]["reason"] == "tonight"
    assert Said("subscriber", "resume", "erp", "--json").rows[0]["state"] == "active"
    one = Said("subscriber", "rotate-secret", "erp").out.splitlines()[-1]
    two = Said("subscriber", "rotate-secret", "erp", "--overlap", "0s", "--json").rows[0]["secret"]
    assert one != two
    assert Said("subscriber", "rotate-secret", "erp", "--overlap", "soon").code == 2
    assert Said("subscriber", "remove", "erp").code == 0
    gone = Said("subscriber", "show", "erp")
    assert (gone.code, "There is no subscriber 'erp'" in gone.err) == (2, True)


def test_a_ping_tells_what_came_back(desk: Desk) -> None:
    desk.subscribe()
    well = Said("subscriber", "test", "erp")
    assert well.code == 0, well.err
    assert "accepted: HTTP 200" in well.out
    desk.receiver.answer = lambda call: Reply(404, body=b"nobody here")
    ill = Said("subscriber", "test", "erp")
    assert (ill.code, "HTTP 404 nobody here" in ill.err) == (1, True)
    with Receiver() as gone:
        url = gone.url
    Said("subscriber", "change", "erp", "--url", url)
    assert "ConnectError" in Said("subscriber", "test", "erp").err


def test_what_was_given_up_is_shown_and_replayed(desk: Desk) -> None:
    desk.subscribe()
    desk.sell("A", 1)
    desk.receiver.answer = lambda call: Reply(422, body=b"no such SKU")
    desk.send_all(manner=AT_ONCE)
    assert "no such SKU" in Said("subscriber", "failed").out
    status = Said("status")
    assert status.code == 0
    assert "1 messages given up" in status.out
    (told,) = [row["subscriber"] for row in Said("status", "--json").rows if "subscriber" in row]
    assert (told["name"], told["dead"], told["waiting"]) == ("erp", 1, 0)
    desk.receiver.answer = lambda call: Reply()
    assert Said("subscriber", "replay", "erp").code == 2
    assert Said("subscriber", "replay", "erp", "--failed", "--json").rows == [{"waiting": 1, "overtaken": 0}]
    assert Said("subscriber", "send", "erp").code == 0
    assert "No message was given up" in Said("subscriber", "failed", "erp").out
    event = desk.receiver.calls[0].event_id
    assert Said("subscriber", "replay", "erp", "--event", event).code == 0
    assert Said("subscriber", "replay", "erp", "--from", "2026-01-01").code == 0
    Said("subscriber", "send")
    assert [call.event_id for call in desk.receiver.calls].count(event) >= 3


@pytest.mark.parametrize(
    ("url", "rule"),
    [
        ("https://10.9.8.7/", "private"), ("https://[::1]:8/", None),
        ("http://8.8.8.8/in", "plain_http"), ("https://169.254.169.254/", "link_local"),
        ("https://2130706433/", None), ("https://0/", "unspecified"),
    ],
)  # fmt: skip
def test_an_address_that_may_not_be_called(desk: Desk, url: str, rule: str | None) -> None:
    said = Said("subscriber", "add", "erp", "--url", url, "--kinds", "sellable")
    if rule is None:  # of the networks that are allowed here
        assert said.code == 0, said.err
    else:
        assert said.code == 1
        assert f"rule {rule}" in said.err
        assert "TSUNAGI_SUBSCRIBER_NETWORKS=10.20.0.0/16" in said.err


def test_networks_that_are_none_are_told(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TSUNAGI_SUBSCRIBER_NETWORKS", "127.0.0.0/8, office")
    said = Said("subscriber", "add", "erp", "--url", desk.receiver.url, "--kinds", "sellable")
    assert said.code == 78
    assert "'office'" in said.err


def test_a_network_that_is_closed_again_is_closed_for_messages_too(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.subscribe()
    desk.sell("A", 1)
    monkeypatch.setenv("TSUNAGI_SUBSCRIBER_NETWORKS", "")
    assert desk.send().failed == 1
    (attempt,) = Said("subscriber", "attempts", "erp", "--json").rows
    assert "rule loopback" in attempt["error"]
    assert desk.receiver.calls == []


def test_the_japanese_is_japanese(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TSUNAGI_LANG", "ja")
    assert "購読者はいません。" in Said("subscriber", "list").out
    assert (
        "規則 private" in Said("subscriber", "add", "a", "--url", "https://10.0.0.1/", "--kinds", "order").err
    )
