"""A hub, its API, and a client that holds every answer to the OpenAPI document."""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
from fastapi import FastAPI
from jsonschema import Draft202012Validator

sys.path.insert(0, str(Path(__file__).parents[1] / "stock"))

from room import Room

from connectors.registry import Connectors
from hub.api.app import PREFIX, beside_webhooks
from hub.api.keys import create_key, revoke_key
from hub.engine import Hub
from hub.gateway.app import Gateway
from hub.gateway.server import bind, server


class Desk:
    """What a test has in hand: `room` says things to the hub, `get` and `post` ask the API with a key."""

    def __init__(self, room: Room, hub: Hub, app: FastAPI, client: httpx.Client) -> None:
        self.room = room
        self.hub = hub
        self.app = app
        self.client = client
        self.api: FastAPI = next(route.app for route in app.routes if getattr(route, "path", "") == PREFIX)
        self.document = self.api.openapi()
        self._made = 0

    def key(self, *scopes: str, **more: Any) -> str:
        """A new key, known to the API at once."""
        self._made += 1
        with self.hub.engine.begin() as connection:
            _, secret = create_key(connection, f"test {self._made}", scopes, **more)
        self.forget_keys()
        return secret.get_secret_value()

    def revoke(self, key: str) -> None:
        with self.hub.engine.begin() as connection:
            revoke_key(connection, key.split("_")[1])

    def forget_keys(self) -> None:
        """As if the keys had been read long ago."""
        self.api.state.guard._read_at = -1000.0

    def get(self, path: str, key: str | None = None, **more: Any) -> httpx.Response:
        return self.call("GET", path, key, **more)

    def post(self, path: str, key: str | None = None, **more: Any) -> httpx.Response:
        return self.call("POST", path, key, **more)

    def call(self, method: str, path: str, key: str | None = None, **more: Any) -> httpx.Response:
        headers = {"accept-language": "en", **more.pop("headers", {})}
        if key is not None:
            headers["authorization"] = f"Bearer {key}"
        answer = self.client.request(method, f"{PREFIX}{path}", headers=headers, **more)
        check(self.document, method, answer)
        return answer


def at_key(plural: str, key: str) -> str:
    """The address of an entity, every character of its key encoded."""
    return f"/{plural}/{quote(key, safe='')}"


# ---------------------------------------------------------------- every answer against the document


def check(document: dict[str, Any], method: str, answer: httpx.Response) -> None:
    """Raises AssertionError unless the document knows this answer of this route."""
    route = _route(document, method, answer.request.url.path.removeprefix(PREFIX))
    assert answer.headers["x-request-id"]
    if answer.status_code == 304:
        assert answer.content == b""
    if route is None:  # no route of the document: what it says is a problem all the same
        if answer.status_code >= 400:
            _problem(document, answer)
        return
    assert str(answer.status_code) in route["responses"], f"{answer.status_code} is not in the document"
    content = route["responses"][str(answer.status_code)].get("content", {})
    if answer.status_code >= 400:
        _problem(document, answer)
    elif content:
        media = answer.headers["content-type"].split(";")[0]
        name = content[media]["schema"]["$ref"].rpartition("/")[2]
        _validator(id(document), name, _Held(document)).validate(answer.json())


def _problem(document: dict[str, Any], answer: httpx.Response) -> None:
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    _validator(id(document), "Problem", _Held(document)).validate(body)
    assert body["status"] == answer.status_code


class _Held(dict[str, Any]):
    """A document that can be an argument of a cached function."""

    def __hash__(self) -> int:  # type: ignore[override]
        return 0

    def __eq__(self, other: object) -> bool:
        return True


@lru_cache
def _validator(_document_id: int, name: str, document: _Held) -> Draft202012Validator:
    schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
    return Draft202012Validator(schema)


def _route(document: dict[str, Any], method: str, path: str) -> dict[str, Any] | None:
    found = [
        (template.count("/"), verbs[method.lower()])
        for template, verbs in document["paths"].items()
        if method.lower() in verbs and re.fullmatch(re.sub(r"\\\{\w+\\\}", "(.+)", re.escape(template)), path)
    ]
    # of /reservations/{key} and /reservations/{key}/confirm the longer one is meant
    return max(found, key=lambda one: one[0])[1] if found else None


@contextmanager
def opened(url: str, folder: Path) -> Iterator[Desk]:
    """A desk over a migrated database."""
    with Room.open(url, folder) as room:
        hub = Hub(room.engine, room.systems, Connectors())
        app = beside_webhooks(hub)
        with running(hub, app) as address, httpx.Client(base_url=address, timeout=60) as client:
            yield Desk(room, hub, app, client)


@contextmanager
def running(hub: Hub, app: FastAPI) -> Iterator[str]:
    """The gateway with this beside its webhooks, in a thread; gives its address."""
    listener = bind("127.0.0.1", 0)
    # uvloop is not made for threads
    gateway = server(hub, application=Gateway(hub, other=app), loop="asyncio")
    thread = threading.Thread(target=gateway.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        gateway.should_exit = True
        thread.join(30)
    assert not thread.is_alive()
