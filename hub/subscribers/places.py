"""Where messages may be sent: https on the public internet, and the private networks an operator has allowed."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Mapping

import httpx

from connectors.transport.guarded import Forbidden, Guard, Network
from hub.home import SettingsError
from hub.words import HubError, Words

__all__ = ["NETWORKS", "PlaceRefused", "checked_url", "guard", "networks", "why_forbidden"]

NETWORKS = "TSUNAGI_SUBSCRIBER_NETWORKS"
"""Private networks that may be called, and also without TLS: `10.20.0.0/16,127.0.0.1/32`."""
LONGEST = 2000

_RULES = {
    "plain_http": Words("暗号化されない http", "http without encryption"),
    "loopback": Words("このマシン自身のアドレス", "an address of this machine itself"),
    "private": Words("社内ネットワークのアドレス", "an address of a private network"),
    "link_local": Words("リンクローカルアドレス(クラウドの管理用など)", "a link-local address, as clouds use inside"),
    "multicast": Words("マルチキャストアドレス", "a multicast address"),
    "unspecified": Words("未指定アドレス", "the unspecified address"),
    "tunnel": Words("トンネル用アドレス(6to4/Teredo)", "an address of a tunnel (6to4, Teredo)"),
    "reserved": Words("予約済みアドレス", "a reserved address"),
}  # fmt: skip


class PlaceRefused(HubError):
    """A URL that no message may be sent to."""


def networks(env: Mapping[str, str] = os.environ) -> tuple[Network, ...]:
    """The networks of `TSUNAGI_SUBSCRIBER_NETWORKS`. Raises SettingsError, naming the part that is none."""
    found: list[Network] = []
    for part in re.split(r"[,\s]+", env.get(NETWORKS, "").strip()):
        if not part:
            continue
        try:
            found.append(ipaddress.ip_network(part))
        except ValueError:
            raise SettingsError(
                f"{NETWORKS} の「{part}」はネットワークではありません。"
                "10.20.0.0/16 や 127.0.0.1/32 の形で、カンマで区切ってください。",
                f"{NETWORKS}: {part!r} is no network. Write 10.20.0.0/16 or 127.0.0.1/32, separated by commas.",
            ) from None
    return tuple(found)


def guard() -> Guard:
    """What decides which addresses may be called, by the settings of this process."""
    return Guard(networks())


def why_forbidden(error: Forbidden) -> Words:
    """Which rule forbids an address, and how an operator allows it."""
    rule = _RULES.get(error.rule, Words(error.rule, error.rule))
    return Words(
        f"この送信先は呼び出せません(規則 {error.rule}: {rule.ja})。社内の受信先に送るには、"
        f"{NETWORKS}=10.20.0.0/16 のようにそのネットワークを許可してください。: {error}",
        f"This address may not be called (rule {error.rule}: {rule.en}). To send into a network of your own, allow it: "
        f"{NETWORKS}=10.20.0.0/16: {error}",
    )


def checked_url(url: str, allowed: Guard | None = None) -> str:
    """The URL, if messages may be sent there. Raises PlaceRefused with the reason.

    A name that has no address yet is let pass: each connection is checked again.
    """
    allowed = allowed or guard()
    try:
        parsed = httpx.URL(url.strip())
    except httpx.InvalidURL as error:
        raise PlaceRefused(
            f"URLとして読めません: {error}", f"This cannot be read as a URL: {error}"
        ) from error
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise PlaceRefused(
            "URLは https:// で始めてください。", "The URL must begin with https:// and name a host."
        )
    if parsed.userinfo or parsed.fragment:
        raise PlaceRefused(
            "URLにログイン名・パスワードや # を含めることはできません。署名で確かめてください。",
            "The URL must hold neither a login nor a '#'. The receiver proves us by the signature.",
        )
    if len(str(parsed)) > LONGEST:
        raise PlaceRefused(f"URLは {LONGEST} 文字までです。", f"The URL is longer than {LONGEST} letters.")
    plain = parsed.scheme == "http"
    try:
        allowed.addresses(parsed.host, parsed.port or (80 if plain else 443), plain=plain)
    except Forbidden as error:
        words = why_forbidden(error)
        raise PlaceRefused(words.ja, words.en) from error
    except OSError:
        pass  # no address yet: the receiver may still be built, and sending looks again
    return str(parsed)
