"""The command `tsunagi` as a whole: help in the operator's language, and no traceback for what is expected.

Every help text in this folder is written `日本語 / English`, paragraph by paragraph; here the half is chosen.
"""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup

from hub.cli.failures import guarded
from hub.words import Language, Words, language

__all__ = ["SEPARATOR", "Root", "half", "in_language"]

SEPARATOR = " / "

_BUILT_IN = {
    "install_completion": Words("シェルの補完を組み込む", "Install completion for this shell"),
    "show_completion": Words("シェルの補完を表示する", "Show the completion of this shell"),
}
_PANELS = {
    "argument": Words("引数", "Arguments"),
    "option": Words("オプション", "Options"),
    "command": Words("コマンド", "Commands"),
}


class Root(TyperGroup):
    """The outermost group."""

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """Choose the language, then parse."""
        in_language(self, language())
        with guarded():
            return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: Any) -> Any:
        """Run the command; what it raises becomes a sentence and an exit code."""
        with guarded():
            return super().invoke(ctx)


def half(text: str, lang: Language) -> str:
    """The half of a text in both languages, paragraph by paragraph; a paragraph without a separator stays."""
    halves = []
    for paragraph in text.split("\n\n"):
        ja, sign, en = " ".join(paragraph.split()).partition(SEPARATOR)
        halves.append(en.strip() if sign and lang == "en" else ja.strip())
    return "\n\n".join(halves)


def in_language(command: Any, lang: Language) -> None:
    """Put every text of a command, and of the commands below it, into one language."""
    for name in ("help", "short_help", "epilog"):
        if text := getattr(command, name, None):
            setattr(command, name, half(text, lang))
    for param in command.params:
        if param.name in _BUILT_IN:
            param.help = _BUILT_IN[param.name].say(lang)
        elif text := getattr(param, "help", None):
            param.help = half(text, lang)
        _panel(param, param.param_type_name, lang)
    for below in getattr(command, "commands", {}).values():
        _panel(below, "command", lang)
        in_language(below, lang)
    help_option = command.get_help_option(typer.Context(command))
    if help_option is not None:
        help_option.help = Words("この説明を表示する", "Show this message").say(lang)
        _panel(help_option, "option", lang)


def _panel(part: Any, kind: str, lang: Language) -> None:
    """The heading a part stands under in the help."""
    told = getattr(part, "rich_help_panel", None)
    part.rich_help_panel = half(told, lang) if isinstance(told, str) else _PANELS[kind].say(lang)
