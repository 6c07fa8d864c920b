"""One partner over a folder, and a hub in a few lines: it stores pages, and may be killed at any moment."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from connectors.contract import Batch, Call, Change, Outcome, Page
from connectors.file_exchange import FileExchangeConfig, connector
from connectors.file_exchange.formats import decode
from connectors.testing.memory import MemoryHistory, Seen
from connectors.transport.local import LocalFolder
from tests.connectors.files.conftest import sorted_out

NOON = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
COLUMNS = (
    "layout: small\ntitle: {ja: 小, en: Small}\nformat: csv\ncolumns: [{name: 番号, kind: code}, 名前]\n"
)


@dataclass
class Stored:
    name: str | None
    content: bytes | None
    note: str | None
    sequence: int | None
    complete: bool


@dataclass
class Desk:
    """The hub's part: what it stored, and what it calls."""

    root: Path
    layouts: Path
    interfaces: list[dict[str, Any]]
    history: MemoryHistory = field(default_factory=MemoryHistory)
    stored: list[Stored] = field(default_factory=list)
    now: datetime = NOON

    @property
    def config(self) -> FileExchangeConfig:
        settings = {"root": str(self.root), "layouts": [self.layouts], "interfaces": self.interfaces}
        return FileExchangeConfig.model_validate(settings)

    def call(self, **params: Any) -> Call[FileExchangeConfig]:
        return Call(
            "partner", self.config, _files=LocalFolder(self.root), params=params, now=lambda: self.now,
            files_seen=self.history,
        )  # fmt: skip

    def pull(
        self, *, die_before_storing: int = -1, die_after_storing: int = -1, **params: Any
    ) -> list[Stored]:
        """One pull. `die_...: n` abandons it at the n-th page (0-based), as a kill of the process would."""
        new: list[Stored] = []
        for number, page in enumerate(connector.sources["files"].run(self.call(**params), None)):
            if number == die_before_storing:
                return new
            new.append(self._store(page))
            if number == die_after_storing:
                return new
        return new

    def _store(self, page: Page) -> Stored:
        raw = page.raw
        content = raw if isinstance(raw, bytes) or raw is None else raw.read()
        kept = Stored(page.name, content, page.note, page.sequence, page.complete)
        if content is not None:
            digest = hashlib.sha256(content).hexdigest()
            self.history.files.append(Seen(page.name or "", digest, self.now, page.sequence))
            self.stored.append(kept)
        return kept

    def push(self, *changes: Change, key: str = "delivery-1", **params: Any) -> dict[str, Outcome]:
        batch = Batch(changes, idempotency_key=key, business_date=params.pop("business_date", None))
        return {o.key: o for o in connector.sinks["files"].run(self.call(**params), batch)}

    def drop(self, path: str, content: bytes | str = "番号,名前\r\n1,山田\r\n") -> None:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content if isinstance(content, bytes) else content.encode("cp932"))

    def tree(self) -> list[str]:
        return sorted(p.relative_to(self.root).as_posix() for p in self.root.rglob("*") if p.is_file())

    def rows(self, stored: Stored, **params: Any) -> tuple[list[Mapping[str, Any]], list[str]]:
        records, faults = sorted_out(decode(io.BytesIO(stored.content or b""), self.config, params))
        return [r.data for r in records], [f.code for f in faults]


def change(key: str, *rows: Mapping[str, Any], deleted: bool = False) -> Change:
    return Change(key, {"rows": list(rows)}, version=1, deleted=deleted)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    layouts = tmp_path / "layouts"
    layouts.mkdir()
    (layouts / "small.yaml").write_text(COLUMNS, encoding="utf-8")
    root = tmp_path / "partner"
    (root / "in").mkdir(parents=True)
    (root / "out").mkdir()
    return Desk(root, layouts, [incoming(), outgoing()])


def incoming(**options: Any) -> dict[str, Any]:
    pattern = "A_{date:%Y%m%d}_{seq:03d}.csv"
    return {"name": "orders", "folder": "in", "pattern": pattern, "layout": "small", **options}


def outgoing(**options: Any) -> dict[str, Any]:
    pattern = "B_{date:%Y%m%d}_{seq:03d}.csv"
    return {
        "name": "report",
        "direction": "out",
        "folder": "out",
        "pattern": pattern,
        "layout": "small",
        **options,
    }


DAY = date(2026, 11, 21)
