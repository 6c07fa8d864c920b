"""W6 with asyncssh, written for these works alone: many files at once in an event loop.

python -m bench.w6.peer files|down|up PORT USER KEY HOST_KEY THERE HERE      as `bench.w6.ours`
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import asyncssh

_AT_ONCE = 64


async def _files(client: asyncssh.SFTPClient, folder: str, target: Path) -> None:
    turns = asyncio.Semaphore(_AT_ONCE)

    async def bring(name: str) -> None:
        async with turns:
            await client.get(f"{folder}/{name}", target / name)

    names = [name for name in await client.listdir(folder) if name not in (".", "..")]
    await asyncio.gather(*(bring(name) for name in names))


async def _work(work: str, port: int, user: str, key: str, host_key: str, there: str, here: Path) -> None:
    known = asyncssh.import_known_hosts(f"[127.0.0.1]:{port} {host_key}\n")
    ciphers = ["aes128-gcm@openssh.com"]
    async with (
        asyncssh.connect(
            "127.0.0.1", port, username=user, client_keys=[key], known_hosts=known, encryption_algs=ciphers
        ) as connection,
        connection.start_sftp_client() as client,
    ):
        if work == "files":
            await _files(client, there, here)
        elif work == "down":
            await client.get(there, here)
        else:
            await client.put(here, f"{there}.tmp")
            await client.posix_rename(f"{there}.tmp", there)


if __name__ == "__main__":
    work, port, user, key, host_key, there, here = sys.argv[1:]
    asyncio.run(_work(work, int(port), user, key, host_key, there, Path(here)))
