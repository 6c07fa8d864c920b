"""How subscribers are doing, for `tsunagi subscriber list` and `tsunagi status`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from connectors.transport.redaction import Redactor
from hub.subscribers.register import BEHIND

__all__ = ["Standing", "standings"]

_STANDINGS = text(f"""
    SELECT s.name, s.url, s.kinds, s.state, s.reason, s.failures, s.failing_since, s.not_before, s.accepted_at,
           s.state = 'active' AND {BEHIND} AS behind,
           m.waiting, m.oldest, coalesce(d.dead, 0) AS dead, last.status, last.error
    FROM subscriber AS s
    CROSS JOIN LATERAL (SELECT count(*) AS waiting, min(created_at) AS oldest FROM subscriber_message AS w
                        WHERE w.subscriber_id = s.id AND w.state = 'waiting') AS m
    CROSS JOIN LATERAL (SELECT count(*) AS dead FROM subscriber_message AS w
                        WHERE w.subscriber_id = s.id AND w.state = 'dead' AND w.entity_id IS NOT NULL) AS d
    LEFT JOIN LATERAL (SELECT status, coalesce(error, answer) AS error FROM subscriber_attempt AS a
                       WHERE a.subscriber_id = s.id AND a.finished_at IS NOT NULL ORDER BY a.id DESC LIMIT 1) AS last
           ON s.failures > 0
    ORDER BY s.name
""")  # noqa: S608  (the part is ours)


@dataclass(frozen=True, slots=True)
class Standing:
    """One subscriber as an operator wants to see it.

    waiting, oldest   messages that wait, and since when the oldest does
    behind            there are changes in the feed that made no messages yet
    dead              messages given up, to be looked at and replayed
    status, error     what the last attempt got, while attempts fail
    """

    name: str
    url: str
    kinds: tuple[str, ...]
    state: str
    reason: str | None
    failures: int
    failing_since: datetime | None
    not_before: datetime | None
    accepted_at: datetime | None
    behind: bool
    waiting: int
    oldest: datetime | None
    dead: int
    status: int | None
    error: str | None

    @property
    def needs_a_person(self) -> bool:
        """Whether it stands still or has dead messages."""
        return (
            self.state == "given_up" or self.dead > 0 or (self.state == "paused" and self.reason is not None)
        )

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def standings(connection: Connection) -> list[Standing]:
    """Every subscriber, by name; what URLs may hold of secrets is masked."""
    mask = Redactor()
    return [
        Standing(**{**row._mapping, "kinds": tuple(row.kinds), "url": mask.url(row.url)})
        for row in connection.execute(_STANDINGS)
    ]
