"""What a product has besides its variants: options, pictures, metafields; and where it stands: collections, sales channels."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass
class Option:
    """A choice that a product offers, and its values, each with an id of its own."""

    id: int
    name: str
    values: dict[str, int] = field(default_factory=dict)

    @property
    def gid(self) -> str:
        return f"gid://shopify/ProductOption/{self.id}"


@dataclass
class Media:
    """A picture of a product. `url`: where it stands now; `source`: where it was taken from."""

    id: int
    url: str
    source: str
    alt: str
    created_at: datetime
    status: str = "READY"

    @property
    def gid(self) -> str:
        return f"gid://shopify/MediaImage/{self.id}"


@dataclass
class Metafield:
    """A value that an app keeps at a product or a variant."""

    id: int
    namespace: str
    key: str
    type: str
    value: str
    created_at: datetime
    updated_at: datetime
    owner: Any = None

    @property
    def gid(self) -> str:
        return f"gid://shopify/Metafield/{self.id}"


@dataclass
class Collection:
    """Products that a merchant put together; a smart one chooses them by rules, which devshop does not apply."""

    id: int
    title: str
    handle: str
    updated_at: datetime
    product_ids: list[int] = field(default_factory=list)
    is_smart: bool = False

    @property
    def gid(self) -> str:
        return f"gid://shopify/Collection/{self.id}"


@dataclass
class Publication:
    """A sales channel that products can be published to."""

    id: int
    name: str

    @property
    def gid(self) -> str:
        return f"gid://shopify/Publication/{self.id}"
