"""What an operator reads on a flow's page in Airflow, in one language."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from canonical_model.entity import ENTITIES
from hub.system_file import System
from hub.words import Language, Words

__all__ = ["FlowText", "flow_doc", "reconcile_doc"]


@dataclass(frozen=True, slots=True)
class FlowText:
    """What is said of a flow.

    subject   what moves: the source's or sink's own title
    own_title  the title the system file gives the flow, if any
    declared  what the connector says of it, in its author's words (English)
    kinds     entity kinds a pull changes, or a push looks at
    """

    system: str
    system_title: Words
    flow: str
    pull: bool
    subject: Words
    own_title: Words | None
    connector: str
    connector_title: Words
    declared: str
    mappings: tuple[str, ...]
    kinds: tuple[str, ...]
    schedule: str | None
    file: str

    @property
    def title(self) -> Words:
        """ "楽天市場 本店: 受注の取込" """
        verb = Words("取込", "in") if self.pull else Words("送信", "out")
        what = self.own_title or Words(f"{self.subject.ja}の{verb.ja}", f"{self.subject.en} {verb.en}")
        return Words(f"{self.system_title.ja}:{what.ja}", f"{self.system_title.en}: {what.en}")


_WHAT = {
    True: Words(
        "**{system}** の「{subject}」を取り込み、{kinds} を最新にします。変更がなければ何も起こしません。",
        "Takes {subject} in from **{system}** and brings {kinds} up to date. Where nothing changed, nothing happens.",
    ),
    False: Words(
        "{kinds} の変更を **{system}** の「{subject}」へ送ります。前回受理された内容と同じものは送りません。",
        "Sends changes of {kinds} to **{system}** as {subject}. What it accepted before is not sent again.",
    ),
}
_STARTS = {
    True: Words("`{schedule}`(日本時間)", "`{schedule}` (Japan time)"),
    False: Words(
        "{kinds} が変わったとき。取りこぼしの確認に `{schedule}`(日本時間)",
        "When {kinds} change; and `{schedule}` (Japan time) for what woke nobody",
    ),
}
_BY_HAND = Words("手動のみ", "By hand only")
_TROUBLE = (
    Words("### うまくいかないとき", "### When something is wrong"),
    Words(
        "- **再試行待ち**: 相手システムが混雑・停止中です。相手が求めた時刻に自動でやり直します。操作は不要です。",
        "- **Up for retry**: the other system is busy or down. It is tried again when it asked for it; "
        "nothing to do.",
    ),
    Words(
        "- **失敗**: タスクのログの「対処」のとおり直し、タスクを「クリア」してください。続きから処理し、"
        "同じデータが二重になることはありません。",
        '- **Failed**: do what the task\'s log says under "What to do", then clear the task. It goes on from '
        "where it stood; nothing is doubled.",
    ),
    Words(
        "- **隔離**: 通らなかった行だけが隔離され、残りは処理済みです。「隔離」タブで理由を見て、"
        "直してから再実行してください。",
        "- **Quarantine**: only the rows that did not pass are held; all others went through. Read why in the "
        "Quarantine tab, mend it and try again.",
    ),
    Words(
        "- コマンドでの確認: `tsunagi check {system}`、`tsunagi status`",
        "- On the command line: `tsunagi check {system}`, `tsunagi status`",
    ),
)
_ROWS = (
    Words("システム", "System"),
    Words("コネクタ", "Connector"),
    Words("マッピング", "Mappings"),
    Words("起動", "Starts"),
    Words("設定ファイル", "Settings"),
)


def flow_doc(text: FlowText, lang: Language) -> str:
    """The page, as Markdown."""
    kinds = _listed(_kind(kind, lang) for kind in text.kinds)
    names = {
        "system": text.system_title.say(lang),
        "subject": text.subject.say(lang),
        "kinds": kinds,
        "schedule": text.schedule,
    }
    starts = _BY_HAND if text.pull and not text.schedule else _STARTS[text.pull]
    values = (
        f"{text.system_title.say(lang)} (`{text.system}`)",
        f"{text.connector_title.say(lang)} (`{text.connector}`)",
        _listed(f"`{name}`" for name in text.mappings),
        starts.say(lang).format(**names),
        f"`{text.file}`",
    )
    table = "\n".join(f"| {label.say(lang)} | {value} |" for label, value in zip(_ROWS, values, strict=True))
    parts = [
        _WHAT[text.pull].say(lang).format(**names),
        f"| | |\n|---|---|\n{table}",
        "\n".join(line.say(lang).format(system=text.system) for line in _TROUBLE),
    ]
    if text.declared:
        parts.append(f"---\n{text.declared}")
    return "\n\n".join(parts)


def _kind(kind: str, lang: Language) -> str:
    """The kind as people call it, with the name its asset has: 受注 `order`."""
    return f"{Words(*ENTITIES[kind].titles).say(lang)} `{kind}`"


def _listed(words: Iterable[str]) -> str:
    return ", ".join(words)


_RECONCILE = Words(
    """毎晩 **{system}** の全件を読み、ハブの内容と突き合わせます。何も取り込まず、何も送りません。

{rows}

差異が上限を超えたタスクは失敗になります。報告書(HTML・CSV)の場所はタスクのログにあります。

### 差異があったとき

- `tsunagi reconcile list --system {id}` で照合番号を確かめ、`tsunagi reconcile fix 番号` で計画を見ます。
- 計画どおりでよければ `--apply --reason "理由"` を付けて実行します。通常の取込・送信と同じ道を通ります。""",
    """Each night all of **{system}** is read and held against the hub. Nothing is taken in and nothing is sent.

{rows}

A task with more differences than its limit fails. Where the report (HTML, CSV) lies is in the task's log.

### When there are differences

- `tsunagi reconcile list --system {id}` shows the number, `tsunagi reconcile fix NUMBER` the plan.
- If the plan is right, add `--apply --reason "why"`. It goes the ordinary roads in and out.""",
)
_RECONCILE_HEAD = Words("| 種類 | 期間(日) | 差異の上限 |", "| Kind | Days | Limit |")


def reconcile_doc(system: System, lang: Language) -> str:
    """The page of a system's nightly comparison, as Markdown."""
    kinds = {} if system.reconcile is None else system.reconcile.entities
    rows = [f"| {_kind(kind, lang)} | {how.days} | {how.limit} |" for kind, how in kinds.items()]
    table = "\n".join([_RECONCILE_HEAD.say(lang), "|---|---|---|", *rows])
    title = Words(system.title.ja, system.title.en).say(lang)
    return _RECONCILE.say(lang).format(system=title, id=system.system, rows=table)
