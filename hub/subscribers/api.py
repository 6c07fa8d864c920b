"""The routes of the hub's API for subscribers: `router(hub)`.

A key needs the scope `subscribers`, and the right to read every kind the subscriber is told of: who may not read
orders must not have them sent either.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Depends, Path, Query, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, SecretStr
from sqlalchemy import Connection

from hub.api.describe import answers
from hub.api.problems import Problem
from hub.api.security import Caller, requires
from hub.engine import Hub
from hub.subscribers import messages, register
from hub.subscribers.places import PlaceRefused
from hub.subscribers.register import MOST_AT_ONCE, Content, Subscriber, SubscriberFault
from hub.subscribers.trial import send_ping
from hub.subscribers.wake import wake_one
from hub.system_file import UnknownName
from hub.words import Words

__all__ = ["router"]

_ENTRIES = 100
Text = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
Name = Annotated[str, Path(min_length=1, max_length=63, pattern=r"^[a-z0-9][a-z0-9_-]*$")]
_Kinds = Annotated[
    list[Text], Field(min_length=1, max_length=_ENTRIES, description="知らせる種類 / kinds to tell of")
]
_Channels = Annotated[
    list[Text],
    Field(max_length=_ENTRIES, description="このチャネルだけ。空ですべて / only these; empty: all"),
]
_Content = Annotated[
    Content,
    Field(
        description="thin: キーと版だけ、full: 内容も、default: 個人情報を含まない種類だけ内容も / thin: key and "
        "version; full: the content too; default: full for kinds without personal data"
    ),
]
_Url = Annotated[
    str, Field(min_length=1, max_length=2000, description="送信先。https / where to send, https")
]
_AtOnce = Annotated[
    int, Field(ge=1, le=MOST_AT_ONCE, description="同時に送る数 / messages under way at once")
]


class _In(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class SubscriberWanted(_In):
    """購読者の登録 / a new subscriber."""

    name: Annotated[str, Field(max_length=63, pattern=r"^[a-z0-9][a-z0-9_-]*$")]
    url: _Url
    kinds: _Kinds
    channels: _Channels = []
    content: _Content = "default"
    at_once: _AtOnce = 4


class SubscriberChange(_In):
    """変えるものだけ / only what is to change. `state`: paused stops sending, active goes on where it stopped."""

    url: _Url | None = None
    kinds: _Kinds | None = None
    channels: _Channels | None = None
    content: _Content | None = None
    at_once: _AtOnce | None = None
    state: Literal["active", "paused"] | None = None
    reason: Annotated[str | None, Field(max_length=500)] = None


class SubscriberInfo(BaseModel):
    """購読者 / a subscriber. What its URL may hold of secrets is masked."""

    name: str
    url: str
    kinds: list[str]
    channels: list[str]
    content: Content
    state: Literal["active", "paused", "given_up"]
    reason: str | None
    at_once: int
    failures: int
    failing_since: datetime | None
    not_before: datetime | None
    accepted_at: datetime | None
    created_at: datetime


class SubscriberSecret(SubscriberInfo):
    """秘密鍵付き。再表示はできない / with the secret its messages are signed with; it is not shown again."""

    secret: str


class SubscriberList(BaseModel):
    """すべての購読者 / all subscribers."""

    items: list[SubscriberInfo]


class SubscriberAttempt(BaseModel):
    """送信の試行 / an attempt. `answer` is the beginning of the answer, masked."""

    event_id: str
    kind: str
    key: str | None
    version: int | None
    state: str
    attempt: int
    started_at: datetime
    finished_at: datetime | None
    status: int | None
    ms: int | None
    answer: str | None
    error: str | None


class SubscriberAttempts(BaseModel):
    """新しい順 / newest first."""

    items: list[SubscriberAttempt]


class SubscriberDead(BaseModel):
    """断念したメッセージ / a message that was given up, with what its last attempt got."""

    event_id: str
    kind: str
    key: str | None
    version: int | None
    attempts: int
    finished_at: datetime
    status: int | None
    error: str | None


class SubscriberDeadList(BaseModel):
    """古い順 / oldest first."""

    items: list[SubscriberDead]


class SubscriberReplay(_In):
    """どれか1つ / one of the three.

    failed    those that were given up, under their ids
    event_id  this message, as it was and under its id
    since     everything that changed at or after this moment, as it is now, in new messages
    """

    model_config = ConfigDict(extra="forbid", strict=False)  # a moment comes as text

    failed: Literal[True] | None = None
    event_id: Text | None = None
    since: AwareDatetime | None = None


class SubscriberReplayed(BaseModel):
    """送信待ちにした数と、新しい版を送信済みのため終了した数 / messages that wait, and those a newer one overtook."""

    waiting: int
    overtaken: int


class SubscriberRotation(_In):
    """旧鍵でも署名する秒数 / seconds the old secret signs too; 0 ends it at once."""

    overlap: Annotated[int, Field(ge=0, le=30 * 86400)] = int(register.OVERLAP.total_seconds())


class SubscriberPing(BaseModel):
    """pingの結果。attempt が null なら進行中の送信が後で送る / null: the sender at work sends it."""

    event_id: str
    accepted: bool
    attempt: SubscriberAttempt | None


_may = requires("subscribers")
Who = Annotated[Caller, Depends(_may)]
_SCOPE: dict[str, Any] = {"security": [{"key": ["subscribers"]}]}
_NO_STORE = "no-store"


def router(hub: Hub) -> APIRouter:
    """The routes below `/subscribers`; the API puts them together with its own."""
    routes = APIRouter(prefix="/subscribers", tags=["subscribers"])
    _settings(routes, hub)
    _sent(routes, hub)
    return routes


def _settings(routes: APIRouter, hub: Hub) -> None:
    @routes.get(
        "", operation_id="subscribers", summary="購読者の一覧 / All subscribers", responses=_told(),
        openapi_extra=_SCOPE,
    )  # fmt: skip
    def all_of_them(_caller: Who) -> SubscriberList:
        with hub.engine.connect() as connection:
            return SubscriberList(items=[_info(one) for one in register.list_subscribers(connection)])

    @routes.post(
        "", status_code=201, operation_id="addSubscriber", summary="購読者を登録 / Add a subscriber",
        description="今から変わったものを知らせる。答えの secret は再表示できない / Told of what changes from now on. "
        "The `secret` of the answer is not shown again.",
        responses=_told("bad_json", "conflict", "bad_media_type", "too_large"), openapi_extra=_SCOPE,
    )  # fmt: skip
    def add(wanted: SubscriberWanted, caller: Who, response: Response) -> SubscriberSecret:
        _must_read(caller, wanted.kinds)
        with _faults():
            made, secret = register.add(hub.engine, **wanted.model_dump())
        return _with_secret(made, secret, response)

    @routes.get(
        "/{name}", operation_id="subscriber", summary="購読者を取得 / Read a subscriber", responses=_told("not_found"),
        openapi_extra=_SCOPE,
    )  # fmt: skip
    def one(name: Name, _caller: Who) -> SubscriberInfo:
        with _faults(), hub.engine.connect() as connection:
            return _info(register.find(connection, name))

    @routes.patch(
        "/{name}", operation_id="changeSubscriber", summary="設定変更・停止・再開 / Change, pause, resume",
        responses=_told("bad_json", "not_found", "bad_media_type", "too_large"), openapi_extra=_SCOPE,
    )  # fmt: skip
    def change(name: Name, wanted: SubscriberChange, caller: Who) -> SubscriberInfo:
        with _faults(), hub.engine.begin() as connection:
            _theirs(connection, name, caller)
            _must_read(caller, wanted.kinds or [])
            return _info(_changed(connection, name, wanted))

    @routes.delete(
        "/{name}", status_code=204, operation_id="removeSubscriber", summary="購読者を削除 / Remove a subscriber",
        description="未送信のメッセージと記録も削除する / With its messages and attempts.",
        responses=_told("not_found"), openapi_extra=_SCOPE,
    )  # fmt: skip
    def remove(name: Name, _caller: Who) -> None:
        with _faults(), hub.engine.begin() as connection:
            register.remove(connection, name)

    @routes.post(
        "/{name}/rotate-secret", operation_id="rotateSubscriberSecret",
        summary="秘密鍵を取り替える / Replace the secret",
        responses=_told("bad_json", "not_found", "bad_media_type", "too_large"), openapi_extra=_SCOPE,
    )  # fmt: skip
    def rotate(
        name: Name,
        caller: Who,
        response: Response,
        wanted: Annotated[SubscriberRotation | None, Body()] = None,
    ) -> SubscriberSecret:
        overlap = (wanted or SubscriberRotation()).overlap
        with _faults(), hub.engine.begin() as connection:
            _theirs(connection, name, caller)
            told, secret = register.rotate(connection, name, timedelta(seconds=overlap))
        return _with_secret(told, secret, response)


def _sent(routes: APIRouter, hub: Hub) -> None:
    @routes.get(
        "/{name}/attempts", operation_id="subscriberAttempts", summary="送信の試行 / The attempts",
        responses=_told("not_found"), openapi_extra=_SCOPE,
    )  # fmt: skip
    def attempts(
        name: Name,
        caller: Who,
        event_id: Annotated[Text | None, Query(description="このメッセージだけ / of this message")] = None,
        failed: Annotated[bool, Query(description="失敗だけ / only failed ones")] = False,
        limit: Annotated[int, Query(ge=1, le=1000)] = 50,
    ) -> SubscriberAttempts:
        with _faults(), hub.engine.connect() as connection:
            told = _theirs(connection, name, caller)
            found = messages.list_attempts(connection, told, event_id=event_id, failed=failed, limit=limit)
        return SubscriberAttempts(items=[_attempt(one) for one in found])

    @routes.get(
        "/{name}/failed", operation_id="subscriberFailed",
        summary="断念したメッセージ / Messages that were given up", responses=_told("not_found"),
        openapi_extra=_SCOPE,
    )  # fmt: skip
    def failed(
        name: Name, caller: Who, limit: Annotated[int, Query(ge=1, le=1000)] = 200
    ) -> SubscriberDeadList:
        with _faults(), hub.engine.connect() as connection:
            _theirs(connection, name, caller)
            found = messages.dead_messages(connection, name, limit=limit)
        return SubscriberDeadList(items=[SubscriberDead.model_validate(asdict(one)) for one in found])

    @routes.post(
        "/{name}/replay", operation_id="replaySubscriber", summary="もう一度送る / Send again",
        responses=_told("bad_json", "not_found", "conflict", "bad_media_type", "too_large"), openapi_extra=_SCOPE,
    )  # fmt: skip
    def replay(name: Name, wanted: SubscriberReplay, caller: Who) -> SubscriberReplayed:
        if sum(value is not None for value in (wanted.failed, wanted.event_id, wanted.since)) != 1:
            raise Problem(
                "invalid",
                Words("failed、event_id、since のどれか1つ", "Give one of failed, event_id and since"),
            )
        with _faults("conflict"), hub.engine.begin() as connection:
            found = _replayed(connection, _theirs(connection, name, caller), wanted)
            wake_one(connection, name)
        return SubscriberReplayed(**found.as_dict())

    @routes.post(
        "/{name}/ping", operation_id="pingSubscriber", summary="pingを送る / Send a ping",
        description="1回だけ試す。停止中でも送る / One attempt, also to a subscriber that is paused.",
        responses=_told("not_found", "conflict"), openapi_extra=_SCOPE,
    )  # fmt: skip
    def ping(name: Name, _caller: Who) -> SubscriberPing:
        with _faults("conflict"):
            event_id, attempt = send_ping(hub, name)
        accepted = attempt is not None and attempt.status is not None and 200 <= attempt.status < 300
        return SubscriberPing(
            event_id=event_id, accepted=accepted, attempt=None if attempt is None else _attempt(attempt)
        )


# ---------------------------------------------------------------- what the routes share


def _told(*codes: str) -> dict[int | str, dict[str, Any]]:
    """The problems of a route; what goes well, its model says."""
    return {
        status: said for status, said in answers("Problem", *codes, "store_down").items() if status != 200
    }


@contextmanager
def _faults(code: str = "invalid") -> Iterator[None]:
    """Turn what the room raises into problems; faults of what was asked into `code`."""
    try:
        yield
    except UnknownName as error:
        raise Problem("not_found", error.words) from None
    except register.NameTaken as error:
        raise Problem("conflict", error.words) from None
    except (SubscriberFault, PlaceRefused) as error:
        raise Problem(code, error.words) from None
    except register.SecretUnreadable as error:
        raise Problem("conflict", error.words) from None


def _must_read(caller: Caller, kinds: Sequence[str]) -> None:
    for kind in kinds:
        caller.must_read(kind)


def _theirs(connection: Connection, name: str, caller: Caller) -> Subscriber:
    """The subscriber, if the caller may read all it is told of."""
    found = register.find(connection, name)
    _must_read(caller, found.kinds)
    return found


def _changed(connection: Connection, name: str, wanted: SubscriberChange) -> Subscriber:
    values = wanted.model_dump(exclude={"state", "reason"})
    found = register.change(connection, name, **values)
    if wanted.state == "paused":
        found = register.pause(connection, name, wanted.reason)
    elif wanted.state == "active":
        found = register.resume(connection, name)
        wake_one(connection, name)
    return found


def _replayed(connection: Connection, told: Subscriber, wanted: SubscriberReplay) -> messages.Replayed:
    if wanted.event_id is not None:
        return messages.replay_event(connection, told, wanted.event_id)
    if wanted.since is not None:
        return messages.replay_from(connection, told, wanted.since)
    return messages.replay_failed(connection, told)


def _info(told: Subscriber) -> SubscriberInfo:
    return SubscriberInfo.model_validate(told.as_dict())


def _with_secret(told: Subscriber, secret: SecretStr, response: Response) -> SubscriberSecret:
    response.headers["cache-control"] = _NO_STORE
    return SubscriberSecret.model_validate({**told.as_dict(), "secret": secret.get_secret_value()})


def _attempt(one: messages.Attempt) -> SubscriberAttempt:
    return SubscriberAttempt.model_validate(one.as_dict())
