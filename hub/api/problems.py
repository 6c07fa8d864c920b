"""What a caller is told when something is wrong: RFC 9457 problem bodies, in Japanese or English."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from hub.words import Language, Words, language

__all__ = ["MEDIA_TYPE", "PROBLEMS", "Kind", "Problem", "body_of", "language_of"]

MEDIA_TYPE = "application/problem+json"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of problem: its status, what it is called, and what the caller can do."""

    status: int
    title: Words
    remedy: Words


def _kind(status: int, ja: str, en: str, do_ja: str, do_en: str) -> Kind:
    return Kind(status, Words(ja, en), Words(do_ja, do_en))


PROBLEMS: dict[str, Kind] = {
    "bad_json": _kind(400, "JSONとして読めない", "No JSON", "本文をJSON(UTF-8)で送る", "Send JSON in UTF-8"),
    "bad_cursor": _kind(
        400, "カーソルが使えない", "Unusable cursor",
        "直前の答えのカーソルを、同じ条件で、変えずに送る",
        "Send the cursor of the last answer, unchanged, with the same filters",
    ),
    "bad_request": _kind(400, "要求が読めない", "Unreadable request", "要求を直す", "Mend the request"),
    "no_key": _kind(
        401, "APIキーがない", "No API key",
        "Authorization: Bearer tsk_... を付ける", "Send Authorization: Bearer tsk_...",
    ),
    "bad_key": _kind(
        401, "APIキーが無効", "Invalid API key",
        "鍵を確かめる。失効・期限切れなら新しい鍵をもらう",
        "Check the key; ask for a new one if it was revoked or has expired",
    ),
    "not_allowed": _kind(
        403, "この鍵では許されていない", "Not allowed with this key",
        "必要な権限(scope)を持つ鍵をもらう", "Ask for a key with the scope that is named",
    ),
    "not_found": _kind(404, "ない", "Not found", "アドレスとキーを確かめる", "Check the address and the key"),
    "bad_method": _kind(
        405, "このメソッドは使えない", "Method not allowed", "Allow ヘッダーのメソッドを使う",
        "Use a method of the Allow header"
    ),
    "too_slow": _kind(
        408, "本文が届かない", "Body too slow", "もう一度送る", "Send it again",
    ),
    "not_enough": _kind(
        409, "在庫が足りない", "Not enough stock", "available 以下の数で取り置く", "Reserve no more than `available`"
    ),
    "reservation_ended": _kind(
        409, "取り置きは終わっている", "The reservation has ended",
        "新しい Idempotency-Key で取り置き直す", "Reserve anew, with a new Idempotency-Key",
    ),
    "conflict": _kind(409, "今の状態ではできない", "Conflict", "状態を読み直す", "Read the state again"),
    "deleted": _kind(410, "削除された", "Deleted", "手元からも削除する", "Delete your copy too"),
    "cursor_ahead": _kind(
        410, "カーソルがハブより先にある", "The cursor lies ahead of the hub",
        "ハブが復元された。全件を読み直し、after=now から続ける",
        "The hub was restored: list everything anew, go on from after=now",
    ),
    "too_large": _kind(
        413, "本文が大きすぎる", "Body too large", "1 MB までにする", "Keep the body to 1 MB"
    ),
    "bad_media_type": _kind(
        415, "本文の形式が違う", "Unsupported media type",
        "Content-Type: application/json で、圧縮せずに送る", "Send Content-Type: application/json, not compressed",
    ),
    "invalid": _kind(422, "値が正しくない", "Invalid values", "errors の項目を直す", "Mend what `errors` names"),
    "key_reused": _kind(
        422, "Idempotency-Key が別の内容で使われている", "Idempotency-Key used for something else",
        "取り置きごとに新しいキー(UUIDなど)を使う", "Use a new key (a UUID, say) for each reservation",
    ),
    "not_reservable": _kind(
        422, "取り置けない商品または拠点", "Not reservable",
        "SKU・チャネル・拠点を確かめる", "Check SKU, channel and location",
    ),
    "too_many_failures": _kind(
        429, "認証の失敗が多すぎる", "Too many failed authentications",
        "鍵を直し、Retry-After 秒待つ", "Mend the key, and wait Retry-After seconds",
    ),
    "breakdown": _kind(
        500, "ハブの不具合", "A fault of the hub",
        "もう一度試す。続くなら instance を添えて管理者に知らせる",
        "Try again; if it stays, tell the operator the `instance`",
    ),
    "busy": _kind(503, "混み合っている", "Busy", "Retry-After 秒後にもう一度", "Try again after Retry-After seconds"),
    "store_down": _kind(
        503, "データベースが使えない", "The database is away",
        "Retry-After 秒後にもう一度", "Try again after Retry-After seconds",
    ),
    "search_too_long": _kind(
        503, "検索に時間がかかりすぎる", "The search takes too long",
        "条件を絞る。変更を追うなら /changes を使う", "Narrow it down; to follow changes, use /changes",
    ),
}  # fmt: skip
"""Code -> kind. The page of the API shows them all."""


class Problem(Exception):
    """Ends the handling of a call with a problem body.

    detail   what is wrong in this call; never a secret, never personal data
    more     further members of the body
    """

    def __init__(
        self, code: str, detail: Words | None = None, *, headers: Mapping[str, str] | None = None, **more: Any
    ) -> None:
        super().__init__(code)
        self.code = code
        self.kind = PROBLEMS[code]
        self.detail = detail
        self.headers = dict(headers or {})
        self.more = more

    @property
    def status(self) -> int:
        return self.kind.status


def body_of(problem: Problem, lang: Language, call: str) -> tuple[bytes, dict[str, str]]:
    """The body, and the headers that go with it. `call` is the id of the call in the log."""
    content = {
        "type": f"/api/v1/docs#problem-{problem.code}",
        "title": problem.kind.title.say(lang),
        "status": problem.status,
        "detail": (problem.detail or problem.kind.remedy).say(lang),
        "instance": f"urn:uuid:{call}",
        "code": problem.code,
        **problem.more,
    }
    headers = {
        "content-type": MEDIA_TYPE,
        "content-language": lang,
        "cache-control": "no-store",
        "vary": "Accept-Language",
        **problem.headers,
    }
    return orjson.dumps(content, option=orjson.OPT_UTC_Z), headers


def language_of(accepted: str | None) -> Language:
    """What `Accept-Language` likes best of Japanese and English; without a word of either, the hub's language."""
    best: tuple[float, Language] | None = None
    for part in (accepted or "").split(","):
        name, _, rest = part.strip().partition(";")
        tongue = name.strip().lower().split("-")[0]
        if tongue not in ("ja", "en"):
            continue
        weight = _weight(rest)
        if weight > 0 and (best is None or weight > best[0]):
            best = (weight, "ja" if tongue == "ja" else "en")
    return best[1] if best else language()


def _weight(parameters: str) -> float:
    name, _, value = parameters.strip().partition("=")
    try:
        return float(value) if name.strip() == "q" else 1.0
    except ValueError:
        return 0.0
