"""SSH keys: the host keys a system's settings pin, and private keys in whatever form they come."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Sequence

import asyncssh
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from pydantic import SecretStr

from connectors.contract import Misconfigured

__all__ = ["HOST_KEY_ALGORITHMS", "PinnedHostKeys", "fingerprint", "load_private_key"]

HOST_KEY_ALGORITHMS: dict[str, tuple[str, ...]] = {
    "ssh-ed25519": ("ssh-ed25519",),
    "ecdsa-sha2-nistp256": ("ecdsa-sha2-nistp256",),
    "ecdsa-sha2-nistp384": ("ecdsa-sha2-nistp384",),
    "ecdsa-sha2-nistp521": ("ecdsa-sha2-nistp521",),
    # the last one signs with SHA-1: servers from before 2016 know no other
    "ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256", "ssh-rsa"),
}
"""Kinds of host keys, each with the algorithms a server may prove it by. The wish comes first."""


def fingerprint(blob: bytes) -> str:
    """Of a public key in SSH's own form, as `ssh-keygen -l` prints it: "SHA256:..."."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


class PinnedHostKeys:
    """The keys a server may show. None is ever learned from a server."""

    def __init__(self, keys: Sequence[tuple[str, bytes]]) -> None:
        self._keys = tuple(keys)

    @classmethod
    def of(cls, lines: Sequence[str], where: str) -> PinnedHostKeys:
        """From lines "ssh-ed25519 AAAA... [comment]", also with the host in front as in known_hosts."""
        keys: list[tuple[str, bytes]] = []
        for line in lines:
            words = line.split()
            at = next((i for i, word in enumerate(words) if word.startswith(("ssh-", "ecdsa-sha2-"))), None)
            try:
                kind, blob = words[at or 0], base64.b64decode(words[(at or 0) + 1], validate=True)
            except (IndexError, binascii.Error):
                kind, blob = "", b""
            if at is None or not blob:
                raise Misconfigured(
                    f"{where}: not a host key: {line[:40]!r}; write it as `ssh-ed25519 AAAA...`"
                )
            keys.append((kind, blob))
        if not keys:
            raise Misconfigured(
                f"{where}: no host key is pinned. Ask the partner for the key (ssh-keyscan shows what the server "
                "offers; compare its fingerprint by telephone) and put it into host_keys"
            )
        pinned = cls(keys)
        if not pinned.algorithms():
            raise Misconfigured(
                f"{where}: no pinned host key is of a kind that is safe: {', '.join(HOST_KEY_ALGORITHMS)}"
            )
        return pinned

    def accepts(self, blob: bytes) -> bool:
        """Whether the key is pinned."""
        return any(blob == pinned for _, pinned in self._keys)

    def algorithms(self) -> list[str]:
        """Those of the pinned kinds only: the server would else show its favourite key."""
        return [
            name for kind, of_kind in HOST_KEY_ALGORITHMS.items() if self._holds(kind) for name in of_kind
        ]

    def _holds(self, kind: str) -> bool:
        return any(kind == pinned for pinned, _ in self._keys)

    def explain(self, where: str, shown: asyncssh.SSHKey) -> str:
        """What happened and what to do, for the operator."""
        name, blob = shown.get_algorithm(), shown.public_data
        pinned = ", ".join(fingerprint(pinned) for _, pinned in self._keys)
        return (
            f"{where}: the server shows host key {name} {fingerprint(blob)}, pinned is {pinned}. "
            "Either the partner changed the key or somebody stands between. Ask the partner by telephone; if the "
            f"fingerprint is theirs, add `{name} {base64.b64encode(blob).decode()}` to host_keys. Nothing was sent"
        )


def load_private_key(key: SecretStr, passphrase: SecretStr | None, where: str) -> asyncssh.SSHKey:
    """A private key from OpenSSH, PKCS#1 or PKCS#8 PEM text. Raises Misconfigured, never showing the key."""
    text = key.get_secret_value().strip() + "\n"
    secret = passphrase.get_secret_value().encode() if passphrase else None
    if text.startswith("PuTTY-User-Key-File"):
        raise Misconfigured(
            f"{where}: the private key is a PuTTY .ppk file; export it in PuTTYgen as an OpenSSH key"
        )
    load = (
        serialization.load_ssh_private_key
        if "BEGIN OPENSSH PRIVATE KEY" in text
        else serialization.load_pem_private_key
    )
    try:
        loaded = load(text.encode(), secret)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise Misconfigured(
            f"{where}: the private key cannot be read ({type(error).__name__}: wrong passphrase, or not a key in "
            "OpenSSH, PKCS#1 or PKCS#8 form); `ssh-keygen -p -m PEM -f KEY` converts it"
        ) from None
    if not isinstance(loaded, ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise Misconfigured(f"{where}: private keys may be ed25519, RSA or ECDSA")
    # in the form every type has; cryptography reads more encryptions of keys than asyncssh
    plain = loaded.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    return asyncssh.import_private_key(plain)
