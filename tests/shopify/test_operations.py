"""Every GraphQL operation is valid in Shopify's schema, affordable, and asks only for scopes that the TOML names."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from graphql import OperationDefinitionNode, parse, validate

from devshop import cost, graphql_api, schema
from occ_app.config import ROOT

OPERATIONS = sorted((ROOT / "occ_app" / "shopify" / "operations").glob("*.graphql"))


def scopes(name: str) -> set[str]:
    """The scopes that a TOML asks for, with the reading that writing brings along."""
    data = tomllib.loads((ROOT / name).read_text(encoding="utf-8"))
    return {scope.strip() for scope in data["access_scopes"]["scopes"].split(",")}


def needed(path: Path) -> list[list[str]]:
    """Per type or field that needs any: the scopes of which one is enough."""
    from graphql import TypeInfo, TypeInfoVisitor, visit

    finder = graphql_api._ScopeFinder(TypeInfo(schema.load()), schema.scopes(), set())
    found: list[list[str]] = []

    def collect(node: object, *_: object) -> None:
        finder.denied = None
        type(finder).enter_field(finder, node)
        if finder.denied:
            found.append(finder.denied[1])

    finder.enter_field = collect  # type: ignore[method-assign]
    visit(parse(path.read_text(encoding="utf-8")), TypeInfoVisitor(finder.info, finder))
    return found


@pytest.mark.parametrize("path", OPERATIONS, ids=lambda path: path.stem)
def test_operation_is_valid_and_says_where_it_is_documented(path: Path) -> None:
    text = path.read_text(encoding="utf-8")

    assert validate(schema.load(), parse(text)) == []
    assert re.match(r"# https://shopify\.dev/docs/api/admin-graphql/2026-10/", text)


@pytest.mark.parametrize("path", OPERATIONS, ids=lambda path: path.stem)
def test_operation_needs_only_scopes_of_the_toml(path: Path) -> None:
    held = scopes("shopify.app.toml")
    held |= {scope.replace("write_", "read_", 1) for scope in held}

    assert [any_of for any_of in needed(path) if not held.intersection(any_of)] == []


def test_no_scope_is_asked_for_in_vain() -> None:
    used = {scope for path in OPERATIONS for any_of in needed(path) for scope in any_of}

    assert scopes("shopify.app.toml") <= used


@pytest.mark.parametrize("path", OPERATIONS, ids=lambda path: path.stem)
def test_operation_stays_below_the_most_a_query_may_cost(path: Path) -> None:
    size = {"orders_by_id": 3, "products_by_id": 25}.get(path.stem, 250)
    document = parse(path.read_text(encoding="utf-8"))
    operation = next(node for node in document.definitions if isinstance(node, OperationDefinitionNode))
    fragments = {
        node.name.value: node for node in document.definitions if not isinstance(node, OperationDefinitionNode)
    }

    assert cost.requested(schema.load(), operation, fragments, {"ids": ["x"] * size}) <= cost.MOST


def test_both_tomls_agree_but_for_names_and_addresses() -> None:
    one = tomllib.loads((ROOT / "shopify.app.toml").read_text(encoding="utf-8"))
    other = tomllib.loads((ROOT / "shopify.app.dev.toml").read_text(encoding="utf-8"))

    assert one["access_scopes"] == other["access_scopes"]
    assert one["webhooks"] == other["webhooks"]


def test_order_topics_bring_no_customers_data() -> None:
    data = tomllib.loads((ROOT / "shopify.app.toml").read_text(encoding="utf-8"))
    for row in data["webhooks"]["subscriptions"]:
        if any(topic.startswith(("orders/", "refunds/")) for topic in row.get("topics", [])):
            assert set(row["include_fields"]) <= {
                "id",
                "admin_graphql_api_id",
                "updated_at",
                "created_at",
                "order_id",
                "order_edit.id",
                "order_edit.order_id",
                "order_edit.created_at",
            }


def test_all_compliance_topics_are_subscribed() -> None:
    data = tomllib.loads((ROOT / "shopify.app.toml").read_text(encoding="utf-8"))
    topics = {topic for row in data["webhooks"]["subscriptions"] for topic in row.get("compliance_topics", [])}

    assert topics == {"customers/data_request", "customers/redact", "shop/redact"}
