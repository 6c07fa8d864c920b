"""What comes out of Square's catalogue: items, and their variations one by one.

A price, SKU or stock key belongs to an ITEM_VARIATION; tax, category and pictures hang on the ITEM as ids. Records
come with these looked up, because a mapping cannot: `taxes`, `categories`, `images`, and `options` of a variation.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from connectors.contract import Call, Page
from connectors.square.api import Api, Row, in_parts
from connectors.square.config import SquareConfig
from connectors.square.walk import OVERLAP, Place, Window, asked_ids, instant, walk, wire_time

__all__ = ["SINCE", "Library", "catalog_brief", "products", "variations"]

SINCE = "since:"
"""An "id" that asks for everything changed since a time: `since:2026-11-21T00:30:00Z`. The event
catalog.version.updated names no objects, only the time of the change."""

_RETRIEVE_LIMIT = 1000
_REFERENCES = ("tax_ids", "image_ids")


class Library:
    """Catalogue objects by id, fetched once a run."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self._known: dict[str, Row | None] = {}

    def get(self, ids: Iterable[str]) -> dict[str, Row]:
        """Those of the objects that exist, deleted ones included (`is_deleted`)."""
        wanted = list(dict.fromkeys(ids))
        for part in in_parts((each for each in wanted if each not in self._known), _RETRIEVE_LIMIT):
            self._known.update(dict.fromkeys(part))
            body = {"object_ids": part, "include_deleted_objects": True}
            for found in self.api.search("/v2/catalog/batch-retrieve", body).get("objects") or ():
                self._known[found["id"]] = found
        return {each: row for each in wanted if (row := self._known[each]) is not None}


def products(call: Call[SquareConfig], cursor: Place | None) -> Iterator[Page]:
    """Items with all their variations. A change of a variation alone brings its item; deleted ones are told.

    `params["ids"]` (item ids, or `since:<time>`) fetches only those.
    """
    api = Api(call)
    library = Library(api)
    for rows, place, gone, name in _changes(api, cursor, ("ITEM", "ITEM_VARIATION")):
        items = [row for row in rows if row["type"] == "ITEM"]
        there = {row["id"] for row in items}
        parents = [_item_id(row) for row in rows if row["type"] == "ITEM_VARIATION"]
        parents += [_item_id(row) for row in gone if row["type"] == "ITEM_VARIATION"]
        others = library.get(each for each in parents if each and each not in there)
        items += [row for row in others.values() if row["type"] == "ITEM" and not row.get("is_deleted")]
        deleted = [row["id"] for row in gone if row["type"] == "ITEM"]
        if items or deleted:
            yield Page(place, _product_records(library, items), name=name, deleted=deleted)


def variations(call: Call[SquareConfig], cursor: Place | None) -> Iterator[Page]:
    """Variations one by one, each with the head of its item: what a register sells under one SKU.

    A change of the item comes with all its variations. `params["ids"]` takes variation ids, item ids, `since:<time>`.
    """
    api = Api(call)
    library = Library(api)
    for rows, place, gone, name in _changes(api, cursor, ("ITEM", "ITEM_VARIATION")):
        found: dict[str, tuple[Row, Row]] = {}
        for item in rows:
            if item["type"] == "ITEM":
                found.update((child["id"], (child, item)) for child in _children(item))
        single = [row for row in rows if row["type"] == "ITEM_VARIATION" and row["id"] not in found]
        items = library.get(_item_id(row) for row in single)
        found.update((row["id"], (row, items[_item_id(row)])) for row in single if _item_id(row) in items)
        deleted = [row["id"] for row in gone if row["type"] == "ITEM_VARIATION"]
        deleted += [child["id"] for row in gone if row["type"] == "ITEM" for child in _children(row)]
        if found or deleted:
            records = _variation_records(library, found.values())
            yield Page(place, records, name=name, deleted=list(dict.fromkeys(deleted)))


# ---------------------------------------------------------------- reading


def _changes(
    api: Api, cursor: Place | None, kinds: Sequence[str]
) -> Iterator[tuple[list[Row], Place | None, list[Row], str]]:
    """Live rows, the place behind them, deleted rows, and a name, page by page."""
    ids = asked_ids(api.call)
    if ids:
        yield from _asked(api, ids, cursor, kinds)
        return

    def fetch(window: Window, page: str | None) -> tuple[Sequence[Row], str | None]:
        return _search(api, kinds, window, page)

    for number, chunk in enumerate(walk(api.call, cursor, [fetch], _changed_at), start=1):
        live, gone = _parted(chunk.rows)
        yield live, chunk.place, gone, f"catalog {number}"


def _changed_at(row: Row) -> str | None:
    """The last change of an object or of a variation inside it; Square writes times alike, so texts compare."""
    return max((told for each in (row, *_children(row)) if (told := each.get("updated_at"))), default=None)


def _asked(
    api: Api, ids: Sequence[str], cursor: Place | None, kinds: Sequence[str]
) -> Iterator[tuple[list[Row], Place | None, list[Row], str]]:
    since = min((instant(each.removeprefix(SINCE)) for each in ids if each.startswith(SINCE)), default=None)
    if since is not None:
        page: str | None = None
        while True:
            rows, page = _search(api, kinds, Window(since - OVERLAP), page)
            live, gone = _parted(rows)
            yield live, cursor, gone, f"catalog changed since {wire_time(since)}"
            if page is None:
                break
    named = [each for each in ids if not each.startswith(SINCE)]
    library = Library(api)
    for part in in_parts(named, _RETRIEVE_LIMIT):
        live, gone = _parted([row for row in library.get(part).values() if row["type"] in kinds])
        yield live, cursor, gone, "catalog by id"


def _search(
    api: Api, kinds: Sequence[str], window: Window, page: str | None
) -> tuple[Sequence[Row], str | None]:
    # a first read wants what is there; later ones must see what went away, and variations that changed alone
    later = window.start is not None
    body = api.search(
        "/v2/catalog/search",
        {
            "object_types": list(kinds) if later else ["ITEM"],
            "include_deleted_objects": later,
            "begin_time": wire_time(window.start) if window.start is not None else None,
            "limit": api.config.page_size,
            "cursor": page,
        },
    )
    return body.get("objects") or (), body.get("cursor") or None


def _parted(rows: Iterable[Row]) -> tuple[list[Row], list[Row]]:
    live: list[Row] = []
    gone: list[Row] = []
    for row in rows:
        (gone if row.get("is_deleted") else live).append(row)
    return live, gone


# ---------------------------------------------------------------- records


def _item_id(variation: Row) -> str:
    return str((variation.get("item_variation_data") or {}).get("item_id") or "")


def _children(item: Row) -> list[Row]:
    return list((item.get("item_data") or {}).get("variations") or ())


def _product_records(library: Library, items: Sequence[Row]) -> list[dict[str, Any]]:
    known = library.get(each for item in items for each in _references(item))
    return [
        {
            **item,
            **_looked_up(item, known),
            "variations": [
                _with_options(child, known) for child in _children(item) if not child.get("is_deleted")
            ],
        }
        for item in items
    ]


def _variation_records(library: Library, pairs: Iterable[tuple[Row, Row]]) -> list[dict[str, Any]]:
    listed = list(pairs)
    known = library.get(dict.fromkeys(each for _, item in listed for each in _references(item)))
    records = []
    for variation, item in listed:
        data = item.get("item_data") or {}
        head = {
            name: data[name] for name in ("name", "is_archived", "product_type") if data.get(name) is not None
        }
        records.append(
            {
                **_with_options(variation, known),
                "item": {"id": item["id"], "version": item.get("version"), **head, **_looked_up(item, known)},
            }
        )
    return records


def _references(item: Row) -> Iterator[str]:
    data = item.get("item_data") or {}
    for name in _REFERENCES:
        yield from data.get(name) or ()
    for category in (*(data.get("categories") or ()), data.get("reporting_category") or {}):
        if category.get("id"):
            yield category["id"]
    for option in data.get("item_options") or ():
        yield option["item_option_id"]


def _looked_up(item: Row, known: Mapping[str, Row]) -> dict[str, Any]:
    """Taxes, categories and images of an item, in its order; those that were deleted are left out."""
    data = item.get("item_data") or {}
    listed = [each["id"] for each in data.get("categories") or () if each.get("id")]
    reporting = (data.get("reporting_category") or {}).get("id")
    categories = listed if reporting is None or reporting in listed else [*listed, reporting]

    def details(ids: Iterable[str], kind: str) -> list[dict[str, Any]]:
        rows = (known[each] for each in ids if each in known and not known[each].get("is_deleted"))
        return [{"id": row["id"], **(row.get(kind) or {})} for row in rows]

    return {
        "taxes": details(data.get("tax_ids") or (), "tax_data"),
        "categories": details(categories, "category_data"),
        "images": details(data.get("image_ids") or (), "image_data"),
    }


def _with_options(variation: Row, known: Mapping[str, Row]) -> dict[str, Any]:
    """The variation with its option values in words: [{"name": "サイズ", "value": "M"}]."""
    chosen = []
    for each in (variation.get("item_variation_data") or {}).get("item_option_values") or ():
        option = (known.get(each.get("item_option_id")) or {}).get("item_option_data") or {}
        value = next(
            (v for v in option.get("values") or () if v["id"] == each.get("item_option_value_id")), None
        )
        if value is not None:
            words = (value.get("item_option_value_data") or {}).get("name")
            chosen.append({"name": option.get("display_name") or option.get("name"), "value": words})
    return {**variation, "options": chosen}


def catalog_brief(variation: Row | None) -> dict[str, Any] | None:
    """What counts and order lines carry of a variation: SKU, UPC, item and names. None where Square has none."""
    if variation is None:
        return None
    data = variation.get("item_variation_data") or {}
    brief = {name: data[name] for name in ("sku", "upc", "item_id", "name") if data.get(name) is not None}
    return {**brief, "is_deleted": bool(variation.get("is_deleted"))}
