"""What the console's tables show of flows and refused rows, in one language."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from hub.reports import FlowStatus, QuarantineRow
from hub.words import Language
from plugins.console.words import WORDS

__all__ = ["flow_rows", "flow_title", "quarantine_groups"]

JST = ZoneInfo("Asia/Tokyo")
COUNTS = ("records", "created", "updated", "unchanged", "skipped", "quarantined", "read", "sent", "done", "retry",
          "refused")  # fmt: skip
KINDS = {
    "ok": "good",
    "running": "warn",
    "retry": "warn",
    "refused": "bad",
    "misconfigured": "bad",
    "crashed": "bad",
}


def flow_rows(flows: Sequence[FlowStatus], systems: Any, lang: Language) -> list[dict[str, Any]]:
    """One row for each flow, those that need a person first."""
    rows = []
    for flow in flows:
        outcome = flow.outcome or "never"
        rows.append({
            "system": flow.system,
            "flow": flow.flow,
            "dag_id": f"{flow.system}__{flow.flow}",
            "system_title": _system_title(systems, flow.system, lang),
            "title": flow.title_ja if lang == "ja" else flow.title_en,
            "direction": flow.direction,
            "direction_word": WORDS[flow.direction].say(lang),
            "state": WORDS[outcome].say(lang) if outcome in WORDS else outcome,
            "state_kind": KINDS.get(outcome, ""),
            "late": flow.late,
            "error": flow.error,
            "last_run": _when(flow.last_run_at),
            "last_ok": _when(flow.last_ok_at),
            "counts": _counts(flow.counts, lang),
            "waiting": flow.open_deliveries,
            "open_quarantine": flow.open_quarantine,
            "first": flow.late or KINDS.get(outcome) == "bad" or flow.open_quarantine > 0,
        })  # fmt: skip
    return sorted(rows, key=lambda row: not row["first"])


def quarantine_groups(
    rows: Sequence[QuarantineRow], systems: Any, lang: Language, *, may_replay: Callable[[str], bool]
) -> list[dict[str, Any]]:
    """Refused rows that share a flow, a code and a column stand together: one cause, one mend, one replay."""
    groups: dict[tuple[str, str, str, str | None], dict[str, Any]] = {}
    for row in rows:
        dag_id = f"{row.system}__{row.flow}"
        reason = row.reason_ja if lang == "ja" else row.reason_en
        group = groups.setdefault(
            (row.system, row.flow, row.code, row.column),
            {
                "flow_title": flow_title(systems, row.system, row.flow, lang),
                "code": row.code,
                "reason": reason,
                "may_replay": may_replay(dag_id),
                "rows": [],
            },
        )
        group["rows"].append({
            "id": row.id,
            "when": _when(row.created_at),
            "where": _where(row, lang),
            "subject": row.subject,
            "column": row.column or row.field or "",
            "value": row.value_masked or "",
            "reason": reason,
        })  # fmt: skip
    return sorted(groups.values(), key=lambda group: -len(group["rows"]))


def _where(row: QuarantineRow, lang: Language) -> str:
    name = row.name or ""
    if row.position is None:
        return name or row.mapping
    return (
        f"{name} {row.position} {WORDS['line'].say(lang)}" if lang == "ja" else f"{name} line {row.position}"
    )


def _counts(counts: dict[str, Any], lang: Language) -> str:
    parts = [f"{WORDS[f'count_{name}'].say(lang)} {counts[name]}" for name in COUNTS if counts.get(name)]
    return " · ".join(parts)


def _when(moment: datetime | None) -> str:
    return "" if moment is None else moment.astimezone(JST).strftime("%Y-%m-%d %H:%M:%S")


def flow_title(systems: Any, system: str, flow: str | None, lang: Language) -> str:
    """ "通販基幹 / 受注の取込"; names where the system file gives no titles."""
    found = systems.systems.get(system)
    flows = getattr(found, "flows", {})
    title = getattr(flows.get(flow), "title", None)
    name = (title.ja if lang == "ja" else title.en) if title else flow
    return " / ".join(part for part in (_system_title(systems, system, lang), name) if part)


def _system_title(systems: Any, system: str, lang: Language) -> str:
    found = systems.systems.get(system)
    title = getattr(found, "title", None)
    return system if title is None else (title.ja if lang == "ja" else title.en)
