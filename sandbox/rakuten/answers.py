"""The vendor's forms of saying no, one per API family."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.responses import JSONResponse, Response

__all__ = ["Asked", "gateway_error", "message", "property_error", "property_errors", "unauthorised"]


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that got past the gateway: its query, its path parameters, its JSON (None if it is none)."""

    query: Mapping[str, str]
    path: Mapping[str, str]
    body: Any = None


def message(code: str, text: str, **more: Any) -> dict[str, Any]:
    """One MessageModel of the order API; its type stands in the code (`…_INFO_101`, `…_ERROR_011`)."""
    kind = next(kind for kind in ("INFO", "WARNING", "ERROR") if f"_{kind}_" in code)
    return {"messageType": kind, "messageCode": code, "message": text, **more}


def gateway_error(code: str, text: str, status: int) -> Response:
    """The gateway before any API: function not switched on (ES04-01), wrong media type (ES04-03)."""
    return JSONResponse({"Results": {"errorCode": code, "message": text}}, status)


def unauthorised() -> Response:
    """A wrong or expired key."""
    return JSONResponse({"errors": [{"code": "GA0001", "message": "Un-Authorised"}]}, 401)


def property_error(code: str, text: str, path: str | None = None) -> dict[str, Any]:
    """One error of the item and inventory API."""
    error: dict[str, Any] = {"code": code, "message": text}
    if path is not None:
        error["metadata"] = {"propertyPath": path}
    return error


def property_errors(errors: list[dict[str, Any]], status: int = 400) -> Response:
    return JSONResponse({"errors": errors}, status)
