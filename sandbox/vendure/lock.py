"""`python -m sandbox.vendure.lock`: write app/package-lock.json anew from app/package.json.

The lock names versions and checksums, no URL: npm asks whatever registry the machine is set up for.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

APP = Path(__file__).parent / "app"
KEPT = (
    *("name", "version", "lockfileVersion", "requires", "packages", "integrity", "dependencies", "overrides"),
    *(
        "optionalDependencies",
        "peerDependencies",
        "peerDependenciesMeta",
        "optional",
        "peer",
        "dev",
        "devOptional",
    ),
    *("bin", "os", "cpu", "libc", "hasInstallScript", "inBundle", "bundleDependencies", "engines"),
)


def main() -> int:
    npm = shutil.which("npm")
    if npm is None:
        sys.stderr.write("npm is not on the PATH\n")
        return 3
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(APP / "package.json", folder)
        command = [
            npm,
            "install",
            "--package-lock-only",
            "--omit-lockfile-registry-resolved",
            "--loglevel=error",
        ]
        subprocess.run(command, cwd=folder, check=True)  # noqa: S603
        lock = json.loads((Path(folder) / "package-lock.json").read_text(encoding="utf-8"))
    lock["packages"] = {
        path: {name: value for name, value in package.items() if name in KEPT}
        for path, package in lock["packages"].items()
    }
    text = json.dumps(lock, ensure_ascii=False, indent=1)
    (APP / "package-lock.json").write_text(text + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
