"""`tsunagi subscriber`: who is told of what changed, by signed webhooks, and what became of each message."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from hub.cli.opening import open_hub
from hub.cli.output import Json, cell, good, json_line, say, show_table, wrong
from hub.words import Words

if TYPE_CHECKING:
    from pydantic import SecretStr

    from hub.engine import Hub
    from hub.subscribers.register import Subscriber
    from hub.subscribers.standing import Standing

__all__ = ["Name", "app", "tell_subscribers"]

app = typer.Typer(
    help="変更を署名付きWebhookで受け取る購読者 / subscribers told of changes by signed webhooks",
    no_args_is_help=True,
)

_STATES = {
    "active": Words("有効", "active"),
    "paused": Words("一時停止", "paused"),
    "given_up": Words("断念", "given up"),
}

Name = Annotated[str, typer.Argument(metavar="NAME", help="購読者名 / name of the subscriber")]
Url = Annotated[str, typer.Option("--url", metavar="URL", help="送信先。https / where to send, https")]
Kinds = Annotated[
    str, typer.Option("--kinds", metavar="KIND,...", help="知らせる種類。カンマ区切り / kinds to tell of")
]
Channels = Annotated[
    str,
    typer.Option("--channels", metavar="CHANNEL,...", help="このチャネルの分だけ / only of these channels"),
]
ContentOf = Annotated[
    Literal["default", "thin", "full"],
    typer.Option(
        "--content",
        help="thin: キーと版だけ、full: 内容も、default: 個人情報を含まない種類だけ内容も / "
        "thin: key and version; full: the content too; default: only where no person is in it",
    ),
]
AtOnce = Annotated[
    int, typer.Option("--at-once", min=1, max=32, help="同時に送る数 / messages under way at once")
]


def _list_of(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


# ---------------------------------------------------------------- who


@app.command()
def add(
    name: Name, url: Url, kinds: Kinds, channels: Channels = "", content: ContentOf = "default", at_once: AtOnce = 4,
    json: Json = False,
) -> None:  # fmt: skip
    """購読者を登録し、署名用の秘密鍵を表示する / add a subscriber, and show the secret its messages are signed with

    秘密鍵は一度しか表示しません。登録後に変わったものから知らせます。 /
    The secret is shown this once. What changes from now on is told.
    """
    from hub.subscribers.register import add as add_subscriber

    with open_hub() as hub:
        told, secret = add_subscriber(
            hub.engine, name, url, _list_of(kinds), channels=_list_of(channels), content=content, at_once=at_once
        )  # fmt: skip
    if not json:
        good(Words(f"購読者 {name} を登録しました。", f"added the subscriber {name}").say())
    _show_secret(told, secret, json=json)


def _show_secret(told: Subscriber, secret: SecretStr, *, json: bool) -> None:
    if json:
        json_line({**told.as_dict(), "secret": secret.get_secret_value()})
        return
    say("秘密鍵(受信側に設定。再表示はできません):", "Secret, for the receiver; it is not shown again:")
    typer.echo(secret.get_secret_value())


@app.command("list")
def list_subscribers(json: Json = False) -> None:
    """購読者の一覧と様子 / all subscribers, and how they are doing"""
    from hub.subscribers.standing import standings

    with open_hub() as hub, hub.engine.connect() as connection:
        found = standings(connection)
    if json:
        for one in found:
            json_line(one.as_dict())
    elif found:
        _show_standings(found)
    else:
        say("購読者はいません。", "There are no subscribers.")


def _show_standings(found: list[Standing]) -> None:
    show_table(
        [Words("購読者", "subscriber"), Words("状態", "state"), Words("待ち", "waiting"), Words("送信断念", "dead"),
         Words("失敗", "failures"), Words("次の試行", "not before"), Words("最終受理", "accepted")],
        [(one.name, _STATES[one.state].say(), one.waiting or None, one.dead or None, one.failures or None,
          cell(one.not_before), cell(one.accepted_at)) for one in found],
        wide={0: 1}, right=(2, 3, 4),
    )  # fmt: skip


@app.command()
def show(name: Name, json: Json = False) -> None:
    """購読者1件の設定と様子 / one subscriber: its settings, and how it is doing"""
    from hub.subscribers.register import find
    from hub.subscribers.standing import standings

    with open_hub() as hub, hub.engine.connect() as connection:
        told = find(connection, name)
        standing = next(one for one in standings(connection) if one.name == name)
    everything = {**told.as_dict(), **standing.as_dict()}
    if json:
        json_line(everything)
    else:
        show_table(
            [Words("項目", "what"), Words("値", "value")],
            [(key, _value(value)) for key, value in everything.items() if value not in (None, ())],
            wide={1: 1},
        )


def _value(value: Any) -> Any:
    return ", ".join(value) if isinstance(value, tuple) else value


@app.command()
def change(
    name: Name,
    url: Annotated[str | None, typer.Option("--url", metavar="URL", help="送信先 / where to send")] = None,
    kinds: Annotated[
        str | None, typer.Option("--kinds", metavar="KIND,...", help="知らせる種類 / kinds to tell of")
    ] = None,
    channels: Annotated[
        str | None,
        typer.Option("--channels", metavar="CHANNEL,...", help="チャネル。空ですべて / channels; '' for all"),
    ] = None,
    content: Annotated[
        Literal["default", "thin", "full"] | None,
        typer.Option("--content", help="内容 / how much they carry"),
    ] = None,
    at_once: Annotated[
        int | None, typer.Option("--at-once", min=1, max=32, help="同時に送る数 / at once")
    ] = None,
    json: Json = False,
) -> None:
    """設定を変える / change settings of a subscriber

    省いたものは変わりません。増やした種類は今からの変更を知らせます。 /
    What is left out stays. A kind that is new is told of from now on.
    """
    from hub.subscribers.register import change as change_subscriber

    with open_hub() as hub, hub.engine.begin() as connection:
        told = change_subscriber(
            connection, name, url=url, kinds=None if kinds is None else _list_of(kinds),
            channels=None if channels is None else _list_of(channels), content=content, at_once=at_once,
        )  # fmt: skip
    _changed(told, Words(f"{name} の設定を変えました。", f"changed {name}"), json=json)


def _changed(told: Subscriber, words: Words, *, json: bool) -> None:
    if json:
        json_line(told.as_dict())
    else:
        good(words.say())


@app.command()
def pause(
    name: Name,
    reason: Annotated[str | None, typer.Option("--reason", help="理由 / why, for others to read")] = None,
    json: Json = False,
) -> None:
    """送信を止める / stop sending to a subscriber

    止めている間の変更は、resume の後に送ります。 / What changes meanwhile is sent after resume.
    """
    from hub.subscribers.register import pause as pause_subscriber

    with open_hub() as hub, hub.engine.begin() as connection:
        told = pause_subscriber(connection, name, reason)
    _changed(told, Words(f"{name} への送信を止めました。", f"paused {name}"), json=json)


@app.command()
def resume(name: Name, json: Json = False) -> None:
    """送信を再開する / send to a subscriber again, from where it stopped"""
    from hub.subscribers.register import resume as resume_subscriber
    from hub.subscribers.wake import wake_one

    with open_hub() as hub, hub.engine.begin() as connection:
        told = resume_subscriber(connection, name)
        wake_one(connection, name)
    _changed(told, Words(f"{name} への送信を再開しました。", f"resumed {name}"), json=json)


@app.command()
def remove(name: Name, json: Json = False) -> None:
    """購読者を、未送信のメッセージと記録ごと削除する / forget a subscriber, with its messages and attempts"""
    from hub.subscribers.register import remove as remove_subscriber

    with open_hub() as hub, hub.engine.begin() as connection:
        told = remove_subscriber(connection, name)
    _changed(told, Words(f"購読者 {name} を削除しました。", f"removed {name}"), json=json)


@app.command("rotate-secret")
def rotate_secret(
    name: Name,
    overlap: Annotated[
        str,
        typer.Option(
            "--overlap",
            metavar="24h",
            help="旧鍵でも署名する期間。0s で直ちに無効 / how long the old one signs too",
        ),
    ] = "24h",
    json: Json = False,
) -> None:
    """秘密鍵を取り替える / replace the secret; old and new sign both for a while

    漏えいした鍵は --overlap 0s で取り替えてください。 / Replace one that leaked with --overlap 0s.
    """
    from hub.subscribers.register import rotate

    wanted = _duration(overlap)
    with open_hub() as hub, hub.engine.begin() as connection:
        told, secret = rotate(connection, name, wanted)
    _show_secret(told, secret, json=json)


def _duration(text: str) -> timedelta:
    from pydantic import TypeAdapter, ValidationError

    from hub.durations import Duration

    try:
        found: timedelta = TypeAdapter(Duration).validate_python(text)
    except ValidationError:
        raise typer.BadParameter(f"24h, 30m, 1d, 0s: {text}", param_hint="--overlap") from None
    return found


# ---------------------------------------------------------------- for `tsunagi status`


def tell_subscribers(hub: Hub, *, json: bool) -> None:
    """Part of `tsunagi status`: every subscriber, and what needs a person."""
    from hub.subscribers.standing import standings

    with hub.engine.connect() as connection:
        found = standings(connection)
    if json:
        for one in found:
            json_line({"subscriber": one.as_dict()})
        return
    if found:
        _show_standings(found)
    for one in found:
        said = one.reason or (one.error if one.failures else None)
        if one.needs_a_person or one.failures:
            status = "" if one.status is None else f" HTTP {one.status}"
            dead = (
                Words(f" 送信断念 {one.dead} 件", f" {one.dead} messages given up").say() if one.dead else ""
            )
            wrong(f"{one.name}: {_STATES[one.state].say()}{status}{dead} {said or ''}".rstrip())
