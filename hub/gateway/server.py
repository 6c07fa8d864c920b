"""`tsunagi gateway`: uvicorn around the gateway, with the API beside the webhooks."""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

import uvicorn

from hub.api.app import beside_webhooks
from hub.engine import Hub
from hub.gateway.app import MAX_BYTES, Gateway
from hub.gateway.wire import Wire
from hub.memory import keep_what_is_loaded

__all__ = ["bind", "server"]

BACKLOG = 2048


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(BACKLOG)  # who calls while the gateway starts is kept waiting, not turned away
    except OSError:
        listener.close()
        raise
    listener.set_inheritable(True)
    return listener


class _Server(uvicorn.Server):
    """Ends by itself when told to; uvicorn would send itself the signal again afterwards and die by it."""

    alone = False

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.alone:
            # What was loaded stays. Looking through all of it for garbage holds up every call for a tenth of a second
            gc.collect()
            keep_what_is_loaded()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        if threading.current_thread() is threading.main_thread():
            loop = asyncio.get_running_loop()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, self.handle_exit, number, None)
        yield


def server(
    hub: Hub,
    *,
    max_bytes: int = MAX_BYTES,
    application: Callable[..., object] | None = None,
    loop: Literal["auto", "asyncio"] = "auto",
    alone: bool = False,
) -> uvicorn.Server:
    """The server, to be run with `run(sockets=[bind(...)])` or `serve(...)`. It ends cleanly on SIGTERM and SIGINT.

    `alone`: the process does nothing else, and what it has loaded is never let go.
    """
    application = application or Gateway(hub, other=beside_webhooks(hub), max_bytes=max_bytes)
    made = _Server(
        uvicorn.Config(
            application,
            http=Wire if isinstance(application, Gateway) else "auto",
            loop=loop,
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            ws="none",
            backlog=BACKLOG,
            timeout_keep_alive=65,  # above the idle time of usual proxies, so that they close first
            timeout_graceful_shutdown=10,
        )
    )
    made.alone = alone
    return made
