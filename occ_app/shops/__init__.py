"""Stores that installed the app: who they are, their access tokens, their settings, their privacy requests.

A *shop* is a store that installed us. It is `active`, `paused` (by its own wish), `needs_reconnecting` (its token was refused) or
`uninstalled`. Whatever its state, its rows stay until Shopify asks us to erase them.
"""
