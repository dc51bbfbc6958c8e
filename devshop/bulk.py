"""Bulk operations: a query without pages, its result a JSONL file at an address of devshop's.

The work is done when the operation is looked at, all of it at the second look, so that apps see it run. Source: Shopify, "Bulk operations".
"""

from __future__ import annotations

import json
import re
from typing import Any

from graphql import GraphQLError, execute, parse

from devshop import schema
from devshop.resolvers import Context, Typed, iso, resolve, typename

MOST = 5
_CONNECTION = re.compile(r"\b(\w+)\s*(\([^)]*\))?\s*\{\s*(edges|nodes)\b")


def start(context: Context, query: str, group: bool) -> tuple[Typed | None, tuple[str, str] | None]:
    """The operation has been taken on, or why not as (code, message)."""
    store = context.store
    running = [row for row in store.bulk.values() if row["status"] in ("CREATED", "RUNNING")]
    if len(running) >= MOST:
        return None, ("LIMIT_REACHED", f"{MOST} bulk operations are running already")
    try:
        parse(query)
    except GraphQLError as error:
        return None, ("INVALID", error.message)
    if not _CONNECTION.search(query):
        return None, ("INVALID", "Bulk queries must contain at least one connection.")
    number = store.world.new_id()
    store.bulk[number] = {
        "id": number,
        "query": query,
        "status": "CREATED",
        "looks": 0,
        "created": store.now(),
        "count": 0,
    }
    store.bulk[number] |= {"completed": None, "error": None, "lines": None, "group": group, "context": context}
    return look(context, number), None


def look(context: Context, number: int) -> Typed | None:
    """The operation as it stands; each look moves it on."""
    row = context.store.bulk.get(number)
    if row is None:
        return None
    row["looks"] += 1
    if row["status"] == "CREATED" and row["looks"] > 1:
        row["status"], row["count"] = "RUNNING", len(context.store.variants) // 2
    elif row["status"] == "RUNNING":
        _run(row)
    return Typed("BulkOperation", _fields(row, context))


def result(store: Any, number: int) -> str | None:
    """The JSONL of a completed operation."""
    row = store.bulk.get(number)
    return row["lines"] if row and row["status"] == "COMPLETED" else None


def _fields(row: dict[str, Any], context: Context) -> dict[str, Any]:
    done = row["status"] == "COMPLETED" and row["count"]
    return {
        "id": f"gid://shopify/BulkOperation/{row['id']}",
        "status": row["status"],
        "errorCode": row["error"],
        "createdAt": iso(row["created"]),
        "completedAt": iso(row["completed"]),
        "objectCount": str(row["count"]),
        "rootObjectCount": str(row["count"]),
        "fileSize": str(len(row["lines"].encode())) if row["lines"] is not None else None,
        "url": f"https://{context.store.domain}/_devshop/bulk/{row['id']}.jsonl" if done else None,
        "partialDataUrl": None,
        "query": row["query"],
        "type": "QUERY",
    }


def _run(row: dict[str, Any]) -> None:
    """The query is executed with every root connection widened; nested connections become lines with `__parentId`."""
    context: Context = row["context"]
    document = parse(_CONNECTION.sub(_widened, row["query"]))
    lines: list[str] = []
    found = execute(
        schema.load(),
        document,
        context_value=Context(context.store, context.token, context.base_url),
        field_resolver=_unpaged,
        type_resolver=typename,
    )
    if found.errors:
        row["status"], row["error"] = "FAILED", "INTERNAL_SERVER_ERROR"
    else:
        for value in (found.data or {}).values():
            _flatten(value, None, lines)
        row["status"], row["lines"], row["count"] = "COMPLETED", "".join(f"{line}\n" for line in lines), len(lines)
    row["completed"] = context.store.now()
    context.store.emit("bulk_operations/finish", row)


def _widened(match: re.Match[str]) -> str:
    inside = (match.group(2) or "()")[1:-1]
    inside = re.sub(r"\b(first|last)\s*:\s*\d+", "", inside).strip(" ,")
    arguments = f"first: 1{', ' + inside if inside else ''}"
    return f"{match.group(1)}({arguments}) {{ {match.group(3)}"


def _unpaged(subject: Any, info: Any, **arguments: Any) -> Any:
    if arguments.get("first") == 1 and str(info.return_type).rstrip("!").endswith("Connection"):
        return _everything(subject, info, arguments)
    return resolve(subject, info, **arguments)


def _everything(subject: Any, info: Any, arguments: dict[str, Any]) -> Typed:
    nodes: list[Any] = []
    after = None
    while True:
        page = resolve(subject, info, **{**arguments, "first": 250, **({"after": after} if after else {})})
        nodes += page.fields["nodes"]
        if not page.fields["pageInfo"].fields["hasNextPage"]:
            break
        after = page.fields["pageInfo"].fields["endCursor"]
    kind = page.typename.removesuffix("Connection")
    return Typed(page.typename, {"nodes": nodes, "edges": [Typed(f"{kind}Edge", {"node": node}) for node in nodes]})


def _flatten(value: Any, parent: str | None, lines: list[str]) -> None:
    rows = value.get("nodes") or [edge["node"] for edge in value.get("edges", [])] if isinstance(value, dict) else []
    for row in rows:
        nested = {
            key: inner
            for key, inner in row.items()
            if isinstance(inner, dict) and ("edges" in inner or "nodes" in inner)
        }
        own = {key: inner for key, inner in row.items() if key not in nested}
        lines.append(json.dumps({**own, **({"__parentId": parent} if parent else {})}))
        for inner in nested.values():
            _flatten(inner, row.get("id"), lines)
