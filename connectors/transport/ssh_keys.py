"""SSH keys: the host keys a system's settings pin, and private keys in whatever form they come."""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import socket
from collections.abc import Sequence
from datetime import timedelta

import paramiko
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from pydantic import SecretStr

from connectors.contract import Misconfigured

__all__ = ["HostKeyRejected", "PinnedHostKeys", "fingerprint", "load_private_key", "offered_host_key"]

_RSA_ALGORITHMS = ("rsa-sha2-512", "rsa-sha2-256")


class HostKeyRejected(paramiko.SSHException):
    """The server showed a key that is not pinned."""

    def __init__(self, key: paramiko.PKey) -> None:
        super().__init__("host key not pinned")
        self.key = key


def fingerprint(key: paramiko.PKey) -> str:
    """As `ssh-keygen -l` prints it: "SHA256:..."."""
    digest = hashlib.sha256(key.asbytes()).digest()
    return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


class PinnedHostKeys(paramiko.MissingHostKeyPolicy):
    """Takes the pinned keys and rejects all others. No key is ever learned from the server."""

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
        return cls(keys)

    def missing_host_key(self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey) -> None:  # noqa: ARG002
        """Called by SSHClient for every key, because none is ever put into its own list. Raises HostKeyRejected."""
        if not self.accepts(key):
            raise HostKeyRejected(key)

    def accepts(self, key: paramiko.PKey) -> bool:
        """Whether the key is pinned."""
        return any(blob == key.asbytes() for _, blob in self._keys)

    def other_algorithms(self) -> list[str]:
        """Algorithms of key types that are not pinned: the server would else show its favourite key."""
        allowed = {
            name for kind, _ in self._keys for name in (_RSA_ALGORITHMS if kind == "ssh-rsa" else (kind,))
        }
        known = paramiko.Transport._preferred_keys  # type: ignore[attr-defined]
        return [name for name in known if name not in allowed]

    def explain(self, where: str, shown: paramiko.PKey) -> str:
        """What happened and what to do, for the operator."""
        pinned = ", ".join(
            "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")
            for _, blob in self._keys
        )
        return (
            f"{where}: the server shows host key {shown.get_name()} {fingerprint(shown)}, pinned is {pinned}. "
            "Either the partner changed the key or somebody stands between. Ask the partner by telephone; if the "
            f"fingerprint is theirs, add `{shown.get_name()} {shown.get_base64()}` to host_keys. Nothing was sent"
        )


def offered_host_key(host: str, port: int, timeout: timedelta) -> paramiko.PKey | None:
    """The key a server shows, for a message or a first set-up; None when it cannot be had. Nothing is sent to it."""
    try:
        with socket.create_connection((host, port), timeout.total_seconds()) as connection:
            transport = paramiko.Transport(connection)
            try:
                transport.start_client(timeout=timeout.total_seconds())
                return transport.get_remote_server_key()
            finally:
                transport.close()
    except (OSError, EOFError, paramiko.SSHException):
        return None


def load_private_key(key: SecretStr, passphrase: SecretStr | None, where: str) -> paramiko.PKey:
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
    # paramiko does not read PKCS#8; the OpenSSH form it reads for every type
    form = io.StringIO(
        loaded.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
        ).decode()
    )
    if isinstance(loaded, ed25519.Ed25519PrivateKey):
        return paramiko.Ed25519Key.from_private_key(form)
    if isinstance(loaded, rsa.RSAPrivateKey):
        return paramiko.RSAKey.from_private_key(form)
    return paramiko.ECDSAKey.from_private_key(form)
