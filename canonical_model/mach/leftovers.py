"""What the canonical model has no room for: found by comparing, carried in traits, put back on the way out.

An object that came in is compared with what its entity goes out as. The difference is kept in two parts:

rest    members the way out does not make: nested like the object itself, {"extensions": {"seo": {...}}}
notes   all other differences, each with its place: {"at": [...], "was": ours, "is": told}. Without `is` the member
        is left out while it is still as it `was`; without `was` it is added to an element of a list

`was` keeps a note from hiding a change: when the hub changed the value meanwhile, the note no longer applies and
the new value goes out. Steps of `at` are member names, [name, value] for the element of a list whose member has
that value, and numbers for elements nothing names.
"""

from __future__ import annotations

from typing import Any

__all__ = ["difference", "restore", "same"]

_NAMES = (
    "id",
    "order_line_item_id",
    "package_id",
    "orderId",
    "order_id",
    "sku",
    "product_id",
    "productId",
    "timestamp",
)
_MISSING: Any = object()

Path = list[Any]


def same(one: Any, other: Any) -> bool:
    """Equal as JSON: 1 and 1.0 are, 1 and true are not."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(same(a, b) for a, b in zip(one, other, strict=True))
    return bool(one == other)


def difference(told: dict[str, Any], ours: dict[str, Any]) -> dict[str, Any]:
    """What `restore` needs to make `told` of `ours`; empty where they are the same."""
    notes: list[dict[str, Any]] = []
    rest = _compare_objects(told, ours, [], notes, in_list=False)
    return {name: part for name, part in (("rest", rest), ("notes", notes)) if part}


def _compare_objects(
    told: dict[str, Any], ours: dict[str, Any], at: Path, notes: list[dict[str, Any]], *, in_list: bool
) -> dict[str, Any]:
    rest: dict[str, Any] = {}
    for name, value in told.items():
        if name not in ours:
            if in_list:
                notes.append({"at": [*at, name], "is": value})
            else:
                rest[name] = value
        elif not same(value, ours[name]):
            below = _compare(value, ours[name], [*at, name], notes, in_list=in_list)
            if below:
                rest[name] = below
    notes.extend({"at": [*at, name], "was": value} for name, value in ours.items() if name not in told)
    return rest


def _compare(
    told: Any, ours: Any, at: Path, notes: list[dict[str, Any]], *, in_list: bool
) -> dict[str, Any] | None:
    if isinstance(told, dict) and isinstance(ours, dict):
        return _compare_objects(told, ours, at, notes, in_list=in_list)
    if isinstance(told, list) and isinstance(ours, list) and _pairs_up(told, ours):
        name = _naming_member(told, ours)
        for index, (one, other) in enumerate(zip(told, ours, strict=True)):
            if not same(one, other):
                step = [name, one[name]] if name else index
                _compare_objects(one, other, [*at, step], notes, in_list=True)
        return None
    notes.append({"at": at, "was": ours, "is": told})
    return None


def _pairs_up(told: list[Any], ours: list[Any]) -> bool:
    return len(told) == len(ours) and all(isinstance(item, dict) for item in (*told, *ours))


def _naming_member(told: list[dict[str, Any]], ours: list[dict[str, Any]]) -> str | None:
    """A member that names every element once, and the same element at the same place in both."""
    for name in _NAMES:
        values = [item.get(name) for item in told]
        named = all(isinstance(value, str | int) for value in values) and len(set(values)) == len(values)
        if named and values == [item.get(name) for item in ours]:
            return name
    return None


def restore(ours: dict[str, Any], carried: dict[str, Any]) -> dict[str, Any]:
    """`ours` with what `difference` kept; what the hub changed meanwhile stays changed."""
    result: dict[str, Any] = _copy(ours)
    _add_missing(result, carried.get("rest", {}))
    for note in carried.get("notes", ()):
        _apply(result, note)
    return result


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _copy(item) for name, item in value.items()}
    return [_copy(item) for item in value] if isinstance(value, list) else value


def _add_missing(target: dict[str, Any], rest: dict[str, Any]) -> None:
    for name, value in rest.items():
        if name not in target:
            target[name] = _copy(value)
        elif isinstance(target[name], dict) and isinstance(value, dict):
            _add_missing(target[name], value)


def _apply(result: dict[str, Any], note: dict[str, Any]) -> None:
    *way, last = note["at"]
    place: Any = result
    for step in way:
        place = _step(place, step)
        if place is _MISSING:
            return
    if not isinstance(place, dict):
        return
    now = place.get(last, _MISSING)
    was = note.get("was", _MISSING)
    if now is _MISSING or was is _MISSING:
        if now is was and "is" in note:
            place[last] = _copy(note["is"])
    elif same(now, was):
        if "is" in note:
            place[last] = _copy(note["is"])
        else:
            del place[last]


def _step(place: Any, step: Any) -> Any:
    if isinstance(place, dict) and isinstance(step, str):
        return place.get(step, _MISSING)
    if isinstance(place, list):
        if isinstance(step, list):
            name, value = step
            return next(
                (item for item in place if isinstance(item, dict) and item.get(name) == value), _MISSING
            )
        if isinstance(step, int) and step < len(place):
            return place[step]
    return _MISSING
