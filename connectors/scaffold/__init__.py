"""`tsunagi new connector NAME`: the folder of a new connector that works, tests and all, outside this repository."""

from __future__ import annotations

import keyword
import re
import sys
from pathlib import Path

__all__ = ["write_connector"]

_TEMPLATE = Path(__file__).parent / "template"
_ENDING = ".tmpl"
_TAKEN = (
    "canonical_model",
    "connectors",
    "dags",
    "hub",
    "mappings",
    "plugins",
    "sandbox",
    "systems",
    "tests",
)


def write_connector(name: str, target_dir: Path) -> list[Path]:
    """Write the folder `target_dir/name`: a package of its own with connector, mappings, recordings and tests.

    name  lower case letters, digits and `_`, such as tiny_shop: package, connection type and mapping folder

    Returns the written files in order. Raises ValueError for a name that cannot be used, FileExistsError when the
    folder is there and not empty; nothing is overwritten.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*[a-z0-9]", name) or keyword.iskeyword(name):
        raise ValueError(
            f"{name!r} cannot be a connector's name: lower case letters, digits and _ are allowed (tiny_shop)"
        )
    if name in _TAKEN or name in sys.stdlib_module_names:
        raise ValueError(f"{name!r} cannot be a connector's name: a Python package is called so")
    folder = target_dir / name
    if folder.exists() and any(folder.iterdir()):
        raise FileExistsError(f"{folder} is there and not empty; choose another name or folder")
    words = {
        "@name@": name,
        "@NAME@": name.upper(),
        "@dist@": "tsunagi-" + name.replace("_", "-"),
        "@system@": name.replace("_", "-") + "-main",
        "@Class@": "".join(part.capitalize() for part in name.split("_")),
        "@title@": name.replace("_", " ").capitalize(),
    }
    written = []
    for template in sorted(_TEMPLATE.rglob(f"*{_ENDING}")):
        place = template.relative_to(_TEMPLATE).as_posix().removesuffix(_ENDING)
        path = folder / _replaced(place, words)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_replaced(template.read_text("utf-8"), words), "utf-8")
        written.append(path)
    return written


def _replaced(text: str, words: dict[str, str]) -> str:
    for word, value in words.items():
        text = text.replace(word, value)
    return text
