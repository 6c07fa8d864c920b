"""What the API says of itself: words, answers and schemas for its OpenAPI document."""

from __future__ import annotations

from typing import Any

from canonical_model import ENTITIES
from canonical_model.schema import schema_of
from hub.api.problems import MEDIA_TYPE, PROBLEMS
from hub.api.scopes import OPEN_KINDS, SCOPES

__all__ = ["TAGS", "answers", "components", "entity_answers", "entity_words"]

_REF = "#/components/schemas/"
ABOUT = """つなぎのハブAPI。正規化された全エンティティの検索と取得、変更フィード、取り置き。
The hub's API: search and read every canonical entity, follow the change feed, reserve stock.

- 鍵 / Key: `Authorization: Bearer tsk_...` (`tsunagi key create NAME --scope ...`)
- キーの書き方 / Keys in addresses: percent-encode everything but letters, digits and `-._~`
  (`encodeURIComponent`); `/` may stay as it is. `mall/A 1#2` is `/orders/mall/A%201%232`. A key that a proxy would
  change (`..`, `//`) is found by `?key=`.
- 誤り / Errors: `application/problem+json` (RFC 9457), 日本語 or English by `Accept-Language`
"""

TAGS = [
    {"name": "entities", "description": "エンティティ / Entities"},
    {"name": "changes", "description": "変更フィード / Change feed"},
    {"name": "reservations", "description": "取り置き / Reservations"},
    {"name": "stock", "description": "販売可能数 / What a channel may sell"},
    {"name": "subscribers", "description": "送信Webhook / Outgoing webhooks"},
    {"name": "hub", "description": "ハブと鍵 / The hub and the key"},
]


def ref(name: str) -> dict[str, str]:
    """A reference to a schema."""
    return {"$ref": f"{_REF}{name}"}


# ---------------------------------------------------------------- answers

_ALWAYS = ("no_key", "not_allowed", "bad_request", "too_many_failures", "invalid", "breakdown", "busy")


def answers(
    schema: str, *codes: str, headers: dict[str, Any] | None = None
) -> dict[int | str, dict[str, Any]]:
    """The answers of a route: 200 with the schema, these problems, and those every route may give."""
    ok: dict[str, Any] = {"description": "OK", "content": {"application/json": {"schema": ref(schema)}}}
    if headers:
        ok["headers"] = headers
    found: dict[int | str, dict[str, Any]] = {200: ok}
    for status in sorted({PROBLEMS[code].status for code in (*_ALWAYS, *codes)}):
        kinds = [
            kind for code, kind in PROBLEMS.items() if kind.status == status and code in (*_ALWAYS, *codes)
        ]
        found[status] = {
            "description": "; ".join(f"{kind.title.ja} / {kind.title.en}" for kind in kinds),
            "content": {MEDIA_TYPE: {"schema": ref("Problem")}},
        }
    return found


def entity_answers(schema: str, *, one: bool = False) -> dict[int | str, dict[str, Any]]:
    """The answers of a search, or of the reading of one entity."""
    if not one:
        return answers(schema, "bad_cursor")
    tag = {"ETag": {"description": "版 / version, for If-None-Match", "schema": {"type": "string"}}}
    found = answers(schema, "not_found", "deleted", headers=tag)
    found[304] = {"description": "変更なし / Not modified"}
    return found


def entity_words(kind: str) -> dict[str, str]:
    """Summaries and descriptions of the routes of a kind."""
    ja, en = ENTITIES[kind].titles
    guarded = (
        ""
        if kind in OPEN_KINDS
        else "\n\n個人情報・会計を含む種類: `read:*` では読めない / guarded: not part of `read:*`."
    )
    return {
        "search": f"{ja}を検索 / Search: {en.lower()}",
        "search_more": (
            "キー順。`next` がなくなるまで `cursor` に渡して続ける。索引のない条件だけの検索では、`next` がある限り"
            "件数が少ない(0件の)答えもありうる / In the order of keys. Go on with `cursor` until there is no `next`; a "
            f"search by fields without an index may answer with few items, or none, and still have a `next`.{guarded}"
        ),
        "one": f"{ja}を取得 / Read one: {en.lower()}",
        "one_more": f"ETag を If-None-Match で渡すと、同じなら 304 / 304 if the ETag is still right.{guarded}",
    }


# ---------------------------------------------------------------- schemas

_TIME = {"type": "string", "format": "date-time"}
_MAYBE_TIME = {"type": ["string", "null"], "format": "date-time"}
_CURSOR = {
    "type": ["string", "null"],
    "description": "続き。null なら終わり / where it goes on; null at the end",
}


def _object(properties: dict[str, Any], *optional: str, title: str = "") -> dict[str, Any]:
    schema = {
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if name not in optional],
        "additionalProperties": False,
    }
    return {"description": title, **schema} if title else schema


def _moved(schema: Any) -> Any:
    """The schema, its parts found among the components of the document."""
    if isinstance(schema, dict):
        return {
            name: value.replace("#/$defs/", _REF)
            if name == "$ref" and isinstance(value, str)
            else _moved(value)
            for name, value in schema.items()
            if name not in ("$schema", "$id", "$defs")
        }
    return [_moved(one) for one in schema] if isinstance(schema, list) else schema


def _entities() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for kind, model in ENTITIES.items():
        schema, name = schema_of(model), model.__name__
        found |= {part: _moved(content) for part, content in schema.get("$defs", {}).items()}
        found[name] = _moved(schema)
        found[f"{name}Entity"] = _object(
            {
                "kind": {"const": kind},
                "key": {"type": "string"},
                "version": {"type": "integer", "minimum": 1},
                "updated_at": _TIME,
                "deleted_at": _MAYBE_TIME,
                "content": {"anyOf": [ref(name), {"type": "null"}]},
            },
            title=f"{model.titles[0]}とその版。削除されたら content は null / "
            "with its version; content is null once deleted",
        )
        found[f"{name}Page"] = _object(
            {"items": {"type": "array", "items": ref(f"{name}Entity")}, "next": _CURSOR}
        )
    mapping = {kind: f"{_REF}{model.__name__}Entity" for kind, model in ENTITIES.items()}
    found["AnyEntity"] = {
        "oneOf": [{"$ref": one} for one in mapping.values()],
        "discriminator": {"propertyName": "kind", "mapping": mapping},
    }
    return found


def _own() -> dict[str, Any]:
    text, number = {"type": "string"}, {"type": "integer"}
    maybe = {"type": ["string", "null"]}
    reservation = {
        "key": text, "sku": text, "quantity": {"type": "integer", "minimum": 1}, "channel": text, "location": maybe,
        "state": {"enum": ["open", "confirmed", "ordered", "released", "expired"]}, "expires_at": _MAYBE_TIME,
        "order_key": maybe,
    }  # fmt: skip
    return {
        "Problem": {
            "type": "object", "description": "RFC 9457", "additionalProperties": True,
            "properties": {
                "type": {"type": "string", "format": "uri-reference"}, "title": text, "status": number, "detail": text,
                "instance": {"type": "string", "format": "uri"}, "code": {"enum": sorted(PROBLEMS)},
                "errors": {
                    "type": "array", "items": _object({"in": text, "field": text, "code": text, "message": text}),
                },
                "available": {"type": "integer", "minimum": 0}, "reservation": ref("HeldUnits"),
                "scopes": {"type": "array", "items": text},
            },
            "required": ["type", "title", "status", "detail", "instance", "code"],
        },
        "Change": _object(
            {
                "kind": {"enum": sorted(ENTITIES)}, "key": text, "version": {"type": "integer", "minimum": 1},
                "deleted": {"type": "boolean"}, "system": text, "at": _TIME, "entity": ref("AnyEntity"),
            },
            "entity",
            title="エンティティの1つの版。entity は今の内容 / a version of an entity; `entity` is what it is now",
        ),
        "Changes": _object(
            {"changes": {"type": "array", "items": ref("Change")}, "cursor": text, "more": {"type": "boolean"}},
            title="cursor を次の after に渡す。more なら続きがすぐある / "
            "pass `cursor` as the next `after`; `more`: there is "
            "more right now",
        ),
        "HeldUnits": _object(
            reservation, title="取り置き。ordered は受注に引き継がれた / a reservation; ordered: its order counts now"
        ),
        "StockOfSku": _object(
            {"sku": text, "pending": {"type": "boolean"},
             "channels": {"type": "array", "items": ref("SellableEntity")}},
            title="チャネルごとの販売可能数と内訳。pending なら新しい計算を待っている / "
            "what channels may sell, term by term; "
            "pending: about to be worked out again",
        ),
        "KeyInfo": _object(
            {"id": text, "name": text, "scopes": {"type": "array", "items": text}, "expires_at": _MAYBE_TIME,
             "kinds": {"type": "array", "items": text}}
        ),
        "Status": _object(
            {
                name: {"type": "array", "items": {"type": "object", "additionalProperties": True}}
                for name in ("flows", "jobs", "budgets")
            }
        ),
    }  # fmt: skip


def components() -> dict[str, Any]:
    """The components of the document: the canonical schemas as they are published, and the API's own."""
    words = "\n".join(f"- `{scope}`: {said.ja} / {said.en}" for scope, said in SCOPES.items())
    entities, own = _entities(), _own()
    if both := entities.keys() & own.keys():
        raise RuntimeError(f"two schemas have one name: {', '.join(sorted(both))}")
    return {
        "schemas": dict(sorted((entities | own).items())),
        "securitySchemes": {
            "key": {
                "type": "http",
                "scheme": "bearer",
                "bearerFormat": "tsk_<id>_<secret>",
                "description": words,
            }
        },
    }
