"""What a query costs, asked for and in fact.

Scalars and enums 0, an object 1, a mutation 10, a connection its page size times the cost of a node, `nodes(ids:)` the number of ids times
the cost of a node; a plain list counts as one object of its type. Source: Shopify, "GraphQL Admin API rate limits". The input of `productSet`
costs by its size (Shopify's reference, ProductSetInput). Other weights, which Shopify shows only in its debug header, are not modelled.
"""

from __future__ import annotations

import math
from typing import Any

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLSchema,
    InlineFragmentNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    get_named_type,
    is_composite_type,
    value_from_ast_untyped,
)

MOST = 1000
MUTATION = 10


def requested(
    schema: GraphQLSchema,
    operation: OperationDefinitionNode,
    fragments: dict[str, FragmentDefinitionNode],
    variables: dict[str, Any],
) -> int:
    """Points that the operation asks for, before it runs."""
    is_mutation = operation.operation == OperationType.MUTATION
    root = schema.mutation_type if is_mutation else schema.query_type
    counter = _Counter(schema, fragments, variables)
    total = counter.selections(root, operation.selection_set) + of_inputs(operation, variables)
    return total + MUTATION * (len(operation.selection_set.selections) if is_mutation else 0)


def of_inputs(operation: OperationDefinitionNode, variables: dict[str, Any]) -> int:
    """What the inputs of `productSet` cost: 1.9 a file, 0.4 a metafield, 0.2 a variant, 0.6 a variant's file."""
    total = 0.0
    for node in operation.selection_set.selections:
        if isinstance(node, FieldNode) and node.name.value == "productSet":
            argument = next((each for each in node.arguments or () if each.name.value == "input"), None)
            given = (value_from_ast_untyped(argument.value, variables) if argument else None) or {}
            rows = given.get("variants") or []
            metafields = len(given.get("metafields") or ()) + sum(len(row.get("metafields") or ()) for row in rows)
            files = 1.9 * len(given.get("files") or ()) + 0.6 * sum(1 for row in rows if row.get("file"))
            total += files + 0.4 * metafields + 0.2 * len(rows)
    return math.ceil(total - 1e-9)


def actual(data: Any) -> int:
    """Points that the answer cost: every object in it."""
    if isinstance(data, dict):
        return 1 + sum(actual(value) for value in data.values())
    if isinstance(data, list):
        return sum(actual(value) for value in data)
    return 0


class _Counter:
    def __init__(
        self, schema: GraphQLSchema, fragments: dict[str, FragmentDefinitionNode], variables: dict[str, Any]
    ) -> None:
        self._schema, self._fragments, self._variables = schema, fragments, variables

    def selections(self, parent: Any, selection_set: SelectionSetNode | None) -> int:
        total = 0
        for node in selection_set.selections if selection_set else ():
            if isinstance(node, FieldNode):
                total += self._field(parent, node)
            elif isinstance(node, InlineFragmentNode):
                on = self._schema.get_type(node.type_condition.name.value) if node.type_condition else parent
                total += self.selections(on, node.selection_set)
            elif isinstance(node, FragmentSpreadNode):
                fragment = self._fragments[node.name.value]
                total += self.selections(
                    self._schema.get_type(fragment.type_condition.name.value), fragment.selection_set
                )
        return total

    def _field(self, parent: Any, node: FieldNode) -> int:
        field = getattr(parent, "fields", {}).get(node.name.value)
        if field is None:
            return 0
        named = get_named_type(field.type)
        if not is_composite_type(named):
            return 0
        inner = self.selections(named, node.selection_set)
        if named.name.endswith("Connection"):
            return inner * max(1, self._size(node))
        if named.name.endswith("Edge") or named.name == "PageInfo":
            return inner
        times = (
            len(self._argument(node, "ids") or ()) if node.name.value == "nodes" and parent.name == "QueryRoot" else 1
        )
        return (1 + inner) * times

    def _size(self, node: FieldNode) -> int:
        return int(self._argument(node, "first") or self._argument(node, "last") or 1)

    def _argument(self, node: FieldNode, name: str) -> Any:
        for argument in node.arguments or ():
            if argument.name.value == name:
                return value_from_ast_untyped(argument.value, self._variables)
        return None
