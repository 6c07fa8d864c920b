"""`tsunagi subscriber test`: one ping, and what came back."""

from __future__ import annotations

import time
from contextlib import suppress

from hub.engine import FlowBusy, Hub
from hub.subscribers.answers import Manner
from hub.subscribers.messages import Attempt, list_attempts, ping
from hub.subscribers.register import find
from hub.subscribers.sealed import Keys, own_key
from hub.subscribers.sender import send_message

__all__ = ["send_ping"]


def send_ping(
    hub: Hub, name: str, *, patience: float = 5.0, manner: Manner | None = None, keys: Keys = own_key
) -> tuple[str, Attempt | None]:
    """Send a ping, to a paused subscriber too. Gives its `webhook-id`, and the attempt.

    No attempt when another sender is at it for longer than `patience` seconds: then that one sends it. Raises
    UnknownName and SecretUnreadable.
    """
    with hub.engine.begin() as connection:
        told = find(connection, name)
        number, event_id = ping(connection, told)
    until = time.monotonic() + patience
    while True:
        with suppress(FlowBusy):
            send_message(hub, name, number, manner=manner, keys=keys)
        with hub.engine.connect() as connection:
            found = list_attempts(connection, told, event_id=event_id, limit=1)
        if (found and found[0].finished_at is not None) or time.monotonic() >= until:
            return event_id, found[0] if found else None
        time.sleep(0.1)
