"""Recorded answers: a YAML file of requests and what was answered, played through an httpx transport.

    - request: {method: GET, path: /orders?page=1}
      response: {status: 200, json: {orders: [{id: A1}], next: 2}}

A request matches when method, path, query and the named headers are equal, and the body too where the
recording has one. `"*"` stands for any value (`"***"` as well: a masked one). Several answers to equal
requests are given in their order; the last one is given again.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qsl

import httpx
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from connectors.testing.yaml_text import BadFile, load_yaml

__all__ = ["Answered", "Asked", "Playback", "Recorded", "UnmatchedRequest", "load_recording"]

ANY = ("*", "***")
_TEXT_TYPES = ("text/", "application/json", "application/xml", "application/x-www-form-urlencoded")


class UnmatchedRequest(AssertionError):
    """The connector sent something that was not recorded."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)


class Asked(_Part):
    """A request. `path` is the whole path on the host and may carry the query; `host` only where it is
    another one.
    """

    method: str = "GET"
    path: str
    host: str | None = None
    query: dict[str, str | list[str]] = Field(default_factory=dict)
    headers: dict[str, str] = Field(default_factory=dict)
    json_body: Any = Field(default=None, alias="json")
    form: dict[str, str | list[str]] | None = None
    text: str | None = None

    @model_validator(mode="after")
    def _query_of_path(self) -> Self:
        path, mark, query = self.path.partition("?")
        if mark:
            self.path = path
            self.query = {**as_lists(parse_qsl(query, keep_blank_values=True)), **self.query}
        return self


class Answered(_Part):
    """An answer: one of `json`, `text` or `base64` is the body."""

    status: int = 200
    headers: dict[str, str] = Field(default_factory=dict)
    json_body: Any = Field(default=None, alias="json")
    text: str | None = None
    base64: str | None = None

    def response(self) -> httpx.Response:
        if self.base64 is not None:
            return httpx.Response(self.status, headers=self.headers, content=base64.b64decode(self.base64))
        if self.text is not None:
            return httpx.Response(self.status, headers=self.headers, text=self.text)
        if self.json_body is not None:
            return httpx.Response(self.status, headers=self.headers, json=self.json_body)
        return httpx.Response(self.status, headers=self.headers)


class Recorded(_Part):
    request: Asked
    response: Answered


def load_recording(path: Path) -> list[Recorded]:
    """The exchanges of a file. Raises `BadFile` naming file and field."""
    try:
        return TypeAdapter(list[Recorded]).validate_python(load_yaml(path) or [])
    except ValidationError as error:
        raise BadFile(f"{path}: {error}") from error


class Playback(httpx.BaseTransport):
    """Answers from a recording; `requests` are what was sent and `answers` what was given, in order."""

    def __init__(self, recorded: Sequence[Recorded], name: str = "recording") -> None:
        self._recorded = list(recorded)
        self._name = name
        self._played = [0] * len(self._recorded)
        self.requests: list[httpx.Request] = []
        self.answers: list[httpx.Response] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.read()
        self.requests.append(request)
        found: int | None = None
        for number, recorded in enumerate(self._recorded):
            if next(differences(recorded.request, request), None) is None:
                found = number
                if not self._played[number]:
                    break
        if found is None:
            raise UnmatchedRequest(self._explain(request))
        self._played[found] += 1
        self.answers.append(self._recorded[found].response.response())
        return self.answers[-1]

    def _explain(self, request: httpx.Request) -> str:
        lines = [f"{self._name} holds no answer for", f"  {sent_as_text(request)}"]

        def distance(recorded: Recorded) -> tuple[int, int]:
            shared = recorded.request.query.keys() & request.url.params.keys()
            return len([*differences(recorded.request, request)]), -len(shared)

        nearest = min(self._recorded, key=distance, default=None)
        if nearest is None:
            return "\n".join([*lines, "it is empty"])
        lines.append(
            f"the nearest recorded request, {nearest.request.method} {nearest.request.path}, differs in:"
        )
        lines += [f"  {difference}" for difference in differences(nearest.request, request)]
        return "\n".join(lines)


def sent_as_text(request: httpx.Request) -> str:
    """A request in one line, for messages."""
    body = request.content.decode("utf-8", "replace")
    return f"{request.method} {request.url}" + (f" {body[:500]}" if body else "")


def differences(asked: Asked, request: httpx.Request) -> Iterator[str]:
    """How a request differs from a recorded one; nothing when it matches."""
    if asked.method.upper() != request.method:
        yield f"method: recorded {asked.method.upper()}, sent {request.method}"
    if asked.host is not None and asked.host != request.url.host:
        yield f"host: recorded {asked.host}, sent {request.url.host}"
    recorded, sent = asked.path.split("/"), request.url.path.split("/")
    if len(recorded) != len(sent) or any(
        a != b and a not in ANY for a, b in zip(recorded, sent, strict=True)
    ):
        yield f"path: recorded {asked.path}, sent {request.url.path}"
    yield from _unlike(
        asked.query, as_lists(parse_qsl(request.url.query.decode(), keep_blank_values=True)), "query"
    )
    for name, value in asked.headers.items():
        if name not in request.headers:
            yield f"header {name}: recorded {value!r}, sent none"
        elif value not in ANY and request.headers[name] != value:
            yield f"header {name}: recorded {value!r}, sent {request.headers[name]!r}"
    yield from _body_differences(asked, request)


def _body_differences(asked: Asked, request: httpx.Request) -> Iterator[str]:
    if asked.json_body is not None:
        try:
            yield from _unlike(asked.json_body, json.loads(request.content), "json")
        except ValueError:
            yield "body: recorded JSON, sent something else"
    if asked.form is not None:
        yield from _unlike(
            asked.form, as_lists(parse_qsl(request.content.decode(), keep_blank_values=True)), "form"
        )
    if (
        asked.text is not None
        and asked.text not in ANY
        and asked.text != request.content.decode("utf-8", "replace")
    ):
        yield f"body: recorded {asked.text!r}, sent {request.content.decode('utf-8', 'replace')!r}"


def _unlike(recorded: Any, sent: Any, place: str) -> Iterator[str]:
    if isinstance(recorded, str) and recorded in ANY:
        return
    if isinstance(recorded, Mapping) and isinstance(sent, Mapping):
        for key in [*recorded, *(key for key in sent if key not in recorded)]:
            if key not in sent:
                yield f"{place}.{key}: recorded {recorded[key]!r}, sent none"
            elif key not in recorded:
                yield f"{place}.{key}: not recorded, sent {sent[key]!r}"
            else:
                yield from _unlike(recorded[key], sent[key], f"{place}.{key}")
    elif isinstance(recorded, list) and isinstance(sent, list) and len(recorded) == len(sent):
        for number, (a, b) in enumerate(zip(recorded, sent, strict=True)):
            yield from _unlike(a, b, f"{place}[{number}]")
    elif recorded != sent or isinstance(recorded, bool) is not isinstance(sent, bool):
        yield f"{place}: recorded {recorded!r}, sent {sent!r}"


def as_lists(pairs: list[tuple[str, str]]) -> dict[str, str | list[str]]:
    """Query or form as a mapping; a name that comes more than once has a list."""
    named: dict[str, list[str]] = {}
    for key, value in pairs:
        named.setdefault(key, []).append(value)
    return {key: values[0] if len(values) == 1 else values for key, values in named.items()}


def is_text(content_type: str) -> bool:
    """Whether a body of this type is kept as text."""
    return content_type.lower().startswith(_TEXT_TYPES) or content_type.partition(";")[0].endswith(
        ("+json", "+xml")
    )
