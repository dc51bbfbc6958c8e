"""Mutations: a row before a call, so that a crash between call and answer neither repeats nor forgets it.

A *mutation row* is one call that changes something in Shopify. It is `ready` (written, not sent), `sent` (on its way, or its answer
was lost), `applied`, `refused`, or `ambiguous` (the answer says that it may have been applied before; a reading decides).
"""
