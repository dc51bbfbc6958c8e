"""What is made, and from what.

An *ingredient* is an item of kind `ingredient`: it has lots, places, moves and balances like any other, counted in the smallest amount of
its unit (milligrams, microlitres, pieces). A *formula* says what an item is made from; its *lines* name components, which are ingredients
or items made here themselves. A *production run* makes one item by one formula: it *reserves* lots of components (their units stand at the
place `reserved`), *consumes* them when it is completed, and puts out lots. A *recall* freezes lots in every store.
"""
