"""Who is told of what: the subscribers, and what an operator does to them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, get_args

from pydantic import SecretStr
from sqlalchemy import Connection, Engine, Row, text
from sqlalchemy.exc import IntegrityError

from canonical_model import ENTITIES
from connectors.transport.redaction import Redactor
from hub.api.scopes import OPEN_KINDS
from hub.feed import FeedPosition, horizon
from hub.subscribers.places import checked_url
from hub.subscribers.sealed import Keys, SecretUnreadable, add_secret, own_key, replace_secret
from hub.system_file import UnknownName
from hub.words import HubError

__all__ = [
    "AHEAD",
    "BEHIND",
    "MOST_AT_ONCE",
    "OVERLAP",
    "Content",
    "NameTaken",
    "SecretUnreadable",
    "Subscriber",
    "SubscriberFault",
    "add",
    "change",
    "find",
    "find_by_id",
    "list_subscribers",
    "pause",
    "remove",
    "resume",
    "rotate",
]

Content = Literal["default", "thin", "full"]
"""thin: key and version; full: the canonical JSON too; default: full for kinds that speak of no person."""

OVERLAP = timedelta(hours=24)
"""How long an old secret signs beside the new one."""
MOST_AT_ONCE = 32
AHEAD = "(s.feed_xid >= pg_snapshot_xmax(pg_current_snapshot())::text::bigint)"
"""SQL over `subscriber AS s`: its position lies where no transaction has been. The store was restored elsewhere."""
BEHIND = """((SELECT true FROM change_feed AS c
    WHERE c.kind = ANY(s.kinds) AND (c.xid, c.seq) > (s.feed_xid, s.feed_seq)
    ORDER BY c.xid, c.seq LIMIT 1) IS NOT NULL)"""
"""SQL over `subscriber AS s`: changes lie behind its position. In order and one row: the planner may not look for any
that fits from the beginning of the feed.
"""
_END = 2**63 - 1
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


class SubscriberFault(HubError):
    """What was asked of a subscriber cannot be."""


@dataclass(frozen=True, slots=True)
class Subscriber:
    """One receiver of messages.

    kinds          kinds of entity it is told of
    channels       only what belongs to these channels; empty: all
    content        see `Content`
    state          active; paused by a person, or by the receiver (410); given_up after days of failures
    reason         why it is not active
    at_once        most messages under way at once, each of another entity
    failures       failed attempts since the last accepted one
    failing_since  when the first of them was made
    not_before     no attempt before this moment
    accepted_at    when it last accepted a message
    """

    id: int
    name: str
    url: str
    kinds: tuple[str, ...]
    channels: tuple[str, ...]
    content: Content
    state: str
    reason: str | None
    at_once: int
    failures: int
    pauses: int
    failing_since: datetime | None
    not_before: datetime | None
    accepted_at: datetime | None
    created_at: datetime

    def whole(self, kind: str) -> bool:
        """Whether messages about this kind carry the content."""
        return self.content == "full" or (self.content == "default" and kind in OPEN_KINDS)

    def as_dict(self) -> dict[str, Any]:
        """The subscriber as JSON-able values, what its URL may hold of secrets masked."""
        return {**asdict(self), "url": Redactor().url(self.url)}


class NameTaken(SubscriberFault):
    """There is a subscriber of this name already."""


_COLUMNS = (
    "id, name, url, kinds, channels, content, state, reason, at_once, failures, pauses, failing_since, not_before, "
    "accepted_at, created_at"
)
_ADD = text(f"""
    INSERT INTO subscriber (name, url, kinds, channels, content, at_once, feed_xid, feed_seq)
    VALUES (:name, :url, :kinds, :channels, :content, :at_once, :xid, :seq) RETURNING {_COLUMNS}
""")  # noqa: S608  (the columns are ours)
_LIST = text(f"SELECT {_COLUMNS} FROM subscriber ORDER BY name")  # noqa: S608
_FIND = text(f"SELECT {_COLUMNS} FROM subscriber WHERE name = :name")  # noqa: S608
_BY_ID = text(f"SELECT {_COLUMNS} FROM subscriber WHERE id = :id")  # noqa: S608
_CHANGE = text(f"""
    UPDATE subscriber SET url = :url, kinds = :kinds, channels = :channels, content = :content, at_once = :at_once
    WHERE id = :id RETURNING {_COLUMNS}
""")  # noqa: S608
_PAUSE = text(
    f"UPDATE subscriber SET state = 'paused', reason = :reason WHERE id = :id RETURNING {_COLUMNS}"  # noqa: S608
)
_RESUME = text(f"""
    UPDATE subscriber AS s SET state = 'active', reason = NULL, failures = 0, pauses = 0, failing_since = NULL,
           not_before = NULL,
           feed_xid = CASE WHEN {AHEAD} THEN pg_snapshot_xmin(pg_current_snapshot())::text::bigint - 1
                           ELSE s.feed_xid END
    WHERE id = :id RETURNING {_COLUMNS}
""")  # noqa: S608
_TRY_ANEW = text("""
    UPDATE subscriber_message SET next_at = now(), retry_until = NULL WHERE subscriber_id = :id AND state = 'waiting'
""")
# messages before their subscriber, as a sender locks them
_REMOVE_MESSAGES = text("DELETE FROM subscriber_message WHERE subscriber_id = :id")
_REMOVE = text("DELETE FROM subscriber WHERE id = :id")


def _subscriber(row: Row[Any]) -> Subscriber:
    return Subscriber(**{**row._mapping, "kinds": tuple(row.kinds), "channels": tuple(row.channels)})


def add(
    engine: Engine,
    name: str,
    url: str,
    kinds: Iterable[str],
    *,
    channels: Iterable[str] = (),
    content: str = "default",
    at_once: int = 4,
    keys: Keys = own_key,
) -> tuple[Subscriber, SecretStr]:
    """A new subscriber and its secret, which is told nowhere else. It is told of what changes from now on.

    Raises SubscriberFault, or PlaceRefused for a URL that may not be called.
    """
    if not _NAME.fullmatch(name):
        raise SubscriberFault(
            f"購読者名「{name}」は使えません。英小文字・数字・ハイフン・下線で63文字までにしてください。",
            f"The name {name!r} cannot be used: take lower-case letters, digits, '-' and '_', at most 63.",
        )
    values = {
        "name": name,
        "url": checked_url(url),
        "kinds": _kinds(kinds),
        "channels": _channels(channels),
        "content": _content(content),
        "at_once": _at_once(at_once),
    }
    with engine.begin() as connection:
        start = FeedPosition(horizon(connection) - 1, _END)
    try:
        with engine.begin() as connection:
            row = connection.execute(_ADD, {**values, "xid": start.xid, "seq": start.seq}).one()
            return _subscriber(row), add_secret(connection, row.id, keys)
    except IntegrityError:
        raise NameTaken(
            f"「{name}」という購読者はすでにあります。", f"There is a subscriber {name!r} already."
        ) from None


def _kinds(kinds: Iterable[str]) -> list[str]:
    found = sorted({kind.strip() for kind in kinds if kind.strip()})
    unknown = [kind for kind in found if kind not in ENTITIES]
    if unknown or not found:
        known = ", ".join(sorted(ENTITIES))
        raise SubscriberFault(
            f"種類「{', '.join(unknown)}」はありません。使えるもの: {known}"
            if unknown
            else f"種類を1つ以上指定してください: {known}",
            f"There is no kind {', '.join(unknown)}; there are: {known}"
            if unknown
            else f"Name at least one kind: {known}",
        )
    return found


def _channels(channels: Iterable[str]) -> list[str]:
    return sorted({channel.strip() for channel in channels if channel.strip()})


def _content(content: str) -> str:
    if content not in get_args(Content):
        raise SubscriberFault(
            f"内容「{content}」は使えません。default、thin、full のどれかにしてください。",
            f"The content {content!r} is unknown: default, thin or full.",
        )
    return content


def _at_once(at_once: int) -> int:
    if not 1 <= at_once <= MOST_AT_ONCE:
        raise SubscriberFault(
            f"同時送信数は 1 から {MOST_AT_ONCE} までです。", f"At once go 1 to {MOST_AT_ONCE} messages."
        )
    return at_once


def list_subscribers(connection: Connection) -> list[Subscriber]:
    """All of them, by name."""
    return [_subscriber(row) for row in connection.execute(_LIST)]


def find(connection: Connection, name: str) -> Subscriber:
    """The subscriber of a name. Raises UnknownName."""
    row = connection.execute(_FIND, {"name": name}).one_or_none()
    if row is None:
        names = ", ".join(one.name for one in list_subscribers(connection)) or "-"
        raise UnknownName(
            f"「{name}」という購読者はありません。登録済み: {names}",
            f"There is no subscriber {name!r}; there are: {names}",
        )
    return _subscriber(row)


def find_by_id(connection: Connection, subscriber_id: int) -> Subscriber | None:
    """The subscriber, or None when it was removed."""
    row = connection.execute(_BY_ID, {"id": subscriber_id}).one_or_none()
    return None if row is None else _subscriber(row)


def change(
    connection: Connection,
    name: str,
    *,
    url: str | None = None,
    kinds: Sequence[str] | None = None,
    channels: Sequence[str] | None = None,
    content: str | None = None,
    at_once: int | None = None,
) -> Subscriber:
    """Change what is given. A kind that is new to the subscriber begins now. Raises as `add` and `find` do."""
    now = find(connection, name)
    values = {
        "id": now.id,
        "url": now.url if url is None else checked_url(url),
        "kinds": list(now.kinds) if kinds is None else _kinds(kinds),
        "channels": list(now.channels) if channels is None else _channels(channels),
        "content": now.content if content is None else _content(content),
        "at_once": now.at_once if at_once is None else _at_once(at_once),
    }
    return _subscriber(connection.execute(_CHANGE, values).one())


def pause(connection: Connection, name: str, reason: str | None = None) -> Subscriber:
    """Send nothing more until `resume`; what changes meanwhile is sent then. Raises UnknownName."""
    found = find(connection, name)
    return _subscriber(connection.execute(_PAUSE, {"id": found.id, "reason": reason}).one())


def resume(connection: Connection, name: str) -> Subscriber:
    """Go on where it stopped, as if nothing had failed yet. Raises UnknownName."""
    found = find(connection, name)
    connection.execute(_TRY_ANEW, {"id": found.id})
    return _subscriber(connection.execute(_RESUME, {"id": found.id}).one())


def remove(connection: Connection, name: str) -> Subscriber:
    """Forget the subscriber, its messages and its attempts. Raises UnknownName."""
    found = find(connection, name)
    connection.execute(_REMOVE_MESSAGES, {"id": found.id})
    connection.execute(_REMOVE, {"id": found.id})
    return found


def rotate(
    connection: Connection, name: str, overlap: timedelta = OVERLAP, keys: Keys = own_key
) -> tuple[Subscriber, SecretStr]:
    """A new secret; the old one signs beside it for `overlap`. Raises UnknownName."""
    found = find(connection, name)
    return found, replace_secret(connection, found.id, overlap, keys)
