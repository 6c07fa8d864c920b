"""The OpenAPI document and the page: complete, valid, and without anything from outside."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from desk import Desk
from jsonschema import Draft202012Validator
from openapi_spec_validator.schemas import schema_v31

from canonical_model import ENTITIES
from canonical_model.schema import current_schemas
from hub.api import changes
from hub.api.entities import WINDOW
from hub.api.kinds import LIMIT, PLURALS, filters_of
from hub.api.page import POLICY
from hub.api.problems import PROBLEMS
from hub.api.scopes import SCOPES, covers
from hub.api.security import FAILURES, STALE


def refs(part: Any) -> set[str]:
    """Every schema that is pointed at."""
    if isinstance(part, dict):
        own = {part["$ref"]} if isinstance(part.get("$ref"), str) else set()
        return own.union(*(refs(value) for value in part.values()))
    return set().union(*(refs(value) for value in part)) if isinstance(part, list) else set()


def part_of(document: dict[str, Any]) -> dict[str, Any]:
    """The document with one kind of entity; all are made in one way, and validating takes its time."""
    others = {f"/{plural}" for plural in PLURALS.values()} - {"/locations"}
    paths = {
        path: said for path, said in document["paths"].items() if path.removesuffix("/{key}") not in others
    }
    schemas = document["components"]["schemas"]
    few = {
        name: schemas[name] for name in ("Problem", "LocationEntity", "LocationPage", "HeldUnits", "Location")
    }
    return {**document, "paths": paths, "components": {**document["components"], "schemas": few}}


def test_the_document_is_open_api(desk: Desk) -> None:
    served = desk.client.get("/api/v1/openapi.json")
    assert served.json() == desk.document
    Draft202012Validator(schema_v31).validate(part_of(desk.document))
    known = {f"#/components/schemas/{name}" for name in desk.document["components"]["schemas"]}
    assert refs(desk.document["paths"]) <= known
    assert refs(desk.document["components"]) <= known


def test_every_kind_has_its_routes_its_filters_and_its_published_schema(desk: Desk) -> None:
    schemas, published = desk.document["components"]["schemas"], current_schemas()
    for kind, plural in PLURALS.items():
        search = desk.document["paths"][f"/{plural}"]["get"]
        names = {one["name"] for one in search["parameters"]}
        assert names >= {
            "key",
            "key_prefix",
            "updated_since",
            "deleted",
            "limit",
            "cursor",
            *filters_of(kind),
        }
        assert desk.document["paths"][f"/{plural}/{{key}}"]["get"]["responses"].keys() >= {
            "200",
            "304",
            "404",
            "410",
        }
        name = ENTITIES[kind].__name__
        assert schemas[name]["properties"].keys() == published[kind]["properties"].keys()
        assert schemas[name]["required"] == published[kind]["required"]


def test_every_route_says_its_scope_and_its_problems(desk: Desk) -> None:
    ids = []
    for path, verbs in desk.document["paths"].items():
        for verb, said in verbs.items():
            ids.append(said["operationId"])
            assert " / " in said["summary"], f"{verb} {path} is in one language"
            assert {"401", "403", "500"} <= said["responses"].keys()
            for one in said.get("security", ()):
                assert all(covers(frozenset({scope}), scope) for scope in one["key"])
    assert len(ids) == len(set(ids))


class Page(HTMLParser):
    """What a browser would do with the page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.loads: list[str] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        had = dict(attributes)
        if tag not in ("meta", "br"):
            self.open.append(tag)
        self.ids += [had["id"] or ""] if "id" in had else []
        self.links += [had["href"] or ""] if "href" in had else []
        if tag in ("script", "link", "img", "iframe", "object", "embed") or "src" in had or "style" in had:
            self.loads.append(tag)
        assert not [name for name in had if name.startswith("on")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize(("lang", "words"), [("ja", "受注を検索"), ("en", "Search: order")])
def test_the_page_is_complete_and_loads_nothing(desk: Desk, lang: str, words: str) -> None:
    answer = desk.client.get("/api/v1/docs", headers={"accept-language": lang})
    assert (answer.status_code, answer.headers["content-language"]) == (200, lang)
    assert answer.headers["content-security-policy"] == POLICY
    assert words in answer.text
    assert f'<html lang="{lang}">' in answer.text
    page = Page(answer.text)
    assert page.open == []
    assert page.loads == []
    assert len(page.ids) == len(set(page.ids))
    inside = {link[1:] for link in page.links if link.startswith("#")}
    assert inside <= set(page.ids)
    assert {link for link in page.links if not link.startswith("#")} == {
        "openapi.json",
        f"?lang={'en' if lang == 'ja' else 'ja'}",
    }
    for path in desk.document["paths"]:
        assert f"<code>{path}</code>" in answer.text


def test_the_page_may_use_its_own_style_and_nothing_else(desk: Desk) -> None:
    import hashlib
    from base64 import b64encode

    text = desk.client.get("/api/v1/docs?lang=en").text
    (style,) = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    assert f"'sha256-{b64encode(hashlib.sha256(style.encode()).digest()).decode()}'" in POLICY
    assert "'none'" in POLICY


def test_the_page_speaks_the_language_of_its_link(desk: Desk) -> None:
    text = desk.client.get("/api/v1/docs?lang=ja", headers={"accept-language": "en"}).text
    assert '<html lang="ja">' in text
    assert desk.client.get("/api/v1/docs?lang=fr").status_code == 422


PAGES = [Path(__file__).parents[3] / "docs" / folder / "api.md" for folder in ("", "ja")]


@pytest.mark.parametrize("page", PAGES, ids=["en", "ja"])
def test_the_pages_of_the_repository_name_what_there_is(desk: Desk, page: Path) -> None:
    told = page.read_text("utf-8")
    known = [re.sub(r"\\{\w+\\}", ".+", re.escape(path)) for path in desk.document["paths"]]
    named = set(re.findall(r"/api/v1(/[\w/{}%.-]+)", told)) - {
        "/docs",
        "/openapi.json",
        "/{plural}",
        "/{plural}/{key}",
    }
    assert len(named) >= 6
    for path in named:
        assert any(re.fullmatch(one, path) for one in known), path
    for scope in SCOPES:
        if "<" not in scope:
            assert f"`{scope}`" in told
    assert (
        set(re.findall(r"`(not_enough|reservation_ended|key_reused|not_reservable|cursor_ahead)`", told))
        <= PROBLEMS.keys()
    )
    for number in (f"{LIMIT}", f"{WINDOW:,}", f"{STALE:.0f}", f"{FAILURES}", f"{changes.LONGEST}"):
        assert number in told
