"""Deliveries, kept exactly as they came before anything else happens with them.

A *delivery* is one webhook that Shopify sent us: verified, stored, answered 200, in that order. It is `waiting`, `done`, `ignored`
(a topic that nobody here works on) or `parked` (its work failed too often; a person sees it). Rows are unique by topic and webhook id.
"""
