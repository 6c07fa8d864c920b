"""Outgoing webhooks: subscribers are told of what changed, signed, at least once, of each entity in order.

register   who is told of what
sealed     their secrets
messages   from the change feed to messages that wait; replay, erasure (`forget`), retention (`tidy`)
sender     sends what waits for one subscriber
wake       asks for jobs that send
standing   how they are doing, for `tsunagi status`
api        the routes of the hub's API; `router(hub)`

See docs/subscribers.md.
"""

from hub.subscribers.messages import forget, tidy

__all__ = ["forget", "tidy"]
