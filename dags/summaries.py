"""What a run came to, in one sentence an operator reads in the task's log."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hub.reports import PullReport, PushReport
from hub.words import Words

if TYPE_CHECKING:
    from hub.reconcile import Result

__all__ = ["housekeeping_summary", "pull_summary", "push_summary", "reconcile_summary"]


def pull_summary(report: PullReport) -> Words:
    """Counts of a pull; what was refused is said last, with where to look."""
    ja = (
        f"{report.pages} ページ・{report.records} 件を受け取りました: 新規 {report.created}、更新 {report.updated}、"
        f"変更なし {report.unchanged}、対象外 {report.skipped}、隔離 {report.quarantined}({report.seconds:.1f} 秒)"
    )
    en = (
        f"Received {report.records} records in {report.pages} pages: {report.created} new, {report.updated} changed, "
        f"{report.unchanged} unchanged, {report.skipped} not meant for the hub, {report.quarantined} quarantined "
        f"({report.seconds:.1f} s)"
    )
    if report.recovered:
        ja += f"。中断した実行の {report.recovered} ページも処理しました"
        en += f"; {report.recovered} pages of an interrupted run were finished"
    return _quarantined(Words(ja, en), report.quarantined)


def push_summary(report: PushReport) -> Words:
    """Counts of a push; what was refused is said last, with where to look."""
    ja = (
        f"{report.read} 件の変更を確認し、{report.sent} 件を送信しました: 受理 {report.done}、再送待ち {report.retry}、"
        f"拒否 {report.refused}、送信済みと同じ {report.unchanged}、送信元 {report.echoes}、対象外 {report.not_for_us}"
        f"({report.seconds:.1f} 秒)"
    )
    en = (
        f"Looked at {report.read} changes and sent {report.sent}: {report.done} accepted, {report.retry} to be sent "
        f"again, {report.refused} refused; {report.unchanged} as sent before, {report.echoes} from that system, "
        f"{report.not_for_us} not meant for it ({report.seconds:.1f} s)"
    )
    if report.resumed:
        ja += f"。中断した送信 {report.resumed} 件も完了しました"
        en += f"; {report.resumed} interrupted deliveries were finished"
    return _quarantined(Words(ja, en), report.quarantined + report.refused)


def housekeeping_summary(report: Mapping[str, Any]) -> Words:
    """What was deleted because its time was over."""
    parts = ", ".join(f"{name} {count}" for name, count in report.items()) or "0"
    return Words(
        f"保存期間を過ぎたものを削除しました: {parts}", f"Deleted what was kept long enough: {parts}"
    )


def reconcile_summary(result: Result) -> Words:
    """Counts of a comparison, and where its report lies."""
    counts = result.counts
    ja = (
        f"一致 {counts['equal']}、ハブだけ {counts['only_hub']}、相手だけ {counts['only_system']}、"
        f"内容が違う {counts['differ']}、比べられない {counts['unreadable']}、反映待ち {counts['in_flight']}"
        f"({result.seconds:.1f} 秒)。報告書: {result.folder}"
    )
    en = (
        f"{counts['equal']} equal, {counts['only_hub']} only in the hub, {counts['only_system']} only at the system, "
        f"{counts['differ']} differ, {counts['unreadable']} not comparable, {counts['in_flight']} in flight "
        f"({result.seconds:.1f} s). Report: {result.folder}"
    )
    return Words(ja, en)


def _quarantined(words: Words, refused: int) -> Words:
    if not refused:
        return words
    return Words(
        f"{words.ja}。隔離した {refused} 件の理由は、左のメニュー「つなぎ」の「隔離」で確認してください",
        f"{words.en}. Why {refused} were refused: see Quarantine in the Tsunagi page on the left",
    )
