"""Partner orders: what customers bought of a partner's goods becomes one growing order in the partner's own store.

A *captured line* is what one customer's order line needs from one partner, with its cost frozen. It waits (`pending`) until it may go, then
stands on a *partner order*: at first a draft order in the partner's store, found there by our tag, extended by each batch with its full
list of lines, and completed at the *cutoff*. Its *parcels* are what the partner sent; *receiving* books what came into stock.
A *batch* is one look at one partner: what may go is placed, sent and, at the cutoff, ordered.
"""
