"""Three stores to try partners with."""

from __future__ import annotations

from collections import Counter

from devshop.app import create_app
from devshop.world import World


def test_three_roasters_are_there_at_once_the_same_each_time() -> None:
    world = World("client-id", "secret")
    web = create_app(world).test_client()
    first, again = (web.post("/_devshop/roasters").get_json() for _ in range(2))
    twin = World("client-id", "secret")
    create_app(twin).test_client().post("/_devshop/roasters")

    assert [row["domain"].split(".")[0] for row in first] == [
        "harbour-roasters",
        "nine-peaks-coffee",
        "mill-lane-roastery",
    ]
    assert first == again
    assert [len(store.products) for store in world.stores.values()] == [180, 300, 100]
    for ours, other in zip(world.stores.values(), twin.stores.values(), strict=True):
        assert [v.sku for v in ours.variants.values()] == [v.sku for v in other.variants.values()]


def test_each_roaster_has_what_an_import_stumbles_over() -> None:
    world = World("client-id", "secret")
    create_app(world).test_client().post("/_devshop/roasters")

    for store in world.stores.values():
        skus = Counter(variant.sku for variant in store.variants.values())
        shelf = store.products.values()
        assert skus.pop("") > 2
        assert max(skus.values()) == 2
        assert {product.status for product in shelf} == {"ACTIVE", "DRAFT", "ARCHIVED"}
        assert sum(1 for product in shelf if not product.media) == 1
        assert sum(1 for variant in store.variants.values() if variant.is_bundle) == 1
