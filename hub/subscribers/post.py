"""One attempt over HTTP: what is sent, and what is read of the answer.

The connectors' wire carries it (trace, masking), over a guarded way to addresses that others chose. What counts is
the status: it is not waited for a long body, and one that is cut short changes nothing.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

import httpx
import structlog
from pydantic import SecretStr

from connectors.contract import ConnectorError
from connectors.transport.budget import Unlimited
from connectors.transport.guarded import Forbidden, Guard, GuardedTransport
from connectors.transport.redaction import Redactor
from connectors.transport.retrying import retry_after
from connectors.transport.trace import usual_trace
from connectors.transport.wire import Wire
from hub.subscribers.answers import Answer, Manner
from hub.subscribers.places import why_forbidden
from hub.subscribers.signing import signed_headers

__all__ = ["Letter", "Post"]

log = structlog.get_logger("tsunagi.subscribers")

_MOST = 4096
_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Letter:
    """A message as it is sent."""

    event_id: str
    body: bytes


class _Redactor(Redactor):
    """The wire learns header values whose names sound secret. A signature is none, and a new one each time."""

    def learn(self, *values: str) -> None:
        """Nothing: the secrets themselves are configured."""
        del values


class Post:
    """The way to one subscriber. Threads may share it."""

    def __init__(
        self, name: str, url: str, secrets: Sequence[SecretStr], guard: Guard, manner: Manner, *, at_once: int
    ) -> None:
        self._name = name
        self._url = url
        self._secrets = list(secrets)
        self._manner = manner
        self._redactor = _Redactor(self._secrets)
        wire = Wire(
            system=f"subscriber {name}",
            limiter=Unlimited(),
            trace=usual_trace(),
            redactor=self._redactor,
            inner=GuardedTransport(guard, total=manner.timeout, connections=at_once),
            verify=True,
            proxy=None,
            max_bytes=_MOST * 16,
        )
        self._client = httpx.Client(
            transport=wire,
            headers={"User-Agent": "tsunagi/0.1", "Content-Type": "application/json"},
            timeout=httpx.Timeout(manner.timeout, connect=min(5.0, manner.timeout)),
            follow_redirects=False,
            trust_env=False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def send(self, letter: Letter) -> Answer:
        """Make one attempt. What goes wrong stands in the answer."""
        started = time.monotonic()
        try:
            headers = signed_headers(letter.event_id, datetime.now(UTC), letter.body, self._secrets)
            request = self._client.build_request("POST", self._url, content=letter.body, headers=headers)
            response = self._client.send(request, stream=True)
        except Forbidden as error:
            return Answer(None, _since(started), error=why_forbidden(error).say())
        except (httpx.HTTPError, ConnectorError) as error:
            said = self._redactor.text(f"{type(error).__name__}: {error}")
            return Answer(None, _since(started), error=said[:500])
        except Exception as error:
            log.exception(
                "breakdown", subscriber=self._name
            )  # a bug must not take the others' answers with it
            return Answer(None, _since(started), error=f"{type(error).__name__} (see the log)")
        ms = _since(started)
        try:
            head = self._beginning(response)
        finally:
            response.close()
        waits = retry_after(response, datetime.now(UTC), self._manner.asked)
        return Answer(
            response.status_code,
            ms,
            excerpt=self._redactor.excerpt(head, _SHOWN) if head else None,
            after=None if waits is None else waits.total_seconds(),
        )

    def _beginning(self, response: httpx.Response) -> bytes:
        head = b""
        try:
            for piece in response.iter_raw():
                head += piece
                if len(head) >= _MOST:
                    break
        except (httpx.HTTPError, ConnectorError):
            pass  # the status is the answer
        packed = response.headers.get("content-encoding", "identity") != "identity"
        return f"({len(head)} bytes)".encode() if packed else head[:_MOST]


def _since(started: float) -> int:
    return round((time.monotonic() - started) * 1000)
