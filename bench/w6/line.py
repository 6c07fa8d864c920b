"""A line with a delay: a TCP proxy that hands every byte on a set time after it came, in order, at any rate.

python -m bench.w6.line PORT MILLISECONDS       to PORT of this machine; prints the port it listens on
"""

from __future__ import annotations

import asyncio
import sys
from collections import deque


class _End(asyncio.Protocol):
    """One end of a connection; what it receives leaves by `other` when its time has come."""

    def __init__(self, delay: float) -> None:
        self._delay = delay
        self._under_way: deque[bytes | None] = deque()
        self._transport: asyncio.Transport | None = None
        self.other: _End | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.set_write_buffer_limits(high=1 << 23)

    def data_received(self, data: bytes) -> None:
        self._send_off(data)

    def eof_received(self) -> bool:
        self._send_off(None)
        return True

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self._send_off(None)

    def pause_writing(self) -> None:
        if self.other is not None and self.other._transport is not None:
            self.other._transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other is not None and self.other._transport is not None:
            self.other._transport.resume_reading()

    def _send_off(self, data: bytes | None) -> None:
        self._under_way.append(data)
        asyncio.get_running_loop().call_later(self._delay, self._arrive)

    def _arrive(self) -> None:
        # timers with the same due time may fire in any order: each takes the oldest
        data = self._under_way.popleft()
        target = self.other._transport if self.other is not None else None
        if target is None or target.is_closing():
            return
        if data is None:
            target.close()
        else:
            target.write(data)


async def _serve(port: int, delay: float) -> None:
    loop = asyncio.get_running_loop()

    async def join(near: _End) -> None:
        _, far = await loop.create_connection(lambda: _End(delay), "127.0.0.1", port)
        near.other, far.other = far, near

    class Near(_End):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            joining.add(task := loop.create_task(join(self)))
            task.add_done_callback(joining.discard)

    joining: set[asyncio.Task[None]] = set()
    server = await loop.create_server(lambda: Near(delay), "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), float(sys.argv[2]) / 1000))
