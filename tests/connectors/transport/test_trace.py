"""What is told of each exchange: to the log and to OpenTelemetry."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
import structlog

from connectors.transport import trace
from connectors.transport.trace import Exchange, Pause, log_trace, span_trace, together

DONE = Exchange(
    "shop-1",
    "GET",
    "https://shop.example/orders",
    1,
    200,
    None,
    datetime(2026, 1, 15, tzinfo=UTC),
    0.12345678,
    0,
    42,
)
PAUSE = Pause("shop-1", "GET", "https://shop.example/orders", 1, 2.5, "HTTP 429")


def test_log_events_have_a_level_that_fits_what_happened() -> None:
    with structlog.testing.capture_logs() as events:
        tell = log_trace()
        for step in (DONE, replace(DONE, status=404), replace(DONE, status=None, error="ReadTimeout"), PAUSE):
            tell(step)
    assert [(event["event"], event["log_level"]) for event in events] == [
        ("http.exchange", "debug"),
        ("http.exchange", "warning"),
        ("http.exchange", "warning"),
        ("http.pause", "info"),
    ]
    assert events[0] == {
        "event": "http.exchange", "log_level": "debug", "system": "shop-1", "method": "GET",
        "url": "https://shop.example/orders", "attempt": 1, "status": 200, "error": None,
        "started_at": "2026-01-15T00:00:00+00:00", "elapsed": 0.1235, "sent": 0, "received": 42,
    }  # fmt: skip


def test_spans_carry_the_conventions_of_opentelemetry(monkeypatch: pytest.MonkeyPatch) -> None:
    sdk = pytest.importorskip("opentelemetry.sdk.trace", reason="the OpenTelemetry SDK is not installed")
    export = pytest.importorskip("opentelemetry.sdk.trace.export.in_memory_span_exporter")
    simple = pytest.importorskip("opentelemetry.sdk.trace.export")
    exporter = export.InMemorySpanExporter()
    provider = sdk.TracerProvider()
    provider.add_span_processor(simple.SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace.otel, "get_tracer", provider.get_tracer)
    tell = span_trace()
    assert tell is not None
    tell(DONE)
    tell(PAUSE)
    tell(replace(DONE, status=503, attempt=2))
    good, bad = exporter.get_finished_spans()
    assert good.name == "GET"
    assert good.attributes["http.response.status_code"] == 200
    assert good.attributes["tsunagi.system"] == "shop-1"
    assert good.end_time - good.start_time == 123456780
    assert good.status.is_unset
    assert bad.attributes["http.request.resend_count"] == 1
    assert not bad.status.is_ok


def test_without_the_package_there_are_no_spans(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace, "otel", None)
    told: list[Exchange | Pause] = []
    together(span_trace(), told.append)(DONE)
    assert told == [DONE]
