"""Reads what a value is handed through: transforms, tables, functions named by `call`."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mappings.marks import At
from mappings.nodes import Node, Step
from mappings.problems import Problems, suggestion
from mappings.shapes import Shape
from mappings.tables import BadTable
from mappings.transforms import TRANSFORMS, BadParameter
from mappings.transforms.registry import UNSET

if TYPE_CHECKING:
    from mappings.expressions import Expressions, Scope

__all__ = ["StepReader", "find_function"]


@dataclass
class StepReader:
    """Reads the steps of one value; computed parameters are expressions of the same scope."""

    expressions: Expressions
    scope: Scope

    def read(self, data: Mapping[str, Any], at: At, shape: Shape | None) -> list[Step]:
        """The steps of `as` and `table`, in their order; `shape` is the field the last one is for."""
        given = data.get("as", [])
        entries = given if isinstance(given, list) else [given]
        places: list[At] = (
            [(*at, "as", i) for i in range(len(entries))] if isinstance(given, list) else [(*at, "as")]
        )
        steps: list[Step] = []
        for i, (entry, place) in enumerate(zip(entries, places, strict=True)):
            last = i == len(entries) - 1 and "table" not in data
            step = self._step(entry, place, shape if last else None)
            if step is not None:
                steps.append(step)
        if "table" in data:
            unknown = data.get("unknown", UNSET)
            step = self._table(data["table"], unknown, (*at, "table"), shape)
            if step is not None:
                steps.append(step)
        elif "unknown" in data:
            self.expressions.problems.add("missing_key", (*at, "unknown"), key="table")
        return steps

    def _step(self, entry: Any, at: At, shape: Shape | None) -> Step | None:
        given: Any = {}
        if isinstance(entry, str):
            name = entry
        elif isinstance(entry, dict) and len(entry) == 1:
            name, given = next(iter(entry.items()))
        else:
            self.expressions.wrong(
                at, "変換の名前か {名前: パラメータ}", "a transform's name or {name: parameters}", entry
            )
            return None
        if name == "table":
            return self._table_step(given, (*at, "table"), shape)
        transform = TRANSFORMS.get(name)
        if transform is None:
            self.expressions.problems.add(
                "unknown_transform", at, name=name, near=(name, [*TRANSFORMS, "table"])
            )
            return None
        if not isinstance(given, dict):
            given = {transform.first: given} if transform.first else {"": given}
        fixed: dict[str, Any] = {}
        computed: list[tuple[str, Node]] = []
        for parameter, value in given.items():
            if parameter in transform.computed and isinstance(value, dict):
                node = self.expressions.expression(value, (*at, name, parameter), self.scope, None)
                if node is not None:
                    computed.append((parameter, node))
            else:
                fixed[parameter] = value
        try:
            run = transform.step(fixed)
        except BadParameter as error:
            place = (*at, name, error.parameter) if isinstance(entry, dict) else at
            self._bad_parameter(name, error, place)
            return None
        return Step(name, run, transform.gives, fixed, tuple(computed))

    def _bad_parameter(self, name: str, error: BadParameter, at: At) -> None:
        self.expressions.problems.add(
            "bad_parameter",
            at,
            near=(error.parameter, error.known) if error.known else None,
            name=name,
            parameter=error.parameter,
            detail=error.detail,
            detail_ja=error.detail_ja,
        )

    def _table_step(self, given: Any, at: At, shape: Shape | None) -> Step | None:
        if isinstance(given, dict):
            for key in given:
                if key not in ("name", "unknown"):
                    self.expressions.problems.add(
                        "unknown_key", (*at, key), key=key, near=(key, ["name", "unknown"])
                    )
            return self._table(given.get("name"), given.get("unknown", UNSET), at, shape)
        return self._table(given, UNSET, at, shape)

    def _table(self, name: Any, unknown: Any, at: At, shape: Shape | None) -> Step | None:
        if not isinstance(name, str) or re.fullmatch(r"\w+", name) is None:
            self.expressions.wrong(at, "変換表の名前", "a table's name", name)
            return None
        if unknown is not UNSET:
            self.expressions.fits(unknown, at, shape)
        self.expressions.used_tables[name] = None
        try:
            table, file, known = self.expressions.tables(name)
        except BadTable as error:
            words = {"detail_ja": error.ja, "detail_en": error.en}
            connector = self.expressions.problems.file.partition("/")[0]
            self.expressions.problems.note("table", words, f"{connector}/tables/{name}.csv", error.line, "")
            return None
        if table is None:
            self.expressions.problems.add("no_table", at, name=name, file=str(file), near=(name, known))
            return None
        if shape is not None:
            self._table_fits(table.values, table.lines, table.file, shape)
        return Step("table", table.step(unknown), "any", {"name": name}, (), table.values)

    def _table_fits(
        self, values: Mapping[str, str], lines: Mapping[str, int], file: str, shape: Shape
    ) -> None:
        for key, value in values.items():
            detail = shape.refuses(value) if value else None
            if detail:
                near_ja, near_en = suggestion(value, shape.codes())
                words = {
                    "value": value,
                    "name": shape.label,
                    "detail": detail,
                    "near_ja": near_ja,
                    "near_en": near_en,
                }
                self.expressions.problems.note("bad_constant", words, file, lines[key], "to")


def find_function(target: str, problems: Problems, at: At) -> Callable[..., Any] | None:
    """The function "package.module:function"; a problem is noted when there is none."""
    module_name, _, function_name = target.partition(":")
    if module_name.partition(".")[0] in sys.stdlib_module_names:
        problems.add(
            "bad_call",
            at,
            target=target,
            detail_ja="標準ライブラリは直接呼べません。自分のパッケージの関数を書いてください。",
            detail_en="the standard library is not called directly; name a function of your own package.",
        )
        return None
    try:
        found: Callable[..., Any] = getattr(importlib.import_module(module_name), function_name)
    except (ImportError, AttributeError) as error:
        problems.add("bad_call", at, target=target, detail_ja=str(error), detail_en=str(error))
        return None
    if not callable(found):
        problems.add(
            "bad_call", at, target=target, detail_ja="関数ではありません。", detail_en="it is no function."
        )
        return None
    return found
