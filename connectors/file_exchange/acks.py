"""Answers to files: the ones we give, and the ones we wait for."""

from __future__ import annotations

import contextlib
import posixpath
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from connectors.contract import Call, Misconfigured, Outcome, Record
from connectors.file_exchange.config import Ack, FileExchangeConfig, OutInterface
from connectors.file_exchange.formats import layout_of, writer_for
from connectors.file_exchange.outbox import Outbox
from connectors.files.charset import Charset
from connectors.files.csv_codec import read_csv
from connectors.files.csv_writer import text_of
from connectors.files.layout import CsvLayout
from connectors.transport.files import join

__all__ = ["Answer", "answers", "write_ack"]

_PARTS = ("line", "key", "code", "message")
_GOOD = frozenset({"OK", "正常", "0", "ok", "成功"})


# ---------------------------------------------------------------- the ones we give


def write_ack(call: Call[FileExchangeConfig], file: str, rows: Sequence[Mapping[str, Any]]) -> str | None:
    """Answer the incoming file `file`; returns the name of the answer, None where the interface gives none.

    rows  the refused ones: {"line", "key", "code", "message"}; none when all went well. Repeating the call writes the
          same file again; when a replay has mended the rows, the new answer takes the place of the old one.
    """
    interface = call.config.incoming(call.params)
    ack = interface.ack
    if ack is None:
        return None
    call.files.make_folder(ack.folder)
    if ack.kind == "ok_ng":
        name, other = (file + ack.ng, file + ack.ok) if rows else (file + ack.ok, file + ack.ng)
        with contextlib.suppress(FileNotFoundError):
            call.files.delete(join(ack.folder, other))
        text = "".join("\t".join(text_of(row.get(part)) for part in _PARTS) + "\r\n" for row in rows)
        content = Charset("cp932").encode(text)[0]
    else:
        name = _result_name(file, ack)
        content = _results(call.config, ack, file, rows)
    call.files.write(join(ack.folder, name), content, overwrite=True)
    return name


def _results(config: FileExchangeConfig, ack: Ack, file: str, rows: Sequence[Mapping[str, Any]]) -> bytes:
    writer = writer_for(config, ack.layout)
    table: list[dict[str, Any]] = [
        {
            "ファイル名": file, "行番号": row.get("line"), "キー": row.get("key"), "結果": "NG",
            "コード": row.get("code"), "メッセージ": row.get("message"),
        }
        for row in rows
    ] or [{"ファイル名": file, "結果": "OK"}]  # fmt: skip
    return writer.file([writer.row(row, number)[0] for number, row in enumerate(table, 1)], table)


def _result_name(file: str, ack: Ack) -> str:
    return posixpath.splitext(file)[0] + ack.suffix


# ---------------------------------------------------------------- the ones we wait for


@dataclass(frozen=True, slots=True)
class Answer:
    """What the partner said to a file: rows it refused, by our key or by their 1-based row; `all` if the whole."""

    refused_keys: Mapping[str, str]
    refused_rows: Mapping[int, str]
    all: str | None = None


def answers(
    call: Call[FileExchangeConfig],
    interface: OutInterface,
    outbox: Outbox,
    file: str,
    rows_of: Mapping[str, range],
) -> Iterable[Outcome]:
    """Outcomes of the changes of a sent file (change key -> its rows), after the partner's answer to it."""
    ack = interface.ack
    if ack is None:
        return [Outcome.done(key, external_version=file) for key in rows_of]
    answer = _read(call, ack, outbox, file)
    if answer is None:
        reason = f"waiting for the partner's answer to {file} ({file} の受領応答待ち)"
        return [Outcome.retry(key, reason, after=ack.every) for key in rows_of]
    return [_outcome(key, rows, answer, file) for key, rows in rows_of.items()]


def _outcome(key: str, rows: range, answer: Answer, file: str) -> Outcome:
    said = answer.all or answer.refused_keys.get(key)
    if said is None:
        said = next((answer.refused_rows[row] for row in rows if row in answer.refused_rows), None)
    if said is None:
        return Outcome.done(key, external_version=file)
    return Outcome.refused(key, f"{file}: {said}", code="ack")


def _read(call: Call[FileExchangeConfig], ack: Ack, outbox: Outbox, file: str) -> Answer | None:
    """The answer, wherever it lies by now; read ones are moved beside our notes."""
    names = (file + ack.ok, file + ack.ng) if ack.kind == "ok_ng" else (_result_name(file, ack),)
    kept = outbox.sent_folders()
    for name in names:
        for folder in (ack.folder, *kept):
            path = join(folder, name)
            if not call.files.exists(path):
                continue
            with call.files.open_read(path) as stream:
                answer = (
                    _ok_ng(name, ack, stream.read())
                    if ack.kind == "ok_ng"
                    else _result_rows(call, ack, stream)
                )
            if folder == ack.folder:
                call.files.make_folder(kept[0])
                call.files.rename(path, join(kept[0], name), overwrite=True)
            return answer
    return None


def _ok_ng(name: str, ack: Ack, content: bytes) -> Answer:
    if name.endswith(ack.ok):
        return Answer({}, {})
    words = content.decode("cp932", "replace").strip()
    return Answer({}, {}, all=words or "refused without a reason (理由なし)")


def _result_rows(call: Call[FileExchangeConfig], ack: Ack, stream: Any) -> Answer:
    layout = layout_of(call.config, ack.layout)
    if not isinstance(layout, CsvLayout):
        raise Misconfigured(f"layout {ack.layout}: an answer must be a CSV layout")
    keys: dict[str, str] = {}
    rows: dict[int, str] = {}
    for item in read_csv(stream, layout):
        if not isinstance(item, Record):
            raise Misconfigured(f"the partner's answer cannot be read: {item.reason}")
        data = item.data
        if data.get("結果", "").strip() in _GOOD:
            continue
        words = (
            f"{data.get('コード', '')} {data.get('メッセージ', '')}".strip()
            or "refused without a reason (理由なし)"
        )
        if data.get("キー"):
            keys[data["キー"]] = words
        elif str(data.get("行番号", "")).isdigit():
            rows[int(data["行番号"])] = words
        else:
            return Answer({}, {}, all=words)
    return Answer(keys, rows)
