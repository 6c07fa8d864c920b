"""The API's page for people, made on the server out of the OpenAPI document; nothing in it runs or is loaded."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from hub.api.problems import PROBLEMS
from hub.api.scopes import SCOPES
from hub.words import Language, Words

__all__ = ["POLICY", "page"]

_STYLE = """
:root{color-scheme:light dark;--line:#8884;--soft:#8881;--ink:#0b57d0}
*{box-sizing:border-box}
body{font:16px/1.6 system-ui,"Hiragino Sans","Noto Sans JP",sans-serif}
body{margin:0 auto;max-width:72rem;padding:1rem 1.25rem 4rem}
h1{font-size:1.6rem}h2{margin-top:2.5rem;border-bottom:1px solid var(--line)}h3{margin:0}
code,pre{font:.875em/1.5 ui-monospace,SFMono-Regular,Menlo,monospace}
pre{background:var(--soft);padding:.75rem;overflow-x:auto;border-radius:6px}
nav a{margin-right:1rem;white-space:nowrap}
a{color:var(--ink)}@media(prefers-color-scheme:dark){:root{--ink:#8ab4f8}}
details{border:1px solid var(--line);border-radius:6px;margin:.5rem 0;padding:.4rem .75rem}
summary{cursor:pointer;overflow-wrap:anywhere}summary:focus-visible,a:focus-visible{outline:3px solid var(--ink)}
table{border-collapse:collapse;width:100%;margin:.5rem 0}
th,td{text-align:left;vertical-align:top;border-bottom:1px solid var(--line)}
th,td{padding:.3rem .6rem .3rem 0;overflow-wrap:anywhere}
.verb{font-weight:700;display:inline-block;min-width:3.5rem}
.wide{overflow-x:auto}
"""
_HASH = b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
POLICY = f"default-src 'none'; style-src 'sha256-{_HASH}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
"""Content-Security-Policy of the page: nothing is loaded, nothing runs."""


def page(document: Mapping[str, Any], lang: Language) -> str:
    """The page as HTML."""
    title = Words("つなぎ API", "Tsunagi API").say(lang)
    parts = [
        f'<!doctype html><html lang="{lang}"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width,initial-scale=1">',
        f"<title>{title}</title><style>{_STYLE}</style></head><body>",
        f"<header><h1>{title} <small>v{escape(document['info']['version'])}</small></h1>",
        _links(document, lang),
        _beginning(lang),
        _scopes(lang),
        *(_tag(document, tag, lang) for tag in document["tags"]),
        _problems(lang),
        _schemas(document, lang),
        "</main></body></html>",
    ]
    return "".join(parts)


def _links(document: Mapping[str, Any], lang: Language) -> str:
    other, called = ("en", "English") if lang == "ja" else ("ja", "日本語")
    return (
        f'<nav><a href="openapi.json">OpenAPI 3.1</a><a href="?lang={other}" hreflang="{other}">{called}</a>'
        f"{_contents(document, lang)}</nav></header><main>"
    )


def _spoken(text: str, lang: Language) -> str:
    """One language of a text that has both, as `日本語 / English`."""
    ja, found, en = text.partition(" / ")
    return (ja if lang == "ja" else en) if found else text


def _heading(anchor: str, words: Words, lang: Language) -> str:
    return f'<h2 id="{anchor}">{escape(words.say(lang))}</h2>'


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    cells = "".join(f"<th scope=col>{escape(one)}</th>" for one in head)
    lines = "".join("<tr>" + "".join(f"<td>{one}</td>" for one in row) + "</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{cells}</tr></thead><tbody>{lines}</tbody></table></div>'


_BEGIN = Words("はじめに", "To begin with")
_PROBLEMS = Words("エラー", "Problems")
_SCOPES = Words("権限", "Scopes")
_SCHEMAS = Words("スキーマ", "Schemas")


def _operations(document: Mapping[str, Any], tag: str) -> list[tuple[str, str, Mapping[str, Any]]]:
    return [
        (path, verb, said)
        for path, verbs in document["paths"].items()
        for verb, said in verbs.items()
        if tag in said.get("tags", ())
    ]


def _contents(document: Mapping[str, Any], lang: Language) -> str:
    links = [("begin", _BEGIN.say(lang)), ("scopes", _SCOPES.say(lang))]
    links += [
        (tag["name"], _spoken(tag["description"], lang))
        for tag in document["tags"]
        if _operations(document, tag["name"])
    ]
    links += [("problems", _PROBLEMS.say(lang)), ("schemas", _SCHEMAS.say(lang))]
    return "".join(f'<a href="#{anchor}">{escape(words)}</a>' for anchor, words in links)


def _beginning(lang: Language) -> str:
    key, call = (
        Words("鍵を作る(一度だけ表示される):", "Make a key (it is shown once):"),
        Words("呼ぶ:", "Call:"),
    )
    encode = Words(
        "アドレスのキーは、英数字と -._~ と / 以外をパーセントエンコードする(encodeURIComponent)。",
        "In an address, percent-encode every character of a key but letters, digits, -._~ and / (encodeURIComponent).",
    )
    reserve = (
        "curl -X POST https://HUB/api/v1/reservations -H 'Authorization: Bearer tsk_…' \\\n"
        "  -H 'Idempotency-Key: 7d0c…' -H 'Content-Type: application/json' \\\n"
        """  -d '{"sku": "TEA-100", "quantity": 1, "channel": "shop"}'"""
    )
    return (
        _heading("begin", _BEGIN, lang)
        + f"<p>{key.say(lang)}</p><pre>tsunagi key create shop-web --scope read:product --scope reserve:shop</pre>"
        + f"<p>{call.say(lang)}</p><pre>curl https://HUB/api/v1/products?sku=TEA-100 "
        + f"-H 'Authorization: Bearer tsk_…'\n{escape(reserve)}</pre><p>{escape(encode.say(lang))}</p>"
    )


def _scopes(lang: Language) -> str:
    head = (Words("権限", "scope").say(lang), Words("できること", "allows").say(lang))
    rows = [(f"<code>{escape(scope)}</code>", escape(said.say(lang))) for scope, said in SCOPES.items()]
    return _heading("scopes", _SCOPES, lang) + _table(head, rows)


def _tag(document: Mapping[str, Any], tag: Mapping[str, str], lang: Language) -> str:
    found = _operations(document, tag["name"])
    if not found:
        return ""
    title = f'<h2 id="{tag["name"]}">{escape(_spoken(tag["description"], lang))}</h2>'
    return title + "".join(_operation(path, verb, said, lang) for path, verb, said in found)


def _operation(path: str, verb: str, said: Mapping[str, Any], lang: Language) -> str:
    lead = escape(_spoken(said.get("summary", ""), lang))
    notes = [_spoken(part, lang) for part in said.get("description", "").split("\n\n") if part]
    scopes = [scope for one in said.get("security", ()) for scope in one.get("key", ())]
    body = "".join(f"<p>{escape(note)}</p>" for note in notes)
    if scopes:
        body += (
            f"<p>{_SCOPES.say(lang)}: {', '.join(f'<code>{escape(scope)}</code>' for scope in scopes)}</p>"
        )
    if said.get("parameters"):
        head = (
            Words("項目", "parameter"),
            Words("場所", "in"),
            Words("型", "type"),
            Words("意味", "meaning"),
        )
        rows = [
            (f"<code>{escape(one['name'])}</code>{' *' if one.get('required') else ''}", escape(one["in"]),
             _type(one.get("schema", {})),
             escape(_spoken(one.get("description") or one.get("schema", {}).get("description", ""), lang)))
            for one in said["parameters"]
        ]  # fmt: skip
        body += _table([words.say(lang) for words in head], rows)
    for content in said.get("requestBody", {}).get("content", {}).values():
        body += f"<p>{Words('本文', 'Body').say(lang)}: {_type(content['schema'])}</p>"
    said_of = (Words("状態", "status"), Words("意味", "meaning"), Words("本文", "body"))
    answers = [
        (status, escape(_meaning(answer["description"], lang)),
         ", ".join(_type(content["schema"]) for content in answer.get("content", {}).values()))
        for status, answer in sorted(said["responses"].items())
    ]  # fmt: skip
    body += _table([words.say(lang) for words in said_of], answers)
    return (
        f"<details><summary><span class=verb>{verb.upper()}</span> <code>{escape(path)}</code> {lead}</summary>"
        f"{body}</details>"
    )


def _meaning(text: str, lang: Language) -> str:
    return "; ".join(_spoken(part, lang) for part in text.split("; "))


def _type(schema: Mapping[str, Any]) -> str:
    """A schema in a few words, with a link where it has a name."""
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f'<a href="#schema-{name}"><code>{name}</code></a>'
    for several in ("anyOf", "oneOf", "allOf"):
        if several in schema:
            parts = [_type(one) for one in schema[several] if one.get("type") != "null"]
            return " | ".join(parts) if len(parts) < 8 else f"{parts[0]} | …"
    if "enum" in schema:
        return " | ".join(f"<code>{escape(str(one))}</code>" for one in schema["enum"])
    if "const" in schema:
        return f"<code>{escape(str(schema['const']))}</code>"
    kind = schema.get("type", "")
    kinds = [one for one in ([kind] if isinstance(kind, str) else kind) if one != "null"]
    if kinds == ["array"]:
        return f"{_type(schema.get('items', {}))}[]"
    return escape(" ".join([*kinds, *([f"({schema['format']})"] if "format" in schema else [])]))


def _problems(lang: Language) -> str:
    head = (
        Words("状態", "status"),
        Words("コード", "code"),
        Words("意味", "meaning"),
        Words("対応", "what to do"),
    )
    rows = [
        (str(kind.status), f'<code id="problem-{code}">{code}</code>', escape(kind.title.say(lang)),
         escape(kind.remedy.say(lang)))
        for code, kind in PROBLEMS.items()
    ]  # fmt: skip
    return _heading("problems", _PROBLEMS, lang) + _table([words.say(lang) for words in head], rows)


def _schemas(document: Mapping[str, Any], lang: Language) -> str:
    head = (Words("項目", "field"), Words("名前", "called"), Words("型", "type"))
    parts = [_heading("schemas", _SCHEMAS, lang)]
    for name, schema in document["components"]["schemas"].items():
        required = schema.get("required", ())
        rows = [
            (f"<code>{escape(field)}</code>{' *' if field in required else ''}",
             escape(str(part.get("x-title-ja" if lang == "ja" else "title", ""))), _type(part))
            for field, part in schema.get("properties", {}).items()
        ]  # fmt: skip
        inside = _table([words.say(lang) for words in head], rows) if rows else f"<p>{_type(schema)}</p>"
        words = escape(str(schema.get("x-title-ja" if lang == "ja" else "title", "") or ""))
        title = f"<summary><code>{escape(name)}</code> {words}</summary>"
        parts.append(f'<details id="schema-{escape(name)}">{title}{inside}</details>')
    return "".join(parts)
