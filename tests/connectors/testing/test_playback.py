"""Recorded answers: what matches, what does not, and how that is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from connectors.testing import Playback, UnmatchedRequest, load_recording
from connectors.testing.yaml_text import BadFile, dump_yaml, load_yaml


def play(tmp_path: Path, text: str) -> Playback:
    path = tmp_path / "orders.yaml"
    path.write_text(text, "utf-8")
    return Playback(load_recording(path), "orders.yaml")


def ask(
    playback: Playback, method: str = "GET", url: str = "https://shop.example/orders", **options: Any
) -> httpx.Response:
    with httpx.Client(transport=playback) as client:
        return client.request(method, url, **options)


@pytest.mark.parametrize(
    ("recorded", "options"),
    [
        ("{path: /orders}", {}),
        ("{path: '/orders?page=1&tag=a&tag=b'}", {"params": {"page": 1, "tag": ["a", "b"]}}),
        ("{path: /orders, query: {page: '*'}}", {"params": {"page": 77}}),
        ("{path: /orders, host: shop.example}", {}),
        ("{path: /orders, headers: {X-Api-Key: '***'}}", {"headers": {"X-Api-Key": "abc"}}),
        (
            "{path: /orders, method: post, json: {a: [1, {b: '*'}]}}",
            {"method": "POST", "json": {"a": [1, {"b": 2}]}},
        ),
        ("{path: /orders, method: POST, form: {a: '1'}}", {"method": "POST", "data": {"a": "1"}}),
        ("{path: /orders, method: POST, text: hello}", {"method": "POST", "content": "hello"}),
        ("{path: /orders, method: POST}", {"method": "POST", "content": "whatever"}),
        ("{path: /shops/*/orders}", {"url": "https://shop.example/shops/17/orders"}),
        ("{path: /注文}", {"url": "https://shop.example/注文"}),
    ],
)
def test_a_request_that_was_recorded_is_answered(
    tmp_path: Path, recorded: str, options: dict[str, Any]
) -> None:
    playback = play(tmp_path, f"- request: {recorded}\n  response: {{json: {{ok: 1}}}}\n")
    assert ask(playback, **options).json() == {"ok": 1}


@pytest.mark.parametrize(
    ("recorded", "options", "difference"),
    [
        ("{path: /orders}", {"params": {"page": 1}}, "query.page: not recorded, sent '1'"),
        ("{path: /orders, query: {page: '1'}}", {}, "query.page: recorded '1', sent none"),
        (
            "{path: /orders, query: {page: '1'}}",
            {"params": {"page": 2}},
            "query.page: recorded '1', sent '2'",
        ),
        ("{path: /orders, method: POST}", {}, "method: recorded POST, sent GET"),
        ("{path: /items}", {}, "path: recorded /items, sent /orders"),
        ("{path: /orders, host: cdn.example}", {}, "host: recorded cdn.example, sent shop.example"),
        (
            "{path: /orders, headers: {Accept: text/csv}}",
            {},
            "header Accept: recorded 'text/csv', sent '*/*'",
        ),
        ("{path: /orders, headers: {X-Shop: '1'}}", {}, "header X-Shop: recorded '1', sent none"),
        (
            "{path: /orders, method: POST, json: {a: 1}}",
            {"method": "POST", "json": {"a": 2}},
            "json.a: recorded 1, sent 2",
        ),
        (
            "{path: /orders, method: POST, json: [1]}",
            {"method": "POST", "json": [1, 2]},
            "json: recorded [1], sent [1, 2]",
        ),
        (
            "{path: /orders, method: POST, json: {a: 1}}",
            {"method": "POST", "json": {"a": True}},
            "json.a: recorded 1, sent True",
        ),
        (
            "{path: /orders, method: POST, json: {a: 1}}",
            {"method": "POST", "content": "a=1"},
            "body: recorded JSON",
        ),
        (
            "{path: /orders, method: POST, text: hi}",
            {"method": "POST", "content": "ho"},
            "body: recorded 'hi', sent 'ho'",
        ),
    ],
)
def test_a_request_that_was_not_recorded_says_how_it_differs(
    tmp_path: Path, recorded: str, options: dict[str, Any], difference: str
) -> None:
    playback = play(tmp_path, f"- request: {recorded}\n  response: {{}}\n")
    with pytest.raises(UnmatchedRequest) as error:
        ask(playback, **options)
    assert difference in str(error.value)
    assert "orders.yaml holds no answer for" in str(error.value)


def test_the_nearest_recorded_request_is_compared(tmp_path: Path) -> None:
    text = "".join(
        f"- request: {{path: /orders, query: {{page: '{n}', size: '10'}}}}\n  response: {{}}\n"
        for n in (1, 2)
    )
    with pytest.raises(UnmatchedRequest) as error:
        ask(
            play(tmp_path, "- request: {path: /shop}\n  response: {}\n" + text),
            params={"page": 2, "size": 20},
        )
    assert str(error.value).splitlines()[-1].strip() == "query.size: recorded '10', sent '20'"


def test_an_empty_recording_says_so(tmp_path: Path) -> None:
    with pytest.raises(UnmatchedRequest, match="it is empty"):
        ask(play(tmp_path, ""))


def test_equal_requests_are_answered_in_order_and_the_last_stays(tmp_path: Path) -> None:
    text = "".join(f"- request: {{path: /orders}}\n  response: {{json: {{n: {n}}}}}\n" for n in (1, 2))
    playback = play(tmp_path, text)
    assert [ask(playback).json()["n"] for _ in range(4)] == [1, 2, 2, 2]
    assert len(playback.requests) == len(playback.answers) == 4


def test_answers_come_as_text_bytes_or_nothing(tmp_path: Path) -> None:
    playback = play(
        tmp_path,
        """
- request: {path: /text}
  response: {status: 503, headers: {Retry-After: "5"}, text: メンテナンス}
- request: {path: /bytes}
  response: {base64: "g2WDWINn", headers: {Content-Type: text/csv; charset=cp932}}
- request: {path: /nothing}
  response: {status: 204}
""",
    )
    text = ask(playback, url="https://x.example/text")
    assert (text.status_code, text.text, text.headers["retry-after"]) == (503, "メンテナンス", "5")
    assert ask(playback, url="https://x.example/bytes").text == "テスト"
    assert ask(playback, url="https://x.example/nothing").content == b""


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("- request: {path: /orders?a=1}\n  response: {}", "line 1, column 12"),
        ("- request: {path: /orders}\n  respons: {}", "respons"),
        ("- request: {method: GET}\n  response: {}", "path"),
        ("request: {}", "list"),
    ],
)
def test_a_file_that_is_no_recording_names_the_place(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(BadFile, match=r"orders\.yaml") as error:
        play(tmp_path, text)
    assert words in str(error.value)


def test_yaml_means_what_json_means(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(
        "{no: 0312345678, date: 2026-01-15, yes: off, n: 12, f: -1.5e3, t: true, z: null, e: , v: 1_000}"
    )
    assert load_yaml(path) == {
        "no": "0312345678", "date": "2026-01-15", "yes": "off", "n": 12, "f": -1500.0, "t": True, "z": None, "e": None,
        "v": "1_000",
    }  # fmt: skip


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@given(value=JSON)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200, deadline=None)
def test_what_is_written_is_read_the_same(tmp_path: Path, value: Any) -> None:
    import uuid

    path = tmp_path / f"{uuid.uuid4().hex}.yaml"
    dump_yaml(value, path)
    assert load_yaml(path) == value
