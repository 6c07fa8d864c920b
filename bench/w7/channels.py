"""The four channels as one light process: they take stock, and remember when they took what.

python -m bench.w7.channels PORT_FILE

POST /CHANNEL/stock   [[sku, quantity], ...] -> 200
GET /progress         how many SKUs each channel has been told of
GET /book             all that was taken: [seconds (the system's monotonic clock), channel, [[sku, quantity], ...]]
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import orjson
import uvicorn

from hub.gateway.server import bind

__all__ = ["application"]

_book: list[tuple[float, str, list[list[Any]]]] = []
_seen: dict[str, set[str]] = {}


async def application(scope: Any, receive: Any, send: Any) -> None:
    """The ASGI application."""
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return
    if scope["method"] == "POST":
        body = b""
        more = True
        while more:
            message = await receive()
            body += message["body"]
            more = message.get("more_body", False)
        channel = scope["path"].split("/")[1]
        rows = orjson.loads(body)
        _book.append((time.monotonic(), channel, rows))
        _seen.setdefault(channel, set()).update(row[0] for row in rows)
        answer = b'{"status":"ok"}'
    elif scope["path"] == "/progress":
        answer = orjson.dumps({channel: len(skus) for channel, skus in _seen.items()})
    else:
        answer = orjson.dumps(_book)
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(answer)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": answer})


if __name__ == "__main__":
    listener = bind("127.0.0.1", 0)
    Path(sys.argv[1]).write_text(str(listener.getsockname()[1]))
    config = uvicorn.Config(application, log_config=None, access_log=False, timeout_keep_alive=65)
    uvicorn.Server(config).run(sockets=[listener])
