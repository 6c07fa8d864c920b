"""Write anew what is derived from code: JSON Schemas, and with `--docs` also the reference page of each connector."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from canonical_model.schema import write_schemas
from connectors.describe import docs_page
from connectors.files.layout import layout_schema
from connectors.registry import load_connectors
from hub.systems import system_schema
from mappings.schema.build import schema_text

ROOT = Path(__file__).resolve().parent.parent


def main(arguments: list[str]) -> None:
    written = write_schemas()
    for path, text in {
        ROOT / "systems/schema/system.schema.json": _json(system_schema()),
        ROOT / "mappings/schema/mapping.schema.json": schema_text(),
        ROOT / "connectors/files/schema/layout.schema.json": _json(layout_schema()),
    }.items():
        written.append(_write(path, text))
    if "--docs" in arguments:
        for name, connector in load_connectors().items():
            written.append(_write(ROOT / f"docs/reference/{name}.md", docs_page(connector, "en")))
            written.append(_write(ROOT / f"docs/ja/reference/{name}.md", docs_page(connector, "ja")))
    sys.stdout.write(f"{len(written)} files written\n")


def _json(schema: object) -> str:
    return json.dumps(schema, ensure_ascii=False, indent=2) + "\n"


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return path


if __name__ == "__main__":
    main(sys.argv[1:])
