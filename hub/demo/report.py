"""What the terminal shows at the end: what came in, what went out, what was refused and why, and where to look."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from sqlalchemy import func, select

from hub.airflow_home import AirflowAddress
from hub.engine import Hub
from hub.reports import QuarantineRow
from hub.store.tables import flow_run
from hub.words import Words

__all__ = ["Totals", "newest_run", "outcome_line", "show_day", "totals"]

EXAMPLES = 2
Totals = dict[tuple[str, str], dict[str, int]]
"""(system, flow) -> count by name."""

_COUNTS = {
    "records": Words("受信", "received"),
    "created": Words("新規", "new"),
    "updated": Words("更新", "changed"),
    "done": Words("受理", "accepted"),
    "quarantined": Words("隔離", "quarantined"),
    "refused": Words("拒否", "refused"),
}
_QUIET = Words("変更なし", "nothing changed")


def outcome_line(report: Mapping[str, Any]) -> str:
    """The counts of one run that are not nought."""
    parts = [f"{words.say()} {report[name]}" for name, words in _COUNTS.items() if report.get(name)]
    if not any(report.get(name) for name in _COUNTS if name != "records"):
        parts.append(_QUIET.say())
    return " · ".join(parts)


def newest_run(hub: Hub) -> int:
    """The number of the newest run there is: what comes after it is new."""
    with hub.engine.connect() as connection:
        return int(connection.scalar(select(func.coalesce(func.max(flow_run.c.id), 0))) or 0)


def totals(hub: Hub, behind: int) -> Totals:
    """(system, flow) -> the sum of the counts of its runs after run `behind`."""
    query = select(flow_run.c.system, flow_run.c.flow, flow_run.c.counts).where(flow_run.c.id > behind)
    found: Totals = {}
    with hub.engine.connect() as connection:
        for row in connection.execute(query):
            sums = found.setdefault((row.system, row.flow), {})
            for name, count in (row.counts or {}).items():
                if isinstance(count, int):
                    sums[name] = sums.get(name, 0) + count
    return found


def show_day(hub: Hub, address: AirflowAddress, day: Totals, console: Console) -> None:
    """What the runs of the day came to, what is in quarantine, and what to do next."""
    console.print()
    _show_in(hub, day, console)
    _show_out(hub, day, console)
    _show_quarantine(hub, console)
    _show_next(address, console)


def _show_in(hub: Hub, day: Totals, console: Console) -> None:
    columns = (
        ("records", Words("受信", "received")),
        ("created", Words("新規", "new")),
        ("updated", Words("更新", "changed")),
        ("unchanged", Words("変更なし", "unchanged")),
        ("quarantined", Words("隔離", "quarantined")),
    )
    _show(hub, day, console, Words("入ってきたもの", "What came in"), columns, pull=True)


def _show_out(hub: Hub, day: Totals, console: Console) -> None:
    columns = (
        ("done", Words("受理", "accepted")),
        ("refused", Words("拒否", "refused")),
        ("quarantined", Words("送れないもの", "could not be written")),
    )
    _show(hub, day, console, Words("出ていったもの", "What went out"), columns, pull=False)


def _show(
    hub: Hub, day: Totals, console: Console, title: Words,
    columns: Sequence[tuple[str, Words]], *, pull: bool,
) -> None:  # fmt: skip
    table = Table(title=title.say(), title_justify="left", title_style="bold", header_style="bold")
    table.add_column(Words("システム", "System").say())
    table.add_column(Words("連携", "Flow").say())
    for _, words in columns:
        table.add_column(words.say(), justify="right")
    for status in hub.status():
        sums = day.get((status.system, status.flow))
        if sums is None or (status.direction == "pull") != pull:
            continue
        system = hub.systems.get(status.system).title
        name = Words(status.title_ja, status.title_en).say()
        cells = [str(sums.get(column, 0) or "-") for column, _ in columns]
        table.add_row(escape(Words(system.ja, system.en).say()), escape(name), *cells)
    if table.row_count:
        console.print(table)


def _show_quarantine(hub: Hub, console: Console) -> None:
    groups: dict[tuple[str, str, str, str | None], list[QuarantineRow]] = {}
    for row in hub.quarantine_list(limit=1000):
        groups.setdefault((row.system, row.flow, row.code, row.column), []).append(row)
    if not groups:
        return
    table = Table(
        title=Words("隔離中のデータと理由", "In quarantine, and why").say(), title_justify="left", title_style="bold",
        header_style="bold", show_lines=True,
    )  # fmt: skip
    for words in (Words("連携", "Flow"), Words("件数", "Rows"), Words("理由と例", "Why, with examples")):
        table.add_column(words.say(), overflow="fold", justify="right" if words.en == "Rows" else "left")
    for (system, flow, _, _), rows in sorted(groups.items(), key=lambda item: -len(item[1])):
        table.add_row(escape(f"{system}/{flow}"), str(len(rows)), escape("\n".join(_examples(rows))))
    console.print(table)


def _examples(rows: Sequence[QuarantineRow]) -> Iterable[str]:
    for row in rows[:EXAMPLES]:
        reason = Words(row.reason_ja, row.reason_en).say()
        line = "" if row.position is None else Words(f"{row.position}行目", f"line {row.position}").say()
        where = " ".join(part for part in (row.name, line if line not in reason else "") if part)
        yield f"{where}: {reason}" if where else reason
    if len(rows) > EXAMPLES:
        yield f"… +{len(rows) - EXAMPLES}"


_NEXT = (
    ("tsunagi status", Words("すべての連携の状況", "how every flow stands")),
    ("tsunagi quarantine list", Words("隔離中のデータと理由", "what was refused, and why")),
    ("tsunagi quarantine replay --all", Words("直した後の再実行", "try again after mending")),
    (
        "make demo",
        Words("もう一度。変わっていないものは送られません", "again: what did not change is not sent"),
    ),
    ("make stop", Words("すべて停止", "stop everything")),
)


def _show_next(address: AirflowAddress, console: Console) -> None:
    console.print(Words("ブラウザで開く", "Open in the browser").say(), style="bold")
    signs = Words("ユーザー {user}、パスワード {password}", "user {user}, password {password}").say()
    console.print(f"  {address.url}  ", end="", markup=False)
    console.print(signs.format(user=address.user, password=address.password), markup=False)
    console.print(Words("  左のメニュー「つなぎ」に状況と隔離、「アセット」にデータの流れがあります",
                        '  "Tsunagi" on the left: flows and quarantine; "Assets": how data flows').say())  # fmt: skip
    console.print(Words("次に試すこと", "Next").say(), style="bold")
    for command, words in _NEXT:
        console.print(f"  {command:<34}", end="", markup=False)
        console.print(words.say(), style="dim", markup=False)
