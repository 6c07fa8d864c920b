"""Exit codes, and what becomes of an exception: one sentence in the operator's language on standard error."""

from __future__ import annotations

import enum
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer

from hub.cli.output import wrong
from hub.words import HubError, Words

__all__ = ["EXIT_MEANING", "Exit", "fail", "guarded"]


class Exit(enum.IntEnum):
    """Exit codes; 70, 75 and 78 are those of sysexits.h."""

    OK = 0
    PROBLEM = 1
    USAGE = 2
    BUG = 70
    RETRY = 75
    MISCONFIGURED = 78
    STOPPED = 130


EXIT_MEANING: dict[Exit, Words] = {
    Exit.OK: Words(
        "完了。行が拒否・隔離されても、最後まで進めば 0",
        "done; also when rows were refused, as long as the run came to its end",
    ),
    Exit.PROBLEM: Words(
        "人が確認すべき問題(相手の拒否、読めないファイル、`check` の不合格など)",
        "a problem a person must look at: the other side refused, a file that cannot be read, a failed `check`",
    ),
    Exit.USAGE: Words(
        "使い方の誤り(オプション、システム名、フロー名、番号など)",
        "wrong usage: an option, or a system, flow, file or number that is not there",
    ),
    Exit.BUG: Words("プログラムの不具合。トレースバックを表示", "a bug of this program; the traceback is shown"),
    Exit.RETRY: Words(
        "今はできない。後で再実行すれば成功しうる(相手の停止、実行中、データベース接続不可)",
        "not possible now, may work later: the other side is down, the flow runs elsewhere, no database",
    ),
    Exit.MISCONFIGURED: Words(
        "設定を直すまで動かない(鍵の期限切れ、設定の不足、環境変数の誤り)",
        "cannot work until a setting is mended: an expired key, a missing setting, a wrong variable",
    ),
    Exit.STOPPED: Words(
        "Ctrl-C で中断。取り込み済みの分は残り、次の実行が続きを行う",
        "stopped by Ctrl-C; what was stored stays, the next run goes on from there",
    ),
}  # fmt: skip


def fail(ja: str, en: str, code: Exit = Exit.PROBLEM) -> typer.Exit:
    """Say on standard error what is wrong; raise what is returned."""
    wrong(Words(ja, en).say(), error=True)
    return typer.Exit(code)


@contextmanager
def guarded() -> Iterator[None]:
    """Turn what the hub, the connectors and the command line itself raise into a sentence and an exit code."""
    try:
        yield
    except (typer.Exit, typer.Abort, BrokenPipeError):
        raise
    except KeyboardInterrupt:
        raise fail(
            "中断しました。取り込み済みの分は残っています。もう一度実行すると続きから始まります。",
            "Stopped. What was stored stays; run it again to go on from there.",
            Exit.STOPPED,
        ) from None
    except Exception as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            raise
        code, words = _usage(error) or _expected(error) or (Exit.BUG, None)
        if words is None:
            _show_bug(error)
            raise typer.Exit(code) from error
        raise fail(_shown(words.ja), _shown(words.en), code) from error


def _shown(sentence: str) -> str:
    """What the other side says may name a person."""
    from hub.logs import mask

    return mask("", sentence)


def _show_bug(error: Exception) -> None:
    # values of local variables are never shown, and the message itself is masked: both may hold customers' data
    from hub.logs import mask

    text = "".join(traceback.format_exception(error))
    sys.stderr.write(mask("traceback", text))
    wrong(
        Words(
            "プログラムの不具合です。上の内容を添えて報告してください。",
            "This is a bug of the program. Please report it with the lines above.",
        ).say(),
        error=True,
    )


# ---------------------------------------------------------------- what is expected


def _expected(error: Exception) -> tuple[Exit, Words] | None:
    if isinstance(error, HubError):
        return _of_hub(error)
    # by what is loaded already: an exception's class is, and nothing else need be
    for module, explain in (
        ("connectors.contract", _of_connector),
        ("mappings.problems", _of_mapping),
        ("sqlalchemy.exc", _of_database),
        ("psycopg", _of_database),
    ):
        if module in sys.modules and (found := explain(error, sys.modules[module])):
            return found
    if type(error) is LookupError:  # a KeyError would be a bug
        return Exit.USAGE, Words(str(error), str(error))
    return None


def _of_hub(error: HubError) -> tuple[Exit, Words]:
    codes = {
        "UnknownName": Exit.USAGE,
        "NoSuchFile": Exit.USAGE,
        "NoSuchEntity": Exit.USAGE,
        "SettingsError": Exit.MISCONFIGURED,
        "SecretError": Exit.MISCONFIGURED,
        "SchemaBehind": Exit.MISCONFIGURED,
    }
    return codes.get(type(error).__name__, Exit.PROBLEM), error.words


def _of_connector(error: Exception, contract: Any) -> tuple[Exit, Words] | None:
    if isinstance(error, contract.Retry):
        wait_ja, wait_en = "しばらくして", "later"
        after = getattr(error, "after", None)
        if after is not None:
            seconds = max(1, round(after.total_seconds()))
            wait_ja, wait_en = f"{seconds} 秒後に", f"in {seconds} s"
        return Exit.RETRY, Words(
            f"今は処理できません。{wait_ja}再実行してください: {error}",
            f"Not possible right now, try again {wait_en}: {error}",
        )
    if isinstance(error, contract.Misconfigured):
        return Exit.MISCONFIGURED, Words(
            f"設定を直してください: {error}", f"A setting must be mended: {error}"
        )
    if isinstance(error, contract.Refused):
        return Exit.PROBLEM, Words(
            f"相手システムに拒否されました: {error}", f"The other system refused: {error}"
        )
    return None


def _of_mapping(error: Exception, problems: Any) -> tuple[Exit, Words] | None:
    if not isinstance(error, problems.MappingError):
        return None
    found = [
        (f"{p.file}:{p.line}" if p.line else p.file, f" {p.field}" if p.field else "", p)
        for p in error.problems
    ]
    return Exit.PROBLEM, Words(
        "\n".join(f"{where}{field}: {p.reason_ja}" for where, field, p in found),
        "\n".join(f"{where}{field}: {p.reason_en}" for where, field, p in found),
    )


def _of_database(error: Exception, errors: Any) -> tuple[Exit, Words] | None:
    if not isinstance(error, errors.OperationalError | errors.InterfaceError):
        return None
    detail = " ".join(str(getattr(error, "orig", None) or error).split())
    return Exit.RETRY, Words(
        f"データベースに接続できません。動いているか、TSUNAGI_DATABASE_URL が正しいか確認してください: {detail}",
        f"The database cannot be reached. See whether it runs and whether TSUNAGI_DATABASE_URL is right: {detail}",
    )


# ---------------------------------------------------------------- wrong usage


def _usage(error: Exception) -> tuple[Exit, Words] | None:
    """typer brings its own click, or uses the installed one: the classes are told by their names."""
    kinds = {cls.__name__ for cls in type(error).__mro__}
    if "UsageError" not in kinds:
        return None
    context: Any = getattr(error, "ctx", None)
    path = "tsunagi" if context is None else context.command_path
    message = str(getattr(error, "message", error))
    param: Any = getattr(error, "param", None)
    name = str(getattr(error, "param_hint", None) or (param.get_error_hint() if param else "")).strip("'\"")
    if "MissingParameter" in kinds:
        ja, en = f"{name} を指定してください。", f"{name} is missing."
    elif "BadParameter" in kinds:
        ja, en = f"{name} の値が正しくありません: {message}", f"{name} cannot be used: {message}"
    elif "NoSuchOption" in kinds:
        option = getattr(error, "option_name", "")
        near = ", ".join(getattr(error, "possibilities", None) or ())
        ja = f"{option} というオプションはありません。" + (f"もしかして: {near}" if near else "")
        en = f"There is no option {option}." + (f" Did you mean {near}?" if near else "")
    elif message.startswith("No such command"):
        command = message.split("'")[1] if "'" in message else message
        near = message.partition("Did you mean ")[2].rstrip("?")
        ja = f"{command} というコマンドはありません。" + (f"もしかして: {near}" if near else "")
        en = f"There is no command {command}." + (f" Did you mean {near}?" if near else "")
    else:
        ja, en = f"使い方が違います: {message}", message
    return Exit.USAGE, Words(f"{ja} (`{path} --help`)", f"{en} (`{path} --help`)")
