"""What is told about each exchange on the wire: to the log, and to OpenTelemetry where it is installed.

`Trace` is a function; it gets only redacted text. Spans need the package `opentelemetry-api` (Airflow brings
it); without an SDK configured they cost next to nothing. No trace header is sent to the other side.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib import import_module
from typing import Any

import structlog

otel: Any
try:
    otel = import_module("opentelemetry.trace")
except ImportError:  # pragma: no cover - the package is optional
    otel = None

__all__ = ["Exchange", "Pause", "Trace", "log_trace", "span_trace", "together", "usual_trace"]


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and what came back. Text is already redacted.

    attempt   1 for the first try; requests of the auth scheme (token refresh) carry the attempt they served
    status    None when no answer came; then `error` names what happened
    elapsed   seconds from sending to the last byte of the answer
    sent      bytes of the request's body; `received` bytes of the answer's body as they came over the wire
    """

    system: str
    method: str
    url: str
    attempt: int
    status: int | None
    error: str | None
    started_at: datetime
    elapsed: float
    sent: int
    received: int


@dataclass(frozen=True, slots=True)
class Pause:
    """A wait before the next try of the same request; `seconds` long."""

    system: str
    method: str
    url: str
    attempt: int
    seconds: float
    reason: str


Trace = Callable[[Exchange | Pause], None]


def log_trace(logger: Any = None) -> Trace:
    """Events `http.exchange` (debug; warning from status 400 and on errors) and `http.pause` (info)."""
    log = logger if logger is not None else structlog.get_logger("tsunagi.http")

    def tell(step: Exchange | Pause) -> None:
        if isinstance(step, Pause):
            log.info("http.pause", **asdict(step))
            return
        failed = step.status is None or step.status >= 400
        fields = asdict(step) | {"started_at": step.started_at.isoformat(), "elapsed": round(step.elapsed, 4)}
        (log.warning if failed else log.debug)("http.exchange", **fields)

    return tell


def span_trace() -> Trace | None:
    """Client spans named by the method, after OpenTelemetry's HTTP conventions; None without the package."""
    if otel is None:
        return None
    tracer = otel.get_tracer("tsunagi.http")

    def tell(step: Exchange | Pause) -> None:
        if isinstance(step, Pause):
            return
        start = int(step.started_at.astimezone(UTC).timestamp() * 1e9)
        attributes: dict[str, str | int] = {
            "http.request.method": step.method,
            "url.full": step.url,
            "http.request.body.size": step.sent,
            "http.response.body.size": step.received,
            "http.request.resend_count": step.attempt - 1,
            "tsunagi.system": step.system,
        }
        if step.status is not None:
            attributes["http.response.status_code"] = step.status
        span = tracer.start_span(
            step.method, kind=otel.SpanKind.CLIENT, start_time=start, attributes=attributes
        )
        if step.error or (step.status or 0) >= 400:
            span.set_status(otel.StatusCode.ERROR, step.error)
        span.end(start + int(step.elapsed * 1e9))

    return tell


def together(*traces: Trace | None) -> Trace:
    """One trace that tells all of them; None entries are left out."""
    wanted = [trace for trace in traces if trace is not None]

    def tell(step: Exchange | Pause) -> None:
        for trace in wanted:
            trace(step)

    return tell


def usual_trace() -> Trace:
    """Log and, where installed, spans."""
    return together(log_trace(), span_trace())
