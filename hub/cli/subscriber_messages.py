"""`tsunagi subscriber test | attempts | failed | replay | send`: what was sent, what became of it, and once more."""

from __future__ import annotations

import time
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from hub.cli.failures import Exit, fail
from hub.cli.opening import open_hub
from hub.cli.output import Json, good, json_line, say, show_table, wrong
from hub.cli.subscribers import Name, app
from hub.words import Words

if TYPE_CHECKING:
    from hub.engine import Hub
    from hub.subscribers.messages import Attempt, Replayed
    from hub.subscribers.sender import Sent

__all__ = ["app"]


@app.command("test")
def try_out(name: Name, json: Json = False) -> None:
    """pingを送って受信側を確かめる / send a ping, and show what came back

    受理されなければ終了コード 1。停止中の購読者にも送れます。 /
    Exit code 1 when it was not accepted. Works on a paused subscriber too.
    """
    from hub.subscribers.trial import send_ping

    with open_hub() as hub:
        event_id, attempt = send_ping(hub, name)
    if attempt is None:
        raise fail(
            f"{name} へは今ほかの送信が進行中です。"
            f"`tsunagi subscriber attempts {name} --event {event_id}` で確認してください。",
            f"Another sender is at {name}; see `tsunagi subscriber attempts {name} --event {event_id}`.",
            Exit.RETRY,
        )
    accepted = attempt.status is not None and 200 <= attempt.status < 300
    if json:
        json_line(attempt.as_dict())
    elif accepted:
        good(Words(f"受理されました: HTTP {attempt.status}、{attempt.ms} ms",
                   f"accepted: HTTP {attempt.status} in {attempt.ms} ms").say())  # fmt: skip
    else:
        wrong(_outcome(attempt), error=True)
    if not accepted:
        raise typer.Exit(Exit.PROBLEM)


def _outcome(attempt: Attempt) -> str:
    said = attempt.error or attempt.answer or ""
    if attempt.finished_at is None:
        return Words("応答を受ける前に終了", "no end: under way, or its sender was killed").say()
    return said if attempt.status is None else f"HTTP {attempt.status} {said}".strip()


@app.command()
def attempts(
    name: Name,
    event: Annotated[
        str | None, typer.Option("--event", metavar="ID", help="このメッセージだけ / only of this message")
    ] = None,
    failed: Annotated[bool, typer.Option("--failed", help="失敗だけ / only failed ones")] = False,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="何件まで / at most so many")] = 50,
    json: Json = False,
) -> None:
    """送信の試行。新しい順 / the attempts, newest first"""
    from hub.logs import mask
    from hub.subscribers.messages import list_attempts
    from hub.subscribers.register import find

    with open_hub() as hub, hub.engine.connect() as connection:
        found = list_attempts(connection, find(connection, name), event_id=event, failed=failed, limit=limit)
    if json:
        for one in found:
            json_line({**one.as_dict(), "key": mask("id", one.key)})
        return
    show_table(
        [Words("日時", "at"), Words("対象", "about"), Words("回", "try"), Words("ms", "ms"), Words("結果", "outcome")],
        [(one.started_at, f"{one.kind} {mask('id', one.key)} v{one.version}\n{one.event_id}", one.attempt, one.ms,
          _outcome(one)) for one in found],
        wide={1: 3, 4: 4}, right=(2, 3),
    )  # fmt: skip


@app.command()
def failed(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="購読者名。省略時はすべて / all when left out")
    ] = None,
    json: Json = False,
) -> None:
    """送信を断念したメッセージ / messages that were given up after days of attempts

    直したら tsunagi subscriber replay NAME --failed で再送します。 /
    Once the cause is mended: tsunagi subscriber replay NAME --failed.
    """
    from hub.logs import mask
    from hub.subscribers.messages import dead_messages
    from hub.subscribers.register import find

    with open_hub() as hub, hub.engine.connect() as connection:
        if name is not None:
            find(connection, name)
        found = dead_messages(connection, name)
    if json:
        for one in found:
            json_line({**one.as_dict(), "key": mask("id", one.key)})
    elif found:
        show_table(
            [Words("購読者", "subscriber"), Words("対象", "about"), Words("試行", "tries"),
             Words("最後の応答", "last")],
            [(one.subscriber, f"{one.kind} {mask('id', one.key)} v{one.version}\n{one.event_id}", one.attempts,
              f"HTTP {one.status} {one.error or ''}" if one.status else one.error) for one in found],
            wide={1: 3, 3: 4}, right=(2,),
        )  # fmt: skip
    else:
        say("送信を断念したメッセージはありません。", "No message was given up.")


@app.command()
def replay(
    name: Name,
    failed: Annotated[
        bool, typer.Option("--failed", help="断念した分を同じIDで / those given up, under their ids")
    ] = False,
    event: Annotated[
        str | None,
        typer.Option("--event", metavar="ID", help="この1件を同じIDで / this message, under its id"),
    ] = None,
    since: Annotated[
        datetime | None,
        typer.Option(
            "--from", formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"], metavar="YYYY-MM-DD[THH:MM]",
            help="この時刻以降に変わったものを今の内容で。日本時間 / all that changed since, as it is now; Japan time",
        ),
    ] = None,
    json: Json = False,
) -> None:  # fmt: skip
    """もう一度送る / send again: what was given up, one message, or everything since a moment"""
    if [failed, event is not None, since is not None].count(True) != 1:
        raise fail(
            "--failed、--event、--from のどれか1つを指定してください。",
            "Give one of --failed, --event and --from.",
            Exit.USAGE,
        )
    with open_hub() as hub:
        found = _replayed(hub, name, event, since)
    if json:
        json_line(found.as_dict())
        return
    good(
        Words(f"{found.waiting} 件を送信待ちにしました。", f"{found.waiting} messages wait to be sent.").say()
    )
    if found.overtaken:
        say(
            f"{found.overtaken} 件は新しい版を送信済みのため終了しました。",
            f"{found.overtaken} were closed: a newer version was sent meanwhile.",
        )


def _replayed(hub: Hub, name: str, event: str | None, since: datetime | None) -> Replayed:
    from zoneinfo import ZoneInfo

    from hub.subscribers.messages import replay_event, replay_failed, replay_from
    from hub.subscribers.register import find
    from hub.subscribers.wake import wake_one

    with hub.engine.begin() as connection:
        told = find(connection, name)
        if event is not None:
            found = replay_event(connection, told, event)
        elif since is not None:
            found = replay_from(connection, told, since.replace(tzinfo=ZoneInfo("Asia/Tokyo")))
        else:
            found = replay_failed(connection, told)
        wake_one(connection, name)
    return found


@app.command()
def send(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="購読者名。省略時はすべて / all when left out")
    ] = None,
    json: Json = False,
) -> None:
    """待っているものを今送る / send what waits now, without a worker

    ワーカーを動かさない環境では、これを毎分実行してください。 / Where no worker runs, run this every minute.
    """
    from hub.subscribers.register import find, list_subscribers

    with open_hub() as hub:
        with hub.engine.connect() as connection:
            names = (
                [one.name for one in list_subscribers(connection)]
                if name is None
                else [find(connection, name).name]
            )
        for one in names:
            sent = _send_all(hub, one)
            if json:
                json_line(sent.as_dict())
            elif sent.failed:
                wrong(Words(f"{one}: 受理 {sent.accepted} 件、失敗 {sent.failed} 件",
                            f"{one}: {sent.accepted} accepted, {sent.failed} failed").say())  # fmt: skip
            else:
                good(Words(f"{one}: 受理 {sent.accepted} 件", f"{one}: {sent.accepted} accepted").say())


def _send_all(hub: Hub, name: str) -> Sent:
    """Turns until nothing is due within the next second."""
    from hub.engine import FlowBusy
    from hub.subscribers.sender import Sent, send as send_turn

    total = Sent(name)
    while not hub.stopping.is_set():
        try:
            total.add(send_turn(hub, name))
        except FlowBusy:  # a worker is at it
            return total
        if total.next_in is None or total.next_in > 1:
            return total
        time.sleep(total.next_in)
    return total
