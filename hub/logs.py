"""Logging: for people on a terminal, as JSON for machines, and in neither with secrets or personal data.

Everything goes to standard error: standard output is for what a command was asked to print. What is masked, by key
and by value, is decided in `connectors/transport/redaction.py`; personal data keep so much that an operator can tell
two people apart (`山*`, `090****1234`, `t***@example.jp`).

Inside Airflow nothing is configured here: its tasks have Airflow's logs and Airflow's own masking of connections.
"""

from __future__ import annotations

import logging
import re
import sys
import traceback
from collections.abc import Iterable, Mapping, MutableMapping
from functools import cache
from typing import IO, Any

import orjson
import structlog
from pydantic import SecretBytes, SecretStr
from structlog.typing import EventDict, Processor

from connectors.transport.redaction import MASK, Redactor, is_personal_key, is_secret_key
from hub.home import Settings

__all__ = ["Own", "configure_logging", "hide", "mask", "mask_error", "mask_record", "redact"]

#: They tell every request and every handshake; our own trace does that, redacted.
_NOISY = ("alembic", "asyncio", "asyncssh", "httpcore", "httpx", "urllib3")

_EMAIL = re.compile(r"(?P<first>[\w.+-])[\w.+-]*@(?P<host>[\w-]+(?:\.[\w-]+)+)")
_POSTAL = re.compile(r"(?P<head>\d{3})-?\d{4}")
_POSTAL_KEY = re.compile(r"zip|post|郵便", re.IGNORECASE)
_PHONE_KEY = re.compile(r"phone|tel|fax|mobile|電話|携帯|ファックス", re.IGNORECASE)
_ADDRESS_KEY = re.compile(r"addr|street|住所", re.IGNORECASE)
_PREFECTURE = re.compile(r"\s*(?:北海道|東京都|京都府|大阪府|.{2,3}県)")

_hidden: set[str] = set()


def hide(values: Iterable[str]) -> None:
    """Never show these values in any log line of this process again (secrets just read from a connection)."""
    new = {value for value in values if value} - _hidden
    if new:
        _hidden.update(new)
        _redactor.cache_clear()


@cache
def _redactor() -> Redactor:
    return Redactor(_hidden)


# ---------------------------------------------------------------- masking


class Own(str):
    """A word of the program's own, such as a route's name: it is told as it is, and costs no look for what to mask."""

    __slots__ = ()


def mask(key: str, value: object) -> str:
    """`value` as an operator may see it, by what its key (column or field) says it is.

    Secrets are hidden whole. Personal data keep a little: the first letter of a name, the prefecture of an address,
    the ends of a phone number. Anything else is shown, with e-mail addresses and phone numbers inside it masked.
    """
    if value is None or isinstance(value, bool):
        return "" if value is None else str(value)
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    if isinstance(value, SecretStr | SecretBytes) or (text and is_secret_key(key)):
        return MASK
    if not is_personal_key(key):
        return _redactor().text(text)
    return _personal(key, text.strip())


def _personal(key: str, text: str) -> str:
    if not text:
        return ""
    if email := _EMAIL.fullmatch(text):
        return f"{email['first']}***@{email['host']}"
    if _PHONE_KEY.search(key):
        digits = re.sub(r"\D", "", text)
        return f"{digits[:3]}****{digits[-4:]}" if len(digits) > 8 else MASK
    if _POSTAL_KEY.search(key):
        postal = _POSTAL.fullmatch(text)
        return f"{postal['head']}-****" if postal else MASK
    if _ADDRESS_KEY.search(key):
        prefecture = _PREFECTURE.match(text)
        return f"{prefecture[0].strip()}***" if prefecture else MASK
    return f"{text[0]}*" if not text[0].isdigit() else MASK


def mask_record(record: Any, key: str = "") -> Any:
    """A copy of JSON-like data, every text in it masked by its key; `key` is what the whole is called.

    A key is read together with the one above it: the `name` of a `buyer` is personal, that of an `item` is not.
    """
    if isinstance(record, Mapping):
        above = key.rpartition(".")[2]
        return {
            name: mask_record(value, f"{above}.{name}" if above else str(name))
            for name, value in record.items()
        }
    if isinstance(record, list | tuple | set | frozenset):
        return [mask_record(item, key) for item in record]
    if isinstance(record, str | bytes | SecretStr | SecretBytes):
        return mask(key, record)
    if record is None or isinstance(record, bool):
        return record
    if is_secret_key(key) or is_personal_key(key):
        return mask(key, record)
    return record


def mask_error(error: BaseException) -> None:
    """Mask what an exception, and those it came from, say: for logs that are not ours to filter (Airflow's)."""
    seen: set[int] = set()
    todo: list[BaseException | None] = [error]
    while todo:
        one = todo.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        one.args = tuple(_redactor().text(part) if isinstance(part, str) else part for part in one.args)
        todo += [one.__cause__, one.__context__]


def redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """The structlog processor that masks a log line; it stands right before the renderer."""
    for key, value in list(event.items()):
        if key in ("level", "timestamp", "logger") or isinstance(value, Own):
            continue
        if key in ("event", "exception", "stack"):
            event[key] = _redactor().text(str(value))
        elif isinstance(value, BaseException):
            event[key] = _redactor().text(f"{type(value).__name__}: {value}")
        else:
            event[key] = mask_record(value, key)
    return event


# ---------------------------------------------------------------- configuration


def configure_logging(
    settings: Settings, *, level: int = logging.INFO, stream: IO[str] | None = None
) -> None:
    """Send structlog's and the standard library's lines through one chain to `stream` (standard error).

    May be called again; the last call counts. Handlers of others are left alone.
    """
    stream = stream or sys.stderr
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(
            fmt="%H:%M:%S" if settings.log_format == "console" else "iso", utc=settings.log_format == "json"
        ),
        structlog.processors.StackInfoRenderer(),
        _format_exception,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=False,
    )
    handler = _Handler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                redact,
                _renderer(settings, stream),
            ],
        )
    )
    root = logging.getLogger()
    for old in [old for old in root.handlers if isinstance(old, _Handler)]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level)
    logging.captureWarnings(capture=True)
    for name in _NOISY:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))


class _Handler(logging.StreamHandler[IO[str]]):
    """Ours, so that a second call finds the first one's."""


def _renderer(settings: Settings, stream: IO[str]) -> Processor:
    if settings.log_format == "json":
        return structlog.processors.JSONRenderer(serializer=_json)
    colors = hasattr(stream, "isatty") and stream.isatty()
    # rich tracebacks show local variables, and those hold customers' data
    return structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=structlog.dev.plain_traceback)


def _json(event: EventDict, **_: Any) -> str:
    return orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS).decode()


def _format_exception(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """The traceback as text, without values of local variables, before masking looks at it."""
    info = event.pop("exc_info", None)
    if info is True:
        info = sys.exc_info()
    error = info[1] if isinstance(info, tuple) else info
    if isinstance(error, BaseException):
        event["exception"] = "".join(traceback.format_exception(error)).rstrip()
    return event
