"""What the tests of outgoing webhooks share: a real receiver, and short ways to change entities.

Run as a program it sends until it is killed: `postroom.py URL NAME`.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pydantic import SecretStr
from sqlalchemy import text

from connectors.registry import Connectors
from hub.engine import FlowBusy, Hub
from hub.feed import enter_feed
from hub.store.database import digest, open_engine
from hub.subscribers.answers import Manner
from hub.subscribers.register import Subscriber, add
from hub.subscribers.sender import Sent, send
from hub.systems import Systems

QUICK = Manner(first=0.02, longest=0.1, longest_all=0.1, timeout=10.0, turn=5.0)


def sellable(sku: str, quantity: int, channel: str = "rakuten") -> tuple[str, dict[str, Any]]:
    return f"{channel}/{sku}", {
        "key": f"{channel}/{sku}",
        "channel": channel,
        "sku": sku,
        "quantity": quantity,
    }


# ---------------------------------------------------------------- the other side


@dataclass(slots=True)
class Call:
    """A request as it came."""

    path: str
    headers: dict[str, str]
    body: bytes
    at: float = field(default_factory=time.time)

    @property
    def event_id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def said(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found

    @property
    def data(self) -> dict[str, Any]:
        found: dict[str, Any] = self.said["data"]
        return found


@dataclass(slots=True)
class Reply:
    """How one request is answered. `cut`: hang up before the answer, inside its head, or inside its body."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b"ok"
    wait: float = 0.0
    cut: str | None = None
    drip: float = 0.0


class Receiver:
    """An HTTP server in a thread. `answer` decides on each request; every request is kept in `calls`."""

    def __init__(self, port: int = 0) -> None:
        self.calls: list[Call] = []
        self.answer: Callable[[Call], Reply] = lambda call: Reply()
        self.busy = 0
        self.most_busy = 0
        receiver = self
        lock = threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                length = int(self.headers.get("content-length", 0))
                body = self.rfile.read(length)
                if len(body) < length:  # its sender was killed; no server would take that for a request
                    self.close_connection = True
                    return
                call = Call(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
                with lock:
                    receiver.calls.append(call)
                    receiver.busy += 1
                    receiver.most_busy = max(receiver.most_busy, receiver.busy)
                try:
                    with suppress(ConnectionError):
                        self._reply(receiver.answer(call))
                finally:
                    with lock:
                        receiver.busy -= 1

            def _reply(self, reply: Reply) -> None:
                time.sleep(reply.wait)
                if reply.cut == "before":
                    self._hang_up()
                elif reply.cut == "head":
                    self.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-le")
                    self._hang_up()
                elif reply.drip:
                    for letter in b"HTTP/1.1 200 OK\r\nx-slow: " + b"a" * 1000:
                        self.wfile.write(bytes([letter]))
                        time.sleep(reply.drip)
                else:
                    self.send_response(reply.status)
                    for name, value in reply.headers.items():
                        self.send_header(name, value)
                    more = 100 if reply.cut == "body" else 0
                    self.send_header("content-length", str(len(reply.body) + more))
                    self.end_headers()
                    self.wfile.write(reply.body)
                    if more:
                        self._hang_up()

            def _hang_up(self) -> None:
                self.wfile.flush()
                with suppress(OSError):
                    self.connection.shutdown(socket.SHUT_RDWR)
                self.close_connection = True

            def log_message(self, *said: Any) -> None:
                """A test's output is for what went wrong."""

        self._server = _Server(("127.0.0.1", port), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hooks"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join(10)
        self._server.server_close()

    def told(self) -> list[tuple[str, int]]:
        """Key and version of each message, as they came."""
        return [(call.data["key"], call.data["version"]) for call in self.calls]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A sender that was killed is no error of ours."""


# ---------------------------------------------------------------- our side


@contextmanager
def open_desk(url: str) -> Iterator[Hub]:
    engine = open_engine(url, threads=4)
    with Hub(engine, Systems(), Connectors()) as hub:
        yield hub


class Desk:
    """A hub without systems whose entities are changed by hand, and one receiver."""

    def __init__(self, hub: Hub, receiver: Receiver) -> None:
        self.hub = hub
        self.receiver = receiver

    def subscribe(
        self, name: str = "erp", kinds: str = "sellable", *, url: str | None = None, **more: Any
    ) -> tuple[Subscriber, SecretStr]:
        return add(self.hub.engine, name, url or self.receiver.url, kinds.split(","), **more)

    def change(self, kind: str, *entities: tuple[str, dict[str, Any]], deleted: bool = False) -> None:
        """New versions of these entities, in one transaction, as the hub writes them."""
        with self.hub.engine.begin() as connection:
            enter_feed(connection)
            for key, content in entities:
                body = json.dumps(content).encode()
                connection.execute(WRITE, {
                    "kind": kind, "key": key, "content": body.decode(), "hash": digest(body), "deleted": deleted,
                })  # fmt: skip

    def sell(self, sku: str, *quantities: int, channel: str = "rakuten") -> None:
        """One version after the other."""
        for quantity in quantities:
            self.change("sellable", sellable(sku, quantity, channel))

    def send(self, name: str = "erp", manner: Manner = QUICK) -> Sent:
        """One turn."""
        return send(self.hub, name, manner=manner)

    def send_all(self, name: str = "erp", manner: Manner = QUICK, seconds: float = 20) -> Sent:
        """Turns until nothing waits."""
        end, total = time.monotonic() + seconds, Sent(name)
        while True:
            total.add(self.send(name, manner))
            if total.next_in is None:
                return total
            assert time.monotonic() < end, "it did not come to an end in time"
            time.sleep(total.next_in)

    def rows(self, query: str, **names: Any) -> list[Any]:
        with self.hub.engine.connect() as connection:
            return list(connection.execute(text(query), names).all())

    def states(self) -> list[str]:
        return [row.state for row in self.rows("SELECT state FROM subscriber_message ORDER BY id")]

    def run(self, statement: str, **names: Any) -> None:
        with self.hub.engine.begin() as connection:
            connection.execute(text(statement), names)


WRITE = text("""
    WITH written AS (
        INSERT INTO entity AS e (kind, key, version, content, hash, system, deleted_at)
        VALUES (:kind, :key, 1, CAST(:content AS jsonb), :hash, 'core', CASE WHEN :deleted THEN now() END)
        ON CONFLICT (kind, key) DO UPDATE SET version = e.version + 1, content = excluded.content, hash = excluded.hash,
            updated_at = now(), deleted_at = excluded.deleted_at
        RETURNING id, kind, version
    )
    INSERT INTO change_feed (entity_id, kind, version, system, deleted)
    SELECT id, kind, version, 'core', :deleted FROM written
""")


def _send_for_ever(url: str, name: str) -> None:
    with open_desk(url) as hub:
        Path(os.environ["POSTROOM_READY"]).touch()
        while True:
            try:
                send(
                    hub,
                    name,
                    manner=Manner(
                        first=0.05, longest=0.2, longest_all=0.2, timeout=2.0, limit=timedelta(days=1)
                    ),
                )
            except FlowBusy:  # the session of the one that was killed still lives
                time.sleep(0.02)
            time.sleep(0.01)


if __name__ == "__main__":
    _send_for_ever(sys.argv[1], sys.argv[2])
