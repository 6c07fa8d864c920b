"""`tsunagi gateway` and `tsunagi worker`: the road for now; and what `tsunagi status` tells of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from hub.cli.failures import Exit, fail
from hub.cli.opening import open_hub, speak_up
from hub.cli.output import cell, good, json_line, show_table, wrong
from hub.words import Words

if TYPE_CHECKING:
    from hub.engine import Hub

__all__ = ["register", "tell_now"]

API_THREADS = 4
"""So many runs' worth of connections: three each, one for each API call that is worked on."""


def gateway(
    host: Annotated[
        str,
        typer.Option(
            "--host", help="待ち受けるアドレス / address to listen on", envvar="TSUNAGI_GATEWAY_HOST"
        ),
    ] = "127.0.0.1",
    port: Annotated[
        int,
        typer.Option(
            "--port",
            min=0,
            max=65535,
            help="0 は空き番号 / 0 takes a free one",
            envvar="TSUNAGI_GATEWAY_PORT",
        ),
    ] = 8710,
    megabytes: Annotated[
        int, typer.Option("--max-megabytes", min=1, max=64, help="本文の上限 / longest body of a webhook")
    ] = 5,
) -> None:
    """WebhookとAPIの入口 / take webhooks (POST /webhooks/SYSTEM) and serve the API (/api/v1/docs)

    TLSは前段のリバースプロキシで。止めるには Ctrl-C または SIGTERM。 /
    TLS belongs to a reverse proxy in front. Ends on Ctrl-C or SIGTERM.
    """
    from hub.gateway.server import bind, server

    speak_up()
    with open_hub(threads=API_THREADS) as hub:
        try:
            listener = bind(host, port)
        except OSError as error:
            raise fail(
                f"{host}:{port} で待ち受けできません: {error.strerror}。--port で別の番号を指定してください。",
                f"cannot listen on {host}:{port}: {error.strerror}. Choose another with --port.",
            ) from error
        where = f"http://{host}:{listener.getsockname()[1]}"
        good(Words(f"Webhookを受け付けています: {where}/webhooks/システム名、API: {where}/api/v1/docs",
                   f"taking webhooks at {where}/webhooks/SYSTEM, the API is at {where}/api/v1/docs").say())  # fmt: skip
        server(hub, max_bytes=megabytes * 1024 * 1024, alone=True).run(sockets=[listener])


def worker(
    lane: Annotated[
        Literal["urgent", "bulk", "subscribers", "all"],
        typer.Option(
            "--lane",
            help="urgent: 在庫減・取消など急ぎ、subscribers: 送信Webhook、bulk: その他 / "
            "urgent ones, outgoing webhooks, the rest, or all",
        ),
    ] = "all",
    concurrency: Annotated[
        int,
        typer.Option(
            "--concurrency", "-c", min=1, max=64, help="レーンごとの同時実行数 / at once in each lane"
        ),
    ] = 4,
) -> None:
    """届いたWebhookの取込と各チャネルへの即時送信 / take in what came and send what changed, at once

    何台でも動かせます。強制終了しても失われません。止めるには Ctrl-C または SIGTERM。 /
    Run as many as you like, on any machine; killing one loses nothing. Ends on Ctrl-C or SIGTERM.
    """
    import asyncio
    import os
    import signal

    from hub.cli.opening import ready
    from hub.engine import Hub
    from hub.jobs.queue import Lane
    from hub.jobs.worker import Worker, quiet_library

    speak_up()
    settings = ready()
    quiet_library()
    lanes = tuple(Lane) if lane == "all" else (Lane(lane),)
    with Hub.open(settings, threads=concurrency * len(lanes)) as hub:

        async def work() -> Worker:
            found = Worker(hub, lanes, concurrency=concurrency)
            for number in (signal.SIGTERM, signal.SIGINT):
                asyncio.get_running_loop().add_signal_handler(number, found.stop)
            good(
                Words(
                    f"待機中: {', '.join(lanes)} ×{concurrency}", f"ready: {', '.join(lanes)} ×{concurrency}"
                ).say()
            )
            await found.run()
            return found

        if asyncio.run(work()).left_running:
            # its threads cannot be ended from outside; what they do is taken up by another worker
            os._exit(Exit.RETRY)


# ---------------------------------------------------------------- status


def tell_now(hub: Hub, system: str | None, *, json: bool) -> None:
    """Rate budgets and jobs, where there are any: part of `tsunagi status`."""
    budgets = [one for one in hub.budget_statuses() if system in (None, one.account)]
    jobs = [one for one in hub.job_statuses() if system in (None, one.system)]
    if json:
        for budget in budgets:
            json_line({"budget": budget.as_dict()})
        for job in jobs:
            json_line({"job": job.as_dict()})
        return
    if budgets:
        show_table(
            (
                Words("API残量", "rate budget"), Words("毎秒", "a second"), Words("今すぐ", "free now"),
                Words("回数", "calls"), Words("制限", "told to wait"), Words("停止中", "held until"),
            ),
            [
                (one.account, f"{one.rate:g}", f"{one.free:.0f}/{one.burst:.0f}", one.granted, one.penalties or None,
                 cell(one.held_until))
                for one in budgets
            ],
            right=(1, 2, 3, 4),
        )  # fmt: skip
    waiting = [one for one in jobs if one.state != "failed"]
    if waiting:
        show_table(
            (Words("ジョブ", "job"), Words("レーン", "lane"), Words("状態", "state"), Words("開始予定", "due"),
             Words("試行", "tries")),
            [
                (f"{one.task} {one.system}/{one.flow}", one.lane, _STATES[one.state].say(), cell(one.due_at),
                 one.attempt or None)
                for one in waiting
            ],
            right=(4,),
        )  # fmt: skip
    from hub.logs import mask

    for one in jobs:
        if one.state == "failed":
            wrong(f"{one.task} {one.system}/{one.flow}: {mask('error', one.error)}")


_STATES = {
    "waiting": Words("待ち", "waiting"),
    "running": Words("実行中", "running"),
    "failed": Words("失敗", "failed"),
}


def register(app: typer.Typer, panel: str) -> None:
    """Put the commands of this file into the application."""
    for command in (gateway, worker):
        app.command(rich_help_panel=panel)(command)
