"""`tsunagi stock`, `tsunagi explain stock SKU`: why a channel shows what it shows, and what is oversold."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hub.cli.failures import Exit, fail
from hub.cli.opening import open_hub
from hub.cli.output import Json, good, json_line, out, say, show_table, wrong
from hub.words import Words

if TYPE_CHECKING:
    from hub.engine import Hub
    from hub.stock.explain import Claim, Shown, StockExplanation
    from hub.stock.oversold import Oversold

__all__ = ["Channel", "register", "show_stock", "tell_oversold"]

_TERMS = (
    ("on_hand", +1, Words("実在庫", "on hand")),
    ("allocated", -1, Words("引当済", "allocated")),
    ("safety_stock", -1, Words("安全在庫", "safety stock")),
    ("reserved", -1, Words("取り置き", "reserved")),
    ("unbooked", -1, Words("未計上の受注", "ordered, not in the counts yet")),
)
_KEPT = (
    ("buffer", -1, Words("チャネルの予備", "this channel's buffer")),
    ("withheld", -1, Words("他チャネルへの配分", "left to other channels")),
)


Channel = Annotated[
    str | None,
    typer.Option("--channel", "-c", metavar="CHANNEL", help="このチャネルだけ / only this channel"),
]


def stock(
    sku: Annotated[
        str | None,
        typer.Argument(
            metavar="[SKU]", help="商品コード。省略時は売り越しの一覧 / default: what is oversold"
        ),
    ] = None,
    channel: Channel = None,
    json: Json = False,
) -> None:
    """なぜこの在庫数を表示しているか、売り越しはどれか / why channels show so many of a SKU; what is oversold

    SKUを省くと、あるより多く売れた受注と連絡先を示します(あれば終了コード 1)。 /
    Without a SKU, the orders for which too little is there, and who to call; the exit code is then 1.
    """
    if sku is not None:
        show_stock(sku, channel, json=json)
        return
    with open_hub() as hub:
        found = hub.oversold()
    _show_oversold(found, json=json)


def show_stock(sku: str, channel: str | None, *, json: bool) -> None:
    """Explain the numbers of a SKU, of one channel or of all."""
    with open_hub() as hub:
        found = _explained(hub, sku, channel)
    if json:
        json_line({**asdict(found), "claims": [_claim_json(claim) for claim in found.claims]})
        return
    for one in found.shown:
        _show_channel(one)
    _show_rows(found)


def _explained(hub: Hub, sku: str, channel: str | None) -> StockExplanation:
    try:
        found = hub.explain_stock(sku, channel)
    except LookupError:
        raise fail(
            f"在庫に「{sku}」という商品コードはありません。", f"Nobody counts the SKU {sku!r}.", Exit.USAGE
        ) from None
    if channel is not None and not found.shown:
        raise fail(
            f"チャネル「{channel}」に {sku} の出品はありません。",
            f"The channel {channel!r} does not list {sku}.",
            Exit.USAGE,
        )
    return found


def _claim_json(claim: Claim) -> dict[str, Any]:
    return {**asdict(claim), "why": {"ja": claim.why.ja, "en": claim.why.en}}


def _show_channel(one: Shown) -> None:
    content = one.content
    title = Words(
        f"{one.channel}: {content['quantity']} 個を表示", f"{one.channel} shows {content['quantity']}"
    )
    rows: list[tuple[Any, ...]] = [_term(content, *term) for term in _TERMS]
    if part := content.get("limiting_part"):
        units = content.get("part_units", 1)
        rows.append((Words(f"{part} {units} 個で 1 セット", f"{units} of {part} make a kit").say(), ""))
    rows.append((Words("残り", "left for all").say(), content.get("free", 0)))
    rows += [_term(content, *term) for term in _KEPT if content.get(term[0])]
    rows.append((Words("表示数", "shown").say(), content["quantity"]))
    show_table([Words("内訳", "term"), Words("個数", "units")], rows, title=title.say(), right=(1,))
    if one.rule:
        policy = content.get("policy", "shared")
        say(f"配分: {policy} ({one.rule})", f"Policy: {policy} ({one.rule})")
    say(f"拠点: {', '.join(one.locations)}", f"Locations: {', '.join(one.locations)}")
    for told in one.told:
        say(f"{told.system} に送信済み: {dict(told.record)}", f"{told.system} was told: {dict(told.record)}")


def _term(content: Any, name: str, sign: int, words: Words) -> tuple[str, int]:
    return words.say(), sign * content.get(name, 0)


def _show_rows(found: StockExplanation) -> None:
    show_table(
        [Words("SKU", "SKU"), Words("拠点", "location"), Words("実在庫", "on hand"), Words("引当", "allocated"),
         Words("安全", "safety"), Words("その後", "moved since"), Words("時点", "as of"), Words("元データ", "from")],
        [(c.sku, c.location, c.on_hand, c.allocated, c.safety_stock, c.moved, c.as_of,
          f"{c.system or '?'} {c.page or ''}".strip()) for c in found.counted],
        title=Words("在庫", "Counts").say(), wide={7: 1}, right=(2, 3, 4, 5),
    )  # fmt: skip
    if found.moved:
        show_table(
            [Words("変動", "movement"), Words("拠点", "location"), Words("増減", "units"), Words("理由", "reason"),
             Words("日時", "at")],
            [(m.key, m.location, m.quantity, m.reason, m.occurred_at) for m in found.moved],
            title=Words("計上後の変動", "Moved since the count").say(), wide={0: 1}, right=(2,),
        )  # fmt: skip
    if found.claims:
        show_table(
            [Words("受注・取り置き", "order or reservation"), Words("チャネル", "channel"), Words("個数", "units"),
             Words("理由", "why it counts"), Words("受注・期限", "ordered / until")],
            [(c.key, c.channel, c.units, c.why.say(), c.since) for c in found.claims],
            title=Words("約束済み", "Promised").say(), wide={0: 1, 3: 1}, right=(2,),
        )  # fmt: skip
    for one in found.oversold:
        out().print(
            Words(
                f"売り越し: {one.order_key} の {one.units} 個。連絡先: {one.call}",
                f"Oversold: {one.units} of {one.order_key}. Call: {one.call}",
            ).say(),
            markup=False, soft_wrap=True, style="bold red",
        )  # fmt: skip


def _show_oversold(rows: list[Oversold], *, json: bool) -> None:
    if json:
        for one in rows:
            json_line(asdict(one))
    elif not rows:
        good(Words("売り越しはありません。", "Nothing is oversold.").say())
    else:
        _oversold_table(rows)
    if rows:
        raise typer.Exit(Exit.PROBLEM)


def tell_oversold(hub: Hub) -> None:
    """A line for `tsunagi status`: as of the last turn."""
    from hub.stock import open_oversold

    with hub.engine.connect() as connection:
        found = open_oversold(connection, hub.systems)
    if found:
        units = sum(one.units for one in found)
        wrong(
            Words(
                f"売り越し: {len(found)} 件、{units} 個。tsunagi stock で確認してください。",
                f"Oversold: {units} units on {len(found)} orders. See tsunagi stock.",
            ).say(),
            error=True,
        )


def _oversold_table(rows: list[Oversold]) -> None:
    show_table(
        [Words("SKU", "SKU"), Words("受注", "order"), Words("不足", "missing"), Words("いつから", "since"),
         Words("連絡先", "call")],
        [(one.sku, one.order_key, one.units, one.flagged_at, one.call) for one in rows],
        title=Words("売り越し", "Oversold").say(), wide={1: 1}, right=(2,),
    )  # fmt: skip


def register(app: typer.Typer, panel: str) -> None:
    """Put the command of this file into the application."""
    app.command(rich_help_panel=panel)(stock)
