"""Every word of the report and the command, in both languages."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from hub.words import Words

__all__ = ["HOW", "REASONS", "REMEDIES", "REPORT", "STATE_WORDS"]

STATE_WORDS: Mapping[str, Words] = MappingProxyType({
    "equal": Words("一致", "Equal"),
    "only_hub": Words("ハブだけにある", "Only in the hub"),
    "only_system": Words("相手だけにある", "Only at the system"),
    "differ": Words("内容が違う", "Differ"),
    "unreadable": Words("比べられない", "Not comparable"),
    "in_flight": Words("反映待ち", "In flight"),
    "unmanaged": Words("ハブの管理外", "Not the hub's"),
    "unjudged": Words("期間外", "Outside the stretch"),
})  # fmt: skip

REASONS: Mapping[str, Words] = MappingProxyType({
    "never_came": Words("ハブに一度も入っていません", "it never came into the hub"),
    "in_quarantine": Words("隔離されています(tsunagi quarantine list で理由を確認)",
                           "it is in quarantine (see why: tsunagi quarantine list)"),
    "deleted_in_hub": Words("ハブでは削除済みです", "the hub has it as deleted"),
    "known_from_elsewhere": Words("ハブは別のシステムからだけ知っています",
                                  "the hub knows it from another system only"),
    "not_listed": Words("相手の一覧にありません", "the system does not list it"),
    "content": Words("相手の今の内容と違います", "the system says something else now"),
    "never_accepted": Words("まだ一度も受理されていません", "the system never accepted it"),
    "not_sent": Words("新しい値が送られていません", "the newer value was not sent"),
    "refused": Words("相手に拒否され、隔離されています", "the system refused it; it is in quarantine"),
    "vanished_there": Words("受理された後、相手から消えました", "accepted once, gone at the system since"),
    "changed_there": Words("受理された後、相手側で変わりました", "accepted once, changed at the system since"),
    "no_longer_sent": Words("以前ハブが送り、今は送っていません", "the hub sent it once and no longer does"),
    "not_sent_by_hub": Words("ハブが送ったものではありません", "the hub never sent it"),
    "settled": Words("再確認では一致しました", "equal when looked at again"),
    "moving": Words("照合の間に相手側で変わりました", "changed at the system while it was compared"),
    "hub_changed": Words("照合の間にハブ側で変わりました", "changed in the hub while it was compared"),
    "hub_newer": Words("ハブの方が新しい時点の内容です", "the hub holds a later count"),
    "young": Words("相手側で変わったばかりで、取込を待っています",
                   "changed at the system just now; the next pull brings it"),
    "waiting_to_be_sent": Words("送信待ちです", "waiting to be sent"),
})  # fmt: skip

REMEDIES: Mapping[str, Words] = MappingProxyType({
    "take_in": Words("取り込み直す", "take in"),
    "send": Words("送り直す", "send again"),
    "none": Words("人が判断", "a person decides"),
})  # fmt: skip

HOW: Mapping[str, Words] = MappingProxyType({
    "api": Words("相手のAPIから全件を読みました", "read in full from the system's API"),
    "intake": Words("取込済みの最新の全件ファイルと比べました", "compared with the newest complete file taken in"),
    "file": Words("指定されたファイルと比べました", "compared with the file that was given"),
})  # fmt: skip

REPORT: Mapping[str, Words] = MappingProxyType({
    "title": Words("照合", "Reconciliation"),
    "equal_banner": Words("一致しています", "Equal"),
    "equal_text": Words("ハブと相手システムに差異はありません。", "The hub and the system do not differ."),
    "different_banner": Words("差異 {n} 件", "{n} differences"),
    "different_text": Words("下の表で内容を確認し、「直し方」の手順で反映してください。",
                            "Look at them below, then follow the steps under “How to put it right”."),
    "in_flight_text": Words("ほかに反映待ち {n} 件(差異に数えません)。",
                            "{n} more are in flight and are not counted."),
    "compared_at": Words("照合日時", "Compared at"),
    "run": Words("照合番号", "Run"),
    "took": Words("所要時間", "Took"),
    "seconds": Words("秒", "s"),
    "flow": Words("フロー", "Flow"),
    "in": Words("取込", "in"),
    "out": Words("送信", "out"),
    "in_what": Words("相手が言っていること(ハブの記録)と、相手の今の一覧",
                     "what the hub recorded of the system's word, beside its list now"),
    "out_what": Words("ハブが送った・送りたい値と、相手に今ある値",
                      "what the hub sent and wants there, beside what stands there now"),
    "stretch": Words("期間", "Stretch"),
    "from": Words("{since} から", "since {since}"),
    "from_until": Words("{since} 〜 {until}", "{since} to {until}"),
    "read": Words("{records} 件を読みました", "{records} records read"),
    "sums": Words("件数と合計", "Counts and sums"),
    "sums_hint": Words("反映待ち・比べられないもの・ハブの管理外のものは含みません。金額は通貨ごと、端数処理なし。",
                       "Without what is in flight, not comparable or not the hub's. Money per currency, not rounded."),
    "measure": Words("項目", "Measure"),
    "hub": Words("ハブ", "Hub"),
    "system": Words("相手", "System"),
    "difference": Words("差(相手−ハブ)", "System − hub"),
    "where": Words("どこで違うか(チャネル・営業日別)", "Where they differ (by channel and business date)"),
    "nowhere": Words("どのチャネル・日付でも合計は同じです。", "The sums are the same for every channel and date."),
    "all_groups": Words("すべての内訳を表示", "Show every channel and date"),
    "channel": Words("チャネル・拠点", "Channel, location"),
    "day": Words("営業日", "Business date"),
    "differences": Words("差異の一覧", "Differences"),
    "key": Words("キー", "Key"),
    "state": Words("状態", "State"),
    "field": Words("項目", "Field"),
    "owner": Words("正とする側", "Owner"),
    "anyone": Words("最後に伝えた側", "the last to speak"),
    "remedy": Words("対応", "Remedy"),
    "kind": Words("種類", "Kind"),
    "direction": Words("向き", "Direction"),
    "reason": Words("理由", "Reason"),
    "shown_first": Words("はじめの {n} 件です。全件は differences.csv にあります。",
                         "The first {n}. All of them are in differences.csv."),
    "not_counted": Words("差異に数えないもの", "Not counted as differences"),
    "fix": Words("直し方", "How to put it right"),
    "fix_text": Words("まず計画を表示し(何も変わりません)、確かめてから理由を付けて実行します。"
                      "すでに解消したものは飛ばします。",
                      "Show the plan first (nothing is changed), then carry it out with a reason. What has settled "
                      "meanwhile is skipped."),
    "fix_none": Words("自動で直せる差異はありません。理由の欄を見て、担当者が判断してください。",
                      "Nothing here can be put right by itself. Read the reasons and decide."),
    "masked": Words("個人情報は伏せてあります。", "Personal data is masked."),
    "revealed": Words("個人情報を含みます。取り扱いに注意してください。", "Contains personal data. Handle with care."),
    "whole_missing": Words("なし", "none"),
    "notes": Words("注意", "Notes"),
    "more_fields": Words("ほか {n} 項目", "{n} more fields"),
    "files": Words("ファイル", "Files"),
})  # fmt: skip
