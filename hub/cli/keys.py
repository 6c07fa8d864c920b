"""`tsunagi key create | list | revoke`: who may use the API."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hub.cli.failures import Exit, fail
from hub.cli.opening import open_hub
from hub.cli.output import Json, cell, good, json_line, say, show_table
from hub.words import Words

if TYPE_CHECKING:
    from hub.api.keys import ApiKey

__all__ = ["app"]

app = typer.Typer(help="APIの鍵 / keys of the API", no_args_is_help=True)

_STATES = {
    "valid": Words("有効", "valid"),
    "expired": Words("期限切れ", "expired"),
    "revoked": Words("失効", "revoked"),
}


@app.command()
def create(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="誰の鍵か(例 shop-web) / whose key it is (shop-web, say)")
    ],
    scope: Annotated[
        list[str],
        typer.Option(
            "--scope",
            "-s",
            metavar="SCOPE",
            help="read:<種類>, read:*, changes, reserve, reserve:<チャネル>, subscribers, admin / "
            "what it may; repeatable",
        ),
    ],
    channel: Annotated[
        list[str] | None,
        typer.Option(
            "--channel",
            "-c",
            metavar="CHANNEL",
            help="reserve をこのチャネルだけに / narrows reserve to this channel",
        ),
    ] = None,
    expires: Annotated[
        str | None, typer.Option("--expires", metavar="90d", help="有効期間 / how long it is valid")
    ] = None,
    json: Json = False,
) -> None:
    """鍵を作る。秘密は一度だけ表示 / make a key; its secret is shown once

    個人情報・会計を含む種類(customer、orderなど)は read:* に含まれません。1つずつ許可します。 /
    read:* leaves out kinds with personal data or accounts (customer, order, ...): allow each of those by itself.
    """
    from hub.api.keys import create_key

    until = None if expires is None else datetime.now(UTC) + _duration(expires)
    with open_hub() as hub, hub.engine.begin() as connection:
        made, secret = create_key(connection, _name(name), _narrowed(scope, channel or []), expires_at=until)
    if json:
        json_line({**_plain(made), "key": secret.get_secret_value()})
        return
    good(
        Words(
            f"鍵 {made.name} を作りました。権限: {', '.join(made.scopes)}",
            f"made the key {made.name}: {', '.join(made.scopes)}",
        ).say()
    )
    say("次の値は二度と表示されません。", "The next line is never shown again.")
    typer.echo(secret.get_secret_value())


@app.command("list")
def list_(json: Json = False) -> None:
    """鍵の一覧(秘密は出ない) / all keys, without their secrets"""
    from hub.api.keys import list_keys

    with open_hub() as hub, hub.engine.connect() as connection:
        keys = list_keys(connection)
    if json:
        for key in keys:
            json_line(_plain(key))
        return
    now = datetime.now(UTC)
    show_table(
        [Words("ID", "id"), Words("名前", "name"), Words("状態", "state"), Words("権限", "scopes"),
         Words("作成", "made"), Words("期限", "expires"), Words("最終使用", "last used")],
        [(key.id, key.name, _STATES[key.state(now)].say(), " ".join(key.scopes), cell(key.created_at),
          cell(key.expires_at), cell(key.last_used_at)) for key in keys],
        wide={3: 1},
    )  # fmt: skip


@app.command()
def revoke(
    named: Annotated[str, typer.Argument(metavar="NAME", help="名前かID / its name or id")],
    json: Json = False,
) -> None:
    """鍵を失効させる / end a key

    遅くとも5秒後にはどのゲートウェイでも使えなくなります。 / No gateway accepts it after five seconds at the latest.
    """
    from hub.api.keys import UnknownKey, revoke_key

    try:
        with open_hub() as hub, hub.engine.begin() as connection:
            ended = revoke_key(connection, named)
    except UnknownKey as error:
        raise fail(error.ja, error.en, Exit.USAGE) from None
    if json:
        json_line(_plain(ended))
        return
    good(Words(f"鍵 {ended.name} を失効させました。", f"revoked the key {ended.name}").say())


def _plain(key: ApiKey) -> dict[str, Any]:
    return {
        "id": key.id, "name": key.name, "state": key.state(datetime.now(UTC)), "scopes": list(key.scopes),
        "created_at": key.created_at, "expires_at": key.expires_at, "last_used_at": key.last_used_at,
        "revoked_at": key.revoked_at,
    }  # fmt: skip


def _name(name: str) -> str:
    bare = name.strip()
    if not bare or len(bare) > 80 or any(unicodedata.category(letter) == "Cc" for letter in bare):
        raise fail("名前は1〜80文字です。", "A name has 1 to 80 characters.", Exit.USAGE)
    return bare


def _narrowed(scopes: list[str], channels: list[str]) -> list[str]:
    """With channels, `reserve` becomes `reserve:<channel>` of each."""
    if not channels:
        return scopes
    if "reserve" not in scopes:
        raise fail(
            "--channel は --scope reserve と一緒に使います。",
            "--channel goes with --scope reserve.",
            Exit.USAGE,
        )
    return [one for one in scopes if one != "reserve"] + [f"reserve:{channel}" for channel in channels]


def _duration(text: str) -> Any:
    from pydantic import TypeAdapter, ValidationError

    from hub.durations import Duration

    try:
        found = TypeAdapter(Duration).validate_python(text)
    except ValidationError:
        found = None
    if not found:
        raise fail(
            f"期間は 90d、12h、30m の形で書いてください({text})。",
            f"Write a duration as 90d, 12h or 30m (found {text!r}).",
            Exit.USAGE,
        )
    return found
