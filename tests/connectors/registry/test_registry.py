"""Which connectors are installed, and what is told when one is not."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from connectors.contract import Connector, Misconfigured, Title
from connectors.registry import GROUP, connector, gather, load_connectors


class Config(BaseModel):
    shop: str = "x"


@pytest.fixture
def module() -> Iterator[types.ModuleType]:
    """An importable module `installed_elsewhere` with connectors in it."""
    module = types.ModuleType("installed_elsewhere")
    for name in ("tiny_shop", "big_shop"):
        setattr(module, name, Connector(name, config=Config, title=Title("店", "Shop")))
    module.number = 7  # type: ignore[attr-defined]
    sys.modules["installed_elsewhere"] = module
    yield module
    del sys.modules["installed_elsewhere"]


def point(name: str, value: str) -> EntryPoint:
    return EntryPoint(name, value, GROUP)


@pytest.mark.usefixtures("module")
def test_one_that_fails_does_not_hide_the_others() -> None:
    found = gather(
        [
            point("tiny_shop", "installed_elsewhere:tiny_shop"),
            point("gone", "no_such_module_anywhere:connector"),
            point("number", "installed_elsewhere:number"),
            point("other_name", "installed_elsewhere:big_shop"),
            point("big_shop", "installed_elsewhere:big_shop"),
        ]
    )
    assert list(found) == ["big_shop", "tiny_shop"]
    assert [(fault.name, fault.reason) for fault in found.faults] == [
        ("gone", "it cannot be imported: ModuleNotFoundError: No module named 'no_such_module_anywhere'"),
        ("number", "the entry point names a int, not a Connector"),
        ("other_name", "the connector calls itself 'big_shop'; the entry point must have the same name"),
    ]
    assert str(found.faults[0]).startswith(
        "connector gone (unknown package, no_such_module_anywhere:connector)"
    )


@pytest.mark.usefixtures("module")
def test_two_of_one_name_are_told() -> None:
    twice = [point("tiny_shop", "installed_elsewhere:tiny_shop")] * 2
    found = gather(twice)
    assert list(found) == ["tiny_shop"]
    assert [fault.reason for fault in found.faults] == ["another package has taken this name"]


@pytest.mark.usefixtures("module")
def test_only_what_is_asked_for_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "loud_shop.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    found = gather([point("loud", "loud_shop:x"), point("tiny_shop", "installed_elsewhere:tiny_shop")])
    tried: list[str] = []
    monkeypatch.setattr(EntryPoint, "load", _noting(EntryPoint.load, tried))
    assert found.named("tiny_shop").name == "tiny_shop"
    assert tried == ["tiny_shop"]
    assert "loud" not in found
    assert tried == ["tiny_shop", "loud"]
    assert [fault.reason for fault in found.faults] == ["it cannot be imported: RuntimeError: imported"]


def _noting(load: Callable[[EntryPoint], Any], tried: list[str]) -> Callable[[EntryPoint], Any]:
    def noted(point: EntryPoint) -> Any:
        tried.append(point.name)
        return load(point)

    return noted


@pytest.mark.usefixtures("module")
def test_a_wrong_name_gets_a_hint() -> None:
    found = gather(
        [point("tiny_shop", "installed_elsewhere:tiny_shop"), point("gone", "no_such_module_anywhere:x")]
    )
    with pytest.raises(Misconfigured, match="no connector is named 'tiny_shp'; did you mean tiny_shop"):
        found.named("tiny_shp")
    with pytest.raises(Misconfigured, match="installed are: tiny_shop"):
        found.named("xxxxxx")
    with pytest.raises(Misconfigured, match=r"connector gone .*cannot be imported"):
        found.named("gone")
    with pytest.raises(Misconfigured, match="installed are: none"):
        gather([]).named("x")


def test_what_is_installed_is_found(monkeypatch: pytest.MonkeyPatch, module: types.ModuleType) -> None:
    points = [point("tiny_shop", "installed_elsewhere:tiny_shop")]
    monkeypatch.setattr("connectors.registry.entry_points", lambda group: points if group == GROUP else [])
    load_connectors.cache_clear()
    try:
        assert connector("tiny_shop") is module.tiny_shop
        assert load_connectors() is load_connectors()
    finally:
        load_connectors.cache_clear()
