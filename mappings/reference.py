"""Writes what is generated from the transforms: the JSON Schema of mapping files and the table in docs/mappings.md.

`python -m mappings.reference` writes both again; a test holds them current.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo

from mappings.schema.build import SCHEMA_FILE, schema_text
from mappings.transforms import TRANSFORMS, Transform

__all__ = ["BEGIN", "DOCS_FILE", "END", "docs_text", "transform_table", "write"]

DOCS_FILE = Path(__file__).parents[1] / "docs" / "mappings.md"
BEGIN = "<!-- transforms: written by python -m mappings.reference -->"
END = "<!-- end of transforms -->"


def transform_table() -> str:
    """Every transform with its parameters, in Japanese and English, and examples, as Markdown."""
    lines = ["| `as` | 意味 / meaning | 例 / examples |", "|---|---|---|"]
    for name, transform in sorted(TRANSFORMS.items()):
        parameters = "<br>".join(
            _parameter(transform, *entry) for entry in transform.parameters.model_fields.items()
        )
        examples = "<br>".join(_example(name, *example) for example in transform.examples[:3])
        first = f"`{name}`" + (f"<br>{parameters}" if parameters else "")
        lines.append(f"| {first} | {_cell(transform.ja)}<br>{_cell(transform.en)} | {examples} |")
    return "\n".join(lines)


def _parameter(transform: Transform, name: str, field: FieldInfo) -> str:
    need = " (required)" if field.is_required() else ""
    computed = " (or an expression)" if name in transform.computed else ""
    return f"{name}{need}{computed}"


def _example(name: str, parameters: Any, value: Any, result: Any) -> str:
    given = f"{{{name}: {_flow(parameters)}}}" if parameters else name
    return f"`{_cell(given)}`: `{_cell(_flow(value))}` → `{_cell(_flow(result))}`"


def _flow(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", "\\n")


def docs_text() -> str:
    """docs/mappings.md as it must stand in the repository."""
    text = DOCS_FILE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{transform_table()}\n\n{END}{after}"


def write() -> None:
    """Write both files."""
    SCHEMA_FILE.write_text(schema_text(), encoding="utf-8")
    DOCS_FILE.write_text(docs_text(), encoding="utf-8")


if __name__ == "__main__":
    write()
