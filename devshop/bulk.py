"""Bulk operations: a query without pages, its result a JSONL file at an address of devshop's.

The work is done when the operation is looked at, all of it at the second look, so that apps see it run. A connection inside an object
(`inventoryItem { inventoryLevels }`) makes lines of the node around it: `__parentId` is the nearest node of a connection, here the variant; the
documentation shows no such case. Source: Shopify, "Bulk operations": at least one connection, at most five, nested two levels below the first,
no `node` or `nodes` at the top.
"""

from __future__ import annotations

import json
from typing import Any

from graphql import (
    ArgumentNode,
    DocumentNode,
    FieldNode,
    GraphQLError,
    IntValueNode,
    NameNode,
    OperationDefinitionNode,
    TypeInfo,
    TypeInfoVisitor,
    Visitor,
    execute,
    get_named_type,
    parse,
    validate,
    visit,
)

from devshop import schema
from devshop.resolvers import Context, Typed, iso, resolve, typename

MOST = 5
MOST_CONNECTIONS, DEEPEST = 5, 3


def start(context: Context, query: str, group: bool) -> tuple[Typed | None, tuple[str, str] | None]:
    """The operation has been taken on, or why not as (code, message)."""
    store = context.store
    running = [row for row in store.bulk.values() if row["status"] in ("CREATED", "RUNNING")]
    if len(running) >= MOST:
        return None, ("LIMIT_REACHED", f"{MOST} bulk operations are running already")
    try:
        wrong = _refused(parse(query))
    except GraphQLError as error:
        wrong = error.message
    if wrong:
        return None, ("INVALID", wrong)
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
    widener = _Connections(TypeInfo(schema.load()))
    document = visit(parse(row["query"]), TypeInfoVisitor(widener.info, widener))
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
        found_at_top: list[Any] = []
        _without_connections(found.data or {}, found_at_top)
        for value in found_at_top:
            _flatten(value, None, lines)
        row["status"], row["lines"], row["count"] = "COMPLETED", "".join(f"{line}\n" for line in lines), len(lines)
    row["completed"] = context.store.now()
    context.store.emit("bulk_operations/finish", row)


def _refused(document: DocumentNode) -> str | None:
    """Why Shopify would not run this query in bulk."""
    errors = validate(schema.load(), document)
    if errors:
        return errors[0].message
    counter = _Connections(TypeInfo(schema.load()))
    visit(document, TypeInfoVisitor(counter.info, counter))
    operation = next(node for node in document.definitions if isinstance(node, OperationDefinitionNode))
    names = {node.name.value for node in operation.selection_set.selections if isinstance(node, FieldNode)}
    if names & {"node", "nodes"}:
        return "Bulk queries cannot contain top level `node` or `nodes` fields."
    if not counter.count:
        return "Bulk queries must contain at least one connection."
    if counter.count > MOST_CONNECTIONS:
        return f"Bulk queries cannot contain more than {MOST_CONNECTIONS} connections."
    if counter.deepest > DEEPEST:
        return f"Bulk queries cannot contain connections with a nesting depth greater than {DEEPEST - 1}."
    return None


class _Connections(Visitor):
    """Counts connections and how deep they stand; on the way out each is asked for `first: 1`, which `_unpaged` reads as all."""

    def __init__(self, info: TypeInfo) -> None:
        super().__init__()
        self.info = info
        self.count = self.deepest = self._depth = 0

    def _is_connection(self) -> bool:
        kind = self.info.get_type()
        return kind is not None and get_named_type(kind).name.endswith("Connection")

    def enter_field(self, node: FieldNode, *_: Any) -> None:
        if self._is_connection():
            self.count += 1
            self._depth += 1
            self.deepest = max(self.deepest, self._depth)

    def leave_field(self, node: FieldNode, *_: Any) -> FieldNode | None:
        if not self._is_connection():
            return None
        self._depth -= 1
        kept = [each for each in node.arguments or () if each.name.value not in ("first", "last", "after", "before")]
        one = ArgumentNode(name=NameNode(value="first"), value=IntValueNode(value="1"))
        fields = {key: getattr(node, key) for key in node.keys if key != "arguments"}
        return FieldNode(**fields, arguments=(*kept, one))


def _unpaged(subject: Any, info: Any, **arguments: Any) -> Any:
    if arguments.get("first") == 1 and get_named_type(info.return_type).name.endswith("Connection"):
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
    """A connection's nodes as lines, each followed by the lines of the connections in it."""
    rows = value["nodes"] if "nodes" in value else [edge["node"] for edge in value["edges"]]
    for row in rows:
        nested: list[Any] = []
        own = _without_connections(row, nested)
        lines.append(json.dumps({**own, **({"__parentId": parent} if parent else {})}))
        for inner in nested:
            _flatten(inner, row.get("id") or parent, lines)


def _without_connections(row: dict[str, Any], nested: list[Any]) -> dict[str, Any]:
    """The object without its connections, which are put into `nested`, those inside its objects too."""
    own = {}
    for key, value in row.items():
        if isinstance(value, dict) and ("edges" in value or "nodes" in value):
            nested.append(value)
        else:
            own[key] = _without_connections(value, nested) if isinstance(value, dict) else value
    return own
