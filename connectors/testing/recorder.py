"""Writing recordings: call a live stand-in once, keep what was said without secrets and personal data."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import httpx
from pydantic import BaseModel

from connectors.calls import open_call
from connectors.contract import Call, Connector
from connectors.testing.playback import is_text
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
"""What a personal value becomes, by its key: something of the same kind, so that mappings and models still
take it.
"""


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
        query = [(key, self._value(key, value)) for key, value in parse_qsl(request.url.query.decode(), True)]
        if query:
            asked["query"] = {key: [v for k, v in query if k == key] for key, _ in query}
            asked["query"] = {key: v[0] if len(v) == 1 else v for key, v in asked["query"].items()}
        kind = request.headers.get("content-type", "")
        if request.content and "form-urlencoded" in kind:
            asked["form"] = {k: self._value(k, v) for k, v in parse_qsl(request.content.decode(), True)}
        elif request.content:
            asked |= self._body(request.content, kind)
        return asked

    def _answered(self, response: httpx.Response) -> dict[str, Any]:
        headers = {
            name: MASK if is_secret_key(name) else self._redactor.text(value)
            for name, value in response.headers.items()
            if name not in _DROPPED
        }
        answered: dict[str, Any] = {"status": response.status_code}
        body = self._body(response.content, headers.get("content-type", "")) if response.content else {}
        if "json" in body and headers.get("content-type", "").startswith("application/json"):
            del headers["content-type"]
        return answered | ({"headers": headers} if headers else {}) | body

    def _body(self, content: bytes, kind: str) -> dict[str, Any]:
        try:
            return {"json": self._scrubbed("", json.loads(content))}
        except ValueError:
            pass
        if is_text(kind):
            return {"text": self._redactor.text(content.decode("utf-8", "replace"))}
        return {"base64": base64.b64encode(content).decode()}

    def _scrubbed(self, key: str, value: Any) -> Any:
        if isinstance(value, dict):
            return {name: self._scrubbed(name, item) for name, item in value.items()}
        if isinstance(value, list):
            return [self._scrubbed(key, item) for item in value]
        return self._value(key, value)

    def _value(self, key: str, value: Any) -> Any:
        if not isinstance(value, str) or not value:
            return value
        if is_secret_key(key):
            return MASK
        if is_personal_key(key):
            return next(
                (stand_in for words, stand_in in _STAND_INS if any(w in key.lower() for w in words)), MASK
            )
        return self._redactor.data(value)
