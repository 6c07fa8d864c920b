"""Singer: a tap piped into a PostgreSQL target, the two of them processes of their own.

    python -m bench.w1.peers.singer_pipe URL FILE FOLDER CHANNEL text | objects

The target is Meltano's, loading by COPY, without what it adds to each row and without checking each row against the
schema again.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from bench.w1.peers.entities import SCHEMA
from bench.w1.peers.quiet import quiet


def main(url: str, file: str, folder: Path, channel: str, contents: str) -> None:
    """Write both settings, and run the pipe."""
    settings = {
        "tap.json": {"file": file, "channel": channel, "contents": contents},
        "target.json": {
            "sqlalchemy_url": url.replace("postgresql://", "postgresql+psycopg://"), "default_target_schema": SCHEMA,
            "use_copy": True, "add_record_metadata": False, "validate_records": False, "activate_version": False,
        },
    }  # fmt: skip
    for name, values in settings.items():
        (folder / name).write_text(json.dumps(values), "utf-8")
    target = Path(sys.executable).with_name("target-postgres")
    pipe = '"$0" -m bench.w1.peers.singer_tap --config "$2/tap.json" | "$1" --config "$2/target.json"'
    with quiet(folder):
        subprocess.run(["bash", "-o", "pipefail", "-c", pipe, sys.executable, target, folder], check=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), sys.argv[4], sys.argv[5])
