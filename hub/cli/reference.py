"""Writes the part of docs/cli.md and docs/ja/cli.md that tells of each command, out of the commands themselves.

`python -m hub.cli.reference` writes both again; a test holds them current, and runs every example through the parser.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer.main

from hub.cli import app
from hub.cli.failures import EXIT_MEANING
from hub.cli.root import in_language
from hub.words import Language, Words

__all__ = ["BEGIN", "DOCS", "END", "EXAMPLES", "commands", "docs_text", "write"]

_FOLDER = Path(__file__).parents[2] / "docs"
DOCS: dict[Language, Path] = {"en": _FOLDER / "cli.md", "ja": _FOLDER / "ja" / "cli.md"}
BEGIN = "<!-- commands: written by python -m hub.cli.reference -->"
END = "<!-- end of commands -->"

_PIPE = r"\|"
_WIDE = 70

EXAMPLES: dict[str, list[tuple[str, Words]]] = {
    "pull": [
        ("pull core orders", Words("フロー orders", "the flow orders")),
        ("pull rakuten-main skus", Words("ソース名で", "by the name of its source")),
        ("pull wms stock --json", Words("結果をJSONで", "the report as JSON")),
    ],
    "push": [
        ("push rakuten-main stock", Words("変わった在庫だけ", "only what changed")),
        ("push rakuten-main stock --key SOAP-3@W1", Words("この1件を見直す", "look at this one again")),
        ("push rakuten-main stock --all", Words("全件を見直す", "look at all of them")),
    ],
    "status": [
        ("status", Words("すべてのフロー", "every flow")),
        ("status --system core --json", Words("監視ツール用", "for a monitoring tool")),
    ],
    "check": [
        ("check", Words("すべて", "everything")),
        ("check rakuten-main", Words("1つのシステムだけ", "one system")),
    ],
    "explain": [
        ("explain order mailorder/A-1001", Words("受注の各値の出所", "an order, value by value")),
        (
            "explain stock TEA-100 --channel rakuten",
            Words("なぜこの在庫数なのか", "why the channel shows so many"),
        ),
    ],
    "stock": [
        ("stock", Words("売り越しの受注と連絡先", "what is oversold, and who to call")),
        ("stock TEA-100", Words("全チャネルの内訳", "the numbers of every channel, term by term")),
    ],
    "reconcile run": [
        ("reconcile run rakuten-main order", Words("受注を直近30日分", "orders of the last 30 days")),
        ("reconcile run rakuten-main sellable", Words("送った在庫と相手の在庫", "the stock that was sent")),
        (
            "reconcile run wms stock --file ZAIKO.csv",
            Words("相手の全件ファイルと", "with a file of everything"),
        ),
    ],
    "reconcile fix": [
        ("reconcile fix 12", Words("計画だけを表示", "only show the plan")),
        (
            'reconcile fix 12 --only system --apply --reason "lost event"',
            Words("相手だけにあるものを取り込む", "take in what only the system has"),
        ),
    ],
    "reconcile list": [("reconcile list", Words("それぞれの最新", "the newest of each"))],
    "erase customer": [
        ("erase customer mailorder/00001234 --dry-run", Words("計画だけを表示", "only show the plan")),
        (
            'erase customer mailorder/00001234 --reason "letter of 11-20"',
            Words("確認のうえ消去", "erase, after asking"),
        ),
    ],
    "erase list": [("erase list", Words("消去の記録", "every erasure"))],
    "erase show": [("erase show 3", Words("消去の証明", "the certificate"))],
    "erase verify": [
        (
            "erase verify 3",
            Words("値は標準入力から、1行に1つ", "values on standard input, one a line"),
        )
    ],
    "erase lift": [("erase lift 3", Words("次の受信から再び取り込む", "take the person in again"))],
    "export": [
        ("export order > orders.jsonl", Words("1行1件のJSON", "JSON lines")),
        (
            "export stock_position --format csv -o stock.csv",
            Words("表計算ソフト用", "for a spreadsheet"),
        ),
    ],
    "gateway": [
        ("gateway", Words("このマシンだけで待ち受ける", "on this machine only")),
        ("gateway --host 0.0.0.0 --port 8710", Words("リバースプロキシの後ろで", "behind a reverse proxy")),
    ],
    "worker": [
        ("worker", Words("両方のレーンを4つずつ", "both lanes, four at once in each")),
        (
            "worker --lane urgent --concurrency 8",
            Words("急ぎだけを別のマシンで", "the urgent lane on a machine of its own"),
        ),
    ],
    "subscriber add": [
        (
            "subscriber add erp --url https://erp.example.jp/hooks --kinds order,sellable",
            Words("受注と在庫数を知らせる", "told of orders and of what may be sold"),
        ),
        (
            "subscriber add mall --url https://mall.example.jp/in --kinds sellable --channels rakuten,yahoo",
            Words("2つのチャネルだけ", "of two channels only"),
        ),
    ],
    "subscriber list": [("subscriber list", Words("待ち・失敗の件数", "what waits, what fails"))],
    "subscriber show": [("subscriber show erp --json", Words("設定と様子", "settings, and how it is doing"))],
    "subscriber change": [
        ("subscriber change erp --kinds order,sellable,product", Words("種類を増やす", "one kind more"))
    ],
    "subscriber pause": [
        (
            'subscriber pause erp --reason "maintenance until 3 am"',
            Words("理由を付けて停止", "with the reason"),
        )
    ],
    "subscriber resume": [("subscriber resume erp", Words("止めた所から続ける", "goes on where it stopped"))],
    "subscriber remove": [("subscriber remove erp", Words("登録を削除", "told no more"))],
    "subscriber rotate-secret": [
        ("subscriber rotate-secret erp", Words("旧鍵は24時間併用", "the old one signs for 24 hours too")),
        ("subscriber rotate-secret erp --overlap 0s", Words("漏えいしたとき", "one that leaked")),
    ],
    "subscriber test": [("subscriber test erp", Words("pingを送る", "sends a ping"))],
    "subscriber attempts": [
        ("subscriber attempts erp --failed", Words("失敗だけ", "only failed ones")),
        ("subscriber attempts erp --event msg_0123", Words("1件の全試行", "of one message")),
    ],
    "subscriber failed": [("subscriber failed", Words("断念したメッセージ", "messages given up"))],
    "subscriber replay": [
        ("subscriber replay erp --failed", Words("断念した分すべて", "all that were given up")),
        (
            "subscriber replay erp --from 2026-11-20T09:00",
            Words("この時刻以降に変わったもの", "all that changed since"),
        ),
    ],
    "subscriber send": [("subscriber send", Words("ワーカーなしで今すぐ", "now, without a worker"))],
    "people match": [("people match", Words("変わった顧客を照合する", "compare the customers that changed"))],
    "people queue": [
        ("people queue", Words("判断待ちの一覧", "what waits for a person")),
        (
            "people queue --limit 10 --reveal",
            Words("個人情報を表示して10件", "ten, with names and numbers shown"),
        ),
    ],
    "people show": [
        ("people show core/00001234", Words("だれと、なぜつながっているか", "who it is one person with"))
    ],
    "people accept": [
        ("people accept 12 --reason phoned", Words("同一人物としてつなぐ", "the two are one person")),
        ("people accept 12 --survivor core/00001234", Words("残す顧客を選ぶ", "and this one survives")),
    ],
    "people reject": [
        ("people reject 12 13 --reason brothers", Words("別人と記憶する", "never offered again"))
    ],
    "people undo": [("people undo 12 --reason mistake", Words("つなぐ前に戻す", "everything as before"))],
    "people export": [
        ("people export queue.xlsx --reveal", Words("Excelで判断する", "to decide in Excel")),
    ],
    "people import": [
        ("people import queue.xlsx --by hanako", Words("判断を取り込む", "follow the decisions"))
    ],
    "key create": [
        (
            "key create shop-web --scope read:product --scope reserve --channel shop",
            Words(
                "自社サイト用: 商品を読み、チャネル shop で取り置く",
                "for a shop: read products, reserve for shop",
            ),
        ),
        (
            "key create crm --scope read:customer --expires 90d",
            Words("顧客を読む、90日", "customers, for 90 days"),
        ),
    ],
    "key list": [("key list", Words("失効したものも含めて", "revoked ones too"))],
    "key revoke": [("key revoke shop-web", Words("名前かIDで", "by its name or id"))],
    "quarantine list": [
        ("quarantine list --system core", Words("core の分だけ", "those of core")),
        ("quarantine list --state all --json", Words("処理済みも含めて", "also those that are done")),
    ],
    "quarantine show": [
        ("quarantine show 12 --reveal", Words("元データも表示", "with the data as received"))
    ],
    "quarantine replay": [
        ("quarantine replay 12 13", Words("この2件", "these two")),
        ("quarantine replay --system core", Words("core の分すべて", "all of core")),
    ],
    "quarantine discard": [
        ('quarantine discard 12 --reason "duplicate, see mail"', Words("理由を付けて破棄", "with the reason"))
    ],
    "init": [("init", Words("最初に一度、更新のたびに一度", "once at first, and after each update"))],
    "demo": [("demo", Words("make demo と同じ", "the same as make demo"))],
    "stop": [("stop", Words("make stop と同じ", "the same as make stop"))],
    "preview": [
        (
            "preview file_exchange/general_orders.in JUCHU_20261121_001.csv",
            Words("並べて見る", "side by side"),
        ),
        (
            "preview file_exchange/general_orders.in JUCHU_20261121_001.csv --json > orders.jsonl 2> refused.jsonl",
            Words("受注1件1行、拒否は標準エラーに", "an order a line, refused rows apart"),
        ),
        (
            "preview rakuten_rms/shipments.out shipments.jsonl --related order=orders.jsonl",
            Words("送信側。受注を横に置いて", "an outgoing mapping, with the orders beside"),
        ),
    ],
    "new connector": [
        ("new connector tiny_shop --in ..", Words("../tiny_shop を作る", "writes ../tiny_shop"))
    ],
    "schema export": [("schema export schemas", Words("schemas/ に書き出す", "into schemas/"))],
}
"""Command -> how it is used, and what for. A `#` starts a comment, `>` and `2>` are the shell's."""


def commands(lang: Language) -> Iterator[tuple[str, Any]]:
    """Every command that does something, by its words ("quarantine list"), in the order of the help."""
    root = typer.main.get_command(app)
    in_language(root, lang)
    yield from _below(root, "")


def _below(command: Any, words: str) -> Iterator[tuple[str, Any]]:
    for name, below in command.commands.items():
        path = f"{words} {name}".strip()
        if hasattr(below, "commands"):
            yield from _below(below, path)
        else:
            yield path, below


def _section(path: str, command: Any, lang: Language) -> str:
    arguments = [param for param in command.params if param.param_type_name == "argument"]
    options = [param for param in command.params if param.param_type_name == "option"]
    usage = " ".join(["tsunagi", path, *(param.display_name_raw for param in arguments)])
    examples = [(f"$ tsunagi {line}", words.say(lang)) for line, words in EXAMPLES[path]]
    width = max(len(line) for line, _ in examples)
    if width > _WIDE:
        told = [f"# {words}\n{line}" for line, words in examples]
    else:
        told = [f"{line:<{width}}  # {words}" for line, words in examples]
    lines = [f"### `{usage}`", "", command.help, ""]
    if arguments or options:
        head = Words("| 引数・オプション | 意味 |", "| argument, option | means |").say(lang)
        lines += [head, "|---|---|", *(_row(param) for param in [*arguments, *options]), ""]
    lines += ["```console", *told, "```"]
    return "\n".join(lines)


def _row(param: Any) -> str:
    if param.param_type_name == "argument":
        name = f"`{param.display_name_raw}`"
    else:
        value = "" if getattr(param, "is_flag", False) else f" {param.metavar or param.name.upper()}"
        name = ", ".join(f"`{option}{value}`" for option in param.opts)
    return f"| {name.replace('|', _PIPE)} | {param.help} |"


def _exit_codes(lang: Language) -> str:
    head = Words("| 終了コード | 意味 |", "| exit code | means |").say(lang)
    return "\n".join(
        [
            head,
            "|---|---|",
            *(f"| {code.value} | {words.say(lang)} |" for code, words in EXIT_MEANING.items()),
        ]
    )


def docs_text(lang: Language) -> str:
    """The page of one language as it must stand in the repository."""
    before, _, rest = DOCS[lang].read_text("utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    parts = [
        BEGIN,
        f"## {Words('終了コード', 'Exit codes').say(lang)}",
        _exit_codes(lang),
        f"## {Words('コマンド', 'Commands').say(lang)}",
        *(_section(path, command, lang) for path, command in commands(lang)),
        END,
    ]
    return before + "\n\n".join(parts) + after


def write() -> None:
    """Write both pages."""
    for lang, path in DOCS.items():
        path.write_text(docs_text(lang), "utf-8")


if __name__ == "__main__":
    write()
