"""`/openapi.json` and `/docs`: what the API is, for programs and for people. Neither needs a key."""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, FastAPI, Query, Request, Response
from fastapi.openapi.utils import get_openapi

from hub.api.describe import ABOUT, TAGS, components
from hub.api.page import POLICY, page
from hub.api.problems import language_of
from hub.words import Language

__all__ = ["Documents", "router"]


class Documents:
    """The OpenAPI document of an application, made when it is first asked for."""

    def __init__(self, app: FastAPI, version: str) -> None:
        self._app = app
        self._version = version
        self._pages: dict[Language, bytes] = {}

    @cached_property
    def openapi(self) -> dict[str, Any]:
        """OpenAPI 3.1: the routes, the canonical schemas, the problems."""
        found = get_openapi(
            title="つなぎ API / Tsunagi API", version=self._version, openapi_version="3.1.0", description=ABOUT,
            routes=self._app.routes, tags=TAGS, servers=[{"url": "/api/v1"}],
        )  # fmt: skip
        ours = components()
        theirs = found.get("components", {}).get("schemas", {})
        both = set(theirs) & set(
            ours["schemas"]
        )  # code lists that are searched by: the published ones have labels
        if clash := [name for name in both if theirs[name].get("enum") != ours["schemas"][name].get("enum")]:
            raise RuntimeError(f"two schemas have one name: {', '.join(sorted(clash))}")
        schemas = {**theirs, **ours["schemas"]}
        for unused in ("HTTPValidationError", "ValidationError"):
            schemas.pop(unused, None)
        found["components"] = {**ours, "schemas": dict(sorted(schemas.items()))}
        found["security"] = [{"key": []}]
        return found

    @cached_property
    def json(self) -> bytes:
        """The document as it is served."""
        return orjson.dumps(self.openapi)

    def page(self, lang: Language) -> bytes:
        """The page for people."""
        if lang not in self._pages:
            self._pages[lang] = page(self.openapi, lang).encode()
        return self._pages[lang]


def router(documents: Documents) -> APIRouter:
    """The two routes."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/openapi.json")
    def openapi() -> Response:
        return Response(
            documents.json, media_type="application/json", headers={"cache-control": "public, max-age=300"}
        )

    @routes.get("/docs")
    def docs(request: Request, lang: Annotated[Language | None, Query()] = None) -> Response:
        spoken = lang or language_of(request.headers.get("accept-language"))
        headers = {
            "content-security-policy": POLICY,
            "content-language": spoken,
            "vary": "Accept-Language",
            "referrer-policy": "no-referrer",
        }
        return Response(documents.page(spoken), media_type="text/html; charset=utf-8", headers=headers)

    return routes
