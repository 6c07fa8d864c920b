"""The tables of the README and of docs/scale.md, written from `latest.json`: pages never quote another run."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

__all__ = ["PAGES", "TITLES", "refresh", "written"]

ROOT = Path(__file__).resolve().parent.parent
TITLES = {
    "W1": ("200,000行(CP932)→ 10万受注の取込", "200,000 CP932 lines become 100,000 orders"),
    "W1 again": ("同じ受注をもう一度", "the same orders again"),
    "W1 memory": ("10倍のファイルのメモリ(1倍との比)", "memory of ten times the file (ratio to one)"),
    "W2": ("受注の1%が変わったとき", "1 % of the orders changed"),
    "W3": ("10万SKU×5チャネル、1%変動 → 送信バッチ", "100,000 SKUs x 5 channels, 1 % changed: batches"),
    "W4 at 64": ("Webhook受信、64接続", "webhooks taken in, 64 connections"),
    "W4 at 1": ("Webhook受信、1接続", "webhooks taken in, one connection"),
    "W4 p99": ("Webhookの応答 p99、64接続", "answer to a webhook, p99, 64 connections"),
    "W5": ("受注1件のマッピング(入+出)", "mapping of one order, in and out"),
    "W5 validated": ("同、検証つき", "the same with validation"),
    "W6 200 MB": ("SFTP 200MB", "SFTP, 200 MB"),
    "W6 200 MB up": ("SFTP 200MB 送信", "SFTP, 200 MB up"),
    "W6 1,000 files": ("SFTP 小ファイル1,000個、往復20ms", "SFTP, 1,000 small files, 20 ms line"),
    "W7": ("売上 → 他4チャネルの受付 p50、毎秒200件", "sale to accepted write on four channels, 200/s, p50"),
    "W7 p99": ("同 p99", "the same, p99"),
    "W7 bulk pace": ("その間の一括送信の速さ", "pace of the bulk push meanwhile"),
    "W8": ("人気SKU1つへの引当、32クライアント(API)", "reservations on one hot SKU, 32 clients (API)"),
    "W8 function": ("同、関数", "the same, the function"),
    "W9 orders x10": (
        "受注の1%変更、保存済みが10倍のとき(1倍との比)",
        "1 % of orders changed, ten times as many stored",
    ),
    "W9 orders x30": ("同、30倍", "the same, thirty times as many"),
    "W9 stock x10": (
        "在庫の1%変動、保存済みが10倍のとき(1倍との比)",
        "1 % of stock changed, ten times as much stored",
    ),
    "W9 stock x30": ("同、30倍", "the same, thirty times as much"),
    "Airflow": ("空のフローの実行、起動から成功まで", "a flow with nothing new, trigger to success"),
}
"""What each work is called, in Japanese and English."""

_HEADS = {
    "ja": ("| 計測 | 本ハブ | 上限 | 比 | 目標 | |", "達成", "未達"),
    "en": ("| work | ours | limit | ratio | goal | |", "met", "missed"),
}
_SHORT = {"ja": "| 計測 | 本ハブ ÷ 上限 | 目標 |", "en": "| work | ours ÷ limit | goal |"}


def _works(found: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    return {name: one for name, one in found.items() if name != "machine"}


def _amount(value: float | None, unit: str) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}/s" if unit == "/s" else f"{value:.3g} {unit}"


def _plain(one: Mapping[str, Any]) -> bool:
    """The goal is a time of ours, and not a ratio."""
    return bool(one["ratio_to_limit"] == one["ours"])


def _goal(one: Mapping[str, Any]) -> str:
    sign = "≥" if one["goal_is"] == "least" else "≤"
    unit = f" {one['unit']}" if _plain(one) else ""
    return f"{sign} {one['goal']:g}{unit}"


def _title(work: str, lang: str) -> str:
    ja, en = TITLES[work]
    return f"{work.split()[0]} {ja if lang == 'ja' else en}"


def whole(found: Mapping[str, Any], lang: str) -> str:
    """The machine, and every work of the run."""
    head, met, missed = _HEADS[lang]
    m = found["machine"]
    machine = f"{m['processor']}, {m['cores']} cores, {m['memory_gib']} GiB, {m['system']} {m['kernel']}"
    lines = [f"{machine}, Python {m['python']}, {m['at'][:10]}", "", head, "|---|---|---|---|---|---|"]
    for name, one in _works(found).items():
        value = "" if _plain(one) else f"{one['ratio_to_limit']:.2f}"
        lines.append(
            f"| {_title(name, lang)} | {_amount(one['ours'], one['unit'])} | {_amount(one['limit'], one['unit'])} "
            f"| {value} | {_goal(one)} | {met if one['met'] else missed} |"
        )
    return "\n".join(lines)


def ratios(found: Mapping[str, Any], lang: str) -> str:
    """Ratios only: times move from machine to machine."""
    lines = [_SHORT[lang], "|---|---|---|"]
    lines += [
        f"| {_title(name, lang)} | {one['ratio_to_limit']:.2f} | {_goal(one)} |"
        for name, one in _works(found).items()
        if not _plain(one)
    ]
    return "\n".join(lines)


PAGES: dict[str, tuple[str, Callable[[Mapping[str, Any], str], str]]] = {
    "README.md": ("en", ratios), "README.ja.md": ("ja", ratios),
    "docs/scale.md": ("en", whole), "docs/ja/scale.md": ("ja", whole),
}  # fmt: skip
_PLACE = re.compile(r"(<!-- bench: .*? -->\n)(.*?)(<!-- /bench -->)", re.DOTALL)


def written(page: str, found: Mapping[str, Any]) -> str:
    """The page as it should be. Raises ValueError when it has no place for the table."""
    lang, table = PAGES[page]
    text, count = _PLACE.subn(
        lambda match: f"{match[1]}\n{table(found, lang)}\n\n{match[3]}", (ROOT / page).read_text("utf-8")
    )
    if count != 1:
        raise ValueError(f"{page} needs one place for the table: <!-- bench: ... --> <!-- /bench -->")
    return text


def refresh(results: Path) -> list[Path]:
    """Write the tables of all pages from a results file; returns the pages."""
    found = json.loads(results.read_text("utf-8"))
    for page in PAGES:
        (ROOT / page).write_text(written(page, found), "utf-8")
    return [ROOT / page for page in PAGES]
