"""The connector: files in by the source `files`, with our answers to them; files out by the sink `files`.

Which interface a flow means stands in its `params: {interface: NAME}`.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from connectors.contract import (
    Batch,
    Call,
    Change,
    Connector,
    Deletes,
    Misconfigured,
    Outcome,
    Page,
    Title,
    Write,
)
from connectors.file_exchange.acks import answers, write_ack
from connectors.file_exchange.config import FileExchangeConfig, InInterface, OutInterface
from connectors.file_exchange.formats import decode, layout_of, sheet, writer_for
from connectors.file_exchange.inbox import Inbox
from connectors.file_exchange.outbox import Outbox
from connectors.files.csv_writer import RowRefused
from connectors.transport.files import FileStore, probe
from connectors.transport.local import LocalFolder

__all__ = ["connector"]


def _store(config: FileExchangeConfig) -> FileStore:
    if config.protocol == "local":
        return LocalFolder(Path(config.root))
    from connectors.transport.sftp import (
        Sftp,
        SftpSettings,
    )  # asyncssh is slow to import and not always needed

    assert config.host is not None and config.user is not None  # noqa: PT018  (the config's own check)
    return Sftp(
        SftpSettings(
            host=config.host, port=config.port, user=config.user, password=config.password,
            private_key=config.private_key, passphrase=config.passphrase, host_keys=config.host_keys, root=config.root,
            connect_timeout=config.connect_timeout, timeout=config.timeout, prefetch=config.prefetch,
            confirm=config.confirm, replace=config.replace, spool=config.spool,
        )
    )  # fmt: skip


connector: Connector[FileExchangeConfig] = Connector(
    "file_exchange",
    config=FileExchangeConfig,
    title=Title("ファイル連携（CSV・固定長）", "File exchange (CSV, fixed length)"),
    files=_store,
)


@connector.source(
    "files",
    key="key",  # each mapping names its own external id
    title=Title("受信ファイル", "Incoming files"),
    deletes=Deletes.ABSENCE,
    decode=decode,
    sheet=sheet,
    acknowledge=write_ack,
)
def files(call: Call[FileExchangeConfig], cursor: None) -> Iterator[Page]:  # noqa: ARG001
    """Files of one interface that are ready, in their order, one page each.

    Params: `interface`; for one run by hand also `accept_gap: true` (go on without a missing number) and
    `release: NAME` (take in a held file). Only pages of a `snapshot` interface are complete listings.
    """
    yield from Inbox(call, call.config.incoming(call.params)).pages()


@connector.sink(
    "files",
    key="key",
    title=Title("送信ファイル", "Outgoing files"),
    batch_size=10_000,
    write=Write.APPEND,
    idempotent=True,
    whole=True,
)
def put(call: Call[FileExchangeConfig], batch: Batch) -> Iterable[Outcome]:
    """One file with the rows of all changes; a change's record is one row or {"rows": [...]}.

    A row the layout cannot hold refuses its change, the others are written. Characters and values that had to be
    changed are the outcome's notes. With an `ack` the outcomes wait for the partner's answer.
    """
    interface = call.config.outgoing(call.params)
    writer = writer_for(call.config, interface.layout)
    encoded: list[bytes] = []
    rows: list[Mapping[str, Any]] = []
    rows_of: dict[str, range] = {}
    notes: dict[str, tuple[str, ...]] = {}
    outcomes: list[Outcome] = []
    for change in batch:
        try:
            lines, found = _encoded(writer, change, len(rows) + 1)
        except RowRefused as refusal:
            outcomes.append(Outcome.refused(change.key, f"{refusal.japanese} / {refusal}", code="layout"))
            continue
        own = _rows(change)
        rows_of[change.key] = range(len(rows) + 1, len(rows) + 1 + len(own))
        encoded += lines
        rows += own
        notes[change.key] = tuple(found)
    if rows_of:
        outbox = Outbox(call, interface)
        name = outbox.send(writer.file(encoded, rows), batch, len(rows))
        said = answers(call, interface, outbox, name, rows_of)
        outcomes += [_with_notes(outcome, notes[outcome.key]) for outcome in said]
    return outcomes


def _rows(change: Change) -> list[Mapping[str, Any]]:
    many = change.record.get("rows")
    return list(many) if isinstance(many, list | tuple) else [change.record]


def _encoded(writer: Any, change: Change, first: int) -> tuple[list[bytes], list[str]]:
    if change.deleted:
        raise RowRefused("", "このファイルでは取消を送れません", "this file cannot carry a deletion")
    lines: list[bytes] = []
    notes: list[str] = []
    for number, row in enumerate(_rows(change), first):
        line, findings = writer.row(row, number)
        lines.append(line)
        notes += [
            f"{finding.describe('ja')} / {finding.describe('en')}" for finding in findings if finding.grave
        ]
    return lines, notes


def _with_notes(outcome: Outcome, notes: tuple[str, ...]) -> Outcome:
    if not notes or outcome.verdict != "done":
        return outcome
    return Outcome.done(outcome.key, external_version=outcome.external_version, notes=notes)


@connector.check
def check(call: Call[FileExchangeConfig]) -> str:
    """Log in, look into every folder, and try out in the outgoing ones what sending needs."""
    seen: list[str] = []
    for interface in call.config.interfaces:
        layout_of(call.config, interface.layout)
        try:
            waiting = call.files.list(interface.folder)
        except FileNotFoundError:
            raise Misconfigured(
                f"interface {interface.name}: there is no folder {interface.folder!r} at {call.files.describe()}; "
                "create it or mend `folder`"
            ) from None
        if isinstance(interface, InInterface):
            count = sum(interface.names.parse(info.name) is not None for info in waiting)
            seen.append(f"{interface.name}: {count} waiting")
        else:
            seen.append(_may_send(call, interface))
    return f"{call.files.describe()}: {'; '.join(seen)}"


def _may_send(call: Call[FileExchangeConfig], interface: OutInterface) -> str:
    missing = probe(call.files, interface.folder, secrets.token_hex(4)).missing()
    needed = [name for name in missing if name != "replace"]
    if needed:
        raise Misconfigured(
            f"interface {interface.name}: the account may not {', '.join(needed)} in {interface.folder!r}; "
            "ask the partner for these rights"
        )
    return f"{interface.name}: may write" + (", but not replace files" if missing else "")
