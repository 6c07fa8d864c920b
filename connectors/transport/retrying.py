"""When a request may be made again, and how long to wait before.

The rule is the intent's: what only reads, or may be repeated, is repeated whenever that can help. What must
happen once is repeated only when the first try surely had no effect: the connection was never made, or the
other side said that it did nothing (429, or 503 together with Retry-After). After a read timeout nobody
knows; then `Retry` goes up and the hub asks the other side before it sends the same batch again.
"""

from __future__ import annotations

import enum
import math
import random
import re
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TypeVar

import httpx
import tenacity

from connectors.contract import ConnectorError, Misconfigured, Refused, Retry

__all__ = [
    "Effect",
    "Failure",
    "Intent",
    "Patience",
    "intent_of",
    "may_repeat",
    "repeat",
    "retry_after",
    "used_up_for",
]

T = TypeVar("T")

_THROTTLED = 429
_EPOCH = 1e9  # a reset above this is a moment in unix time, not a number of seconds
_UNAVAILABLE = 503
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)


class Intent(enum.StrEnum):
    """What repeating a request would mean."""

    READ = "read"
    REPEATABLE = "repeatable"
    ONCE = "once"


class Effect(enum.StrEnum):
    """Whether a failed request may have done something on the other side."""

    NONE = "none"
    UNKNOWN = "unknown"


class Failure(Exception):
    """A try that failed in a way that another try may mend."""

    def __init__(self, error: Retry, effect: Effect) -> None:
        super().__init__(str(error))
        self.error = error
        self.effect = effect


@dataclass(frozen=True, slots=True)
class Patience:
    """How long one request may try.

    attempts    most tries
    total       most seconds spent waiting between tries, all together
    longest     a longer Retry-After is taken as this (against nonsense such as a year)
    """

    attempts: int = 5
    total: timedelta = timedelta(seconds=60)
    longest: timedelta = timedelta(hours=6)


def intent_of(method: str) -> Intent:
    """The intent of a method that was given none (RFC 9110, section 9.2)."""
    if method in ("GET", "HEAD", "OPTIONS"):
        return Intent.READ
    if method in ("PUT", "DELETE"):
        return Intent.REPEATABLE
    return Intent.ONCE


def may_repeat(intent: Intent, effect: Effect) -> bool:
    """Whether the same request may be sent again at once."""
    return intent is not Intent.ONCE or effect is Effect.NONE


def retry_after(response: httpx.Response, now: datetime, longest: timedelta) -> timedelta | None:
    """The wait of a `Retry-After` header, in seconds or as an HTTP date (RFC 9110, section 10.2.3)."""
    text = response.headers.get("retry-after", "").strip()
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        try:
            moment = parsedate_to_datetime(text)
        except ValueError:
            return None
        seconds = ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - now).total_seconds()
    if not math.isfinite(seconds):
        return None
    return timedelta(seconds=min(max(seconds, 0.0), longest.total_seconds()))


def used_up_for(response: httpx.Response, now: datetime, longest: timedelta) -> timedelta | None:
    """How long the budget is used up, as an answer's headers say; None when they say nothing, or something is left.

    Understood: `RateLimit-Remaining: 0` with `RateLimit-Reset` and their `X-` forms (a number of seconds, or a moment
    in unix time, as GitHub writes it), and `RateLimit: ...remaining=0, reset=5` or `"default";r=0;t=5` of the IETF
    drafts.
    """
    headers = response.headers
    left, reset = headers.get("ratelimit-remaining"), headers.get("ratelimit-reset")
    if left is None:
        left, reset = headers.get("x-ratelimit-remaining"), headers.get("x-ratelimit-reset")
    if left is None and (said := headers.get("ratelimit")):
        found = dict(re.findall(r"\b(remaining|reset|r|t)\s*=\s*(\d+)", said))
        left, reset = found.get("remaining", found.get("r")), found.get("reset", found.get("t"))
    try:
        if left is None or reset is None or float(left) > 0:
            return None
        seconds = float(reset)
    except ValueError:
        return None
    if seconds > _EPOCH:
        seconds -= now.timestamp()
    if not math.isfinite(seconds) or seconds <= 0:
        return None
    return timedelta(seconds=min(seconds, longest.total_seconds()))


def effect_of_status(status: int, *, told_to_wait: bool) -> Effect:
    """Whether an answer of this status proves that nothing happened."""
    if status == _THROTTLED or (status == _UNAVAILABLE and told_to_wait):
        return Effect.NONE
    return Effect.UNKNOWN


def judge_network_error(error: httpx.HTTPError, what: str, said: str) -> ConnectorError | Failure:
    """What a failed connection means. `what` is the request and `said` the error's text, both redacted."""
    if isinstance(error, httpx.LocalProtocolError):
        # The library's text quotes the header, and with it the key.
        return Misconfigured(
            f"{what}: the request could not be written; does a key or header hold a blank or line break?"
        )
    if isinstance(error, httpx.UnsupportedProtocol):
        return Misconfigured(f"{what}: {said}")
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in _causes(error)):
        return Misconfigured(f"{what}: the server's certificate cannot be trusted: {said}")
    if isinstance(error, httpx.ProxyError) and "407" in str(error):
        return Misconfigured(f"{what}: the proxy wants other credentials: {said}")
    detail = f"{type(error).__name__}: {said}"
    if isinstance(error, _NOT_SENT):
        return Failure(Retry(f"{what}: no connection ({detail})"), Effect.NONE)
    unsure = Retry(f"{what}: no whole answer ({detail}); whether it had an effect is not known")
    return Failure(unsure, Effect.UNKNOWN)


def judge_failed(status: int, what: str, excerpt: str, after: timedelta | None) -> ConnectorError | Failure:
    """What a status other than 2xx means, where the connector itself had no opinion."""
    said = f"{what}: HTTP {status}" + (f": {excerpt}" if excerpt else "")
    if status in (401, 403, 407):
        return Misconfigured(said)
    if status in (408, 425, _THROTTLED) or status >= 500:
        effect = effect_of_status(status, told_to_wait=after is not None)
        return Failure(Retry(said, after=after), effect)
    if status >= 400:
        return Refused(said, code=str(status))
    return Misconfigured(f"{said}; redirects are not followed: is the address in the settings an old one?")


def repeat(
    attempt: Callable[[int], T],
    intent: Intent,
    patience: Patience,
    *,
    sleep: Callable[[float], None],
    before_pause: Callable[[int, float, Retry], None],
) -> T:
    """Call `attempt(1)`, `attempt(2)`, ... until one returns.

    Raises the `Retry` of the last try when they end; other errors pass through at once.
    """

    def hopeful(error: BaseException) -> bool:
        return isinstance(error, Failure) and may_repeat(intent, error.effect)

    def wait(state: tenacity.RetryCallState) -> float:
        error = _failure(state).error
        if error.after is not None:
            return error.after.total_seconds() + random.uniform(0, 0.25)  # noqa: S311  (spreads load, guards nothing)
        return backoff(state)

    def end(state: tenacity.RetryCallState) -> bool:
        spent = state.idle_for + state.upcoming_sleep
        return state.attempt_number >= patience.attempts or spent > patience.total.total_seconds()

    def tell(state: tenacity.RetryCallState) -> None:
        before_pause(state.attempt_number, state.upcoming_sleep, _failure(state).error)

    backoff = tenacity.wait_exponential(multiplier=0.5, max=30) + tenacity.wait_random(0, 0.5)
    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception(hopeful),
        wait=wait,
        stop=end,
        sleep=sleep,
        before_sleep=tell,
        reraise=True,
    )
    try:
        for state in retrying:
            with state:
                return attempt(state.retry_state.attempt_number)
    except Failure as failure:
        raise failure.error from failure.__cause__
    raise AssertionError("tenacity ended without a result")  # pragma: no cover


def _failure(state: tenacity.RetryCallState) -> Failure:
    error = state.outcome.exception() if state.outcome else None
    if not isinstance(error, Failure):
        raise TypeError(f"waiting without a failed try: {error!r}")
    return error


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__
