"""Where every unit is, and how many may be sold.

A *place* is where units are: physical ones (`completed`, `packaged`, `in_review`, `released`, `on_hold`, `allocated:<channel>`,
`committed`) or virtual ones that units come from and go to (`production`, `supplier`, `shipped`, `scrap`, `correction`, `opening`,
`backorder`, `partner`). A *stock move* takes units from one place to another, with a *reason* (closed list) and a *source* (what caused it,
unique per shop). A *balance* is the sum of the moves per item, lot, location and place. A *lot* is what was finished together.
*Sellable* is what the sync mode counts, less what is expired, recalled, or held back as safety stock.
"""
