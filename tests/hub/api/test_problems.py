"""What a caller is told when something is wrong, and what nobody else is told."""

from __future__ import annotations

import json
import socket
from typing import Any

import pytest
import structlog
from desk import Desk, check
from sqlalchemy.exc import OperationalError

from hub.api.edge import MAX_BYTES
from hub.api.invalid import _SAID
from hub.api.problems import PROBLEMS, language_of

GOOD = {"sku": "A", "quantity": 1, "channel": "shop"}


@pytest.fixture
def key(desk: Desk) -> str:
    return desk.key("reserve", "read:*")


def body(**changes: Any) -> dict[str, Any]:
    return {name: value for name, value in (GOOD | changes).items() if value is not ...}


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (b"", 400, "bad_json"),
        (b"{", 400, "bad_json"),
        (b"\xff\xfe", 400, "bad_json"),
        (b"[" * 100_000, 400, "bad_json"),
        (b'{"sku": NaN', 400, "bad_json"),
        (b"[]", 422, "invalid"),
        (b"null", 400, "bad_json"),
        (b'"text"', 422, "invalid"),
        (b'{"sku": "\\u0000", "quantity": 1, "channel": "shop"}', 422, "invalid"),
        (b'{"sku": "\\ud800", "quantity": 1, "channel": "shop"}', 422, "invalid"),
        (b'{"sku": "A", "quantity": ' + b"9" * 30 + b', "channel": "shop"}', 422, "invalid"),
    ],
)  # fmt: skip
def test_a_body_that_cannot_be_read(desk: Desk, key: str, content: bytes, status: int, code: str) -> None:
    headers = {"content-type": "application/json", "idempotency-key": "k"}
    answer = desk.post("/reservations", key, content=content, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text


@pytest.mark.parametrize(
    ("changes", "field"),
    [({"quantity": 0}, "quantity"), ({"quantity": -1}, "quantity"), ({"quantity": 1.5}, "quantity"),
     ({"quantity": "1"}, "quantity"), ({"quantity": True}, "quantity"), ({"quantity": 10**7}, "quantity"),
     ({"quantity": ...}, "quantity"), ({"sku": ""}, "sku"), ({"sku": None}, "sku"), ({"channel": ...}, "channel"),
     ({"expires_in": 0}, "expires_in"), ({"expires_in": 10**9}, "expires_in"), ({"colour": "red"}, "colour"),
     ({"order_key": ""}, "order_key"), ({"location": 5}, "location"), ({"sku": "x" * 301}, "sku")],
)  # fmt: skip
def test_wrong_values_are_told_field_by_field_and_never_repeated(
    desk: Desk, key: str, changes: dict[str, Any], field: str
) -> None:
    for lang, plain in (("en", True), ("ja", False)):
        answer = desk.post("/reservations", key, json=body(**changes),
                           headers={"idempotency-key": "k", "accept-language": lang})  # fmt: skip
        assert answer.status_code == 422
        told = answer.json()["errors"]
        assert [(one["in"], one["field"]) for one in told] == [("body", field)]
        assert told[0]["message"].isascii() == plain
        assert answer.headers["content-language"] == lang


def test_every_sentence_about_a_value_can_be_said() -> None:
    names = {"min_length": 1, "max_length": 2, "ge": 1, "le": 2, "expected": "x"}
    for words in _SAID.values():
        assert words.en.format_map(names)
        assert words.ja.format_map(names)


def test_the_key_of_a_reservation_is_required(desk: Desk, key: str) -> None:
    answer = desk.post("/reservations", key, json=GOOD)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "idempotency-key"
    for wrong in ("a b", "あ".encode(), "x" * 203):
        assert (
            desk.post("/reservations", key, json=GOOD, headers={"idempotency-key": wrong}).status_code == 422
        )


def test_a_long_body_is_turned_away_told_or_found(desk: Desk, key: str) -> None:
    headers = {"content-type": "application/json", "idempotency-key": "k"}
    long = json.dumps(body(note="x" * 10 * MAX_BYTES)).encode()
    told = desk.post("/reservations", key, content=long, headers=headers)
    assert (told.status_code, told.json()["code"]) == (413, "too_large")

    def parts() -> Any:
        for start in range(0, len(long), 65536):
            yield long[start : start + 65536]

    found = desk.client.post("/api/v1/reservations", content=parts(),
                             headers={**headers, "authorization": f"Bearer {key}"})  # fmt: skip
    assert found.status_code == 413
    assert desk.get("/key", key).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "text/plain"},
        {"content-type": "application/x-www-form-urlencoded"},
        {"content-type": "application/json", "content-encoding": "gzip"},
    ],
)
def test_a_body_of_another_form_is_turned_away(desk: Desk, key: str, headers: dict[str, str]) -> None:
    answer = desk.post(
        "/reservations", key, content=json.dumps(GOOD).encode(), headers={"idempotency-key": "k", **headers}
    )
    assert (answer.status_code, answer.json()["code"]) == (415, "bad_media_type")


def test_a_caller_that_hangs_up_is_no_fault(desk: Desk, key: str) -> None:
    address = (desk.client.base_url.host, desk.client.base_url.port)
    with socket.create_connection(address) as line:
        line.sendall(b"POST /api/v1/reservations HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
                     b"content-length: 100\r\n\r\n{")  # fmt: skip
    assert desk.get("/key", key).status_code == 200


@pytest.mark.parametrize("path", ["/nothing", "/", "/product", "/Orders", "/orders%00"])
def test_an_unknown_address_is_not_found(desk: Desk, key: str, path: str) -> None:
    answer = desk.get(path, key)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE"])
def test_another_method_is_refused_with_those_that_are_allowed(desk: Desk, key: str, method: str) -> None:
    answer = desk.client.request(method, "/api/v1/orders", headers={"authorization": f"Bearer {key}"})
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET"


def test_a_fault_of_ours_is_told_without_its_reason(
    desk: Desk, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*_: Any) -> None:
        raise RuntimeError("the secret of customer 山田")

    monkeypatch.setattr("hub.api.entities.find", breaks)
    with structlog.testing.capture_logs() as lines:
        answer = desk.get("/products", key)
    assert (answer.status_code, answer.json()["code"]) == (500, "breakdown")
    assert "山田" not in answer.text
    call = answer.json()["instance"].removeprefix("urn:uuid:")
    assert call == answer.headers["x-request-id"]
    assert [line["event"] for line in lines if line.get("call") == call] == ["breakdown", "call"]


def test_a_database_that_is_away_is_told_as_such(
    desk: Desk, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any) -> None:
        raise OperationalError("SELECT", {}, Exception("connection refused"))

    monkeypatch.setattr("hub.api.entities.find", away)
    answer = desk.get("/products", key)
    assert (answer.status_code, answer.json()["code"]) == (503, "store_down")
    assert answer.headers["retry-after"] == "5"


def test_a_search_that_takes_too_long_is_ended(desk: Desk, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hub.api.entities.PATIENCE", 1)
    monkeypatch.setattr("hub.api.entities._COLUMNS", "pg_sleep(1), e.*")
    from hub.api.entities import _search

    _search.cache_clear()
    desk.room.say("core", "language", {"key": "ja-JP", "code": "ja", "name": "日本語"})
    try:
        answer = desk.get("/languages", key)
    finally:
        _search.cache_clear()
    assert (answer.status_code, answer.json()["code"]) == (503, "search_too_long")


def test_nothing_of_a_call_is_logged_but_its_route(desk: Desk) -> None:
    key = desk.key("read:customer", "reserve")
    desk.room.say("core", "customer", {"key": "core/hanako@example.jp", "name": {"full": "山田 花子"}})
    with structlog.testing.capture_logs() as lines:
        desk.get("/customers/core%2Fhanako%40example.jp", key)
        desk.get("/customers?email=hanako@example.jp", key)
        desk.post(
            "/reservations", key, json=body(sku="hanako@example.jp"), headers={"idempotency-key": "hanako"}
        )
        desk.get("/nothing/hanako", key)
    told = [line for line in lines if line["event"] == "call"]
    assert [line["route"] for line in told] == ["/customers/{key}", "/customers", "/reservations", "-"]
    assert {line["by"] for line in told[:3]} == {key.split("_")[1]}
    assert "hanako" not in str(lines)
    assert key not in str(lines)


def test_calls_are_counted_by_route(desk: Desk, key: str) -> None:
    desk.get("/products/NONE", key)
    metrics = desk.client.get("/metrics").text
    assert 'tsunagi_api_calls_total{method="GET",route="/products/{key}",status="404"}' in metrics
    assert 'tsunagi_api_seconds_count{route="/products/{key}"}' in metrics
    assert "tsunagi_webhook_calls_total" in metrics
    assert "NONE" not in metrics


def test_a_flood_of_wrong_keys_is_told_in_few_lines(desk: Desk) -> None:
    with structlog.testing.capture_logs() as lines:
        for _ in range(50):
            desk.get("/key", "tsk_wrong_key")
    assert len([line for line in lines if line["event"] == "call"]) < 10


def test_too_many_calls_at_once_are_told_to_come_back(
    desk: Desk, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.api.edge.AT_ONCE", 0)
    answer = desk.get("/products", key)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


@pytest.mark.parametrize(
    ("accepted", "lang"),
    [("ja", "ja"), ("en-US,en;q=0.9", "en"), ("ja-JP;q=0.8, en;q=0.9", "en"), ("fr, ja;q=0.1", "ja"),
     ("en;q=0, ja;q=0.1", "ja"), ("en;q=x, ja;q=0.2", "ja"), ("ja, en", "ja")],
)  # fmt: skip
def test_the_language_a_caller_likes_best(accepted: str, lang: str) -> None:
    assert language_of(accepted) == lang


def test_without_a_word_of_ours_the_hub_speaks_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TSUNAGI_LANG", "ja")
    assert language_of(None) == language_of("fr") == language_of("*") == "ja"


def test_a_problem_points_at_its_place_on_the_page(desk: Desk, key: str) -> None:
    page = desk.client.get("/api/v1/docs").text
    for code in PROBLEMS:
        assert f'id="problem-{code}"' in page
    answer = desk.get("/products/NONE", key)
    assert answer.json()["type"] == "/api/v1/docs#problem-not_found"
    check(desk.document, "GET", answer)
