"""Delete TSUNAGI_HOME with all its data, also what lies outside it; for `make clean`, after `tsunagi stop`."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from hub.home import Settings
from hub.postgres import EmbeddedPostgres


def main() -> int:
    home = Settings.from_env().home
    if not home.root.exists():
        return 0
    if not (home.postgres.is_dir() and home.secrets.is_dir()) or home.root in [
        Path.cwd(),
        *Path.cwd().parents,
    ]:
        sys.stderr.write(
            f"{home.root} はつなぎのフォルダではないようです。削除しません。\n"
            f"{home.root} does not look like a folder of the hub; it is left alone.\n"
        )
        return 1
    EmbeddedPostgres(home).remove()
    shutil.rmtree(home.root)
    return 0


if __name__ == "__main__":
    sys.exit(main())
