"""Who calls, and what they may: `requires("subscribers")` is the dependency that guards a route.

    router = APIRouter(prefix="/subscribers", tags=["subscribers"])

    @router.get("")
    def subscribers(caller: Annotated[Caller, Depends(requires("subscribers"))]) -> ...

Every key is held in memory, read again when it is older than `FRESH` seconds: a call costs no round trip for it, and
a key that was revoked is dead after `STALE` seconds at the latest. Keys nobody knows cost nothing but a hash.
"""

from __future__ import annotations

import hmac
import threading
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from fastapi import Request
from sqlalchemy import Engine
from starlette.concurrency import run_in_threadpool

from hub.api.keys import ApiKey, hash_of, list_keys, note_use
from hub.api.problems import Problem
from hub.api.scopes import covers, readable_kinds
from hub.words import Words

__all__ = ["FRESH", "STALE", "Caller", "Guard", "requires"]

FRESH = 2.0
"""Seconds after which the keys are read again, by one call while others go on with what is known."""
STALE = 5.0
"""Seconds after which no call goes on with what is known."""
NOTE_USE = 60.0
"""Seconds between two notes of when keys were used."""
FAILURES = 30
"""Failed authentications of one address in `WINDOW` seconds before it is told to wait. Good keys never wait."""
WINDOW = 60.0
_ADDRESSES = 10_000
_NOBODY = bytes(32)


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose key it is, and what it may."""

    key_id: str
    name: str
    scopes: frozenset[str]
    expires_at: datetime | None = field(default=None)

    def may(self, scope: str) -> bool:
        """Whether the key allows what the scope names, `reserve:shop` or `read:order` say."""
        return covers(self.scopes, scope)

    def may_read(self, kind: str) -> bool:
        """Whether the key may read entities of this kind. Guarded kinds (personal data) need their own scope."""
        return covers(self.scopes, f"read:{kind}")

    @property
    def kinds(self) -> tuple[str, ...]:
        """All kinds the key may read, sorted."""
        return readable_kinds(self.scopes)

    def must(self, scope: str) -> None:
        """Raises a Problem (403) unless the key allows it."""
        if not self.may(scope):
            raise not_allowed(scope)

    def must_read(self, kind: str) -> None:
        """Raises a Problem (403) unless the key may read this kind."""
        self.must(f"read:{kind}")


def not_allowed(*scopes: str) -> Problem:
    """The problem of a key that has none of these scopes."""
    named = " / ".join(scopes)
    return Problem(
        "not_allowed",
        Words(f"権限 {named} が必要です。", f"This needs the scope {named}."),
        headers={
            "www-authenticate": f'Bearer realm="tsunagi", error="insufficient_scope", scope="{scopes[0]}"'
        },
        scopes=list(scopes),
    )


class Guard:
    """The keys of the hub, in memory."""

    def __init__(self, engine: Engine, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._engine = engine
        self._clock = clock
        self._keys: Mapping[str, ApiKey] = {}
        self._read_at = -STALE
        self._reading = threading.Lock()
        self._used: dict[str, datetime] = {}
        self._noted_at = clock()
        self._failures: OrderedDict[str, tuple[float, int]] = OrderedDict()

    async def caller(self, authorization: str | None, address: str) -> Caller:
        """Who sent this `Authorization` header. Raises a Problem: 401, or 429 for who fails all the time."""
        age = self._clock() - self._read_at
        if age >= STALE or (age >= FRESH and not self._reading.locked()):
            await run_in_threadpool(self._read)
        now = datetime.now(UTC)
        key = self._known(authorization)
        if key is not None and key.state(now) == "valid":
            self._used[key.id] = now
            return Caller(key.id, key.name, frozenset(key.scopes), key.expires_at)
        self._count_failure(address)
        if authorization is None:
            raise _unauthorized("no_key", None)
        if key is None:
            raise _unauthorized("bad_key", None)
        # only who holds the secret learns why it is good no more
        why = {"revoked": Words("この鍵は失効しています。", "This key was revoked."),
               "expired": Words("この鍵は期限が切れています。", "This key has expired.")}  # fmt: skip
        raise _unauthorized("bad_key", why[key.state(now)])

    def close(self) -> None:
        """Write down what was used last."""
        with self._reading:
            self._note(always=True)

    def _known(self, authorization: str | None) -> ApiKey | None:
        scheme, _, secret = (authorization or "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        secret = secret.strip()
        parts = secret.split("_", 2)
        key = self._keys.get(parts[1]) if len(parts) == 3 else None
        same = hmac.compare_digest(hash_of(secret), _NOBODY if key is None else key.hash)
        return key if same else None

    def _read(self) -> None:
        with self._reading:
            if self._clock() - self._read_at < FRESH:  # another call has done it
                return
            begun = self._clock()
            self._note()
            with self._engine.connect() as connection:
                self._keys = {key.id: key for key in list_keys(connection)}
            self._read_at = begun

    def _note(self, *, always: bool = False) -> None:
        if self._used and (always or self._clock() - self._noted_at >= NOTE_USE):
            used, self._used = self._used, {}
            self._noted_at = self._clock()
            with self._engine.begin() as connection:
                note_use(connection, dict(used))  # a call may still be adding to the old one

    def _count_failure(self, address: str) -> None:
        now = self._clock()
        began, count = self._failures.pop(address, (now, 0))
        if now - began >= WINDOW:
            began, count = now, 0
        self._failures[address] = (began, count + 1)
        if len(self._failures) > _ADDRESSES:
            self._failures.popitem(last=False)
        if count >= FAILURES:
            wait = str(max(1, round(began + WINDOW - now)))
            raise Problem("too_many_failures", headers={"retry-after": wait})


def _unauthorized(code: str, detail: Words | None) -> Problem:
    error = "" if code == "no_key" else ', error="invalid_token"'
    return Problem(code, detail, headers={"www-authenticate": f'Bearer realm="tsunagi"{error}'})


def requires(*scopes: str) -> Callable[[Request], Awaitable[Caller]]:
    """A dependency that gives the caller, if the key has one of these scopes; without any, if it is a valid key.

    `Caller.must_read` and `Caller.must` say no to more, once it is known what the call is about.
    """

    async def who(request: Request) -> Caller:
        address = request.client.host if request.client else "-"
        guard: Guard = request.app.state.guard
        caller = await guard.caller(request.headers.get("authorization"), address)
        request.scope["tsunagi.key"] = caller.key_id  # for the log
        if scopes and not any(caller.may(scope) for scope in scopes):
            raise not_allowed(*scopes)
        return caller

    return who
