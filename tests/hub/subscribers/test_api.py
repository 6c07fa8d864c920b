"""Subscribers through the hub's API."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from postroom import Desk, Reply

from hub.api.app import beside_webhooks
from hub.api.keys import create_key
from hub.gateway.app import Gateway
from hub.gateway.server import bind, server
from hub.subscribers.answers import Manner
from hub.subscribers.sealed import signing_secrets

AT_ONCE = Manner(
    first=0.01, longest=0.02, longest_all=0.02, timeout=10.0, turn=5.0, limit=timedelta(0), least=1
)


class Api:
    """Calls with a key."""

    def __init__(self, client: httpx.Client, desk: Desk) -> None:
        self._client = client
        self._desk = desk

    def key(self, *scopes: str) -> str:
        with self._desk.hub.engine.begin() as connection:
            _, secret = create_key(connection, " ".join(scopes), scopes)
        return secret.get_secret_value()

    def follow(self, link: str, key: str) -> httpx.Response:
        """Read what a message points to."""
        return self._client.get(link, headers={"authorization": f"Bearer {key}"})

    def __call__(self, method: str, path: str, key: str | None, body: Any = None) -> httpx.Response:
        headers = {"accept-language": "en"} | ({} if key is None else {"authorization": f"Bearer {key}"})
        return self._client.request(method, f"/api/v1/subscribers{path}", headers=headers, json=body)


@pytest.fixture
def api(desk: Desk) -> Iterator[Api]:
    listener = bind("127.0.0.1", 0)
    application = Gateway(desk.hub, other=beside_webhooks(desk.hub))
    gateway = server(desk.hub, application=application, loop="asyncio")  # uvloop is not made for threads
    thread = threading.Thread(target=gateway.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{listener.getsockname()[1]}", timeout=30) as client:
            yield Api(client, desk)
    finally:
        gateway.should_exit = True
        thread.join(20)
    assert not thread.is_alive()


def wanted(desk: Desk, **more: Any) -> dict[str, Any]:
    return {"name": "erp", "url": desk.receiver.url, "kinds": ["sellable"], **more}


def test_a_subscriber_is_added_asked_changed_and_removed(desk: Desk, api: Api) -> None:
    key = api.key("subscribers", "read:*")
    made = api("POST", "", key, wanted(desk, url=f"{desk.receiver.url}?token=abcdef"))
    assert made.status_code == 201, made.text
    assert made.headers["cache-control"] == "no-store"
    assert made.json()["secret"].startswith("whsec_")
    assert "abcdef" not in made.text
    (one,) = api("GET", "", key).json()["items"]
    assert one == api("GET", "/erp", key).json()
    assert "secret" not in one
    changed = api(
        "PATCH", "/erp", key, {"kinds": ["sellable", "product"], "state": "paused", "reason": "tonight"}
    )
    assert changed.status_code == 200, changed.text
    assert (changed.json()["kinds"], changed.json()["state"], changed.json()["reason"]) == (
        ["product", "sellable"], "paused", "tonight",
    )  # fmt: skip
    assert api("PATCH", "/erp", key, {"state": "active"}).json()["state"] == "active"
    (job,) = desk.hub.job_statuses()
    assert (job.task, job.flow, job.lane) == ("tell", "erp", "subscribers")
    assert api("DELETE", "/erp", key).status_code == 204
    assert api("GET", "/erp", key).status_code == 404


def test_what_was_sent_can_be_looked_at_and_sent_again(desk: Desk, api: Api) -> None:
    key = api.key("subscribers", "read:*")
    api("POST", "", key, wanted(desk))
    desk.sell("A", 1)
    desk.receiver.answer = lambda call: Reply(400, body=b"no such SKU")
    desk.send_all(manner=AT_ONCE)
    (dead,) = api("GET", "/erp/failed", key).json()["items"]
    assert (dead["key"], dead["status"], dead["error"]) == ("rakuten/A", 400, "no such SKU")
    tried = api("GET", "/erp/attempts?failed=true", key).json()["items"]
    assert tried[0]["event_id"] == dead["event_id"]
    assert api("GET", "/erp/attempts?event_id=msg_other", key).json() == {"items": []}
    desk.receiver.answer = lambda call: Reply()
    assert api("POST", "/erp/replay", key, {"failed": True}).json() == {"waiting": 1, "overtaken": 0}
    assert desk.send_all().accepted == 1
    assert api("POST", "/erp/replay", key, {"event_id": dead["event_id"]}).json()["waiting"] == 1
    since = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    assert api("POST", "/erp/replay", key, {"since": since}).json()["waiting"] == 1
    assert desk.send_all().accepted == 2
    for nonsense in (
        {},
        {"failed": True, "since": since},
        {"failed": False},
        {"since": "2026-11-21T00:00:00"},
    ):
        assert api("POST", "/erp/replay", key, nonsense).status_code == 422
    assert api("POST", "/erp/replay", key, {"event_id": "msg_unknown"}).status_code == 409


def test_a_messages_link_shows_the_entity(desk: Desk, api: Api) -> None:
    desk.subscribe()
    for sku in ("A", "B #1?", "あ//b"):
        desk.sell(sku, 3)
    desk.send()
    key = api.key("read:*")
    for call in desk.receiver.calls:
        found = api.follow(call.data["link"], key).json()
        (shown,) = found.get("items", [found])
        assert (shown["key"], shown["version"]) == (call.data["key"], 1)
    assert len(desk.receiver.calls) == 3


def test_a_ping_tells_what_came_back(desk: Desk, api: Api) -> None:
    key = api.key("subscribers", "read:*")
    api("POST", "", key, wanted(desk))
    well = api("POST", "/erp/ping", key).json()
    assert (well["accepted"], well["attempt"]["status"]) == (True, 200)
    assert desk.receiver.calls[-1].said == {
        "type": "ping", "timestamp": desk.receiver.calls[-1].said["timestamp"], "data": {"subscriber": "erp"},
    }  # fmt: skip
    desk.receiver.answer = lambda call: Reply(500)
    ill = api("POST", "/erp/ping", key).json()
    assert (ill["accepted"], ill["attempt"]["status"]) == (False, 500)
    assert desk.send().next_in is None  # asked once, whatever the answer
    assert api("GET", "/erp/failed", key).json() == {"items": []}


def test_a_secret_is_replaced(desk: Desk, api: Api) -> None:
    key = api.key("subscribers", "read:*")
    first = api("POST", "", key, wanted(desk)).json()["secret"]
    second = api("POST", "/erp/rotate-secret", key).json()["secret"]
    third = api("POST", "/erp/rotate-secret", key, {"overlap": 0}).json()["secret"]
    assert len({first, second, third}) == 3
    with desk.hub.engine.connect() as connection:
        (row,) = desk.rows("SELECT id FROM subscriber")
        (left,) = signing_secrets(connection, row.id, "erp")
    assert left.get_secret_value() == third


def test_who_may_not_read_a_kind_may_not_have_it_sent(desk: Desk, api: Api) -> None:
    nobody, reader = api.key("read:*"), api.key("subscribers", "read:*")
    clerk = api.key("subscribers", "read:order")
    assert api("GET", "", None).status_code == 401
    assert api("GET", "", nobody).status_code == 403
    refused = api("POST", "", reader, wanted(desk, kinds=["sellable", "order"]))
    assert (refused.status_code, refused.json()["scopes"]) == (403, ["read:order"])
    assert api("POST", "", clerk, wanted(desk, kinds=["order"])).status_code == 201
    # nor turn what goes to somebody else to an address of its own
    for method, path, body in (
        ("PATCH", "/erp", {"url": "https://elsewhere.example/"}), ("POST", "/erp/replay", {"failed": True}),
        ("POST", "/erp/rotate-secret", {}), ("GET", "/erp/attempts", None), ("GET", "/erp/failed", None),
    ):  # fmt: skip
        assert api(method, path, reader, body).status_code == 403, path
    assert api("PATCH", "/erp", clerk, {"kinds": ["order", "customer"]}).status_code == 403


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({"url": "https://10.0.0.1/"}, 422), ({"url": "http://8.8.8.8/"}, 422), ({"url": "ftp://a.example/"}, 422),
        ({"url": "https://user:word@a.example/"}, 422), ({"kinds": []}, 422), ({"kinds": ["sellables"]}, 403),
        ({"name": "E R P"}, 422), ({"at_once": 1000}, 422), ({"content": "all"}, 422), ({"more": 1}, 422),
    ],
)  # fmt: skip
def test_what_is_not_accepted(desk: Desk, api: Api, more: dict[str, Any], status: int) -> None:
    key = api.key("subscribers", "read:*")
    answer = api("POST", "", key, wanted(desk, **more))
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert desk.rows("SELECT FROM subscriber") == []


def test_an_address_that_may_not_be_called_says_the_rule_and_the_way_out(desk: Desk, api: Api) -> None:
    key = api.key("subscribers", "read:*")
    answer = api("POST", "", key, wanted(desk, url="https://169.254.169.254/latest"))
    assert "link_local" in answer.json()["detail"]
    assert "TSUNAGI_SUBSCRIBER_NETWORKS" in answer.json()["detail"]


def test_a_name_is_given_once(desk: Desk, api: Api) -> None:
    key = api.key("subscribers", "read:*")
    assert api("POST", "", key, wanted(desk)).status_code == 201
    assert api("POST", "", key, wanted(desk)).status_code == 409
