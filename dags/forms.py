"""The form an operator sees when starting a flow by hand."""

from __future__ import annotations

from typing import Any

from airflow.sdk import Param

from hub.words import Language, Words

__all__ = ["pull_form", "push_form"]


def _param(default: object, title: Words, help_text: Words, lang: Language, **schema: Any) -> Param:
    return Param(default, title=title.say(lang), description=help_text.say(lang), **schema)


def pull_form(lang: Language) -> dict[str, Param]:
    """Empty means: go on from where the last run stood."""
    return {
        "since": _param(
            None,
            Words("この日時から", "From"),
            Words("空欄なら前回の続きから。過去を取り直すときだけ入力します。",
                  "Empty: goes on from the last run. Fill in only to fetch the past again."),
            lang, type=["null", "string"], format="date-time",
        ),
        "until": _param(
            None,
            Words("この日時まで", "Until"),
            Words("空欄なら現在まで。", "Empty: up to now."),
            lang, type=["null", "string"], format="date-time",
        ),
    }  # fmt: skip


def push_form(lang: Language) -> dict[str, Param]:
    """Empty means: whatever changed since the last run."""
    return {
        "keys": _param(
            [],
            Words("このキーだけ", "These keys only"),
            Words("1 行に 1 つ。空欄なら前回からの変更すべて。",
                  "One a line. Empty: all that changed since the last run."),
            lang, type="array", items={"type": "string"},
        ),
        "all": _param(
            False,
            Words("全件を確認する", "Look at everything"),
            Words("すべてを比べ、前回受理された内容と違うものだけ送ります。",
                  "Compares everything and sends only what differs from what was accepted before."),
            lang, type=["boolean", "null"],
        ),
    }  # fmt: skip
