"""Ground for the tests that run Airflow itself: a home of its own, made before Airflow is first imported."""

from __future__ import annotations

import atexit
import importlib
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, Field, SecretStr

from connectors.contract import Batch, Call, Change, Connector, Cursor, Outcome, Page, Title
from connectors.registry import load_connectors
from hub.home import Settings

NOT_OURS = (
    "GitWildMatchPattern:DeprecationWarning",  # Airflow reading .airflowignore
)
"""Warnings about code of Airflow's own, by how they begin."""
ROOT = Path(__file__).resolve().parents[2]
HOME = Path(tempfile.mkdtemp(prefix="tsunagi-airflow-"))
atexit.register(shutil.rmtree, HOME, ignore_errors=True)

# Airflow reads these once, at its first import in the process.
os.environ.update(
    AIRFLOW_HOME=str(HOME),
    AIRFLOW__CORE__UNIT_TEST_MODE="True",
    AIRFLOW__CORE__LOAD_EXAMPLES="False",
    AIRFLOW__CORE__DAGS_FOLDER=str(ROOT / "dags"),
    AIRFLOW__CORE__PLUGINS_FOLDER=str(HOME / "plugins"),
    AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=f"sqlite:///{HOME}/airflow.db",
    AIRFLOW__DATABASE__LOAD_DEFAULT_CONNECTIONS="False",
)

with warnings.catch_warnings():
    # Airflow's own imports are not ours to mend; everything our code warns about stays an error
    warnings.simplefilter("ignore")
    for module in ("airflow.sdk", "airflow.api_fastapi.app"):
        importlib.import_module(module)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.airflow)
            for theirs in NOT_OURS:
                item.add_marker(pytest.mark.filterwarnings(f"ignore:{theirs}"))


@pytest.fixture(scope="session")
def airflow_database() -> None:
    """Airflow's own tables."""
    from airflow.utils.db import initdb

    initdb()


# ---------------------------------------------------------------- a small system for these tests

SYSTEM = """\
system: shop
connector: sample
title: {ja: 見本の店, en: Sample shop}
constants: {channel: shop}
owner: sales
flows:
  items: {pull: items, mapping: sample/listings.in, schedule: "*/5 * * * *", retries: 3, timeout: 20m}
  levels: {pull: levels, mapping: sample/stock.in, schedule: {business_days: every, at: ["09:00"]}}
  stock: {push: stock, mapping: sample/stock.out, tags: [urgent]}
"""
LISTINGS_IN = """\
version: 1
direction: in
entity: listing
title: {ja: 商品, en: Items}
external_id: sku
fields:
  key: {join: [$system.channel, sku], with: "/"}
  channel: $system.channel
  sku: {from: sku, required: true}
  external_id: sku
  title: {from: name, required: true}
"""
STOCK_IN = """\
version: 1
direction: in
entity: stock_position
title: {ja: 在庫, en: Stock}
external_id: sku
fields:
  key: {join: [sku, {value: main}], with: "@"}
  sku: sku
  location: {value: main}
  on_hand: {from: quantity, as: integer}
"""
STOCK_OUT = """\
version: 1
direction: out
entity: stock_position
title: {ja: 在庫, en: Stock}
related:
  listing: {entity: listing, key: {join: [$system.channel, sku], with: "/"}, back: [sku, sku]}
when: {present: $related.listing.external_id}
key: sku
fields:
  sku: sku
  quantity: on_hand
"""


class SampleConfig(BaseModel):
    """A secret that comes from the connection, or none."""

    token: SecretStr | None = Field(None, json_schema_extra={"connection": "password"})


class Count(Cursor):
    page: int


@dataclass
class Sample:
    """What the other side has, and what it was sent.

    errors  raised by the next calls, one each
    """

    pages: dict[str, list[list[dict[str, Any]]]] = field(default_factory=lambda: {"items": [], "levels": []})
    sent: list[Change] = field(default_factory=list)
    params: list[dict[str, Any]] = field(default_factory=list)
    tokens: list[str | None] = field(default_factory=list)
    errors: list[Exception] = field(default_factory=list)

    def connector(self) -> Connector[SampleConfig]:
        connector = Connector("sample", config=SampleConfig, title=Title("見本", "Sample"))
        for name, title in (("items", Title("商品", "Items")), ("levels", Title("在庫数", "Stock levels"))):
            connector.source(name, key="sku", title=title, cursor=Count)(self._source(name))
        connector.sink("stock", key="sku", title=Title("在庫更新", "Stock"))(self._send)
        return connector

    def _source(self, name: str) -> Any:
        def pages(call: Call[SampleConfig], cursor: Count | None) -> Iterator[Page]:
            self.params.append(dict(call.params))
            self.tokens.append(call.config.token and call.config.token.get_secret_value())
            for number, records in enumerate(self.pages[name], 1):
                if cursor is None or number > cursor.page:
                    yield Page(Count(page=number), records=records, name=f"{name} {number}")
            self._fail()

        return pages

    def _fail(self) -> None:
        if self.errors:
            raise self.errors.pop(0)

    def _send(self, call: Call[SampleConfig], batch: Batch) -> Iterable[Outcome]:
        self._fail()
        self.sent.extend(batch)
        return [Outcome.done(change.key) for change in batch]


def write_files(home: Path, systems: Path) -> None:
    """The system file, and the mappings where the hub of `home` looks for its own."""
    systems.mkdir(parents=True, exist_ok=True)
    (systems / "shop.yaml").write_text(SYSTEM, "utf-8")
    folder = home / "mappings" / "sample"
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in (("listings.in", LISTINGS_IN), ("stock.in", STOCK_IN), ("stock.out", STOCK_OUT)):
        (folder / f"{name}.yaml").write_text(text, "utf-8")


@pytest.fixture
def sample(monkeypatch: pytest.MonkeyPatch) -> Sample:
    """The other side of the sample connector, which is installed for this test."""
    sample = Sample()
    monkeypatch.setitem(load_connectors(), "sample", sample.connector())
    return sample


@pytest.fixture
def shop(sample: Sample, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings, also in the environment, of a hub with one sample system and no database yet."""
    home, systems = tmp_path / "home", tmp_path / "systems"
    write_files(home, systems)
    monkeypatch.setenv("TSUNAGI_HOME", str(home))
    monkeypatch.setenv("TSUNAGI_SYSTEMS", str(systems))
    monkeypatch.setenv("TSUNAGI_LANG", "ja")
    return Settings.from_env()
