"""Runs a GraphQL operation over plain dicts: what was selected comes back, nothing else.

A value may be a function of its arguments; a list under `nodes`, `edges` or `pageInfo` is answered as a Relay
connection. A field that the stand-in does not know is an error, so nobody comes to rely on what it made up.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLSyntaxError,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    parse,
)
from graphql.language.ast import DirectiveNode
from graphql.utilities import value_from_ast_untyped

__all__ = ["Connection", "GraphProblem", "Operation", "read_operation", "run"]

_PAGING = frozenset({"nodes", "edges", "pageInfo"})
_INTERFACES = {
    "DiscountApplication": (
        "DiscountCodeApplication",
        "AutomaticDiscountApplication",
        "ManualDiscountApplication",
    ),
}
MOST_ROWS = 250


class GraphProblem(Exception):
    """An error of the whole request, in the vendor's form."""

    def __init__(self, message: str, code: str, **more: Any) -> None:
        super().__init__(message)
        self.code = code
        self.more = more

    def as_error(self) -> dict[str, Any]:
        return {"message": str(self), "extensions": {"code": self.code, **self.more}}


@dataclass(frozen=True)
class Connection:
    """A list in the order of `key`, which also makes its cursors."""

    items: Sequence[Mapping[str, Any]]
    key: Callable[[Mapping[str, Any]], Any] | None = None


@dataclass
class Operation:
    """One operation of a document, with its variables."""

    node: OperationDefinitionNode
    fragments: Mapping[str, FragmentDefinitionNode]
    variables: Mapping[str, Any]
    document: DocumentNode
    counted: int = field(default=0)
    """Objects given so far: what the answer really costs."""

    @property
    def mutation(self) -> bool:
        return self.node.operation.value == "mutation"

    def fields(self, selection: SelectionSetNode, typename: str | None) -> Iterator[FieldNode]:
        """The fields that are selected on a thing of this type."""
        for one in selection.selections:
            if not self._wanted(one.directives):
                continue
            if isinstance(one, FieldNode):
                yield one
            elif isinstance(one, FragmentSpreadNode):
                fragment = self.fragments[one.name.value]
                if _fits(fragment.type_condition.name.value, typename):
                    yield from self.fields(fragment.selection_set, typename)
            elif isinstance(one, InlineFragmentNode):
                condition = one.type_condition
                if condition is None or _fits(condition.name.value, typename):
                    yield from self.fields(one.selection_set, typename)

    def arguments(self, node: FieldNode | DirectiveNode) -> dict[str, Any]:
        """The arguments as Python values."""
        return {
            argument.name.value: value_from_ast_untyped(argument.value, dict(self.variables))
            for argument in node.arguments or ()
        }

    def _wanted(self, directives: Sequence[DirectiveNode] | None) -> bool:
        for directive in directives or ():
            if directive.name.value == "include" and not self.arguments(directive).get("if"):
                return False
            if directive.name.value == "skip" and self.arguments(directive).get("if"):
                return False
        return True


def _fits(condition: str, typename: str | None) -> bool:
    return typename is None or condition == typename or typename in _INTERFACES.get(condition, ())


def read_operation(query: object, name: object, variables: object) -> Operation:
    """The operation of a request's body. Raises `GraphProblem`."""
    if not isinstance(query, str):
        raise GraphProblem("Missing query", "BAD_REQUEST")
    try:
        document = parse(query)
    except GraphQLSyntaxError as error:
        raise GraphProblem(f"syntax error: {error.message}", "syntaxError") from None
    operations = [one for one in document.definitions if isinstance(one, OperationDefinitionNode)]
    chosen = [one for one in operations if name is None or (one.name and one.name.value == name)]
    if len(chosen) != 1:
        raise GraphProblem("An operation name is required", "BAD_REQUEST")
    given = dict(variables) if isinstance(variables, Mapping) else {}
    declared = {one.variable.name.value: one for one in chosen[0].variable_definitions or ()}
    for unknown in given.keys() - declared.keys():
        raise GraphProblem(f"Variable ${unknown} is not declared", "variableNotDefined")
    for key, definition in declared.items():
        if key not in given and definition.default_value is not None:
            given[key] = value_from_ast_untyped(definition.default_value)
        if definition.type.kind == "non_null_type" and given.get(key) is None:
            raise GraphProblem(
                f"Variable ${key} of type {key} was provided invalid value", "INVALID_VARIABLE"
            )
    fragments = {
        one.name.value: one for one in document.definitions if isinstance(one, FragmentDefinitionNode)
    }
    return Operation(chosen[0], fragments, given, document)


def run(operation: Operation, root: Mapping[str, Callable[..., Any]]) -> dict[str, Any]:
    """`data` of the answer."""
    answer: dict[str, Any] = {}
    for node in operation.fields(operation.node.selection_set, None):
        name = node.name.value
        if name not in root:
            raise GraphProblem(f"Field '{name}' doesn't exist on type 'QueryRoot'", "undefinedField")
        arguments = operation.arguments(node)
        key = node.alias.value if node.alias else name
        directives = {one.name.value: operation.arguments(one) for one in node.directives or ()}
        value = (
            root[name](directives=directives, **arguments) if operation.mutation else root[name](**arguments)
        )
        answer[key] = _complete(operation, node, value, arguments)
    return answer


def _complete(operation: Operation, node: FieldNode, value: Any, arguments: Mapping[str, Any]) -> Any:
    if callable(value):
        value = value(**arguments)
    selection = node.selection_set
    if selection is None:
        if isinstance(value, (Mapping, Connection)):
            raise GraphProblem(f"Field must have selections (field '{node.name.value}')", "selectionMismatch")
        return value
    if value is None:
        return None
    chosen = {one.name.value for one in operation.fields(selection, None)}
    if isinstance(value, Connection) or (isinstance(value, (list, tuple)) and chosen & _PAGING):
        connection = value if isinstance(value, Connection) else Connection(value)
        return _connection(operation, selection, connection, arguments)
    if isinstance(value, (list, tuple)):
        first = arguments.get("first")
        return [_object(operation, selection, one) for one in value[:first]]
    return _object(operation, selection, value)


def _object(operation: Operation, selection: SelectionSetNode, value: Mapping[str, Any] | None) -> Any:
    if value is None:
        return None
    operation.counted += 1
    typename = value.get("__typename")
    found: dict[str, Any] = {}
    for node in operation.fields(selection, typename):
        name = node.name.value
        if name not in value:
            raise GraphProblem(f"Field '{name}' doesn't exist on type '{typename}'", "undefinedField")
        key = node.alias.value if node.alias else name
        found[key] = _complete(operation, node, value[name], operation.arguments(node))
    return found


def _connection(
    operation: Operation, selection: SelectionSetNode, connection: Connection, arguments: Mapping[str, Any]
) -> dict[str, Any]:
    first = arguments.get("first")
    if not isinstance(first, int) or not 1 <= first <= MOST_ROWS:
        raise GraphProblem(f"you must provide one of first or last, between 1 and {MOST_ROWS}", "BAD_REQUEST")
    numbered = list(enumerate(connection.items))
    keys = [_key(connection, number, one) for number, one in numbered]
    after = arguments.get("after")
    start = 0
    if after is not None:
        behind = _read_cursor(str(after))
        start = next((number for number, key in enumerate(keys) if key > behind), len(keys))
    rows = numbered[start : start + first]
    operation.counted += 1
    answer: dict[str, Any] = {}
    for node in operation.fields(selection, None):
        name = node.name.value
        inner = node.selection_set
        if name == "nodes" and inner is not None:
            answer[name] = [_object(operation, inner, one) for _, one in rows]
        elif name == "edges" and inner is not None:
            answer[name] = [
                _object(operation, inner, {"node": one, "cursor": _cursor(keys[number])})
                for number, one in rows
            ]
        elif name == "pageInfo" and inner is not None:
            page = {
                "hasNextPage": start + first < len(keys),
                "hasPreviousPage": start > 0,
                "startCursor": _cursor(keys[start]) if rows else None,
                "endCursor": _cursor(keys[rows[-1][0]]) if rows else None,
            }
            answer[name] = {one.name.value: page[one.name.value] for one in operation.fields(inner, None)}
    return answer


def _key(connection: Connection, number: int, one: Mapping[str, Any]) -> list[Any]:
    key = connection.key(one) if connection.key else number
    return list(key) if isinstance(key, tuple) else [key]


def _cursor(key: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(key).encode()).decode()


def _read_cursor(text: str) -> list[Any]:
    try:
        found = json.loads(base64.urlsafe_b64decode(text.encode()))
    except ValueError:
        found = None
    if not isinstance(found, list):
        raise GraphProblem("Invalid cursor for current pagination sort.", "BAD_REQUEST")
    return found
