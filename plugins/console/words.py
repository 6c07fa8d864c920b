"""Every sentence of the console, in both languages."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from hub.words import Words

__all__ = ["WORDS"]

WORDS: Mapping[str, Words] = MappingProxyType({
    "flows": Words("連携の状況", "Flows"),
    "quarantine": Words("隔離", "Quarantine"),
    "other_language": Words("English", "日本語"),
    "system": Words("システム", "System"),
    "flow": Words("連携", "Flow"),
    "direction": Words("向き", "Direction"),
    "pull": Words("取込", "in"),
    "push": Words("送信", "out"),
    "in": Words("取込", "in"),
    "out": Words("送信", "out"),
    "state": Words("状態", "State"),
    "last_run": Words("最終実行", "Last run"),
    "last_ok": Words("最終成功", "Last success"),
    "counts": Words("前回の結果", "Last result"),
    "waiting": Words("送信待ち", "To be sent"),
    "never": Words("未実行", "never"),
    "ok": Words("正常", "ok"),
    "running": Words("実行中", "running"),
    "retry": Words("再試行待ち", "will be tried again"),
    "refused": Words("拒否", "refused"),
    "misconfigured": Words("設定エラー", "settings wrong"),
    "crashed": Words("異常終了", "crashed"),
    "late": Words("遅延", "late"),
    "no_flows": Words("連携がありません。systems フォルダに YAML ファイルを追加してください。",
                      "There are no flows yet. Add a YAML file to the systems folder."),
    "faults": Words("読み込めない設定ファイルがあります。該当システムの連携は止まっています。",
                    "Some system files cannot be read. The flows of these systems stand still."),
    "nothing_refused": Words("隔離されているデータはありません。", "Nothing is quarantined."),
    "when": Words("日時", "When"),
    "where": Words("場所", "Where"),
    "line": Words("行", "line"),
    "subject": Words("対象", "Subject"),
    "reason": Words("理由", "Why"),
    "column": Words("項目", "Column"),
    "value": Words("値", "Value"),
    "replay_chosen": Words("選択した行を再実行", "Try the chosen rows again"),
    "replay_hint": Words("データ、コード表、マッピングを直してから再実行してください。通った行は一覧から消えます。",
                         "Mend the data, code table or mapping first, then try again. Rows that pass leave the list."),
    "choose_all": Words("すべて選択", "Choose all"),
    "not_yours": Words("再実行の権限がありません", "You may not try again"),
    "all_flows": Words("すべての連携", "All flows"),
    "shown_first": Words("先頭の {count} 件を表示しています。再実行すると続きが表示されます。",
                         "The first {count} are shown; the rest follow once these are done."),
    "replayed": Words("{tried} 件を再実行しました: 成功 {through}、まだ隔離中 {still_refused}、元データなし {missing}",
                      "{tried} tried again: {through} went through, {still_refused} are still refused, "
                      "{missing} are no longer kept"),
    "nothing_chosen": Words("行が選択されていません。", "No row was chosen."),
    "replay_failed": Words("再実行できませんでした: {reason}", "Could not try again: {reason}"),
    "open_hub_failed": Words("ハブに接続できません: {reason}", "The hub cannot be opened: {reason}"),
    "count_records": Words("受信", "received"),
    "count_created": Words("新規", "new"),
    "count_updated": Words("更新", "changed"),
    "count_unchanged": Words("変更なし", "unchanged"),
    "count_skipped": Words("対象外", "not meant for the hub"),
    "count_quarantined": Words("隔離", "quarantined"),
    "count_read": Words("確認", "looked at"),
    "count_sent": Words("送信", "sent"),
    "count_done": Words("受理", "accepted"),
    "count_retry": Words("再送待ち", "to be sent again"),
    "count_refused": Words("拒否", "refused"),
})  # fmt: skip
