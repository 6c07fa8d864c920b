"""`GET /{plural}` and `GET /{plural}/{key}`: every kind of entity, as the store has it.

Contents are handed on as PostgreSQL writes them, never parsed. A search is ordered by key, so that a change made
meanwhile moves nothing to another page: what was there all the time comes exactly once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Query, Request, Response
from sqlalchemy import Connection, Engine, Row, TextClause, text

from canonical_model import ENTITIES
from hub.api.cursors import key_behind, search_cursor
from hub.api.describe import entity_answers, entity_words
from hub.api.kinds import PLURALS, EntityKey, Search, filters_of, search_model
from hub.api.problems import Problem
from hub.api.security import Caller, requires
from hub.words import Words

__all__ = ["NO_STORE", "WINDOW", "envelope", "find", "json_answer", "router", "utc"]

WINDOW = 20_000
"""Entities a search without an index looks through for one answer."""
PATIENCE = 15_000
"""Milliseconds a search may take."""
NO_STORE = {"cache-control": "private, no-cache", "vary": "Authorization"}
_TOP = "\U0010ffff"
_COLUMNS = (
    "e.key, e.version, e.updated_at, e.deleted_at, "
    "CASE WHEN e.deleted_at IS NULL THEN e.content::text END AS content"
)


def router(engine: Engine) -> APIRouter:
    """The routes of all kinds."""
    routes = APIRouter(tags=["entities"])
    for kind, plural in PLURALS.items():
        _add(routes, engine, kind, plural)
    return routes


def _add(routes: APIRouter, engine: Engine, kind: str, plural: str) -> None:
    allowed = requires(f"read:{kind}")
    scope: dict[str, Any] = {"security": [{"key": [f"read:{kind}"]}]}
    name, words = ENTITIES[kind].__name__, entity_words(kind)

    def search(query: Search, caller: Caller) -> Response:  # noqa: ARG001
        return json_answer(find(engine, kind, query))

    def one(key: EntityKey, request: Request, caller: Caller) -> Response:  # noqa: ARG001
        return _one(engine, kind, key, request.headers.get("if-none-match"))

    # what is only known now cannot stand in the source
    search.__annotations__["query"] = Annotated[search_model(kind), Query()]
    search.__annotations__["caller"] = one.__annotations__["caller"] = Annotated[Caller, Depends(allowed)]
    routes.add_api_route(
        f"/{plural}", search, methods=["GET"], operation_id=f"search{name}", summary=words["search"],
        description=words["search_more"], responses=entity_answers(f"{name}Page"), openapi_extra=scope,
    )  # fmt: skip
    routes.add_api_route(
        f"/{plural}/{{key:path}}", one, methods=["GET"], operation_id=f"get{name}", summary=words["one"],
        description=words["one_more"], responses=entity_answers(f"{name}Entity", one=True), openapi_extra=scope,
    )  # fmt: skip


# ---------------------------------------------------------------- one

_ONE = text(f"SELECT {_COLUMNS}, e.hash FROM entity AS e WHERE e.kind = :kind AND e.key = :key")  # noqa: S608


def _one(engine: Engine, kind: str, key: str, held: str | None) -> Response:
    with engine.connect() as connection:
        row = connection.execute(_ONE, {"kind": kind, "key": key}).one_or_none()
    if row is None:
        ja, en = ENTITIES[kind].titles
        raise Problem(
            "not_found", Words(f"このキーの{ja}はありません。", f"{en}: there is none with this key.")
        )
    if row.deleted_at is not None:
        raise Problem("deleted", kind=kind, key=key, version=row.version, deleted_at=utc(row.deleted_at))
    # the hash too: what was erased and came again begins at version 1
    tag = f'"{row.version}-{bytes(row.hash)[:6].hex()}"'
    headers = {**NO_STORE, "etag": tag}
    if held is not None and (
        held.strip() == "*" or tag in {part.strip().removeprefix("W/") for part in held.split(",")}
    ):
        return Response(status_code=304, headers=headers)
    return json_answer(envelope(kind, row), headers)


def envelope(kind: str, row: Row[Any]) -> dict[str, Any]:
    """An entity as the API gives it; `row` has key, version, updated_at, deleted_at and content (JSON text)."""
    return {
        "kind": kind,
        "key": row.key,
        "version": row.version,
        "updated_at": utc(row.updated_at),
        "deleted_at": None if row.deleted_at is None else utc(row.deleted_at),
        "content": None if row.content is None else orjson.Fragment(row.content),
    }


def utc(moment: datetime) -> datetime:
    """The same moment, to be written with a Z."""
    return moment.astimezone(UTC)


def json_answer(content: Any, headers: Mapping[str, str] = NO_STORE) -> Response:
    """200 with this content."""
    return Response(
        orjson.dumps(content, option=orjson.OPT_UTC_Z), media_type="application/json", headers=dict(headers)
    )


# ---------------------------------------------------------------- many


@dataclass(frozen=True, slots=True)
class _Page:
    rows: Sequence[Row[Any]]
    behind: str | None


def find(engine: Engine, kind: str, query: Search) -> dict[str, Any]:
    """A page of what was searched for, and where it goes on. Raises a Problem."""
    wanted = query.wanted()
    values = {**wanted, "limit": query.limit + 1, "window": WINDOW, "top": _TOP}
    if query.cursor is not None:
        values["after"] = key_behind(kind, wanted, query.cursor)
    with engine.connect() as connection:
        connection.execute(_HURRY, {"patience": str(PATIENCE)})
        page = _page(connection, kind, values, query.limit)
    return {
        "items": [envelope(kind, row) for row in page.rows],
        "next": None if page.behind is None else search_cursor(kind, wanted, page.behind),
    }


_HURRY = text("SELECT set_config('statement_timeout', :patience, true)")
_BY_CODE_POINT = text("""
    SELECT datcollate IN ('C', 'POSIX', 'C.UTF-8', 'C.utf8') FROM pg_database WHERE datname = current_database()
""")


def _page(connection: Connection, kind: str, values: Mapping[str, Any], limit: int) -> _Page:
    ordered = "key_prefix" in values and bool(connection.scalar(_BY_CODE_POINT))
    statement, windowed = _search(kind, frozenset(values), ordered)
    rows: Sequence[Row[Any]] = connection.execute(statement, values).all()
    seen, last = (rows[0].seen, rows[0].last) if windowed else (0, None)
    rows = [row for row in rows if row.key is not None]
    if len(rows) > limit:
        return _Page(rows[:limit], rows[limit - 1].key)
    return _Page(rows, last if seen == WINDOW else None)


@lru_cache(maxsize=1024)
def _search(kind: str, names: frozenset[str], ordered: bool) -> tuple[TextClause, bool]:
    """The statement, and whether it looks through a window. `ordered`: keys stand in the order of their code points.

    An index on a field, an exact key, or a time finds its rows at once. Any other filter would have to read the whole
    kind for a few hits, so it reads a window of keys, and a page may come out short, even empty, and still go on.
    """
    known = filters_of(kind)
    used = [known[name] for name in sorted(names) if name in known]
    begin = [f"e.kind = '{kind}'"]
    if "after" in names:
        begin.append("e.key > :after")
    rest = [f"({one.condition})" for one in used]
    if "deleted" not in names:
        rest.append("e.deleted_at IS NULL")
    if "key_prefix" in names:
        rest.append("starts_with(e.key, :key_prefix)")
        if ordered:
            begin.append("e.key >= :key_prefix AND e.key < CAST(:key_prefix AS text) || CAST(:top AS text)")
    if "updated_since" in names:
        rest.append("e.updated_at >= :updated_since")
    if "key" in names:
        rest.append("e.key = :key")
    if "key" in names or any(one.indexed for one in used):
        return _by_index(begin + rest), False
    plain = bool(used) or ("key_prefix" in names and not ordered)
    if plain and "updated_since" not in names:
        return _by_window(begin, rest), True
    return _in_order(begin + rest), False


def _in_order(conditions: Sequence[str]) -> TextClause:
    return text(
        f"SELECT {_COLUMNS} FROM entity AS e WHERE {' AND '.join(conditions)} ORDER BY e.key LIMIT :limit"  # noqa: S608
    )


def _by_index(conditions: Sequence[str]) -> TextClause:
    # apart, or the planner may go through all keys in order, to be spared the sorting
    return text(f"""
        WITH found AS MATERIALIZED (SELECT e.id FROM entity AS e WHERE {" AND ".join(conditions)})
        SELECT {_COLUMNS} FROM found JOIN entity AS e ON e.id = found.id ORDER BY e.key LIMIT :limit
    """)  # noqa: S608  (every part is ours)


def _by_window(begin: Sequence[str], rest: Sequence[str]) -> TextClause:
    return text(f"""
        WITH near AS MATERIALIZED (
            SELECT e.key, e.version, e.updated_at, e.deleted_at, e.content FROM entity AS e
            WHERE {" AND ".join(begin)} ORDER BY e.key LIMIT :window
        ), hits AS (SELECT {_COLUMNS} FROM near AS e WHERE {" AND ".join(rest)} ORDER BY e.key LIMIT :limit)
        SELECT s.seen, s.last, hits.* FROM (SELECT count(*) AS seen, max(key) AS last FROM near) AS s
        LEFT JOIN hits ON true ORDER BY hits.key
    """)  # noqa: S608
