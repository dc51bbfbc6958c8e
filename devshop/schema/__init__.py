"""Shopify's real Admin schema of 2026-10 and the scopes each type or field needs. See NOTICE."""

from __future__ import annotations

import gc
import gzip
import json
from functools import cache
from pathlib import Path

from graphql import GraphQLSchema, build_schema

_FOLDER = Path(__file__).parent
VERSION = "2026-10"


@cache
def load() -> GraphQLSchema:
    """The schema, built once (about a second). It is assumed valid: Shopify's own breaks six rules on deprecation."""
    text = gzip.decompress((_FOLDER / f"admin-{VERSION}.graphql.gz").read_bytes()).decode()
    was_on = gc.isenabled()
    gc.disable()
    try:
        return build_schema(text, assume_valid=True, no_location=True)
    finally:
        if was_on:
            gc.enable()


@cache
def scopes() -> dict[str, list[str]]:
    """Type or `Type.field` -> scopes, any one of which is enough."""
    return json.loads((_FOLDER / f"admin-{VERSION}.scopes.json").read_text(encoding="utf-8"))
