"""`tsunagi people`: which customers are one person (名寄せ): what rules say, what persons decide, and the way back."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hub.cli.failures import Exit, fail
from hub.cli.opening import open_hub
from hub.cli.output import Json, Reveal, as_json, cell, good, json_line, out, progress, say, show_table, wrong
from hub.words import Words, language

if TYPE_CHECKING:
    from hub.engine import Hub
    from hub.people.persons import Survivors
    from hub.people.rules import PeopleRules
    from hub.people.view import Candidate, Person, Side

__all__ = ["app", "tell_people"]

app = typer.Typer(
    help="顧客の名寄せ / which customers are one person: rules, the queue, and undo", no_args_is_help=True
)

PAIR = "候補の番号 / number of the pair"
Number = Annotated[int, typer.Argument(metavar="NUMBER", help=PAIR)]
Numbers = Annotated[list[int], typer.Argument(metavar="NUMBER...", help=PAIR)]
By = Annotated[
    str | None,
    typer.Option(
        "--by", help="判断した人。既定はOSの利用者名 / who decides; default: the user of this machine"
    ),
]
Reason = Annotated[
    str | None,
    typer.Option("--reason", "-r", help="理由。省略すると尋ねる / why; asked for when left out"),
]


def _rules() -> PeopleRules:
    from hub.home import Settings
    from hub.people.rules import load_rules

    return load_rules(Settings.from_env().home.root)


def _survivors(hub: Hub, rules: PeopleRules) -> Survivors:
    from hub.people.persons import Survivors

    return Survivors.of(rules.file.survivors, hub.systems)


def _who(by: str | None) -> str:
    name = (by or "").strip()
    if not name:
        try:
            name = getpass.getuser()
        except (OSError, KeyError):
            name = "unknown"
    return name


def _reason(given: str | None) -> str:
    if given is None and sys.stdin.isatty():
        given = str(typer.prompt(Words("理由", "reason").say()))
    if not (given or "").strip():
        raise fail("--reason で理由を指定してください。", "Give the reason: --reason.", Exit.USAGE)
    return str(given).strip()


# ---------------------------------------------------------------- matching


@app.command()
def match(json: Json = False) -> None:
    """変わった顧客を照合する / compare the customers that changed since the last time

    確実なものだけを自動でつなぎ、残りは判断待ちに入れます。何も変わっていなければ何も書きません。 /
    Links only what is certain and puts the rest into the queue; writes nothing when nothing changed.
    """
    rules = _rules()
    with open_hub() as hub, progress(Words("照合中", "matching"), quiet=json) as watch:
        from hub.people.turn import match_people

        found = match_people(hub.engine, hub.systems, rules, watch=watch)
    if json:
        json_line(found.as_dict())
        return
    say(
        f"{found.compared} 件を照合: 自動でつないだもの {found.linked}、判断待ち {found.opened}、世帯 {found.noted}、"
        f"取り下げ {found.withdrawn}({found.seconds:.1f} 秒)",
        f"{found.compared} compared: {found.linked} pairs linked by rules, {found.opened} for a person, "
        f"{found.noted} households, {found.withdrawn} withdrawn ({found.seconds:.1f} s)",
    )
    for rule, customers in found.crowded.items():
        say(f"規則 {rule}: {customers} 件は同じ値の顧客が多すぎるため照合していません。",
            f"Rule {rule}: {customers} customers share values with too many others and were not paired.")  # fmt: skip
    if found.doubted:
        say(f"自動でつないだ {found.doubted} 組に疑いがあります。tsunagi people queue で確認してください。",
            f"{found.doubted} links made by rules are in doubt: see tsunagi people queue.")  # fmt: skip
    if found.waiting:
        say("書き込み中の変更があります。もう一度実行してください。",
            "Newer changes are still being written; run it again.")  # fmt: skip


# ---------------------------------------------------------------- looking


@app.command()
def queue(
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="何件まで / at most so many")] = 50,
    reveal: Reveal = False,
    json: Json = False,
) -> None:
    """判断待ちの一覧 / pairs that wait for a person, and links in doubt

    個人情報は --reveal を付けるまで伏せます。 /
    Personal data is masked unless --reveal is given.
    """
    rules = _rules()
    with open_hub() as hub, hub.engine.connect() as connection:
        from hub.people.view import queue as waiting, queue_size

        pairs = waiting(connection, rules, limit=limit)
        size = queue_size(connection)
    shown = pairs if reveal else [pair.masked() for pair in pairs]
    if json:
        for pair in shown:
            json_line(_pair_json(pair))
    elif not shown:
        good(Words("判断待ちはありません。", "Nothing waits for a person.").say())
    else:
        _show_pairs(shown, Words("判断待ち", "Waiting for a person"))
        typer.echo(
            Words(
                "同一なら: tsunagi people accept 番号  別人なら: tsunagi people reject 番号 --reason 理由",
                "The same: tsunagi people accept NUMBER  Different: tsunagi people reject NUMBER --reason WHY",
            ).say(),
            err=True,
        )
    if size > len(pairs):
        more = Words(
            f"{size} 件中 {len(pairs)} 件を表示しました(--limit)", f"{len(pairs)} of {size} shown (--limit)"
        )
        typer.echo(more.say(), err=True)


@app.command()
def show(
    key: Annotated[
        str, typer.Argument(metavar="KEY", help="顧客のキー。例 core/00001234 / the customer's key")
    ],
    reveal: Reveal = False,
    json: Json = False,
) -> None:
    """1人の顧客: だれとつながり、それはなぜか / a customer: who it is one person with, and why

    個人情報は --reveal を付けるまで伏せます。 /
    Personal data is masked unless --reveal is given.
    """
    rules = _rules()
    with open_hub() as hub, hub.engine.connect() as connection:
        from hub.people.view import show as look

        person = look(connection, rules, key, hub.systems.authority.get("customer", {}))
    if json:
        json_line(_person_json(person, reveal))
    else:
        _show_person(person, reveal)


def _person_json(person: Person, reveal: bool) -> dict[str, Any]:
    from hub.logs import mask, mask_record

    lists = {
        name: [_pair_json(pair if reveal else pair.masked()) for pair in getattr(person, name)]
        for name in ("links", "households", "open", "rejected")
    }
    customers = [side if reveal else side.masked() for side in person.customers]
    return {
        "key": person.key if reveal else mask("id", person.key),
        "survivor": person.survivor if reveal else mask("id", person.survivor),
        "customers": [asdict(side) for side in customers],
        **lists,
        "content": person.content if reveal else mask_record(person.content, "customer"),
    }


def _pair_json(pair: Candidate) -> dict[str, Any]:
    return {**asdict(pair), "rules": {name: words.say() for name, words in pair.rules.items()}}


def _show_person(person: Person, reveal: bool) -> None:
    from hub.logs import mask, mask_record

    survivor = person.survivor if reveal else mask("id", person.survivor)
    sides = [side if reveal else side.masked() for side in person.customers]
    title = Words(f"{survivor} に統合された顧客", f"Customers that are {survivor}")
    if len(sides) == 1:
        title = Words("ほかの顧客とはつながっていません", "Not linked to any other customer")
    show_table(
        [Words("キー", "key"), Words("氏名", "name"), Words("電話・メール", "telephone, e-mail"),
         Words("住所", "address"), Words("生年月日", "born")],
        [(side.key, f"{side.name}\n{side.kana}".strip(), "\n".join((*side.phones, *side.emails)), side.address,
          side.birth_date) for side in sides],
        title=title.say(), wide={0: 3, 1: 2, 2: 3, 3: 3},
    )  # fmt: skip
    for pairs, words in (
        (person.links, Words("つないだ理由", "Linked because")),
        (person.open, Words("判断待ち", "Waiting for a person")),
        (person.households, Words("同じ世帯", "Same household")),
        (person.rejected, Words("別人と判定済み", "Decided to be different")),
    ):
        if pairs:
            _show_pairs(pairs if reveal else [pair.masked() for pair in pairs], words)
    if len(sides) > 1:
        say("1人としての内容:", "As one person:")
        content = person.content if reveal else mask_record(person.content, "customer")
        out().print_json(as_json(content).decode(), ensure_ascii=False)


def _show_pairs(pairs: Sequence[Candidate], title: Words) -> None:
    show_table(
        [Words("番号", "no."), Words("顧客1", "one"), Words("顧客2", "other"), Words("理由", "why")],
        [(pair.id, _side(pair.one), _side(pair.other), _why(pair)) for pair in pairs],
        title=title.say(), wide={1: 3, 2: 3, 3: 4}, right=(0,),
    )  # fmt: skip


def _side(side: Side) -> str:
    lines = [side.key, side.name, side.kana, *side.phones, *side.emails, side.address, side.birth_date]
    if side.others:
        others = ", ".join(side.others)
        lines.append(Words(f"つながり済み: {others}", f"one person with {others}").say())
    return "\n".join(line for line in lines if line)


def _why(pair: Candidate) -> str:
    from hub.people.view import NAMES

    lines = [words.say() for words in pair.rules.values()]
    if pair.against:
        names = "、".join(NAMES[what].say() for what in pair.against)
        lines.append(Words(f"異なる点: {names}", f"against: {names}").say())
    if pair.doubts:
        names = "、".join(NAMES[what].say() for what in pair.doubts)
        lines.append(Words(f"自動リンクに疑い: {names}", f"linked by rules, in doubt: {names}").say())
    lines += [
        f"{_ACTIONS[each.action].say()} {each.by} {cell(each.at)} {each.reason}" for each in pair.decisions
    ]
    return "\n".join(lines)


_ACTIONS = {
    "linked": Words("自動", "linked by rules"),
    "accepted": Words("同一と判断", "accepted"),
    "rejected": Words("別人と判断", "rejected"),
    "undone": Words("取り消し", "undone"),
}


# ---------------------------------------------------------------- deciding


@app.command()
def accept(
    number: Number,
    survivor: Annotated[
        str | None,
        typer.Option("--survivor", metavar="KEY", help="残す顧客のキー。省略時は規則で決まる / who survives"),
    ] = None,
    by: By = None,
    reason: Annotated[str, typer.Option("--reason", "-r", help="理由 / why")] = "",
) -> None:
    """同一人物としてつなぐ / the two are one person

    どちらの顧客も消えません。いつでも undo で元に戻せます。 /
    Neither customer goes away; undo brings back what was.
    """
    rules = _rules()
    with open_hub() as hub:
        from hub.people.decisions import accept as decide

        survivors = _survivors(hub, rules)
        with hub.engine.begin() as connection:
            decide(connection, number, by=_who(by), survivors=survivors, reason=reason, survivor=survivor)
    say(f"候補 {number} をつなぎました。", f"Pair {number} is linked.")


@app.command()
def reject(numbers: Numbers, reason: Reason = None, by: By = None) -> None:
    """別人と決める。二度と候補に出ません / the two are different; never offered again"""
    why = _reason(reason)
    with open_hub() as hub:
        from hub.people.decisions import reject as decide

        for number in numbers:
            with hub.engine.begin() as connection:
                decide(connection, number, by=_who(by), reason=why)
            say(f"候補 {number} を別人としました。", f"Pair {number} is rejected.")


@app.command()
def undo(number: Number, reason: Reason = None, by: By = None) -> None:
    """つなぎを取り消す / take a link back

    つなぐ前の状態に戻し、別人として記憶します。 /
    Everything is as before, and the pair is remembered as different.
    """
    why = _reason(reason)
    rules = _rules()
    with open_hub() as hub:
        from hub.people.decisions import undo as decide

        survivors = _survivors(hub, rules)
        with hub.engine.begin() as connection:
            decide(connection, number, by=_who(by), reason=why, survivors=survivors)
    say(f"候補 {number} のつなぎを取り消しました。", f"The link {number} is undone.")


# ---------------------------------------------------------------- Excel


@app.command("export")
def export_queue(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="書き出す .xlsx か .csv / the .xlsx or .csv to write")
    ],
    reveal: Reveal = False,
) -> None:
    """判断待ちを Excel に書き出す / write the queue to an Excel or CSV file

    「判断」の列に 同一 か 別人 を記入し、import で取り込みます。 /
    Write "same" or "different" into the column of decisions, then import the file.
    """
    rules = _rules()
    with open_hub() as hub, hub.engine.connect() as connection:
        from hub.people.sheet import write_sheet
        from hub.people.view import queue as waiting

        pairs = waiting(connection, rules, limit=1_000_000)
        write_sheet(pairs if reveal else [pair.masked() for pair in pairs], file, language())
    say(f"{len(pairs)} 件を {file} に書き出しました。", f"{len(pairs)} pairs written to {file}.")


@app.command("import")
def import_sheet(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="記入した .xlsx か .csv / the file with decisions")
    ],
    by: By = None,
    json: Json = False,
) -> None:
    """Excel の判断を取り込む / follow the decisions written into an exported file

    取り込めない行は行番号と理由を示し、ほかの行は取り込みます(終了コード 1)。 /
    Rows that cannot be followed are told by line; all others are followed. The exit code is then 1.
    """
    rules = _rules()
    with open_hub() as hub:
        from hub.people.sheet import import_decisions

        found = import_decisions(hub.engine, file, by=_who(by), survivors=_survivors(hub, rules))
    if json:
        faults = [
            {**asdict(fault), "column": fault.column.say(), "reason": fault.reason.say()}
            for fault in found.faults
        ]
        json_line({**asdict(found), "faults": faults})
    else:
        say(
            f"同一 {found.accepted}、別人 {found.rejected}、取り消し {found.undone}、未記入 {found.blank}、"
            f"取り込めない行 {len(found.faults)}",
            f"{found.accepted} the same, {found.rejected} different, {found.undone} undone, {found.blank} left open, "
            f"{len(found.faults)} rows not followed",
        )
        for fault in found.faults:
            wrong(fault.words.say(), error=True)
    if found.faults:
        raise typer.Exit(Exit.PROBLEM)


def tell_people(hub: Hub, *, json: bool = False) -> None:
    """A line for `tsunagi status`: how many pairs of customers wait for a person."""
    from hub.people.view import queue_size

    with hub.engine.connect() as connection:
        waiting = queue_size(connection)
    if json:
        json_line({"people_queue": waiting})
    elif waiting:
        say(
            f"名寄せの候補 {waiting} 件が判断を待っています。tsunagi people queue で確認",
            f"{waiting} pairs of customers that may be one person wait. See tsunagi people queue",
        )
