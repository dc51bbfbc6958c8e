"""Shopify's numbers kept right, without ever undoing a sale.

Per mapping there are two numbers, in variant units: *target* T, what should be for sale by our books, and *expected* E, what Shopify's
`available` must be if we know of everything. A *reading* is all states of a level at once with Shopify's clock. *Drift* is
D = available - E. To *push* is to write available + (T - E), compared and swapped; to *reconcile* is to read all and explain each drift.
What cannot be explained stays as it is until the shop's *drift rule* or a person decides. An *exception* is what a person must decide.
Source: design of the sync rule; Shopify, "inventorySetQuantities" (changeFromQuantity).
"""
