"""W6, ours: the hub's own door to an SFTP account, from the settings to files on the disk.

python -m bench.w6.ours files PORT USER KEY HOST_KEY FOLDER TARGET      all files of FOLDER into TARGET
python -m bench.w6.ours down  PORT USER KEY HOST_KEY FILE   TARGET      one file
python -m bench.w6.ours up    PORT USER KEY HOST_KEY FILE   TARGET      one file, under a temporary name, then renamed
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import BinaryIO

from pydantic import SecretStr

from connectors.transport.sftp import Sftp, SftpSettings

_BLOCK = 1 << 20


def _keep(stream: BinaryIO, target: Path) -> None:
    with target.open("wb") as file:
        shutil.copyfileobj(stream, file, _BLOCK)


def files(store: Sftp, folder: str, target: Path) -> None:
    """List a folder and bring all its files."""
    found = store.list(folder)
    for info, coming in zip(found, store.fetch([info.path for info in found]), strict=True):
        with coming as stream:
            _keep(stream, target / info.name)


def down(store: Sftp, file: str, target: Path) -> None:
    """Bring one file."""
    with store.open_read(file) as stream:
        _keep(stream, target)


def up(store: Sftp, file: str, target: Path) -> None:
    """Deliver one file."""
    with target.open("rb") as stream:
        store.write(file, stream)


if __name__ == "__main__":
    work, port, user, key, host_key, path, target = sys.argv[1:]
    settings = SftpSettings(
        host="127.0.0.1", port=int(port), user=user, host_keys=(host_key,), root="/",
        private_key=SecretStr(Path(key).read_text()),
    )  # fmt: skip
    with Sftp(settings) as account:
        {"files": files, "down": down, "up": up}[work](account, path.lstrip("/"), Path(target))
