"""The HTTP door against a transport in memory."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from urllib.parse import unquote

import httpx
import pytest
from hypothesis import given, settings, strategies as st
from pydantic import SecretStr

from connectors.contract import Budget, ConnectorError, Misconfigured, Refused, Retry
from connectors.transport.auth import Bearer
from connectors.transport.http import Answer, Http, HttpSettings, Intent, Patience
from connectors.transport.redaction import Redactor
from connectors.transport.trace import Exchange, Pause

NOW = datetime(2026, 1, 15, 0, 0, tzinfo=UTC)
Handler = Callable[[httpx.Request], httpx.Response]


class Rig:
    """An `Http` whose network is a list of answers; it remembers requests, waits and traces."""

    def __init__(
        self, *answers: httpx.Response | Exception | Handler, secrets: tuple[str, ...] = (), **settings: Any
    ):
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []
        self.waits: list[float] = []
        self.steps: list[Exchange | Pause] = []
        self.http = Http(
            HttpSettings(**({"base_url": "https://shop.example/api"} | settings)),
            system="shop-1",
            transport=httpx.MockTransport(self.answer),
            trace=self.steps.append,
            redactor=Redactor(secrets),
            sleep=self.waits.append,
            now=lambda: NOW,
        )

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers[min(len(self.requests), len(self.answers)) - 1]
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, httpx.Response) else answer(request)


def say(status: int = 200, **options: Any) -> Handler:
    return lambda request: httpx.Response(status, **options)


def test_a_path_is_put_below_the_base_url_with_its_parameters() -> None:
    rig = Rig(say(json={"ok": True}))
    answer = rig.http.get("/orders", params={"page": 2, "since": None, "tag": ["a", "b"]})
    assert answer.json() == {"ok": True}
    assert str(rig.requests[0].url) == "https://shop.example/api/orders?page=2&tag=a&tag=b"


def test_parameters_are_added_to_the_query_a_next_link_carries() -> None:
    rig = Rig(say(json=[]))
    rig.http.get("https://shop.example/api/orders?cursor=abc", params={"limit": 10})
    assert str(rig.requests[0].url) == "https://shop.example/api/orders?cursor=abc&limit=10"


@pytest.mark.parametrize("path", ["", "/"])
def test_the_base_url_itself_can_be_called(path: str) -> None:
    rig = Rig(say(json={}))
    rig.http.post(path, json={"query": "{ shop }"}, intent=Intent.READ)
    assert str(rig.requests[0].url).rstrip("/") == "https://shop.example/api"


@pytest.mark.parametrize(
    "path",
    [
        "https://evil.example/steal",
        "http://shop.example/api/orders",
        "https://shop.example:8443/api",
        "//evil.example/steal",
        "https://user:pass@shop.example/api",
        "/orders/../admin",
        "/orders/%2e%2e/admin",
        "/orders/%252e%252e/admin",
        "/orders\\..\\admin",
        "/orders/..%5cadmin",
        "/orders/%2e%2e%5cadmin",
        "file:///etc/passwd",
    ],
)
def test_a_url_that_leads_away_is_refused_before_anything_is_sent(path: str) -> None:
    rig = Rig(say())
    with pytest.raises(Refused) as refused:
        rig.http.get(path)
    assert refused.value.code in ("foreign_host", "bad_path")
    assert rig.requests == []


PARTS = st.sampled_from(
    [*"/.\\@:?#aé \t\n", "//", "..", "http:", "https:", "evil.example", "%2e", "%2F", "%5c", "注文"]
)


@given(path=st.lists(PARTS | st.text(max_size=3), max_size=8).map("".join))
@settings(max_examples=400, deadline=None)
def test_whatever_the_path_nothing_leaves_the_base_url(path: str) -> None:
    rig = Rig(say())
    with contextlib.suppress(Refused):
        rig.http.get(path)
    if not rig.requests:
        return
    (request,) = rig.requests
    assert (request.url.scheme, request.url.host, request.url.port) == ("https", "shop.example", None)
    assert ".." not in unquote(unquote(request.url.path)).replace("\\", "/").split("/")
    if "shop.example" not in path:
        assert request.url.path == "/api" or request.url.path.startswith("/api/")


def test_an_allowed_host_is_called_without_our_key_and_our_headers() -> None:
    rig = Rig(
        say(text="file"),
        allow_hosts=["cdn.example", "files.example:8443"],
        auth=Bearer(SecretStr("top-secret")),
        headers={"X-Shop": "1"},
    )
    rig.http.get("https://cdn.example/export.jsonl")
    rig.http.get("https://files.example:8443/export.jsonl")
    rig.http.get("/orders")
    away, also_away, home = rig.requests
    assert "authorization" not in away.headers
    assert "x-shop" not in away.headers
    assert "authorization" not in also_away.headers
    assert home.headers["authorization"] == "Bearer top-secret"
    assert home.headers["x-shop"] == "1"
    with pytest.raises(Refused):
        rig.http.get("https://files.example/other-port")


@pytest.mark.parametrize(
    ("base_url", "words"),
    [
        ("shop.example", "https://"),
        ("ftp://shop.example", "https://"),
        ("https://user:hunter2@shop.example", "login"),
        ("https://shop.example/api?x=1", "'?'"),
        ("http://shop.example", "unencrypted"),
        ("http://192.168.1.5", "unencrypted"),
    ],
)
def test_a_base_url_that_cannot_be_right_is_a_misconfiguration(base_url: str, words: str) -> None:
    with pytest.raises(Misconfigured) as error:
        Http(HttpSettings(base_url=base_url), system="shop-1")
    assert words in str(error.value)
    assert "shop-1" in str(error.value)
    assert "hunter2" not in str(error.value)


@pytest.mark.parametrize("base_url", ["http://127.0.0.1:8801", "http://localhost:1", "http://[::1]:80"])
def test_this_machine_may_be_reached_without_tls(base_url: str) -> None:
    Http(HttpSettings(base_url=base_url)).close()


def test_plain_http_elsewhere_must_be_asked_for() -> None:
    Http(HttpSettings(base_url="http://sandbox:8801", plain_http=True)).close()


# ---------------------------------------------------------------- retry by intent


@pytest.mark.parametrize(
    "failure",
    [
        httpx.ConnectError("refused"),
        httpx.ReadTimeout("slow"),
        httpx.RemoteProtocolError("cut"),
        say(429),
        say(500),
        say(502),
        say(503),
    ],
)
@pytest.mark.parametrize("intent", [Intent.READ, Intent.REPEATABLE])
def test_what_may_be_repeated_is_repeated(failure: Exception | Handler, intent: Intent) -> None:
    rig = Rig(failure, failure, say(json={"ok": 1}))
    assert rig.http.post("/search", json={}, intent=intent).json() == {"ok": 1}
    assert len(rig.requests) == 3
    assert len(rig.waits) == 2
    assert rig.waits[0] >= 0.5


@pytest.mark.parametrize(
    "failure",
    [
        httpx.ConnectError("refused"),
        httpx.ConnectTimeout("slow"),
        say(429),
        say(503, headers={"Retry-After": "1"}),
    ],
)
def test_what_must_happen_once_is_repeated_when_it_surely_had_no_effect(failure: Exception | Handler) -> None:
    rig = Rig(failure, say(201, json={"id": 1}))
    assert rig.http.post("/orders", json={}).status_code == 201
    assert len(rig.requests) == 2


@pytest.mark.parametrize(
    "failure",
    [
        httpx.ReadTimeout("slow"),
        httpx.WriteTimeout("slow"),
        httpx.ReadError("reset"),
        httpx.WriteError("reset"),
        httpx.RemoteProtocolError("cut"),
        say(500),
        say(502),
        say(503),
        say(504),
    ],
)
@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_what_must_happen_once_is_never_repeated_when_it_may_have_happened(
    failure: Exception | Handler, method: str
) -> None:
    rig = Rig(failure, say(201))
    with pytest.raises(Retry):
        rig.http.request(method, "/orders", json={})
    assert len(rig.requests) == 1
    assert rig.waits == []


@pytest.mark.parametrize(
    ("method", "tries"), [("GET", 3), ("PUT", 3), ("DELETE", 3), ("POST", 1), ("PATCH", 1)]
)
def test_each_method_has_its_intent(method: str, tries: int) -> None:
    rig = Rig(say(500), patience=Patience(attempts=3))
    with pytest.raises(Retry):
        rig.http.request(method, "/orders")
    assert len(rig.requests) == tries


def test_the_waits_grow_and_end() -> None:
    rig = Rig(say(500), patience=Patience(attempts=4))
    with pytest.raises(Retry, match="HTTP 500"):
        rig.http.get("/orders")
    assert len(rig.requests) == 4
    first, second, third = rig.waits
    assert 0.5 <= first <= 1.0 <= second <= 1.5 < third <= 2.5


def test_retry_after_in_seconds_is_waited_for() -> None:
    rig = Rig(say(429, headers={"Retry-After": "7"}), say(json=[]))
    rig.http.get("/orders")
    assert 7 <= rig.waits[0] <= 7.25


def test_retry_after_as_a_date_is_waited_for() -> None:
    date = format_datetime(NOW + timedelta(seconds=20), usegmt=True)
    rig = Rig(say(503, headers={"Retry-After": date}), say(json=[]))
    rig.http.get("/orders")
    assert 20 <= rig.waits[0] <= 20.25


@pytest.mark.parametrize("value", ["soon", "nan", "inf", "-5", "", "Wed, 99 Foo 2026"])
def test_a_strange_retry_after_does_no_harm(value: str) -> None:
    rig = Rig(say(429, headers={"Retry-After": value}), say(json=[]))
    rig.http.get("/orders")
    assert rig.waits[0] < 2


def test_a_wait_longer_than_our_patience_goes_up_at_once() -> None:
    rig = Rig(say(429, headers={"Retry-After": "600"}))
    with pytest.raises(Retry) as retry:
        rig.http.get("/orders")
    assert retry.value.after == timedelta(seconds=600)
    assert (len(rig.requests), rig.waits) == (1, [])


def test_a_nonsense_wait_is_capped() -> None:
    rig = Rig(say(429, headers={"Retry-After": "999999999"}))
    with pytest.raises(Retry) as retry:
        rig.http.get("/orders")
    assert retry.value.after == timedelta(hours=6)


def test_all_waits_of_one_call_together_are_bounded() -> None:
    rig = Rig(
        say(429, headers={"Retry-After": "25"}), patience=Patience(attempts=9, total=timedelta(seconds=60))
    )
    with pytest.raises(Retry):
        rig.http.get("/orders")
    assert len(rig.requests) == 3
    assert sum(rig.waits) < 60


# ---------------------------------------------------------------- what an answer means


@pytest.mark.parametrize("status", [401, 403, 407])
def test_a_closed_door_needs_a_person(status: int) -> None:
    rig = Rig(say(status, json={"message": "key expired"}))
    with pytest.raises(Misconfigured, match="key expired"):
        rig.http.get("/orders")
    assert len(rig.requests) == 1


@pytest.mark.parametrize("status", [400, 404, 409, 410, 415, 422])
def test_a_no_is_refused_with_its_code_and_what_was_said(status: int) -> None:
    rig = Rig(say(status, json={"message": "sku unknown"}))
    with pytest.raises(Refused) as refused:
        rig.http.put("/stock", json={})
    assert refused.value.code == str(status)
    assert "shop-1: PUT https://shop.example/api/stock" in str(refused.value)
    assert "sku unknown" in str(refused.value)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308, 304])
def test_an_unexpected_redirect_needs_a_person(status: int) -> None:
    rig = Rig(say(status, headers={"Location": "https://evil.example/"}))
    with pytest.raises(Misconfigured):
        rig.http.get("/orders")
    assert len(rig.requests) == 1


def test_an_expected_status_is_an_answer() -> None:
    rig = Rig(say(404, json={}))
    assert rig.http.get("/orders/1", expect={404}).status_code == 404


def test_redirects_are_followed_within_the_allowed_hosts_when_asked_for() -> None:
    to_cdn = say(302, headers={"Location": "https://cdn.example/file"})
    rig = Rig(
        to_cdn,
        say(text="body"),
        follow_redirects=True,
        allow_hosts=["cdn.example"],
        auth=Bearer(SecretStr("k3y-of-ours")),
    )
    assert rig.http.get("/export").text == "body"
    assert "authorization" not in rig.requests[1].headers
    astray = Rig(say(302, headers={"Location": "https://evil.example/"}), follow_redirects=True)
    with pytest.raises(Refused):
        astray.http.get("/export")
    circle = Rig(say(302, headers={"Location": "/api/export"}), follow_redirects=True)
    with pytest.raises(Misconfigured, match="circles"):
        circle.http.get("/export")


def test_a_write_is_not_redirected() -> None:
    rig = Rig(say(307, headers={"Location": "/api/other"}), say(), follow_redirects=True)
    with pytest.raises(Misconfigured):
        rig.http.post("/orders", json={})


def test_a_body_that_is_no_json_is_retried_later_and_quoted() -> None:
    rig = Rig(say(200, html="<html>メンテナンス中</html>"))
    answer = rig.http.get("/orders")
    with pytest.raises(Retry, match="メンテナンス中"):
        answer.json()


def body_error(response: httpx.Response) -> ConnectorError | None:
    code = response.json().get("error")
    return {
        "THROTTLED": Retry("throttled", after=timedelta(seconds=3)),
        "FORBIDDEN": Misconfigured("no permission"),
        "BAD_SKU": Refused("unknown sku", code="BAD_SKU"),
    }.get(code)


@pytest.mark.parametrize(("code", "error"), [("FORBIDDEN", Misconfigured), ("BAD_SKU", Refused)])
def test_success_is_not_the_status(code: str, error: type[Exception]) -> None:
    rig = Rig(say(200, json={"error": code}), classify=body_error)
    with pytest.raises(error):
        rig.http.get("/orders")


def test_a_body_that_says_wait_is_waited_for_when_reading() -> None:
    rig = Rig(say(json={"error": "THROTTLED"}), say(json={"ok": 1}), classify=body_error)
    assert rig.http.get("/orders").json() == {"ok": 1}
    assert 3 <= rig.waits[0] <= 3.25


def test_a_body_that_says_wait_goes_up_when_the_call_must_happen_once() -> None:
    rig = Rig(say(json={"error": "THROTTLED"}), classify=body_error)
    with pytest.raises(Retry) as retry:
        rig.http.post("/orders", json={})
    assert retry.value.after == timedelta(seconds=3)
    assert len(rig.requests) == 1


def test_what_a_classifier_quotes_is_masked() -> None:
    def quoting(response: httpx.Response) -> ConnectorError | None:
        return Refused(f"said: {response.text}", code="E1")

    rig = Rig(
        say(json={"echo": "in-the-body", "phone": "090-1234-5678"}),
        classify=quoting,
        secrets=("in-the-body",),
    )
    with pytest.raises(Refused) as refused:
        rig.http.get("/orders")
    assert str(refused.value) == 'said: {"echo":"***","phone":"***"}'
    assert refused.value.code == "E1"


def test_a_connector_may_read_a_status_its_own_way() -> None:
    def classify(response: httpx.Response) -> ConnectorError | None:
        return Refused("bad request in disguise") if response.status_code == 500 else None

    rig = Rig(say(500, text="ValidationError"), classify=classify)
    with pytest.raises(Refused):
        rig.http.get("/orders")
    assert len(rig.requests) == 1


def test_a_classifier_that_cannot_read_an_error_page_leaves_it_to_the_status() -> None:
    rig = Rig(say(403, html="<h1>Forbidden</h1>"), classify=body_error)
    with pytest.raises(Misconfigured):
        rig.http.get("/orders")
    page = Rig(say(200, html="<h1>maintenance</h1>"), say(json={}), classify=body_error)
    assert page.http.get("/orders").json() == {}


def test_an_answer_larger_than_the_limit_is_refused() -> None:
    rig = Rig(say(200, content=b"x" * 1001), max_response_bytes=1000)
    with pytest.raises(Refused, match="larger than 1000"):
        rig.http.get("/orders")
    assert len(Rig(say(200, content=b"x" * 1000), max_response_bytes=1000).http.get("/o").content) == 1000


def test_an_answer_that_is_small_on_the_wire_and_large_unpacked_is_refused() -> None:
    import gzip

    bomb = gzip.compress(b"0" * 1_000_000)
    rig = Rig(say(200, content=bomb, headers={"Content-Encoding": "gzip"}), max_response_bytes=10_000)
    assert len(bomb) < 10_000
    with pytest.raises(Refused, match="larger"):
        rig.http.get("/orders")


def test_a_packed_answer_is_unpacked_once() -> None:
    import gzip

    packed = gzip.compress(b'{"a": 1}')
    rig = Rig(say(200, content=packed, headers={"Content-Encoding": "gzip"}))
    answer = rig.http.get("/orders")
    assert isinstance(answer, Answer)
    assert answer.json() == {"a": 1}
    assert isinstance(rig.steps[0], Exchange)
    assert rig.steps[0].received == len(packed)


# ---------------------------------------------------------------- secrets, budget, trace


def test_no_secret_reaches_a_trace_or_an_error() -> None:
    def echo(request: httpx.Request) -> httpx.Response:
        return httpx.Response(
            400, json={"you_sent": request.headers["authorization"], "mail": "taro@example.jp"}
        )

    rig = Rig(echo, auth=Bearer(SecretStr("tok-1234567")), secrets=("in-the-query",))
    with pytest.raises(Refused) as refused:
        rig.http.get("/orders", params={"license": "in-the-query", "api_key": "k-999999"})
    seen = str(refused.value) + repr(rig.steps)
    for secret in ("tok-1234567", "in-the-query", "k-999999", "taro@example.jp"):
        assert secret not in seen


def test_a_key_with_full_width_letters_is_a_misconfiguration_that_does_not_show_it() -> None:
    for wrong in ({"auth": Bearer(SecretStr("ＡＢＣ-secret"))}, {"headers": {"X-Key": "ＡＢＣ-secret"}}):
        rig = Rig(say(), **wrong)
        with pytest.raises(Misconfigured, match="full-width") as error:
            rig.http.get("/orders")
        assert "secret" not in str(error.value)
        assert error.value.__cause__ is None
        assert rig.requests == []


def test_the_trace_tells_every_try_and_every_wait() -> None:
    rig = Rig(httpx.ReadTimeout("slow"), say(429, headers={"Retry-After": "2"}), say(json={"a": 1}))
    rig.http.get("/orders", params={"page": 1})
    told = [
        (step.attempt, step.status) if isinstance(step, Exchange) else (step.attempt, "pause")
        for step in rig.steps
    ]
    assert told == [(1, None), (1, "pause"), (2, 429), (2, "pause"), (3, 200)]
    last = rig.steps[-1]
    assert isinstance(last, Exchange)
    assert last.url == "https://shop.example/api/orders?page=1"
    assert last.received == len(b'{"a":1}')
    assert last.elapsed >= 0


def test_the_budget_is_asked_for_every_try_and_told_of_a_penalty() -> None:
    class Notebook:
        def __init__(self) -> None:
            self.costs: list[float] = []
            self.until: list[datetime] = []

        def acquire(self, cost: float = 1) -> None:
            self.costs.append(cost)

        def penalise(self, until: datetime) -> None:
            self.until.append(until)

    notebook = Notebook()
    answers = iter([httpx.Response(429, headers={"Retry-After": "9"}), httpx.Response(200)])
    http = Http(
        HttpSettings(base_url="https://shop.example", budget=Budget(1)),
        limiter=notebook,
        transport=httpx.MockTransport(lambda _: next(answers)),
        trace=lambda step: None,
        sleep=lambda seconds: None,
        now=lambda: NOW,
    )
    http.get("/orders", cost=2)
    assert notebook.costs == [2, 2]
    assert notebook.until == [NOW + timedelta(seconds=9)]


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"RateLimit-Remaining": "0", "RateLimit-Reset": "7"}, 7),
        ({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(NOW.timestamp()) + 30)}, 30),
        ({"RateLimit": "limit=100, remaining=0, reset=5"}, 5),
        ({"RateLimit": '"default";r=0;t=4'}, 4),
        ({"RateLimit-Remaining": "3", "RateLimit-Reset": "7"}, None),
        ({"RateLimit-Remaining": "0"}, None),
        ({"RateLimit-Remaining": "none", "RateLimit-Reset": "soon"}, None),
        ({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "0"}, None),
        ({}, None),
    ],
)
def test_a_good_answer_that_says_the_budget_is_used_up_holds_the_next_call_back(
    headers: dict[str, str], seconds: int | None
) -> None:
    told: list[datetime] = []

    class Notebook:
        def acquire(self, cost: float = 1) -> None:
            pass

        def penalise(self, until: datetime) -> None:
            told.append(until)

    http = Http(
        HttpSettings(base_url="https://shop.example", budget=Budget(1)),
        limiter=Notebook(),
        transport=httpx.MockTransport(lambda _: httpx.Response(200, headers=headers)),
        trace=lambda step: None,
        now=lambda: NOW,
    )
    http.get("/orders")
    assert told == ([] if seconds is None else [NOW + timedelta(seconds=seconds)])


def test_an_assertion_of_a_test_double_is_not_swallowed() -> None:
    rig = Rig(AssertionError("unmatched request"))
    with pytest.raises(AssertionError, match="unmatched"):
        rig.http.get("/orders")
