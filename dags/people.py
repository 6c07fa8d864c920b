"""The DAG of customer matching: it looks when customers changed, and once a night whatever woke it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow.sdk import DAG, Asset, AssetAny, AssetOrTimeSchedule, CronTriggerTimetable

from dags.operators import HubOperator
from hub.home import Settings
from hub.words import Language, Words

if TYPE_CHECKING:
    from datetime import datetime

    from airflow.sdk import Context

    from hub.engine import Hub
    from hub.people.turn import Matched

__all__ = ["PEOPLE", "MatchPeopleOperator", "matched_summary", "people_dag"]

PEOPLE = "tsunagi__people"
_TITLE = Words("つなぎ:顧客の名寄せ", "Tsunagi: match customers")
_DOC = Words(
    "変わった顧客を規則に従って照合します。確実なものだけを自動でつなぎ、残りは `tsunagi people queue` で人が判断します"
    "(docs/ja/people.md)。",
    "Compares customers that changed, by rules. Only what is certain is linked; the rest waits for a person in "
    "`tsunagi people queue` (docs/people.md).",
)


class MatchPeopleOperator(HubOperator):
    """One turn of matching. Pushes of customers wake only when customers were linked."""

    ui_color = "#fef3c7"

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.system = "tsunagi"
        self.title = _TITLE

    def run_with(self, hub: Hub, context: Context) -> dict[str, Any]:
        from hub.people.rules import load_rules
        from hub.people.turn import match_people

        found = match_people(hub.engine, hub.systems, load_rules(Settings.from_env().home.root))
        if found.changed:
            for outlet in self.outlets:
                context["outlet_events"][outlet].extra = {"changed": found.changed, "from": "hub"}
        else:
            self.outlets = []
        self.log.info("%s", matched_summary(found).say())
        return found.as_dict()


def matched_summary(found: Matched) -> Words:
    """What a turn came to, in one sentence; what waits for a person is said last."""
    words = Words(
        f"{found.compared} 件の顧客を照合しました: 自動でつないだもの {found.linked}、世帯 {found.noted}、"
        f"取り下げ {found.withdrawn}({found.seconds:.1f} 秒)",
        f"Compared {found.compared} customers: {found.linked} pairs linked by rules, {found.noted} households, "
        f"{found.withdrawn} withdrawn ({found.seconds:.1f} s)",
    )
    waiting = found.opened + found.doubted
    if waiting:
        words = Words(
            f"{words.ja}。新しい判断待ち {waiting} 件は tsunagi people queue で確認してください",
            f"{words.en}. {waiting} more wait for a person: see tsunagi people queue",
        )
    return words


def people_dag(lang: Language, customer: Asset, task: Mapping[str, Any], start: datetime) -> DAG:
    """The DAG; `customer` is the asset of customers, `task` the default arguments of tasks."""
    nightly = CronTriggerTimetable("20 4 * * *", timezone="Asia/Tokyo")
    with DAG(
        PEOPLE,
        dag_display_name=_TITLE.say(lang),
        doc_md=_DOC.say(lang),
        schedule=AssetOrTimeSchedule(timetable=nightly, assets=AssetAny(customer)),
        start_date=start,
        catchup=False,
        max_active_runs=1,
        tags=["tsunagi", "customer"],
        default_args={**task, "owner": "tsunagi"},
        auto_register=False,
    ) as dag:
        MatchPeopleOperator(task_id="match", outlets=[customer])
    return dag
