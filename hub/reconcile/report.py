"""The report: a page for people, tables for spreadsheets, a summary for machines.

The page needs nothing but itself (no script, no font, no picture from elsewhere), prints on A4 and escapes every value.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
from jinja2 import Environment, FileSystemLoader

from canonical_model.entity import ENTITIES
from canonical_model.labels import path_label
from canonical_model.values import minor_digits
from hub.calendar import JST
from hub.export import safe_cell
from hub.home import write_private
from hub.logs import mask
from hub.reconcile.figures import Measure
from hub.reconcile.results import DIFFERENT, Difference, PartResult, Result, store_differences
from hub.reconcile.words import HOW, REASONS, REMEDIES, REPORT, STATE_WORDS
from hub.system_file import System
from hub.words import Language, Words

if TYPE_CHECKING:
    import pandas as pd

    from hub.engine import Hub

__all__ = ["SHOWN", "write_report"]

SHOWN = 300
"""Differences on the page; all of them are in the CSV."""
SHOWN_ASIDE = 50
SHOWN_FIELDS = 8
_BATCH = 2000
_HERE = Path(__file__).parent


def write_report(
    hub: Hub,
    result: Result,
    differences: Iterable[Difference],
    reports: Path,
    lang: Language,
    *,
    reveal: bool,
) -> None:
    """Store the differences and write the folder of the report, readable by its owner only; sets `result.folder`."""
    moment = result.started_at.astimezone(JST)
    folder = reports / f"{result.system}-{result.subject}-{moment:%Y%m%d-%H%M%S}-{result.run}"
    folder.mkdir(mode=0o700, parents=True)
    result.folder = folder
    shown: list[Difference] = []
    aside: list[Difference] = []
    with _private(folder / "differences.csv").open("w", encoding="utf-8-sig", newline="") as sheet:
        sheet.write(_frame([], lang).to_csv(index=False))
        for batch in _batches(differences):
            with hub.engine.begin() as connection:
                store_differences(connection, result.run, batch)
            told = [_as_told(one, reveal=reveal) for one in batch]
            sheet.write(_frame(list(_csv_rows(told, lang)), lang).to_csv(index=False, header=False))
            shown += [one for one in told if one.state in DIFFERENT][: SHOWN - len(shown)]
            aside += [one for one in told if one.state not in DIFFERENT][: SHOWN_ASIDE - len(aside)]
    _write_sums(folder / "sums.csv", result, lang)
    write_private(
        folder / "summary.json", orjson.dumps(result.as_dict(), option=orjson.OPT_INDENT_2).decode() + "\n"
    )
    page = _page(hub, result, shown, aside, lang, reveal=reveal)
    write_private(folder / "index.html", page)


def _private(path: Path) -> Path:
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    return path


def _batches(rows: Iterable[Difference]) -> Iterator[list[Difference]]:
    source = iter(rows)
    while batch := list(islice(source, _BATCH)):
        yield batch


def _as_told(one: Difference, *, reveal: bool) -> Difference:
    """As people may see it: customers' keys hold their addresses."""
    if reveal:
        return one
    return replace(one, key=mask("id", one.key), fields=[field.masked() for field in one.fields])


# ---------------------------------------------------------------- spreadsheets

_COLUMNS = (
    "n",
    "flow",
    "direction",
    "kind",
    "key",
    "state",
    "reason",
    "remedy",
    "field",
    "hub",
    "system",
    "owner",
)


def _frame(rows: Sequence[Sequence[Any]], lang: Language) -> pd.DataFrame:
    # here and not above: pandas takes a second to import, and only a report needs it
    import pandas as pd

    names = ["No." if name == "n" else REPORT[name].say(lang) for name in _COLUMNS]
    # "項目" would stand twice in English too: every name is one column
    return pd.DataFrame(rows, columns=pd.Index(names), dtype=object)


def _csv_rows(rows: Iterable[Difference], lang: Language) -> Iterator[list[Any]]:
    """A row for each field of each difference; `n` tells which belong together."""
    for one in rows:
        head = [
            one.n, one.flow, REPORT[one.direction].say(lang), _kind_title(one.kind, lang), one.key,
            STATE_WORDS[one.state].say(lang), _reason(one, lang), REMEDIES[one.remedy].say(lang),
        ]  # fmt: skip
        cells = [head[0], *(safe_cell(value) for value in head[1:])]
        for field in one.fields:
            values = (field.path, _plain(field.hub), _plain(field.system), field.owner or "")
            yield [*cells, *(safe_cell(value) for value in values)]
        if not one.fields:
            yield [*cells, "", "", "", ""]


def _write_sums(path: Path, result: Result, lang: Language) -> None:
    import pandas as pd

    titles = {name: REPORT[name].say(lang) for name in ("flow", "channel", "day", "measure", "hub", "system")}
    rows = []
    for part in result.parts:
        for row in part.sums:
            measure = Measure(row["measure"], row["currency"], row["rate"])
            rows.append(
                [
                    safe_cell(part.flow), safe_cell(row["channel"]), row["day"], measure.title().say(lang),
                    row["currency"], row["hub"], row["system"], row["difference"],
                ]
            )  # fmt: skip
    columns = [
        *list(titles.values())[:4],
        "currency",
        titles["hub"],
        titles["system"],
        REPORT["difference"].say(lang),
    ]
    frame = pd.DataFrame(rows, columns=pd.Index(columns), dtype=object)
    with _private(path).open("w", encoding="utf-8-sig", newline="") as sheet:
        sheet.write(frame.to_csv(index=False))


def _plain(value: Any) -> Any:
    return "" if value is None else value


# ---------------------------------------------------------------- the page


def _page(
    hub: Hub,
    result: Result,
    shown: Sequence[Difference],
    aside: Sequence[Difference],
    lang: Language,
    *,
    reveal: bool,
) -> str:
    jinja = Environment(loader=FileSystemLoader(_HERE), autoescape=True, trim_blocks=True, lstrip_blocks=True)
    counts = result.counts
    system = hub.systems.get(result.system)
    fixable = sorted({one.remedy for one in shown} - {"none"})
    return jinja.get_template("report.html").render(
        t={name: words.say(lang) for name, words in REPORT.items()},
        lang=lang,
        result=result,
        system_title=Words(system.title.ja, system.title.en).say(lang),
        subject=_subject(system, result.subject, lang),
        when=_moment(result.started_at, lang),
        different=result.differences,
        in_flight=counts.get("in_flight", 0),
        tiles=[
            {"name": state, "title": STATE_WORDS[state].say(lang), "count": counts.get(state, 0)}
            for state in ("equal", *DIFFERENT, "in_flight", "unmanaged")
            if state in ("equal", "only_hub", "only_system", "differ") or counts.get(state)
        ],
        parts=[_part(part, lang) for part in result.parts],
        differences=[_row(one, lang) for one in shown],
        more=result.differences > len(shown),
        aside=[_row(one, lang) for one in aside],
        fixable=fixable,
        fix=f"tsunagi reconcile fix {result.run}",
        reveal=reveal,
        notes=[
            note.say(lang)
            for note in (*result.notes, *(note for part in result.parts for note in part.notes))
        ],
    )


def _part(part: PartResult, lang: Language) -> dict[str, Any]:
    totals = _totals(part)
    groups = [_sum_row(row, lang) for row in part.sums]
    stretch = ""
    if part.since:
        known = {"since": _day(part.since, lang), "until": _day(part.until, lang) if part.until else ""}
        stretch = REPORT["from_until" if part.until else "from"].say(lang).format(**known)
    return {
        "flow": part.flow,
        "kind": _kind_title(part.kind, lang),
        "direction": REPORT[part.direction].say(lang),
        "what": REPORT[f"{part.direction}_what"].say(lang),
        "how": HOW[part.how].say(lang),
        "name": part.name,
        "read": REPORT["read"].say(lang).format(records=f"{part.counts['records']:,}"),
        "stretch": stretch,
        "totals": [_sum_row(row, lang) for row in totals],
        "groups": groups,
        "differing": [row for row in groups if row["differs"]],
        "grouped": any(row["channel"] or row["day"] for row in part.sums) and len(part.sums) > len(totals),
        "dated": any(row["day"] for row in part.sums),
    }


def _totals(part: PartResult) -> list[dict[str, Any]]:
    """The sums over all channels and dates."""
    import pandas as pd

    if not part.sums:
        return []
    frame = pd.DataFrame(part.sums).astype({"hub": object, "system": object, "difference": object})
    by = ["measure", "currency", "rate"]
    summed = frame.groupby(by, sort=False, as_index=False)[["hub", "system", "difference"]].sum()
    rows: list[dict[str, Any]] = [
        {str(name): value for name, value in row.items()} | {"channel": "", "day": ""}
        for row in summed.to_dict(orient="records")
    ]
    return rows


def _sum_row(row: dict[str, Any], lang: Language) -> dict[str, Any]:
    measure = Measure(row["measure"], row["currency"], row["rate"])
    return {
        "channel": row["channel"],
        "day": row["day"],
        "title": measure.title().say(lang),
        "currency": row["currency"],
        "hub": _number(row["hub"], row["currency"]),
        "system": _number(row["system"], row["currency"]),
        "difference": _number(row["difference"], row["currency"], signed=True),
        "differs": row["difference"] != 0 or row["hub"] != row["system"],
    }


def _number(value: int, currency: str, *, signed: bool = False) -> str:
    digits = minor_digits(currency) if currency else 0
    number = Decimal(int(value)).scaleb(-digits)
    if signed:
        return f"{number:+,.{digits}f}".replace("-", "−") if value else "0"
    return f"{number:,.{digits}f}".replace("-", "−")


def _row(one: Difference, lang: Language) -> dict[str, Any]:
    return {
        "n": one.n,
        "flow": one.flow,
        "kind": _kind_title(one.kind, lang),
        "direction": one.direction,
        "direction_title": REPORT[one.direction].say(lang),
        "key": one.key,
        "state": one.state,
        "state_title": STATE_WORDS[one.state].say(lang),
        "reason": _reason(one, lang),
        "remedy": one.remedy,
        "remedy_title": REMEDIES[one.remedy].say(lang),
        "fields": [
            {
                "path": field.path,
                "label": _label(one, field.path, lang),
                "hub": _shown(field.hub),
                "system": _shown(field.system),
                "owner": field.owner,
            }
            for field in one.fields[:SHOWN_FIELDS]
        ],
        "more": max(len(one.fields) - SHOWN_FIELDS, 0),
    }


def _reason(one: Difference, lang: Language) -> str:
    words = REASONS.get(one.reason or "")
    return (one.reason or "") if words is None else words.say(lang)


def _label(one: Difference, path: str, lang: Language) -> str:
    if one.direction == "out":
        return path
    return path_label(one.kind, path.replace("[", ".").replace("]", ""), lang)


def _shown(value: Any) -> str:
    if value is None:
        return "—"
    if isinstance(value, str):
        text = _in_japan(value) if _INSTANT.fullmatch(value) else value
    elif isinstance(value, int) and not isinstance(value, bool):
        text = f"{value:,}"
    else:
        text = orjson.dumps(value).decode()
    return text if len(text) <= 200 else f"{text[:199]}…"


_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


def _in_japan(instant: str) -> str:
    return f"{datetime.fromisoformat(instant).astimezone(JST):%Y-%m-%d %H:%M:%S}"


def _kind_title(kind: str, lang: Language) -> str:
    return Words(*ENTITIES[kind].titles).say(lang) if kind in ENTITIES else kind


def _subject(system: System, subject: str, lang: Language) -> str:
    """What was compared: the kind of entity, or the flow by its title."""
    flow = system.flows.get(subject)
    if subject in ENTITIES or flow is None or flow.title is None:
        return _kind_title(subject, lang)
    return Words(flow.title.ja, flow.title.en).say(lang)


def _moment(moment: datetime, lang: Language) -> str:
    here = moment.astimezone(JST)
    return f"{here:%Y-%m-%d %H:%M}" if lang == "ja" else f"{here:%Y-%m-%d %H:%M} JST"


def _day(iso: str, lang: Language) -> str:
    return _moment(datetime.fromisoformat(iso), lang)
