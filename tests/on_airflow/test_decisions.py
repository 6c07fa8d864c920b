"""What Airflow decides after each kind of failure, and what the operator reads."""

from __future__ import annotations

from datetime import timedelta

import pytest
from airflow.sdk import RetryAction

from connectors.contract import Misconfigured, Refused, Retry
from dags.decisions import FlowRetryPolicy, failure
from hub.words import HubError, Words
from mappings import MappingError

POLICY = FlowRetryPolicy()
TITLE = Words("楽天市場:受注の取込", "Rakuten: orders in")


def decide(error: BaseException):
    return POLICY.evaluate(error, try_number=1, max_tries=5)


def test_the_wait_the_other_side_asked_for_is_kept() -> None:
    decision = decide(Retry("busy", after=timedelta(seconds=90)))
    assert decision.action is RetryAction.RETRY
    assert decision.retry_delay == timedelta(seconds=90)
    assert decision.reason == "busy"


def test_without_such_a_wait_airflow_backs_off_by_itself() -> None:
    decision = decide(Retry("busy"))
    assert decision.action is RetryAction.RETRY
    assert decision.retry_delay is None


def test_a_wait_of_many_hours_is_left_to_the_next_scheduled_run() -> None:
    assert decide(Retry("closed until Monday", after=timedelta(hours=7))).action is RetryAction.FAIL
    assert decide(Retry("maintenance", after=timedelta(hours=6))).action is RetryAction.RETRY


@pytest.mark.parametrize(
    "error",
    [Refused("no such shop"), Misconfigured("key expired"), HubError("設定", "settings"), MappingError([])],
)
def test_what_a_person_must_mend_is_not_tried_again(error: Exception) -> None:
    decision = decide(error)
    assert decision.action is RetryAction.FAIL
    assert decision.reason == str(error)


@pytest.mark.parametrize("error", [RuntimeError("bug"), TimeoutError(), ConnectionError("database away")])
def test_anything_unexpected_gets_airflows_own_retries(error: Exception) -> None:
    assert decide(error).action is RetryAction.DEFAULT


@pytest.mark.parametrize(
    ("error", "ja", "en"),
    [
        (Retry("busy"), "操作は不要", "nothing to do"),
        (Refused("unknown SKU"), "コード表", "code table"),
        (Misconfigured("key expired"), "tsunagi check rakuten-main", "tsunagi check rakuten-main"),
        (HubError("値が違います", "wrong value"), "設定に誤り", "settings are wrong"),
        (RuntimeError("bug"), "保存済み", "is stored"),
    ],
)
def test_the_message_names_flow_reason_and_what_to_do(error: Exception, ja: str, en: str) -> None:
    words = failure(error, "rakuten-main", TITLE)
    assert words.ja.startswith("楽天市場:受注の取込")
    assert words.en.startswith("Rakuten: orders in")
    assert ja in words.ja
    assert en in words.en
    assert (error.en if isinstance(error, HubError) else str(error)) in words.en
