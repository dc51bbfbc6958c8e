"""Partner stores: businesses whose shops supply us, and their goods in ours.

An *invitation* is a link that a merchant gives to one business; whoever follows it and authorizes becomes a *partner*. One store may be
merchant and partner at once, of several others: a partner row belongs to the merchant, the partner's tokens to its own shop row.

A *partner product* and its *partner variants* are the mirror of what the partner has, as last read. An *imported product* is the merchant's
copy of one: each *imported variant* ties a partner variant to an item of kind `partner`, which sells through an ordinary mapping.
Such an item has no lots of its own making; its terms come from here (`terms`): what the partner has, less safety stock, less what our
orders took and the partner's number does not show yet. A *reflection* says that it does from some moment on.
"""
