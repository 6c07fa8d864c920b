"""Opening a call: the doors to the network are made from the settings, and closed afterwards."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from connectors.contract import Budget, Call, Connector, FileHistory

if TYPE_CHECKING:
    import httpx

    from connectors.transport.budget import Limiter
    from connectors.transport.files import FileStore
    from connectors.transport.trace import Trace

__all__ = ["open_call"]


@contextmanager
def open_call(
    connector: Connector[Any],
    system: str,
    config: BaseModel,
    *,
    params: Mapping[str, Any] | None = None,
    files_seen: FileHistory | None = None,
    limiter: Limiter | None = None,
    limit: Callable[[Budget], Limiter] | None = None,
    trace: Trace | None = None,
    transport: httpx.BaseTransport | None = None,
    files: FileStore | None = None,
    sleep: Callable[[float], None] = time.sleep,
    now: Callable[[], datetime] | None = None,
) -> Iterator[Call[Any]]:
    """What a connector function is handed, for one account.

    The secrets of `config` are masked in traces and error texts. `limiter` holds the account's budget when
    several processes share it; `limit` makes it from the budget that counts, if there is one. `transport` and
    `files` replace the network in tests.
    """
    clock = now or (lambda: datetime.now().astimezone())
    with ExitStack() as doors:
        http = None
        if connector.http is not None:
            # Here and not above: a connector that only speaks files need not pay for httpx.
            from connectors.transport.http import Http
            from connectors.transport.redaction import Redactor, secret_values

            settings = connector.http(config)
            if settings.budget is None:
                settings = replace(settings, budget=connector.budget)
            if limit is not None and settings.budget is not None:
                limiter = limit(settings.budget)
            http = doors.enter_context(
                Http(
                    settings, system=system, limiter=limiter, trace=trace, transport=transport, sleep=sleep, now=clock,
                    redactor=Redactor(secret_values(config)),
                )
            )  # fmt: skip
        if files is None and connector.files is not None:
            files = connector.files(config)
            doors.callback(files.close)
        yield Call(system, config, http, files, params=params or {}, now=clock, files_seen=files_seen)
