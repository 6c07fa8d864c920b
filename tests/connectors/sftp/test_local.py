"""What only a local folder can be tricked into."""

from __future__ import annotations

from pathlib import Path

import pytest

from connectors.contract import Misconfigured
from connectors.transport.local import LocalFolder


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret.csv").write_bytes(b"secret")
    return tmp_path / "outside"


def test_a_symbolic_link_is_neither_listed_nor_read_nor_written_through(
    tmp_path: Path, outside: Path
) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "link.csv").symlink_to(outside / "secret.csv")
    (root / "folder").symlink_to(outside)
    store = LocalFolder(root)
    assert store.list("") == []
    with pytest.raises(OSError), store.open_read("link.csv"):  # noqa: PT011  (ELOOP has no class of its own)
        pytest.fail("followed")
    with pytest.raises(OSError), store.open_read("folder/secret.csv"):  # noqa: PT011
        pytest.fail("followed")
    with pytest.raises(OSError):  # noqa: PT011
        store.write("folder/new.csv", b"x")
    store.write("link.csv", b"new", overwrite=True)
    assert (outside / "secret.csv").read_bytes() == b"secret"
    assert sorted(p.name for p in outside.iterdir()) == ["secret.csv"]


def test_a_missing_root_is_the_operators_business(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"does not exist; create it or mend `root`"):
        LocalFolder(tmp_path / "nowhere").list("")


def test_a_move_that_was_killed_between_its_two_steps_is_finished(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "done").mkdir()
    (tmp_path / "in" / "A.csv").write_bytes(b"a")
    (tmp_path / "done" / "A.csv").hardlink_to(tmp_path / "in" / "A.csv")
    LocalFolder(tmp_path).rename("in/A.csv", "done/A.csv")
    assert list((tmp_path / "in").iterdir()) == []
    assert (tmp_path / "done" / "A.csv").read_bytes() == b"a"
