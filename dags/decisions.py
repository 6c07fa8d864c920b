"""What Airflow does after a failure: the three connector errors, and the hub's own, become its decisions."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import RetryDecision, RetryPolicy

from connectors.contract import Misconfigured, Refused, Retry
from hub.words import HubError, Words
from mappings import MappingError

if TYPE_CHECKING:
    from airflow.sdk import Context

__all__ = ["FlowRetryPolicy", "advice", "failure"]

LONGEST_WAIT = timedelta(hours=6)
"""More than this is not waited for in one task: the next scheduled run asks again."""

_AGAIN = Words(
    "相手システムが今は応答できません。自動でやり直すので、操作は不要です。",
    "The other system cannot answer now. It is tried again by itself; nothing to do.",
)
_REFUSED = Words(
    "相手システムに拒否されました。同じ内容をもう一度送っても通りません。"
    "上の理由を確認し、データかコード表を直してから、このタスクをクリアしてください。",
    "The other system said no, and would say no again. Read the reason above, mend the data or the code table, "
    "then clear this task.",
)
_MISCONFIGURED = Words(
    "この接続は設定を直すまで動きません。「管理 > 接続」の {system} と {system}.yaml を確認し、"
    "`tsunagi check {system}` が通ってから、このタスクをクリアしてください。",
    "This account cannot work until its settings are mended. Look at the connection {system} (Admin > "
    "Connections) and at {system}.yaml; once `tsunagi check {system}` passes, clear this task.",
)
_SETTINGS = Words(
    "ハブの設定に誤りがあります。上の理由のとおり直してから、このタスクをクリアしてください。",
    "The hub's settings are wrong. Mend what the reason above names, then clear this task.",
)
_DIFFERENT = Words(
    "報告書で差異を確認し、`tsunagi reconcile fix` の計画どおりでよければ実行してください。"
    "そのあとこのタスクをクリアすると、もう一度照合します。",
    "Look at the differences in the report, and carry the plan of `tsunagi reconcile fix` out if it is right. Then "
    "clear this task: it compares again.",
)
_UNEXPECTED = Words(
    "想定外のエラーです。自動でやり直します。受け取ったデータは保存済みで、次の実行が続きから処理します。"
    "繰り返す場合は、下の記録を添えて開発担当に連絡してください。",
    "An unexpected error. It is tried again by itself. What was received is stored and the next run goes on "
    "from there. If it comes back, send the log below to whoever maintains the hub.",
)


class FlowRetryPolicy(RetryPolicy):
    """Retry waits as long as the other side asked; what a person must mend fails at once; the rest backs off."""

    def evaluate(
        self,
        exception: BaseException,
        try_number: int,  # noqa: ARG002  Airflow's signature
        max_tries: int,  # noqa: ARG002
        context: Context | None = None,  # noqa: ARG002
    ) -> RetryDecision:
        if isinstance(exception, Retry):
            if exception.after is not None and exception.after > LONGEST_WAIT:
                return RetryDecision.fail(str(exception))
            return RetryDecision.retry(exception.after, str(exception))
        if isinstance(exception, (Refused, Misconfigured, HubError, MappingError)):
            return RetryDecision.fail(str(exception))
        return RetryDecision.default()

    def serialize(self) -> dict[str, Any]:
        return {}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> FlowRetryPolicy:  # noqa: ARG003
        return cls()


def advice(error: BaseException, system: str) -> Words:
    """What the operator should do about this failure of a flow of `system`."""
    if isinstance(error, Retry):
        return _AGAIN
    if isinstance(error, Refused):
        return _REFUSED
    if isinstance(error, Misconfigured):
        return Words(_MISCONFIGURED.ja.format(system=system), _MISCONFIGURED.en.format(system=system))
    if type(error).__name__ == "TooDifferent":  # by its name: reading it would load the room of comparisons
        return _DIFFERENT
    if isinstance(error, (HubError, MappingError)):
        return _SETTINGS
    return _UNEXPECTED


def failure(error: BaseException, system: str, title: Words) -> Words:
    """One message for the log: which flow, why, and what to do."""
    reason = error.words if isinstance(error, HubError) else Words(str(error), str(error))
    name, todo = type(error).__name__, advice(error, system)
    return Words(
        f"{title.ja} は完了しませんでした。\n理由: {name}: {reason.ja}\n対処: {todo.ja}",
        f"{title.en} did not finish.\nWhy: {name}: {reason.en}\nWhat to do: {todo.en}",
    )
