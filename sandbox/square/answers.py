"""Square's form of saying no: `{"errors": [{category, code, detail, field}]}`, and how a handler says it."""

from __future__ import annotations

from typing import Any

from starlette.responses import JSONResponse

__all__ = ["Refusal", "error", "no"]


class Refusal(Exception):
    """A request Square would not carry out: HTTP status and errors."""

    def __init__(self, status: int, errors: list[dict[str, Any]]) -> None:
        super().__init__(f"{status}: {errors}")
        self.status = status
        self.errors = errors

    def answer(self) -> JSONResponse:
        return JSONResponse({"errors": self.errors}, self.status)


def error(
    code: str, detail: str, field: str | None = None, *, category: str = "INVALID_REQUEST_ERROR"
) -> dict[str, Any]:
    """One error."""
    told = {"category": category, "code": code, "detail": detail}
    return told if field is None else told | {"field": field}


def no(
    code: str,
    detail: str,
    field: str | None = None,
    *,
    status: int = 400,
    category: str = "INVALID_REQUEST_ERROR",
) -> Refusal:
    """A refusal with one error."""
    return Refusal(status, [error(code, detail, field, category=category)])
