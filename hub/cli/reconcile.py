"""`tsunagi reconcile SYSTEM ENTITY`: the hub held against a system's full listing, and differences put right."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from hub.cli.failures import Exit, fail
from hub.cli.opening import open_hub
from hub.cli.output import Json, Reveal, cell, good, json_line, out, progress, say, show_table, wrong
from hub.words import Words

if TYPE_CHECKING:
    from hub.engine import Hub
    from hub.reconcile import Difference, FixReport, Plan, Result

__all__ = ["app", "tell_reconciled"]

_SHOWN = 50


class _Default(TyperGroup):
    """`reconcile SYSTEM ENTITY` is `reconcile run SYSTEM ENTITY`."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            args = ["run", *args]
        return super().resolve_command(ctx, args)


app = typer.Typer(
    cls=_Default,
    help="ハブと相手システムの照合 / the hub held against a system's full listing",
    no_args_is_help=True,
)


class Only(StrEnum):
    """Which differences."""

    hub = "hub"
    system = "system"
    differ = "differ"


def _reports() -> Path:
    from hub.home import Settings

    return Settings.from_env().home.root / "reports" / "reconcile"


Since = Annotated[
    str | None,
    typer.Option(
        "--since", metavar="DATE",
        help="この日時から(受注・入金・出荷など)。例 2026-11-01 / compare from then on (orders, payments, shipments)",
    ),
]  # fmt: skip


@app.command("run")
def run(
    system: Annotated[
        str,
        typer.Argument(
            metavar="SYSTEM", help="システム名(systems/ のファイル名) / system id, the file in systems/"
        ),
    ],
    entity: Annotated[
        str,
        typer.Argument(
            metavar="ENTITY",
            help="種類(order、sellable、stock_position など)またはフロー名 / kind of entity, or a flow",
        ),
    ],
    file: Annotated[
        Path | None,
        typer.Option(
            "--file",
            metavar="FILE",
            help="相手が全件を書き出したファイルと比べる / compare with a full listing in a file",
        ),
    ] = None,
    days: Annotated[int, typer.Option("--days", min=1, help="何日前からか / how many days back")] = 30,
    since: Since = None,
    until: Annotated[
        str | None, typer.Option("--until", metavar="DATE", help="この日時まで / up to then")
    ] = None,
    grace: Annotated[
        int,
        typer.Option(
            "--grace",
            min=0,
            metavar="MINUTES",
            help="相手側の変更がこれより新しければ反映待ちとする / younger changes at the system are in flight",
        ),
    ] = 10,
    reveal: Reveal = False,
    json: Json = False,
) -> None:
    """相手システムの全件とハブを比べ、報告書を書く / compare a system's full listing with the hub, write a report

    何も取り込まず、何も送りません。`tsunagi reconcile SYSTEM ENTITY` とも書けます。差異があれば終了コード 1。 /
    Takes nothing in and sends nothing. `tsunagi reconcile SYSTEM ENTITY` is the same. Exit code 1 where they differ.

    HTML と CSV が TSUNAGI_HOME/reports/reconcile/ にできます。個人情報は --reveal を付けるまで伏せます。 /
    HTML and CSV lie below TSUNAGI_HOME/reports/reconcile/. Personal data is masked unless --reveal is given.
    """  # fmt: skip
    from hub.reconcile.run import Options, reconcile

    options = Options(
        days=days, since=_moment("--since", since), until=_moment("--until", until), file=file,
        grace=timedelta(minutes=grace), reveal=reveal,
    )  # fmt: skip
    with (
        open_hub() as hub,
        progress(Words(f"{system} {entity} を照合中", f"comparing {system} {entity}"), quiet=json) as watch,
    ):
        result = reconcile(hub, system, entity, reports=_reports(), options=options, watch=watch)
    if json:
        json_line(result.as_dict())
    else:
        _show_result(result)
    if result.differences:
        raise typer.Exit(Exit.PROBLEM)


def _moment(option: str, told: str | None) -> datetime | None:
    from hub.calendar import JST

    if told is None:
        return None
    try:
        moment = datetime.fromisoformat(told)
    except ValueError:
        raise typer.BadParameter(f"2026-11-21, 2026-11-21T09:00: {told}", param_hint=option) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=JST)


def _show_result(result: Result) -> None:
    from hub.reconcile.words import STATE_WORDS

    counts = result.counts
    parts = [
        f"{words.say()} {counts[state]}"
        for state, words in STATE_WORDS.items()
        if counts.get(state) or state == "equal"
    ]
    line = f"{result.system} {result.subject}  {' · '.join(parts)}  ({result.seconds:.1f} s)"
    (wrong if result.differences else good)(line)
    rows = [
        (row["channel"], row["day"], row["measure"] + (f" {row['rate']}" if row["rate"] else ""), row["currency"],
         row["hub"], row["system"], row["difference"])
        for part in result.parts for row in part.sums if row["difference"]
    ]  # fmt: skip
    if rows:
        show_table(
            [Words("チャネル・拠点", "channel"), Words("営業日", "date"), Words("項目", "measure"),
             Words("通貨", "currency"), Words("ハブ", "hub"), Words("相手", "system"), Words("差", "difference")],
            rows[:_SHOWN], title=Words("合計が違うところ", "Where the sums differ").say(), right=(4, 5, 6),
        )  # fmt: skip
    for note in [*result.notes, *(note for part in result.parts for note in part.notes)]:
        say(f"※ {note.ja}", f"Note: {note.en}")
    if result.folder is not None:
        out().print(
            f"{Words('報告書', 'Report').say()}: {result.folder / 'index.html'}", markup=False, soft_wrap=True
        )
    if result.differences:
        say(
            f"直し方の確認: tsunagi reconcile fix {result.run}",
            f"What would put it right: tsunagi reconcile fix {result.run}",
        )


# ---------------------------------------------------------------- fix


@app.command("fix")
def fix(
    number: Annotated[int, typer.Argument(metavar="RUN", help="照合番号 / number of the comparison")],
    only: Annotated[
        Only | None,
        typer.Option(
            "--only",
            metavar="hub|system|differ",
            help="ハブだけ・相手だけ・内容が違うものだけ / only what one side has, or what differs",
        ),
    ] = None,
    keys: Annotated[
        list[str] | None,
        typer.Option(
            "--key",
            "--keys",
            "-k",
            metavar="KEY",
            help="このキーだけ。何度でも / only this key; may be repeated",
        ),
    ] = None,
    apply: Annotated[bool, typer.Option("--apply", help="計画を実行する / carry the plan out")] = False,
    reason: Annotated[
        str | None,
        typer.Option("--reason", metavar="TEXT", help="実行する理由。記録されます / why; it is kept"),
    ] = None,
    reveal: Reveal = False,
    json: Json = False,
) -> None:
    """差異を直す計画を示し、--apply で実行する / show what would put differences right; --apply does it

    取り込み直し・送り直しは通常の道を通ります。削除のブレーキもそのまま働きます。解消済みの差異は飛ばします。 /
    Taking in and sending again go the ordinary roads, with their brake on deletions. What has settled is skipped.
    """
    from hub.reconcile.fix import apply_fix, plan_fix

    chosen = None if only is None else only.value
    if apply and not (reason or "").strip():
        raise fail("--apply には --reason(理由)が要ります。", "--apply needs --reason.", Exit.USAGE)
    with open_hub() as hub:
        try:
            plan = plan_fix(hub, number, only=chosen, keys=keys)
        except LookupError:
            raise fail(
                f"照合番号 {number} はありません。tsunagi reconcile list で確認してください。",
                f"There is no comparison {number}. See tsunagi reconcile list.", Exit.USAGE,
            ) from None  # fmt: skip
        if not apply:
            _show_plan(plan, reveal=reveal, json=json)
            return
        report = apply_fix(hub, number, reason=reason or "", only=chosen, keys=keys)
    _show_report(report, reveal=reveal, json=json)
    if report.still:
        raise typer.Exit(Exit.PROBLEM)


def _told(one: Difference, *, reveal: bool) -> dict[str, Any]:
    from hub.logs import mask

    return {
        "n": one.n, "flow": one.flow, "direction": one.direction, "kind": one.kind,
        "key": one.key if reveal else mask("id", one.key), "state": one.state, "reason": one.reason,
        "remedy": one.remedy,
    }  # fmt: skip


def _show_plan(plan: Plan, *, reveal: bool, json: bool) -> None:
    if json:
        for one in (*plan.take_in, *plan.send, *plan.left):
            json_line(_told(one, reveal=reveal))
        return
    run = plan.result.run
    if plan.newer is not None:
        say(
            f"※ 新しい照合 {plan.newer} があります。そちらを使うことをお勧めします。",
            f"Note: there is a newer comparison, {plan.newer}; better use that.",
        )
    for title, ones in (
        (Words("取り込み直すもの", "To be taken in again"), plan.take_in),
        (Words("送り直すもの", "To be sent again"), plan.send),
        (Words("人が判断するもの", "For a person to decide"), plan.left),
    ):
        if ones:
            _show_differences(title, ones, reveal=reveal)
    if plan.empty:
        say("自動で直せる差異はありません。", "Nothing here can be put right by itself.")
    else:
        say(
            f'実行するには: tsunagi reconcile fix {run} --apply --reason "理由"',
            f'To do it: tsunagi reconcile fix {run} --apply --reason "why"',
        )


def _show_differences(title: Words, ones: list[Difference], *, reveal: bool) -> None:
    from hub.reconcile.words import REASONS, STATE_WORDS

    rows = []
    for one in ones[:_SHOWN]:
        told = _told(one, reveal=reveal)
        reason = REASONS.get(one.reason or "")
        why = one.reason if reason is None else reason.say()
        what = ", ".join(
            f"{field.path}: {cell(field.hub)} → {cell(field.system)}" for field in one.fields[:3]
        )
        rows.append((told["key"], STATE_WORDS[one.state].say(), why, what))
    show_table(
        [Words("キー", "key"), Words("状態", "state"), Words("理由", "reason"), Words("ハブ → 相手", "hub → system")],
        rows, title=f"{title.say()}: {len(ones)}", wide={2: 3, 3: 4},
    )  # fmt: skip
    if len(ones) > _SHOWN:
        say(f"  ほか {len(ones) - _SHOWN} 件", f"  and {len(ones) - _SHOWN} more")


def _show_report(report: FixReport, *, reveal: bool, json: bool) -> None:
    if json:
        keys = {
            name: [_told(one, reveal=reveal)["key"] for one in getattr(report, name)]
            for name in ("fixed", "vanished", "still")
        }
        json_line({"run": report.run, **report.counts, "keys": keys, "notes": report.notes})
        return
    counts = report.counts
    line = Words(
        f"直った {counts['fixed']} · すでに解消 {counts['vanished']} · まだ違う {counts['still']} · "
        f"対象外 {counts['left']}",
        f"put right {counts['fixed']} · had settled {counts['vanished']} · still different {counts['still']} · "
        f"left to a person {counts['left']}",
    ).say()
    (wrong if report.still else good)(line)
    for title, ones in (
        (Words("すでに解消していたもの", "Had settled already, skipped"), report.vanished),
        (Words("まだ違うもの", "Still different"), report.still),
    ):
        if ones:
            _show_differences(title, ones, reveal=reveal)
    from hub.logs import mask

    for note in report.notes[:_SHOWN]:
        shown = mask("said", note)
        say(f"  ・{shown}", f"  - {shown}")


# ---------------------------------------------------------------- list, status


@app.command("list")
def list_runs(
    system: Annotated[
        str | None, typer.Option("--system", "-s", help="このシステムだけ / only this system")
    ] = None,
    json: Json = False,
) -> None:
    """それぞれの最新の照合結果 / the newest comparison of each system and kind"""
    from hub.reconcile.results import latest

    with open_hub() as hub, hub.engine.connect() as connection:
        found = latest(connection, _reports(), system)
    if json:
        for one in found:
            json_line(one.as_dict())
        return
    show_table(
        [Words("番号", "run"), Words("システム", "system"), Words("対象", "subject"), Words("日時", "at"),
         Words("結果", "outcome"), Words("差異", "differences"), Words("反映待ち", "in flight")],
        [
            (one.run, one.system, one.subject, one.started_at, _OUTCOMES[one.outcome].say(), one.differences,
             one.counts.get("in_flight", 0))
            for one in found
        ],
        right=(0, 5, 6),
    )  # fmt: skip


_OUTCOMES = {
    "equal": Words("✓ 一致", "✓ equal"),
    "different": Words("✗ 差異あり", "✗ different"),
    "failed": Words("✗ 中断", "✗ failed"),
    "running": Words("実行中", "running"),
}


def tell_reconciled(hub: Hub, system: str | None = None, *, json: bool = False) -> None:
    """Lines for `tsunagi status`: the newest comparisons that need a person."""
    from hub.reconcile.results import latest

    with hub.engine.connect() as connection:
        found = latest(connection, system=system)
    for one in found:
        if json:
            json_line(
                {
                    "reconcile": one.subject, "system": one.system, "run": one.run, "outcome": one.outcome,
                    "differences": one.differences, "at": one.started_at,
                }
            )  # fmt: skip
        elif one.outcome in ("different", "failed"):
            wrong(_line(one).say(), error=True)


def _line(one: Result) -> Words:
    at = cell(one.started_at)
    if one.outcome == "failed":
        return Words(
            f"照合 {one.system} {one.subject} ({at}) は中断しました: {one.error}",
            f"The comparison of {one.system} {one.subject} ({at}) failed: {one.error}",
        )
    return Words(
        f"照合 {one.system} {one.subject} ({at}): 差異 {one.differences} 件。tsunagi reconcile fix {one.run} で確認",
        f"Comparison of {one.system} {one.subject} ({at}): {one.differences} differences. "
        f"See tsunagi reconcile fix {one.run}",
    )
