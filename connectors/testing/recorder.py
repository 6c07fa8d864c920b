"""Writing recordings: call a live stand-in once, keep what was said without secrets and personal data."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import httpx
from pydantic import BaseModel

from connectors.calls import open_call
from connectors.contract import Call, Connector
from connectors.testing.playback import as_lists, is_text
from connectors.testing.yaml_text import dump_yaml
from connectors.transport.redaction import MASK, Redactor, is_personal_key, is_secret_key, secret_values

__all__ = ["record"]

_DROPPED = (
    *("date", "server", "connection", "keep-alive", "set-cookie"),
    *("content-length", "content-encoding", "vary"),
)
_STAND_INS = (
    (("mail", "メール"), "mihon@example.jp"),
    (("phone", "tel", "fax", "mobile", "電話", "携帯"), "03-0000-0000"),
    (("zip", "post", "郵便"), "100-0001"),
    (("kana", "カナ", "フリガナ", "かな"), "ミホン"),
    (("address", "street", "住所"), "見本町1-1"),
    (("name", "氏名", "名"), "見本"),
)
"""What a personal value of an answer becomes, by its key: something of the same kind, so that mappings and models
still take it. In requests it becomes a mask, which matches anything."""

StandIn = Callable[[str], str]


@contextmanager
def record(
    connector: Connector[Any],
    config: BaseModel,
    path: Path,
    *,
    params: Mapping[str, Any] | None = None,
    now: datetime | None = None,
    transport: httpx.BaseTransport | None = None,
) -> Iterator[Call[Any]]:
    """A call on the live system; when it ends without an error, its exchanges are written to `path`.

        with record(connector, config, Path("recordings/orders.yaml")) as call:
            list(connector.sources["orders"].run(call, None))

    Read what was written before it is committed: free texts may hold personal data that no key gives away.
    """
    listening = _Listening(transport or httpx.HTTPTransport(), Redactor(secret_values(config)))
    clock = (lambda: now) if now is not None else None
    with open_call(connector, "recording", config, params=params, transport=listening, now=clock) as call:
        yield call
        dump_yaml(listening.exchanges, path)


class _Listening(httpx.BaseTransport):
    def __init__(self, inner: httpx.BaseTransport, redactor: Redactor) -> None:
        self._inner = inner
        self._redactor = redactor
        self.exchanges: list[dict[str, Any]] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.read()
        response = self._inner.handle_request(request)
        response.read()
        self.exchanges.append({"request": self._asked(request), "response": self._answered(response)})
        headers = [
            (k, v)
            for k, v in response.headers.multi_items()
            if k not in ("content-encoding", "content-length")
        ]
        return httpx.Response(response.status_code, headers=headers, content=response.content)

    def close(self) -> None:
        self._inner.close()

    def _asked(self, request: httpx.Request) -> dict[str, Any]:
        asked: dict[str, Any] = {"method": request.method, "path": request.url.path}
        query = parse_qsl(request.url.query.decode(), keep_blank_values=True)
        if query:
            asked["query"] = self._pairs(query)
        kind = request.headers.get("content-type", "")
        if request.content and "form-urlencoded" in kind:
            asked["form"] = self._pairs(parse_qsl(request.content.decode(), keep_blank_values=True))
        elif request.content:
            asked |= self._body(request.content, kind, _masked)
        return asked

    def _answered(self, response: httpx.Response) -> dict[str, Any]:
        headers = {
            name: MASK if is_secret_key(name) else self._redactor.text(value)
            for name, value in response.headers.items()
            if name not in _DROPPED
        }
        kind = headers.get("content-type", "")
        body = self._body(response.content, kind, _stand_in) if response.content else {}
        if "json" in body and kind.startswith("application/json"):
            del headers["content-type"]
        return {"status": response.status_code} | ({"headers": headers} if headers else {}) | body

    def _body(self, content: bytes, kind: str, personal: StandIn) -> dict[str, Any]:
        try:
            return {"json": self._scrubbed("", json.loads(content), personal)}
        except ValueError:
            pass
        if is_text(kind):
            return {"text": self._redactor.text(content.decode("utf-8", "replace"))}
        return {"base64": base64.b64encode(content).decode()}

    def _pairs(self, pairs: list[tuple[str, str]]) -> dict[str, str | list[str]]:
        scrubbed = [(key, self._scrubbed(key, value, _masked)) for key, value in pairs]
        return as_lists(scrubbed)

    def _scrubbed(self, key: str, value: Any, personal: StandIn) -> Any:
        if isinstance(value, dict):
            return {name: self._scrubbed(name, item, personal) for name, item in value.items()}
        if isinstance(value, list):
            return [self._scrubbed(key, item, personal) for item in value]
        if not isinstance(value, str) or not value:
            return value
        if is_secret_key(key):
            return MASK
        return personal(key) if is_personal_key(key) else self._redactor.data(value)


def _stand_in(key: str) -> str:
    lower = key.lower()
    return next((stand_in for words, stand_in in _STAND_INS if any(word in lower for word in words)), MASK)


def _masked(_key: str) -> str:
    return MASK
