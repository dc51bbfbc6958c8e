"""The wholesale side: orders of businesses, the API that their systems speak, and the notices that we send them.

A *wholesale order* is `draft`, `confirmed` (its units are taken), `shipped` or `cancelled`. Its *customer* is a name with a reference. An
*API token* is what another system proves itself with: hashed, with scopes. A *level* is what wholesale and the webshop may each sell of an
item (`b2b_stock`, `b2c_stock`). A *notice* is what we tell another system of its own accord, at an *endpoint* that the shop named.
"""
