"""A Shopify for one machine: stores, the Admin GraphQL API, OAuth, webhooks, and an admin to look at. See README.md."""
