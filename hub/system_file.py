"""The shape of a system file: pydantic models, which are also its JSON Schema. See `hub/systems.py`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import time
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    PrivateAttr,
    Tag,
    model_validator,
)

from connectors.contract import Title
from hub.calendar import BusinessTimes, Calendar
from hub.durations import Duration
from hub.stock.policy import Allocation
from hub.system_faults import SystemFault, refuse
from hub.words import HubError, Words
from mappings.marks import Marks
from mappings.problems import suggestion

__all__ = ["Alerts", "BusinessDays", "Flow", "Reconcile", "System", "UnknownName", "system_schema"]

SYSTEM_ID = r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$"
_FLOW_NAME = r"^[a-z][a-z0-9]*(_[a-z0-9]+)*$"
_TIME = r"^([01]\d|2[0-3]):[0-5]\d$"


class UnknownName(HubError):
    """There is no such system or flow; the message has the nearest names."""


def _title(value: Any) -> Any:
    return {"ja": value, "en": value} if isinstance(value, str) else value


def _cron(value: str) -> str:
    from croniter import croniter

    if len(value.split()) != 5 or not croniter.is_valid(value):
        raise refuse(
            f'cron式「{value}」が読めません。「分 時 日 月 曜日」の5つで書いてください。例: "*/5 * * * *"',
            f'{value!r} is no cron expression. Write minute, hour, day, month, weekday, such as "*/5 * * * *".',
        )
    return value


_TitleText = Annotated[Title, BeforeValidator(_title, json_schema_input_type=str | Title)]
_Cron = Annotated[str, AfterValidator(_cron)]
_Strict = ConfigDict(frozen=True, extra="forbid")


class BusinessDays(BaseModel):
    """営業日のスケジュール / a schedule on business days, in Japan time."""

    model_config = _Strict

    business_days: Literal["every"] | list[Annotated[int, Field(ge=-23, le=23)]] = Field(
        description="every: 毎営業日。[1, -1]: 月初と月末の営業日 / every one, or the n-th of the month"
    )
    at: list[Annotated[str, Field(pattern=_TIME)]] = Field(
        min_length=1, description='時刻(日本時間) / times in Japan, such as ["09:00", "15:00"]'
    )
    calendar: str = Field("jp", description="jp, jp-bank, calendars/*.yaml")

    def times(self, known: Mapping[str, Calendar]) -> BusinessTimes:
        """What `hub.calendar.next_run` takes."""
        which = self.business_days if self.business_days == "every" else tuple(self.business_days)
        return BusinessTimes(known[self.calendar], tuple(time.fromisoformat(at) for at in self.at), which)

    def __str__(self) -> str:
        days = (
            self.business_days if self.business_days == "every" else ", ".join(map(str, self.business_days))
        )
        return Words(f"営業日({self.calendar}, {days}) {' '.join(self.at)}",
                     f"business days ({self.calendar}, {days}) {' '.join(self.at)}").say()  # fmt: skip


_Schedule = Annotated[
    Annotated[_Cron, Tag("<cron>")] | Annotated[BusinessDays, Tag("<business days>")],
    Discriminator(lambda value: "<cron>" if isinstance(value, str) else "<business days>"),
]


class Flow(BaseModel):
    """連携フロー / one source into the hub (pull), or one kind of entity out of it to a sink (push)."""

    model_config = _Strict

    pull: str | None = Field(None, description="コネクタのソース名 / name of the connector's source")
    push: str | None = Field(None, description="コネクタのシンク名 / name of the connector's sink")
    mapping: str | None = Field(None, description="マッピング名 / such as rakuten_rms/orders.in")
    mappings: list[str] = Field(
        default=[], description="受信のみ: 複数のマッピング / of a pull: several mappings of each record"
    )
    schedule: _Schedule | None = Field(
        None, description="cron (日本時間 / Japan time) または / or business_days"
    )
    params: dict[str, Any] = Field(default={}, description="コネクタに渡す値 / handed to the source or sink")
    title: _TitleText | None = Field(None, description="画面に出す名前 / name for people")
    owner: str | None = Field(None, description="担当 / who looks after it; default: the system's owner")
    retries: int | None = Field(
        None, ge=0, le=50, description="再試行の回数 / how often a failed run is tried again"
    )
    timeout: Duration | None = Field(None, description="1回の実行の上限 / longest run, such as 2h")
    tags: list[str] = Field(default=[], description="Airflowのタグ / Airflow tags")

    @property
    def mapping_names(self) -> tuple[str, ...]:
        """The mappings, however they were written."""
        return (self.mapping,) if self.mapping else tuple(self.mappings)

    @model_validator(mode="after")
    def _fits(self) -> Flow:
        if (self.pull is None) == (self.push is None):
            raise refuse(
                "pull(取込)か push(送信)のどちらか一方を書いてください。",
                "Write either pull (into the hub) or push (out of it).",
            )
        if bool(self.mapping) == bool(self.mappings):
            raise refuse(
                "mapping(1つ)か mappings(複数)のどちらか一方を書いてください。",
                "Write either mapping (one) or mappings (several).",
            )
        if self.push and len(self.mapping_names) > 1:
            raise refuse(
                "push のマッピングは1つです。複数送るときはフローを分けてください。",
                "A push has one mapping. Make a flow of its own for each.",
            )
        return self


class Alerts(BaseModel):
    """しきい値 / when an operator is told."""

    model_config = _Strict

    late_after: Duration | None = Field(
        None,
        description="最後の成功からこの時間で「遅れ」/ late this long after the last success, such as 30m",
    )


class ReconcileKind(BaseModel):
    """照合する種類1つ / how one kind is compared."""

    model_config = _Strict

    days: int = Field(30, ge=1, le=730, description="何日前までか(受注・入金・出荷など)/ how many days back")
    limit: int = Field(
        0,
        ge=0,
        description="差異がこの件数を超えたら失敗にする / the night's run fails above so many differences",
    )


class Reconcile(BaseModel):
    """夜間の照合 / what is compared with the system's full listing each night."""

    model_config = _Strict

    at: str = Field("03:30", pattern=_TIME, description="時刻(日本時間) / when, in Japan time")
    entities: dict[str, ReconcileKind] = Field(
        min_length=1, description="種類 → 設定。例 {order: {}, sellable: {limit: 20}} / kinds, such as order"
    )


class System(BaseModel):
    """外部システムのアカウント1つ / one account of an outside system."""

    model_config = _Strict

    system: str = Field(
        pattern=SYSTEM_ID, max_length=40,
        description="ファイル名と同じ名前 / same as the file's name; also names the connection and the DAGs",
    )  # fmt: skip
    connector: str = Field(description="コネクタ名 / kind of system, such as rakuten_rms")
    title: _TitleText = Field(description="画面に出す名前 / name for people: {ja: ..., en: ...}")
    settings: dict[str, Any] = Field(
        default={}, description="コネクタの設定(秘密情報は書かない)/ the connector's settings, never a secret"
    )
    constants: dict[str, str | int | float | bool] = Field(
        default={}, description="マッピングの $system.名前 / $system.<name> in mappings"
    )
    owner: str | None = Field(None, description="担当 / who looks after it")
    flows: dict[Annotated[str, Field(pattern=_FLOW_NAME, max_length=40)], Flow] = Field(
        default={}, description="フロー / flows by name"
    )
    authority: dict[str, str | Annotated[list[str], Field(min_length=1, max_length=1)] | dict[str, str]] = (
        Field(
            default={},
            description="種類 → 正とするシステム、または {項目: システム} / entity kind -> the system that owns it, "
            'or {field: system}; "*" is every other field',
        )
    )
    allocation: Allocation | None = Field(
        None,
        description="在庫の配分と計上 / how its channel shares the stock, and when its counts hold an order",
    )
    alerts: Alerts = Alerts()
    reconcile: Reconcile | None = Field(
        None, description="夜間の照合 / compared each night: {entities: {order: {}}}"
    )

    _path: Path = PrivateAttr(Path())
    _marks: Marks = PrivateAttr(default_factory=Marks)

    @property
    def path(self) -> Path:
        """The file it was read from."""
        return self._path

    @property
    def marks(self) -> Marks:
        """Where in the file everything stands."""
        return self._marks

    def flow(self, name: str) -> Flow:
        """Raises UnknownName with the nearest names."""
        if name in self.flows:
            return self.flows[name]
        ja, en = suggestion(name, self.flows)
        raise UnknownName(
            f"{self.system} に「{name}」というフローはありません。{ja}",
            f"{self.system} has no flow {name!r}.{en}",
        )

    def owners(self) -> Iterable[tuple[str, str, str]]:
        """(kind, field or "*", system) of every statement of authority in this file."""
        for kind, said in self.authority.items():
            fields = said if isinstance(said, dict) else {"*": said if isinstance(said, str) else said[0]}
            for name, owner in fields.items():
                yield kind, name, owner

    def fault(self, at: tuple[str | int, ...], ja: str, en: str) -> SystemFault:
        """A fault at a place of this system's file."""
        return SystemFault(
            self.system, self.path, self._marks.line(at), ".".join(map(str, at)), Words(ja, en)
        )


def system_schema() -> dict[str, Any]:
    """The JSON Schema of a system file, for editors: `systems/schema/system.schema.json`."""
    schema = System.model_json_schema(mode="validation")
    schema["properties"]["flows"]["additionalProperties"] = False  # else only well-named flows were looked at
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": "system.schema.json", **schema}
