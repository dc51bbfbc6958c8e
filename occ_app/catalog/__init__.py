"""What is sold: our items, Shopify's variants and locations as last pulled, and the mappings between them.

An *item* is one thing the shop keeps stock of. A *variant* and a *location* are Shopify's, mirrored here. A *mapping* says that
a variant at a location sells an item, with so many units per variant (a box of 6 takes 6 units).
"""
