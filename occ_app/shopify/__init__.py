"""The other side: Shopify over HTTP, and nothing of our business.

A `Client` is made for one shop and carries that shop's address and token. Operations are `operations/*.graphql`, each with the address of
its documentation above it. Only this package imports Shopify's libraries, and Authlib for every token.
"""
