"""`tsunagi erase`: taking a person out of everything the hub keeps, and proving it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hub.cli.failures import Exit, fail
from hub.cli.opening import open_hub
from hub.cli.output import Json, Reveal, good, json_line, say, show_table, waiting, wrong
from hub.words import Words

if TYPE_CHECKING:
    from hub.engine import Hub
    from hub.erasure.register import Certificate
    from hub.erasure.run import Erased, Plan

__all__ = ["app"]

app = typer.Typer(help="個人情報の消去と証明 / erasing a person, and proving it", no_args_is_help=True)

Number = Annotated[int, typer.Argument(metavar="ID", help="消去番号 / number of the erasure")]
Asked = Annotated[
    str,
    typer.Argument(
        metavar="ID|KEY", help="消去番号か顧客キー / number of the erasure, or the customer's key"
    ),
]

_PLACES = {
    "intake": Words("受信したページ・ファイル・イベント", "pages, files and events received"),
    "intake rows": Words("そのうち本人の行", "rows of the person in them"),
    "entity:customer": Words("顧客", "customers"),
    "entity:order": Words("受注", "orders"),
    "entity:shipment": Words("出荷", "shipments"),
    "contribution": Words("システムごとの値", "what each system said"),
    "cross_reference": Words("相互参照", "cross-references"),
    "record": Words("取込済み記録", "records known"),
    "ledger": Words("送信済みの値", "values accepted by others"),
    "delivery_change": Words("送信の控え", "deliveries"),
    "quarantine": Words("隔離", "quarantine"),
    "files": Words("ファイル", "files"),
}


@app.command()
def customer(
    key: Annotated[
        str,
        typer.Argument(metavar="KEY", help="顧客キー(チャネル/番号) / the customer's key: channel/number"),
    ],
    reason: Annotated[
        str, typer.Option("--reason", help="理由(個人情報を書かない) / why; no personal data here")
    ] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="計画だけ表示する / only show what would be done")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="確認しない / do not ask")] = False,
    with_alike: Annotated[
        bool,
        typer.Option(
            "--with-alike",
            help="氏名と連絡先が同じ別の顧客も消去 / also customers of the same name and e-mail or phone",
        ),
    ] = False,
    open_orders: Annotated[
        bool,
        typer.Option(
            "--open-orders",
            help="未出荷の受注があっても消去 / although orders of theirs are still to be shipped",
        ),
    ] = False,
    reveal: Reveal = False,
    json: Json = False,
) -> None:
    """顧客を消去する: 顧客・受信・隔離・送信・ファイルの全て / erase a customer, in every place the hub keeps

    金額・受注番号・商品・税額は残り、誰だったかが消えます。先に計画を表示します。ほかのシステムには何も送りません。 /
    Amounts, order numbers, goods and taxes stay; who it was goes. Shows the plan first. Sends nothing to other systems.
    """
    from hub.erasure.run import erase

    with open_hub() as hub:
        plan = _plan(hub, key, with_alike=with_alike)
        if plan is None:
            return
        if json and dry_run:
            json_line(_plan_json(plan, reveal=reveal))
        elif not json:
            _show_plan(plan, reveal=reveal)
        if dry_run:
            return
        if plan.found.open_orders and not open_orders:
            raise fail(
                f"未出荷の受注が {len(plan.found.open_orders)} 件あります。消去すると届け先が分からなくなります。"
                "出荷か取消の後で実行するか、--open-orders を付けてください。",
                f"{len(plan.found.open_orders)} orders are still to be shipped, and nobody would know where to. "
                "Erase when they are shipped or cancelled, or give --open-orders.",
            )
        if not yes:
            typer.confirm(
                Words("消去しますか。元には戻せません", "Erase? This cannot be undone").say(),
                abort=True,
                err=True,
            )
        with waiting(Words("消去しています", "erasing")):
            done = erase(hub, plan, reason=reason)
    if json:
        json_line({"id": done.id, "places": done.places, "pages_erased_whole": done.whole,
                   "pages_waiting": done.waiting, "files_left": [str(path) for path in done.unclean]})  # fmt: skip
    else:
        _show_done(done)
    if done.unclean:
        raise typer.Exit(Exit.PROBLEM)


def _plan(hub: Hub, key: str, *, with_alike: bool) -> Plan | None:
    """The plan; None, and a word about it, when the customer was erased before."""
    from hub.erasure.person import NoSuchCustomer
    from hub.erasure.register import NoSuchErasure, certificate
    from hub.erasure.run import make_plan

    try:
        with waiting(Words("探しています", "searching")):
            return make_plan(hub, key, with_alike=with_alike)
    except NoSuchCustomer as unknown:
        with hub.engine.connect() as connection:
            try:
                before = certificate(connection, key)
            except NoSuchErasure:
                raise unknown from None
        say(
            f"{before.erased_at:%Y-%m-%d} に消去済みです(消去番号 {before.id})。",
            f"Erased on {before.erased_at:%Y-%m-%d} already (erasure {before.id}).",
        )
        return None


def _plan_json(plan: Plan, *, reveal: bool) -> dict[str, Any]:
    from hub.logs import mask

    return {
        "held": plan.held,
        "open_orders": [one.key for one in plan.found.open_orders],
        "alike": [one if reveal else mask("key", one) for one in plan.found.alike],
        "pages_waiting": plan.waiting,
        "files": [str(path) for path in plan.files],
        "elsewhere": [
            {"system": one.system, "kind": one.kind, "external_id": _id(one.kind, one.external_id, reveal),
             "flow_that_could_delete": one.flow}
            for one in plan.beyond
        ],
        "archives": [{"system": system, "folder": folder} for system, folder in plan.archives],
    }  # fmt: skip


def _id(kind: str, value: str, reveal: bool) -> str:
    from hub.logs import mask

    return value if reveal or kind != "customer" else mask("id", value)


def _show_plan(plan: Plan, *, reveal: bool) -> None:
    from hub.logs import mask

    show_table(
        [Words("場所", "place"), Words("件数", "how many")],
        [(_place(place), count) for place, count in sorted(plan.held.items())],
        title=Words("ハブが持っているもの", "What the hub holds").say(), right=(1,),
    )  # fmt: skip
    say(
        "残るもの: 金額、税額、受注番号、日付、商品、状態(帳簿の保存義務)。",
        "What stays: amounts, taxes, order numbers, dates, goods, states (books must be kept).",
    )
    if plan.found.company:
        say(
            "法人のため、請求書などの書類の宛名は残ります。",
            "It is a company: its name stays on invoices and other documents.",
        )
    if plan.found.alike:
        keys = ", ".join(one if reveal else mask("key", one) for one in plan.found.alike)
        say(
            f"氏名と連絡先が同じ別の顧客は対象外です: {keys}(含めるには --with-alike)。",
            f"Customers of the same name and e-mail or phone are left out: {keys} (--with-alike takes them in).",
        )
    if plan.waiting:
        say(
            f"未処理のページ {len(plan.waiting)} 件は、取り込むときに消去します。",
            f"{len(plan.waiting)} pages still to be taken in are cleaned when they are.",
        )
    if plan.beyond or plan.archives:
        show_table(
            [Words("システム", "system"), Words("種類", "kind"), Words("相手のID", "id over there"),
             Words("削除を運べるフロー", "flow that could carry a deletion")],
            [(one.system, one.kind, _id(one.kind, one.external_id, reveal), one.flow or "") for one in plan.beyond]
            + [(system, Words("保管フォルダ", "archive").say(), folder, "") for system, folder in plan.archives],
            title=Words(
                "ハブの外にある写し(相手に依頼してください。--reveal でIDを表示)",
                "Copies beyond the hub's reach (ask for them there; --reveal shows the ids)",
            ).say(),
            wide={2: 1},
        )  # fmt: skip
    say(
        "バックアップ、書き出したCSV、印刷物もハブの外です。",
        "Backups, exported files and paper are beyond the hub's reach as well.",
    )


def _place(place: str) -> str:
    words = _PLACES.get(place)
    return words.say() if words else place.removeprefix("entity:")


def _show_done(done: Erased) -> None:
    good(Words(f"消去しました。消去番号 {done.id}", f"Erased. The number of this erasure is {done.id}").say())
    if done.whole:
        numbers = ", ".join(map(str, done.whole))
        say(
            f"行だけを消せなかったページは丸ごと消しました: {numbers}。隔離中の行があれば再送してもらってください。",
            f"Pages in which the rows alone could not be blanked were erased whole: {numbers}. Have rows that wait "
            "in quarantine sent again.",
        )
    for path in done.unclean:
        wrong(
            Words(
                f"{path} は圧縮・バイナリのため消去できません。確認して削除してください。",
                f"{path} is packed or binary and was not cleaned. Look at it and delete it.",
            ).say(),
            error=True,
        )
    check = f"tsunagi erase verify {done.id}"
    say(
        f"確認: {check} (標準入力に氏名・電話・メールを1行ずつ)",
        f"Prove it: {check} (the values on standard input, one a line)",
    )


# ---------------------------------------------------------------- the register


@app.command("list")
def list_erasures(json: Json = False) -> None:
    """消去の記録 / every erasure, without personal data"""
    from hub.erasure.register import certificates

    with open_hub() as hub, hub.engine.connect() as connection:
        found = certificates(connection)
    if json:
        for one in found:
            json_line(one.as_dict())
    elif found:
        show_table(
            [Words("番号", "no."), Words("日時", "when"), Words("実行者", "who"), Words("理由", "why"),
             Words("件数", "things"), Words("解除", "lifted")],
            [(one.id, one.erased_at, one.requested_by, one.reason, sum(one.places.values()), one.lifted_at)
             for one in found],
            wide={3: 1}, right=(0, 4),
        )  # fmt: skip
    else:
        say("消去の記録はありません。", "Nobody was erased.")


@app.command()
def show(asked: Asked, json: Json = False) -> None:
    """消去の証明 / the certificate of an erasure: who, when, why, how much in which place"""
    from hub.erasure.register import certificate

    with open_hub() as hub, hub.engine.connect() as connection:
        found = certificate(connection, asked)
    if json:
        json_line(found.as_dict())
        return
    _show_certificate(found)


def _show_certificate(found: Certificate) -> None:
    when, why = f"{found.erased_at:%Y-%m-%d %H:%M} UTC", found.reason or "—"
    say(
        f"消去 {found.id}: {when}、実行者 {found.requested_by}、理由: {why}",
        f"Erasure {found.id}: {when}, by {found.requested_by}, why: {why}",
    )
    show_table(
        [Words("場所", "place"), Words("件数", "how many")],
        [(_place(place), count) for place, count in sorted(found.places.items())],
        right=(1,),
    )
    say(
        f"写しを持つシステム: {', '.join(found.systems) or '—'}",
        f"Systems with copies: {', '.join(found.systems) or '—'}",
    )
    say(f"封印(SHA-256): {found.seal}", f"Seal (SHA-256): {found.seal}")
    if found.lifted_at is not None:
        say(
            f"{found.lifted_at:%Y-%m-%d} に {found.lifted_by} が解除しました。",
            f"Lifted on {found.lifted_at:%Y-%m-%d} by {found.lifted_by}.",
        )


@app.command()
def verify(asked: Asked, json: Json = False) -> None:
    """残っていないことを確かめる: 値は標準入力から / prove that nothing is left; the values come on standard input

    氏名・カナ・電話・メール・番地などを1行に1つ。全ての表とファイルを、文字コードや全角半角の違いも含めて探します。
    見つかれば場所を示し、終了コード 1。同姓同名の人の行も見つかります。 /
    Name, kana, phone, e-mail, street, one a line. Searches every table and file, in every encoding and width.
    Tells where something is found; the exit code is then 1. Rows of others of the same name are found too.
    """
    from hub.erasure.register import certificate, remains

    if sys.stdin.isatty():
        prompt = Words(
            "値を1行ずつ入力し、Ctrl-D で終えてください", "Type the values, one a line; end with Ctrl-D"
        )
        typer.echo(prompt.say(), err=True)
    values = [line.strip() for line in sys.stdin if len(line.strip()) > 1]
    if not values:
        raise fail(
            "標準入力に値がありません。氏名・電話・メールなどを1行に1つ渡してください。",
            "There are no values on standard input. Give name, phone, e-mail and so on, one a line.",
            Exit.USAGE,
        )
    with open_hub() as hub:
        with hub.engine.connect() as connection:
            certificate(connection, asked)
        with waiting(Words("探しています", "searching")):
            places, files = remains(hub, values)
    if json:
        for place in places:
            json_line({"where": place.where, "rows": place.rows, "ids": place.ids})
        for path in files:
            json_line({"file": str(path)})
    else:
        for place in places:
            wrong(f"{place.where}: {place.rows} {', '.join(place.ids)}")
        for path in files:
            wrong(str(path))
    if places or files:
        raise typer.Exit(Exit.PROBLEM)
    if not json:
        good(Words("どこにも残っていません。", "Nothing is left.").say())


@app.command()
def lift(
    number: Number, yes: Annotated[bool, typer.Option("--yes", "-y", help="確認しない / do not ask")] = False
) -> None:
    """消去の見張りを解く: 次の受信から再び取り込む / let the person come in again with the next listing

    消去の記録は残ります。消えた値は、システムから再び届くまで戻りません。 /
    The certificate stays. What was erased comes back only when a system tells it anew.
    """
    from hub.erasure.register import certificate, lift as lift_erasure

    with open_hub() as hub:
        with hub.engine.connect() as connection:
            certificate(connection, str(number))
        if not yes:
            typer.confirm(
                Words("この人を再び取り込みますか", "Take this person in again").say(), abort=True, err=True
            )
        with hub.engine.begin() as connection:
            lifted = lift_erasure(connection, number)
    if lifted:
        good(Words(f"消去 {number} を解除しました。", f"Erasure {number} is lifted.").say())
    else:
        say(f"消去 {number} はすでに解除されています。", f"Erasure {number} was lifted before.")
