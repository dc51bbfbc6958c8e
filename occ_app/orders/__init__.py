"""Shopify's orders as states, and what we booked of them.

An *order* is kept with what stock needs and nothing of the customer. Whichever news came, the whole order is read and the difference to
what was booked per line is booked. A *take* moves units from sellable lots to `committed`, first expiry first; *demand* is takes per day.
"""
