"""Cases: what is fed in and what is expected, kept apart from the recorded answers.

`cases/<source>.yaml` may say `now`, `params`, `cursor` (where the read starts) and `expect`;
`cases/<sink>.yaml` must say `changes`; `cases/webhook.yaml` holds `calls`, genuine ones with the signature
they came with.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from connectors.contract import Batch, Change, Verdict
from connectors.testing.yaml_text import BadFile, load_yaml

__all__ = ["NOW", "SinkCase", "SourceCase", "WebhookCall", "WebhookCase", "load_case"]

NOW = datetime(2026, 1, 15, 0, 0, tzinfo=UTC)
"""What `call.now()` says where a case does not: 09:00 in Japan."""

CaseT = TypeVar("CaseT", bound="_Case")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Case(_Strict):
    now: AwareDatetime = NOW
    params: dict[str, Any] = Field(default_factory=dict)


class SourceExpected(_Strict):
    """keys: external ids in order; records: the records themselves; faults: codes of unreadable rows."""

    keys: list[str | int] | None = None
    records: list[dict[str, Any]] | None = None
    faults: list[str] | None = None
    deleted: list[str] | None = None
    cursor: dict[str, Any] | None = None


class SourceCase(_Case):
    cursor: dict[str, Any] | None = None
    expect: SourceExpected = SourceExpected()


class SinkChange(_Strict):
    key: str
    record: dict[str, Any]
    version: int = 1
    previous: dict[str, Any] | None = None
    external_id: str | None = None
    deleted: bool = False

    def change(self) -> Change:
        return Change(**self.model_dump())


class SinkExpected(_Strict):
    """outcomes: key -> done, refused or retry; external_ids: key -> the id the other side gave."""

    outcomes: dict[str, Verdict] = Field(default_factory=dict)
    external_ids: dict[str, str] = Field(default_factory=dict)


class SinkCase(_Case):
    changes: list[SinkChange] = Field(min_length=1)
    business_date: date | None = None
    expect: SinkExpected = SinkExpected()

    def batches(self, size: int, *, attempt: int = 1) -> list[Batch]:
        """The changes in batches of at most `size`, as the hub would store them."""
        changes = [change.change() for change in self.changes]
        return [
            Batch(
                changes[start : start + size],
                idempotency_key=f"contract-{start // size + 1}",
                attempt=attempt,
                business_date=self.business_date,
            )
            for start in range(0, len(changes), size)
        ]


class WebhookCall(_Strict):
    """A genuine call. `expect`: one object per event; each named member of it must be equal."""

    headers: dict[str, str]
    body: str
    expect: list[dict[str, Any]] = Field(min_length=1)

    def lower_headers(self) -> Mapping[str, str]:
        """The headers as a gateway hands them over: names in lower case."""
        return {name.lower(): value for name, value in self.headers.items()}


class WebhookCase(_Case):
    calls: list[WebhookCall] = Field(min_length=1)


def load_case(model: type[CaseT], path: Path) -> CaseT | None:
    """The case of a file; None when there is no file. Raises `BadFile` naming file and field."""
    if not path.exists():
        return None
    try:
        return model.model_validate(load_yaml(path) or {})
    except ValidationError as error:
        raise BadFile(f"{path}: {error}") from error
