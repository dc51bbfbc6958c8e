"""What to make, buy or order next, and why.

*Demand* is what was sold of an item on a local day, less what was cancelled or returned; what businesses bought stands apart. A day on which
there was nothing to sell is *unknown*, not zero. A *forecast* is a week of expected demand and how far off it tends to be. The *reorder point*
is the stock at which to act: demand over lead time and review period, and a cushion. A *suggestion* says what to make or order; an item has one
at a time, and it is withdrawn when it is no longer true. A *shortage* is what plans need of a component and nobody will have. A *purchase* was
ordered from a supplier or partner and is not here yet. An *event* multiplies demand on some days.
"""
