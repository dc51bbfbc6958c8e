"""A partner's product as Shopify is to have it in the merchant's shop: the inputs of the calls that make it, and how answers are matched."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from occ_app.partners import settings
from occ_app.partners.models import ImportedVariant, Partner, PartnerProduct, PartnerVariant
from occ_app.partners.prices import Offer


def variant_input(variant: PartnerVariant, sku: str, priced: Offer) -> dict[str, Any]:
    """The variant as Shopify is to have it, its stock apart. Never sold beyond what there is."""
    item: dict[str, Any] = {"tracked": True, "requiresShipping": variant.requires_shipping, "cost": str(priced.cost)}
    if variant.weight_g:
        item["measurement"] = {"weight": {"value": float(variant.weight_g), "unit": "GRAMS"}}
    return {
        "optionValues": [{"optionName": name, "name": value} for name, value in key_of(variant)],
        "sku": sku,
        "barcode": variant.barcode or None,
        "price": str(priced.price),
        "compareAtPrice": str(priced.compare_at) if priced.compare_at is not None else None,
        "inventoryPolicy": "DENY",
        "inventoryItem": item,
    }


def repriced(ours: ImportedVariant, new: Offer) -> dict[str, Any]:
    """What gives one of our variants its new price and cost."""
    before = str(new.compare_at) if new.compare_at is not None else None
    cost = {"cost": str(new.cost)}
    return {"id": ours.variant_gid, "price": str(new.price), "compareAtPrice": before, "inventoryItem": cost}


def options_of(source: PartnerProduct, wanted: Sequence[PartnerVariant]) -> list[dict[str, Any]]:
    """The product's options with the values that the wanted variants have, in the partner's order."""
    used = {(name, value) for variant in wanted for name, value in key_of(variant)}
    named = [option["name"] for option in source.options] or [name for name, _ in key_of(wanted[0])]
    found = []
    for name in named:
        order: list[str] = next((option["values"] for option in source.options if option["name"] == name), [])
        values = [value for value in order if (name, value) in used]
        values += sorted({value for other, value in used if other == name} - set(values))
        found.append({"name": name, "values": [{"name": value} for value in values]})
    return found


def vendor_of(partner: Partner, source: PartnerProduct) -> str:
    """What stands as vendor in the merchant's shop: the merchant's word for this partner, else the partner's own."""
    return str(settings.get(partner, "vendor") or source.vendor or partner.name)[:255]


def tags_of(partner: Partner, source: PartnerProduct, more: Sequence[str]) -> list[str]:
    """Their tags, those of the partner's setting, and those of the import, each once."""
    own = [tag.strip() for tag in str(settings.get(partner, "tags")).split(",")]
    return [tag[:255] for tag in dict.fromkeys([*source.tags, *own, *more]) if tag][:250]


def seen_of(source: PartnerProduct) -> dict[str, Any]:
    """What of the partner's product a copy was made from."""
    pictures = [one["url"] for one in source.images]
    text = [source.title, source.description_html]
    return {"title": text, "images": pictures, "status": source.status, "is_deleted": source.deleted_at is not None}


def key_of(variant: PartnerVariant) -> tuple[tuple[str, str], ...]:
    """What tells a variant from the others of its product."""
    return tuple((one["name"], one["value"]) for one in variant.options) or (("Title", "Default Title"),)


def values_of(node: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    """What tells one of Shopify's variants from the others of its product."""
    return tuple((one["name"], one["value"]) for one in node["selectedOptions"])


def covers(node: dict[str, Any], wanted: Sequence[tuple[PartnerVariant, str]]) -> bool:
    """Whether Shopify's product has all of these variants."""
    return {key_of(variant) for variant, _ in wanted} <= {values_of(one) for one in node["variants"]["nodes"]}


def words(errors: Sequence[dict[str, Any]]) -> str:
    """Shopify's own words, each once."""
    return "Shopify says: " + "; ".join(dict.fromkeys(error["message"] for error in errors))[:500]
